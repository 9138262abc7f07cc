//! The latest events in memory, so that live followers never touch the disk.

use std::{collections::VecDeque, sync::Arc};

use conn3ction_schemas::Revision;

use crate::{Event, memory::at_most};

/// What is kept, in octets of headers and inline bodies; the oldest go first. At 500 octets an event, 16,000 events.
const KEPT_BYTES: usize = 8 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Dense revisions.
    events: VecDeque<Arc<Event>>,
    size_bytes: usize,
}

impl Recent {
    /// Adds the events of a batch.
    pub(super) fn push(&mut self, events: &[Arc<Event>]) {
        for event in events {
            self.size_bytes += event.size();
            self.events.push_back(Arc::clone(event));
        }
        while self.size_bytes > KEPT_BYTES
            && let Some(oldest) = self.events.pop_front()
        {
            self.size_bytes -= oldest.size();
        }
    }

    /// The events after `after`, bounded as [`crate::Ledger::read`] says; `None` if the first of them is gone from here.
    pub(super) fn read(&self, after: Revision, max_bytes: usize) -> Option<Vec<Arc<Event>>> {
        let first = self.events.front()?.revision();
        let skip = usize::try_from(after.next().0.checked_sub(first.0)?).ok()?;
        (skip < self.events.len()).then(|| at_most(self.events.range(skip..), max_bytes))
    }
}
