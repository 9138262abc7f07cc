//! Rollback: a zone, or a part of it, as it was at a moment ([`Restore`]), and the undoing of one event ([`Revert`]).
//!
//! Both are planned on a view of the present and become one event with the differences. The committer then checks only
//! that nothing in their scope changed since: so what is written is what was planned, and a change elsewhere does not
//! stand in its way. A plan costs one step for each name in its scope and a comparison for each that changed.

mod notable;
mod restore;
mod revert;

use std::sync::Arc;

use conn3ction_dns::{Store, View};
use conn3ction_ledger::{
    Ledger, ReadError,
    committer::{Handle, Outcome, SubmitError},
};
use conn3ction_schemas::{Epoch, Kind, Revision, Token, ZoneChange, json};

use serde_json::Value;

pub use restore::Restore;
pub use revert::Revert;

use crate::{
    decide::{
        Envelope, Live, Refusal, State,
        decider::{Decisions, StateAtHead},
        planned::Planned,
    },
    plan::{self, Findings},
};

/// What a restore comes to on one state.
struct Found {
    findings: Findings,
    /// The zones touched; none if nothing is to change.
    zones: Vec<ZoneChange>,
}

/// The dry run of a restore.
///
/// # Errors
///
/// The refusal that the restore would meet.
pub fn plan_restore(
    view: View,
    epoch: Epoch,
    envelope: &Envelope,
    mut input: json::RestoreInput,
    restore: &Restore,
) -> Result<json::Plan, Refusal> {
    let state = Live::new(view);
    restore.check(&state, envelope.expected_revision)?;
    let found = restore.find(&state, &mut |_| {})?;
    let token = |revision| Token { epoch, revision };
    let decided_at = token(state.revision());
    input.to = token(restore.of).to_string();
    input.reason = envelope.reason.clone();
    input.expected_revision = Some(decided_at.to_string());
    let apply = serde_json::to_value(input).unwrap_or_default();
    let plan = found.findings.into_plan(Kind::Restored, envelope, &found.zones, decided_at, apply);
    Ok(json::Plan { restores: Some(restore.of.0), ..plan })
}

/// Restores: one event with the differences, none if there are none.
///
/// # Errors
///
/// [`SubmitError`].
pub async fn submit_restore<H: StateAtHead>(
    committer: &Handle<Decisions<H>>,
    ledger: &Arc<dyn Ledger>,
    store: &Arc<Store>,
    envelope: &Envelope,
    restore: Arc<Restore>,
) -> Result<Outcome, SubmitError<Refusal>> {
    let outcome = plan::submit_planned(committer, envelope, || async {
        let state = Live::new(store.now());
        restore.check(&state, envelope.expected_revision).map_err(SubmitError::Refused)?;
        restore.staged(ledger, state).await
    })
    .await?;
    let made_so = store.now().last_change(&restore.part.zone).map(Revision::from);
    Ok(unchanged_since(outcome, made_so))
}

/// The dry run of a revert: with what stands in the way, if something does.
///
/// # Errors
///
/// The refusal that the revert would meet.
pub fn plan_revert(
    view: View,
    epoch: Epoch,
    envelope: &Envelope,
    mut input: json::RevertInput,
    revert: &Revert,
) -> Result<json::Plan, Refusal> {
    let state = Live::new(view);
    let undoing = revert.find(&state, envelope.expected_revision)?;
    let decided_at = Token { epoch, revision: state.revision() };
    input.reason = envelope.reason.clone();
    input.expected_revision = Some(decided_at.to_string());
    let apply =
        if undoing.conflicts.is_empty() { serde_json::to_value(input).unwrap_or_default() } else { Value::Null };
    let zones = undoing.facts.map(|facts| facts.zones).unwrap_or_default();
    let plan = undoing.findings.into_plan(Kind::Reverted, envelope, &zones, decided_at, apply);
    let conflicts = undoing.conflicts.iter().map(revert::Conflict::shown).collect();
    Ok(json::Plan { reverts: Some(revert.header.revision.0), conflicts, ..plan })
}

/// Reverts: one event that puts back what was before, none if it is so already.
///
/// # Errors
///
/// [`SubmitError`].
pub async fn submit_revert<H: StateAtHead>(
    committer: &Handle<Decisions<H>>,
    ledger: &Arc<dyn Ledger>,
    store: &Arc<Store>,
    envelope: &Envelope,
    revert: Arc<Revert>,
) -> Result<Outcome, SubmitError<Refusal>> {
    let outcome = plan::submit_planned(committer, envelope, || async {
        revert.staged(ledger, Live::new(store.now()), envelope.expected_revision).await
    })
    .await?;
    let now = store.now();
    let zones = revert.header.zones.iter().filter_map(|change| now.last_change(&change.zone));
    Ok(unchanged_since(outcome, zones.max().map(Revision::from)))
}

/// A worker thread that ended before its work.
fn unavailable(error: tokio::task::JoinError) -> ReadError {
    ReadError::Unavailable(error.into())
}

/// Names the event that made the state what was asked for, where nothing was to be done.
pub(crate) fn unchanged_since(outcome: Outcome, made_so: Option<Revision>) -> Outcome {
    match (outcome, made_so) {
        (Outcome::Unchanged { replayed: false, .. }, Some(revision)) => {
            Outcome::Unchanged { revision, replayed: false }
        }
        (outcome, _) => outcome,
    }
}

/// What a rollback is planned to be: `None` if there is nothing to do.
type MaybePlanned = Result<Option<Planned>, SubmitError<Refusal>>;
