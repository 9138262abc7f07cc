use std::{collections::BTreeSet, sync::Arc};

use conn3ction_dns::View;
use conn3ction_ledger::{Ledger, committer::SubmitError};
use conn3ction_schemas::{
    Delta, Kind, Name, RecordType, Revision, SetKey, ZoneChange,
    event::{SealedHeader, ZoneLife},
    json,
};

use super::MaybePlanned;
use crate::{
    decide::{
        self, BadItem, Facts, Live, Part, PutBack, Refusal, RefusalKind, Scope, State, Within, planned::PlannedScope,
        soa,
    },
    plan::{self, Findings},
};

/// An event, or a part of it, that is to be undone. It holds the event's changes, all of them in memory.
#[derive(Debug)]
pub struct Revert {
    /// The event.
    pub header: SealedHeader,
    /// Its changes.
    pub deltas: Vec<Delta>,
    /// The zones right after it.
    pub after: View,
    /// Only the changes of this zone.
    pub zone: Option<Name>,
    /// Only the changes of this part of the zones.
    pub within: Within,
}

/// What undoing comes to on one state.
#[derive(Default)]
pub(super) struct Undoing {
    pub facts: Option<Facts>,
    pub findings: Findings,
    pub conflicts: Vec<Conflict>,
    /// The names and zones that must stay as they are until it is done.
    held: Vec<Part>,
}

/// A set that was changed again since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    zone: Name,
    owner: Name,
    key: SetKey,
    detail: String,
}

impl Revert {
    /// What is to be done on `state`, or what is in the way.
    ///
    /// # Errors
    ///
    /// A refusal: something in scope changed after `expected`, the event did nothing there, or what was there does not
    /// fit what is there now.
    pub(super) fn find(&self, state: &Live, expected: Option<Revision>) -> Result<Undoing, Refusal> {
        let asked = self.asked()?;
        if let Some(expected) = expected {
            let changed = asked.iter().filter_map(|part| part.changed(state, expected));
            if let Some(refusal) = Refusal::of(changed.collect()) {
                return Err(refusal);
            }
        }
        let mut undoing = Undoing::default();
        let mut back = PutBack::default();
        for (place, change) in self.header.zones.iter().enumerate().filter(|(_, change)| self.means(&change.zone)) {
            match (change.life, &self.within) {
                (ZoneLife::Created, Within::Zone) => self.uncreate(state, &change.zone, &mut back, &mut undoing),
                (ZoneLife::Deleted, Within::Zone) => self.undelete(state, place, change, &mut back, &mut undoing),
                (ZoneLife::Created | ZoneLife::Stays | ZoneLife::Deleted, _) => {
                    self.unchange(state, place, &change.zone, &mut back, &mut undoing);
                }
            }
        }
        if !undoing.conflicts.is_empty() {
            return Ok(undoing);
        }
        let mut warned = Vec::new();
        undoing.facts = decide::put_back(state, Kind::Reverted, back, &mut warned)?;
        warned.iter().for_each(|warning| undoing.findings.warn(warning));
        if let Some(facts) = &undoing.facts {
            for delta in &facts.deltas {
                undoing.findings.count(state, &facts.zones[delta.zone as usize].zone, delta);
            }
        }
        Ok(undoing)
    }

    /// Plans on `state` and stages the changes.
    pub(super) async fn staged(
        self: &Arc<Self>,
        ledger: &Arc<dyn Ledger>,
        state: Live,
        expected: Option<Revision>,
    ) -> MaybePlanned {
        let (planned_at, revert) = (state.revision(), self.clone());
        let found = tokio::task::spawn_blocking(move || revert.find(&state, expected));
        let found = found.await.map_err(|error| SubmitError::Read(Arc::new(super::unavailable(error))))?;
        let undoing = found.map_err(SubmitError::Refused)?;
        let conflicts: Vec<BadItem> = undoing.conflicts.iter().map(Conflict::item).collect();
        if let Some(refusal) = Refusal::of(conflicts) {
            return Err(SubmitError::Refused(refusal));
        }
        let Some(facts) = undoing.facts else { return Ok(None) };
        let mut held = undoing.held;
        // A SOA carries the serial that it gets, so nothing else may have moved it.
        let soas = facts.deltas.iter().filter(|delta| delta.key.rtype == RecordType::SOA);
        held.extend(soas.map(|delta| Part::whole(&facts.zones[delta.zone as usize].zone)));
        let of = Some(self.header.revision);
        plan::staged(ledger, planned_at, facts, PlannedScope::Parts(held), of).await.map(Some)
    }

    fn means(&self, zone: &Name) -> bool {
        self.zone.as_ref().is_none_or(|only| only == zone)
    }

    /// The event's changes in the zone at `place` that are meant.
    fn meant(&self, place: usize) -> impl Iterator<Item = &Delta> {
        let zone = self.header.zones[place].zone.clone();
        let part = Part { zone, within: self.within.clone() };
        let of_zone = self.deltas.iter().filter(move |delta| delta.zone as usize == place);
        of_zone.filter(move |delta| part.holds(&delta.owner, delta.key))
    }

    /// The sets and zones that are to be changed.
    fn asked(&self) -> Result<Vec<Part>, Refusal> {
        let mut parts = Vec::new();
        for (place, change) in self.header.zones.iter().enumerate().filter(|(_, change)| self.means(&change.zone)) {
            if change.life != ZoneLife::Stays && self.within == Within::Zone {
                parts.push(Part::whole(&change.zone));
                continue;
            }
            parts.extend(self.meant(place).map(|delta| {
                let covered = (delta.key.rtype == RecordType::RRSIG).then_some(delta.key.covered);
                let within = Within::Type(delta.owner.clone(), delta.key.rtype, covered);
                Part { zone: change.zone.clone(), within }
            }));
        }
        let narrowed = self.zone.is_some() || self.within != Within::Zone;
        if parts.is_empty() && narrowed {
            let detail = format!("{} changed nothing there", self.header.revision);
            return Err(Refusal::one(BadItem::at(RefusalKind::RecordNotFound, "", detail)));
        }
        Ok(parts)
    }

