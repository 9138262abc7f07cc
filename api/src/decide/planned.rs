//! Large changes: planned outside the committer on an earlier revision, their bodies staged in the ledger. The
//! committer checks only that nothing in their scope changed since.

use std::{fmt, sync::Arc};

use conn3ction_schemas::{
    Delta, Name, RecordSet, Revision, Serial, SetKey, Timestamp, ZoneChange,
    event::{DraftBody, Kind, ZoneLife},
};

use super::{
    guard,
    part::Part,
    refusal::{BadItem, Refusal, RefusalKind},
    rules,
    state::{Scope, State},
    work::zone_change,
};

/// A change that was planned and encoded before it is decided.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The kind of event.
    pub kind: Kind,
    /// The revision it was planned on.
    pub planned_at: Revision,
    /// The zones it touches, in canonical order: deltas name them by their place here.
    pub zones: Vec<PlannedZone>,
    /// The deltas, encoded.
    pub body: DraftBody,
    /// What must be as it was at `planned_at`.
    pub scope: PlannedScope,
    /// What the zones hold afterwards, for the commands of the same batch.
    pub content: PlannedContent,
    /// When it took effect, if that is not when it is committed.
    pub time: Option<Timestamp>,
    /// The revision whose state comes back, or that is undone.
    pub of: Option<Revision>,
}

/// What a planned change means for one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedZone {
    /// Its apex.
    pub zone: Name,
    /// Whether it comes, stays or goes.
    pub life: ZoneLife,
    /// The serial of its new content.
    pub asked: Option<Serial>,
    /// The new content is signed, so its serial is the one asked for or none.
    pub signed: bool,
}

/// What must not have changed since the plan.
#[derive(Debug, Clone)]
pub enum PlannedScope {
    /// All of its zones.
    Zones,
    /// The sets of its deltas, and the names they stand at.
    Deltas,
    /// These parts of its zones.
    Parts(Vec<Part>),
    /// All of its zones, known by their serials, which every change moves: what is planned behind changes that have no
    /// revision yet.
    Serials(Vec<Before>),
}

/// How a zone must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Whether it exists.
    pub exists: bool,
    /// Its serial, or its last one; `None` if it never was.
    pub serial: Option<Serial>,
}

/// The state after a planned change, asked for by what is decided behind it in the same batch.
#[derive(Debug, Clone)]
pub enum PlannedContent {
    /// The deltas, small enough to keep.
    Deltas(Arc<[Delta]>),
    /// The new content of the only zone.
    Zone(Arc<dyn ZoneContent>),
}

/// The content of one zone, looked up by owner.
pub trait ZoneContent: fmt::Debug + Send + Sync {
    /// The sets of `owner` sorted by key; `None` where the zone keeps what it has.
    fn sets(&self, owner: &Name) -> Option<Vec<(SetKey, RecordSet)>>;

    /// Whether what is not in here is gone.
    fn replaces(&self) -> bool;

    /// All owners in canonical order.
    fn owners(&self) -> Box<dyn Iterator<Item = Name> + '_>;
}

impl Planned {
    /// Its zones with their serials on the state at hand.
    ///
    /// # Errors
    ///
    /// Why it no longer holds.
    pub(super) fn settle<S: State + ?Sized>(&self, state: &S) -> Result<Vec<ZoneChange>, Refusal> {
        let mut items = self.changed(state);
        let mut zones = Vec::with_capacity(self.zones.len());
        for zone in &self.zones {
            match zone.settle(state) {
                Ok(change) => zones.push(change),
                Err(item) => items.push(item),
            }
        }
        Refusal::of(items).map_or(Ok(zones), Err)
    }

    /// Its zones that are to be new and are not, where they are known by their serials.
    pub(crate) fn older<S: State + ?Sized>(&self, state: &S) -> Vec<BadItem> {
        let PlannedScope::Serials(before) = &self.scope else { return Vec::new() };
        let new = self.zones.iter().zip(before).filter(|(_, before)| before.serial.is_none());
        new.filter_map(|(zone, before)| before.differs(state, &zone.zone)).collect()
    }

    fn changed<S: State + ?Sized>(&self, state: &S) -> Vec<BadItem> {
        let at = self.planned_at;
        match (&self.scope, &self.content) {
            (PlannedScope::Deltas, PlannedContent::Deltas(deltas)) => {
                let owners = deltas.iter().filter_map(|delta| {
                    let zone = &self.zones[delta.zone as usize].zone;
                    let actual = state.changed_since(Scope::Owner(zone, &delta.owner), at)?;
                    Some(Refusal::changed_since("", &delta.owner.without_dot(), at, actual))
                });
                let lives = self
                    .zones
                    .iter()
                    .filter(|zone| (zone.life == ZoneLife::Created) == state.zone(&zone.zone).is_some());
                let lives = lives.filter_map(|zone| guard::changed_zone(state, &zone.zone, at));
                lives.chain(owners).collect()
            }
            (PlannedScope::Parts(parts), _) => parts.iter().filter_map(|part| part.changed(state, at)).collect(),
            (PlannedScope::Serials(before), _) => {
                let zones = self.zones.iter().zip(before);
                zones.filter_map(|(zone, before)| before.differs(state, &zone.zone)).collect()
            }
            (PlannedScope::Zones, _) | (_, PlannedContent::Zone(_)) => {
                self.zones.iter().filter_map(|zone| guard::changed_zone(state, &zone.zone, at)).collect()
            }
        }
    }
}

impl Before {
    fn differs<S: State + ?Sized>(self, state: &S, zone: &Name) -> Option<BadItem> {
        let living = state.zone(zone).map(|zone| zone.serial);
        let actual = Self { exists: living.is_some(), serial: living.or_else(|| state.last_serial(zone)) };
        let (kind, detail) = match (actual == self, self.serial) {
            (true, _) => return None,
            (false, None) => (RefusalKind::ZoneExists, format!("{zone} has a past in this ledger already")),
            (false, Some(_)) => (RefusalKind::ChangedSince, format!("{zone} was changed by somebody else meanwhile")),
        };
        Some(BadItem::at(kind, "", detail))
    }
}

impl PlannedZone {
    /// The serial that this zone goes on with.
    ///
    /// # Errors
    ///
    /// New signed content whose serial is not greater: ours would break its signature.
    pub(crate) fn settle<S: State + ?Sized>(&self, state: &S) -> Result<ZoneChange, BadItem> {
        let present = state.zone(&self.zone).map(|zone| zone.serial).or_else(|| state.last_serial(&self.zone));
        let change = zone_change(&self.zone, self.life, present, self.asked, &mut Vec::new());
        match self.asked {
            Some(asked) if self.signed && asked != change.after => {
                let detail = format!(
                    "{} is signed with serial {asked}, which is not greater than {} (RFC 1982)",
                    self.zone.without_dot(),
                    present.unwrap_or(asked)
                );
                Err(BadItem::at(RefusalKind::ZoneRule, "", detail).hint("import a newer signed master file"))
            }
            None if state.is_signed(&self.zone) && self.life == ZoneLife::Stays => {
                Err(rules::signed_elsewhere(&self.zone, ""))
            }
            _ => Ok(change),
        }
    }
}
