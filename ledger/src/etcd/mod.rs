//! A log in etcd: the key range is the truth, the watch a doorbell.
//!
//! Every append is one transaction that compares the head and replaces it, so there is one history however many
//! processes write. One key holds one batch. Followers check what they read (dense, linked by hash) whatever way it came.
//!
//! [`Client`] is the way to etcd for everything of ours that is stored there: one member at a time, a deadline on every
//! call, and errors that say whether a write may have been done.
//!
//! What this module does not know: leases and locks. Two writers are safe; one is faster.

mod append;
mod backoff;
mod bell;
mod call;
mod client;
mod config;
mod container;
mod follow;
#[cfg(test)]
mod follow_tests;
mod head;
mod keys;
mod parts;
mod quota;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use conn3ction_schemas::{Revision, Timestamp};
/// The library that [`Client`]'s requests and answers belong to.
pub use etcd_client;
use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use uuid::Uuid;

use self::{append::Attempt, head::Known, keys::Keys, quota::Quota, store::Store};
pub use self::{
    backoff::Backoff,
    call::{CallError, Said},
    client::Client,
    config::{ClientConfig, ConfigError, EtcdConfig, Password},
    parts::{SWEEP_AGE, Swept},
    quota::Fullness,
};
use crate::{AppendError, Batch, Event, Head, Ledger, ReadError, chain::Chain, memory::at_most};

/// A log in etcd. Clones share their connections.
#[derive(Debug, Clone)]
pub struct EtcdLedger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    config: EtcdConfig,
    quota: Quota,
    /// The last head that etcd told: saves a read before the next append. The transaction checks it.
    known: Mutex<Option<Known>>,
}

impl EtcdLedger {
    /// Prepares a handle; connections come about with the first call.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub async fn connect(config: EtcdConfig) -> Result<Self, ConfigError> {
        let store = Store { client: Client::new(config.client.clone()).await?, keys: Keys::new(&config.prefix) };
        let quota = Quota::new(config.quota_bytes);
        Ok(Self { inner: Arc::new(Inner { store, config, quota, known: Mutex::new(None) }) })
    }

    /// Takes away large bodies that no event names and that got their last chunk before `before` (now less
    /// [`SWEEP_AGE`]). Any number of processes may sweep at any time; the caller decides when.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]; what was not swept waits for the next sweep.
    pub async fn sweep(&self, before: Timestamp) -> Result<Swept, ReadError> {
        self.inner.store.sweep(before).await
    }
}

impl Inner {
    async fn head(&self) -> Result<Head, ReadError> {
        let known = self.store.known_head().await?;
        let head = known.head.clone();
        self.keep(Some(known));
        Ok(head)
    }

    async fn append(&self, head: &Head, batch: &Batch) -> Result<Head, AppendError> {
        let known = self.take().filter(|known| known.head == *head);
        let known = match known {
            Some(known) => known,
            // Asked for after every failure, too: an etcd that does not answer this will not be sent the batch.
            None => self.store.known_head().await.map_err(|error| AppendError::Unavailable(Box::new(error)))?,
        };
        if known.head != *head {
            let actual = Box::new(known.head.clone());
            self.keep(Some(known));
            return Err(AppendError::Conflict { actual });
        }
        let attempt = Attempt::new(&self.store, &known, batch)?;
        self.quota.admit(&self.store.client, attempt.size()).await?;
        let stored = attempt.run(self.config.append_timeout).await?;
        let head = stored.head.clone();
        self.keep(Some(stored));
        Ok(head)
    }

    async fn read(&self, after: Revision, max_bytes: usize) -> Result<Vec<Arc<Event>>, ReadError> {
        let mut chain = Chain::at(after);
        let mut pace = store::Pace::default();
        let mut events = Vec::new();
        let mut total = 0_usize;
        loop {
            let mut more = match self.store.fetch(&mut chain, &mut pace).await {
                Ok(fetched) => fetched.events,
                // What was read is whole; the fault waits for who asks for what follows.
                Err(_) if !events.is_empty() => Vec::new(),
                Err(error) => return Err(error),
            };
            let end = more.is_empty();
            total = more.iter().fold(total, |total, event| total.saturating_add(event.size()));
            events.append(&mut more);
            if end || total >= max_bytes {
                return Ok(at_most(&events, max_bytes));
            }
        }
    }

    fn keep(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn take(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Ledger for EtcdLedger {
    fn head(&self) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head().boxed()
    }

    fn append<'a>(&'a self, head: &'a Head, batch: &'a Batch) -> BoxFuture<'a, Result<Head, AppendError>> {
        self.inner.append(head, batch).boxed()
    }

    fn stage(&self, body: Uuid, index: u32, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>> {
        async move {
            let Inner { store, config, quota, .. } = &*self.inner;
            quota.admit(&store.client, chunk.len()).await?;
            store.stage(body, index, &chunk, Timestamp::now(), config.append_timeout).await
        }
        .boxed()
    }

    fn read(&self, after: Revision, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Arc<Event>>, ReadError>> {
        self.inner.read(after, max_bytes).boxed()
    }

    fn body(&self, event: Arc<Event>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        self.inner.store.body(&event)
    }

    fn follow(&self, after: Revision) -> BoxStream<'static, Result<Arc<Event>, ReadError>> {
        follow::follow(self.inner.store.clone(), after)
    }
}
