//! Views in etcd: written exactly once by any number of projectors.
//!
//! The checkpoint is compared and moved in the transaction that writes the keys. So of two projectors that write the
//! same step one wins; the other's compare fails, it reads the checkpoint and goes on from there. No lock is needed,
//! and a transaction whose answer was lost is settled by reading the checkpoint, too.
//!
//! Several small events go in one transaction; an event too large for one goes in parts, with whole owners together.

mod changes;
mod look;
mod rebuild;
mod steps;
pub(crate) mod txn;

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use conn3ction_dns::store::Store;
use conn3ction_ledger::{
    Event, Ledger, ReadError,
    etcd::{Backoff, CallError, Client},
};
use conn3ction_schemas::Revision;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio_util::sync::CancellationToken;

pub(crate) use self::look::claim;
use self::{changes::Changes, steps::Steps, txn::Base};
use crate::{
    Condition, KeyView, Part, Prefix,
    follow::chain,
    progress::{NotReached, Reporter, Watcher},
    rebuild::{Rebuilt, Requests},
};

/// The version of the keys' form. A projector that meets a newer one stops writing; keys of an older one are built anew.
///
/// 2: a CNAME that leads out of its zone no longer stands at its own key, too. 3: nothing of `dns` below a zone stands at a key
/// of the apex.
const FORMAT: u32 = 3;

/// Events that wait for one transaction; more would only delay the first.
const MOST_EVENTS: usize = 1_000;

/// A task that keeps one view in etcd.
pub(crate) struct EtcdView {
    pub(crate) client: Client,
    pub(crate) prefix: Prefix,
    pub(crate) view: Box<dyn KeyView>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) store: Arc<Store>,
    pub(crate) answers: Watcher,
    pub(crate) reporter: Reporter,
    pub(crate) rebuilds: Requests<Rebuilt>,
}

/// Why a view cannot go on.
enum Fault {
    /// etcd gave no answer or refused.
    Etcd(CallError),
    /// The ledger could not be read.
    Ledger(ReadError),
    /// The answers, which this view is made from, have stopped.
    Answers(NotReached),
    /// Another projector moved the checkpoint: here it is now.
    Lost(Box<Base>),
    /// The checkpoint is not where it can be gone on from: begin again.
    Moved,
    /// An operator must act, as the text says.
    Held(String),
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        Self::Etcd(error)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Ledger(error)
    }
}

impl From<NotReached> for Fault {
    fn from(error: NotReached) -> Self {
        Self::Answers(error)
    }
}

/// Whole events whose changes are not written yet.
#[derive(Default)]
struct Waiting {
    changes: Changes,
    events: VecDeque<Arc<Event>>,
}

/// The events to come: those of the ledger's stream, after those that were lost to another projector and are to be
/// looked at again.
struct Source {
    again: VecDeque<Arc<Event>>,
    /// The event in hand, until it waits or is written.
    current: Option<Arc<Event>>,
    stream: BoxStream<'static, Result<Arc<Event>, ReadError>>,
}

impl Source {
    /// The next event. May be dropped while it waits.
    async fn next(&mut self) -> Result<Arc<Event>, Fault> {
        let event = match self.again.pop_front() {
            Some(event) => event,
            None => self.stream.next().await.ok_or(Fault::Moved)??,
        };
        self.current = Some(event.clone());
        Ok(event)
    }

    /// Goes back to the first event after `revision`.
    fn go_back(&mut self, waiting: &mut Waiting, revision: Revision) {
        let seen = std::mem::take(&mut waiting.events).into_iter().chain(self.current.take());
        let again = seen.chain(std::mem::take(&mut self.again)).filter(|event| event.revision() > revision);
        self.again = again.collect();
        debug_assert!(self.again.iter().is_sorted_by(|a, b| a.revision() < b.revision()), "no event counts twice");
        waiting.changes = Changes::default();
    }
}

