//! What every write does: make a command of the request, commit or plan it, turn the outcome into an answer.

use std::sync::Arc;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use conn3ction_ledger::{
    AppendError, Body, Event,
    committer::{Outcome, SubmitError},
};
use conn3ction_schemas::{
    Kind, Revision,
    event::{Hash, Idempotency, chunk},
    json,
};
use uuid::Uuid;

use super::{
    Shared, apply_to,
    problem::{Problem, ProblemKind},
    reading,
    request::Caller,
};
use crate::decide::{
    BadItem, Command, Envelope, Intent, Live, Place, Refusal, RefusalKind,
    warnings::{self, Warning},
};

/// A request to change something, as HTTP carries it.
pub(crate) struct Order {
    /// Who asks and under which conditions.
    pub caller: Caller,
    /// The reason in the body; the header's counts if there is none.
    pub reason: Option<String>,
    /// The revision expected in the body.
    pub expected: Option<Revision>,
    /// The digest of the request.
    pub digest: Hash,
    /// Through which door.
    pub source: &'static str,
    /// Plan only.
    pub dry_run: bool,
}

/// What became of it.
pub enum Answer {
    /// An event, with the head's token that shows it.
    Committed(Arc<Event>),
    /// Nothing changed, or a retry was recognised: the event that made it so.
    Unchanged {
        /// That event's revision.
        revision: Revision,
        /// A retry was recognised.
        replayed: bool,
        /// That event; `None` if the state was so without any.
        event: Option<Arc<Event>>,
    },
    /// What would be done.
    Plan(Box<json::Plan>),
}

impl Answer {
    /// The revision that shows the outcome.
    pub fn revision(&self) -> Revision {
        match self {
            Self::Committed(event) => event.revision(),
            Self::Unchanged { revision, .. } => *revision,
            Self::Plan(_) => Revision::ZERO,
        }
    }

    /// Whether the state was so already, and not by this request.
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged { replayed: false, .. })
    }

    /// Whether the (first) record set changed was there before, or nothing changed.
    pub fn replaced(&self) -> bool {
        let event = match self {
            Self::Committed(event) => event,
            Self::Unchanged { replayed: true, event: Some(event), .. } => event,
            Self::Unchanged { .. } | Self::Plan(_) => return true,
        };
        let Body::Inline(chunks) = &event.body else { return true };
        let first = chunks.first().and_then(|chunk| chunk::deltas(chunk).next()?.ok());
        first.is_none_or(|delta| delta.before.is_some())
    }

    /// Adds the headers that say what was committed.
    pub fn stamp(&self, node: &Shared, mut response: Response) -> Response {
        let headers = response.headers_mut();
        reading::put(headers, "conn3ction-revision", &node.token(self.revision()).to_string());
        let (event, replayed) = match self {
            Self::Committed(event) => (Some(event), false),
            Self::Unchanged { event, replayed, .. } => (event.as_ref(), *replayed),
            Self::Plan(_) => (None, false),
        };
        if let Some(event) = event {
            reading::put(headers, "conn3ction-time", &event.header.time.to_string());
        }
        if replayed {
            reading::put(headers, "idempotent-replayed", "true");
        }
        response
    }

    /// The event (201, or 200 when nothing changed) or the plan (200).
    ///
    /// # Errors
    ///
    /// A large event's changes cannot be read.
    pub async fn into_response(self, node: &Shared) -> Result<Response, Problem> {
        let response = match &self {
            Self::Plan(plan) => return Ok((StatusCode::OK, Json(plan)).into_response()),
            Self::Committed(event) => {
                let mut row = super::events::alone(node, event).await?;
                row.warnings = never_served(node, event);
                (StatusCode::CREATED, Json(row)).into_response()
            }
            Self::Unchanged { event: Some(event), replayed, .. } => {
                let code = if *replayed { StatusCode::CREATED } else { StatusCode::OK };
                (code, Json(super::events::alone(node, event).await?)).into_response()
            }
            Self::Unchanged { event: None, .. } => StatusCode::NO_CONTENT.into_response(),
        };
        Ok(self.stamp(node, response))
    }
}

/// Warnings of sets that a change set made and nobody will see. What comes with a plan or a file is warned of there.
fn never_served(node: &Shared, event: &Event) -> Vec<json::Warning> {
    let (Kind::RecordsChanged, Body::Inline(chunks)) = (event.header.kind, &event.body) else { return Vec::new() };
    let deltas = chunks.iter().flat_map(|chunk| chunk::deltas(chunk)).flatten();
    let made: Vec<_> = deltas.filter(|delta| delta.before.is_none() && delta.after.is_some()).collect();
    let made = made.iter().filter_map(|delta| {
        let zone = &event.header.zones.get(delta.zone as usize)?.zone;
        Some((zone, &delta.owner, delta.key.rtype))
    });
    let state = Live::new(node.store.at(event.revision().into()));
    warnings::never_served(&state, made).iter().map(Warning::shown).collect()
}

/// Commits `intent`, or plans it.
///
/// # Errors
///
/// Every refusal and fault as the client is told of it.
pub(crate) async fn submit(node: &Shared, order: Order, intent: Intent) -> Result<Answer, Problem> {
    let dry_run = order.dry_run;
    let command = Command { envelope: envelope(node, order)?, intent };
    commit(node, command, dry_run).await
}

