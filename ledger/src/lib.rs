//! An append-only log of events, in one total order.
//!
//! [`Ledger`] states the promises; [`memory`], [`file`] and [`etcd`] keep them, each with what its medium can do, and
//! `tests/contract` runs the same cases on all three. [`committer`] turns concurrent commands into batches (group
//! commit) and is generic over the [`committer::Decider`] that knows what commands mean.
//!
//! What this crate does not know: what events mean beyond their header, DNS, HTTP.

pub mod chain;
pub mod committer;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod export;
pub mod file;
mod follow;
pub mod memory;
pub mod verify;

use std::sync::Arc;

use bytes::Bytes;
use conn3ction_schemas::{
    Delta, Epoch, Revision, Timestamp, Token,
    event::{FormError, Hash, Salt, SealedHeader, chunk},
};
use futures::{future::BoxFuture, stream::BoxStream};
use smallvec::SmallVec;
use uuid::Uuid;

/// An append-only log of events, in one total order.
///
/// Every backend keeps these promises; `ledger/tests/contract.rs` runs the same cases on each.
/// 1. Revisions are dense: 1, 2, 3 … A number is given inside the commit, so losers burn none.
/// 2. A batch is stored whole or not at all. Each event carries the hash of the one before.
/// 3. `append` returns once the batch would survive a crash (for memory: a dropped handle).
/// 4. `follow` yields every later event once, in order, with no gap where past meets live.
/// 5. What is read was checked: dense, linked by hash, bodies as their digest says. Anything else is
///    [`ReadError::Damaged`] with the first bad revision, never a skipped event.
pub trait Ledger: Send + Sync + 'static {
    /// Where the log ends, as the medium says now (etcd: a linearizable read).
    fn head(&self) -> BoxFuture<'_, Result<Head, ReadError>>;

    /// Stores `batch` right after `head` if that still is the head, and says where the head is now. An empty batch moves
    /// `closed` only.
    fn append<'a>(&'a self, head: &'a Head, batch: &'a Batch) -> BoxFuture<'a, Result<Head, AppendError>>;

    /// Keeps chunk `index` (0, 1, 2 …) of a large body before the event that names it. What no event names within
    /// an hour may be swept.
    fn stage(&self, body: Uuid, index: u32, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>>;

    /// Reads events after `after`, oldest first, at most `max_bytes` of headers and inline bodies (at least one event
    /// if there is one). A large body is named only and streamed by [`Ledger::body`].
    fn read(&self, after: Revision, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Arc<Event>>, ReadError>>;

    /// Streams the chunks of one event's body; nobody holds a whole large body.
    fn body(&self, event: Arc<Event>) -> BoxStream<'static, Result<Bytes, ReadError>>;

    /// Follows the log from the event after `after`, for ever. Ends after an error that only an operator can mend
    /// ([`ReadError::Damaged`]); rides out the medium's absence itself.
    fn follow(&self, after: Revision) -> BoxStream<'static, Result<Arc<Event>, ReadError>>;
}

/// The end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The ledger's life.
    pub epoch: Epoch,
    /// The last event's revision; 0 in an empty log.
    pub revision: Revision,
    /// The last event's hash; zeros in an empty log.
    pub hash: Hash,
    /// When the last event was stored; the Unix epoch in an empty log.
    pub committed_at: Timestamp,
    /// Every moment at or before this is final: later events have a later `committed_at`.
    pub closed: Timestamp,
    /// The batch that made this head; nil in an empty log. It tells a writer whose answer was lost that it had won.
    pub batch: Uuid,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Head = Head {
        epoch: Epoch::FIRST,
        revision: Revision::ZERO,
        hash: Hash([0; 32]),
        committed_at: Timestamp(0),
        closed: Timestamp(0),
        batch: Uuid::nil(),
    };

    /// The head as readers name it.
    pub const fn token(&self) -> Token {
        Token { epoch: self.epoch, revision: self.revision }
    }

    /// The earliest `committed_at` of an event after this head, on a clock that shows `clock`.
    pub fn next_committed_at(&self, clock: Timestamp) -> Timestamp {
        clock.max(self.committed_at.plus_micros(1)).max(self.closed.plus_micros(1))
    }

    /// The head once `batch` is stored after this one.
    ///
    /// # Panics
    ///
    /// If the batch does not link: revisions, hashes and times are the writer's duty, and a log that breaks them is
    /// worse than a writer that stops.
    #[must_use]
    pub fn after(&self, batch: &Batch) -> Head {
        let mut chain = chain::Chain::after(self);
        for event in &batch.events {
            if let Err(error) = chain.link(event) {
                panic!("a batch must follow the head it is appended to: {error}");
            }
        }
        let mut head = Head { closed: self.closed.max(batch.closed), batch: batch.id, ..self.clone() };
        if let Some(last) = batch.events.last() {
            let link = last.header.fixed();
            (head.epoch, head.revision, head.committed_at) = (link.epoch, link.revision, link.committed_at);
            head.hash = last.header.hash();
        }
        head
    }
}

