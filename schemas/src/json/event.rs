use serde::{Deserialize, Serialize};

use super::{SetJson, Warning, is_false, record::key_texts};
use crate::{
    Delta, EventHeader, Kind, Name, ZoneChange,
    event::{SealedHeader, ZoneLife},
};

/// An event, as `GET /events` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventJson {
    /// The place in the ledger.
    pub revision: u64,
    /// The ledger's life.
    pub epoch: u32,
    /// UUID v7.
    pub id: String,
    /// When it took effect.
    pub time: String,
    /// When it was stored, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<String>,
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
    /// How many changes the event has; `changes` may show fewer.
    pub change_count: u64,
    /// The first changes, or those that a filter asked for.
    pub changes: Vec<ChangeJson>,
    /// The revision whose state came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The revision that was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<u64>,
    /// What was done though it may surprise; only in the answer to the change set that made the event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The hash of the event before, in hex.
    pub previous_hash: String,
    /// The event's hash, in hex.
    pub hash: String,
}

/// What an event did to one zone as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventZone {
    /// The apex, without the last dot.
    pub name: String,
    /// The serial from this event on.
    pub serial: u32,
    /// The serial before; absent if the zone never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_serial: Option<u32>,
    /// The zone exists from this event on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub created: bool,
    /// The zone does not exist from this event on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
}

/// One record set's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeJson {
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
    /// The set before; null if there was none.
    pub before: Option<SetJson>,
    /// The set after; null if there is none.
    pub after: Option<SetJson>,
}

/// One version of a record set in `GET /records/{name}/history`; also the row of its CSV form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The event's place in the ledger.
    pub revision: u64,
    /// When it took effect.
    pub time: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// The kind of the event.
    pub kind: String,
    /// The zone's apex, without the last dot.
    pub zone: String,
    /// The zone's serial from the event on.
    pub serial: u32,
    /// The owner, without the last dot.
    pub name: String,
    /// The record type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The type that RRSIG records cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
    /// The set before; null if there was none.
    pub before: Option<SetJson>,
    /// The set after; null if there is none.
    pub after: Option<SetJson>,
}

impl EventJson {
    /// The event of `header` with the changes that are to be shown.
    pub fn new(header: &SealedHeader, changes: Vec<ChangeJson>) -> Self {
        Self {
            revision: header.revision.0,
            epoch: header.epoch.0,
            id: header.id.to_string(),
            time: header.time.to_string(),
            committed_at: (header.committed_at != header.time).then(|| header.committed_at.to_string()),
            kind: header.kind.as_str().into(),
            actor: header.actor.name.clone(),
            auth: header.actor.auth.as_str().into(),
            source: header.source.clone(),
            reason: header.reason.clone(),
            request_id: header.request_id.clone(),
            zones: header.zones.iter().map(EventZone::new).collect(),
            change_count: header.change_count,
            changes,
            restores: of(header, Kind::Restored),
            reverts: of(header, Kind::Reverted),
            warnings: Vec::new(),
            previous_hash: header.previous_hash.to_string(),
            hash: header.hash().to_string(),
        }
    }
}

fn of(header: &EventHeader, kind: Kind) -> Option<u64> {
    header.of.filter(|_| header.kind == kind).map(|revision| revision.0)
}

impl EventZone {
    /// What `change` says.
    pub fn new(change: &ZoneChange) -> Self {
        Self {
            name: change.zone.without_dot(),
            serial: change.after.0,
            previous_serial: change.before.map(|serial| serial.0),
            created: change.life == ZoneLife::Created,
            deleted: change.life == ZoneLife::Deleted,
        }
    }
}

impl ChangeJson {
    /// What `delta` says; `zone` is the apex that its number stands for.
    pub fn new(zone: &Name, delta: &Delta) -> Self {
        let (rtype, covers) = key_texts(delta.key);
        let shown = |set: &Option<crate::RecordSet>| set.as_ref().map(|set| SetJson::new(delta.key.rtype, set));
        Self {
            zone: zone.without_dot(),
            name: delta.owner.without_dot(),
            rtype,
            covers,
            before: shown(&delta.before),
            after: shown(&delta.after),
        }
    }
}
