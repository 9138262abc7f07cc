//! Random histories: what becomes of a few zones in one event after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
};

use conn3ction_dns::{EventNote, Moment, Moments, NoMoment, Store, Version, Writer};
use conn3ction_schemas::{
    Epoch, Name, Rdata, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp, Token, When,
    zonefile::{Zone, write_zone},
};

use super::zones::RandomZone;
use crate::random::Random;

/// The record sets of a zone.
pub(crate) type Sets = BTreeMap<(Name, SetKey), RecordSet>;

/// Events 1, 2, 3 …, and what each left behind.
#[derive(Default)]
pub(crate) struct History {
    events: Vec<Event>,
    /// The living zones after each event.
    states: Vec<Zones>,
    open: Event,
    now: Zones,
}

type Zones = BTreeMap<Name, Arc<Sets>>;

#[derive(Default)]
struct Event {
    changes: Vec<Change>,
    touched: BTreeSet<Name>,
}

enum Change {
    Create(Name),
    Delete(Name),
    Set(Name, Name, SetKey, Option<RecordSet>),
}

/// When event `version` took effect: ten seconds after the one before.
pub(crate) fn time(version: u64) -> Timestamp {
    Timestamp(1_600_000_000_000_000 + version as i64 * 10_000_000)
}

pub(crate) fn sets(zone: &Zone) -> Sets {
    zone.sets.iter().map(|set| ((set.owner.clone(), set.key), set.set.clone())).collect()
}

impl History {
    /// `count` events that turn zones into one of `drafts` of themselves, delete them and make them again. If `wild`, there
    /// are also single sets that come and go, whatever that makes of a zone.
    pub(crate) fn random(random: &mut Random, drafts: &[Vec<RandomZone>], count: usize, wild: bool) -> Self {
        let mut history = Self::default();
        for _ in 0..count {
            for _ in 0..1 + random.below(3) {
                let draft = &drafts[random.below(drafts.len())];
                let RandomZone { apex, zone } = &draft[random.below(draft.len())];
                if history.open.touched.contains(apex) {
                    // An event begins or ends one life of a zone at most.
                    continue;
                }
                let what = random.below(100);
                if !history.now.contains_key(apex) {
                    history.becomes(apex, &sets(zone));
                } else if what < 15 {
                    history.delete(apex);
                } else if what < 55 && wild {
                    for _ in 0..1 + random.below(6) {
                        let set = &zone.sets[random.below(zone.sets.len())];
                        history.set(apex, &set.owner, set.key, random.chance(50).then(|| set.set.clone()));
                    }
                } else {
                    history.becomes(apex, &sets(zone));
                }
            }
            history.end_event();
        }
        history
    }

    /// Ends the event that is open: its number.
    pub(crate) fn end_event(&mut self) -> u64 {
        let event = std::mem::take(&mut self.open);
        let serial = Serial(self.events.len() as u32 + 1);
        for apex in &event.touched {
            let Some(sets) = self.now.get_mut(apex) else { continue };
            let soa = Arc::make_mut(sets).get_mut(&(apex.clone(), SetKey::of(RecordType::SOA)));
            if let Some(soa) = soa {
                *soa = with_serial(soa, serial);
            }
        }
        self.events.push(event);
        self.states.push(self.now.clone());
        self.last()
    }

    /// The zone at `apex`, made if need be, has `sets` and no others.
    pub(crate) fn becomes(&mut self, apex: &Name, sets: &Sets) {
        if !self.now.contains_key(apex) {
            self.now.insert(apex.clone(), Arc::default());
            self.open.touched.insert(apex.clone());
            self.open.changes.push(Change::Create(apex.clone()));
        }
        let before = Arc::clone(&self.now[apex]);
        for (owner, key) in before.keys().filter(|key| !sets.contains_key(key)) {
            self.set(apex, owner, *key, None);
        }
        for ((owner, key), set) in sets {
            self.set(apex, owner, *key, Some(set.clone()));
        }
    }

    fn set(&mut self, apex: &Name, owner: &Name, key: SetKey, set: Option<RecordSet>) {
        let Some(sets) = self.now.get_mut(apex) else { return };
        let place = (owner.clone(), key);
        if sets.get(&place) == set.as_ref() {
            return;
        }
        match &set {
            Some(set) => Arc::make_mut(sets).insert(place, set.clone()),
            None => Arc::make_mut(sets).remove(&place),
        };
        self.open.touched.insert(apex.clone());
        self.open.changes.push(Change::Set(apex.clone(), owner.clone(), key, set));
    }

    fn delete(&mut self, apex: &Name) {
        self.now.remove(apex);
        self.open.touched.insert(apex.clone());
        self.open.changes.push(Change::Delete(apex.clone()));
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.events.len() as u64
    }

    /// Publishes these events.
    pub(crate) fn write(&self, writer: &mut Writer, events: RangeInclusive<u64>) {
        for version in events {
            let event = &self.events[version as usize - 1];
            writer.begin(Version(version), time(version));
            for change in &event.changes {
                match change {
                    Change::Create(apex) => writer.create_zone(apex),
                    Change::Delete(apex) => writer.delete_zone(apex),
                    Change::Set(apex, owner, key, set) => writer.set(apex, owner, *key, set.as_ref()),
                }
            }
            for apex in &event.touched {
                writer.serial(apex, Serial(version as u32));
            }
            writer.publish();
        }
    }

    /// The apexes of the zones that lived right after event `version`.
    pub(crate) fn apexes(&self, version: u64) -> Vec<Name> {
        self.states[version as usize - 1].keys().cloned().collect()
    }

    /// The zones that lived right after event `version`, as master files.
    pub(crate) fn files(&self, version: u64) -> Vec<(Name, String)> {
        let file = |(apex, sets): (&Name, &Arc<Sets>)| {
            let mut text = Vec::new();
            let sets = sets.iter().map(|((owner, key), set)| (owner, *key, set));
            write_zone(&mut text, apex, sets).expect("memory takes it");
            (apex.clone(), String::from_utf8(text).expect("master files are ASCII"))
        };
        self.states[version as usize - 1].iter().map(file).collect()
    }
}

fn with_serial(soa: &RecordSet, serial: Serial) -> RecordSet {
    let rdata = soa.rdata().iter().map(|rdata| {
        let mut wire = rdata.as_wire().to_vec();
        let at = wire.len() - 20;
        wire[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
        Rdata::from_stored(&wire)
    });
    RecordSet::new(soa.ttl(), rdata.collect()).expect("a set")
}

/// Finds the moments of a store that holds such a history.
#[derive(Debug)]
pub(crate) struct Known(pub(crate) Arc<Store>);

impl Moments for Known {
    fn find(&self, when: When) -> Result<Moment, NoMoment> {
        match when {
            When::Revision(_, Revision(version)) => {
                let view = self.0.at(Version(version));
                Ok(Moment { view, version: Some(Version(version)), is_final: true })
            }
            When::Time(time) => Ok(Moment { view: self.0.at_time(time), version: None, is_final: true }),
            When::Now | When::Age(_) => Err(NoMoment("no clock here".into())),
        }
    }

    fn event(&self, version: Version) -> Option<EventNote> {
        Some(EventNote {
            token: Token { epoch: Epoch(1), revision: Revision(version.0) },
            time: time(version.0),
            actor: format!("actor{version}"),
            reason: None,
        })
    }
}
