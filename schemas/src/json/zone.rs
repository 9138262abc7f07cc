use serde::{Deserialize, Serialize};

/// One zone, as `GET /zones` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneJson {
    /// The apex, without the last dot.
    pub name: String,
    /// The SOA serial.
    pub serial: u32,
    /// The revision of the zone's last change.
    pub revision: u64,
    /// How many records it has; a set of three values counts three.
    pub record_count: u64,
    /// Whether it was imported with its signatures and so is changed by import only.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub signed_elsewhere: bool,
    /// The servers that are notified.
    #[serde(default)]
    pub secondaries: Vec<Secondary>,
}

/// A server that follows a zone by NOTIFY and transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secondary {
    /// Address and port.
    pub address: String,
    /// The last serial that it was sent or told; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
}

/// The body of `POST /zones`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneInput {
    /// The apex, with or without the last dot.
    pub name: String,
    /// The targets of the NS records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nameservers: Option<Vec<String>>,
    /// The mailbox of who is responsible, `hostmaster@example.com` or as a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The TTL of new record sets that give none, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request is refused if the zone changed after this, `1:1044`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<String>,
}
