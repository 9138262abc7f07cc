//! Rollback: a zone, or a part of it, as it was at a moment ([`Restore`]), and the undoing of one event ([`Revert`]).
//!
//! Both are planned on a view of the present and become one event with the differences. The committer then checks only
//! that nothing in their scope changed since: so what is written is what was planned, and a change elsewhere does not
//! stand in its way. A plan costs one step for each name in its scope and a comparison for each that changed.

mod notable;
mod restore;

use std::sync::Arc;

use conn3ction_dns::{Store, View};
use conn3ction_ledger::{
    Ledger,
    committer::{Handle, Outcome, SubmitError},
};
use conn3ction_schemas::{Epoch, Kind, Revision, Token, ZoneChange, json};

pub use restore::Restore;

use crate::{
    decide::{
        Envelope, Live, Refusal, State,
        decider::{Decisions, StateAtHead},
        planned::Planned,
    },
    plan::{self, Findings},
};

/// What a rollback comes to on one state.
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
    });
    let made_so = store.now().last_change(&restore.part.zone).map(Revision::from);
    Ok(unchanged_since(outcome.await?, made_so))
}

/// Names the event that made the state what was asked for, where nothing was to be done.
fn unchanged_since(outcome: Outcome, made_so: Option<Revision>) -> Outcome {
    match (outcome, made_so) {
        (Outcome::Unchanged { replayed: false, .. }, Some(revision)) => {
            Outcome::Unchanged { revision, replayed: false }
        }
        (outcome, _) => outcome,
    }
}

/// What a rollback is planned to be: `None` if there is nothing to do.
type MaybePlanned = Result<Option<Planned>, SubmitError<Refusal>>;