    /// A zone that the event made goes again, if nothing came to it since.
    fn uncreate(&self, state: &Live, apex: &Name, back: &mut PutBack, undoing: &mut Undoing) {
        let Some(zone) = state.view().zone(apex) else { return };
        undoing.held.push(Part::whole(apex));
        if Revision::from(zone.since()) != self.header.revision {
            let detail = format!("{} was made again at {}", apex.without_dot(), Revision::from(zone.since()));
            undoing.conflicts.push(Conflict::of_zone(apex, detail));
            return;
        }
        let later = state.view().differences(&self.after, apex, apex);
        let conflicts: Vec<_> = later
            .map(|found| {
                let since = found.since.map(Revision::from);
                Conflict::new(state, apex, &found.owner, found.change.key, since, self.header.revision)
            })
            .collect();
        if !conflicts.is_empty() {
            undoing.conflicts.extend(conflicts);
            return;
        }
        back.lives.push((apex.clone(), ZoneLife::Deleted));
        for owner in zone.owners() {
            let name = owner.name();
            back.sets.extend(owner.sets().map(|set| (apex.clone(), name.clone(), set.key(), None)));
        }
    }

    /// A zone that the event deleted comes back with all that it held.
    fn undelete(&self, state: &Live, place: usize, change: &ZoneChange, back: &mut PutBack, undoing: &mut Undoing) {
        let apex = &change.zone;
        undoing.held.push(Part::whole(apex));
        let mut was = self.meant(place).filter_map(|delta| Some((delta, delta.before.as_ref()?)));
        if let Some(zone) = state.view().zone(apex) {
            let is_same = |(delta, before): (&Delta, _)| {
                let now = state.set(apex, &delta.owner, delta.key);
                soa::same(delta.key.rtype, now.as_ref().map(|held| &held.set), Some(before))
            };
            let count = was.by_ref().map(is_same).try_fold(0, |count, same| same.then_some(count + 1));
            if count != Some(zone.set_count()) {
                let detail = format!("{} was made again at {}", apex.without_dot(), Revision::from(zone.since()));
                undoing.conflicts.push(Conflict::of_zone(apex, detail));
            }
            return;
        }
        back.lives.push((apex.clone(), ZoneLife::Created));
        let sets = was.map(|(delta, before)| (apex.clone(), delta.owner.clone(), delta.key, Some(before.clone())));
        back.sets.extend(sets);
    }

    /// Sets that are what the event left become what they were before.
    fn unchange(&self, state: &Live, place: usize, apex: &Name, back: &mut PutBack, undoing: &mut Undoing) {
        if state.zone(apex).is_none() {
            let gone = state.changed_since(Scope::Zone(apex), self.header.revision);
            let at = gone.map(|at| format!(" at {at}")).unwrap_or_default();
            let detail = format!("{} was deleted{at}", apex.without_dot());
            undoing.conflicts.push(Conflict::of_zone(apex, detail));
            return;
        }
        let mut owners = BTreeSet::new();
        for delta in self.meant(place) {
            let held = state.set(apex, &delta.owner, delta.key);
            let now = held.as_ref().map(|held| &held.set);
            let is = |set: &Option<_>| soa::same(delta.key.rtype, now, set.as_ref());
            if is(&delta.after) {
                let (owner, key) = (delta.owner.clone(), delta.key);
                back.sets.push((apex.clone(), owner, key, delta.before.clone()));
                if owners.insert(&delta.owner) {
                    undoing.held.push(Part { zone: apex.clone(), within: Within::Owner(delta.owner.clone()) });
                }
            } else if !is(&delta.before) {
                let since = held.as_ref().map(|held| held.since);
                let conflict = Conflict::new(state, apex, &delta.owner, delta.key, since, self.header.revision);
                undoing.conflicts.push(conflict);
            }
        }
    }
}

impl Conflict {
    /// A set that is not what event `than` left; `since` is what made it what it is, if it is there.
    fn new(state: &Live, zone: &Name, owner: &Name, key: SetKey, since: Option<Revision>, than: Revision) -> Self {
        let at = since.or_else(|| state.changed_since(Scope::Set(zone, owner, key), than));
        let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
        let part = Part {
            zone: zone.clone(),
            within: Within::Type(owner.clone(), key.rtype, (key.rtype == RecordType::RRSIG).then_some(key.covered)),
        };
        let what = if since.is_some() { "changed" } else { "deleted" };
        Self { zone: zone.clone(), owner: owner.clone(), key, detail: format!("{part} was {what}{at}, after {than}") }
    }

    fn of_zone(zone: &Name, detail: String) -> Self {
        Self { zone: zone.clone(), owner: zone.clone(), key: SetKey::of(RecordType::SOA), detail }
    }

    fn item(&self) -> BadItem {
        BadItem::at(RefusalKind::RevertConflict, "", self.detail.clone())
            .hint("undo that first, narrow the revert, or set what you want")
    }

    pub(super) fn shown(&self) -> json::Conflict {
        let covers = (self.key.rtype == RecordType::RRSIG).then(|| self.key.covered.to_string());
        json::Conflict {
            zone: self.zone.without_dot(),
            name: self.owner.without_dot(),
            rtype: self.key.rtype.to_string(),
            covers,
            detail: self.detail.clone(),
        }
    }
}
