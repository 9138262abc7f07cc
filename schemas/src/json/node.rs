use serde::{Deserialize, Serialize};

use super::{EventNote, Record};

/// `GET /healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether the node may be sent traffic.
    pub ready: bool,
    /// Why not; empty when ready.
    pub reasons: Vec<String>,
    /// The state that answers show, `1:1041`.
    pub revision: String,
    /// The last event of the ledger that this node knows of, `1:1041`.
    #[serde(default)]
    pub head: String,
    /// The version of this software.
    #[serde(default)]
    pub version: String,
    /// `all`, `api`, `projector` or `dns`.
    #[serde(default)]
    pub role: String,
    /// Where the ledger lives: `file`, `etcd` or `memory`.
    #[serde(default)]
    pub ledger: String,
    /// Where DNS is answered; empty if it is not.
    #[serde(default)]
    pub dns: Vec<String>,
    /// The moment as of which DNS is answered for ever, if it is (`serve --at`): `r1041` or a time, never an age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Each view of the node.
    pub views: Vec<ViewStatus>,
}

/// One view of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewStatus {
    /// `answers`, `records`, `mirror` or `zone-keys`.
    pub view: String,
    /// The last event that it shows as a whole.
    pub revision: u64,
    /// Events of the ledger that it does not show yet.
    pub lag: u64,
    /// What it is doing.
    pub state: String,
    /// More about that, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The digest of its content.
    pub digest: String,
    /// Records that this view does not show as they are, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_shown: Vec<NotShown>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_shown_count: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A record set that a view does not show as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotShown {
    /// The zone.
    pub zone: String,
    /// The owner.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Why.
    pub reason: String,
}

/// `GET /lookup`: the responder's own answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED` …
    pub rcode: String,
    /// The AA flag.
    pub authoritative: bool,
    /// The state that answered.
    pub revision: u64,
    /// The moment that was asked for, `r1041` or a time; absent of the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment: Option<String>,
    /// Where there are no such records (`NXDOMAIN`, no data, `REFUSED`): the event since which that is so. Absent where
    /// there are, and where it never was otherwise, as far as was looked back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<EventNote>,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section.
    pub additional: Vec<Record>,
    /// The path that the answer took, step by step.
    pub trace: Vec<String>,
}
