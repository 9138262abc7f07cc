//! Deciding: state + [`Command`] → event or [`Refusal`], in plain functions.
//!
//! [`decide`] asks a [`State`] and changes nothing: no clock, no randomness, no I/O. [`overlay::Overlay`] makes a state of
//! another state and the drafts in flight over it, and [`decider::Decisions`] is what the ledger's committer calls.
//! A command passes [`guard`] (idempotency key, expected revision), does its changes one by one on a [`work::Work`] desk
//! ([`changes`], [`zones`]), then [`rules`] look at the outcome. Every fault is listed, not the first.

mod changes;
pub mod command;
pub mod decider;
mod guard;
pub mod input;
mod live;
pub mod overlay;
mod part;
pub mod planned;
mod refusal;
mod resolve;
pub(crate) mod rules;
pub(crate) mod soa;
mod state;
pub mod warnings;
mod work;
mod zones;

use std::sync::Arc;

use conn3ction_schemas::{
    Delta, Name, RecordSet, RecordType, Revision, SetKey, ZoneChange,
    event::{Kind, ZoneLife},
};

pub use command::{Command, Envelope, Intent};
pub use live::Live;
pub use part::{Part, Within};
use planned::Planned;
pub use refusal::{BadItem, Place, Refusal, RefusalKind};
pub use rules::MAX_SETS_AT_A_NAME;
pub use state::{Held, Scope, State, ZoneState};
use warnings::Warning;
pub use work::Facts;
use work::{SetId, Work};

/// The most deltas that a command is decided with inside the committer; larger ones are planned outside.
pub const MAX_DELTAS: usize = 1_000;

/// The most octets of deltas, about; the header's body stays below the 256 KiB that comes along with it.
pub(crate) const MAX_OCTETS: usize = 192 * 1024;

/// What a command comes to.
#[derive(Debug, Clone)]
pub enum Decided {
    /// An event of these facts.
    Event(Facts),
    /// An event whose body was planned, with the zones' serials as they are now.
    Planned(Vec<ZoneChange>, Arc<Planned>),
    /// Nothing changes.
    Unchanged {
        /// What made it so.
        revision: Revision,
        /// Whether an idempotency key was recognised.
        replayed: bool,
    },
}

/// Decides `command` on `state`.
///
/// # Errors
///
/// A refusal with every bad item.
pub fn decide<S: State + ?Sized>(state: &S, command: &Command) -> Result<Decided, Refusal> {
    let envelope = &command.envelope;
    if let Some(revision) = guard::replay(state, envelope).map_err(Refusal::one)? {
        return Ok(Decided::Unchanged { revision, replayed: true });
    }
    if let Some(expected) = envelope.expected_revision {
        check_unchanged(state, &command.intent, expected)?;
    }
    if let Intent::Planned(planned) = &command.intent {
        return planned.settle(state).map(|zones| Decided::Planned(zones, planned.clone()));
    }
    let (facts, work) = facts(state, &command.intent, MAX_DELTAS, &mut Vec::new())?;
    Ok(match facts {
        Some(facts) if facts.deltas.len() > MAX_DELTAS || octets(&facts.deltas) > MAX_OCTETS => {
            let detail = format!("the request changes over {MAX_DELTAS} record sets or {MAX_OCTETS} octets");
            return Err(Refusal::one(BadItem::at(RefusalKind::TooLarge, "", detail).hint("plan it first")));
        }
        Some(facts) => Decided::Event(facts),
        None => Decided::Unchanged { revision: work.made_so(), replayed: false },
    })
}

