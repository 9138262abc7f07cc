use conn3ction_dns::View;
use conn3ction_schemas::{Name, RecordSet, RecordType, Serial, SetKey};

use crate::{Digest, EntryHash};

/// The records at one revision, as the views that are pure functions of it ask for them.
///
/// "Zone" means a zone that exists at that revision, named by its apex.
pub trait Content: Send + Sync {
    /// Every zone.
    fn zones(&self) -> Vec<Name>;

    /// The longest zone that `name` is at or below.
    fn zone_of(&self, name: &Name) -> Option<Name>;

    /// The zone's serial; `None` if there is no such zone.
    fn serial(&self, zone: &Name) -> Option<Serial>;

    /// The record sets at `owner` in `zone`, by key. A SOA carries the zone's serial.
    fn sets(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, RecordSet)>;

    /// One of [`Content::sets`].
    fn set(&self, zone: &Name, owner: &Name, key: SetKey) -> Option<RecordSet> {
        self.sets(zone, owner).into_iter().find(|(at, _)| *at == key).map(|(_, set)| set)
    }

    /// Whether `name` has record sets or descendants that have (RFC 8020): an owner or an empty non-terminal.
    fn exists(&self, zone: &Name, name: &Name) -> bool;

    /// Calls `each` with every owner and empty non-terminal of `zone` strictly below `name`.
    fn names_below(&self, zone: &Name, name: &Name, each: &mut dyn FnMut(Name));

    /// The number of record sets in `zone`.
    fn set_count(&self, zone: &Name) -> u64;
}

/// The zones that may hold sets at `name`: every zone at or above it, longest first. More than one where a zone of
/// ours stands inside another: NS and glue at a cut stand in parent and child.
pub(crate) fn zones_at_or_above<'a>(content: &'a dyn Content, name: &Name) -> impl Iterator<Item = Name> + 'a {
    let mut next = content.zone_of(name);
    std::iter::from_fn(move || {
        let zone = next.take()?;
        next = zone.parent().and_then(|parent| content.zone_of(&parent));
        Some(zone)
    })
}

/// Whether `name` lies at or below a cut of `zone`, or below a DNAME of it: the zone has no authoritative data there.
pub(crate) fn is_occluded(content: &dyn Content, zone: &Name, name: &Name) -> bool {
    let has = |owner: &Name, rtype| content.set(zone, owner, SetKey::of(rtype)).is_some();
    let mut at = name.clone();
    while at != *zone {
        if has(&at, RecordType::NS) || (at != *name && has(&at, RecordType::DNAME)) {
            return true;
        }
        match at.parent() {
            Some(parent) => at = parent,
            None => break,
        }
    }
    false
}

/// Calls `each` with every owner and empty non-terminal of every zone; a name that several zones hold comes once for
/// each.
#[cfg(feature = "etcd")]
pub(crate) fn every_name(content: &dyn Content, each: &mut dyn FnMut(Name)) {
    for zone in content.zones() {
        each(zone.clone());
        content.names_below(&zone, &zone, each);
    }
}

impl Content for View {
    fn zones(&self) -> Vec<Name> {
        View::zones(self).map(|zone| zone.apex().clone()).collect()
    }

    fn zone_of(&self, name: &Name) -> Option<Name> {
        View::zone_of(self, name).map(|zone| zone.apex().clone())
    }

    fn serial(&self, zone: &Name) -> Option<Serial> {
        self.zone(zone).map(|zone| zone.serial())
    }

    fn sets(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, RecordSet)> {
        let owner = self.zone(zone).and_then(|zone| zone.owner(owner));
        owner.map(|owner| owner.sets().map(|set| (set.key(), set.to_record_set())).collect()).unwrap_or_default()
    }

    fn set(&self, zone: &Name, owner: &Name, key: SetKey) -> Option<RecordSet> {
        Some(self.zone(zone)?.owner(owner)?.set(key)?.to_record_set())
    }

    fn exists(&self, zone: &Name, name: &Name) -> bool {
        self.zone(zone).is_some_and(|zone| zone.owners_under(name).next().is_some())
    }

    fn names_below(&self, zone: &Name, name: &Name, each: &mut dyn FnMut(Name)) {
        let Some(zone) = self.zone(zone) else { return };
        let mut last: Option<Name> = None;
        for owner in zone.owners_under(name) {
            let owner = owner.name();
            // Canonical order: an ancestor was met already exactly if the owner before is below it, too.
            let mut at = owner.clone();
            while at != *name && last.as_ref().is_none_or(|last| !last.is_at_or_below(&at)) {
                each(at.clone());
                let Some(parent) = at.parent() else { break };
                at = parent;
            }
            last = Some(owner);
        }
    }

    fn set_count(&self, zone: &Name) -> u64 {
        self.zone(zone).map_or(0, |zone| zone.set_count())
    }
}

/// The digest of all zones and record sets, as the fold computes it along the way.
pub fn digest(content: &View) -> Digest {
    let mut digest = Digest::default();
    for zone in View::zones(content) {
        digest.add(EntryHash::of_zone(zone.apex(), zone.serial()));
        for owner in zone.owners() {
            let name = owner.name();
            for set in owner.sets() {
                digest.add(EntryHash::of_set(zone.apex(), &name, set.key(), &set.to_record_set()));
            }
        }
    }
    digest
}
