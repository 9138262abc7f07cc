//! Group commit: everything that waits while one append is in flight goes into the next.
//!
//! One append is in flight at a time. Commands are decided in the order in which they came, each on the state at the head
//! plus the drafts before it, and answered together once the ledger confirmed the batch. So no answer, not even a
//! refusal, rests on anything that a crash or another writer could undo. On a conflict everything is decided anew.

mod batch;
mod run;

use std::sync::Arc;

use conn3ction_schemas::{Revision, Timestamp, event::Draft};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{AppendError, Event, Head, Ledger, ReadError};
pub(crate) use batch::{FULL_BYTES, MAX_EVENTS};

/// How many commands may wait. The next is refused with [`SubmitError::Overloaded`]; at 15,000 changes a second this
/// is a quarter of a second.
pub const QUEUE: usize = 4096;

/// The part that turns commands into batches.
#[derive(Debug)]
pub struct Committer;

impl Committer {
    /// A committer to `ledger`, and the future that it is. `clock` is read once for every event. After `stop` is cancelled the
    /// append in flight is finished and answered, what waits is answered [`SubmitError::Stopped`], and the future ends; it also
    /// ends when all handles are gone.
    pub fn begin<D: Decider>(
        ledger: Arc<dyn Ledger>,
        decider: D,
        clock: impl Fn() -> Timestamp + Send + 'static,
        stop: CancellationToken,
    ) -> (Handle<D>, impl Future<Output = ()> + Send + 'static) {
        let (requests, queue) = mpsc::channel(QUEUE);
        (Handle { requests }, run::Run::new(ledger, decider, clock, queue, stop).run())
    }
}

/// Submits commands to a [`Committer`]. Cheap to clone.
pub struct Handle<D: Decider> {
    requests: mpsc::Sender<Request<D>>,
}

enum Request<D: Decider> {
    Submit { command: D::Command, reply: oneshot::Sender<Result<Outcome, SubmitError<D::Refusal>>> },
    Close { moment: Timestamp, reply: oneshot::Sender<Result<Head, SubmitError<D::Refusal>>> },
}

impl<D: Decider> Handle<D> {
    /// Submits `command` and waits for what becomes of it. Dropping the future does not take the command back.
    ///
    /// # Errors
    ///
    /// [`SubmitError`].
    pub async fn submit(&self, command: D::Command) -> Result<Outcome, SubmitError<D::Refusal>> {
        self.ask(|reply| Request::Submit { command, reply }).await
    }

    /// Makes `moment` final: no later event has a `committed_at` at or before it. A moment that the clock has not
    /// reached is not closed; [`Head::closed`] says how far it went.
    ///
    /// # Errors
    ///
    /// [`SubmitError`], never `Refused`.
    pub async fn close(&self, moment: Timestamp) -> Result<Head, SubmitError<D::Refusal>> {
        self.ask(|reply| Request::Close { moment, reply }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, SubmitError<D::Refusal>>>) -> Request<D>,
    ) -> Result<T, SubmitError<D::Refusal>> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(request(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
        })?;
        // Without an answer the task died, maybe after its append: nobody knows.
        answer.await.unwrap_or_else(|gone| {
            Err(SubmitError::Append(Arc::new(AppendError::Unconfirmed { batch: Uuid::nil(), source: gone.into() })))
        })
    }
}

impl<D: Decider> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl<D: Decider> std::fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("free", &self.requests.capacity()).finish()
    }
}

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

    /// Nothing waits any more: what the state holds on to can go until the next [`Decider::at_head`].
    fn rest(&mut self) {}
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
#[expect(clippy::large_enum_variant, reason = "made and taken apart once a command")]
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
