use std::sync::Arc;

use bytes::Bytes;
use conn3ction_ledger::{AppendError, BoxError, Ledger};
use conn3ction_schemas::{
    Delta,
    event::{BodyDigest, DraftBody, DraftChunks, Salt, chunk::ChunkWriter},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::decide::MAX_DELTAS;

/// Octets of a body that comes along with its header; a larger one is staged.
const MAX_INLINE: usize = 192 * 1024;
/// Finished chunks that may wait for the ledger.
const WAITING: usize = 4;

/// An encoded body, and what its producer gave back.
#[derive(Debug)]
pub struct Staged<T> {
    /// The body, staged in the ledger if it is large.
    pub body: DraftBody,
    /// What the producer gave back.
    pub given: T,
}

/// Encodes the deltas that `produce` hands over, which must be sorted, and stages them as they come. Memory holds a few
/// chunks at a time. `produce` runs on a thread of its own.
///
/// # Errors
///
/// The ledger's; nothing names the chunks staged so far, so they will be swept.
pub async fn stage<T: Send + 'static>(
    ledger: &Arc<dyn Ledger>,
    produce: impl FnOnce(&mut dyn FnMut(&Delta)) -> T + Send + 'static,
) -> Result<Staged<T>, AppendError> {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(WAITING);
    let producer = tokio::task::spawn_blocking(move || {
        let mut writer = ChunkWriter::default();
        let mut change_count = 0u64;
        // A receiver that is gone has met an error already; the rest is produced in vain.
        let given = produce(&mut |delta| {
            change_count += 1;
            if let Some(chunk) = writer.push(delta) {
                let _ = sender.blocking_send(chunk);
            }
        });
        if let Some(chunk) = writer.finish() {
            let _ = sender.blocking_send(chunk);
        }
        (given, change_count)
    });
    let salt = Salt::random();
    let mut digest = BodyDigest::new(&salt);
    let id = Uuid::new_v4();
    let (mut inline, mut octets, mut count) = (Vec::new(), 0, 0u32);
    while let Some(chunk) = chunks.recv().await {
        digest.chunk(&chunk);
        octets += chunk.len();
        inline.push(chunk);
        if octets > MAX_INLINE {
            count = keep(&**ledger, id, count, &mut inline).await?;
        }
    }
    let (given, change_count) = producer.await.map_err(|error| AppendError::Unavailable(BoxError::from(error)))?;
    let chunks = if count > 0 || change_count > MAX_DELTAS as u64 {
        let count = keep(&**ledger, id, count, &mut inline).await?;
        DraftChunks::Staged { id, count }
    } else {
        DraftChunks::Inline(inline)
    };
    Ok(Staged { body: DraftBody { salt, digest: digest.finish(), change_count, chunks }, given })
}

async fn keep(ledger: &dyn Ledger, id: Uuid, mut count: u32, chunks: &mut Vec<Bytes>) -> Result<u32, AppendError> {
    for chunk in chunks.drain(..) {
        ledger.stage(id, count, chunk).await?;
        count += 1;
    }
    Ok(count)
}
