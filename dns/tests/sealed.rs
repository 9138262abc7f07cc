//! A store that goes on from sealed states shows at every version what one shows that never was sealed: random
//! histories, sealed at random versions again and again, while readers hold on to what they look at.

use std::{path::Path, sync::Arc};

use conn3ction_dns::{
    Store, Transport, Version, View, Writer, answer,
    store::{SealError, Sealed},
};
use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, Serial, SetKey, Timestamp, Ttl};
use proptest::prelude::*;

const ZONES: [&str; 4] = ["example.", "sub.example.", ".", "other."];
const OWNERS: [&str; 12] = [
    "",
    "a.",
    "b.a.",
    "c.b.a.",
    "*.a.",
    "*.",
    "cut.",
    "below.cut.",
    "d.",
    "e.d.",
    "sub.",
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.",
];
const TYPES: [(&str, &[&str]); 7] = [
    ("A", &["192.0.2.1", "192.0.2.2"]),
    ("TXT", &["\"x\"", "\"a longer text than that\""]),
    ("CNAME", &["a.example.", "b.a.example."]),
    ("NS", &["below.cut.example.", "ns.other."]),
    ("DNAME", &["a.example.", "other."]),
    ("NSEC", &["b.a.example. A NSEC", "d.example. TXT"]),
    ("NSEC3", &["1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A", "1 0 0 - 1P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM TXT"]),
];

/// One event: what it does to which zone.
#[derive(Debug, Clone)]
enum Event {
    Create(usize),
    Delete(usize),
    /// Zone, owner, type and the value that is there after.
    Set(Vec<(usize, usize, usize, Option<usize>)>),
}

fn event() -> impl Strategy<Value = Event> {
    let set = (0..ZONES.len(), 0..OWNERS.len(), 0..TYPES.len(), prop::option::weighted(0.7, 0..2usize));
    prop_oneof![
        2 => (0..ZONES.len()).prop_map(Event::Create),
        1 => (0..ZONES.len()).prop_map(Event::Delete),
        12 => prop::collection::vec(set, 1..5).prop_map(Event::Set),
    ]
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// `below` in zone `zone`.
fn in_zone(below: &str, zone: usize) -> Name {
    name(&format!("{below}{}", if ZONES[zone] == "." && !below.is_empty() { "" } else { ZONES[zone] }))
}

fn set(rtype: usize, value: usize) -> (SetKey, RecordSet) {
    let (text, values) = TYPES[rtype];
    (SetKey::of(text.parse().expect("a type")), records(text, 60 + value as u32, values[value]))
}

fn records(rtype: &str, ttl: u32, value: &str) -> RecordSet {
    let rdata = Rdata::parse(rtype.parse().expect("a type"), value, None).expect("rdata");
    RecordSet::new(Ttl::from_secs(ttl).expect("a TTL"), vec![rdata]).expect("a set")
}

fn apply(writer: &mut Writer, version: u64, event: &Event) {
    writer.begin(Version(version), Timestamp(version as i64 * 10));
    match event {
        Event::Create(zone) => {
            let zone = name(ZONES[*zone]);
            writer.create_zone(&zone);
            writer.set(&zone, &zone, SetKey::of(RecordType::SOA), Some(&records("SOA", 60, ". . 1 2 3 4 5")));
            writer.serial(&zone, Serial(version as u32));
        }
        Event::Delete(zone) => writer.delete_zone(&name(ZONES[*zone])),
        Event::Set(changes) => {
            for (zone, owner, rtype, value) in changes {
                let (key, records) = set(*rtype, value.unwrap_or_default());
                let apex = name(ZONES[*zone]);
                writer.set(&apex, &in_zone(OWNERS[*owner], *zone), key, value.map(|_| &records));
                writer.serial(&apex, Serial(version as u32));
            }
        }
    }
    writer.publish();
}

/// Everything that a view tells, as text and as replies.
fn told(view: &View) -> Vec<String> {
    let mut told = Vec::new();
    for zone in view.zones() {
        told.push(format!("{} {:?} {:?}", zone.apex(), zone.serial(), zone.since()));
        told.push(format!("{:?} {:?} {:?}", zone.created_at(), zone.last_change(), zone.changed_at()));
        told.push(format!("{} {}", zone.record_count(), zone.set_count()));
        for owner in zone.owners() {
            let sets: Vec<_> = owner.sets().map(|set| (set.key(), set.since(), set.to_record_set())).collect();
            told.push(format!("{} {:?} {} {sets:?}", owner.name(), owner.changed(), owner.is_cut()));
        }
    }
    for (zone, apex) in ZONES.iter().enumerate() {
        let apex = name(apex);
        told.push(format!("{:?} {:?}", view.last_serial(&apex), view.last_change(&apex)));
        told.push(format!("{:?}", reply(view, &in_zone("nothing.there.", zone), RecordType::A)));
        for below in OWNERS {
            let owner = in_zone(below, zone);
            if let Some(zone) = view.zone(&apex) {
                told.push(format!("{owner} {:?} {:?}", zone.name_changed(&owner), zone.subtree_changed(&owner)));
            }
            for (rtype, _) in TYPES {
                let key = SetKey::of(rtype.parse().expect("a type"));
                let since = (0..view.version().0).rev().step_by(5);
                let since = since.map(|since| view.changed_since(&apex, &owner, key, Version(since)));
                told.push(format!("{owner} {rtype} {:?}", since.collect::<Vec<_>>()));
                told.push(format!("{:?}", reply(view, &owner, key.rtype)));
            }
        }
    }
    told
}

/// The reply to a question with DO set.
fn reply(view: &View, name: &Name, rtype: RecordType) -> Option<Vec<u8>> {
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&rtype.0.to_be_bytes());
    query.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    let mut out = vec![0; 65_535];
    answer(view, &query, Transport::Tcp, &mut out).map(|len| out[..len].to_vec())
}

