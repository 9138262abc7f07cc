//! The desk of one command: what it touches, as it was and as it is going to be.

use std::collections::BTreeMap;

use conn3ction_schemas::{
    Delta, Name, RecordSet, RecordType, Revision, Serial, SetKey, ZoneChange,
    event::{Kind, ZoneLife},
};

use super::{
    soa,
    state::{Held, State},
    warnings::Warning,
};

/// The record sets that a command touches over the state it is decided on.
pub(super) struct Work<'s, S: ?Sized> {
    pub(super) state: &'s S,
    /// In the order of an event's deltas.
    touched: BTreeMap<SetId, Touched>,
    /// Zones that come or go.
    lives: BTreeMap<Name, ZoneLife>,
    /// Serials asked for, by an SOA or a master file.
    asked: BTreeMap<Name, Serial>,
}

/// Names one record set in all the ledger; ordered as deltas are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetId {
    pub(super) zone: Name,
    pub(super) owner: Name,
    pub(super) key: SetKey,
}

struct Touched {
    before: Option<Held>,
    after: Option<RecordSet>,
    /// The change that touched it last, for telling where a fault stands.
    change: usize,
}

/// A touched set, for the rules and warnings that look at the outcome.
pub(super) struct Outcome<'w> {
    pub(super) id: &'w SetId,
    pub(super) before: Option<&'w RecordSet>,
    pub(super) after: Option<&'w RecordSet>,
    pub(super) change: usize,
}

/// What a command comes to, as zones and deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The kind of event.
    pub kind: Kind,
    /// The zones touched, in canonical order.
    pub zones: Vec<ZoneChange>,
    /// The changes, sorted by zone, owner and key.
    pub deltas: Vec<Delta>,
}

