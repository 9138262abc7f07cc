//! What a change and an answer cost in memory, counted; and that readers see whole events only.
#![expect(unsafe_code, reason = "an allocator that counts can be made in no other way")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use conn3ction_dns::{
    Transport, Writer, answer,
    store::{Store, Version, View},
};
use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, Serial, SetKey, Timestamp, Ttl};

/// Counts what the calling thread allocates.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static OCTETS: Cell<u64> = const { Cell::new(0) };
}

fn count(octets: usize) {
    // A thread that is ending has no counters any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = OCTETS.try_with(|sum| sum.set(sum.get() + octets as u64));
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain cells without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls to the allocator and octets asked of it while `work` ran.
fn counted(work: impl FnOnce()) -> (u64, u64) {
    let before = (CALLS.get(), OCTETS.get());
    work();
    (CALLS.get() - before.0, OCTETS.get() - before.1)
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn set(rtype: RecordType, value: &str) -> RecordSet {
    let rdata = Rdata::parse(rtype, value, None).expect("rdata");
    RecordSet::new(Ttl::from_secs(300).expect("a TTL"), vec![rdata]).expect("a set")
}

/// A zone with `names` hosts.
fn zone_of(names: usize) -> (Arc<Store>, Writer) {
    let (store, mut writer) = Store::new();
    let (apex, address) = (name("example."), set(RecordType::A, "192.0.2.1"));
    writer.begin(Version(1), Timestamp(1));
    writer.set(
        &apex,
        &apex,
        SetKey::of(RecordType::SOA),
        Some(&set(RecordType::SOA, "ns.example. h.example. 1 2 3 4 5")),
    );
    for number in 0..names {
        writer.set(&apex, &name(&format!("host{number:07}.example.")), SetKey::of(RecordType::A), Some(&address));
    }
    writer.publish();
    (store, writer)
}

/// What each of some changes of names that are there costs, the cheapest and the dearest.
fn change_costs(names: usize) -> [(u64, u64); 2] {
    let (store, mut writer) = zone_of(names);
    let (apex, address) = (name("example."), set(RecordType::A, "192.0.2.2"));
    let mut costs: Vec<_> = (0..200)
        .map(|number| {
            let owner = name(&format!("host{:07}.example.", number * names / 200));
            counted(|| {
                writer.begin(Version(2 + number as u64), Timestamp(2));
                writer.set(&apex, &owner, SetKey::of(RecordType::A), Some(&address));
                writer.serial(&apex, Serial(2 + number as u32));
                writer.publish();
            })
        })
        .collect();
    assert_eq!(store.published(), Version(201));
    costs.sort_unstable();
    [costs[0], costs[costs.len() - 1]]
}

/// A build without optimisation takes a minute for a million.
const MANY: usize = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };

#[test]
fn a_change_costs_the_same_in_a_zone_of_a_thousand_names_and_of_very_many() {
    let small = change_costs(1_000);
    let large = change_costs(MANY);
    println!("calls and octets of the cheapest and the dearest change: {small:?}, {large:?}");
    // The dearest is where a list of versions takes a new block, whatever the size of the zone.
    assert_eq!(small, large);
}

fn question(owner: &str, rtype: RecordType, edns: bool) -> Vec<u8> {
    let mut wire = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, edns.into()];
    wire.extend(name(owner).as_wire());
    wire.extend(rtype.0.to_be_bytes());
    wire.extend([0, 1]);
    if edns {
        wire.extend([0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    }
    wire
}

fn ask(view: &View, question: &[u8], out: &mut [u8]) -> usize {
    answer(view, question, Transport::Udp { max_size: 1232 }, out).expect("a reply")
}

#[test]
fn a_live_answer_allocates_nothing() {
    let (store, mut writer) = zone_of(100);
    let apex = name("example.");
    writer.begin(Version(2), Timestamp(2));
    for (owner, rtype, value) in [
        ("alias.example.", RecordType::CNAME, "host0000001.example."),
        ("*.wild.example.", RecordType::MX, "10 host0000002.example."),
        ("moved.example.", RecordType::DNAME, "wild.example."),
        ("sub.example.", RecordType::NS, "ns.sub.example."),
        ("ns.sub.example.", RecordType::A, "192.0.2.53"),
    ] {
        writer.set(&apex, &name(owner), SetKey::of(rtype), Some(&set(rtype, value)));
    }
    writer.publish();
    let questions: Vec<_> = [
        ("host0000001.example.", RecordType::A),
        ("host0000001.example.", RecordType::AAAA),
        ("alias.example.", RecordType::A),
        ("x.wild.example.", RecordType::MX),
        ("x.moved.example.", RecordType::MX),
        ("www.sub.example.", RecordType::A),
        ("nothing.here.example.", RecordType::A),
        ("example.", RecordType::ANY),
        ("elsewhere.", RecordType::A),
    ]
    .into_iter()
    .flat_map(|(owner, rtype)| [question(owner, rtype, false), question(owner, rtype, true)])
    .collect();
    let mut out = [0; 65_535];
    let view = store.now();
    for question in &questions {
        ask(&view, question, &mut out);
    }
    for question in &questions {
        let cost = counted(|| {
            ask(&store.now(), question, &mut out);
        });
        assert_eq!(cost, (0, 0), "{question:02x?}");
    }
}

#[test] // Guarantee: an event is all or nothing in answers.
fn readers_never_see_half_an_event() {
    const EVENTS: u64 = 3_000;
    let (store, mut writer) = Store::new();
    let zones = [name("one."), name("two."), name("three.")];
    // Each event moves an alias in one zone to a name that only this event makes in another, and counts in a third.
    let mut event = move |version: u64| {
        let host = |version: u64| name(&format!("v{version}.two."));
        writer.begin(Version(version), Timestamp(version as i64));
        let target = host(version).to_string();
        let alias = set(RecordType::CNAME, &target);
        writer.set(&zones[0], &name("www.one."), SetKey::of(RecordType::CNAME), Some(&alias));
        if version > 1 {
            writer.set(&zones[1], &host(version - 1), SetKey::of(RecordType::A), None);
        }
        let address = set(RecordType::A, "192.0.2.1");
        writer.set(&zones[1], &host(version), SetKey::of(RecordType::A), Some(&address));
        let text = set(RecordType::CNAME, &target);
        writer.set(&zones[2], &name("www.three."), SetKey::of(RecordType::CNAME), Some(&text));
        writer.publish();
    };
    event(1);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut out, mut again) = ([0; 1232], [0; 1232]);
                    let (www, count) =
                        (question("www.one.", RecordType::A, false), question("www.three.", RecordType::CNAME, false));
                    let (mut rounds, mut last) = (0, Version(0));
                    while !ended.load(Ordering::Relaxed) || rounds == 0 {
                        let view = store.now();
                        assert!(view.version() >= last);
                        last = view.version();
                        let octets = ask(&view, &www, &mut out);
                        // Two records: the alias and the address that it leads to.
                        assert_eq!((out[3] & 15, out[7]), (0, 2), "{last}: {:02x?}", &out[..octets]);
                        let others = ask(&view, &count, &mut again);
                        let target = format!("v{last}");
                        let shows = |reply: &[u8]| reply.windows(target.len()).any(|part| part == target.as_bytes());
                        assert_eq!((shows(&out[..octets]), shows(&again[..others])), (true, true), "{last}");
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        for version in 2..=EVENTS {
            event(version);
        }
        ended.store(true, Ordering::Relaxed);
        let rounds: u64 = readers.into_iter().map(|reader| reader.join().expect("no half events")).sum();
        println!("{EVENTS} events, {rounds} rounds of reading");
    });
}
