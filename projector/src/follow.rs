use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use conn3ction_ledger::{Body, Event, Ledger, ReadError};
use conn3ction_schemas::{
    Delta, Revision,
    event::{FormError, chunk},
};
use futures::{StreamExt, stream::BoxStream};
use tokio_util::sync::CancellationToken;

use crate::{
    Projection,
    progress::{Condition, Reporter},
};

/// How long to wait before a ledger that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

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
            let mut events = ledger.follow(at);
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    interrupted = &mut interrupt => return Ok(interrupted),
                };
                let Some(event) = event else { break };
                let fed = match event {
                    Ok(event) => feed(ledger, &event, projection, reporter).await.map(|()| at = event.revision()),
                    Err(error) => Err(error),
                };
                match fed {
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
        let mut events = ledger.follow(at);
        while at < upto
            && let Some(event) = events.next().await
        {
            let fed = match event {
                Ok(event) => feed(ledger, &event, projection, reporter).await.map(|()| at = event.revision()),
                Err(error) => Err(error),
            };
            match fed {
                Ok(()) => {}
                Err(ReadError::Unavailable(_)) => tokio::time::sleep(RETRY).await,
                Err(error @ (ReadError::Damaged { .. } | ReadError::Form { .. })) => return Err(chain(&error)),
            }
        }
    }
    Ok(())
}

/// Folds one event. An absent ledger is waited for, because half an event cannot be taken back.
pub(crate) async fn feed(
    ledger: &dyn Ledger,
    event: &Arc<Event>,
    projection: &mut impl Projection,
    reporter: &Reporter,
) -> Result<(), ReadError> {
    projection.begin(&event.header);
    let mut chunks = Chunks::new(event.clone(), 0);
    while let Some(deltas) = chunks.next(ledger, reporter).await? {
        projection.chunk(&event.header, &deltas);
    }
    projection.commit(&event.header);
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
        let octets = match &self.event.body {
            Body::Inline(chunks) => chunks.get(self.given).cloned(),
            Body::Parts { .. } => self.next_part(ledger, reporter).await?,
        };
        let Some(octets) = octets else { return Ok(None) };
        self.given += 1;
        let revision = self.event.revision();
        let deltas: Result<Vec<Delta>, FormError> = chunk::deltas(&octets).collect();
        let deltas = deltas.map_err(|source| ReadError::Form { revision, source })?;
        if deltas.iter().any(|delta| delta.zone as usize >= self.event.header.zones.len()) {
            let source = FormError::Malformed("a delta names a zone that the header does not".into());
            return Err(ReadError::Form { revision, source });
        }
        Ok(Some(deltas))
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
