//! Walks over record sets: what `zone`, `under`, `name` and `type` let through, in one order that a list can stop in and go
//! on from.

use conn3ction_dns::{
    View,
    store::{OwnerView, SetView, ZoneView},
};
use conn3ction_schemas::{Name, RecordType, SetKey};

use super::problem::{Problem, ProblemKind};

/// Sets in one piece of a streamed list.
pub(super) const PIECE: usize = 512;

/// Which record sets are wanted.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) zone: Option<Name>,
    pub(super) under: Option<Name>,
    pub(super) name: Option<Name>,
    pub(super) rtype: Option<RecordType>,
    pub(super) covers: Option<RecordType>,
}

/// Where a set stands in the order of a list: zone, owner, type, covered type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) zone: Name,
    pub(super) owner: Name,
    pub(super) key: SetKey,
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let parsed = (|| {
            let mut parts = text.split(' ');
            let (zone, owner) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let rtype = parts.next()?.parse().ok()?;
            let covered = match parts.next() {
                Some(covered) => covered.parse().ok()?,
                None => RecordType(0),
            };
            Some(Self { zone, owner, key: SetKey { rtype, covered } })
        })();
        parsed.ok_or_else(|| Problem::new(ProblemKind::Malformed, "after is what a Link header names"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.zone, self.owner, self.key.rtype)?;
        if self.key.covered != RecordType(0) {
            write!(f, " {}", self.key.covered)?;
        }
        Ok(())
    }
}

/// Walks the sets that a filter lets through, zone by zone in canonical order, and can stop and go on anywhere.
pub(super) struct Cursor {
    filter: Filter,
    /// The zones still to be walked, the present one last.
    zones: Vec<Name>,
    /// Sets up to here were given out.
    after: Option<Place>,
}

impl Cursor {
    pub(super) fn new(view: &View, filter: Filter, after: Option<Place>) -> Self {
        let mut zones: Vec<Name> = match (&filter.zone, &filter.name) {
            (Some(zone), _) => vec![zone.clone()],
            (None, Some(name)) => (0..=name.label_count())
                .map(|labels| name.suffix(labels))
                .filter(|apex| view.zone(apex).is_some())
                .collect(),
            (None, None) => view.zones().map(|zone| zone.apex().clone()).collect(),
        };
        zones.retain(|apex| after.as_ref().is_none_or(|after| *apex >= after.zone));
        zones.sort_unstable_by(|a, b| b.cmp(a));
        Self { filter, zones, after }
    }

    /// What `make` makes of at most `limit` further sets; nothing at the end.
    pub(super) fn take<T>(
        &mut self,
        view: &View,
        limit: usize,
        mut make: impl FnMut(&Place, &ZoneView<'_>, &OwnerView<'_>, &SetView<'_>) -> T,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let mut last = None;
        while found.len() < limit {
            let Some(zone) = self.zones.last().and_then(|apex| view.zone(apex)) else { break };
            self.walk(&zone, &mut |place, owner, set| {
                found.push(make(&place, &zone, owner, set));
                last = Some(place);
                found.len() < limit
            });
            if found.len() < limit {
                self.zones.pop();
            }
        }
        if last.is_some() {
            self.after = last;
        }
        found
    }

    /// Gives the sets of `zone` to `found` until that says no.
    fn walk(&self, zone: &ZoneView<'_>, found: &mut dyn FnMut(Place, &OwnerView<'_>, &SetView<'_>) -> bool) {
        let after = self.after.as_ref().filter(|after| after.zone == *zone.apex());
        let mut owner = |owner: OwnerView<'_>| -> bool {
            let name = owner.name();
            for set in owner.sets() {
                let key = set.key();
                let passed = after.is_some_and(|after| (&after.owner, after.key) >= (&name, key));
                if passed || !self.wants(key) {
                    continue;
                }
                if !found(Place { zone: zone.apex().clone(), owner: name.clone(), key }, &owner, &set) {
                    return false;
                }
            }
            true
        };
        if let Some(name) = &self.filter.name {
            if self.filter.under.as_ref().is_some_and(|under| !name.is_at_or_below(under)) {
                return;
            }
            zone.owner(name).into_iter().for_each(|node| {
                owner(node);
            });
            return;
        }
        let start = match (after, &self.filter.under) {
            (Some(after), _) => after.owner.clone(),
            (None, Some(under)) if under.is_at_or_below(zone.apex()) => under.clone(),
            (None, Some(under)) if !zone.apex().is_at_or_below(under) => return,
            (None, _) => zone.apex().clone(),
        };
        for node in zone.owners_from(&start) {
            let outside = self.filter.under.as_ref().is_some_and(|under| !node.name().is_at_or_below(under));
            if outside || !owner(node) {
                break;
            }
        }
    }

    fn wants(&self, key: SetKey) -> bool {
        self.filter.wants(key)
    }
}

impl Filter {
    /// Whether the types fit.
    pub(super) fn wants(&self, key: SetKey) -> bool {
        self.rtype.is_none_or(|rtype| rtype == key.rtype) && self.covers.is_none_or(|covers| covers == key.covered)
    }
}
