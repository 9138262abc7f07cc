use conn3ction_schemas::{Name, RecordSet, RecordType, SetKey};
use serde::Serialize;

/// A record set in the documented JSON form, as etcd's mirror and the local store hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The owner, without its last dot.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The values, as `dig +short` prints them.
    pub values: Vec<String>,
    /// The TTL in seconds.
    pub ttl: u32,
    /// For RRSIG the covered type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
    /// The zone, where another zone of ours holds the same name and type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Record {
    /// The JSON form of the set `key` at `owner`.
    pub fn new(owner: &Name, key: SetKey, set: &RecordSet) -> Self {
        Self {
            name: owner.without_dot(),
            rtype: key.rtype.to_string(),
            values: set.rdata().iter().map(|rdata| rdata.to_text(key.rtype).to_string()).collect(),
            ttl: set.ttl().as_secs(),
            covers: (key.rtype == RecordType::RRSIG).then(|| key.covered.to_string()),
            zone: None,
        }
    }

    /// The same, naming its zone.
    #[must_use]
    pub fn in_zone(self, zone: &Name) -> Self {
        Self { zone: Some(zone.without_dot()), ..self }
    }
}
