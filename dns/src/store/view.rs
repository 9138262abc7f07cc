//! What readers see: the store at one version.

use std::{borrow::Cow, cmp::Ordering, fmt, ops::ControlFlow, sync::Arc};

use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, Serial, SetKey, Timestamp, Ttl};

use super::{
    Version, Zones, labels,
    node::{Facts, State, StoredSet},
    order,
    ticks::Near,
    zone::{Held, Life, Tick, Zone},
};

/// All zones as they stood right after one version, or at one point in time. It does not change while it is held.
#[derive(Clone)]
pub struct View {
    pub(super) zones: Arc<Zones>,
    version: Version,
    /// If set, each zone shows the last of its versions that took effect by then.
    time: Option<Timestamp>,
    /// A zone whose version at that time was found already.
    settled: Option<(u32, Version)>,
}

/// A zone that lives in its view's version.
#[derive(Clone, Copy)]
pub struct ZoneView<'v> {
    zone: &'v Zone,
    version: Version,
    life: Life,
}

/// An owner that has record sets in its view's version.
#[derive(Debug)]
pub struct OwnerView<'v> {
    zone: ZoneView<'v>,
    held: Held<'v>,
}

/// One record set of an owner.
#[derive(Clone, Copy)]
pub struct SetView<'a> {
    stored: StoredSet<'a>,
    /// The serial that this set shows if it is the apex's SOA.
    serial: Option<Serial>,
}

impl View {
    pub(super) fn new(zones: Arc<Zones>, version: Version, time: Option<Timestamp>) -> Self {
        Self { zones, version, time, settled: None }
    }

    /// The version that this view shows; of a view at a point in time the one that no zone goes beyond, for there each
    /// zone has its own ([`ZoneView::last_change`]).
    pub fn version(&self) -> Version {
        self.version
    }

    /// What this view's store showed right after `version`, if that is not later than this view.
    #[must_use]
    pub fn back_to(&self, version: Version) -> View {
        Self { zones: self.zones.clone(), version: version.min(self.version), time: None, settled: None }
    }

