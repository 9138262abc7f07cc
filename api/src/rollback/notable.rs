use std::collections::BTreeMap;

use conn3ction_schemas::{Delta, Name, RecordType, Revision};

use crate::{
    decide::{
        Live, State,
        warnings::{Warning, WarningKind},
    },
    plan::Findings,
};

/// Sets that a warning names; the rest is counted.
const NAMED: usize = 10;
/// The part of a zone's sets, in percent, of which one is warned.
const LARGE_PERCENT: u64 = 30;

/// What is worth a warning about the changes that a restore makes.
#[derive(Debug, Default)]
pub(super) struct Notable {
    lost: u64,
    named: Vec<String>,
    changed: u64,
}

impl Notable {
    /// Takes in one more change.
    pub(super) fn see(&mut self, delta: &Delta) {
        self.changed += 1;
        if delta.before.is_some() && delta.after.is_none() {
            self.lost += 1;
            if self.named.len() < NAMED {
                self.named.push(format!("{} {}", delta.owner.without_dot(), delta.key.rtype));
            }
        }
    }

    /// Warns of what was seen: `of` is the revision that comes back, `sets` how many sets the zone has.
    pub(super) fn warn(self, zone: &Name, of: Revision, sets: u64, findings: &mut Findings) {
        if self.lost > 0 {
            let more = self.lost - self.named.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let what = if self.lost == 1 { "set is" } else { "sets are" };
            let detail =
                format!("{} record {what} younger than {of} and lost: {}{more}", self.lost, self.named.join(", "));
            findings.warn(&Warning::new(WarningKind::NewerLost, zone, detail));
        }
        if self.changed * 100 > sets * LARGE_PERCENT {
            let detail = format!("{} of {sets} record sets change, over {LARGE_PERCENT} %", self.changed);
            findings.warn(&Warning::new(WarningKind::LargePart, zone, detail));
        }
    }
}

/// What comes back and is not served, because a zone below answers for it.
#[derive(Debug)]
pub(super) struct Hidden<'a> {
    zone: &'a Name,
    /// By the zone that answers: how many sets, and the first of their names.
    by: BTreeMap<Name, (u64, Vec<String>)>,
}

impl<'a> Hidden<'a> {
    pub(super) fn in_zone(zone: &'a Name) -> Self {
        Self { zone, by: BTreeMap::new() }
    }

    /// Takes in one more change.
    pub(super) fn see(&mut self, state: &Live, delta: &Delta) {
        let Some(answering) =
            state.zone_of(&delta.owner).filter(|zone| zone != self.zone && zone.is_at_or_below(self.zone))
        else {
            return;
        };
        let at_cut = delta.owner == answering && matches!(delta.key.rtype, RecordType::NS | RecordType::DS);
        if delta.after.is_none() || at_cut {
            return;
        }
        let (count, named) = self.by.entry(answering).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(format!("{} {}", delta.owner.without_dot(), delta.key.rtype));
        }
    }

    /// Warns of what was seen.
    pub(super) fn warn(self, findings: &mut Findings) {
        for (answering, (count, named)) in self.by {
            let more = count - named.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let detail = format!("{answering} answers there, so this comes back unseen: {}{more}", named.join(", "));
            findings.warn(&Warning::new(WarningKind::NamesHidden, self.zone, detail));
        }
    }
}

/// Whether a change takes a delegation away.
pub(super) fn ends_delegation(zone: &Name, delta: &Delta) -> bool {
    delta.key.rtype == RecordType::NS && delta.owner != *zone && delta.before.is_some() && delta.after.is_none()
}
