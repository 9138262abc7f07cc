//! Following the log: the key range is the truth, the watch a doorbell.
//!
//! A batch that the watch brings is used only if it is exactly the next one and links by hash; whatever else it brings,
//! or does not bring, only makes the range be read. So lost, repeated, reordered and compacted watch events do no harm.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use conn3ction_schemas::Revision;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use uuid::Uuid;

use super::{
    backoff::Backoff,
    store::{Fetched, Pace, open_batch},
};
use crate::{Event, ReadError, chain::Chain};

/// How often the range is read when no bell rings.
const POLL: Duration = Duration::from_secs(3);

/// What a follower reads from: etcd, or a double with faults.
pub(super) trait Medium: Send + 'static {
    /// The next events after `chain`, which steps onto them; none at the log's end.
    fn fetch<'a>(&'a self, chain: &'a mut Chain, pace: &'a mut Pace) -> BoxFuture<'a, Result<Fetched, ReadError>>;

    /// A bell for what happens after the etcd revision `seen_at`. It may ring wrongly, or not at all, or end.
    fn bell(&self, seen_at: i64) -> BoxFuture<'_, Result<BoxStream<'static, Ring>, ReadError>>;
}

/// What the bell says.
#[derive(Debug, Clone)]
pub(super) enum Ring {
    /// A batch under the key that names `last`.
    Batch {
        /// From its key.
        last: Revision,
        /// As stored.
        value: Vec<u8>,
    },
    /// Something else happened.
    Other,
}

/// Yields the events after `after` for ever; ends after an error that only an operator can mend.
pub(super) fn follow(medium: impl Medium, after: Revision) -> BoxStream<'static, Result<Arc<Event>, ReadError>> {
    let follower = Follower {
        medium,
        chain: Chain::at(after),
        pace: Pace::default(),
        ready: VecDeque::new(),
        bell: None,
        seen_at: 0,
        behind: true,
        backoff: Backoff::default(),
        failed: false,
    };
    stream::unfold(follower, |mut follower| async move { follower.next().await.map(|item| (item, follower)) }).boxed()
}

struct Follower<M> {
    medium: M,
    /// At the last event that is ready or was yielded.
    chain: Chain,
    pace: Pace,
    ready: VecDeque<Arc<Event>>,
    bell: Option<BoxStream<'static, Ring>>,
    /// The etcd revision of the last read.
    seen_at: i64,
    /// Whether there may be events that were not read yet.
    behind: bool,
    backoff: Backoff,
    failed: bool,
}

impl<M: Medium> Follower<M> {
    async fn next(&mut self) -> Option<Result<Arc<Event>, ReadError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.failed {
                return None;
            }
            match self.step().await {
                Ok(()) => {}
                Err(error @ ReadError::Unavailable(_)) => {
                    if self.backoff.tries() == 0 {
                        tracing::warn!(
                            revision = self.chain.revision().0,
                            error = &error as &dyn std::error::Error,
                            "cannot follow the ledger in etcd; trying until it answers"
                        );
                    }
                    self.behind = true;
                    self.bell = None;
                    let wait = self.backoff.next_wait();
                    tokio::time::sleep(wait).await;
                }
                Err(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }

    async fn step(&mut self) -> Result<(), ReadError> {
        if self.behind {
            // A fault half-way must not leave the chain beyond what was yielded.
            let mut chain = self.chain.clone();
            let fetched = self.medium.fetch(&mut chain, &mut self.pace).await?;
            self.chain = chain;
            self.seen_at = fetched.seen_at;
            self.behind = !fetched.events.is_empty();
            self.ready.extend(fetched.events);
            if self.backoff.tries() > 0 {
                tracing::info!(revision = self.chain.revision().0, "following the ledger in etcd again");
                self.backoff.reset();
            }
            return Ok(());
        }
        let Some(bell) = &mut self.bell else {
            self.bell = Some(self.medium.bell(self.seen_at).await?);
            return Ok(());
        };
        match tokio::time::timeout(poll_interval(), bell.next()).await {
            Ok(Some(Ring::Batch { last, value })) => self.take(last, &value),
            Ok(Some(Ring::Other)) | Err(_) => self.behind = true,
            Ok(None) => {
                self.bell = None;
                self.behind = true;
            }
        }
        Ok(())
    }

    /// Takes a batch that the bell brought if it is exactly the next one.
    fn take(&mut self, last: Revision, value: &[u8]) {
        if last <= self.chain.revision() {
            return;
        }
        let mut chain = self.chain.clone();
        match open_batch(Some(last), value, &mut chain) {
            Ok(events) => {
                self.chain = chain;
                self.ready.extend(events);
            }
            // The range will tell whether it is the bell or the log that is wrong.
            Err(_) => self.behind = true,
        }
    }
}

/// Between one and one and a half times [`POLL`], so that many followers do not read at once.
fn poll_interval() -> Duration {
    POLL + POLL * u32::from(Uuid::new_v4().as_bytes()[0]) / 512
}
