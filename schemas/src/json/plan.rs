use serde::{Deserialize, Serialize};

use super::{ChangeJson, EventZone};
use crate::{Delta, event::Draft, event::Kind};

/// What a dry run answers: the event that the request would append, and the request that appends exactly this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `records-changed`, `zone-created` …
    pub kind: String,
    /// Who.
    pub actor: String,
    /// How that is known.
    pub auth: String,
    /// Through which door.
    pub source: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The correlation id of the request.
    pub request_id: String,
    /// The zones touched.
    pub zones: Vec<EventZone>,
    /// How many changes the event would have; `changes` may show fewer.
    pub change_count: u64,
    /// The first changes.
    pub changes: Vec<ChangeJson>,
    /// The revision whose state would come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The revision that would be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<u64>,
    /// The head against which this was decided, `1:1044`.
    pub decided_at: String,
    /// The changes counted.
    pub summary: Summary,
    /// What stands in the way.
    pub conflicts: Vec<Conflict>,
    /// What would be done though it may surprise.
    pub warnings: Vec<Warning>,
    /// How long caches may keep the old answers, in seconds.
    pub cache_seconds: u32,
    /// The exact body to send; null where `apply_to` says what is sent instead, or where conflicts are in the way.
    pub apply: serde_json::Value,
    /// Where it goes; absent where conflicts are in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_to: Option<ApplyTo>,
}

/// The request that does exactly what a plan shows, or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyTo {
    /// `POST`, or `DELETE` for a zone that goes.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What `If-Match` carries, where no body has an `expected_revision`: `1:1044`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// For an import, whose body is the master file itself: the SHA-256 of the octets that were planned, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_sha256: Option<String>,
}

/// Changes by what becomes of the set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Sets that come to be.
    pub created: u64,
    /// Sets that get other values or another TTL.
    pub replaced: u64,
    /// Sets that go.
    pub deleted: u64,
}

/// A set that stands in the way of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
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
    /// Why.
    pub detail: String,
}

/// What a plan would do though it may surprise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// `delegation-removed`, `mixed-ttls`, `serial-not-used` …
    #[serde(rename = "type")]
    pub kind: String,
    /// The name concerned, without the last dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which line of a master file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What and why.
    pub detail: String,
}

impl Summary {
    /// Counts one more change.
    pub fn count(&mut self, delta: &Delta) {
        match (&delta.before, &delta.after) {
            (None, Some(_)) => self.created += 1,
            (Some(_), Some(_)) => self.replaced += 1,
            (Some(_), None) => self.deleted += 1,
            (None, None) => {}
        }
    }
}

impl Plan {
    /// The plan to append `draft`, with nothing said yet about conflicts, warnings, caches and how to apply it.
    pub fn new(draft: &Draft, decided_at: crate::Token, summary: Summary, changes: Vec<ChangeJson>) -> Self {
        let of = |kind| draft.of.filter(|_| draft.kind == kind).map(|revision| revision.0);
        Self {
            kind: draft.kind.as_str().into(),
            actor: draft.actor.name.clone(),
            auth: draft.actor.auth.as_str().into(),
            source: draft.source.clone(),
            reason: draft.reason.clone(),
            request_id: draft.request_id.clone(),
            zones: draft.zones.iter().map(EventZone::new).collect(),
            change_count: draft.body.change_count,
            changes,
            restores: of(Kind::Restored),
            reverts: of(Kind::Reverted),
            decided_at: decided_at.to_string(),
            summary,
            conflicts: Vec::new(),
            warnings: Vec::new(),
            cache_seconds: 0,
            apply: serde_json::Value::Null,
            apply_to: None,
        }
    }
}
