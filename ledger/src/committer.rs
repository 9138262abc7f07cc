//! Group commit: everything that waits while one append is in flight goes into the next.

use std::sync::Arc;

use conn3ction_schemas::{Revision, Timestamp, event::Draft};
use futures::future::BoxFuture;

use crate::{AppendError, Event, Head, ReadError};

/// What commands mean: the state at the head plus the drafts of the batch in hand.
///
/// `decide` is pure: clock and revision come in as arguments, and the same state gives the same answer.
pub trait Decider: Send + 'static {
    /// A request to change something.
    type Command: Send + 'static;
    /// Why a command is not done; goes back to whoever asked.
    type Refusal: Send + 'static;

    /// Waits until the state is the fold of the log up to exactly `head`, and drops all drafts decided before.
    fn at_head<'a>(&'a mut self, head: &'a Head) -> BoxFuture<'a, Result<(), ReadError>>;

    /// Decides `command` on the state plus the drafts since [`Decider::at_head`]; a draft it gives counts as happened
    /// for the commands after it.
    ///
    /// # Errors
    ///
    /// The refusal; the state is as before.
    fn decide(&mut self, command: &Self::Command, next: Next) -> Result<Decision, Self::Refusal>;
}

/// Where an event would stand if it is decided now.
#[derive(Debug, Clone, Copy)]
pub struct Next {
    /// Its revision.
    pub revision: Revision,
    /// Its `committed_at`.
    pub committed_at: Timestamp,
}

/// What a command comes to.
#[derive(Debug)]
pub enum Decision {
    /// An event.
    Append(Draft),
    /// Nothing changes: the state is already so, or the idempotency key was seen. Names the revision that made it so.
    Unchanged {
        /// The revision that made the state what was asked for (the head's if none did in particular).
        revision: Revision,
        /// Whether an idempotency key was recognised.
        replayed: bool,
    },
}

/// What became of a submitted command.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is an event now, and would survive a crash.
    Committed(Arc<Event>),
    /// See [`Decision::Unchanged`]. The revision is committed, too: it may stand earlier in the same batch.
    Unchanged {
        /// The revision that made it so.
        revision: Revision,
        /// Whether an idempotency key was recognised.
        replayed: bool,
    },
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError<R> {
    /// The decider refused it.
    #[error("refused")]
    Refused(R),
    /// The queue is full: more commands wait than its bound. Nothing was done; try again.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The append failed; the variant says whether it may be stored.
    #[error("appending to the ledger")]
    Append(#[source] Arc<AppendError>),
    /// The state at the head could not be had. Nothing was done.
    #[error("reading the ledger")]
    Read(#[source] Arc<ReadError>),
    /// The committer has stopped. Nothing was done.
    #[error("the committer has stopped")]
    Stopped,
}
