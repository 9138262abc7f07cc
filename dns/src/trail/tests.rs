use std::sync::Arc;

use conn3ction_schemas::{Rdata, RecordSet, Timestamp, Ttl};

use super::*;
use crate::{Store, Writer, trace::trace};

const NS: RecordType = RecordType::NS;
const CNAME: RecordType = RecordType::CNAME;
const A: RecordType = RecordType::A;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn set(rtype: RecordType, value: &str) -> RecordSet {
    let rdata = Rdata::parse(rtype, value, None).expect("rdata");
    RecordSet::new(Ttl::from_secs(60).expect("a TTL"), vec![rdata]).expect("a set")
}

/// A store with its writer, which takes one event after another.
struct History {
    store: Arc<Store>,
    writer: Writer,
    version: u64,
}

impl History {
    fn new() -> Self {
        let (store, writer) = Store::new();
        Self { store, writer, version: 0 }
    }

    fn event(&mut self, act: impl FnOnce(&mut Writer)) -> u64 {
        self.version += 1;
        self.writer.begin(Version(self.version), Timestamp(self.version as i64));
        act(&mut self.writer);
        self.writer.publish();
        self.version
    }

    fn put(&mut self, zone: &str, owner: &str, rtype: RecordType, value: Option<&str>) -> u64 {
        let (zone, owner) = (name(zone), name(owner));
        self.event(|writer| writer.set(&zone, &owner, SetKey::of(rtype), value.map(|value| set(rtype, value)).as_ref()))
    }

    fn create(&mut self, zone: &str) -> u64 {
        let zone = name(zone);
        self.event(|writer| {
            writer.create_zone(&zone);
            writer.set(&zone, &zone, SetKey::of(NS), Some(&set(NS, "ns.example.")));
        })
    }

    /// Ends a zone as an event does: every set goes with it.
    fn delete(&mut self, zone: &str) -> u64 {
        let zone = name(zone);
        let view = self.store.now();
        let mut sets = Vec::new();
        for owner in view.zone(&zone).into_iter().flat_map(|zone| zone.owners()) {
            sets.extend(owner.sets().map(|set| (owner.name(), set.key())));
        }
        self.event(|writer| {
            for (owner, key) in &sets {
                writer.set(&zone, owner, *key, None);
            }
            writer.delete_zone(&zone);
        })
    }

    fn turns(&self, owner: &str, rtype: RecordType) -> Vec<u64> {
        let trail = Trail::of_answer(&self.store.now(), &name(owner), Some(rtype));
        trail.map(|turn| turn.version.0).collect()
    }

    fn exact(&self, owner: &str) -> Vec<u64> {
        Trail::of_owner(&self.store.now(), &name(owner), None).map(|turn| turn.version.0).collect()
    }
}

#[test]
fn an_answer_turns_with_its_target_its_wildcard_its_cut_and_its_zone() {
    let mut history = History::new();
    let zone = history.create("example.");
    let wildcard = history.put("example.", "*.example.", A, Some("192.0.2.1"));
    let unrelated = history.put("example.", "other.example.", A, Some("192.0.2.2"));
    let alias = history.put("example.", "www.example.", CNAME, Some("api.example."));
    let target = history.put("example.", "api.example.", A, Some("192.0.2.3"));
    let text = history.put("example.", "api.example.", RecordType::TXT, Some("\"x\""));
    let moved = history.put("example.", "www.example.", CNAME, Some("new.example."));
    let too_late = history.put("example.", "api.example.", A, Some("192.0.2.4"));
    // The wildcard stood in for the target until there was none, and does so again.
    let cut = history.put("example.", "new.example.", NS, Some("ns.test."));
    let below = history.put("example.", "a.new.example.", A, Some("192.0.2.5"));
    let healed = history.put("example.", "new.example.", NS, None);
    assert_eq!(
        history.turns("www.example.", A),
        [healed, cut, moved, target, alias, wildcard, zone],
        "not {unrelated}, {text}, {too_late}, {below}"
    );
    assert_eq!(history.exact("www.example."), [moved, alias]);
    let gone = history.delete("example.");
    let again = history.create("example.");
    assert_eq!(history.turns("www.example.", A)[..2], [again, gone]);
    let trail = Trail::of_answer(&history.store.now(), &name("www.example."), Some(A));
    let touched: Vec<_> = trail.take(2).map(|turn| turn.touched).collect();
    assert!(touched[0].contains(&Touched::Zone { apex: name("example.") }), "{touched:?}");
    assert!(
        touched[1].iter().any(|what| matches!(what, Touched::Sets { owner, .. } if *owner == name("www.example.")))
    );
}

