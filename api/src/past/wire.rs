//! The lines of `POST /history`, and its answer.

use conn3ction_schemas::json::SetJson;
use serde::{Deserialize, Serialize};

/// One version: it becomes one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionInput {
    /// The commit, or the file's name: told in the event's `source`.
    pub id: String,
    /// When it took effect, RFC 3339.
    pub time: String,
    /// Who; without it whoever sends the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every zone that this version changes.
    pub zones: Vec<ZoneVersion>,
    /// What changes in them.
    #[serde(default)]
    pub changes: Vec<SetVersion>,
}

/// A zone in a version. One that is not there is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneVersion {
    /// Its apex.
    pub name: String,
    /// The serial in its SOA; taken if it is greater than the one before.
    pub serial: u32,
    /// The zone goes, with all its records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A record set in a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetVersion {
    /// The apex of its zone.
    pub zone: String,
    /// The owner.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The set as it is now; `null`: it is gone. Signatures go and come by the type that they cover.
    pub after: Option<SetJson>,
    /// For RRSIG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
}

/// What became of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The events that it made.
    pub events: u64,
    /// The versions before them that were stored already: it went on where an import had broken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub already: Option<u64>,
    /// The first one's revision.
    pub first: Option<u64>,
    /// The last one's revision.
    pub last: Option<u64>,
    /// The zones that it gave a past, those that it deleted again, too.
    pub zones: Vec<String>,
}
