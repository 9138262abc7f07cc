//! The mirror: every name's record sets as JSON in etcd, `{prefix}/{fqdn}`.

use std::collections::BTreeMap;

use conn3ction_schemas::{Name, RecordSet, SetKey, json::Record};

use crate::{
    Content,
    content::zones_at_or_above,
    key_view::{KeyView, OwnerStep, ZoneStep},
    prefix::Prefix,
};

/// etcd takes requests of at most 1.5 MiB. Only a name with dozens of sets at their own limit comes near.
const MOST_OCTETS: usize = 1 << 20;

/// The JSON object of a name's only record set, or an array of all its record sets.
#[derive(Debug, Clone)]
pub struct Mirror {
    prefix: Prefix,
}

impl Mirror {
    /// Keys under `prefix`.
    pub fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }

    /// What is stored for `name`; `None` if it has no record sets, or more than one request to etcd can hold.
    pub fn value(content: &dyn Content, name: &Name) -> Option<String> {
        Self::json(content, name).filter(|json| json.len() <= MOST_OCTETS)
    }

    /// Whether `name` has more record sets than one request to etcd can hold: then it has no key.
    #[cfg(feature = "etcd")]
    pub(crate) fn is_too_large(content: &dyn Content, name: &Name) -> bool {
        Self::json(content, name).is_some_and(|json| json.len() > MOST_OCTETS)
    }

    /// Whether the sets at `owner` may make up half of a value that is too large: a quick look that spares most owners the
    /// other one. (Two zones of ours may hold sets at one name.)
    #[cfg(feature = "etcd")]
    pub(crate) fn may_be_too_large(owner: &conn3ction_dns::store::OwnerView<'_>) -> bool {
        let octets: usize = owner
            .sets()
            .map(|set| 512 + set.to_record_set().rdata().iter().map(|rdata| rdata.as_wire().len() + 12).sum::<usize>())
            .sum();
        // `\\DDD` in JSON takes five octets for one.
        octets * 5 > MOST_OCTETS / 2
    }

    fn json(content: &dyn Content, name: &Name) -> Option<String> {
        let sets: Vec<(Name, SetKey, RecordSet)> = zones_at_or_above(content, name)
            .flat_map(|zone| {
                let sets = content.sets(&zone, name);
                sets.into_iter().map(move |(key, set)| (zone.clone(), key, set))
            })
            .collect();
        let ambiguous = |key: SetKey| sets.iter().filter(|(_, other, _)| *other == key).count() > 1;
        let records: Vec<Record> = sets
            .iter()
            .map(|(zone, key, set)| {
                let zone = ambiguous(*key).then(|| zone.without_dot());
                Record { zone, ..Record::new(name, *key, set) }
            })
            .collect();
        let json = match &records[..] {
            [] => return None,
            [record] => serde_json::to_string(record),
            records => serde_json::to_string(records),
        };
        json.ok()
    }
}

impl KeyView for Mirror {
    fn keys(&self, content: &dyn Content, name: &Name) -> BTreeMap<String, String> {
        Self::value(content, name).map(|value| (self.prefix.key(&name.without_dot()), value)).into_iter().collect()
    }

    fn name_of(&self, key: &str) -> Option<Name> {
        self.prefix.strip(key)?.parse().ok()
    }

    /// The apex: its SOA shows the serial.
    fn affected_by_zone(&self, step: &ZoneStep<'_>, each: &mut dyn FnMut(Name)) {
        each(step.zone.clone());
    }

    fn affected_by_owner(&self, step: &OwnerStep<'_>, each: &mut dyn FnMut(Name)) {
        each(step.owner.clone());
    }
}
