//! Large bodies: staged chunk by chunk, streamed chunk by chunk, swept if no event ever names them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use conn3ction_schemas::{
    Timestamp,
    event::{FormError, chunk},
};
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, Txn, TxnOp};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    backoff::Backoff,
    call::CallError,
    container,
    store::{Store, unavailable},
};
use crate::{AppendError, Body, Event, ReadError, chain};

/// How many chunks one request asks for; each is at most [`chunk::MAX_OCTETS`].
const CHUNKS: u32 = 8;

/// How many keys of parts are listed at a time.
const PAGE: i64 = 1000;

/// How old a part is swept that no event names.
pub const SWEEP_AGE: Duration = Duration::from_secs(3600);

/// What a sweep took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Bodies.
    pub bodies: u64,
    /// Their chunks.
    pub chunks: u64,
}

impl Store {
    /// Puts one chunk. The same chunk may come twice; one that comes after its event does not change it.
    pub(super) async fn stage(
        &self,
        body: Uuid,
        index: u32,
        octets: &[u8],
        now: Timestamp,
        patience: Duration,
    ) -> Result<(), AppendError> {
        if octets.len() > chunk::MAX_OCTETS {
            return Err(AppendError::TooLarge { size_bytes: octets.len(), limit_bytes: chunk::MAX_OCTETS });
        }
        let txn = Txn::new()
            .when([Compare::version(self.keys.named(body), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(self.keys.part(body, index), container::encode_part(octets, now), None)]);
        let deadline = Instant::now() + patience;
        let mut backoff = Backoff::default();
        loop {
            let fault = match self.client.txn(txn.clone()).await {
                Ok(_) => return Ok(()),
                Err(fault @ CallError::NoSpace(_)) => return Err(AppendError::Full(Box::new(fault))),
                Err(fault) => fault,
            };
            let wait = backoff.next_wait();
            if !fault.may_pass() || Instant::now() + wait > deadline {
                // A chunk that may be there and that no event names is as good as none.
                return Err(AppendError::Unavailable(Box::new(fault)));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Streams a body's chunks, checked against the header.
    pub(super) fn body(&self, event: &Arc<Event>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let chunks = match &event.body {
            Body::Inline(chunks) => stream::iter(chunks.clone().into_iter().map(Ok)).boxed(),
            Body::Parts { id, count } => self.clone().parts(Arc::clone(event), *id, *count),
        };
        chain::checked(event, chunks)
    }

    fn parts(self, event: Arc<Event>, body: Uuid, count: u32) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let pages = stream::unfold(0, move |next| {
            let (store, event) = (self.clone(), Arc::clone(&event));
            async move {
                if next >= count {
                    return None;
                }
                let end = count.min(next.saturating_add(CHUNKS));
                Some(match store.page(&event, body, next..end).await {
                    Ok(chunks) => (chunks.into_iter().map(Ok).collect(), end),
                    Err(error) => (vec![Err(error)], count),
                })
            }
        });
        pages.flat_map(stream::iter).boxed()
    }

    async fn page(&self, event: &Event, body: Uuid, range: std::ops::Range<u32>) -> Result<Vec<Bytes>, ReadError> {
        let revision = event.revision();
        let options = GetOptions::new().with_range(self.keys.part(body, range.end));
        let found = self.client.get(self.keys.part(body, range.start), Some(options)).await.map_err(unavailable)?;
        let mut chunks = Vec::new();
        let mut found = found.kvs().iter();
        for index in range {
            let part = found.next().filter(|part| part.key() == self.keys.part(body, index).as_bytes());
            let Some(part) = part else {
                return Err(ReadError::Damaged { revision, detail: format!("chunk {index} of its body is missing") });
            };
            chunks.push(container::decode_part(part.value(), chunk::MAX_OCTETS).map_err(|source| match source {
                source @ FormError::Newer(_) => ReadError::Form { revision, source },
                FormError::Malformed(detail) => {
                    ReadError::Damaged { revision, detail: format!("chunk {index} of its body: {detail}") }
                }
            })?);
        }
        Ok(chunks)
    }

    /// Takes away the bodies that no event names and that got their last chunk before `before`.
    pub(super) async fn sweep(&self, before: Timestamp) -> Result<Swept, ReadError> {
        let mut swept = Swept::default();
        let mut from = self.keys.parts();
        let mut open: Option<Staged> = None;
        loop {
            let options = GetOptions::new().with_range(self.keys.parts_end()).with_keys_only().with_limit(PAGE);
            let page = self.client.get(from.clone(), Some(options)).await.map_err(unavailable)?;
            for part in page.kvs() {
                // Keys of another shape are not ours to take away.
                let Some((body, index)) = self.keys.part_of(part.key()) else { continue };
                if open.as_ref().is_none_or(|staged| staged.body != body) {
                    self.sweep_body(open.take(), before, &mut swept).await?;
                    open = Some(Staged { body, chunks: 0, newest: None, named: false });
                }
                let Some(staged) = &mut open else { continue };
                match index {
                    None => staged.named = true,
                    Some(index) => {
                        staged.chunks += 1;
                        staged.newest = staged.newest.max(Some((part.mod_revision(), index)));
                    }
                }
            }
            match page.kvs().last() {
                // The smallest key after the last one seen.
                Some(last) if page.more() => from = format!("{}\0", String::from_utf8_lossy(last.key())),
                _ => break,
            }
        }
        self.sweep_body(open, before, &mut swept).await?;
        Ok(swept)
    }

    async fn sweep_body(&self, staged: Option<Staged>, before: Timestamp, swept: &mut Swept) -> Result<(), ReadError> {
        let Some(Staged { body, chunks, newest: Some((mod_revision, index)), named: false }) = staged else {
            return Ok(());
        };
        let newest = self.keys.part(body, index);
        let found = self.client.get(newest.clone(), None).await.map_err(unavailable)?;
        let staged_at = found.kvs().first().and_then(|part| container::staged_at(part.value()));
        if staged_at.is_none_or(|staged_at| staged_at >= before) {
            return Ok(());
        }
        // An event that names the body meanwhile, or one more chunk, makes this transaction do nothing.
        let unchanged = [
            Compare::version(self.keys.named(body), CompareOp::Equal, 0),
            Compare::mod_revision(newest, CompareOp::Equal, mod_revision),
        ];
        let all = DeleteOptions::new().with_prefix();
        let txn = Txn::new().when(unchanged).and_then([TxnOp::delete(self.keys.body(body), Some(all))]);
        // What became of an unanswered one, the next sweep will see.
        if self.client.txn(txn).await.map_err(unavailable)?.succeeded() {
            tracing::info!(%body, chunks, "swept a large body that no event names");
            swept.bodies += 1;
            swept.chunks += chunks;
        }
        Ok(())
    }
}

/// A body met while sweeping.
struct Staged {
    body: Uuid,
    chunks: u64,
    /// The chunk written last: its etcd revision and its place.
    newest: Option<(i64, u32)>,
    named: bool,
}