/// What a command that is not planned comes to, with all its warnings and however large it is.
///
/// # Errors
///
/// A refusal with every bad item; guards are not asked.
pub fn outcome<S: State + ?Sized>(
    state: &S,
    intent: &Intent,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Facts>, Refusal> {
    let (facts, work) = facts(state, intent, usize::MAX, warnings)?;
    warnings::outcome(&work, warnings);
    if let Intent::CreateZone(new) = intent {
        warnings::names_hidden(state, &new.name, warnings);
    }
    Ok(facts)
}

/// Record sets to be put back as they were, and the zones that come or go with that.
#[derive(Debug, Clone, Default)]
pub struct PutBack {
    /// Zones that come or go.
    pub lives: Vec<(Name, ZoneLife)>,
    /// Zone, owner and key of each set, and what it was.
    pub sets: Vec<(Name, Name, SetKey, Option<RecordSet>)>,
}

/// What putting record sets back comes to, with all its warnings; `None` if they are so already.
///
/// # Errors
///
/// A refusal with every rule that the outcome would break: what was there once may not fit what is beside it now.
pub fn put_back<S: State + ?Sized>(
    state: &S,
    kind: Kind,
    back: PutBack,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Facts>, Refusal> {
    let signature = SetKey::rrsig(RecordType::SOA);
    let signed = back.sets.iter().filter(|(zone, owner, key, set)| set.is_some() && owner == zone && *key == signature);
    if let Some(refusal) = Refusal::of(signed.map(|(zone, ..)| rules::was_signed_elsewhere(zone)).collect()) {
        return Err(refusal);
    }
    let mut work = Work::new(state);
    for (zone, life) in back.lives {
        work.live(zone, life);
    }
    for (zone, owner, key, set) in back.sets {
        work.put(SetId { zone, owner, key }, set, 0);
    }
    if let Some(refusal) = Refusal::of(rules::check(&work, &[])) {
        return Err(refusal);
    }
    warnings::outcome(&work, warnings);
    Ok(work.finish(kind, warnings))
}

/// That `expected` is not yet to come.
///
/// # Errors
///
/// The refusal that says so.
pub(crate) fn check_reached<S: State + ?Sized>(state: &S, expected: Revision) -> Result<(), Refusal> {
    guard::reached(state, expected).map_err(Refusal::one)
}

/// That nothing in the command's own scope changed after `expected`, which is not yet to come.
///
/// # Errors
///
/// The refusal that says so.
pub fn check_unchanged<S: State + ?Sized>(state: &S, intent: &Intent, expected: Revision) -> Result<(), Refusal> {
    check_reached(state, expected)?;
    Refusal::of(guard::changed(state, intent, expected)).map_or(Ok(()), Err)
}

/// The item that says that the name, or the zone that it is said to be in, is not here.
pub(crate) fn outside<S: State + ?Sized>(state: &S, change: &command::Change) -> Option<BadItem> {
    let rtype = match change.which {
        command::Which::Type(rtype, _) => Some(rtype),
        command::Which::Only | command::Which::Every => None,
    };
    resolve::zone(state, change, rtype).err()
}

fn facts<'s, S: State + ?Sized>(
    state: &'s S,
    intent: &Intent,
    limit: usize,
    warnings: &mut Vec<Warning>,
) -> Result<(Option<Facts>, Work<'s, S>), Refusal> {
    let mut work = Work::new(state);
    let (kind, items) = match intent {
        Intent::ChangeRecords(list) => {
            let mut items = Vec::new();
            for (number, change) in list.iter().enumerate() {
                if let Err(bad) = changes::apply(&mut work, change, number) {
                    items.extend(bad);
                }
            }
            items.extend(rules::check(&work, list));
            (Kind::RecordsChanged, items)
        }
        Intent::CreateZone(new) => (Kind::ZoneCreated, zones::create(&mut work, new).err().into_iter().collect()),
        Intent::DeleteZone(zone) => {
            (Kind::ZoneDeleted, zones::delete(&mut work, zone, limit).err().into_iter().collect())
        }
        Intent::Planned(_) => unreachable!("what was planned has its facts"),
    };
    match Refusal::of(items) {
        Some(refusal) => Err(refusal),
        None => Ok((work.finish(kind, warnings), work)),
    }
}

pub(crate) fn octets(deltas: &[Delta]) -> usize {
    let set = |set: &Option<RecordSet>| {
        set.iter().flat_map(|set| set.rdata()).map(|rdata| rdata.as_wire().len() + 3).sum::<usize>()
    };
    deltas.iter().map(|delta| 24 + delta.owner.as_wire().len() + set(&delta.before) + set(&delta.after)).sum()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
