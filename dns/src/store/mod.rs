//! The answer store: every zone at every version, one writer, readers that never wait.
//!
//! An owner is a *node*: its whole state from one version on, with its older states behind it. The writer places the
//! nodes of an event and then stores the event's number; a reader takes that number once and looks past whatever is
//! younger. So an event shows at once in all its zones, a change costs its own size, and the past is the same lookup
//! with a smaller number.

mod index;
pub(crate) mod labels;
pub(crate) mod node;
mod older;
mod order;
mod origin;
mod past;
mod rising;
mod sealed;
mod segments;
mod ticks;
pub(crate) mod touch;
mod varint;
mod view;
mod writer;
mod zone;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use conn3ction_schemas::{Name, Revision, Timestamp};
use tokio::sync::watch;

pub use origin::Origin;
pub use past::{Difference, SetChange, Step};
pub use sealed::{SealError, Sealed};
pub use view::{OwnerView, SetView, View, ZoneView};
pub use writer::Writer;
pub(crate) use zone::Held;

use self::{index::Index, order::Order, segments::Segments, zone::Zone};

/// The caller's number of an event; this crate only compares it. 0 stands before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Revision> for Version {
    fn from(revision: Revision) -> Self {
        Self(revision.0)
    }
}

impl From<Version> for Revision {
    fn from(version: Version) -> Self {
        Self(version.0)
    }
}

/// All zones at all versions. Shared by every reader of a process; one [`Writer`] changes it.
#[derive(Debug)]
pub struct Store {
    published: AtomicU64,
    /// Replaced as a whole when what stood for long is sealed, or when the view was built anew.
    zones: ArcSwap<Zones>,
    /// Rings for those who wait for a version; answering reads `published` alone.
    reached: watch::Sender<Version>,
}

#[derive(Debug)]
struct Zones {
    index: Index,
    zones: Segments<OnceLock<Box<Zone>>>,
    order: ArcSwap<Order>,
    /// Numbers of labels at which an apex ever stood.
    apexes_at: zone::Depths,
    hasher: foldhash::quality::RandomState,
}

impl Store {
    /// Makes an empty store at version 0, and its one writer.
    pub fn new() -> (Arc<Store>, Writer) {
        Self::of(Zones::new(), Version(0))
    }

    /// Makes a store that shows what was sealed, and its one writer, which goes on from there.
    pub fn open(sealed: &Arc<Sealed>) -> (Arc<Store>, Writer) {
        let zones = Zones::new();
        for (number, (apex, zone)) in (0..).zip(sealed.zones()) {
            zones.add(number, apex, Some(zone));
        }
        Self::of(zones, sealed.version())
    }

    fn of(zones: Zones, published: Version) -> (Arc<Store>, Writer) {
        let zones = Arc::new(zones);
        let store = Arc::new(Store {
            published: AtomicU64::new(published.0),
            zones: ArcSwap::new(zones.clone()),
            reached: watch::Sender::new(published),
        });
        let writer = Writer::new(store.clone(), zones);
        (store, writer)
    }

    /// The version that answers show now. It only rises.
    pub fn published(&self) -> Version {
        Version(self.published.load(Ordering::Acquire))
    }

    /// All zones as they stand now. One view serves a whole batch of questions.
    pub fn now(self: &Arc<Self>) -> View {
        let published = self.published();
        self.view(published, None)
    }

    /// All zones as they stood right after `version`. Of a version that is not published yet, what is published shows.
    pub fn at(self: &Arc<Self>, version: Version) -> View {
        let published = self.published();
        self.view(version.min(published), None)
    }

    /// All zones as they stood at `time`: each shows the last of its versions that took effect by then ([`Writer::begin`]
    /// is told when), so that a history taken in later stands at its own times. Finding that version is one search, in
    /// the logarithm of the zone's versions, in the place of the one that finds a version's; no index beside the zones'
    /// own list of versions is kept. Whether a later event can still take effect by `time` only the caller knows.
    pub fn at_time(self: &Arc<Self>, time: Timestamp) -> View {
        let published = self.published();
        self.view(published, Some(time))
    }

    /// The moment of an earlier view ([`View::version`], [`View::time`]), looked into anew: what was sealed since lies in its
    /// file, and no view keeps what was in memory before.
    pub fn again(self: &Arc<Self>, (version, time): (Version, Option<Timestamp>)) -> View {
        let published = self.published();
        self.view(version.min(published), time)
    }

    /// Called with what was published before: what is looked into shows at least that much.
    fn view(&self, version: Version, time: Option<Timestamp>) -> View {
        View::new(self.zones.load_full(), version, time)
    }

    /// Waits until `version` is published.
    pub async fn reached(&self, version: Version) {
        // The sender lives in this store, so the wait cannot be cut off.
        let _ = self.reached.subscribe().wait_for(|published| *published >= version).await;
    }

