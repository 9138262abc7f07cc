//! The same values as in the module above, borrowed from the stored octets.

use std::ops::Deref;

use super::{Actor, Delta, EventHeader, Fixed, Hash, Idempotency, ZoneChange, ZoneChanges, ZoneLife};
use crate::{NameRef, RecordSetRef, Serial, SetKey};

/// A header that is read where it lies: what has a fixed size was read before, the rest is when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct HeaderRef<'a> {
    pub(super) octets: &'a [u8],
    pub(super) fixed: &'a Fixed,
    /// The zones touched.
    pub zones: ZoneChanges<'a>,
}

impl Deref for HeaderRef<'_> {
    type Target = Fixed;

    #[inline]
    fn deref(&self) -> &Fixed {
        self.fixed
    }
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
            actor: Actor { name: header.actor().into(), auth: header.auth },
            source: header.source().into(),
            request_id: header.request_id().into(),
            idempotency: header
                .idempotency()
                .map(|IdempotencyRef { key, digest }| Idempotency { key: key.into(), digest }),
            reason: header.reason().map(Into::into),
            zones: header.zones.iter().map(Into::into).collect(),
            change_count: header.change_count,
            of: header.of,
            previous_hash: header.previous_hash(),
            body_digest: header.body_digest(),
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
