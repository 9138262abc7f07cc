//! Following a log that this process writes: read what is there, then wait for the head to move.
//!
//! There is one loop and one way to read, so past and live cannot leave a gap or overlap where they meet.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use conn3ction_schemas::Revision;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::sync::watch;

use crate::{Event, ReadError, chain::Chain};

/// How much one read of a follower may hold in memory.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// Between two tries while the medium does not answer.
const RETRY: Duration = Duration::from_millis(250);

/// Yields the events after `after` as `read(after, max_bytes)` gives them. Ends when the sender of `head` is gone.
pub(crate) fn follow<R>(read: R, head: watch::Receiver<Revision>, after: Revision) -> BoxStream<'static, Item>
where
    R: Fn(Revision, usize) -> BoxFuture<'static, Result<Vec<Arc<Event>>, ReadError>> + Send + Sync + 'static,
{
    let follower = Follower { read, head, chain: Chain::at(after), ready: VecDeque::new(), failed: false };
    stream::unfold(follower, |mut follower| async move { follower.next().await.map(|item| (item, follower)) }).boxed()
}

type Item = Result<Arc<Event>, ReadError>;

struct Follower<R> {
    read: R,
    head: watch::Receiver<Revision>,
    /// At the last event that was yielded.
    chain: Chain,
    ready: VecDeque<Arc<Event>>,
    failed: bool,
}

impl<R> Follower<R>
where
    R: Fn(Revision, usize) -> BoxFuture<'static, Result<Vec<Arc<Event>>, ReadError>> + Send + Sync + 'static,
{
    async fn next(&mut self) -> Option<Item> {
        loop {
            if self.failed {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(match self.chain.link(&event) {
                    Ok(()) => Ok(event),
                    Err(error) => self.fail(error),
                });
            }
            match (self.read)(self.chain.revision(), READ_BYTES).await {
                Ok(events) if events.is_empty() => {
                    let after = self.chain.revision();
                    self.head.wait_for(|head| *head > after).await.ok()?;
                }
                Ok(events) => self.ready = events.into(),
                Err(error @ ReadError::Unavailable(_)) => {
                    tracing::warn!(
                        revision = self.chain.revision().0,
                        error = &error as &dyn std::error::Error,
                        "cannot follow the ledger; trying again"
                    );
                    tokio::time::sleep(RETRY).await;
                }
                Err(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => return Some(self.fail(error)),
            }
        }
    }

    fn fail(&mut self, error: ReadError) -> Item {
        self.failed = true;
        Err(error)
    }
}
