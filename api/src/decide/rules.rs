//! What must hold of every owner and zone after a change.

use std::collections::BTreeSet;

use conn3ction_schemas::{Name, RecordSet, RecordType, SetKey};

use super::{
    command::Change,
    refusal::{BadItem, RefusalKind},
    resolve,
    state::State,
    warnings::between,
    work::{Outcome, SetId, Work},
};

/// The most record sets at one name (CVE-2024-1737).
pub const MAX_SETS_AT_A_NAME: usize = 100;

/// Checks all that the desk holds; `changes` tell where a fault stands in the request.
pub(super) fn check<S: State + ?Sized>(work: &Work<'_, S>, changes: &[Change]) -> Vec<BadItem> {
    let mut items = Vec::new();
    let mut owners = BTreeSet::new();
    let mut signed = BTreeSet::new();
    // A zone that goes needs nothing any more, and one that comes back is what it was.
    for outcome in work.outcomes().filter(|outcome| !work.comes_or_goes(&outcome.id.zone)) {
        let pointer = changes.get(outcome.change).map_or("", |change| &change.pointer);
        items.extend(of_set(work, &outcome, pointer));
        let zone = &outcome.id.zone;
        if owners.insert((zone.clone(), outcome.id.owner.clone())) {
            items.extend(of_owner(work, &outcome, pointer));
        }
        if work.state.is_signed(zone) && signed.insert(zone.clone()) {
            items.push(signed_elsewhere(zone, pointer));
        }
    }
    items
}

/// The refusal of every edit of a zone whose signatures we cannot renew.
pub(crate) fn signed_elsewhere(zone: &Name, pointer: &str) -> BadItem {
    let detail = format!("{} is signed elsewhere, and an edit would break its signatures", zone.without_dot());
    BadItem::at(RefusalKind::ZoneRule, pointer, detail).hint("import a newer signed master file")
}

/// The refusal to bring back a state whose signatures would not hold under a new serial.
pub(crate) fn was_signed_elsewhere(zone: &Name) -> BadItem {
    let detail = format!(
        "{} was signed elsewhere then, and its signatures hold for its serial of then only",
        zone.without_dot()
    );
    BadItem::at(RefusalKind::ZoneRule, "", detail).hint("import a newer signed master file")
}

fn of_set<S: State + ?Sized>(work: &Work<'_, S>, outcome: &Outcome<'_>, pointer: &str) -> Option<BadItem> {
    let SetId { zone, owner, key } = outcome.id;
    let rule = |at: &str, detail: String| BadItem::at(RefusalKind::ZoneRule, format!("{pointer}{at}"), detail);
    let Some(after) = outcome.after else {
        let needed = owner == zone && matches!(key.rtype, RecordType::SOA | RecordType::NS);
        return needed.then(|| {
            let detail = format!("a zone keeps the {} of its apex {}", key.rtype, owner.without_dot());
            rule("/type", detail).hint("replace it, or delete the zone")
        });
    };
    let single = matches!(key.rtype, RecordType::SOA | RecordType::CNAME | RecordType::DNAME);
    if single && after.rdata().len() > 1 {
        let kind = if key.rtype == RecordType::CNAME { RefusalKind::CnameConflict } else { RefusalKind::ZoneRule };
        let detail = format!("{} has more than one {}", owner.without_dot(), key.rtype);
        return Some(BadItem::at(kind, format!("{pointer}/values"), detail));
    }
    if outcome.before.is_some() {
        return None;
    }
    match *key {
        SetKey { rtype: RecordType::SOA, .. } if owner != zone => {
            Some(rule("/type", format!("a SOA stands at the apex {} only", zone.without_dot())))
        }
        SetKey { rtype: RecordType::RRSIG, covered: RecordType::SOA } => Some(
            rule("/type", "a signature over the SOA makes the zone signed elsewhere".into())
                .hint("import the signed master file"),
        ),
        SetKey { rtype: RecordType::DNAME, .. } if has_descendants(work, outcome.id) => Some(
            rule("/type", format!("there is data below {}, and a DNAME would hide it", owner.without_dot()))
                .hint("delete it in the same change set (RFC 6672 section 2.4)"),
        ),
        _ => below_dname(work, outcome.id)
            .map(|above| rule("/name", format!("{} is a DNAME, so nothing may stand below it", above.without_dot()))),
    }
}

fn of_owner<S: State + ?Sized>(work: &Work<'_, S>, outcome: &Outcome<'_>, pointer: &str) -> Option<BadItem> {
    let SetId { zone, owner, .. } = outcome.id;
    let sets = work.sets(zone, owner);
    if sets.len() > MAX_SETS_AT_A_NAME {
        let detail = format!("{} would have over {MAX_SETS_AT_A_NAME} record sets", owner.without_dot());
        return Some(BadItem::at(RefusalKind::ZoneRule, format!("{pointer}/name"), detail));
    }
    let has = |rtype| sets.contains_key(&SetKey::of(rtype));
    if has(RecordType::DNAME) && has(RecordType::NS) && owner != zone {
        let detail = format!("{} would be both delegated and a DNAME (RFC 6672 section 2.3)", owner.without_dot());
        return Some(BadItem::at(RefusalKind::ZoneRule, format!("{pointer}/type"), detail));
    }
    if !has(RecordType::CNAME) {
        return None;
    }
    let beside: Vec<String> = beside_cname(&sets).map(|key| resolve::shown(&set_id(zone, owner, key), false)).collect();
    (!beside.is_empty()).then(|| {
        let detail = format!("{} would have a CNAME beside {}", owner.without_dot(), beside.join(", "));
        BadItem::at(RefusalKind::CnameConflict, format!("{pointer}/type"), detail)
            .hint("delete the one or the other in the same change set")
    })
}

/// What may not stand beside a CNAME: all but its own signatures and proofs (RFC 2181 section 10.1, RFC 4034 section 3).
pub(crate) fn beside_cname<'a>(
    sets: impl IntoIterator<Item = (&'a SetKey, &'a RecordSet)>,
) -> impl Iterator<Item = SetKey> {
    let allowed = [RecordType::CNAME, RecordType::RRSIG, RecordType::NSEC];
    sets.into_iter().map(|(key, _)| *key).filter(move |key| !allowed.contains(&key.rtype))
}

fn has_descendants<S: State + ?Sized>(work: &Work<'_, S>, dname: &SetId) -> bool {
    let touched = work.outcomes().count();
    let found = work.state.first_sets(&dname.zone, &dname.owner, 1 + MAX_SETS_AT_A_NAME + touched);
    found
        .into_iter()
        .any(|(owner, key, _)| owner != dname.owner && work.get(&set_id(&dname.zone, &owner, key)).is_some())
}

fn below_dname<S: State + ?Sized>(work: &Work<'_, S>, id: &SetId) -> Option<Name> {
    between(&id.zone, &id.owner)
        .find(|above| work.get(&set_id(&id.zone, above, SetKey::of(RecordType::DNAME))).is_some())
}

fn set_id(zone: &Name, owner: &Name, key: SetKey) -> SetId {
    SetId { zone: zone.clone(), owner: owner.clone(), key }
}
