//! What is asked before any rule: was this very request done already, and is the state what the client saw?

use conn3ction_schemas::Revision;

use super::{
    command::{Change, Envelope, Intent, Which},
    refusal::{BadItem, Refusal, RefusalKind},
    resolve,
    state::{Scope, State},
    work::{SetId, Work},
};

/// The event that the same request made before, if it did.
pub(super) fn replay<S: State + ?Sized>(state: &S, envelope: &Envelope) -> Result<Option<Revision>, BadItem> {
    let Some(idempotency) = &envelope.idempotency else { return Ok(None) };
    match state.seen(&envelope.actor, &idempotency.key) {
        None => Ok(None),
        Some((digest, revision)) if digest == idempotency.digest => Ok(Some(revision)),
        Some((_, revision)) => {
            let detail = format!("the idempotency key made {revision} of another request");
            Err(BadItem::at(RefusalKind::KeyReused, "", detail).hint("a fresh key for every request"))
        }
    }
}

/// A revision that is yet to come guards nothing: it was mistyped, or is of another ledger.
pub(super) fn reached<S: State + ?Sized>(state: &S, expected: Revision) -> Result<(), BadItem> {
    let head = state.revision();
    if expected <= head {
        return Ok(());
    }
    let detail = format!("{expected} is yet to come; the head is {head}");
    Err(BadItem::at(RefusalKind::MomentNotYet, "", detail).hint("the revision that a read or a plan named"))
}

/// All that changed in the command's own scope after `expected`.
pub(super) fn changed<S: State + ?Sized>(state: &S, intent: &Intent, expected: Revision) -> Vec<BadItem> {
    match intent {
        Intent::ChangeRecords(changes) => {
            let work = Work::new(state);
            changes.iter().filter_map(|change| changed_set(&work, change, expected)).collect()
        }
        Intent::CreateZone(new) => changed_zone(state, &new.name, expected).into_iter().collect(),
        Intent::DeleteZone(zone) => changed_zone(state, zone, expected).into_iter().collect(),
        // Was planned on what the client saw; its own scopes are held against the plan's revision.
        Intent::Planned(_) => Vec::new(),
    }
}

/// Whether a zone, or whether it exists, changed after `expected`.
pub(super) fn changed_zone<S: State + ?Sized>(
    state: &S,
    zone: &conn3ction_schemas::Name,
    expected: Revision,
) -> Option<BadItem> {
    let actual = state.changed_since(Scope::Zone(zone), expected)?;
    Some(Refusal::changed_since("", &zone.without_dot(), expected, actual))
}

fn changed_set<S: State + ?Sized>(work: &Work<'_, S>, change: &Change, expected: Revision) -> Option<BadItem> {
    let rtype = match change.which {
        Which::Type(rtype, _) => Some(rtype),
        Which::Only | Which::Every => None,
    };
    let zone = resolve::zone(work.state, change, rtype).ok()?;
    let owner = &change.owner;
    let (scope, what) = match change.which {
        Which::Only | Which::Every => (Scope::Owner(&zone, owner), owner.without_dot()),
        Which::Type(..) => match &set_of(work, change)[..] {
            [id] => {
                let what = format!("{} {}", owner.without_dot(), resolve::shown(id, false));
                (Scope::Set(&zone, owner, id.key), what)
            }
            _ => (Scope::Owner(&zone, owner), owner.without_dot()),
        },
    };
    let actual = work.state.changed_since(scope, expected)?;
    Some(Refusal::changed_since(&change.pointer, &what, expected, actual))
}

fn set_of<S: State + ?Sized>(work: &Work<'_, S>, change: &Change) -> Vec<SetId> {
    resolve::present(work, change).unwrap_or_default()
}