    /// The point in time that was asked for, if it was one.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The living zones in canonical order of their apexes.
    pub fn zones(&self) -> impl Iterator<Item = ZoneView<'_>> {
        let order = self.zones.order.load_full();
        let numbers = order.iter_from(&mut |_| std::cmp::Ordering::Greater);
        numbers.filter_map(|number| self.living(self.zones.get(number)?))
    }

    /// The zone with exactly this apex.
    pub fn zone(&self, apex: &Name) -> Option<ZoneView<'_>> {
        self.zone_by_wire(apex.as_wire())
    }

    /// The zone with the longest apex that `name` is at or below.
    pub fn zone_of(&self, name: &Name) -> Option<ZoneView<'_>> {
        self.zone_of_wire(name.as_wire())
    }

    /// This view, and the version that the zone that speaks for `name` (lower case, wire form) shows in it: in a view at a
    /// point in time that is searched for here once, and not again for each look into that zone.
    pub(crate) fn settled_at(mut self, name: &[u8], qtype: RecordType) -> (Self, Option<Version>) {
        let found = self.zone_that_speaks(name, qtype).map(|zone| (zone.zone.number, zone.version));
        self.settled = found;
        (self, found.map(|(_, version)| version))
    }

    pub(crate) fn zone_by_wire(&self, apex: &[u8]) -> Option<ZoneView<'_>> {
        self.living(self.zones.find(apex)?.1)
    }

    /// [`View::zone_of`] for the lower-case wire form of a name.
    pub(crate) fn zone_of_wire(&self, name: &[u8]) -> Option<ZoneView<'_>> {
        let mut depth = labels::count(&name[..name.len() - 1]);
        let mut suffix = name;
        loop {
            if self.zones.apexes_at.has(depth)
                && let Some(zone) = self.zone_by_wire(suffix)
            {
                return Some(zone);
            }
            depth = depth.checked_sub(1)?;
            suffix = labels::parent(suffix)?;
        }
    }

    /// The zone that speaks for `name`: the longest; for DS at its apex the one above, if that is ours too (RFC 4035
    /// section 3.1.4.1).
    pub(crate) fn zone_that_speaks(&self, name: &[u8], qtype: RecordType) -> Option<ZoneView<'_>> {
        let zone = self.zone_of_wire(name)?;
        if qtype == RecordType::DS && name.len() == zone.apex().as_wire().len() && name.len() > 1 {
            return self.zone_of_wire(&name[1 + name[0] as usize..]).or(Some(zone));
        }
        Some(zone)
    }

    /// The longest apex that `name` (lower case, wire form) is at or below, be its zone living or not.
    pub(super) fn nearest_apex(&self, name: &[u8]) -> Option<&Zone> {
        let mut depth = labels::count(&name[..name.len() - 1]);
        let mut suffix = name;
        loop {
            if self.zones.apexes_at.has(depth)
                && let Some((_, zone)) = self.zones.find(suffix)
            {
                return Some(zone);
            }
            depth = depth.checked_sub(1)?;
            suffix = labels::parent(suffix)?;
        }
    }

    /// Whether a living zone's apex is below `name`, given in lower-case wire form.
    pub(crate) fn has_zone_below(&self, name: &[u8]) -> bool {
        // Apexes below a name follow it in canonical order without a gap; dead ones among them are stepped over.
        fn rootless(name: &[u8]) -> &[u8] {
            &name[..name.len() - 1]
        }
        let (zones, name) = (&*self.zones, rootless(name));
        let compare = &mut |number| match zones.get(number) {
            Some(zone) => labels::compare(rootless(zone.apex.as_wire()), name),
            None => Ordering::Less,
        };
        let from_name = zones.order.load_full().iter_from(compare).map_while(|number| zones.get(number));
        from_name
            .take_while(|zone| labels::is_at_or_below(rootless(zone.apex.as_wire()), name))
            .any(|zone| self.living(zone).is_some())
    }

    /// The last serial of a zone, be it living or deleted.
    pub fn last_serial(&self, apex: &Name) -> Option<Serial> {
        let (_, zone) = self.zones.find(apex.as_wire())?;
        zone.ticks.serial(self.last_touch(zone)?)
    }

    /// The version in which the zone was last changed, created or deleted; `None` if it never was.
    pub fn last_change(&self, apex: &Name) -> Option<Version> {
        let (_, zone) = self.zones.find(apex.as_wire())?;
        self.last_touch(zone)
    }

    /// Whether set `key` of `owner` in zone `apex` changed after `since`, removals and the zone's own comings and goings
    /// included.
    pub fn changed_since(&self, apex: &Name, owner: &Name, key: SetKey, since: Version) -> bool {
        let Some((_, zone)) = self.zones.find(apex.as_wire()) else { return false };
        let Some(last) = self.last_touch(zone) else { return false };
        if zone.lives.at(last).is_some_and(|(changed, _)| changed > since) {
            return true;
        }
        match self.living(zone) {
            Some(zone) => zone.set_changed_since(owner, key, since),
            None => false,
        }
    }

    pub(super) fn living<'v>(&self, zone: &'v Zone) -> Option<ZoneView<'v>> {
        let version = match (self.time, self.settled) {
            (None, _) => self.version,
            (Some(_), Some((number, version))) if number == zone.number => version,
            (Some(time), _) => zone.ticks.at_time(self.version, time)?,
        };
        ZoneView::of(zone, version)
    }

    /// As [`View::living`], in a view at a point in time near which `zone` has that row.
    pub(super) fn living_near<'v>(&self, zone: &'v Zone, near: Option<Near>) -> Option<ZoneView<'v>> {
        match self.time {
            None => self.living(zone),
            Some(time) => ZoneView::of(zone, zone.ticks.at_near(self.version, time, near)?),
        }
    }

    /// The last version that touched `zone` up to the moment of this view. Times rise per zone, as versions do.
    pub(super) fn last_touch(&self, zone: &Zone) -> Option<Version> {
        match self.time {
            None => zone.ticks.version_at(self.version),
            Some(time) => zone.ticks.at_time(self.version, time),
        }
    }
}

