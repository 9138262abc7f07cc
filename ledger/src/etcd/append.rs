//! Appending: one compare on the head decides; an unknown outcome is asked after until it is known.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    backoff::Backoff,
    call::CallError,
    container,
    head::{self, Known, Stored},
    store::Store,
};
use crate::{AppendError, Batch, Body, BoxError, Head, ReadError};

/// What fits into one transaction: etcd takes requests of 1.5 MiB by default, and keys and head need their part.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// etcd takes 128 operations; batch and head are two, and each staged body is one more.
const MAX_BODIES: usize = 120;

/// What is sent, again and again if need be, with identical octets.
pub(super) struct Attempt<'a> {
    store: &'a Store,
    batch: &'a Batch,
    known: &'a Known,
    /// The head after success.
    next: Head,
    next_octets: Vec<u8>,
    value: Vec<u8>,
    bodies: Vec<(Uuid, u32)>,
}

/// What an answer of etcd says.
enum Answer {
    /// Stored by this very transaction, at etcd's revision.
    Stored(i64),
    /// Not stored: the head is this.
    Moved(Known),
    /// Not stored: the head has not moved, so it is this body.
    MissingBody(Uuid),
    /// Not stored: the head is of a form that this build cannot read.
    Illegible(ReadError),
}

impl<'a> Attempt<'a> {
    /// Prepares to store `batch` after `known`.
    pub(super) fn new(store: &'a Store, known: &'a Known, batch: &'a Batch) -> Result<Self, AppendError> {
        let next = known.head.after(batch);
        let value = if batch.events.is_empty() { Vec::new() } else { container::encode_batch(batch) };
        let unpacked: usize = batch.events.iter().map(|event| event.size()).sum();
        for (size_bytes, limit_bytes) in
            [(value.len(), MAX_REQUEST_BYTES), (unpacked, container::MAX_UNPACKED_BYTES / 2)]
        {
            if size_bytes > limit_bytes {
                return Err(AppendError::TooLarge { size_bytes, limit_bytes });
            }
        }
        let mut bodies: Vec<(Uuid, u32)> = batch
            .events
            .iter()
            .filter_map(|event| match event.body {
                Body::Parts { id, count } => Some((id, count)),
                Body::Inline(_) => None,
            })
            .collect();
        bodies.sort_unstable();
        bodies.dedup();
        if bodies.len() > MAX_BODIES {
            // Each takes a share of the request that octets do not show.
            let share = MAX_REQUEST_BYTES / MAX_BODIES;
            return Err(AppendError::TooLarge { size_bytes: bodies.len() * share, limit_bytes: MAX_REQUEST_BYTES });
        }
        let next_octets = head::encode(&next);
        Ok(Self { store, batch, known, next, next_octets, value, bodies })
    }

    /// The octets that success adds.
    pub(super) fn size(&self) -> usize {
        self.value.len() + self.next_octets.len()
    }

