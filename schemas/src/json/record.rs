use serde::{Deserialize, Serialize};

use crate::{Name, RecordSet, RecordType, SetKey};

/// One record set, as `GET /records` shows it.
///
/// ```
/// use conn3ction_schemas::json::Record;
/// let text = r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#;
/// let record: Record = serde_json::from_str(text).unwrap();
/// assert_eq!(serde_json::to_string(&record).unwrap(), text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The owner, without the last dot.
    pub name: String,
    /// The record type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The values as `dig +short` prints them.
    pub values: Vec<String>,
    /// Seconds.
    pub ttl: u32,
    /// The type that RRSIG records cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
    /// The zone, when another zone of ours holds the same name and type, or when the event is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// As of a point in time over several zones: the last revision of its zone by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Where the set came from, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventNote>,
}

/// The event that a record set stems from, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNote {
    /// The event's place in the ledger.
    pub revision: u64,
    /// When it took effect.
    pub time: String,
    /// Who did it.
    pub actor: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// TTL and values of a set whose name and type stand elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetJson {
    /// Seconds.
    pub ttl: u32,
    /// The values as `dig +short` prints them.
    pub values: Vec<String>,
}

/// The body of `POST /records` and `PUT /records/{name}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordInput {
    /// The owner, with or without the last dot; may be left out where the path says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The record type; may be left out where the path says it or only one set is there.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// The values.
    pub values: Vec<String>,
    /// Seconds; without it the set's present TTL holds, else the zone's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The type that RRSIG values cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
    /// The zone, where the longest one that fits is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The write is refused if the set changed after this, `1:1044`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<String>,
}

impl Record {
    /// The record set `key` at `owner`.
    pub fn new(owner: &Name, key: SetKey, set: &RecordSet) -> Self {
        let SetJson { ttl, values } = SetJson::new(key.rtype, set);
        let (rtype, covers) = key_texts(key);
        Self { name: owner.without_dot(), rtype, values, ttl, covers, zone: None, revision: None, event: None }
    }
}

impl SetJson {
    /// `set`, whose records are of type `rtype`.
    pub fn new(rtype: RecordType, set: &RecordSet) -> Self {
        Self { ttl: set.ttl().as_secs(), values: set.rdata().iter().map(|rdata| rdata.to_text(rtype)).collect() }
    }
}

/// The members `type` and `covers`.
pub(super) fn key_texts(key: SetKey) -> (String, Option<String>) {
    (key.rtype.to_string(), (key.covered != RecordType(0)).then(|| key.covered.to_string()))
}
