use std::sync::Arc;

use conn3ction_dns::Store;
use conn3ction_ledger::{
    Ledger,
    committer::{Handle, Outcome, SubmitError},
};
use conn3ction_schemas::{Delta, Kind, RecordType, Revision, SetKey};

use super::stage;
use crate::decide::{
    self, Command, Envelope, Facts, Intent, Live, Refusal, RefusalKind, State,
    decider::{Decisions, StateAtHead},
    planned::{Planned, PlannedContent, PlannedScope, PlannedZone},
    soa,
};

/// Plans made anew because something in their scope changed before they were committed.
const ATTEMPTS: usize = 8;

/// Submits `command`; what is too large for the committer is planned here, staged, and submitted as a plan. A plan that
/// no longer holds is made anew a few times; what the client itself expects is asked again each time.
///
/// # Errors
///
/// [`SubmitError`].
pub async fn submit<H: StateAtHead>(
    committer: &Handle<Decisions<H>>,
    ledger: &Arc<dyn Ledger>,
    store: &Arc<Store>,
    command: Command,
) -> Result<Outcome, SubmitError<Refusal>> {
    let command = Arc::new(command);
    match committer.submit(command.clone()).await {
        Err(SubmitError::Refused(refusal)) if refusal.kind == RefusalKind::TooLarge => {}
        other => return other,
    }
    submit_planned(committer, &command.envelope, || async {
        let state = Live::new(store.now());
        if let Some(expected) = command.envelope.expected_revision {
            decide::check_unchanged(&state, &command.intent, expected).map_err(SubmitError::Refused)?;
        }
        let facts = decide::outcome(&state, &command.intent, &mut Vec::new()).map_err(SubmitError::Refused)?;
        match facts {
            Some(facts) => planned(ledger, &state, facts).await.map(Some),
            None => Ok(None),
        }
    })
    .await
}

/// Plans by `plan` and submits what it gives, again if it no longer holds; `None` of it means that nothing is to change.
///
/// # Errors
///
/// Those of `plan` and [`SubmitError`].
pub async fn submit_planned<H, F>(
    committer: &Handle<Decisions<H>>,
    envelope: &Envelope,
    mut plan: impl FnMut() -> F,
) -> Result<Outcome, SubmitError<Refusal>>
where
    H: StateAtHead,
    F: Future<Output = Result<Option<Planned>, SubmitError<Refusal>>>,
{
    let mut attempt = 0;
    loop {
        // Without a change there may still be an idempotency key to recognise.
        let intent = match plan().await {
            Ok(Some(planned)) => Intent::Planned(Arc::new(planned)),
            Ok(None) => Intent::ChangeRecords(Vec::new()),
            Err(SubmitError::Refused(refusal)) if envelope.idempotency.is_some() => {
                return replayed(committer, envelope).await?.ok_or(SubmitError::Refused(refusal));
            }
            Err(error) => return Err(error),
        };
        attempt += 1;
        match committer.submit(Arc::new(Command { envelope: envelope.clone(), intent })).await {
            Err(SubmitError::Refused(refusal)) if refusal.kind == RefusalKind::ChangedSince && attempt < ATTEMPTS => {}
            other => return other,
        }
    }
}

/// What the same request made before: what was done may stand in the way of doing it again.
async fn replayed<H: StateAtHead>(
    committer: &Handle<Decisions<H>>,
    envelope: &Envelope,
) -> Result<Option<Outcome>, SubmitError<Refusal>> {
    let envelope = Envelope { expected_revision: None, ..envelope.clone() };
    let nothing = Command { envelope, intent: Intent::ChangeRecords(Vec::new()) };
    let outcome = committer.submit(Arc::new(nothing)).await?;
    Ok(Some(outcome).filter(|outcome| matches!(outcome, Outcome::Unchanged { replayed: true, .. })))
}

async fn planned(ledger: &Arc<dyn Ledger>, state: &Live, facts: Facts) -> Result<Planned, SubmitError<Refusal>> {
    let scope = if facts.kind == Kind::RecordsChanged { PlannedScope::Deltas } else { PlannedScope::Zones };
    staged(ledger, state.revision(), facts, scope, None).await
}

/// Stages what was found at `planned_at`; it holds as long as nothing in `scope` changes. `of` is the revision that comes
/// back or is undone.
///
/// # Errors
///
/// [`SubmitError::Append`].
pub async fn staged(
    ledger: &Arc<dyn Ledger>,
    planned_at: Revision,
    facts: Facts,
    scope: PlannedScope,
    of: Option<Revision>,
) -> Result<Planned, SubmitError<Refusal>> {
    let deltas: Arc<[Delta]> = facts.deltas.into();
    let asked = |zone: usize| {
        let soa = |delta: &&Delta| delta.zone as usize == zone && delta.key == SetKey::of(RecordType::SOA);
        let set = deltas.iter().find(soa).and_then(|delta| delta.after.as_ref())?;
        soa::serial(set.rdata().first()?).filter(|_| facts.kind != Kind::ZoneDeleted)
    };
    let zones = facts.zones.iter().enumerate().map(|(place, change)| PlannedZone {
        zone: change.zone.clone(),
        life: change.life,
        asked: asked(place),
        signed: false,
    });
    let zones = zones.collect();
    let producing = deltas.clone();
    let staged = stage(ledger, move |sink| producing.iter().for_each(sink)).await;
    let body = staged.map_err(|error| SubmitError::Append(Arc::new(error)))?.body;
    Ok(Planned {
        kind: facts.kind,
        planned_at,
        zones,
        body,
        scope,
        content: PlannedContent::Deltas(deltas),
        time: None,
        of,
    })
}
