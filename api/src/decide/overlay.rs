//! Drafts in flight over a committed state, so that command 2 of a batch sees command 1.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use conn3ction_schemas::{
    Actor, Delta, Name, RecordSet, Revision, Serial, SetKey, ZoneChange,
    event::{Hash, ZoneLife},
};

use super::{
    Decided,
    command::Envelope,
    planned::{PlannedContent, ZoneContent},
    state::{Held, Scope, State, ZoneState},
};

/// A state and the drafts decided on it since. Noting a draft costs the draft's size.
#[derive(Debug)]
pub struct Overlay<B> {
    base: B,
    revision: Revision,
    zones: HashMap<Name, ZoneDraft>,
    /// By zone, owner and key.
    sets: HashMap<Name, BTreeMap<Name, BTreeMap<SetKey, Drafted>>>,
    keys: HashMap<String, Vec<(Actor, Hash, Revision)>>,
}

/// What the drafts made of a zone.
#[derive(Debug)]
struct ZoneDraft {
    serial: Serial,
    since: Revision,
    exists: bool,
    /// The last revision at which it came, went or was taken in as a whole, which counts as a change of all its sets.
    whole: Option<Revision>,
    /// What the base holds of it is gone.
    wiped: bool,
    /// Content that was taken in as a whole; drafts of single sets are younger, because a plan holds only as long as
    /// its zone is untouched.
    /// Weak, so that a whole zone does not stay in memory when its command was answered: the committer keeps the
    /// commands of a batch as long as it decides on top of them.
    content: Option<Weak<dyn ZoneContent>>,
}

#[derive(Debug)]
struct Drafted {
    after: Option<RecordSet>,
    since: Revision,
}

impl ZoneDraft {
    fn taken(&self) -> Option<Arc<dyn ZoneContent>> {
        self.content.as_ref()?.upgrade()
    }
}

impl<B: State> Overlay<B> {
    /// No drafts yet.
    pub fn new(base: B) -> Self {
        let revision = base.revision();
        Self { base, revision, zones: HashMap::new(), sets: HashMap::new(), keys: HashMap::new() }
    }

    /// Counts what was decided as happened at `revision`.
    pub fn note(&mut self, envelope: &Envelope, decided: &Decided, revision: Revision) {
        match decided {
            Decided::Event(facts) => {
                self.note_zones(&facts.zones, revision);
                self.note_deltas(&facts.zones, &facts.deltas, revision);
            }
            Decided::Planned(zones, planned) => {
                self.note_zones(zones, revision);
                match &planned.content {
                    PlannedContent::Deltas(deltas) => self.note_deltas(zones, deltas, revision),
                    PlannedContent::Zone(content) => self.note_content(zones, content),
                }
            }
            Decided::Unchanged { .. } => return,
        }
        self.revision = revision;
        if let Some(idempotency) = &envelope.idempotency {
            let seen = (envelope.actor.clone(), idempotency.digest, revision);
            self.keys.entry(idempotency.key.clone()).or_default().push(seen);
        }
    }

    fn note_zones(&mut self, zones: &[ZoneChange], revision: Revision) {
        for change in zones {
            let fresh = || ZoneDraft {
                serial: change.after,
                since: revision,
                exists: true,
                whole: None,
                wiped: false,
                content: None,
            };
            let draft = self.zones.entry(change.zone.clone()).or_insert_with(fresh);
            draft.serial = change.after;
            draft.since = revision;
            draft.exists = change.life != ZoneLife::Deleted;
            if change.life != ZoneLife::Stays {
                draft.whole = Some(revision);
            }
            if change.life == ZoneLife::Deleted {
                draft.wiped = true;
                draft.content = None;
            }
        }
    }

    fn note_deltas(&mut self, zones: &[ZoneChange], deltas: &[Delta], revision: Revision) {
        for delta in deltas {
            let zone = self.sets.entry(zones[delta.zone as usize].zone.clone()).or_default();
            let drafted = Drafted { after: delta.after.clone(), since: revision };
            zone.entry(delta.owner.clone()).or_default().insert(delta.key, drafted);
        }
    }

    fn note_content(&mut self, zones: &[ZoneChange], content: &Arc<dyn ZoneContent>) {
        for change in zones {
            if let Some(draft) = self.zones.get_mut(&change.zone) {
                draft.wiped |= content.replaces();
                draft.content = Some(Arc::downgrade(content));
                draft.whole = Some(draft.since);
            }
        }
    }

    /// The owner's sets below the drafts of single sets: the base's, or those of content taken in as a whole.
    fn settled(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, Held)> {
        let Some(draft) = self.zones.get(zone) else { return self.base.sets(zone, owner) };
        let mut sets = if draft.wiped { Vec::new() } else { self.base.sets(zone, owner) };
        if let Some(taken) = draft.taken().and_then(|content| content.sets(owner)) {
            sets.retain(|(key, _)| taken.iter().all(|(other, _)| other != key));
            sets.extend(taken.into_iter().map(|(key, set)| (key, Held { set, since: draft.since })));
            sets.sort_unstable_by_key(|(key, _)| *key);
        }
        sets
    }

