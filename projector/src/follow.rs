use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use conn3ction_ledger::{Body, Event, Ledger, ReadError};
use conn3ction_schemas::{
    Delta, NameRef, Revision,
    event::{DeltaRef, FormError, HeaderRef, chunk},
};
use futures::{
    StreamExt,
    stream::{BoxStream, ReadyChunks},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Projection,
    progress::{Condition, Reporter},
};

/// How long to wait before a ledger that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// At most so many events that wait are shown at once: a third of a millisecond.
const AT_ONCE: usize = 128;

/// Of so many events all small bodies are read before any is folded.
const LOT: usize = 32;

/// The events after a revision, those that wait already together.
fn events(ledger: &dyn Ledger, after: Revision) -> ReadyChunks<BoxStream<'static, Result<Arc<Event>, ReadError>>> {
    ledger.follow(after).ready_chunks(AT_ONCE)
}

/// Feeds every event after `after` into `projection` until `token` stops it.
///
/// Large bodies stream through chunk by chunk. A ledger that is away is waited for; a damaged one ends the following,
/// is reported, and the view keeps its last good state: nothing is ever skipped.
pub(crate) async fn follow(
    ledger: &dyn Ledger,
    after: Revision,
    projection: &mut impl Projection,
    reporter: &Reporter,
    token: &CancellationToken,
) {
    follow_until(ledger, after, projection, reporter, token, std::future::pending::<()>()).await;
}

