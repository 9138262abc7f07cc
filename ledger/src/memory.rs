//! A log in memory, for tests and throw-away servers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use conn3ction_schemas::Revision;
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{AppendError, Batch, Body, Chunks, Event, Head, Ledger, ReadError, chain, follow};

/// A log in memory. Clones are handles on the same log, which lives as long as the last of them.
#[derive(Debug, Clone)]
pub struct MemoryLedger {
    log: Arc<Mutex<Log>>,
    /// Rings after each append.
    moved: watch::Sender<Revision>,
}

#[derive(Debug)]
struct Log {
    head: Head,
    events: Vec<Arc<Event>>,
    /// Every chunk ever staged. Nothing is swept: a throw-away log does not live long enough.
    bodies: HashMap<Uuid, BTreeMap<u32, Bytes>>,
}

impl MemoryLedger {
    /// An empty log.
    pub fn new() -> Self {
        let log = Log { head: Head::EMPTY, events: Vec::new(), bodies: HashMap::new() };
        Self { log: Arc::new(Mutex::new(log)), moved: watch::Sender::new(Revision::ZERO) }
    }

    /// No method leaves the log half changed, so a panic elsewhere does not spoil it.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_now(&self, head: &Head, batch: &Batch) -> Result<Head, AppendError> {
        let mut log = self.log();
        if *head != log.head {
            return Err(AppendError::Conflict { actual: Box::new(log.head.clone()) });
        }
        for event in &batch.events {
            log.require_staged(&event.body)?;
        }
        log.head = log.head.after(batch);
        log.events.extend(batch.events.iter().cloned());
        // Under the lock, so that followers never see the number go back.
        self.moved.send_replace(log.head.revision);
        Ok(log.head.clone())
    }

    fn read_now(&self, after: Revision, max_bytes: usize) -> Vec<Arc<Event>> {
        let log = self.log();
        let start = usize::try_from(after.0).unwrap_or(usize::MAX);
        at_most(log.events.get(start..).unwrap_or_default(), max_bytes)
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new()
    }
}

impl Log {
    fn require_staged(&self, body: &Body) -> Result<(), AppendError> {
        let Body::Parts { id, count } = body else { return Ok(()) };
        let there = |chunks: &BTreeMap<u32, Bytes>| (0..*count).all(|index| chunks.contains_key(&index));
        if self.bodies.get(id).is_some_and(there) { Ok(()) } else { Err(AppendError::MissingBody { body: *id }) }
    }
}

impl Ledger for MemoryLedger {
    fn head(&self) -> BoxFuture<'_, Result<Head, ReadError>> {
        future::ready(Ok(self.log().head.clone())).boxed()
    }

    fn append<'a>(&'a self, head: &'a Head, batch: &'a Batch) -> BoxFuture<'a, Result<Head, AppendError>> {
        async move { self.append_now(head, batch) }.boxed()
    }

    fn stage(&self, body: Uuid, index: u32, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>> {
        async move {
            self.log().bodies.entry(body).or_default().insert(index, chunk);
            Ok(())
        }
        .boxed()
    }

    fn read(&self, after: Revision, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Arc<Event>>, ReadError>> {
        future::ready(Ok(self.read_now(after, max_bytes))).boxed()
    }

    fn body(&self, event: Arc<Event>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let chunks: Chunks = match &event.body {
            Body::Inline(chunks) => chunks.clone(),
            Body::Parts { id, .. } => {
                self.log().bodies.get(id).map(|chunks| chunks.values().cloned().collect()).unwrap_or_default()
            }
        };
        chain::checked(&event, stream::iter(chunks.into_iter().map(Ok)).boxed())
    }

    fn follow(&self, after: Revision) -> BoxStream<'static, Result<Arc<Event>, ReadError>> {
        // A follower holds the log but not the bell, so that it ends when every handle is gone.
        let log = Arc::clone(&self.log);
        let read = move |after, max_bytes| {
            let reader = Self { log: Arc::clone(&log), moved: watch::Sender::default() };
            future::ready(Ok(reader.read_now(after, max_bytes))).boxed()
        };
        follow::follow(read, self.moved.subscribe(), after)
    }
}

/// The first of `events` that fit `max_bytes`, and at least one.
pub(crate) fn at_most<'a>(events: impl IntoIterator<Item = &'a Arc<Event>>, max_bytes: usize) -> Vec<Arc<Event>> {
    let mut taken = Vec::new();
    let mut size_bytes = 0;
    for event in events {
        size_bytes += event.size();
        if size_bytes > max_bytes && !taken.is_empty() {
            break;
        }
        taken.push(Arc::clone(event));
    }
    taken
}