fn sealed(store: &Store, version: Version, path: &Path) -> Arc<Sealed> {
    store.seal(version, path, |out| out.write_all(b"what the caller knows")).expect("a file");
    let sealed = Sealed::open(path).expect("sealed states");
    assert_eq!((sealed.version(), sealed.attachment()), (version, &b"what the caller knows"[..]));
    sealed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_store_that_goes_on_from_sealed_states_shows_what_one_shows_that_was_not_sealed(
        events in prop::collection::vec(event(), 1..30),
        seals in prop::collection::vec(0.0..1.0f64, 1..4),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("answers.sealed");
        let (plain, mut writer) = Store::new();
        for (version, event) in (1..).zip(&events) {
            apply(&mut writer, version, event);
        }
        let (live, mut writer) = Store::new();
        let mut seals: Vec<_> = seals.iter().map(|part| (part * events.len() as f64) as u64).collect();
        seals.sort_unstable();
        let mut held = Vec::new();
        for (version, event) in (1..).zip(&events) {
            apply(&mut writer, version, event);
            for seal in seals.iter().filter(|seal| **seal == version) {
                // Sealed up to an older version than the writer has: what came after is written again.
                let upto = seal - seal % 3;
                held.push((live.now(), told(&live.now())));
                let (aside, mut next) = Store::open(&sealed(&live, Version(upto), &path));
                for (again, event) in (1..=version).zip(&events).skip(upto as usize) {
                    apply(&mut next, again, event);
                }
                prop_assert_eq!(aside.published(), Version(version));
                next.take_over(&live);
                writer = next;
            }
        }
        for version in (0..=events.len() as u64).rev().step_by(3) {
            prop_assert_eq!(told(&live.at(Version(version))), told(&plain.at(Version(version))), "at {}", version);
            let time = Timestamp(version as i64 * 10 + 5);
            prop_assert_eq!(told(&live.at_time(time)), told(&plain.at_time(time)), "at {} by time", version);
        }
        for (view, then) in held {
            prop_assert_eq!(told(&view), then, "a view that was held while its store was replaced");
        }
    }
}

#[test]
fn whatever_octet_is_changed_the_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("answers.sealed");
    let (store, mut writer) = Store::new();
    apply(&mut writer, 1, &Event::Create(0));
    apply(&mut writer, 2, &Event::Set(vec![(0, 1, 0, Some(1)), (0, 4, 1, Some(0))]));
    sealed(&store, Version(2), &path);
    let whole = std::fs::read(&path).expect("a file");
    for at in 0..whole.len() {
        // A new file each time: one that is mapped must never change.
        let changed = directory.path().join(format!("{at}"));
        let mut octets = whole.clone();
        octets[at] ^= 1 << (at % 8);
        std::fs::write(&changed, &octets).expect("a file");
        assert!(matches!(Sealed::open(&changed), Err(SealError::Damaged(_))), "octet {at}");
        let cut = directory.path().join(format!("{at}-short"));
        std::fs::write(&cut, &whole[..at]).expect("a file");
        assert!(Sealed::open(&cut).is_err(), "cut at {at}");
    }
}