impl<'v> ZoneView<'v> {
    /// The zone's name.
    pub fn apex(&self) -> &'v Name {
        &self.zone.apex
    }

    /// The version that this view shows.
    pub fn version(&self) -> Version {
        self.version
    }

    fn of(zone: &'v Zone, version: Version) -> Option<Self> {
        let life = zone.lives.at(version)?.1?;
        Some(Self { zone, version, life })
    }

    pub(super) fn zone(&self) -> &'v Zone {
        self.zone
    }

    /// The labels below the apex of `name`, which is in this zone, in wire form.
    pub(super) fn labels_of<'n>(&self, name: &'n [u8]) -> &'n [u8] {
        &name[..name.len() - self.zone.apex.as_wire().len()]
    }

    /// What the last version that touched the zone left. Most answers do not need it: it is a search, and a sum over part of
    /// what came before.
    fn tick(&self) -> Tick {
        self.zone.ticks.at(self.version).map(|(_, tick)| tick).unwrap_or_default()
    }

    /// The serial that the SOA shows.
    pub fn serial(&self) -> Serial {
        self.set_serial().or_else(|| self.soa_serial()).unwrap_or(Serial(0))
    }

    fn soa_serial(&self) -> Option<Serial> {
        let apex = self.find(&[])?;
        let soa = apex.state().set(SetKey::of(RecordType::SOA))?;
        let (_, rdata) = soa.split().next()?;
        serial_of(rdata)
    }

    /// The serial to show instead of the one in the stored SOA.
    pub(crate) fn set_serial(&self) -> Option<Serial> {
        self.zone.ticks.serial(self.version)
    }

    /// The version in which the zone was created (again).
    pub fn since(&self) -> Version {
        self.life.since
    }

    /// When the zone was created (again).
    pub fn created_at(&self) -> Timestamp {
        self.life.created_at
    }

    /// The last version that changed anything in the zone.
    pub fn last_change(&self) -> Version {
        self.zone.ticks.version_at(self.version).unwrap_or_default()
    }

    /// When that version took effect.
    pub fn changed_at(&self) -> Timestamp {
        self.tick().time
    }

    /// The number of records.
    pub fn record_count(&self) -> u64 {
        self.tick().records.into()
    }

    /// The number of record sets.
    pub fn set_count(&self) -> u64 {
        self.tick().sets.into()
    }

    /// `name` if it has record sets here.
    pub fn owner(&self, name: &Name) -> Option<OwnerView<'v>> {
        self.owner_view(self.find(self.below_apex(name)?)?)
    }

    /// The owners of record sets in canonical order, from the apex on.
    pub fn owners(&self) -> impl Iterator<Item = OwnerView<'v>> + use<'v> {
        self.owners_after(&[])
    }

    /// The owners at or after `name` in canonical order.
    pub fn owners_from(&self, name: &Name) -> impl Iterator<Item = OwnerView<'v>> + use<'v> {
        let before_all = *name < self.zone.apex;
        let below = self.below_apex(name);
        let after_all = below.is_none() && !before_all;
        self.owners_after(below.unwrap_or_default()).filter(move |_| !after_all)
    }

    /// `name` and the owners below it, in canonical order.
    pub fn owners_under(&self, name: &Name) -> impl Iterator<Item = OwnerView<'v>> + use<'v> {
        let top = self.below_apex(name).map(<[u8]>::to_vec);
        let from = self.owners_after(top.as_deref().unwrap_or_default());
        from.take_while(move |owner| {
            top.as_ref().is_some_and(|top| labels::is_at_or_below(owner.held.state().owner(), top))
        })
    }

    /// The last version that changed a record set at `name`, removals included; `None` if there never was one in the
    /// zone's present life.
    pub fn name_changed(&self, name: &Name) -> Option<Version> {
        let found = self.find_any(self.below_apex(name)?)?;
        let changed = found.state().changed;
        (changed > Version(0)).then_some(changed)
    }

    /// The last version that changed a record set at or below `name`, removals included.
    pub fn subtree_changed(&self, name: &Name) -> Option<Version> {
        let top = self.below_apex(name)?;
        let mut last = None;
        let _ = self.states_after(top).try_for_each(|held| {
            let state = held.state();
            if !labels::is_at_or_below(state.owner(), top) {
                return ControlFlow::Break(());
            }
            last = last.max(Some(state.changed).filter(|changed| *changed > Version(0)));
            ControlFlow::Continue(())
        });
        last
    }

    /// Whether set `key` of `owner` changed after `since` within the zone's present life, removals included.
    pub fn set_changed_since(&self, owner: &Name, key: SetKey, since: Version) -> bool {
        let Some(owner) = self.below_apex(owner) else { return false };
        let Some(found) = self.find_any(owner) else { return false };
        if let Some(set) = found.state().set(key) {
            return set.since > since;
        }
        // The set is gone now: it changed if any state after `since`, or the one that held then, still had it.
        let mut held = found;
        while held.state().since > since {
            let Some(before) = self.before(owner, held.state().since) else { return false };
            if before.state().set(key).is_some() {
                return true;
            }
            held = before;
        }
        false
    }

    /// The state of an owner before the one that holds since `since`, in this life.
    fn before(&self, owner: &[u8], since: Version) -> Option<Held<'v>> {
        let (number, newest) = self.zone.find(owner)?;
        let before = self.zone.at(number, newest, Version(since.0.checked_sub(1)?))?;
        (before.state().since >= self.life.since).then_some(before)
    }

    /// The labels of `name` below the apex; `None` if it is not in this zone.
    fn below_apex<'n>(&self, name: &'n Name) -> Option<&'n [u8]> {
        let below = name.as_wire().len().checked_sub(self.zone.apex.as_wire().len())?;
        name.is_at_or_below(&self.zone.apex).then(|| &name.as_wire()[..below])
    }

    /// The state of the owner with these labels below the apex, if the name exists or is an empty non-terminal.
    pub(crate) fn find(&self, owner: &[u8]) -> Option<Held<'v>> {
        self.find_any(owner).filter(|held| held.state().has_sets() || held.state().facts.exists())
    }

    /// The state of an owner that exists or once existed in this life.
    fn find_any(&self, owner: &[u8]) -> Option<Held<'v>> {
        let (number, newest) = self.zone.find(owner)?;
        self.held(number, newest)
    }

    fn held(&self, number: u32, newest: Held<'v>) -> Option<Held<'v>> {
        self.zone.at(number, newest, self.version).filter(|held| held.state().since >= self.life.since)
    }

    /// Since when the state of name `number` holds, if it is of this life.
    pub(super) fn state_since(&self, number: u32) -> Option<Version> {
        Some(self.held(number, self.zone.newest(number)?)?.state().since)
    }

    /// The owner that is name `number`, if it has record sets here.
    pub(super) fn numbered(&self, number: u32) -> Option<OwnerView<'v>> {
        self.owner_view(self.held(number, self.zone.newest(number)?)?)
    }

    /// Whether a name ever stood `depth` labels below the apex.
    pub(crate) fn names_at(&self, depth: usize) -> bool {
        self.zone.names_at.has(depth)
    }

    /// Whether a cut or DNAME ever stood `depth` labels below the apex.
    pub(crate) fn redirects_at(&self, depth: usize) -> bool {
        self.zone.cuts_at.has(depth) || self.zone.dnames_at.has(depth)
    }

    /// Whether a cut or DNAME ever stood anywhere.
    pub(crate) fn redirects(&self) -> bool {
        !self.zone.cuts_at.is_empty() || !self.zone.dnames_at.is_empty()
    }

    /// The last owner at or before `owner` in canonical order that `accept` takes. Gives up after 4,096 names.
    pub(crate) fn last_before(&self, owner: &[u8], accept: impl FnMut(State<'_>) -> bool) -> Option<Held<'v>> {
        self.search(&self.zone.order.load(), owner, accept)
    }

    /// As [`ZoneView::last_before`] among the owners of NSEC3 sets.
    pub(crate) fn last_nsec3_before(&self, owner: &[u8], accept: impl FnMut(State<'_>) -> bool) -> Option<Held<'v>> {
        self.search(&self.zone.nsec3.load(), owner, accept)
    }

    fn search(
        &self,
        order: &order::Order,
        owner: &[u8],
        mut accept: impl FnMut(State<'_>) -> bool,
    ) -> Option<Held<'v>> {
        let mut accept = |number| self.held(number, self.zone.newest(number)?).filter(|held| accept(held.state()));
        order.last_before(&mut |other| self.zone.compare(other, owner), &mut accept, &mut 4096)
    }

    fn owners_after(&self, owner: &[u8]) -> impl Iterator<Item = OwnerView<'v>> + use<'v> {
        let zone = *self;
        self.states_after(owner).filter_map(move |held| zone.owner_view(held))
    }

    fn states_after(&self, owner: &[u8]) -> impl Iterator<Item = Held<'v>> + use<'v> {
        let zone = *self;
        let numbers = zone.zone.order.load_full().iter_from(&mut |other| zone.zone.compare(other, owner));
        numbers.filter_map(move |number| zone.held(number, zone.zone.newest(number)?))
    }

    fn owner_view(&self, held: Held<'v>) -> Option<OwnerView<'v>> {
        held.state().has_sets().then_some(OwnerView { zone: *self, held })
    }
}

impl<'v> OwnerView<'v> {
    /// The owner's name.
    pub fn name(&self) -> Name {
        let mut wire = self.held.state().owner().to_vec();
        wire.extend_from_slice(self.zone.zone.apex.as_wire());
        match Name::from_wire(&wire) {
            Ok(name) => name,
            Err(error) => unreachable!("a stored owner came from a name: {error}"),
        }
    }

    /// The record sets in the order of their keys.
    pub fn sets(&self) -> impl Iterator<Item = SetView<'_>> {
        self.held.state().sets().map(|set| self.set_view(set))
    }

    /// One record set.
    pub fn set(&self, key: SetKey) -> Option<SetView<'_>> {
        self.held.state().set(key).map(|set| self.set_view(set))
    }

    /// The last version that changed a record set here, removals included.
    pub fn changed(&self) -> Version {
        self.held.state().changed
    }

    /// Whether a zone cut stands here: NS records below the apex.
    pub fn is_cut(&self) -> bool {
        self.held.state().facts.has(Facts::CUT)
    }

    /// The labels below the apex.
    pub(super) fn labels(&self) -> &[u8] {
        self.held.state().owner()
    }

    pub(super) fn state(&self) -> State<'_> {
        self.held.state()
    }

    /// The state before the one that held from `since` on, in this life of the zone.
    pub(super) fn before(&self, since: Version) -> Option<Held<'v>> {
        self.zone.before(self.labels(), since)
    }

    fn set_view<'a>(&self, stored: StoredSet<'a>) -> SetView<'a> {
        let is_soa = stored.key.rtype == RecordType::SOA && self.held.state().owner().is_empty();
        SetView { stored, serial: if is_soa { self.zone.set_serial() } else { None } }
    }
}

