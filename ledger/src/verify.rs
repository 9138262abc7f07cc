//! Walking the whole log: every link, every body.

use std::sync::Arc;

use conn3ction_schemas::{
    Revision,
    event::{Hash, SealedHeader},
};
use futures::StreamExt;

use crate::{Body, Event, Ledger, ReadError, chain::Chain};

/// How much one step holds in memory.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What was walked and found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The first event that was checked; after `to` if there was none.
    pub from: Revision,
    /// The last event that was checked.
    pub to: Revision,
    /// The hash of the last event: who wrote it down elsewhere knows that nothing before it changed since.
    pub hash: Hash,
}

/// Checks every event from `from` on (at least r1) up to the head that the ledger has now: dense, linked by hash, times
/// rising, bodies as their digest says, and at the end the hash that the head names. Calls `each` with every good event.
///
/// # Errors
///
/// [`ReadError::Damaged`] with the first bad revision; the others if it could not be read.
pub async fn verify(
    ledger: &dyn Ledger,
    from: Revision,
    mut each: impl FnMut(&SealedHeader) + Send,
) -> Result<Verified, ReadError> {
    let head = ledger.head().await?;
    let from = from.max(Revision(1));
    // One event earlier, so that the link of the first one is checked, too.
    let mut chain = Chain::at(Revision(from.0.saturating_sub(2)));
    while chain.revision() < head.revision {
        let events = ledger.read(chain.revision(), READ_BYTES).await?;
        if events.is_empty() {
            return Err(missing(chain.revision().next()));
        }
        for event in events.iter().take_while(|event| event.revision() <= head.revision) {
            chain.check(event)?;
            walk_body(ledger, event).await?;
            each(&event.header);
        }
    }
    match chain.hash() {
        Some(hash) if chain.revision() == head.revision && hash != head.hash => Err(ReadError::Damaged {
            revision: head.revision,
            detail: "it is not the event that the head names".into(),
        }),
        hash => Ok(Verified { from, to: chain.revision(), hash: hash.unwrap_or(head.hash) }),
    }
}

async fn walk_body(ledger: &dyn Ledger, event: &Arc<Event>) -> Result<(), ReadError> {
    if let Body::Parts { .. } = event.body {
        let mut chunks = ledger.body(Arc::clone(event));
        while let Some(chunk) = chunks.next().await {
            chunk?;
        }
    }
    Ok(())
}

pub(crate) fn missing(revision: Revision) -> ReadError {
    ReadError::Damaged { revision, detail: "it is missing, though the head is after it".into() }
}