/// As [`follow`], and ends between two events once `interrupt` is there, with its output.
pub(crate) async fn follow_until<T>(
    ledger: &dyn Ledger,
    after: Revision,
    projection: &mut impl Projection,
    reporter: &Reporter,
    token: &CancellationToken,
    interrupt: impl Future<Output = T>,
) -> Option<T> {
    let mut at = after;
    let mut interrupt = std::pin::pin!(interrupt);
    let ended = token.run_until_cancelled(async {
        loop {
            let mut events = events(ledger, at);
            loop {
                let waiting = tokio::select! {
                    waiting = events.next() => waiting,
                    interrupted = &mut interrupt => return Ok(interrupted),
                };
                let Some(waiting) = waiting else { break };
                match feed_all(ledger, waiting, &mut at, projection, reporter).await {
                    Ok(()) => {}
                    Err(error @ ReadError::Unavailable(_)) => {
                        reporter.condition(Condition::Unavailable(chain(&error)));
                        break;
                    }
                    Err(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => return Err(error),
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    });
    match ended.await {
        Some(Ok(interrupted)) => return Some(interrupted),
        Some(Err(error)) => reporter.condition(Condition::Damaged(chain(&error))),
        None => reporter.condition(Condition::Stopped),
    }
    None
}

/// Feeds the events after `after` up to `upto` into `projection`. A ledger that is away is waited for.
///
/// # Errors
///
/// What an operator must look at, in words.
pub(crate) async fn follow_to(
    ledger: &dyn Ledger,
    after: Revision,
    upto: Revision,
    projection: &mut impl Projection,
    reporter: &Reporter,
) -> Result<(), String> {
    let mut at = after;
    while at < upto {
        let mut events = events(ledger, at);
        while at < upto
            && let Some(mut waiting) = events.next().await
        {
            waiting.truncate(usize::try_from(upto.0 - at.0).unwrap_or(usize::MAX));
            match feed_all(ledger, waiting, &mut at, projection, reporter).await {
                Ok(()) => {}
                Err(ReadError::Unavailable(_)) => {
                    tokio::time::sleep(RETRY).await;
                    break;
                }
                Err(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => return Err(chain(&error)),
            }
        }
    }
    Ok(())
}

/// Folds events that wait already, up to the first that cannot be had, and shows them; `at` is the last of them.
async fn feed_all(
    ledger: &dyn Ledger,
    waiting: Vec<Result<Arc<Event>, ReadError>>,
    at: &mut Revision,
    projection: &mut impl Projection,
    reporter: &Reporter,
) -> Result<(), ReadError> {
    let mut failed = Ok(());
    let events: Vec<Arc<Event>> =
        waiting.into_iter().map_while(|event| event.map_err(|e| failed = Err(e)).ok()).collect();
    let (mut fed, mut read) = (Ok(()), Lot::default());
    for lot in events.chunks(LOT) {
        fed = feed_lot(ledger, lot, at, &mut read, projection, reporter).await;
        if fed.is_err() {
            break;
        }
    }
    projection.show();
    fed.and(failed)
}

/// What was read of a few events; its memory is used again and again.
#[derive(Default)]
struct Lot<'e> {
    /// Each with the places of its deltas, if its body is small.
    events: Vec<(&'e Arc<Event>, HeaderRef<'e>, Range<usize>)>,
    deltas: Vec<DeltaRef<'e>>,
    /// The owners that change, each with its zone.
    owners: Vec<(NameRef<'e>, NameRef<'e>)>,
}

impl<'e> Lot<'e> {
    /// Reads events and their small bodies, up to the first that cannot be read.
    fn read(&mut self, lot: &'e [Arc<Event>]) -> Result<(), ReadError> {
        self.events.clear();
        self.deltas.clear();
        self.owners.clear();
        for event in lot {
            let (header, from) = (event.header.read(), self.deltas.len());
            if let Body::Inline(chunks) = &event.body {
                chunks.iter().try_for_each(|octets| read(event, header.zones.len(), octets, &mut self.deltas))?;
            }
            // Most events are about one zone; of others nothing is expected.
            if let Some(zone) = header.zones.iter().next().filter(|_| header.zones.len() == 1) {
                self.owners.extend(self.deltas[from..].iter().take(LOT).map(|delta| (zone.zone, delta.owner)));
            }
            self.events.push((event, header, from..self.deltas.len()));
        }
        Ok(())
    }
}

/// Folds the events of a lot up to the first that cannot be had. An absent ledger is waited for, because half an event
/// cannot be taken back.
async fn feed_lot<'e>(
    ledger: &dyn Ledger,
    lot: &'e [Arc<Event>],
    at: &mut Revision,
    whole: &mut Lot<'e>,
    projection: &mut impl Projection,
    reporter: &Reporter,
) -> Result<(), ReadError> {
    // Small bodies are read whole before anything of the event is folded, and those of a lot before any of it is.
    let unread = whole.read(lot);
    projection.expect(&whole.owners);
    for (event, header, range) in &whole.events {
        if let Body::Inline(_) = event.body {
            projection.begin(header);
            projection.chunk(header, &whole.deltas[range.clone()]);
        } else {
            // It may take long.
            projection.show();
            projection.begin(header);
            let mut chunks = Chunks::new(Arc::clone(event), 0);
            while let Some(octets) = chunks.next_octets(ledger, reporter).await? {
                let mut deltas = Vec::new();
                read(event, header.zones.len(), &octets, &mut deltas)?;
                projection.chunk(header, &deltas);
            }
        }
        projection.commit(header, event.header.hash());
        *at = event.revision();
    }
    unread
}

/// Adds the deltas of one chunk of `event`.
fn read<'c, D: From<DeltaRef<'c>>>(
    event: &Event,
    zones: usize,
    octets: &'c [u8],
    deltas: &mut Vec<D>,
) -> Result<(), ReadError> {
    let form = |source| ReadError::Form { revision: event.revision(), source };
    for delta in chunk::read(octets) {
        let delta = delta.map_err(form)?;
        if delta.zone as usize >= zones {
            return Err(form(FormError::Malformed("a delta names a zone that the header does not".into())));
        }
        deltas.push(delta.into());
    }
    Ok(())
}

/// The chunks of one event, decoded one at a time. Rides out the ledger's absence.
pub(crate) struct Chunks {
    event: Arc<Event>,
    /// Chunks given so far.
    given: usize,
    stream: Option<BoxStream<'static, Result<Bytes, ReadError>>>,
}

impl Chunks {
    /// The chunks after the first `given`.
    pub(crate) fn new(event: Arc<Event>, given: usize) -> Self {
        Self { event, given, stream: None }
    }

    /// The next chunk's deltas; `None` at the end of the body.
    pub(crate) async fn next(
        &mut self,
        ledger: &dyn Ledger,
        reporter: &Reporter,
    ) -> Result<Option<Vec<Delta>>, ReadError> {
        let Some(octets) = self.next_octets(ledger, reporter).await? else { return Ok(None) };
        let mut deltas = Vec::new();
        read(&self.event, self.event.header.read().zones.len(), &octets, &mut deltas)?;
        Ok(Some(deltas))
    }

    async fn next_octets(&mut self, ledger: &dyn Ledger, reporter: &Reporter) -> Result<Option<Bytes>, ReadError> {
        let octets = match &self.event.body {
            Body::Inline(chunks) => chunks.get(self.given).cloned(),
            Body::Parts { .. } => self.next_part(ledger, reporter).await?,
        };
        self.given += usize::from(octets.is_some());
        Ok(octets)
    }

    async fn next_part(&mut self, ledger: &dyn Ledger, reporter: &Reporter) -> Result<Option<Bytes>, ReadError> {
        loop {
            if self.stream.is_none() {
                self.stream = Some(ledger.body(self.event.clone()).skip(self.given).fuse().boxed());
            }
            let Some(stream) = &mut self.stream else { continue };
            match stream.next().await {
                Some(Err(error @ ReadError::Unavailable(_))) => {
                    reporter.condition(Condition::Unavailable(chain(&error)));
                    self.stream = None;
                    tokio::time::sleep(RETRY).await;
                }
                Some(Err(error)) => return Err(error),
                Some(Ok(octets)) => return Ok(Some(octets)),
                None => return Ok(None),
            }
        }
    }
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
