//! Events: the atomic unit of the ledger, one user intent, as header and body.
//!
//! The header says who, when, why, which zones and how many changes; it carries the hash of the event before it and a
//! digest of its body. The body is the sorted record-set [`Delta`]s, each with before and after, in [`chunk`]s of at
//! most [`chunk::MAX_OCTETS`]. Folds read deltas and never the kind. Nobody needs to hold a whole body.
//!
//! The stored form is deterministic CBOR ([RFC 8949 section 4.2]); `schemas/event.cddl` describes it. An event's hash is
//! SHA-256 of its header octets; the body enters by its digest, SHA-256(salt ‖ chunk digests). So a conflict re-seals
//! headers only, and a leaked secret can be redacted from a body while the chain still holds.
//!
//! [RFC 8949 section 4.2]: https://www.rfc-editor.org/rfc/rfc8949#section-4.2

mod borrowed;
mod cbor;
pub mod chunk;
mod draft;
pub(crate) mod read;

use std::{fmt, ops::Deref, sync::OnceLock};

use bytes::Bytes;
use minicbor::Encode;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Epoch, Name, RecordSet, Revision, Serial, SetKey, Timestamp};
pub use borrowed::{DeltaRef, HeaderRef, IdempotencyRef, ZoneChangeRef};
pub use draft::{Draft, DraftBody, DraftChunks, Place};
pub use read::{Fixed, Reader, ZoneChanges};

/// The version of the stored form that this build writes. Newer ones are refused, older ones are read for ever.
pub const FORMAT_VERSION: u8 = 1;

/// A SHA-256 digest, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

/// What kind of user intent an event records. For people and filters; folds do not look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode)]
#[cbor(index_only)]
pub enum Kind {
    /// Record sets were created, replaced or deleted.
    #[n(0)]
    RecordsChanged,
    /// A zone was created.
    #[n(1)]
    ZoneCreated,
    /// A zone was deleted with all its records.
    #[n(2)]
    ZoneDeleted,
    /// A master file was taken in.
    #[n(3)]
    ZoneImported,
    /// A zone or a part of it was brought back to an earlier state.
    #[n(4)]
    Restored,
    /// An event or a part of it was undone.
    #[n(5)]
    Reverted,
}

impl Kind {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: [Kind; 6] = [
        Self::RecordsChanged,
        Self::ZoneCreated,
        Self::ZoneDeleted,
        Self::ZoneImported,
        Self::Restored,
        Self::Reverted,
    ];

    /// The name in JSON, `records-changed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecordsChanged => "records-changed",
            Self::ZoneCreated => "zone-created",
            Self::ZoneDeleted => "zone-deleted",
            Self::ZoneImported => "zone-imported",
            Self::Restored => "restored",
            Self::Reverted => "reverted",
        }
    }
}

/// Who did it, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct Actor {
    /// The token's actor, or what the header claimed.
    #[n(0)]
    pub name: String,
    /// How the name is known.
    #[n(1)]
    pub auth: Auth,
}

/// How an actor's name is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[cbor(index_only)]
pub enum Auth {
    /// It was claimed, and nothing proves it.
    #[n(0)]
    None,
    /// It belongs to a bearer token.
    #[n(1)]
    Token,
}

impl Auth {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Token => "token",
        }
    }
}

/// What an event did to one zone as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct ZoneChange {
    /// The zone's apex.
    #[n(0)]
    pub zone: Name,
    /// The serial before; `None` if the zone never was.
    #[n(1)]
    pub before: Option<Serial>,
    /// The serial from this event on; for a deleted zone its last one.
    #[n(2)]
    pub after: Serial,
    /// Whether the zone came or went.
    #[n(3)]
    pub life: ZoneLife,
}

/// Whether a zone came, stayed or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[cbor(index_only)]
pub enum ZoneLife {
    /// It was there and stays.
    #[n(0)]
    Stays,
    /// It exists from this event on.
    #[n(1)]
    Created,
    /// It does not exist from this event on.
    #[n(2)]
    Deleted,
}

/// What makes a retry of one command recognisable (one name space per actor).
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct Idempotency {
    /// The client's key.
    #[n(0)]
    pub key: String,
    /// SHA-256 of the request, so that the same key with another request is told apart.
    #[n(1)]
    pub digest: Hash,
}

/// The header of an event. See the module's page for what is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct EventHeader {
    /// [`FORMAT_VERSION`] of the writer.
    #[n(0)]
    pub format: u8,
    /// Dense place in the ledger.
    #[n(1)]
    pub revision: Revision,
    /// The ledger's life.
    #[n(2)]
    pub epoch: Epoch,
    /// UUID v7 of the event.
    #[n(3)]
    #[cbor(encode_with = "cbor::encode_uuid")]
    pub id: Uuid,
    /// When it was stored: strictly rising with the revision, whatever clocks do.
    #[n(4)]
    pub committed_at: Timestamp,
    /// When it took effect: strictly rising per zone; `committed_at` except for imported history.
    #[n(5)]
    pub time: Timestamp,
    /// What the committer's clock showed.
    #[n(6)]
    pub raw_clock: Timestamp,
    /// The kind of intent.
    #[n(7)]
    pub kind: Kind,
    /// Who.
    #[n(8)]
    pub actor: Actor,
    /// Through which door: `rest`, `import`, `migrate:/prefix` ...
    #[n(9)]
    pub source: String,
    /// The correlation id of the request.
    #[n(10)]
    pub request_id: String,
    /// The client's idempotency key, if it gave one.
    #[n(11)]
    pub idempotency: Option<Idempotency>,
    /// Why, in the user's words.
    #[n(12)]
    pub reason: Option<String>,
    /// The zones touched, in canonical order; deltas name a zone by its place here.
    #[n(13)]
    pub zones: Vec<ZoneChange>,
    /// The number of deltas in the body.
    #[n(14)]
    pub change_count: u64,
    /// For `restored`: the revision whose state came back; for `reverted`: the revision undone.
    #[n(15)]
    pub of: Option<Revision>,
    /// The hash of the event before; zeros for the first.
    #[n(16)]
    pub previous_hash: Hash,
    /// SHA-256(salt ‖ chunk digests).
    #[n(17)]
    pub body_digest: Hash,
}

