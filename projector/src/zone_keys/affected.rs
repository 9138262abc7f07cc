//! Which names' keys a change may touch.

use conn3ction_schemas::{Name, RecordType, SetKey, event::ZoneLife};

use super::ZoneKeys;
use crate::key_view::{OwnerStep, ZoneStep};

/// The apex, because its SOA shows the serial; where a zone comes or goes inside another, the names it hides or shows;
/// where it grows over or shrinks under the bound, all its names.
pub(super) fn by_zone(view: &ZoneKeys, step: &ZoneStep<'_>, each: &mut dyn FnMut(Name)) {
    each(step.zone.clone());
    let contents = [step.before, step.after];
    match step.life {
        ZoneLife::Created | ZoneLife::Deleted => {
            let Some(parent) = step.zone.parent() else { return };
            for content in contents {
                if let Some(outer) = content.zone_of(&parent) {
                    // One of its name servers may stand in the inner zone.
                    each(outer.clone());
                    content.names_below(&outer, step.zone, each);
                }
            }
        }
        ZoneLife::Stays => {
            if view.is_written(step.before, step.zone) != view.is_written(step.after, step.zone) {
                contents.iter().for_each(|content| content.names_below(step.zone, step.zone, each));
            }
        }
    }
}

/// The owner; its ancestors as long as they come into being or vanish with it; what lies below a cut or DNAME that
/// comes or goes; the apex, if an address of one of its name servers changes.
pub(super) fn by_owner(step: &OwnerStep<'_>, each: &mut dyn FnMut(Name)) {
    let OwnerStep { before, after, zone, owner, keys } = *step;
    each(owner.clone());
    let mut at = owner.clone();
    while at != *zone && before.exists(zone, &at) != after.exists(zone, &at) {
        let Some(parent) = at.parent() else { break };
        each(parent.clone());
        at = parent;
    }
    if owner == zone {
        return;
    }
    let mut cut_moves = false;
    let mut address_moves = false;
    for key in keys {
        match key.rtype {
            RecordType::NS | RecordType::DNAME => {
                cut_moves |= before.set(zone, owner, *key).is_some() != after.set(zone, owner, *key).is_some();
            }
            RecordType::A | RecordType::AAAA => address_moves = true,
            _ => {}
        }
    }
    if cut_moves {
        before.names_below(zone, owner, each);
        after.names_below(zone, owner, each);
    }
    let serves_zone = || {
        after
            .set(zone, zone, SetKey::of(RecordType::NS))
            .is_some_and(|servers| servers.rdata().iter().any(|rdata| rdata.as_wire() == owner.as_wire()))
    };
    // A cut hides the address of a name server below it.
    if (address_moves && serves_zone()) || cut_moves {
        each(zone.clone());
    }
}
