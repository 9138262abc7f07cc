//! The same values as in the module above, borrowed from the stored octets.

use uuid::Uuid;

use super::{Actor, Auth, Delta, EventHeader, Hash, Idempotency, Kind, ZoneChange, ZoneLife, read::ZoneChanges};
use crate::{Epoch, NameRef, RecordSetRef, Revision, Serial, SetKey, Timestamp};

/// An [`EventHeader`] that borrows what it says from its stored octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in EventHeader")]
pub struct HeaderRef<'a> {
    pub format: u8,
    pub revision: Revision,
    pub epoch: Epoch,
    pub id: Uuid,
    pub committed_at: Timestamp,
    pub time: Timestamp,
    pub raw_clock: Timestamp,
    pub kind: Kind,
    pub actor: &'a str,
    pub auth: Auth,
    pub source: &'a str,
    pub request_id: &'a str,
    pub idempotency: Option<IdempotencyRef<'a>>,
    pub reason: Option<&'a str>,
    pub zones: ZoneChanges<'a>,
    pub change_count: u64,
    pub of: Option<Revision>,
    pub previous_hash: Hash,
    pub body_digest: Hash,
}

/// An [`Idempotency`] that borrows its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in Idempotency")]
pub struct IdempotencyRef<'a> {
    pub key: &'a str,
    pub digest: Hash,
}

/// A [`ZoneChange`] that borrows the apex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in ZoneChange")]
pub struct ZoneChangeRef<'a> {
    pub zone: NameRef<'a>,
    pub before: Option<Serial>,
    pub after: Serial,
    pub life: ZoneLife,
}

/// A [`Delta`] that borrows names and rdata from its chunk.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in Delta")]
pub struct DeltaRef<'a> {
    pub zone: u32,
    pub owner: NameRef<'a>,
    pub key: SetKey,
    pub before: Option<RecordSetRef<'a>>,
    pub after: Option<RecordSetRef<'a>>,
}

impl From<HeaderRef<'_>> for EventHeader {
    fn from(header: HeaderRef<'_>) -> Self {
        Self {
            format: header.format,
            revision: header.revision,
            epoch: header.epoch,
            id: header.id,
            committed_at: header.committed_at,
            time: header.time,
            raw_clock: header.raw_clock,
            kind: header.kind,
            actor: Actor { name: header.actor.into(), auth: header.auth },
            source: header.source.into(),
            request_id: header.request_id.into(),
            idempotency: header
                .idempotency
                .map(|IdempotencyRef { key, digest }| Idempotency { key: key.into(), digest }),
            reason: header.reason.map(Into::into),
            zones: header.zones.iter().map(Into::into).collect(),
            change_count: header.change_count,
            of: header.of,
            previous_hash: header.previous_hash,
            body_digest: header.body_digest,
        }
    }
}

impl From<ZoneChangeRef<'_>> for ZoneChange {
    fn from(change: ZoneChangeRef<'_>) -> Self {
        let ZoneChangeRef { zone, before, after, life } = change;
        Self { zone: zone.to_name(), before, after, life }
    }
}

impl From<DeltaRef<'_>> for Delta {
    fn from(delta: DeltaRef<'_>) -> Self {
        let DeltaRef { zone, owner, key, before, after } = delta;
        let [before, after] = [before, after].map(|set| set.map(|set| set.to_record_set()));
        Self { zone, owner: owner.to_name(), key, before, after }
    }
}
