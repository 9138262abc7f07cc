//! `POST /history`: zones with their past, one version a line.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    body::{BodyDataStream, Bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use conn3ction_ledger::committer::{Outcome, SubmitError};
use conn3ction_schemas::{
    Name, Revision,
    event::{Actor, Auth, DraftBody},
};
use futures::{StreamExt, future::BoxFuture};
use uuid::Uuid;

use super::{
    Shared, body,
    problem::{Problem, ProblemKind},
    query::Query,
    reading,
    request::Caller,
    writing,
};
use crate::{
    decide::{
        BadItem, Command, Envelope, Intent, Live, MAX_DELTAS, MAX_OCTETS, Refusal, RefusalKind, octets,
        planned::Planned,
    },
    past::{
        stored::{self, Other, Stored},
        take::{Past, Taking},
        wire::{Taken, VersionInput},
    },
    plan,
};

/// Octets of one line: a version with a million changes.
const MAX_LINE: usize = 256 << 20;
/// Versions submitted and not yet stored; the committer stores them together.
const IN_FLIGHT: usize = 128;

/// Octets of the ledger read at once.
const READ_OCTETS: usize = 1 << 20;
/// How long an import of the same zones may take to end: one that broke off still stores what it had sent.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

type Submitted = BoxFuture<'static, Result<Outcome, SubmitError<Refusal>>>;

pub(super) async fn take(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of_write(request.uri(), &["dry_run"])?;
    let dry_run = query.flag("dry_run")?;
    let mut lines = Lines { body: request.into_body().into_data_stream(), buffer: Vec::new(), over: false };
    let mut import = Import {
        past: Past::new(node.importing.clone()),
        stored: None,
        waiting: VecDeque::new(),
        taken: Taken::default(),
        node: node.clone(),
        caller,
        dry_run,
    };
    // A task, because a handler ends with its connection: the zones are held until all that was sent is stored.
    let task = tokio::spawn(async move {
        let outcome = import.run(&mut lines).await;
        let zones = import.past.zones().map(Name::without_dot).collect();
        let taken = Taken { zones, ..std::mem::take(&mut import.taken) };
        drop(import);
        // The answer to a client that still sends would be lost: it is told when it listens.
        while let Ok(Some(_)) = lines.piece().await {}
        outcome.map(|()| taken)
    });
    let taken = task.await.map_err(|_| Problem::new(ProblemKind::Internal, "the import broke off"))??;
    let last = Revision(taken.last.unwrap_or_default());
    node.shown(last).await?;
    let status = if taken.last.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(&taken)).into_response();
    if taken.last.is_some() {
        reading::put(response.headers_mut(), "conn3ction-revision", &node.token(last).to_string());
    }
    Ok(response)
}

/// A history on its way in.
struct Import {
    node: Shared,
    caller: Caller,
    past: Past,
    /// What the ledger had before; read when a zone turns out to have a past.
    stored: Option<Stored>,
    waiting: VecDeque<Submitted>,
    taken: Taken,
    dry_run: bool,
}

impl Import {
    /// Takes all lines. When it returns, whatever was submitted is stored or refused.
    async fn run(&mut self, lines: &mut Lines) -> Result<(), Problem> {
        let sent = self.take_lines(lines).await;
        let mut settled = Ok(());
        while !self.waiting.is_empty() {
            settled = settled.and(self.settle(0).await);
        }
        sent.and(settled)?;
        match self.past.zones().next() {
            // All of it is there: what the same command is told that was given twice.
            Some(zone) if self.taken.events == 0 && self.taken.already.is_some() => Err(has_a_past(zone).into()),
            _ => Ok(()),
        }
    }

    async fn take_lines(&mut self, lines: &mut Lines) -> Result<(), Problem> {
        let mut number = 0;
        while let Some(line) = lines.next().await? {
            number += 1;
            let version: VersionInput = serde_json::from_slice(&line)
                .map_err(|error| Problem::new(ProblemKind::Malformed, format!("line {number}: {error}")))?;
            self.wait_for_another(&version).await;
            let taking = self.past.take(number, &version)?;
            if self.is_stored(&version, &taking).await? {
                *self.taken.already.get_or_insert_default() += 1;
                continue;
            }
            if self.dry_run {
                self.taken.events += 1;
                continue;
            }
            let begins = taking.begins;
            let mut submitted = self.submit(&version, taking).await?;
            // The first poll puts it in the queue, behind the version before.
            match futures::poll!(&mut submitted) {
                std::task::Poll::Ready(outcome) => self.note(outcome).await?,
                std::task::Poll::Pending => self.waiting.push_back(submitted),
            }
            // Nothing may be on its way behind a version that is refused because its zone is there.
            self.settle(if begins { 0 } else { IN_FLIGHT }).await?;
        }
        Ok(())
    }

