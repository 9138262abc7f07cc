//! The transactions: changes and checkpoint together, compared with the checkpoint they start from.

use std::sync::Arc;

use conn3ction_ledger::{
    Event,
    etcd::{
        CallError,
        etcd_client::{Compare, CompareOp, KeyValue, Txn, TxnOp},
    },
};

use super::{EtcdView, FORMAT, Fault, Waiting, changes::Changes};
use crate::{Checkpoint, Part, Prefix};

/// The checkpoint and the etcd revision that wrote it; 0 if it is not there.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) checkpoint: Checkpoint,
    pub(super) modified: i64,
}

impl EtcdView {
    /// Under which the checkpoint is stored: one for each prefix.
    pub(super) fn checkpoint_key(&self) -> String {
        checkpoint_key(&self.prefix)
    }

    /// The checkpoint as it is now.
    pub(super) async fn load(&self) -> Result<Base, Fault> {
        let answer = self.client.get(self.checkpoint_key(), None).await?;
        base_of(&self.prefix, answer.kvs().first())
    }

    /// Writes the changes of all whole events that wait.
    pub(super) async fn write_events(&self, base: &mut Base, waiting: &mut Waiting) -> Result<(), Fault> {
        let Some(last) = waiting.events.back() else { return Ok(()) };
        self.write_whole(base, &waiting.changes, last).await?;
        *waiting = Waiting::default();
        Ok(())
    }

    /// Writes `changes`, after which the view shows `event` as a whole.
    pub(super) async fn write_whole(
        &self,
        base: &mut Base,
        changes: &Changes,
        event: &Arc<Event>,
    ) -> Result<(), Fault> {
        let digest = changes.digest(base.checkpoint.digest);
        let header = &event.header;
        let checkpoint = base.checkpoint.after(header.epoch, header.revision, header.hash(), digest);
        self.write(base, changes, checkpoint).await?;
        self.report(base);
        Ok(())
    }

    /// Writes `changes`, after which the view is `part` into the next event.
    pub(super) async fn write_part(&self, base: &mut Base, changes: &Changes, part: Part) -> Result<(), Fault> {
        let digest = changes.digest(base.checkpoint.digest);
        let checkpoint = Checkpoint { part, digest, ..base.checkpoint.clone() };
        self.write(base, changes, checkpoint).await?;
        self.report(base);
        Ok(())
    }

    /// Writes `changes` and moves the checkpoint, if it still is at `base`.
    pub(super) async fn write(&self, base: &mut Base, changes: &Changes, checkpoint: Checkpoint) -> Result<(), Fault> {
        let key = self.checkpoint_key();
        let value = checkpoint.to_json();
        let mut operations = changes.operations();
        operations.push(TxnOp::put(key.as_str(), value.as_str(), None));
        let txn = Txn::new()
            .when([Compare::mod_revision(key.as_str(), CompareOp::Equal, base.modified)])
            .and_then(operations);
        match self.client.txn(txn).await {
            Ok(answer) if answer.succeeded() => {
                base.modified = answer.header().map_or(0, |header| header.revision());
                base.checkpoint = checkpoint;
                Ok(())
            }
            Ok(_) => Err(Fault::Lost(Box::new(self.load().await?))),
            Err(CallError::Unknown { .. }) => {
                // Whether it was done stands in the checkpoint. If it is done later, our next compare will tell.
                let now = self.load().await?;
                if now.modified != base.modified && now.checkpoint == checkpoint {
                    *base = now;
                    return Ok(());
                }
                Err(Fault::Lost(Box::new(now)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The checkpoint of the view under `prefix`, as it is stored.
pub(super) fn base_of(prefix: &Prefix, stored: Option<&KeyValue>) -> Result<Base, Fault> {
    let Some(stored) = stored else { return Ok(Base { checkpoint: Checkpoint::start(FORMAT), modified: 0 }) };
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    if serde_json::from_slice(stored.value()).is_ok_and(|Format { format }| format > FORMAT) {
        return Err(Fault::Held(format!("the keys under {} were written by a newer version", prefix)));
    }
    let checkpoint = serde_json::from_slice(stored.value()).unwrap_or_else(|error| {
        tracing::warn!(view = %prefix, %error, "unreadable checkpoint; the keys are built anew");
        Checkpoint { rebuilding: true, ..Checkpoint::start(FORMAT) }
    });
    Ok(Base { checkpoint, modified: stored.mod_revision() })
}

/// The key of the checkpoint of the view under `prefix`.
pub(crate) fn checkpoint_key(prefix: &Prefix) -> String {
    format!("{}/{}", CHECKPOINTS, prefix.as_str().trim_start_matches('/'))
}

/// The prefix of all checkpoints in etcd.
pub(crate) const CHECKPOINTS: &str = "/conn3ction/checkpoints";
