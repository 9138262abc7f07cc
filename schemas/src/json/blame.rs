use serde::{Deserialize, Serialize};

/// One row of `GET /blame`: who put a value there, or who took a record set away; also the row of its CSV form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameRow {
    /// The zone's apex, without the last dot.
    pub zone: String,
    /// The owner, without the last dot.
    pub name: String,
    /// The record type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The type that RRSIG records cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
    /// The value as `dig +short` prints it; null if the set is gone.
    pub value: Option<String>,
    /// Seconds; null if the set is gone.
    pub ttl: Option<u32>,
    /// The event that put the value there, or took the set away.
    pub revision: u64,
    /// When that took effect.
    pub time: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// The last event that changed the set in any way, its TTL or another value.
    pub set_revision: u64,
}
