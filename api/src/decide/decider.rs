//! What the ledger's committer calls: decisions on the state at the head and the drafts since.

use std::sync::Arc;

use conn3ction_ledger::{
    Head, ReadError,
    committer::{Decider, Decision, Next},
};
use conn3ction_schemas::{
    ZoneChange,
    event::{Draft, DraftBody, Kind},
};
use futures::future::BoxFuture;

use super::{
    BadItem, Command, Decided, Envelope, Refusal, RefusalKind, decide, overlay::Overlay, planned::PlannedScope,
    state::State,
};
use crate::past::Importing;

/// Gives the state at a head, once the fold of the log has come that far.
pub trait StateAtHead: Send + 'static {
    /// What decisions are made on.
    type State: State + Send;

    /// Waits until the state is the fold of the log up to exactly `head`.
    fn at_head<'a>(&'a mut self, head: &'a Head) -> BoxFuture<'a, Result<Self::State, ReadError>>;
}

/// The [`Decider`] of this program: [`decide`] on an [`Overlay`] over the state at the head.
#[derive(Debug)]
pub struct Decisions<H: StateAtHead> {
    source: H,
    state: Option<Overlay<H::State>>,
    importing: Importing,
}

impl<H: StateAtHead> Decisions<H> {
    /// Decides on the states that `source` gives.
    pub fn new(source: H) -> Self {
        Self::beside(source, Importing::default())
    }

    /// As [`Decisions::new`]; refuses changes of zones whose past is being taken in.
    pub fn beside(source: H, importing: Importing) -> Self {
        Self { source, state: None, importing }
    }
}

impl<H: StateAtHead> Decider for Decisions<H> {
    type Command = Arc<Command>;
    type Refusal = Refusal;

    fn at_head<'a>(&'a mut self, head: &'a Head) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(async move {
            self.state = None;
            self.state = Some(Overlay::new(self.source.at_head(head).await?));
            Ok(())
        })
    }

    fn rest(&mut self) {
        self.state = None;
    }

    fn decide(&mut self, command: &Arc<Command>, next: Next) -> Result<Decision, Refusal> {
        let Some(state) = &mut self.state else { unreachable!("the committer calls at_head first") };
        let envelope = &command.envelope;
        let decided = decide(state, command)?;
        untouched(&self.importing, &decided)?;
        state.note(envelope, &decided, next.revision);
        Ok(match decided {
            Decided::Unchanged { revision, replayed } => Decision::Unchanged { revision, replayed },
            Decided::Event(facts) => {
                let body = DraftBody::inline(&facts.deltas);
                Decision::Append(draft(envelope, facts.kind, facts.zones, body))
            }
            Decided::Planned(zones, planned) => {
                // An author's clock may run ahead; nothing takes effect before it is stored.
                let time = planned.time.map(|time| time.min(next.committed_at));
                let draft = draft(envelope, planned.kind, zones, planned.body.clone());
                Decision::Append(Draft { of: planned.of, time, ..draft })
            }
        })
    }
}

/// Refuses to change a zone whose past is being taken in, but for the import itself.
fn untouched(importing: &Importing, decided: &Decided) -> Result<(), Refusal> {
    let zones = match decided {
        Decided::Event(facts) => &facts.zones,
        Decided::Planned(_, planned) if matches!(planned.scope, PlannedScope::Serials(_)) => return Ok(()),
        Decided::Planned(zones, _) => zones,
        Decided::Unchanged { .. } => return Ok(()),
    };
    let held = zones.iter().filter(|change| importing.holds(&change.zone)).map(|change| {
        let detail = format!("the past of {} is being imported", change.zone.without_dot());
        BadItem::at(RefusalKind::ZoneRule, "", detail).hint("wait until the import ends")
    });
    Refusal::of(held.collect()).map_or(Ok(()), Err)
}

fn draft(envelope: &Envelope, kind: Kind, zones: Vec<ZoneChange>, body: DraftBody) -> Draft {
    Draft {
        id: envelope.event_id,
        kind,
        actor: envelope.actor.clone(),
        source: envelope.source.clone(),
        request_id: envelope.request_id.clone(),
        idempotency: envelope.idempotency.clone(),
        reason: envelope.reason.clone(),
        zones,
        of: None,
        time: None,
        body,
    }
}
