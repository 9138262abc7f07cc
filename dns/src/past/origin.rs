//! Which event gave an answer.

use conn3ction_schemas::{Name, RecordType, SetKey};

use crate::{
    lookup::{Outcome, lookup},
    store::{Held, Version, View},
};

/// The version that put the answer for `name` (lower case, wire form) there: the last change of the set that answers, of
/// the alias or cut that leads on, or, if there is nothing, the last change of the name, and if it never was, the birth
/// of its zone.
pub(super) fn of(view: &View, name: &[u8], qtype: RecordType) -> Option<Version> {
    let zone = view.zone_that_speaks(name, qtype)?;
    let below = &name[..name.len() - zone.apex().as_wire().len()];
    let set = |held: &Held<'_>, rtype| held.state().set(SetKey::of(rtype)).map(|set| set.since);
    let changed = |held: &Held<'_>| Some(held.state().changed).filter(|version| *version > Version(0));
    let found = match lookup(&zone, below, qtype) {
        Outcome::Answer(found) => set(&found.owner, qtype).or_else(|| changed(&found.owner)),
        Outcome::Alias(found) => set(&found.owner, RecordType::CNAME),
        Outcome::Dname(held, _) => set(&held, RecordType::DNAME),
        Outcome::Referral(held, _) => set(&held, RecordType::NS),
        Outcome::NoData(found) => changed(&found.owner),
        Outcome::NameError(_) => Name::from_wire(name).ok().and_then(|name| zone.name_changed(&name)),
    };
    Some(found.unwrap_or_else(|| zone.since()))
}
