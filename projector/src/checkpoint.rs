use conn3ction_schemas::{Epoch, Revision, event::Hash};
use serde::{Deserialize, Serialize};

use crate::Digest;

/// How far a stored view is. It lies beside the view and moves in the same transaction, so the two never disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version of the view's form. A build that meets a newer one stops writing.
    pub format: u32,
    /// The ledger's life.
    pub epoch: u32,
    /// The last event that the view shows as a whole.
    pub revision: u64,
    /// That event's hash, so that another ledger's view is told apart.
    pub hash: String,
    /// How far into the event after that the view is.
    #[serde(default, skip_serializing_if = "Part::is_start")]
    pub part: Part,
    /// The digest of the view as it stands.
    pub digest: Digest,
    /// The view is being brought to `revision`; until that is done it shows something older, or another's keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuilding: bool,
}

/// A place inside an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Part {
    /// Steps of the event that are done: one for each zone, then one for each owner (local store: chunks).
    pub steps: u64,
    /// Keys written of the step after those; not 0 only where one owner's keys do not fit one transaction.
    #[serde(default)]
    pub keys: u64,
}

impl Part {
    /// Between two events.
    pub fn is_start(&self) -> bool {
        *self == Self::default()
    }
}

impl Checkpoint {
    /// Before the first event.
    pub fn start(format: u32) -> Self {
        Self {
            format,
            epoch: Epoch::FIRST.0,
            revision: 0,
            hash: Hash::default().to_string(),
            part: Part::default(),
            digest: Digest::default(),
            rebuilding: false,
        }
    }

    /// The last event that the view shows as a whole.
    pub fn at(&self) -> Revision {
        Revision(self.revision)
    }

    /// The same view of the same ledger after a whole event.
    #[must_use]
    pub fn after(&self, epoch: Epoch, revision: Revision, hash: Hash, digest: Digest) -> Self {
        Self {
            format: self.format,
            epoch: epoch.0,
            revision: revision.0,
            hash: hash.to_string(),
            part: Part::default(),
            digest,
            rebuilding: false,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("a checkpoint is plain text and numbers"))
    }
}

/// Whether `checkpoint` was made from this ledger: its event is there, with its hash.
pub(crate) async fn belongs(
    ledger: &dyn conn3ction_ledger::Ledger,
    checkpoint: &Checkpoint,
) -> Result<bool, conn3ction_ledger::ReadError> {
    if checkpoint.revision == 0 {
        return Ok(true);
    }
    let events = ledger.read(Revision(checkpoint.revision - 1), 1).await?;
    Ok(events.first().is_some_and(|event| {
        event.header.revision == checkpoint.at()
            && event.header.epoch.0 == checkpoint.epoch
            && event.header.hash().to_string() == checkpoint.hash
    }))
}
