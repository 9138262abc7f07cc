use bytes::Bytes;
use uuid::Uuid;

use super::{
    Actor, BodyDigest, Delta, EventHeader, FORMAT_VERSION, Hash, Idempotency, Kind, Salt, SealedHeader, ZoneChange,
    chunk::ChunkWriter,
};
use crate::{Epoch, Revision, Timestamp};

/// An event that has been decided but has no place yet: everything but revision, times and the link to its predecessor.
#[derive(Debug, Clone)]
pub struct Draft {
    /// UUID v7.
    pub id: Uuid,
    /// The kind of intent.
    pub kind: Kind,
    /// Who.
    pub actor: Actor,
    /// Through which door.
    pub source: String,
    /// Correlation id.
    pub request_id: String,
    /// The client's idempotency key.
    pub idempotency: Option<Idempotency>,
    /// Why.
    pub reason: Option<String>,
    /// The zones touched, in canonical order.
    pub zones: Vec<ZoneChange>,
    /// What was restored or reverted.
    pub of: Option<Revision>,
    /// When it took effect, for imported history; else it takes effect when it is committed.
    pub time: Option<Timestamp>,
    /// The deltas.
    pub body: DraftBody,
}

/// The deltas of a draft, encoded.
#[derive(Debug, Clone)]
pub struct DraftBody {
    /// Hashed before the chunks.
    pub salt: Salt,
    /// SHA-256(salt ‖ chunk digests).
    pub digest: Hash,
    /// The number of deltas.
    pub change_count: u64,
    /// The chunks; of a large body only their number, because the ledger holds them already under this id.
    pub chunks: DraftChunks,
}

/// Where a draft's chunks are.
#[derive(Debug, Clone)]
pub enum DraftChunks {
    /// Here.
    Inline(Vec<Bytes>),
    /// Staged in the ledger, `count` of them.
    Staged {
        /// The id under which they were staged.
        id: Uuid,
        /// How many.
        count: u32,
    },
}

/// Where an event stands in the log: what is known only inside the commit.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The ledger's life.
    pub epoch: Epoch,
    /// The event's own revision.
    pub revision: Revision,
    /// The hash of the event before.
    pub previous_hash: Hash,
    /// Strictly after the event before and after what is closed.
    pub committed_at: Timestamp,
    /// What the clock showed.
    pub raw_clock: Timestamp,
}

impl Draft {
    /// Gives the draft its place.
    pub fn seal(&self, place: Place) -> SealedHeader {
        SealedHeader::seal(EventHeader {
            format: FORMAT_VERSION,
            revision: place.revision,
            epoch: place.epoch,
            id: self.id,
            committed_at: place.committed_at,
            time: self.time.unwrap_or(place.committed_at),
            raw_clock: place.raw_clock,
            kind: self.kind,
            actor: self.actor.clone(),
            source: self.source.clone(),
            request_id: self.request_id.clone(),
            idempotency: self.idempotency.clone(),
            reason: self.reason.clone(),
            zones: self.zones.clone(),
            change_count: self.body.change_count,
            of: self.of,
            previous_hash: place.previous_hash,
            body_digest: self.body.digest,
        })
    }
}

impl DraftBody {
    /// Encodes `deltas`, which are sorted by zone, owner and key.
    pub fn inline<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> Self {
        let salt = Salt::random();
        let mut writer = ChunkWriter::default();
        let mut digest = BodyDigest::new(&salt);
        let mut chunks = Vec::new();
        let mut change_count = 0;
        let mut keep = |chunk: Option<Bytes>| {
            if let Some(chunk) = chunk {
                digest.chunk(&chunk);
                chunks.push(chunk);
            }
        };
        for delta in deltas {
            change_count += 1;
            keep(writer.push(delta));
        }
        keep(writer.finish());
        Self { salt, digest: digest.finish(), change_count, chunks: DraftChunks::Inline(chunks) }
    }
}