    /// Sends until the outcome is known or `patience` is over. Gives the new head, or where the head is instead.
    pub(super) async fn run(&self, patience: Duration) -> Result<Known, AppendError> {
        self.require_bodies().await?;
        let deadline = Instant::now() + patience;
        let mut backoff = Backoff::default();
        // Whether an earlier try may have been done, or may still be.
        let mut in_doubt = false;
        loop {
            let fault = match self.send().await {
                Ok(Answer::Stored(mod_revision)) => return Ok(self.stored(mod_revision)),
                Ok(Answer::Moved(actual)) => return self.moved(actual, in_doubt).await,
                Ok(Answer::MissingBody(body)) => return Err(AppendError::MissingBody { body }),
                Ok(Answer::Illegible(fault)) => return Err(self.unresolved(fault, in_doubt)),
                Err(fault @ CallError::NoSpace(_)) => return self.no_space(fault, in_doubt).await,
                Err(CallError::RequestTooLarge(_)) if !in_doubt => {
                    return Err(AppendError::TooLarge { size_bytes: self.size(), limit_bytes: MAX_REQUEST_BYTES });
                }
                Err(fault) => fault,
            };
            in_doubt |= !fault.nothing_was_done();
            let wait = backoff.next_wait();
            if !fault.may_pass() || Instant::now() + wait > deadline {
                return Err(self.unresolved(fault, in_doubt));
            }
            tracing::debug!(batch = %self.batch.id, error = &fault as &dyn std::error::Error, "appending again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts the chunks of the bodies that the batch names. The transaction then compares that the last chunk is still
    /// there: sweeping takes a body as a whole, so the others are, too.
    async fn require_bodies(&self) -> Result<(), AppendError> {
        for &(body, count) in &self.bodies {
            let keys = &self.store.keys;
            let options = GetOptions::new().with_range(keys.named(body)).with_count_only();
            let found = self.store.client.get(keys.part(body, 0), Some(options)).await;
            let found = found.map_err(|error| AppendError::Unavailable(Box::new(error)))?.count();
            if count == 0 || found != i64::from(count) {
                return Err(AppendError::MissingBody { body });
            }
        }
        Ok(())
    }

    async fn send(&self) -> Result<Answer, CallError> {
        let response = self.store.client.txn(self.txn()).await?;
        if response.succeeded() {
            return Ok(Answer::Stored(response.header().map_or(0, etcd_client::ResponseHeader::revision)));
        }
        Ok(self.read_refusal(&response))
    }

    fn txn(&self) -> Txn {
        let keys = &self.store.keys;
        let mut compares = match &self.known.stored {
            // Both: after a restore from backup etcd's revisions repeat, the value (it holds hash and batch) does not.
            Some(Stored { octets, mod_revision }) => vec![
                Compare::mod_revision(keys.head(), CompareOp::Equal, *mod_revision),
                Compare::value(keys.head(), CompareOp::Equal, octets.clone()),
            ],
            // A value compare on a missing key is always false.
            None => vec![Compare::version(keys.head(), CompareOp::Equal, 0)],
        };
        let mut puts = vec![TxnOp::put(keys.head(), self.next_octets.clone(), None)];
        let mut gets = vec![TxnOp::get(keys.head(), None)];
        if !self.batch.events.is_empty() {
            puts.push(TxnOp::put(keys.batch(self.next.revision), self.value.clone(), None));
        }
        for &(body, count) in &self.bodies {
            let last = keys.part(body, count - 1);
            compares.push(Compare::version(last.clone(), CompareOp::Greater, 0));
            puts.push(TxnOp::put(keys.named(body), self.next.revision.to_string(), None));
            gets.push(TxnOp::get(last, Some(GetOptions::new().with_keys_only())));
        }
        Txn::new().when(compares).and_then(puts).or_else(gets)
    }

    fn read_refusal(&self, response: &TxnResponse) -> Answer {
        let mut found = response.op_responses().into_iter().map(|answer| match answer {
            TxnOpResponse::Get(mut get) => get.take_kvs().into_iter().next(),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        let actual = match found.next().flatten() {
            Some(head) => match Known::read(head.value(), head.mod_revision()) {
                Ok(actual) => actual,
                Err(fault) => return Answer::Illegible(fault),
            },
            None => Known::EMPTY,
        };
        let missing = self.bodies.iter().zip(found).find(|(_, part)| part.is_none());
        match missing {
            Some(((body, _), _)) if actual.stored == self.known.stored => Answer::MissingBody(*body),
            _ => Answer::Moved(actual),
        }
    }

    /// The head moved, so this transaction will never be done any more: it was done before, or it is lost.
    async fn moved(&self, actual: Known, in_doubt: bool) -> Result<Known, AppendError> {
        if actual.head.batch == self.batch.id {
            return Ok(actual);
        }
        // Others may have come after us. The batch would stand in the log under a key that we know.
        if !self.batch.events.is_empty() && actual.head.revision >= self.next.revision {
            match self.store.client.get(self.store.keys.batch(self.next.revision), None).await {
                Ok(found) => {
                    if let Some(batch) = found.kvs().first()
                        && container::batch_id(batch.value()) == Some(self.batch.id)
                    {
                        return Ok(self.stored(batch.mod_revision()));
                    }
                }
                Err(fault) if in_doubt => return Err(self.unresolved(fault, in_doubt)),
                // Our only transaction was answered: it was not done.
                Err(_) => {}
            }
        }
        Err(AppendError::Conflict { actual: Box::new(actual.head) })
    }

    /// etcd may report that it has no space and yet have done what it was asked for.
    async fn no_space(&self, fault: CallError, in_doubt: bool) -> Result<Known, AppendError> {
        match self.store.known_head().await {
            Ok(actual) if actual.stored != self.known.stored => self.moved(actual, true).await,
            Ok(_) if !in_doubt => Err(AppendError::Full(Box::new(fault))),
            Ok(_) | Err(_) => Err(self.unresolved(fault, true)),
        }
    }

    fn stored(&self, mod_revision: i64) -> Known {
        Known { head: self.next.clone(), stored: Some(Stored { octets: self.next_octets.clone(), mod_revision }) }
    }

    fn unresolved(&self, fault: impl Into<BoxError>, in_doubt: bool) -> AppendError {
        if in_doubt {
            AppendError::Unconfirmed { batch: self.batch.id, source: fault.into() }
        } else {
            AppendError::Unavailable(fault.into())
        }
    }
}
