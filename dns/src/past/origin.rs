//! Which event gave an answer.

use conn3ction_schemas::{Name, RecordType, SetKey};

use crate::{
    answer::MAX_ALIASES,
    lookup::{Outcome, lookup},
    store::{Held, Version, View},
};

/// The version that made the answer for `name` (lower case, wire form) what it is: of all that an alias leads to, the last.
pub(super) fn of(view: &View, name: &[u8], qtype: RecordType) -> Option<Version> {
    let (mut last, mut next) = (None, Some(name.to_vec()));
    for _ in 0..=MAX_ALIASES {
        let Some((version, target)) = next.and_then(|name| step(view, &name, qtype)) else { break };
        (last, next) = (last.max(Some(version)), target);
    }
    last
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