/// One record set's change: what it was and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The place of the zone in [`EventHeader::zones`].
    pub zone: u32,
    /// The owner name.
    pub owner: Name,
    /// Type and covered type.
    pub key: SetKey,
    /// The set before; `None` if there was none.
    pub before: Option<RecordSet>,
    /// The set after; `None` if there is none any more.
    pub after: Option<RecordSet>,
}

/// A header with the octets that were or will be stored, and their hash.
///
/// What a chain is checked by is at hand; all of it is read where it lies ([`SealedHeader::read`]), or made into an
/// [`EventHeader`] when somebody looks at one.
#[derive(Debug, Clone)]
pub struct SealedHeader {
    octets: Bytes,
    hash: Hash,
    fixed: Fixed,
    header: OnceLock<Box<EventHeader>>,
}

/// Why stored octets are no event of ours.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// Written by a later version.
    #[error("event format {0} is newer than this build reads ({FORMAT_VERSION})")]
    Newer(u8),
    /// Not the stored form.
    #[error("malformed event: {0}")]
    Malformed(String),
}

impl From<minicbor::decode::Error> for FormError {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl SealedHeader {
    /// Encodes and hashes `header`.
    pub fn seal(header: EventHeader) -> Self {
        let octets: Bytes = cbor::to_vec(&header).into();
        match Self::decode(octets) {
            Ok(sealed) => Self { header: OnceLock::from(Box::new(header)), ..sealed },
            Err(error) => unreachable!("what this build writes it also reads: {error}"),
        }
    }

    /// Reads stored octets, which are kept as they are given. The hash is computed, not checked against anything.
    ///
    /// # Errors
    ///
    /// [`FormError`].
    #[inline]
    pub fn decode(octets: Bytes) -> Result<Self, FormError> {
        let fixed = Fixed::read(&octets)?;
        let hash = Hash::of(&octets);
        Ok(Self { octets, hash, fixed, header: OnceLock::new() })
    }

    /// The same without what its octets were read with: for whoever keeps a few headers for long.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { octets: Bytes::copy_from_slice(&self.octets), ..self.clone() }
    }

    /// The octets as stored.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// SHA-256 of the octets: this event's hash.
    #[inline]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The members that have a fixed size, but for the two digests, which [`HeaderRef`] reads where they lie.
    #[inline]
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// All that the header says, read from its octets.
    #[inline]
    pub fn read(&self) -> HeaderRef<'_> {
        HeaderRef::new(&self.octets, &self.fixed)
    }
}

/// Equal octets say the same.
impl PartialEq for SealedHeader {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for SealedHeader {}

impl Deref for SealedHeader {
    type Target = EventHeader;

    fn deref(&self) -> &EventHeader {
        self.header.get_or_init(|| Box::new(self.read().into()))
    }
}

impl Hash {
    /// The digest of `octets`.
    pub fn of(octets: &[u8]) -> Self {
        Self(Sha256::digest(octets).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Computes a body's digest chunk by chunk.
#[derive(Debug, Clone)]
pub struct BodyDigest(Sha256);

impl BodyDigest {
    /// Begins with the body's salt.
    pub fn new(salt: &Salt) -> Self {
        Self(Sha256::new().chain_update(salt.0))
    }

    /// The digest of a whole body.
    pub fn of(salt: &Salt, chunks: &[Bytes]) -> Hash {
        if let [chunk] = chunks {
            // As most are: 48 octets at once cost less than a state that takes them in parts.
            let mut octets = [0; size_of::<Salt>() + size_of::<Hash>()];
            let (head, tail) = octets.split_at_mut(size_of::<Salt>());
            head.copy_from_slice(&salt.0);
            tail.copy_from_slice(&Hash::of(chunk).0);
            return Hash::of(&octets);
        }
        let mut digest = Self::new(salt);
        chunks.iter().for_each(|chunk| digest.chunk(chunk));
        digest.finish()
    }

    /// Adds the next chunk.
    pub fn chunk(&mut self, octets: &[u8]) {
        self.0.update(Hash::of(octets).0);
    }

    /// The digest.
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// Random octets hashed before a body, so that a redacted short body cannot be guessed from its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[cbor(transparent)]
pub struct Salt(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

impl Salt {
    /// Fresh random octets.
    pub fn random() -> Self {
        Self(Uuid::new_v4().into_bytes())
    }
}