/// What the command of `order` carries.
///
/// # Errors
///
/// The revision expected is none of this ledger, or it is given twice; the request can not be asked to create only.
pub(super) fn envelope(node: &Shared, order: Order) -> Result<Envelope, Problem> {
    let caller = order.caller;
    caller.ensure_not_create_only()?;
    let expected = match (order.expected, caller.if_match) {
        (Some(body), None) => Some(body),
        (None, Some(token)) => Some(reading::revision(node, &token.to_string())?),
        (None, None) => None,
        (Some(_), Some(_)) => {
            let detail = "expected_revision and If-Match say the same thing; send one of them";
            return Err(Problem::new(ProblemKind::Malformed, detail));
        }
    };
    Ok(Envelope {
        event_id: Uuid::now_v7(),
        actor: caller.actor,
        source: caller.source.unwrap_or_else(|| order.source.into()),
        request_id: caller.request_id,
        idempotency: caller.idempotency_key.map(|key| Idempotency { key, digest: order.digest }),
        reason: order.reason.or(caller.reason),
        expected_revision: expected,
    })
}

/// Commits `command`, or plans it; what is too large for the committer is planned and staged first.
///
/// # Errors
///
/// As [`submit`].
pub(crate) async fn commit(node: &Shared, command: Command, dry_run: bool) -> Result<Answer, Problem> {
    if dry_run {
        let intent = command.intent.clone();
        let mut plan = node.plan(command).await?;
        plan.apply_to = apply_to::command(&intent, &plan);
        return Ok(Answer::Plan(Box::new(plan)));
    }
    let outcome = node.submit(command).await;
    answer(node, outcome).await
}

/// What a submitted command came to, as an answer.
///
/// # Errors
///
/// As [`submit`].
pub(crate) async fn answer(node: &Shared, outcome: Result<Outcome, SubmitError<Refusal>>) -> Result<Answer, Problem> {
    match outcome {
        Ok(Outcome::Committed(event)) => Ok(Answer::Committed(event)),
        Ok(Outcome::Unchanged { revision, replayed }) => {
            let event = if revision == Revision::ZERO { None } else { Some(node.event(revision).await?) };
            Ok(Answer::Unchanged { revision, replayed, event })
        }
        Err(SubmitError::Refused(refusal)) => Err(refusal.into()),
        Err(error) => Err(fault(&error)),
    }
}

pub(super) fn fault(error: &SubmitError<Refusal>) -> Problem {
    let kind = match error {
        SubmitError::Refused(_) => ProblemKind::Internal,
        SubmitError::Overloaded => ProblemKind::Limited,
        SubmitError::Append(cause) => match &**cause {
            AppendError::Unconfirmed { .. } => ProblemKind::OutcomeUnknown,
            AppendError::Full(_) => ProblemKind::StorageFull,
            AppendError::TooLarge { .. } => ProblemKind::TooLarge,
            AppendError::Conflict { .. }
            | AppendError::MissingBody { .. }
            | AppendError::Unavailable(_)
            | AppendError::Poisoned => ProblemKind::LedgerUnavailable,
        },
        SubmitError::Read(_) | SubmitError::Stopped => ProblemKind::LedgerUnavailable,
    };
    tracing::warn!(error = %chain(error), "a write failed");
    let detail = match error {
        SubmitError::Append(cause) => chain(&**cause),
        SubmitError::Read(cause) => chain(&**cause),
        SubmitError::Refused(_) | SubmitError::Overloaded | SubmitError::Stopped => chain(error),
    };
    Problem::new(kind, detail)
}

/// An error with its causes in one line. What two in a row say alike is said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut all: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    all.dedup();
    all.join(": ")
}

/// The problem of all that is wrong with a request.
pub(crate) fn refused(items: Vec<BadItem>) -> Problem {
    match Refusal::of(items) {
        Some(refusal) => refusal.into(),
        None => Problem::new(ProblemKind::Internal, "refused without a reason"),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            RefusalKind::RecordExists => ProblemKind::RecordExists,
            RefusalKind::ZoneExists => ProblemKind::ZoneExists,
            RefusalKind::RecordNotFound => ProblemKind::RecordNotFound,
            RefusalKind::ZoneNotFound => ProblemKind::ZoneNotFound,
            RefusalKind::TypeNeeded => ProblemKind::TypeNeeded,
            RefusalKind::CnameConflict => ProblemKind::CnameConflict,
            RefusalKind::ChangedSince => ProblemKind::ChangedSince,
            RefusalKind::MomentNotYet => ProblemKind::MomentNotYet,
            RefusalKind::RevertConflict => ProblemKind::RevertConflict,
            RefusalKind::OutsideZones => ProblemKind::OutsideZones,
            RefusalKind::ZoneRule => ProblemKind::ZoneRule,
            RefusalKind::InvalidRecord => ProblemKind::InvalidRecord,
            RefusalKind::KeyReused => ProblemKind::KeyReused,
            RefusalKind::TooLarge => ProblemKind::TooLarge,
        };
        let errors = refusal.items.into_iter().map(|item| {
            let mut error =
                json::ProblemError { detail: item.detail, hint: item.hint, ..json::ProblemError::default() };
            match item.place {
                Place::Pointer(pointer) => error.pointer = Some(pointer),
                Place::Line { line, column } => (error.line, error.column) = (Some(line), Some(column)),
                Place::Key(key) => error.pointer = Some(key),
            }
            error
        });
        Problem::new(kind, refusal.detail).with(errors)
    }
}
