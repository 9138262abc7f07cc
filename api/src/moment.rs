//! Moments: the one place where what people write (`r1041`, a time, an age) becomes a state that can be read.
//!
//! Of a revision nothing ever changes. At or before a point in time another event may still take effect, until the
//! ledger's head is later or the committer has closed that moment; [`NodeState::settled`] asks it to.

use std::{fmt, sync::PoisonError, time::Duration};

use conn3ction_dns::View;
use conn3ction_ledger::Head;
use conn3ction_schemas::{Epoch, Revision, Timestamp, Token, When};

use crate::app::NodeState;

/// How long an answer waits for its moment to be closed before it says that it is not final.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// A moment that can be read.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The zones as they stood then. It does not change while it is held.
    pub view: View,
    /// What was asked, with nothing in it that moves on: an age has become a time, `now` the revision that it found.
    pub place: Place,
    /// Whether nothing can be added to this moment any more.
    pub is_final: bool,
}

/// Where a moment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The present, which showed this revision.
    Now(Revision),
    /// Right after an event; 0 is before the first.
    Revision(Revision),
    /// A point in time; each zone has its own last revision there.
    Time(Timestamp),
}

impl fmt::Display for Place {
    /// As it is asked for: `r1041`, or a point in time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(revision) | Self::Revision(revision) => revision.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// Why a moment cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMoment {
    /// The ledger has not reached it.
    #[error("{asked} is yet to come; the head is {head}")]
    NotYet {
        /// What was asked.
        asked: When,
        /// What is shown now.
        head: Token,
    },
    /// The ledger was restored from a backup since.
    #[error("epoch {} has ended; this ledger is in epoch {}", .asked.0, .now.0)]
    EpochEnded {
        /// What was asked.
        asked: Epoch,
        /// The ledger's life now.
        now: Epoch,
    },
}

/// How far the committer closed the past, as far as this node knows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Closed {
    moment: Timestamp,
    /// The head then: whoever shows it shows all that took effect by `moment`.
    head: Revision,
}

impl NodeState {
    /// Finds the state at `when` without waiting for anything.
    ///
    /// # Errors
    ///
    /// [`NoMoment`].
    pub fn moment(&self, when: When) -> Result<Moment, NoMoment> {
        let published = self.revision();
        let place = place(when, Token { epoch: self.epoch(), revision: published }, Timestamp::now())?;
        Ok(match place {
            Place::Now(revision) => Moment { view: self.store.at(revision.into()), place, is_final: false },
            Place::Revision(revision) => Moment { view: self.store.at(revision.into()), place, is_final: true },
            Place::Time(time) => {
                // Asked before the view is made, which may then show more, but not less.
                let is_final = self.is_final(time);
                Moment { view: self.store.at_time(time), place, is_final }
            }
        })
    }

    /// As [`NodeState::moment`], and makes a point in time final if the ledger can be reached.
    ///
    /// # Errors
    ///
    /// [`NoMoment`].
    pub async fn settled(&self, when: When) -> Result<Moment, NoMoment> {
        let moment = self.moment(when)?;
        let Place::Time(time) = moment.place else { return Ok(moment) };
        if moment.is_final {
            return Ok(moment);
        }
        let closing = async {
            match self.committer.close(time).await {
                Ok(head) => {
                    self.saw_closed(&head);
                    self.store.reached(head.revision.into()).await;
                }
                Err(error) => tracing::debug!(%error, "closing a moment"),
            }
        };
        // In time or not: whether it is final is looked up again.
        let _ = tokio::time::timeout(CLOSED_WITHIN, closing).await;
        let is_final = self.is_final(time);
        Ok(Moment { view: self.store.at_time(time), is_final, ..moment })
    }

    /// Notes how far `head` closed the past.
    pub(crate) fn saw_closed(&self, head: &Head) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if head.closed > closed.moment {
            *closed = Closed { moment: head.closed, head: head.revision };
        }
    }

    /// Whether all that took effect by `time` is shown and nothing can be added: every later event is stored later than
    /// the head and than what was closed, and takes effect when it is stored.
    fn is_final(&self, time: Timestamp) -> bool {
        let (revision, committed_at) = {
            let head = self.views.head_state().read();
            (head.revision, head.committed_at)
        };
        let closed = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let shows = |revision| self.revision() >= revision;
        (time <= committed_at && shows(revision)) || (time <= closed.moment && shows(closed.head))
    }
}

/// Where `when` lies for a reader who sees `head` on a clock that shows `clock`.
pub(crate) fn place(when: When, head: Token, clock: Timestamp) -> Result<Place, NoMoment> {
    let not_yet = NoMoment::NotYet { asked: when, head };
    match when {
        When::Now => Ok(Place::Now(head.revision)),
        When::Revision(Some(epoch), _) if epoch < head.epoch => {
            Err(NoMoment::EpochEnded { asked: epoch, now: head.epoch })
        }
        When::Revision(Some(epoch), _) if epoch > head.epoch => Err(not_yet),
        When::Revision(_, revision) if revision > head.revision => Err(not_yet),
        When::Revision(_, revision) => Ok(Place::Revision(revision)),
        When::Time(time) if time > clock => Err(not_yet),
        When::Time(time) => Ok(Place::Time(time)),
        When::Age(micros) => Ok(Place::Time(Timestamp(clock.0.saturating_sub(micros)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_other_epochs_and_of_the_future_are_told_apart() {
        let head = Token { epoch: Epoch(2), revision: Revision(9) };
        let clock = Timestamp(1_000_000);
        let place = |text: &str| place(text.parse().expect("a moment"), head, clock);
        let not_yet = |text: &str| Err(NoMoment::NotYet { asked: text.parse().expect("a moment"), head });
        assert_eq!(place("now"), Ok(Place::Now(Revision(9))));
        assert_eq!(place("r9"), Ok(Place::Revision(Revision(9))));
        assert_eq!(place("2:0"), Ok(Place::Revision(Revision(0))));
        assert_eq!(place("1s"), Ok(Place::Time(Timestamp(0))));
        assert_eq!(place("1970-01-01T00:00:01Z"), Ok(Place::Time(clock)));
        assert_eq!(place("1:4"), Err(NoMoment::EpochEnded { asked: Epoch(1), now: Epoch(2) }));
        for text in ["r10", "2:10", "3:1", "1970-01-01T00:00:01.000001Z"] {
            assert_eq!(place(text), not_yet(text), "{text}");
        }
    }
}
