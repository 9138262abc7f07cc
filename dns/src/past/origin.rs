//! Which event gave an answer.

use conn3ction_schemas::{Name, RecordType, SetKey};

use crate::{
    answer::MAX_ALIASES,
    lookup::{Outcome, lookup},
    store::{Held, Version, View},
    trace::{Found, Traced, trace},
    trail::bisect,
};

/// Turns of an answer that are walked back to find since when there is nothing: some hundred microseconds at most.
const MOST_TURNS: usize = 32;

/// The version that made the answer for `name` (lower case, wire form) what it is: of all that an alias leads to, the last; of
/// nothing the one that took it away. `at` is what the zone shows in `view`.
pub(super) fn of(view: &View, at: Version, name: &[u8], qtype: RecordType) -> Option<Version> {
    let (mut last, mut next) = (None, Some(name.to_vec()));
    for _ in 0..=MAX_ALIASES {
        let Some((version, target)) = next.and_then(|name| step(view, &name, qtype)) else { break };
        (last, next) = (last.max(Some(version)), target);
    }
    nothing_since(&view.back_to(at), name, qtype).or(last)
}

/// Since when there is no such name, or no such set there; `None` if there is one, or if that was never otherwise.
fn nothing_since(view: &View, name: &[u8], qtype: RecordType) -> Option<Version> {
    let name = Name::from_wire(name).ok()?;
    let said = |traced: &Traced| {
        let is_no_data = matches!(traced.steps.last().map(|step| &step.found), Some(Found::NoData { .. }));
        (traced.rcode, is_no_data)
    };
    let now = said(&trace(view, &name, qtype));
    if now == ("NOERROR", false) {
        return None;
    }
    bisect(view, &name, qtype, MOST_TURNS, |traced| said(traced) == now).turn.map(|(turn, _)| turn.version)
}

/// The last change of the set that answers, of the alias or cut that leads on, or, if there is nothing, of the name, and if it
/// never was, the birth of its zone; and where an alias leads to.
fn step(view: &View, name: &[u8], qtype: RecordType) -> Option<(Version, Option<Vec<u8>>)> {
    let zone = view.zone_that_speaks(name, qtype)?;
    let below = &name[..name.len() - zone.apex().as_wire().len()];
    let set = |held: &Held<'_>, rtype| held.state().set(SetKey::of(rtype)).map(|set| set.since);
    let changed = |held: &Held<'_>| Some(held.state().changed).filter(|version| *version > Version(0));
    let target = |held: &Held<'_>, rtype| {
        let set = held.state().set(SetKey::of(rtype))?;
        set.split().next().map(|(_, rdata)| rdata.to_ascii_lowercase())
    };
    let mut leads_to = None;
    let found = match lookup(&zone, below, qtype) {
        Outcome::Answer(found) => set(&found.owner, qtype).or_else(|| changed(&found.owner)),
        Outcome::Alias(found) => {
            leads_to = target(&found.owner, RecordType::CNAME);
            set(&found.owner, RecordType::CNAME)
        }
        Outcome::Dname(held, _) => {
            let above = &below[..below.len() - held.state().owner().len()];
            let substituted = target(&held, RecordType::DNAME).map(|target| [above, &target].concat());
            leads_to = substituted.filter(|name| name.len() <= 255);
            set(&held, RecordType::DNAME)
        }
        Outcome::Referral(held, _) => set(&held, RecordType::NS),
        // An empty non-terminal never had a set: it is there since its state is.
        Outcome::NoData(found) => changed(&found.owner).or(Some(found.owner.state().since)),
        Outcome::NameError(_) => Name::from_wire(name).ok().and_then(|name| zone.name_changed(&name)),
    };
    Some((found.unwrap_or_else(|| zone.since()), leads_to))
}