    fn publish(&self, version: Version) {
        self.published.store(version.0, Ordering::Release);
        self.reached.send_replace(version);
    }
}

impl Zones {
    fn new() -> Self {
        Self {
            index: Index::new(),
            zones: Segments::new(),
            order: ArcSwap::default(),
            apexes_at: zone::Depths::default(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    fn hash(&self, apex: &[u8]) -> u32 {
        zone::hash(&self.hasher, apex)
    }

    fn get(&self, number: u32) -> Option<&Zone> {
        self.zones.get(number)?.get().map(|zone| &**zone)
    }

    /// The zone whose apex has the wire form `apex`, alive or not.
    fn find(&self, apex: &[u8]) -> Option<(u32, &Zone)> {
        let mut found = None;
        let number = self.index.find(self.hash(apex), |number| {
            found = self.get(number).filter(|zone| zone.apex.as_wire() == apex);
            found.is_some()
        })?;
        Some((number, found?))
    }

    /// Makes place for a zone. For the writer only; `number` rises by one each time.
    fn add(&self, number: u32, apex: Name, sealed: Option<sealed::SealedZone>) {
        let hash = self.hash(apex.as_wire());
        let depth = apex.label_count();
        // The place is empty: the writer never gives a number twice.
        let _ = self.zones.place(number).set(Box::new(Zone::new(number, apex, sealed)));
        self.apexes_at.add(depth);
        self.index.add(hash, number);
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_schemas::{Rdata, RecordSet, RecordType, Serial, SetKey, Ttl};

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn a(last: u8) -> RecordSet {
        let ttl = Ttl::from_secs(300).expect("a TTL");
        RecordSet::new(ttl, vec![Rdata::from_stored(&[192, 0, 2, last])]).expect("a set")
    }

    const A: SetKey = SetKey::of(RecordType::A);

    #[test]
    fn every_version_stays_readable_and_nothing_shows_before_it_is_published() {
        let (store, mut writer) = Store::new();
        let (zone, owner) = (name("example."), name("www.example."));
        for version in 1..=500u64 {
            writer.begin(Version(version), Timestamp(version as i64));
            writer.create_zone(&zone);
            writer.serial(&zone, Serial(version as u32));
            // Every third event takes the set away.
            writer.set(&zone, &owner, A, (version % 3 != 0).then(|| a((version % 250) as u8)).as_ref());
            assert_eq!(store.published(), Version(version - 1));
            writer.publish();
        }
        for version in 1..=500u64 {
            let view = store.at(Version(version));
            let zone = view.zone(&zone).expect("the zone");
            assert_eq!(zone.serial(), Serial(version as u32));
            let found = zone.owner(&owner).and_then(|owner| owner.set(A).map(|set| set.to_record_set()));
            assert_eq!(found, (version % 3 != 0).then(|| a((version % 250) as u8)), "at {version}");
        }
        assert!(store.at(Version(0)).zone(&zone).is_none());
    }

    #[test]
    fn events_that_ended_show_with_the_next_that_is_published_each_at_its_own_version() {
        let (store, mut writer) = Store::new();
        let zone = name("example.");
        let host = |version: u64| name(&format!("host{version}.example."));
        for version in 1..=300u64 {
            writer.begin(Version(version), Timestamp(version as i64));
            writer.set(&zone, &host(version), A, Some(&a(1)));
            writer.set(&zone, &host(version - 1), A, None);
            writer.serial(&zone, Serial(version as u32));
            writer.commit();
            // What ended is not taken in again.
            writer.set(&zone, &name("late.example."), A, Some(&a(9)));
            if version % 7 == 0 {
                writer.publish();
            }
            assert_eq!(store.published(), Version(version / 7 * 7));
            assert!(store.now().zone(&zone).is_none_or(|zone| zone.serial().0 == version as u32 / 7 * 7));
        }
        writer.publish();
        for version in 1..=300 {
            for view in [store.at(Version(version)), store.at_time(Timestamp(version as i64))] {
                let zone = view.zone(&zone).expect("the zone");
                assert_eq!(zone.serial(), Serial(version as u32));
                assert_eq!(zone.owners().map(|owner| owner.name()).collect::<Vec<_>>(), [host(version)]);
            }
        }
    }

    #[test]
    fn owners_that_change_otherwise_than_was_expected_get_what_is_theirs() {
        let (store, mut writer) = Store::new();
        let zones = [name("example."), name("sub.example."), name("other.")];
        let owners: Vec<(&Name, Name)> =
            zones.iter().flat_map(|zone| (0..8u8).map(move |host| (zone, name(&format!("h{host}.{zone}"))))).collect();
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        let mut any = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            &owners[(random >> 33) as usize % owners.len()]
        };
        let mut held = std::collections::HashMap::new();
        for version in 1..=2_000u64 {
            let told: Vec<_> =
                (0..version % 11).map(|_| any()).map(|(zone, owner)| ((*zone).into(), owner.into())).collect();
            writer.expect(&told);
            writer.begin(Version(version), Timestamp(version as i64));
            for change in 0..3u8 {
                let (zone, owner) = any();
                let last = (version as u8).wrapping_mul(3).wrapping_add(change);
                writer.set(zone, owner, A, Some(&a(last)));
                held.insert((*zone, owner), a(last));
            }
            writer.publish();
        }
        let view = store.now();
        for ((zone, owner), set) in held {
            let found = view.zone(zone).and_then(|zone| zone.owner(owner)?.set(A).map(|set| set.to_record_set()));
            assert_eq!(found, Some(set), "{owner} in {zone}");
        }
    }

    #[test]
    fn an_owner_stands_once_in_the_order_of_nsec3_whatever_comes_below_it() {
        let (store, mut writer) = Store::new();
        let (apex, owner) = (name("example."), name("b.example."));
        for version in 1..=9u64 {
            writer.begin(Version(version), Timestamp(0));
            let child = (version % 3 != 0).then(|| a(version as u8));
            writer.set(&apex, &owner, SetKey::of(RecordType::NSEC3), Some(&a(version as u8)));
            writer.set(&apex, &name("a.b.example."), A, child.as_ref());
            writer.publish();
        }
        let zones = store.zones.load();
        let order = zones.get(0).expect("the zone").nsec3.load_full();
        assert_eq!(order.iter_from(&mut |_| std::cmp::Ordering::Greater).count(), 1);
    }

    #[test]
    fn a_zone_made_again_starts_empty_and_remembers_its_serial() {
        let (store, mut writer) = Store::new();
        let (zone, owner) = (name("example."), name("a.b.example."));
        writer.begin(Version(1), Timestamp(10));
        writer.create_zone(&zone);
        writer.serial(&zone, Serial(7));
        writer.set(&zone, &owner, A, Some(&a(1)));
        writer.publish();
        writer.begin(Version(2), Timestamp(20));
        writer.delete_zone(&zone);
        writer.set(&zone, &owner, A, None);
        writer.publish();
        assert!(store.now().zone(&zone).is_none());
        assert_eq!(store.now().last_serial(&zone), Some(Serial(7)));
        writer.begin(Version(3), Timestamp(30));
        writer.create_zone(&zone);
        writer.set(&zone, &name("c.example."), A, Some(&a(2)));
        writer.publish();
        let view = store.now();
        let now = view.zone(&zone).expect("the zone");
        assert_eq!((now.since(), now.created_at(), now.record_count()), (Version(3), Timestamp(30), 1));
        let names: Vec<Name> = now.owners().map(|owner| owner.name()).collect();
        assert_eq!(names, [name("c.example.")]);
        assert_eq!(store.at(Version(1)).zone(&zone).map(|zone| zone.owners().count()), Some(1));
        assert!(view.changed_since(&zone, &owner, A, Version(1)));
        assert!(!view.changed_since(&zone, &owner, A, Version(3)));
    }

    #[test]
    fn at_a_time_each_zone_shows_its_own_version() {
        let (store, mut writer) = Store::new();
        let (live, taken_in, owner) = (name("live."), name("old."), name("www.old."));
        let mut event = |version, time, zone: &Name, owner: &Name, last: Option<u8>| {
            writer.begin(Version(version), Timestamp(time));
            writer.create_zone(zone);
            writer.serial(zone, Serial(version as u32));
            writer.set(zone, owner, A, last.map(a).as_ref());
            if last.is_none() {
                writer.delete_zone(zone);
            }
            writer.publish();
        };
        event(1, 1_000, &live, &name("www.live."), Some(1));
        // A history that is older than what stands in the ledger before it.
        event(2, 10, &taken_in, &owner, Some(2));
        event(3, 20, &taken_in, &owner, Some(3));
        event(4, 30, &taken_in, &owner, None);
        event(5, 40, &taken_in, &owner, Some(5));
        let shown = |time| {
            let view = store.at_time(Timestamp(time));
            let zone = view.zone(&taken_in)?;
            let set = zone.owner(&owner)?.set(A)?.to_record_set();
            Some((zone.version().0, zone.serial().0, set))
        };
        for (time, version) in [
            (9, None),
            (10, Some(2)),
            (19, Some(2)),
            (20, Some(3)),
            (30, None),
            (39, None),
            (40, Some(5)),
            (5_000, Some(5)),
        ] {
            assert_eq!(shown(time), version.map(|version| (version, version as u32, a(version as u8))), "at {time}");
        }
        assert_eq!(store.at_time(Timestamp(30)).last_change(&taken_in), Some(Version(4)));
        let then = store.at_time(Timestamp(50));
        assert!(then.zone(&live).is_none());
        assert_eq!(then.zones().count(), 1);
        // A view does not change while it is held, whatever takes effect at or before its time later on.
        event(6, 45, &taken_in, &owner, Some(6));
        assert_eq!(then.zone(&taken_in).map(|zone| zone.version()), Some(Version(5)));
        assert_eq!(shown(50).map(|(version, ..)| version), Some(6));
    }

    #[test]
    fn a_moment_is_looked_into_anew_where_another_writer_took_over() {
        let (zone, owner) = (name("example."), name("www.example."));
        let write = |writer: &mut Writer, versions: std::ops::RangeInclusive<u64>| {
            for version in versions {
                writer.begin(Version(version), Timestamp(version as i64 * 10));
                writer.set(&zone, &owner, A, Some(&a(version as u8)));
                writer.publish();
            }
        };
        let (store, mut old) = Store::new();
        write(&mut old, 1..=5);
        let moments = [store.at(Version(2)), store.at_time(Timestamp(35))].map(|view| (view.version(), view.time()));
        let (_, mut next) = Store::new();
        write(&mut next, 1..=5);
        next.take_over(&store);
        write(&mut next, 6..=9);
        let views = moments.map(|moment| store.again(moment));
        let shown = views.each_ref().map(|view| {
            let owner = view.zone(&zone).and_then(|zone| zone.owner(&owner));
            owner.and_then(|owner| owner.set(A).map(|set| set.to_record_set()))
        });
        assert_eq!(shown, [Some(a(2)), Some(a(3))]);
        assert_eq!(views.map(|view| view.version()), [Version(2), Version(5)]);
        assert_eq!(old.viewers(), 0, "nobody keeps what was written before");
    }

    #[test]
    fn last_changes_are_exact_for_sets_that_are_gone() {
        let (store, mut writer) = Store::new();
        let (zone, owner) = (name("example."), name("www.example."));
        for (version, set) in [(1, Some(a(1))), (2, None), (3, None)] {
            writer.begin(Version(version), Timestamp(0));
            writer.set(&zone, &owner, A, set.as_ref());
            writer.set(&zone, &name("below.www.example."), A, Some(&a(version as u8)));
            writer.publish();
        }
        let view = store.now();
        let seen = view.zone(&zone).expect("the zone");
        assert!(seen.set_changed_since(&owner, A, Version(1)));
        assert!(!seen.set_changed_since(&owner, A, Version(2)));
        assert_eq!(seen.name_changed(&owner), Some(Version(2)));
        assert_eq!(seen.subtree_changed(&owner), Some(Version(3)));
        assert_eq!(seen.name_changed(&name("never.example.")), None);
    }

    #[test]
    fn the_longest_zone_is_found_and_a_new_one_hides_names_only_from_its_version_on() {
        let (store, mut writer) = Store::new();
        writer.begin(Version(1), Timestamp(0));
        writer.create_zone(&Name::root());
        writer.create_zone(&name("example."));
        writer.publish();
        writer.begin(Version(2), Timestamp(0));
        writer.create_zone(&name("b.example."));
        writer.publish();
        let apex =
            |version, asked: &str| store.at(Version(version)).zone_of(&name(asked)).map(|zone| zone.apex().to_string());
        assert_eq!(apex(1, "a.b.example.").as_deref(), Some("example."));
        assert_eq!(apex(2, "a.b.example.").as_deref(), Some("b.example."));
        assert_eq!(apex(2, "org.").as_deref(), Some("."));
        assert_eq!(apex(0, "org."), None);
        assert_eq!(store.now().zones().count(), 3);
    }

    #[test]
    fn owners_come_in_canonical_order_and_by_subtree() {
        let (store, mut writer) = Store::new();
        let zone = name("example.");
        writer.begin(Version(1), Timestamp(0));
        let sorted =
            ["a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.", "*.z.example."];
        for owner in [3, 0, 5, 2, 1, 4] {
            writer.set(&zone, &name(sorted[owner]), A, Some(&a(1)));
        }
        writer.publish();
        let view = store.now();
        let seen = view.zone(&zone).expect("the zone");
        let names = |owners: Vec<OwnerView<'_>>| owners.iter().map(OwnerView::name).collect::<Vec<_>>();
        assert_eq!(names(seen.owners().collect()), sorted.map(name));
        assert_eq!(names(seen.owners_under(&name("a.example.")).collect()), sorted.map(name)[..4]);
        assert_eq!(names(seen.owners_from(&name("z.a.example.")).collect()), sorted.map(name)[2..]);
    }
}