impl<'s, S: State + ?Sized> Work<'s, S> {
    pub(super) fn new(state: &'s S) -> Self {
        Self { state, touched: BTreeMap::new(), lives: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// A set as it is going to be.
    pub(super) fn get(&self, id: &SetId) -> Option<RecordSet> {
        match self.touched.get(id) {
            Some(touched) => touched.after.clone(),
            None => self.state.set(&id.zone, &id.owner, id.key).map(|held| held.set),
        }
    }

    /// The revision that made a set what it is; `None` for a set of this command.
    pub(super) fn since(&self, id: &SetId) -> Option<Revision> {
        if self.touched.contains_key(id) {
            return None;
        }
        self.state.set(&id.zone, &id.owner, id.key).map(|held| held.since)
    }

    /// All sets of an owner as they are going to be.
    pub(super) fn sets(&self, zone: &Name, owner: &Name) -> BTreeMap<SetKey, RecordSet> {
        let mut sets: BTreeMap<_, _> =
            self.state.sets(zone, owner).into_iter().map(|(key, held)| (key, held.set)).collect();
        for (id, touched) in self.touched_at(zone, owner) {
            match &touched.after {
                Some(set) => sets.insert(id.key, set.clone()),
                None => sets.remove(&id.key),
            };
        }
        sets
    }

    fn touched_at(&self, zone: &Name, owner: &Name) -> impl Iterator<Item = (&SetId, &Touched)> {
        let key = SetKey::of(RecordType(0));
        let first = SetId { zone: zone.clone(), owner: owner.clone(), key };
        let end = (zone.clone(), owner.clone());
        self.touched.range(first..).take_while(move |(id, _)| (&id.zone, &id.owner) == (&end.0, &end.1))
    }

    /// Sets or deletes a set on behalf of change number `change`.
    pub(super) fn put(&mut self, id: SetId, after: Option<RecordSet>, change: usize) {
        match self.touched.get_mut(&id) {
            Some(touched) => {
                touched.after = after;
                touched.change = change;
            }
            None => {
                let before = self.state.set(&id.zone, &id.owner, id.key);
                self.touched.insert(id, Touched { before, after, change });
            }
        }
    }

    /// Notes the serial that a new SOA asks for.
    pub(super) fn ask(&mut self, zone: &Name, soa: &RecordSet) {
        if let Some(serial) = soa.rdata().first().and_then(soa::serial) {
            self.asked.insert(zone.clone(), serial);
        }
    }

    /// Says that a zone comes or goes with this command.
    pub(super) fn live(&mut self, zone: Name, life: ZoneLife) {
        self.lives.insert(zone, life);
    }

    /// Whether a zone comes or goes with this command.
    pub(super) fn comes_or_goes(&self, zone: &Name) -> bool {
        self.lives.contains_key(zone)
    }

    /// Whether a zone goes with this command, and all that is in it.
    pub(super) fn goes(&self, zone: &Name) -> bool {
        self.lives.get(zone) == Some(&ZoneLife::Deleted)
    }

    /// The touched sets with their outcome, in the order of deltas.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = Outcome<'_>> {
        self.touched.iter().map(|(id, touched)| Outcome {
            id,
            before: touched.before.as_ref().map(|held| &held.set),
            after: touched.after.as_ref(),
            change: touched.change,
        })
    }

    /// The latest revision of the sets touched: what made the state what was asked for, if nothing changes.
    pub(super) fn made_so(&self) -> Revision {
        let latest = self.touched.values().filter_map(|touched| Some(touched.before.as_ref()?.since)).max();
        latest.unwrap_or(self.state.revision())
    }

    /// What changes, or `None` if the state is already so. Warns of serials asked for that are not greater.
    pub(super) fn finish(&self, kind: Kind, warnings: &mut Vec<Warning>) -> Option<Facts> {
        let changed = || self.touched.iter().filter(|(id, touched)| touched.changes(id.key.rtype));
        let mut serials: BTreeMap<&Name, ZoneChange> = BTreeMap::new();
        let asked = self.asked.keys().filter(|zone| self.asks_for_more(zone));
        for zone in changed().map(|(id, _)| &id.zone).chain(self.lives.keys()).chain(asked) {
            serials.entry(zone).or_insert_with(|| self.zone_change(zone, warnings));
        }
        let zones: Vec<ZoneChange> = serials.into_values().collect();
        if zones.is_empty() {
            return None;
        }
        let deltas = changed().map(|(id, touched)| delta(&zones, id, touched)).collect();
        Some(Facts { kind, zones, deltas })
    }

    fn asks_for_more(&self, zone: &Name) -> bool {
        let present = self.state.zone(zone).map(|zone| zone.serial);
        self.asked.get(zone).zip(present).is_some_and(|(asked, present)| *asked > present)
    }

    fn zone_change(&self, zone: &Name, warnings: &mut Vec<Warning>) -> ZoneChange {
        let life = self.lives.get(zone).copied().unwrap_or(ZoneLife::Stays);
        let present = self.state.zone(zone).map(|zone| zone.serial);
        zone_change(
            zone,
            life,
            present.or_else(|| self.state.last_serial(zone)),
            self.asked.get(zone).copied(),
            warnings,
        )
    }
}

/// The next serial of a zone: the one asked for if it is greater, else one more (RFC 1982).
pub(super) fn zone_change(
    zone: &Name,
    life: ZoneLife,
    before: Option<Serial>,
    asked: Option<Serial>,
    warnings: &mut Vec<Warning>,
) -> ZoneChange {
    let after = match (life, before) {
        (ZoneLife::Deleted, Some(last)) => last,
        (ZoneLife::Stays | ZoneLife::Created, Some(last)) => last.next(asked),
        (_, None) => asked.unwrap_or(Serial(1)),
    };
    if let (Some(asked), Some(before)) = (asked, before)
        && asked != after
        && asked != before
    {
        warnings.push(Warning::serial_not_greater(zone, asked, before, after));
    }
    ZoneChange { zone: zone.clone(), before, after, life }
}

impl Touched {
    fn changes(&self, rtype: RecordType) -> bool {
        !soa::same(rtype, self.before.as_ref().map(|held| &held.set), self.after.as_ref())
    }
}

fn delta(zones: &[ZoneChange], id: &SetId, touched: &Touched) -> Delta {
    let place = zones.partition_point(|change| change.zone < id.zone);
    let change = &zones[place];
    let (before, after) = (touched.before.as_ref().map(|held| held.set.clone()), touched.after.clone());
    let (before, after) = if id.key.rtype == RecordType::SOA {
        let serial_before = change.before.unwrap_or(change.after);
        (before.map(|set| soa::with_serial(&set, serial_before)), after.map(|set| soa::with_serial(&set, change.after)))
    } else {
        (before, after)
    };
    Delta { zone: place as u32, owner: id.owner.clone(), key: id.key, before, after }
}
