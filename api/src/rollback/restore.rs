use std::sync::Arc;

use conn3ction_dns::{View, store::Difference};
use conn3ction_ledger::{Ledger, committer::SubmitError};
use conn3ction_schemas::{
    Delta, Kind, Name, RecordSet, RecordType, Revision, Serial, SetKey, ZoneChange, event::ZoneLife,
};

use super::{Found, MaybePlanned, notable};
use crate::{
    decide::{
        self, BadItem, Live, Part, PutBack, Refusal, RefusalKind, State, Within,
        planned::{Planned, PlannedContent, PlannedScope, PlannedZone, ZoneContent},
        rules, soa,
        warnings::{self, Warning},
    },
    plan::{self, Findings},
};

/// A part of a zone that is to be what it was.
#[derive(Debug)]
pub struct Restore {
    /// The part.
    pub part: Part,
    /// The zones as they were then.
    pub then: View,
    /// The revision that the zone stood at then.
    pub of: Revision,
    /// The moment as it was asked for.
    pub to: String,
}

impl Restore {
    /// Whether there is something to bring back, and nothing in scope changed after `expected`.
    ///
    /// # Errors
    ///
    /// The refusal that says what is in the way.
    pub(super) fn check(&self, state: &Live, expected: Option<Revision>) -> Result<(), Refusal> {
        let zone = &self.part.zone;
        let refuse = |kind, detail: String, hint: String| Err(Refusal::one(BadItem::at(kind, "", detail).hint(hint)));
        let shown = zone.without_dot();
        if !state.view().was_zone(zone) {
            return refuse(RefusalKind::ZoneNotFound, format!("{shown} never was a zone here"), "GET /zones".into());
        }
        if self.then.zone(zone).is_none() {
            let detail = format!("{shown} did not exist at {}, so there is nothing to bring back", self.to);
            return refuse(
                RefusalKind::ZoneRule,
                detail,
                format!("to be rid of the zone, delete it: zone delete {shown}"),
            );
        }
        if state.zone(zone).is_none() && self.part.within != Within::Zone {
            let detail = format!("{shown} does not exist now, so no part of it can be put back");
            return refuse(RefusalKind::ZoneNotFound, detail, "restore the whole zone".into());
        }
        if state.is_signed(zone) {
            return Err(Refusal::one(rules::signed_elsewhere(zone, "")));
        }
        if signed(&self.then, zone) {
            return Err(Refusal::one(rules::was_signed_elsewhere(zone)));
        }
        if let Some(name) = self.unheard_of(state.view()) {
            let detail = format!("{} never had a record in {shown}", name.without_dot());
            return refuse(RefusalKind::RecordNotFound, detail, "look whether the name is spelt right".into());
        }
        let changed = expected.and_then(|expected| self.part.changed(state, expected));
        changed.map_or(Ok(()), |item| Err(Refusal::one(item)))
    }

    /// The name asked for, if neither it nor, where they are meant, those below it were ever in the zone: it is misspelt.
    fn unheard_of(&self, now: &View) -> Option<&Name> {
        let apex = &self.part.zone;
        let had = |name: &Name| now.steps(apex, name).any(|step| !step.changes.is_empty());
        match &self.part.within {
            Within::Zone => None,
            Within::Owner(name) | Within::Type(name, ..) => (!had(name)).then_some(name),
            Within::Under(top) => {
                let below = |view: &View| view.zone(apex).and_then(|zone| zone.subtree_changed(top)).is_some();
                (!had(top) && !below(now) && !below(&self.then)).then_some(top)
            }
        }
    }

    /// Hands the differences to `sink` in their order and tells what they come to.
    pub(super) fn find(&self, state: &Live, sink: &mut dyn FnMut(&Delta)) -> Result<Found, Refusal> {
        match self.part.within {
            Within::Zone => self.find_whole(state, sink),
            Within::Under(_) | Within::Owner(_) | Within::Type(..) => {
                let (facts, findings) = self.find_part(state)?;
                let zones = facts.map(|facts| {
                    facts.deltas.iter().for_each(sink);
                    facts.zones
                });
                Ok(Found { findings, zones: zones.unwrap_or_default() })
            }
        }
    }

    /// Plans on `state` and stages the differences.
    pub(super) async fn staged(self: &Arc<Self>, ledger: &Arc<dyn Ledger>, state: Live) -> MaybePlanned {
        let planned_at = state.revision();
        if self.part.within != Within::Zone {
            let restore = self.clone();
            let found = tokio::task::spawn_blocking(move || restore.find_part(&state));
            let found = found.await.map_err(|error| SubmitError::Read(Arc::new(super::unavailable(error))))?;
            let (Some(facts), _) = found.map_err(SubmitError::Refused)? else { return Ok(None) };
            // A SOA carries the serial that it gets, so nothing else may have moved it.
            let has_soa = facts.deltas.iter().any(|delta| delta.key.rtype == RecordType::SOA);
            let part = if has_soa { Part::whole(&self.part.zone) } else { self.part.clone() };
            let scope = PlannedScope::Parts(vec![part]);
            return plan::staged(ledger, planned_at, facts, scope, Some(self.of)).await.map(Some);
        }
        let restore = self.clone();
        let zone = self.planned_zone(&state);
        let staged = plan::stage(ledger, move |sink| restore.find_whole(&state, sink)).await;
        let staged = staged.map_err(|error| SubmitError::Append(Arc::new(error)))?;
        if staged.given.map_err(SubmitError::Refused)?.zones.is_empty() {
            return Ok(None);
        }
        Ok(Some(Planned {
            kind: Kind::Restored,
            planned_at,
            zones: vec![zone],
            body: staged.body,
            scope: PlannedScope::Zones,
            content: PlannedContent::Zone(Arc::new(Then { view: self.then.clone(), apex: self.part.zone.clone() })),
            time: None,
            of: Some(self.of),
        }))
    }