    /// An import of the same zones that broke off is about to end.
    async fn wait_for_another(&mut self, version: &VersionInput) {
        let until = Instant::now() + ENDS_WITHIN;
        while self.past.is_held_up(version) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether the version is in the ledger already, so that the history goes on behind it.
    ///
    /// # Errors
    ///
    /// A zone has a past that is not this one.
    async fn is_stored(&mut self, version: &VersionInput, taking: &Taking) -> Result<bool, Problem> {
        let mut older = Vec::new();
        if taking.begins {
            self.node.shown(self.node.head_known()).await?;
            older = taking.planned.older(&Live::new(self.node.store.now()));
        }
        if self.stored.is_none() && !older.is_empty() {
            self.stored = Some(read_stored(&self.node).await?);
        }
        let met = match &mut self.stored {
            Some(stored) => stored.meets(&version.id, taking.deltas.len() as u64, &taking.serials),
            None => Ok(false),
        };
        match met {
            Ok(true) => Ok(true),
            Ok(false) => Refusal::of(older).map_or(Ok(false), |refusal| Err(refusal.into())),
            Err(Other(zone)) => Err(has_a_past(&zone).into()),
        }
    }

    async fn submit(&mut self, version: &VersionInput, taking: Taking) -> Result<Submitted, Problem> {
        let Taking { planned, deltas, .. } = taking;
        let body = if deltas.len() > MAX_DELTAS || octets(&deltas) > MAX_OCTETS {
            let producing = deltas.clone();
            let staged = plan::stage(&self.node.ledger, move |sink| producing.iter().for_each(sink)).await;
            staged.map_err(|error| writing::fault(&SubmitError::Append(Arc::new(error))))?.body
        } else {
            DraftBody::inline(deltas.iter())
        };
        let actor = match &version.actor {
            // Its author claimed the name long ago; who brings it is told by the request's log line.
            Some(name) => Actor { name: cut(name, 256), auth: Auth::None },
            None => self.caller.actor.clone(),
        };
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            actor,
            source: stored::source(&version.id),
            request_id: self.caller.request_id.clone(),
            idempotency: None,
            reason: version.reason.as_deref().map(|reason| cut(reason, 4096)),
            expected_revision: None,
        };
        let intent = Intent::Planned(Arc::new(Planned { body, ..planned }));
        let (node, command) = (self.node.clone(), Arc::new(Command { envelope, intent }));
        Ok(Box::pin(async move { node.submit_planned(command).await }))
    }

    /// Waits until at most `left` versions are not stored yet.
    async fn settle(&mut self, left: usize) -> Result<(), Problem> {
        while self.waiting.len() > left
            && let Some(submitted) = self.waiting.pop_front()
        {
            let outcome = submitted.await;
            self.note(outcome).await?;
        }
        Ok(())
    }

    async fn note(&mut self, outcome: Result<Outcome, SubmitError<Refusal>>) -> Result<(), Problem> {
        let answer = writing::answer(&self.node, outcome).await?;
        let revision = answer.revision().0;
        self.taken.events += 1;
        // An answer may be there before one that is waited for.
        self.taken.first = Some(self.taken.first.map_or(revision, |first| first.min(revision)));
        self.taken.last = self.taken.last.max(Some(revision));
        Ok(())
    }
}

/// The events that the ledger has now.
async fn read_stored(node: &Shared) -> Result<Stored, Problem> {
    let head = node.ledger.head().await.map_err(|error| node.read_fault(&error))?;
    let (mut stored, mut at) = (Stored::default(), Revision::ZERO);
    while at < head.revision {
        let events = node.read_events(at, READ_OCTETS).await?;
        let Some(last) = events.last() else { break };
        at = last.revision();
        events.iter().for_each(|event| stored.note(&event.header));
    }
    Ok(stored)
}

fn has_a_past(zone: &Name) -> Refusal {
    Refusal::one(BadItem::at(RefusalKind::ZoneExists, "", format!("{zone} has a past in this ledger already")))
}

/// At most `octets` of `text`, whole characters.
fn cut(text: &str, octets: usize) -> String {
    text[..text.floor_char_boundary(octets)].to_owned()
}

/// The lines of a body as they come.
struct Lines {
    body: BodyDataStream,
    buffer: Vec<u8>,
    over: bool,
}

impl Lines {
    /// The next line that is not blank.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|octet| *octet == b'\n') {
                let mut line = self.buffer.split_off(searched + at + 1);
                std::mem::swap(&mut line, &mut self.buffer);
                searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > MAX_LINE {
                let detail = format!("a line has more than {MAX_LINE} octets");
                return Err(Problem::new(ProblemKind::TooLarge, detail));
            }
            match self.piece().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => {
                    let rest = std::mem::take(&mut self.buffer);
                    return Ok(Some(rest).filter(|rest| !rest.trim_ascii().is_empty()));
                }
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.over {
            return Ok(None);
        }
        match self.body.next().await {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(error)) => {
                self.over = true;
                Err(body::broken(&error))
            }
            None => {
                self.over = true;
                Ok(None)
            }
        }
    }
}
