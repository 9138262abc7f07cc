//! The zone keys: what CoreDNS and scripts read in etcd, in two layouts under one prefix.
//!
//! The keys of a name are a pure function of the records at a revision ([`ZoneKeys::keys`]); a change of the view is the
//! difference of that function before and after. [`flat`] is the documented layout, [`coredns`] the one that CoreDNS's
//! etcd plugin reads, and [`limits`] says what that plugin cannot show: such records are in no key of its layout, and
//! [`not_representable`] gives the reason.

mod affected;
mod coredns;
mod flat;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use conn3ction_schemas::{Name, RecordSet, RecordType, SetKey};

pub use limits::Reason;

use crate::{
    Content,
    content::zones_at_or_above,
    key_view::{KeyView, OwnerStep, ZoneStep},
    prefix::Prefix,
};

/// A zone with more record sets than this is written only if it is named in the settings: etcd holds every key in
/// memory.
pub const MOST_SETS: u64 = 50_000;

/// Which zone keys are written where.
#[derive(Debug, Clone)]
pub struct ZoneKeys {
    prefix: Prefix,
    large_zones: HashSet<Name>,
}

impl ZoneKeys {
    /// Keys under `prefix`; of zones over [`MOST_SETS`] only those in `large_zones`.
    pub fn new(prefix: Prefix, large_zones: impl IntoIterator<Item = Name>) -> Self {
        Self { prefix, large_zones: large_zones.into_iter().collect() }
    }

    fn is_written(&self, content: &dyn Content, zone: &Name) -> bool {
        !zone.is_root() && (self.large_zones.contains(zone) || content.set_count(zone) <= MOST_SETS)
    }

    /// Why nothing of `zone` is written, if that is so.
    pub fn zone_not_written(&self, content: &dyn Content, zone: &Name) -> Option<Reason> {
        if zone.is_root() {
            Some(Reason::RootZone)
        } else if !self.is_written(content, zone) {
            Some(Reason::LargeZone)
        } else {
            None
        }
    }

    /// Why CoreDNS does not show this record set as it is; `None` if it does.
    pub fn not_representable(
        &self,
        content: &dyn Content,
        zone: &Name,
        owner: &Name,
        key: SetKey,
        set: &RecordSet,
    ) -> Option<Reason> {
        self.zone_not_written(content, zone).or_else(|| not_representable(content, zone, owner, key, set))
    }
}

/// Why CoreDNS's etcd plugin cannot show this record set as it is; `None` if it can.
pub fn not_representable(
    content: &dyn Content,
    zone: &Name,
    owner: &Name,
    key: SetKey,
    set: &RecordSet,
) -> Option<Reason> {
    let place = limits::place(content, zone, owner);
    // A zone at `dns` below this one takes the place where the apex's addresses would stand.
    let taken = || {
        let address = owner == zone && matches!(key.rtype, RecordType::A | RecordType::AAAA);
        let dns = zone.child(b"dns").ok().filter(|_| address)?;
        (content.zone_of(&dns).as_ref() != Some(zone)).then_some(Reason::ReservedName)
    };
    place.or_else(taken).or_else(|| limits::judge(zone, owner, key, set, &content.sets(zone, owner)).reason())
}

impl KeyView for ZoneKeys {
    fn keys(&self, content: &dyn Content, name: &Name) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        for zone in zones_at_or_above(content, name) {
            if self.is_written(content, &zone) {
                flat::keys(&self.prefix, &zone, name, &content.sets(&zone, name), &mut keys);
            }
        }
        if let Some(zone) = content.zone_of(name)
            && self.is_written(content, &zone)
        {
            coredns::keys(&self.prefix, content, &zone, name, &mut keys);
        }
        keys
    }

    /// Of keys in CoreDNS's layout, nobody needs the name.
    fn name_of(&self, key: &str) -> Option<Name> {
        flat::name_of(&self.prefix, key)
    }

    fn affected_by_zone(&self, change: &ZoneStep<'_>, each: &mut dyn FnMut(Name)) {
        affected::by_zone(self, change, each);
    }

    fn affected_by_owner(&self, change: &OwnerStep<'_>, each: &mut dyn FnMut(Name)) {
        affected::by_owner(change, each);
    }
}
