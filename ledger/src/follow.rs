//! Following a log that this process writes: read what is there, then wait for the head to move.
//!
//! There is one loop and one way to read, so past and live cannot leave a gap or overlap where they meet.

use std::{sync::Arc, time::Duration};

use conn3ction_schemas::Revision;
use futures::{
    StreamExt, TryStreamExt,
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
    let follower = Follower { read, head, chain: Chain::at(after) };
    let reads = stream::try_unfold(follower, |mut follower| async move {
        Ok(follower.next().await?.map(|events| (stream::iter(events.into_iter().map(Ok)), follower)))
    });
    reads.try_flatten().boxed()
}

type Item = Result<Arc<Event>, ReadError>;

struct Follower<R> {
    read: R,
    head: watch::Receiver<Revision>,
    /// At the last event that was given.
    chain: Chain,
}

impl<R> Follower<R>
where
    R: Fn(Revision, usize) -> BoxFuture<'static, Result<Vec<Arc<Event>>, ReadError>> + Send + Sync + 'static,
{
    /// The next events; `None` once no more can come.
    async fn next(&mut self) -> Result<Option<Vec<Arc<Event>>>, ReadError> {
        loop {
            match (self.read)(self.chain.revision(), READ_BYTES).await {
                Ok(events) if events.is_empty() => {
                    let after = self.chain.revision();
                    if self.head.wait_for(|head| *head > after).await.is_err() {
                        return Ok(None);
                    }
                }
                Ok(events) => return self.linked(events).map(Some),
                Err(error @ ReadError::Unavailable(_)) => {
                    tracing::warn!(
                        revision = self.chain.revision().0,
                        error = &error as &dyn std::error::Error,
                        "cannot follow the ledger; trying again"
                    );
                    tokio::time::sleep(RETRY).await;
                }
                Err(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => return Err(error),
            }
        }
    }

    /// The events up to the first that does not link. That is read again, and found first then.
    fn linked(&mut self, mut events: Vec<Arc<Event>>) -> Result<Vec<Arc<Event>>, ReadError> {
        let mut faults =
            events.iter().enumerate().filter_map(|(place, event)| Some((place, self.chain.link(event).err()?)));
        match faults.next() {
            Some((0, error)) => return Err(error),
            Some((place, _)) => events.truncate(place),
            None => {}
        }
        Ok(events)
    }
}
