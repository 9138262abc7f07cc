//! Which record sets a change means: the zone that fits, and the type where none was given.

use conn3ction_schemas::{Name, RecordType, SetKey};

use super::{
    command::{Change, Which},
    refusal::{BadItem, RefusalKind},
    state::State,
    work::{SetId, Work},
};

/// The zone that a set of `rtype` at `owner` stands in: the one given, else the longest that fits; DS belongs to the
/// parent's side of a cut (RFC 4035 section 2.4).
pub(super) fn zone<S: State + ?Sized>(state: &S, change: &Change, rtype: Option<RecordType>) -> Result<Name, BadItem> {
    let owner = &change.owner;
    let is_ds = rtype == Some(RecordType::DS);
    if let Some(zone) = &change.zone {
        let pointer = format!("{}/zone", change.pointer);
        if state.zone(zone).is_none() {
            let detail = format!("{} is no zone here", zone.without_dot());
            return Err(BadItem::at(RefusalKind::ZoneNotFound, pointer, detail).hint("POST /zones makes it"));
        }
        if !owner.is_at_or_below(zone) {
            let detail = format!("{} is not in {}", owner.without_dot(), zone.without_dot());
            return Err(BadItem::at(RefusalKind::OutsideZones, pointer, detail).hint("leave the zone out"));
        }
        if is_ds && owner == zone {
            let detail = "the DS of a zone stands in the zone above it (RFC 4035 section 2.4)";
            return Err(BadItem::at(RefusalKind::ZoneRule, pointer, detail).hint("name the parent zone, or none"));
        }
        return Ok(zone.clone());
    }
    let from = if is_ds && state.zone(owner).is_some() { owner.parent() } else { Some(owner.clone()) };
    from.and_then(|name| state.zone_of(&name)).ok_or_else(|| {
        let (detail, hint) = if is_ds && state.zone(owner).is_some() {
            let detail = format!("the DS of {} stands in the zone above it, which is not here", owner.without_dot());
            (detail, "give the DS to whoever serves the parent zone".to_owned())
        } else {
            // Nobody who forgot a zone means a top-level domain.
            let parent = owner.parent().filter(|parent| parent.label_count() > 1);
            let missing = parent.as_ref().unwrap_or(owner).without_dot();
            (
                format!("{} is in no zone here", owner.without_dot()),
                format!("POST /zones {{\"name\":\"{missing}\"}} first"),
            )
        };
        BadItem::at(RefusalKind::OutsideZones, format!("{}/name", change.pointer), detail).hint(hint)
    })
}

/// The sets that a change without values means, or that its values go to when it names no type.
pub(super) fn present<S: State + ?Sized>(work: &Work<'_, S>, change: &Change) -> Result<Vec<SetId>, BadItem> {
    match change.which {
        Which::Every => {
            let zone = zone(work.state, change, None)?;
            let found: Vec<_> = at(work, &zone, &change.owner).collect();
            if found.is_empty() { Err(absent(change, "record sets")) } else { Ok(found) }
        }
        Which::Only => the_only(change, everywhere(work, change)?),
        Which::Type(RecordType::RRSIG, None) => {
            let zone = zone(work.state, change, Some(RecordType::RRSIG))?;
            let found = at(work, &zone, &change.owner).filter(|id| id.key.rtype == RecordType::RRSIG);
            the_only(change, found.collect())
        }
        Which::Type(rtype, covers) => {
            let zone = zone(work.state, change, Some(rtype))?;
            let key = covers.filter(|_| rtype == RecordType::RRSIG).map_or(SetKey::of(rtype), SetKey::rrsig);
            Ok(vec![SetId { zone, owner: change.owner.clone(), key }])
        }
    }
}

/// The item for a set that is not there.
pub(super) fn absent(change: &Change, what: impl std::fmt::Display) -> BadItem {
    let detail = format!("{} has no {what}", change.owner.without_dot());
    BadItem::at(RefusalKind::RecordNotFound, format!("{}/name", change.pointer), detail)
}

fn at<S: State + ?Sized>(work: &Work<'_, S>, zone: &Name, owner: &Name) -> impl Iterator<Item = SetId> + use<S> {
    let (zone, owner) = (zone.clone(), owner.clone());
    let keys: Vec<SetKey> = work.sets(&zone, &owner).into_keys().collect();
    keys.into_iter().map(move |key| SetId { zone: zone.clone(), owner: owner.clone(), key })
}

/// The owner's sets in the zone given, else in every zone of ours at or above it.
fn everywhere<S: State + ?Sized>(work: &Work<'_, S>, change: &Change) -> Result<Vec<SetId>, BadItem> {
    let mut found = Vec::new();
    let mut next = Some(zone(work.state, change, None)?);
    while let Some(zone) = next {
        found.extend(at(work, &zone, &change.owner));
        let above = change.zone.is_none().then(|| zone.parent()).flatten();
        next = above.and_then(|name| work.state.zone_of(&name));
    }
    Ok(found)
}

fn the_only(change: &Change, mut found: Vec<SetId>) -> Result<Vec<SetId>, BadItem> {
    match found.len() {
        0 => Err(absent(change, "record sets")),
        1 => Ok(found),
        count => {
            found.sort();
            let several_zones = found.iter().any(|id| id.zone != found[0].zone);
            let list: Vec<String> = found.iter().map(|id| shown(id, several_zones)).collect();
            let detail = format!("{} has {count} record sets: {}", change.owner.without_dot(), list.join(", "));
            let pointer = format!("{}/type", change.pointer);
            Err(BadItem::at(RefusalKind::TypeNeeded, pointer, detail).hint("name one of them by its type"))
        }
    }
}

/// `A`, `RRSIG covering DS`, `NS in example`.
pub(super) fn shown(id: &SetId, with_zone: bool) -> String {
    let mut text = id.key.rtype.to_string();
    if id.key.rtype == RecordType::RRSIG {
        text = format!("{text} covering {}", id.key.covered);
    }
    if with_zone {
        text = format!("{text} in {}", id.zone.without_dot());
    }
    text
}