/// Sealed events in their order, stored together or not at all.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Names the batch, so that a lost answer can be looked up.
    pub id: Uuid,
    /// The events; the first follows the head that `append` is given.
    pub events: Vec<Arc<Event>>,
    /// Moves [`Head::closed`] up to here; ignored if not later.
    pub closed: Timestamp,
}

/// One event: its sealed header and its body, or where that is.
#[derive(Debug, Clone)]
pub struct Event {
    /// The header with its octets and hash.
    pub header: SealedHeader,
    /// Hashed before the body's chunks.
    pub salt: Salt,
    /// The body.
    pub body: Body,
}

/// The chunks of a small body.
pub type Chunks = SmallVec<[Bytes; 1]>;

/// A body, or where it is.
#[derive(Debug, Clone)]
pub enum Body {
    /// Small enough to come along.
    Inline(Chunks),
    /// Staged under `id` in `count` chunks.
    Parts {
        /// The id given to [`Ledger::stage`].
        id: Uuid,
        /// The number of chunks.
        count: u32,
    },
}

impl Event {
    /// The event's place.
    pub fn revision(&self) -> Revision {
        self.header.fixed().revision
    }

    /// The octets that [`Ledger::read`] counts: header and inline body.
    pub fn size(&self) -> usize {
        let body = match &self.body {
            Body::Inline(chunks) => chunks.iter().map(Bytes::len).sum(),
            Body::Parts { .. } => 0,
        };
        self.header.octets().len() + body
    }

    /// The deltas of an inline body in their order; `None` if the body must be streamed ([`Ledger::body`], then
    /// [`chunk::deltas`] on each chunk).
    pub fn deltas(&self) -> Option<impl Iterator<Item = Result<Delta, FormError>> + '_> {
        match &self.body {
            Body::Inline(chunks) => Some(chunks.iter().flat_map(|octets| chunk::deltas(octets))),
            Body::Parts { .. } => None,
        }
    }
}

/// A cause from a medium or a library, kept for `source()`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an append gave no revision. The variant tells the caller what to do next.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer came first. Read what came between, decide again.
    #[error("the ledger's head moved to {}", .actual.token())]
    Conflict {
        /// Where the head is.
        actual: Box<Head>,
    },
    /// No answer came even after the identical batch was sent again: it may be stored. Answer "unknown", never "failed".
    #[error("the ledger did not confirm batch {batch}")]
    Unconfirmed {
        /// The batch's id.
        batch: Uuid,
        /// The last fault.
        #[source]
        source: BoxError,
    },
    /// Nothing was stored and nothing can be for now; try again later.
    #[error("the ledger is unavailable")]
    Unavailable(#[source] BoxError),
    /// Nothing was stored: the medium is full. Reading goes on.
    #[error("the ledger's storage is full")]
    Full(#[source] BoxError),
    /// Nothing was stored: the medium does not take this much at once. Fewer events, or staged bodies, may fit.
    #[error("a batch of {size_bytes} octets is over the {limit_bytes} that the ledger takes at once")]
    TooLarge {
        /// What the batch would have taken.
        size_bytes: usize,
        /// What fits.
        limit_bytes: usize,
    },
    /// Nothing was stored: an event names a large body whose chunks are not staged, or no longer. Stage it again.
    #[error("the chunks of body {body} are not staged")]
    MissingBody {
        /// The body's id.
        body: Uuid,
    },
    /// A durable write failed, so memory and disk may differ: this handle appends no more. Restart to recover.
    #[error("an earlier write to the ledger failed; it takes no more until it is opened again")]
    Poisoned,
}

/// Why a read gave no events.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The medium does not answer now; try again later.
    #[error("the ledger is unavailable")]
    Unavailable(#[source] BoxError),
    /// Stored octets are not what was appended. An operator must look; nothing is skipped.
    #[error("the ledger is damaged at {revision}: {detail}")]
    Damaged {
        /// The first bad revision.
        revision: Revision,
        /// What is wrong there.
        detail: String,
    },
    /// Written by a later version of this program.
    #[error("cannot read event {revision}")]
    Form {
        /// Whose form.
        revision: Revision,
        /// Why.
        #[source]
        source: FormError,
    },
}
