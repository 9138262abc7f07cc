//! The checks that every reader makes: each event is the next one, carries the hash of the one before, was stored
//! later than it, and has the body that its header promises.

use bytes::Bytes;
use conn3ction_schemas::{
    Epoch, Revision, Timestamp,
    event::{BodyDigest, Hash},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{Body, Event, Head, ReadError};

/// Where a reader stands in the log: what the next event must link to.
#[derive(Debug, Clone)]
pub struct Chain {
    revision: Revision,
    link: Option<Link>,
}

/// What the next event must link to.
#[derive(Debug, Clone, Copy)]
struct Link {
    epoch: Epoch,
    hash: Hash,
    /// The next event's `committed_at` is later.
    later_than: Timestamp,
}

impl Chain {
    /// Stands at `head`.
    pub fn after(head: &Head) -> Self {
        let later_than = head.committed_at.max(head.closed);
        Self { revision: head.revision, link: Some(Link { epoch: head.epoch, hash: head.hash, later_than }) }
    }

    /// Stands at a revision of which nothing else is known (except for 0): the first event is checked for its number only.
    pub fn at(revision: Revision) -> Self {
        if revision == Revision::ZERO { Self::after(&Head::EMPTY) } else { Self { revision, link: None } }
    }

    /// The last event's revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The last event's hash, if it is known.
    pub fn hash(&self) -> Option<Hash> {
        self.link.map(|link| link.hash)
    }

    /// Checks that `event` is the next one and steps onto it. Does not look at the body.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] with the revision that should stand here.
    pub fn link(&mut self, event: &Event) -> Result<(), ReadError> {
        let header = event.header.read();
        let expected = self.revision.next();
        let damaged = |detail: String| Err(ReadError::Damaged { revision: expected, detail });
        if header.revision != expected {
            return damaged(format!("{} stands in its place", header.revision));
        }
        if let Some(link) = self.link {
            if header.previous_hash() != link.hash {
                return damaged("it does not carry the hash of the event before".into());
            }
            if header.epoch < link.epoch {
                return damaged("its epoch is before that of the event before".into());
            }
            if header.committed_at <= link.later_than {
                return damaged("its committed_at is not after the event before and what was closed".into());
            }
        }
        self.revision = expected;
        self.link = Some(Link { epoch: header.epoch, hash: event.header.hash(), later_than: header.committed_at });
        Ok(())
    }

    /// Checks that `event` is the next one with an inline body as its header says, and steps onto it. A large body is
    /// checked by whoever streams it ([`checked`]).
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] with the revision that should stand here.
    pub fn check(&mut self, event: &Event) -> Result<(), ReadError> {
        if !has_its_body(event) {
            return Err(wrong_body(self.revision.next()));
        }
        self.link(event)
    }
}

/// Whether an inline body is the one that the header promises; of a large one that is not known here.
pub(crate) fn has_its_body(event: &Event) -> bool {
    let Body::Inline(chunks) = &event.body else { return true };
    BodyDigest::of(&event.salt, chunks) == event.header.read().body_digest()
}

/// Passes the chunks of `event`'s body on and ends with an error if they are not what the header promised.
pub fn checked(
    event: &Event,
    chunks: BoxStream<'static, Result<Bytes, ReadError>>,
) -> BoxStream<'static, Result<Bytes, ReadError>> {
    let (revision, promised) = (event.revision(), event.header.read().body_digest());
    let state = Some((chunks, BodyDigest::new(&event.salt)));
    stream::unfold(state, move |state| async move {
        let (mut chunks, mut digest) = state?;
        match chunks.next().await {
            Some(Ok(chunk)) => {
                digest.chunk(&chunk);
                Some((Ok(chunk), Some((chunks, digest))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if digest.finish() == promised => None,
            None => Some((Err(wrong_body(revision)), None)),
        }
    })
    .boxed()
}

pub(crate) fn wrong_body(revision: Revision) -> ReadError {
    ReadError::Damaged { revision, detail: "its body is not the one that its header names".into() }
}
