//! Zones that come and go.

use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, SetKey, event::ZoneLife};

use super::{
    changes,
    command::NewZone,
    refusal::{BadItem, RefusalKind},
    soa,
    state::State,
    work::{SetId, Work},
};

/// Makes a zone with its SOA and NS.
pub(super) fn create<S: State + ?Sized>(work: &mut Work<'_, S>, new: &NewZone) -> Result<(), BadItem> {
    let apex = &new.name;
    if let Some(zone) = work.state.zone(apex) {
        let detail = format!("{} exists; it last changed at {}", apex.without_dot(), zone.since);
        return Err(BadItem::at(RefusalKind::ZoneExists, "/name", detail));
    }
    let ttl = new.ttl.unwrap_or_else(changes::default_ttl);
    let servers = if new.nameservers.is_empty() { vec![localhost()?] } else { new.nameservers.clone() };
    let contact = match &new.contact {
        Some(contact) => contact.clone(),
        None => apex.child(b"hostmaster").map_err(|error| too_long(apex, error))?,
    };
    let serial = conn3ction_schemas::Serial(0);
    let soa = soa::default_set(&servers[0], &contact, serial, ttl);
    let ns = RecordSet::new(ttl, servers.iter().map(|name| Rdata::from_stored(name.as_wire())).collect())
        .map_err(|error| BadItem::at(RefusalKind::InvalidRecord, "/nameservers", error.to_string()))?;
    work.live(apex.clone(), ZoneLife::Created);
    for (rtype, set) in [(RecordType::SOA, soa), (RecordType::NS, ns)] {
        work.put(SetId { zone: apex.clone(), owner: apex.clone(), key: SetKey::of(rtype) }, Some(set), 0);
    }
    Ok(())
}

/// Deletes a zone with all its data, at most `limit` sets.
pub(super) fn delete<S: State + ?Sized>(work: &mut Work<'_, S>, apex: &Name, limit: usize) -> Result<(), BadItem> {
    if work.state.zone(apex).is_none() {
        return Err(not_found(apex));
    }
    let sets = work.state.first_sets(apex, apex, limit.saturating_add(1));
    if sets.len() > limit {
        let detail = format!("{} has over {limit} record sets", apex.without_dot());
        return Err(BadItem::at(RefusalKind::TooLarge, "", detail).hint("plan it first"));
    }
    work.live(apex.clone(), ZoneLife::Deleted);
    for (owner, key, _) in sets {
        work.put(SetId { zone: apex.clone(), owner, key }, None, 0);
    }
    Ok(())
}

/// The item for a zone that is not there.
pub(crate) fn not_found(apex: &Name) -> BadItem {
    let detail = format!("{} is no zone here", apex.without_dot());
    BadItem::at(RefusalKind::ZoneNotFound, "", detail).hint("GET /zones lists them")
}

fn localhost() -> Result<Name, BadItem> {
    Name::root().child(b"localhost").map_err(|error| too_long(&Name::root(), error))
}

fn too_long(apex: &Name, error: conn3ction_schemas::NameError) -> BadItem {
    let detail = format!("hostmaster.{apex} is no name: {error}");
    BadItem::at(RefusalKind::InvalidRecord, "/name", detail).hint("give a contact")
}