impl<'a> SetView<'a> {
    /// Type and covered type.
    pub fn key(&self) -> SetKey {
        self.stored.key
    }

    /// The TTL of all records of the set.
    pub fn ttl(&self) -> Ttl {
        Ttl::from_secs(self.stored.ttl()).unwrap_or(Ttl::MAX)
    }

    /// The rdata in canonical order; the apex's SOA with the zone's serial.
    pub fn rdata(&self) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a> {
        let serial = self.serial;
        self.stored.split().map(move |(_, rdata)| match serial {
            Some(serial) => Cow::Owned(with_serial(rdata, serial)),
            None => Cow::Borrowed(rdata),
        })
    }

    /// The set as a value.
    pub fn to_record_set(&self) -> RecordSet {
        record_set(self.stored, self.serial)
    }

    /// The version in which this set last changed; the zone's serial does not count.
    pub fn since(&self) -> Version {
        self.stored.since
    }
}

/// A stored set as a value; a SOA with `serial`, if that is given.
pub(super) fn record_set(stored: StoredSet<'_>, serial: Option<Serial>) -> RecordSet {
    let set = SetView { stored, serial };
    let rdata = set.rdata().map(|rdata| Rdata::from_stored(&rdata)).collect();
    match RecordSet::new(set.ttl(), rdata) {
        Ok(set) => set,
        Err(error) => unreachable!("a stored set came from a record set: {error}"),
    }
}

/// The serial stands 20 octets before the end of SOA rdata (RFC 1035 section 3.3.13).
fn serial_of(soa: &[u8]) -> Option<Serial> {
    let at = soa.len().checked_sub(20)?;
    Some(Serial(u32::from_be_bytes(soa[at..at + 4].try_into().ok()?)))
}

pub(super) fn with_serial(soa: &[u8], serial: Serial) -> Vec<u8> {
    let mut soa = soa.to_vec();
    if let Some(at) = soa.len().checked_sub(20) {
        soa[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
    }
    soa
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            None => write!(f, "View({})", self.version),
            Some(time) => write!(f, "View({time} within {})", self.version),
        }
    }
}

impl fmt::Debug for ZoneView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneView({} at {})", self.zone.apex, self.version)
    }
}

impl fmt::Debug for SetView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetView").field("key", &self.key()).field("ttl", &self.ttl()).finish_non_exhaustive()
    }
}
