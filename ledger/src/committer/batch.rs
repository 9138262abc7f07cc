//! The batch in hand: drafts get their place, decisions wait for the ledger's word.

use std::sync::Arc;

use conn3ction_schemas::{
    Timestamp,
    event::{Draft, DraftChunks, Place},
};
use uuid::Uuid;

use super::{Decider, Decision, Next, Outcome};
use crate::{Batch, Body, Event, Head};

/// The most events of one batch, so that a reader of one event never decodes much more.
pub(crate) const MAX_EVENTS: usize = 512;

/// When a batch is full, in octets of headers and inline bodies: etcd takes 1.5 MiB at once, and the last event may
/// bring a whole inline body with it.
pub(crate) const FULL_BYTES: usize = 256 * 1024;

/// Events sealed after a head, and what was decided on the way.
pub(super) struct Open {
    events: Vec<Arc<Event>>,
    size_bytes: usize,
    max_events: usize,
    /// Where the log will end.
    end: Head,
}

impl Open {
    /// Nothing yet, after `head`.
    pub(super) fn after(head: &Head, max_events: usize) -> Self {
        Self { events: Vec::new(), size_bytes: 0, max_events, end: head.clone() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= self.max_events || self.size_bytes >= FULL_BYTES
    }

    /// Decides `command` as the next one; the outcome holds once the batch is stored.
    pub(super) fn decide<D: Decider>(
        &mut self,
        decider: &mut D,
        command: &D::Command,
        clock: Timestamp,
    ) -> Result<Outcome, D::Refusal> {
        let next = Next { revision: self.end.revision.next(), committed_at: self.end.next_committed_at(clock) };
        match decider.decide(command, next)? {
            Decision::Append(draft) => Ok(Outcome::Committed(self.push(&draft, next, clock))),
            Decision::Unchanged { revision, replayed } => Ok(Outcome::Unchanged { revision, replayed }),
        }
    }

    fn push(&mut self, draft: &Draft, next: Next, clock: Timestamp) -> Arc<Event> {
        let header = draft.seal(Place {
            epoch: self.end.epoch,
            revision: next.revision,
            previous_hash: self.end.hash,
            committed_at: next.committed_at,
            raw_clock: clock,
        });
        let body = match &draft.body.chunks {
            DraftChunks::Inline(chunks) => Body::Inline(chunks.iter().cloned().collect()),
            DraftChunks::Staged { id, count } => Body::Parts { id: *id, count: *count },
        };
        self.end.revision = next.revision;
        self.end.hash = header.hash();
        self.end.committed_at = next.committed_at;
        let event = Arc::new(Event { header, salt: draft.body.salt, body });
        self.size_bytes += event.size();
        self.events.push(Arc::clone(&event));
        event
    }

    /// What is to be appended.
    pub(super) fn seal(self, closed: Timestamp) -> Batch {
        Batch { id: Uuid::new_v4(), events: self.events, closed }
    }
}