impl EtcdView {
    /// Runs until `token` stops it.
    pub(crate) async fn run(mut self, token: CancellationToken) {
        let ended = token.run_until_cancelled(async {
            let mut backoff = Backoff::default();
            loop {
                let Err(fault) = self.session(&mut backoff).await;
                match fault {
                    Fault::Etcd(error) => self.reporter.condition(Condition::Unavailable(chain(&error))),
                    Fault::Ledger(error @ ReadError::Unavailable(_)) => {
                        self.reporter.condition(Condition::Unavailable(chain(&error)));
                    }
                    Fault::Ledger(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => {
                        return chain(&error);
                    }
                    Fault::Answers(error) => return chain(&error),
                    Fault::Lost(_) | Fault::Moved => {}
                    Fault::Held(text) => self.reporter.condition(Condition::Held(text)),
                }
                if let Ok(request) = tokio::time::timeout(backoff.next_wait(), self.rebuilds.next()).await {
                    request.answer(self.rebuild(true).await);
                }
            }
        });
        match ended.await {
            Some(detail) => self.reporter.condition(Condition::Damaged(detail)),
            None => self.reporter.condition(Condition::Stopped),
        }
    }

    /// Brings the view to the ledger's head and keeps it there.
    async fn session(&mut self, backoff: &mut Backoff) -> Result<Infallible, Fault> {
        let mut base = self.start().await?;
        self.report(&base);
        self.reporter.condition(Condition::Following);
        let ledger = self.ledger.clone();
        let stream = ledger.follow(base.checkpoint.at());
        let mut source = Source { again: VecDeque::new(), current: None, stream };
        let mut waiting = Waiting::default();
        loop {
            match self.advance(&mut base, &mut source, &mut waiting).await {
                Ok(()) => backoff.reset(),
                Err(Fault::Lost(other)) => {
                    if other.checkpoint.revision < base.checkpoint.revision || other.checkpoint.rebuilding {
                        return Err(Fault::Moved);
                    }
                    base = *other;
                    source.go_back(&mut waiting, base.checkpoint.at());
                    self.report(&base);
                    // Whoever won is likely to win again: one of us is enough.
                    tokio::time::sleep(give_way()).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Takes in one event, or writes what waits if no other event is ready.
    async fn advance(&mut self, base: &mut Base, source: &mut Source, waiting: &mut Waiting) -> Result<(), Fault> {
        let event = if waiting.events.is_empty() {
            tokio::select! {
                event = source.next() => event?,
                request = self.rebuilds.next() => {
                    request.answer(self.rebuild(false).await);
                    return Err(Fault::Moved);
                }
            }
        } else {
            match source.next().now_or_never() {
                Some(event) => event?,
                None => return self.write_events(base, waiting).await,
            }
        };
        if event.revision() <= base.checkpoint.at() {
            return Ok(());
        }
        self.answers.reached(event.revision()).await?;
        self.fold(base, waiting, &event).await?;
        // It waits, or is written: nobody has it in hand any more.
        source.current = None;
        if waiting.events.len() >= MOST_EVENTS { self.write_events(base, waiting).await } else { Ok(()) }
    }

    /// Adds the changes of `event` to those that wait; an event too large for one transaction is written in parts.
    async fn fold(&self, base: &mut Base, waiting: &mut Waiting, event: &Arc<Event>) -> Result<(), Fault> {
        let revision = event.revision();
        let before = self.store.at(Revision(revision.0 - 1).into());
        let after = self.store.at(revision.into());
        let mut steps = Steps::new(&*self.view, &before, &after, event.clone());
        let next = base.checkpoint.revision + 1 == revision.0;
        let mut at = if next { base.checkpoint.part } else { Part::default() };
        let mut in_parts = !at.is_start();
        // A name counts once, at the first step that affects it: its keys move once, and the digest with them.
        let mut met = HashSet::new();
        let mut step = 0;
        let mut mine = Changes::default();
        while let Some(mut names) = steps.next(&*self.ledger, &self.reporter).await? {
            names.retain(|name| met.insert(name.clone()));
            step += 1;
            if step <= at.steps {
                continue;
            }
            let pieces = Changes::of(&*self.view, &before, &after, &names).pieces(at.keys);
            // An owner's keys stay together, unless no transaction holds them all.
            let several = pieces.len() > 1;
            for piece in pieces {
                if !mine.fits(&piece) || (several && !mine.is_empty()) {
                    if !in_parts {
                        in_parts = true;
                        self.write_events(base, waiting).await?;
                    }
                    self.write_part(base, &mine, at).await?;
                    mine = Changes::default();
                }
                if several {
                    at.keys += piece.len() as u64;
                }
                mine.append(piece);
            }
            at = Part { steps: at.steps + 1, keys: 0 };
        }
        if in_parts {
            return self.write_whole(base, &mine, event).await;
        }
        if !waiting.changes.fits(&mine) {
            self.write_events(base, waiting).await?;
        }
        waiting.changes.append(mine);
        waiting.events.push_back(event.clone());
        Ok(())
    }

    fn report(&self, base: &Base) {
        let checkpoint = &base.checkpoint;
        if checkpoint.part.is_start() {
            self.reporter.reached(checkpoint.at(), checkpoint.digest);
        } else {
            self.reporter.within(checkpoint.at(), checkpoint.part.steps, checkpoint.digest);
        }
    }
}

/// A wait of 25 to 50 ms.
fn give_way() -> Duration {
    Backoff::default().next_wait()
}
