//! A ledger whose followers stall at random, so that projectors are behind by other distances at every event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use conn3ction_ledger::{AppendError, Batch, Event, Head, Ledger, ReadError};
use conn3ction_schemas::Revision;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use uuid::Uuid;

pub struct Stalling {
    ledger: Arc<dyn Ledger>,
    /// Each follower stalls in a way of its own.
    seed: AtomicU64,
}

impl Stalling {
    pub fn over(ledger: &Arc<dyn Ledger>, seed: u64) -> Arc<dyn Ledger> {
        Arc::new(Self { ledger: ledger.clone(), seed: AtomicU64::new(seed) })
    }
}

/// Mostly not at all, sometimes for a few turns of the others, sometimes for up to 7 ms.
async fn stall(random: &mut u64) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    match *random % 100 {
        0..60 => {}
        60..92 => {
            for _ in 0..*random / 100 % 30 {
                tokio::task::yield_now().await;
            }
        }
        _ => tokio::time::sleep(Duration::from_millis(*random / 100 % 8)).await,
    }
}

impl Ledger for Stalling {
    fn head(&self) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.ledger.head()
    }

    fn append<'a>(&'a self, head: &'a Head, batch: &'a Batch) -> BoxFuture<'a, Result<Head, AppendError>> {
        self.ledger.append(head, batch)
    }

    fn stage(&self, body: Uuid, index: u32, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>> {
        self.ledger.stage(body, index, chunk)
    }

    fn read(&self, after: Revision, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Arc<Event>>, ReadError>> {
        self.ledger.read(after, max_bytes)
    }

    fn body(&self, event: Arc<Event>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        self.ledger.body(event)
    }

    fn follow(&self, after: Revision) -> BoxStream<'static, Result<Arc<Event>, ReadError>> {
        let random = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) | 1;
        let state = (self.ledger.follow(after), random);
        stream::unfold(state, |(mut events, mut random)| async move {
            let event = events.next().await?;
            stall(&mut random).await;
            Some((event, (events, random)))
        })
        .boxed()
    }
}
