use serde::{Deserialize, Serialize};

/// What `GET /verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyJson {
    /// Whether everything held.
    pub ok: bool,
    /// The first revision that was read.
    pub from: u64,
    /// The last revision that was read.
    pub to: u64,
    /// The hash of the last event, in hex.
    pub hash: String,
    /// The first revision that is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<u64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Each view against the fold of the log.
    pub views: Vec<ViewCheck>,
    /// The pairs that somebody kept, if any were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<AnchorCheck>,
}

/// A revision and the hash that somebody kept of it, against the chain of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorCheck {
    /// The revision.
    pub revision: u64,
    /// The hash that was kept, in hex.
    pub hash: String,
    /// The hash that the event has now; absent if the ledger ends before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Whether they are the same: then nothing up to that revision changed since.
    pub ok: bool,
}

/// What `GET /replay` found: every view built anew up to a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayJson {
    /// Whether every view came out as it is shown of that moment.
    pub ok: bool,
    /// The last event replayed: the moment's.
    pub to: u64,
    /// How many events.
    pub events: u64,
    /// How long the fold of the answers took, in milliseconds.
    pub elapsed_ms: u64,
    /// Events folded in each second of that.
    pub events_per_second: u64,
    /// Each view built anew against the one of that moment.
    pub views: Vec<ViewCheck>,
}

/// What `export --ledger` copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCopy {
    /// The copy's directory.
    pub directory: String,
    /// How many events were added to it.
    pub events: u64,
    /// Its last revision.
    pub to: u64,
    /// The hash of its last event, in hex.
    pub hash: String,
}

/// How far a long check is, in the NDJSON form of `GET /verify` and `GET /replay`; the last line is the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckProgress {
    /// `chain` or `fold`.
    pub step: String,
    /// Events done.
    pub done: u64,
    /// Events in all.
    pub total: u64,
}

/// One view against the fold of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewCheck {
    /// `answers`, `records`, `mirror` or `zone-keys`.
    pub view: String,
    /// The revision that the view reflects.
    pub revision: u64,
    /// Its digest, in hex.
    pub digest: String,
    /// Whether the fold gives the same digest.
    pub ok: bool,
    /// How it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