    fn planned_zone(&self, state: &Live) -> PlannedZone {
        let zone = self.part.zone.clone();
        let life = if state.zone(&zone).is_some() { ZoneLife::Stays } else { ZoneLife::Created };
        PlannedZone { zone, life, asked: None, signed: false }
    }

    /// The whole zone: what stood once may stand again, so no rule is asked, and no more than one change is held.
    fn find_whole(&self, state: &Live, sink: &mut dyn FnMut(&Delta)) -> Result<Found, Refusal> {
        let apex = &self.part.zone;
        let change = self.planned_zone(state).settle(state).map_err(Refusal::one)?;
        let (mut findings, mut notable) = (Findings::default(), notable::Notable::default());
        let mut hidden = notable::Hidden::in_zone(apex);
        for difference in self.then.differences(state.view(), apex, apex) {
            let mut delta = delta(difference);
            if delta.key.rtype == RecordType::SOA {
                with_serials(&mut delta, &change);
            }
            if notable::ends_delegation(apex, &delta) {
                findings.warn(&Warning::delegation_removed(&delta.owner));
            }
            notable.see(&delta);
            hidden.see(state, &delta);
            findings.count(state, apex, &delta);
            sink(&delta);
        }
        hidden.warn(&mut findings);
        match change.life {
            ZoneLife::Stays => notable.warn(apex, self.of, self.sets(state), &mut findings),
            ZoneLife::Created | ZoneLife::Deleted => {
                let mut hidden = Vec::new();
                warnings::names_hidden(state, apex, &mut hidden);
                hidden.iter().for_each(|warning| findings.warn(warning));
            }
        }
        let is_change = findings.change_count() > 0 || change.life != ZoneLife::Stays;
        Ok(Found { findings, zones: if is_change { vec![change] } else { Vec::new() } })
    }

    /// A part of the zone: it has to fit what is beside it now.
    fn find_part(&self, state: &Live) -> Result<(Option<decide::Facts>, Findings), Refusal> {
        let (apex, now) = (&self.part.zone, state.view());
        let sets =
            |difference: Difference| (apex.clone(), difference.owner, difference.change.key, difference.change.after);
        let found: Vec<Difference> = match &self.part.within {
            Within::Zone => self.then.differences(now, apex, apex).collect(),
            Within::Under(top) => self.then.differences_under(now, apex, top).collect(),
            Within::Owner(name) | Within::Type(name, ..) => self.then.differences_at(now, apex, name),
        };
        let asked = found.into_iter().filter(|found| self.part.holds(&found.owner, found.change.key));
        let back = PutBack { lives: Vec::new(), sets: asked.map(sets).collect() };
        let mut warned = Vec::new();
        let facts = decide::put_back(state, Kind::Restored, back, &mut warned)?;
        let (mut findings, mut notable) = (Findings::default(), notable::Notable::default());
        warned.iter().for_each(|warning| findings.warn(warning));
        let mut hidden = notable::Hidden::in_zone(apex);
        for delta in facts.iter().flat_map(|facts| &facts.deltas) {
            notable.see(delta);
            hidden.see(state, delta);
            findings.count(state, apex, delta);
        }
        hidden.warn(&mut findings);
        notable.warn(apex, self.of, self.sets(state), &mut findings);
        Ok((facts, findings))
    }

    /// How many record sets the zone has now, or had then if those were more.
    fn sets(&self, state: &Live) -> u64 {
        let sets = |view: &View| view.zone(&self.part.zone).map_or(0, |zone| zone.set_count());
        sets(&self.then).max(sets(state.view()))
    }
}

/// The change from the present to then.
fn delta(difference: Difference) -> Delta {
    let Difference { owner, change, .. } = difference;
    Delta { zone: 0, owner, key: change.key, before: change.before, after: change.after }
}

fn with_serials(delta: &mut Delta, change: &ZoneChange) {
    let patched = |set: Option<RecordSet>, serial: Option<Serial>| match (set, serial) {
        (Some(set), Some(serial)) => Some(soa::with_serial(&set, serial)),
        (set, _) => set,
    };
    delta.before = patched(delta.before.take(), change.before);
    delta.after = patched(delta.after.take(), Some(change.after));
}

/// Whether a zone's SOA was signed by somebody else.
fn signed(view: &View, apex: &Name) -> bool {
    let owner = view.zone(apex).and_then(|zone| zone.owner(apex));
    owner.is_some_and(|owner| owner.set(SetKey::rrsig(RecordType::SOA)).is_some())
}

/// A zone as it was, for what is decided behind its restore in the same batch.
#[derive(Debug)]
struct Then {
    view: View,
    apex: Name,
}

impl ZoneContent for Then {
    fn sets(&self, owner: &Name) -> Option<Vec<(SetKey, RecordSet)>> {
        let owner = self.view.zone(&self.apex)?.owner(owner)?;
        Some(owner.sets().map(|set| (set.key(), set.to_record_set())).collect())
    }

    fn replaces(&self) -> bool {
        true
    }

    fn owners(&self) -> Box<dyn Iterator<Item = Name> + '_> {
        Box::new(self.view.zone(&self.apex).into_iter().flat_map(|zone| zone.owners()).map(|owner| owner.name()))
    }
}
