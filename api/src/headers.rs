//! Headers of events by revision, for telling who, when and why beside what the answer store knows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use conn3ction_schemas::{
    Revision, Timestamp,
    event::{Kind, SealedHeader},
    json,
};

use crate::{app::NodeState, http::problem::Problem};

/// Headers that are kept; at the bound the older half goes. About 2 MiB.
const KEPT: usize = 4_096;

/// The headers asked for last, in two generations.
#[derive(Debug, Default)]
pub(crate) struct Headers(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Revision, Arc<SealedHeader>>,
    old: HashMap<Revision, Arc<SealedHeader>>,
}

impl Headers {
    fn find(&self, revision: Revision) -> Option<Arc<SealedHeader>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.young.get(&revision).or_else(|| kept.old.get(&revision)).cloned()
    }

    fn keep(&self, header: Arc<SealedHeader>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.young.insert(header.revision, header);
        if kept.young.len() >= KEPT / 2 {
            kept.old = std::mem::take(&mut kept.young);
        }
    }
}

impl NodeState {
    /// The header of an event: one read of the ledger, or none if it was asked for lately.
    ///
    /// # Errors
    ///
    /// [`crate::http::problem::ProblemKind::EventNotFound`], or the ledger cannot be read.
    pub async fn header(&self, revision: Revision) -> Result<Arc<SealedHeader>, Problem> {
        if let Some(header) = self.headers.find(revision) {
            return Ok(header);
        }
        let header = Arc::new(self.event(revision).await?.header.alone());
        self.headers.keep(header.clone());
        Ok(header)
    }

    /// Who made an event, when and why, from memory where the views hold it: the ledger is not read.
    ///
    /// # Errors
    ///
    /// Those of [`NodeState::header`].
    pub async fn note_of(&self, revision: Revision) -> Result<json::EventNote, Problem> {
        match self.noted(revision) {
            Some((note, _)) => Ok(note),
            None => {
                let header = self.header(revision).await?;
                let (time, actor) = (header.time.to_string(), header.actor.name.clone());
                Ok(json::EventNote { revision: revision.0, time, actor, reason: header.reason.clone() })
            }
        }
    }

    /// What the views hold of an event: who, when, why, and of what kind it was if they know.
    pub fn noted(&self, revision: Revision) -> Option<(json::EventNote, Option<Kind>)> {
        let note = self.views.head_state().read().notes.get(revision)?;
        let (time, actor) = (note.time.to_string(), note.actor.as_ref().to_owned());
        let reason = note.reason.as_deref().map(str::to_owned);
        Some((json::EventNote { revision: revision.0, time, actor, reason }, note.kind))
    }

    /// The first revision up to `head` that was stored at `time` or later, found in the logarithm of the ledger;
    /// the one after `head` if there is none.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub async fn first_stored_from(&self, time: Timestamp, head: Revision) -> Result<Revision, Problem> {
        let (mut low, mut high) = (1, head.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.header(Revision(middle)).await?.committed_at < time { low = middle + 1 } else { high = middle }
        }
        Ok(Revision(low))
    }
}