    fn drafted(&self, zone: &Name, owner: &Name) -> Option<&BTreeMap<SetKey, Drafted>> {
        self.sets.get(zone)?.get(owner)
    }
}

impl<B: State> State for Overlay<B> {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn zone(&self, apex: &Name) -> Option<ZoneState> {
        match self.zones.get(apex) {
            Some(draft) => draft.exists.then_some(ZoneState { serial: draft.serial, since: draft.since }),
            None => self.base.zone(apex),
        }
    }

    fn last_serial(&self, apex: &Name) -> Option<Serial> {
        self.zones.get(apex).map(|draft| draft.serial).or_else(|| self.base.last_serial(apex))
    }

    fn set(&self, zone: &Name, owner: &Name, key: SetKey) -> Option<Held> {
        if let Some(drafted) = self.drafted(zone, owner).and_then(|sets| sets.get(&key)) {
            return drafted.after.clone().map(|set| Held { set, since: drafted.since });
        }
        if self.zones.get(zone).is_none_or(|draft| !draft.wiped && draft.content.is_none()) {
            return self.base.set(zone, owner, key);
        }
        self.settled(zone, owner).into_iter().find(|(other, _)| *other == key).map(|(_, held)| held)
    }

    fn sets(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, Held)> {
        let settled = self.settled(zone, owner);
        let Some(drafted) = self.drafted(zone, owner) else { return settled };
        let mut sets: BTreeMap<SetKey, Held> = settled.into_iter().collect();
        for (key, drafted) in drafted {
            match &drafted.after {
                Some(set) => sets.insert(*key, Held { set: set.clone(), since: drafted.since }),
                None => sets.remove(key),
            };
        }
        sets.into_iter().collect()
    }

    fn first_sets(&self, zone: &Name, under: &Name, limit: usize) -> Vec<(Name, SetKey, RecordSet)> {
        let below = self.sets.get(zone).into_iter().flat_map(|owners| {
            owners
                .range::<Name, _>(under..)
                .map(|(owner, sets)| (owner, sets.len()))
                .take_while(|(owner, _)| owner.is_at_or_below(under))
        });
        let drafted: Vec<(&Name, usize)> = below.collect();
        let draft = self.zones.get(zone);
        if drafted.is_empty() && draft.is_none_or(|draft| !draft.wiped && draft.content.is_none()) {
            return self.base.first_sets(zone, under, limit);
        }
        let mut owners: Vec<Name> = drafted.iter().map(|(owner, _)| (*owner).clone()).collect();
        if !draft.is_some_and(|draft| draft.wiped) {
            // So many that enough are left when all that the drafts delete are gone.
            let deleted: usize = drafted.iter().map(|(_, sets)| sets).sum();
            let found = self.base.first_sets(zone, under, limit.saturating_add(deleted));
            owners.extend(found.into_iter().map(|(owner, ..)| owner));
        }
        if let Some(content) = draft.and_then(ZoneDraft::taken) {
            owners.extend(content.owners().filter(|owner| owner.is_at_or_below(under)));
        }
        owners.sort_unstable();
        owners.dedup();
        let sets = owners.into_iter().flat_map(|owner| {
            let sets = self.sets(zone, &owner);
            sets.into_iter().map(move |(key, held)| (owner.clone(), key, held.set))
        });
        sets.take(limit).collect()
    }

    fn changed_since(&self, scope: Scope<'_>, than: Revision) -> Option<Revision> {
        let drafts = |zone: &Name, owner: &Name, key: Option<SetKey>| {
            let own = self.drafted(zone, owner).and_then(|sets| match key {
                Some(key) => sets.get(&key).map(|set| set.since),
                None => sets.values().map(|set| set.since).max(),
            });
            own.max(self.zones.get(zone).and_then(|draft| draft.whole))
        };
        let last = match scope {
            Scope::Zone(zone) => self.zones.get(zone).map(|draft| draft.since),
            Scope::Owner(zone, owner) => drafts(zone, owner, None),
            Scope::Under(zone, top) => {
                let owners = self.sets.get(zone).into_iter().flat_map(|owners| owners.range::<Name, _>(top..));
                let below = owners.take_while(|(owner, _)| owner.is_at_or_below(top));
                let own = below.flat_map(|(_, sets)| sets.values().map(|set| set.since)).max();
                own.max(self.zones.get(zone).and_then(|draft| draft.whole))
            }
            Scope::Set(zone, owner, key) => drafts(zone, owner, Some(key)),
        };
        last.filter(|last| *last > than).or_else(|| self.base.changed_since(scope, than))
    }

    fn seen(&self, actor: &Actor, key: &str) -> Option<(Hash, Revision)> {
        let drafted = self.keys.get(key).and_then(|seen| seen.iter().find(|(by, ..)| by == actor));
        drafted.map(|(_, digest, revision)| (*digest, *revision)).or_else(|| self.base.seen(actor, key))
    }
}