#[test]
fn an_empty_non_terminal_that_comes_is_a_turn() {
    let mut history = History::new();
    let zone = history.create("example.");
    let below = history.put("example.", "a.b.example.", A, Some("192.0.2.1"));
    assert_eq!(history.turns("b.example.", A), [below, zone]);
    let trail = Trail::of_answer(&history.store.now(), &name("b.example."), Some(A));
    let touched: Vec<_> = trail.flat_map(|turn| turn.touched).collect();
    assert_eq!(touched[0], Touched::Existence { zone: name("example."), owner: name("b.example.") });
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[test]
fn the_trail_of_an_answer_is_what_changed_it_and_nothing_else() {
    const ZONES: [&str; 3] = ["example.", "b.example.", "test."];
    const OWNERS: [&str; 8] = [
        "a.example.",
        "b.example.",
        "*.example.",
        "c.b.example.",
        "*.b.example.",
        "d.c.b.example.",
        "a.test.",
        "b.test.",
    ];
    let seed = std::env::var("CONN3CTION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64 | 1)
    });
    println!("CONN3CTION_SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..30 {
        let mut history = History::new();
        for _ in 0..40 {
            let zone = random.pick(&ZONES);
            let is_alive = history.store.now().zone(&name(zone)).is_some();
            if !is_alive {
                history.create(zone);
                continue;
            }
            if random.below(12) == 0 {
                history.delete(zone);
                continue;
            }
            let within: Vec<&str> =
                OWNERS.into_iter().filter(|owner| name(owner).is_at_or_below(&name(zone))).collect();
            let owner = random.pick(&within);
            let target = random.pick(&OWNERS);
            let (rtype, value) = match random.below(6) {
                0 | 1 => (A, format!("192.0.2.{}", random.below(4))),
                2 | 3 => (CNAME, target.to_owned()),
                4 if owner != zone => (NS, "ns.test.".to_owned()),
                4 => (RecordType::TXT, "\"x\"".to_owned()),
                _ => (RecordType::DNAME, target.to_owned()),
            };
            let value = (random.below(3) > 0).then_some(value);
            history.put(zone, owner, rtype, value.as_deref());
        }
        for asked in OWNERS.into_iter().chain(["x.example.", "x.c.b.example.", "nowhere."]) {
            let turns = history.turns(asked, A);
            let at = |version| trace(&history.store.at(Version(version)), &name(asked), A);
            let answers: Vec<Traced> = (0..=history.version).map(at).collect();
            let answer = |version: u64| {
                let traced = &answers[version as usize];
                let [answer, authority, _] = &traced.sections;
                let referral = authority.iter().filter(|record| record.rtype == NS);
                let records = answer.iter().chain(referral);
                let records = records.map(|record| (&record.owner, record.rtype, record.ttl, record.rdata.as_wire()));
                (traced.rcode, traced.authoritative, records.collect::<Vec<_>>())
            };
            for version in 1..=history.version {
                let turned = answer(version) != answer(version - 1);
                assert_eq!(
                    turned,
                    turns.contains(&version),
                    "seed {seed}: whether {asked} turned at {version}; {turns:?}"
                );
            }
            assert!(turns.is_sorted_by(|a, b| a > b), "{turns:?}");
            for value in 0..4 {
                let wanted = format!("192.0.2.{value}");
                let holds = |traced: &Traced| {
                    traced.sections[0].iter().any(|record| record.rdata.to_text(record.rtype) == wanted)
                };
                let held = |version: u64| holds(&answers[version as usize]);
                let last = (1..=history.version).rev().find(|version| held(*version) != held(version - 1));
                let found = bisect(&history.store.now(), &name(asked), A, usize::MAX, holds);
                let short = bisect(&history.store.now(), &name(asked), A, 1, holds).turn;
                let newest = Trail::of_answer(&history.store.now(), &name(asked), Some(A)).candidate();
                let newest = newest.map(|turn| turn.version.0).filter(|newest| Some(*newest) == last);
                assert_eq!(
                    short.map(|(turn, _)| turn.version.0),
                    newest,
                    "seed {seed}: one turn back, {asked} {wanted}"
                );
                let turned = found.turn.map(|(turn, _)| turn.version.0);
                assert_eq!((found.holds, turned), (held(history.version), last), "seed {seed}: {asked} {wanted}");
            }
        }
    }
}
