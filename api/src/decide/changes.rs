//! The changes of a change set, one after the other, each on what the ones before it left.

use conn3ction_schemas::{Name, Rdata, RecordSet, RecordSetError, RecordType, SetKey, Ttl};

use super::{
    command::{Change, Op, Values, Which},
    input,
    refusal::{BadItem, RefusalKind},
    resolve,
    state::State,
    work::{SetId, Work},
};
use crate::path;

/// The TTL of records in a zone that has no SOA to say it; a zone's default is the TTL of its SOA.
pub(super) const DEFAULT_TTL_SECS: u32 = 60;

/// Does change number `number` on the desk, or says all that is wrong with it.
pub(super) fn apply<S: State + ?Sized>(
    work: &mut Work<'_, S>,
    change: &Change,
    number: usize,
) -> Result<(), Vec<BadItem>> {
    match change.op {
        Op::Delete => delete(work, change, number).map_err(|item| vec![item]),
        Op::Create | Op::Set | Op::Add | Op::Remove => with_values(work, change, number),
    }
}

fn delete<S: State + ?Sized>(work: &mut Work<'_, S>, change: &Change, number: usize) -> Result<(), BadItem> {
    for id in resolve::present(work, change)? {
        if work.get(&id).is_none() {
            return Err(resolve::absent(change, format_args!("{} set", resolve::shown(&id, false))));
        }
        work.put(id, None, number);
    }
    Ok(())
}

fn with_values<S: State + ?Sized>(work: &mut Work<'_, S>, change: &Change, number: usize) -> Result<(), Vec<BadItem>> {
    let (id, values) = target(work, change)?;
    let present = work.get(&id);
    let after = match change.op {
        Op::Create if present.is_some() => return Err(vec![exists(work, change, &id)]),
        Op::Create | Op::Set => {
            let ttl = change.ttl.unwrap_or_else(|| ttl_of(work, &id.zone, present.as_ref()));
            Some(set(change, ttl, values)?)
        }
        Op::Add => Some(added(work, change, &id, present, values)?),
        Op::Remove => removed(change, &id, present, &values)?,
        Op::Delete => unreachable!("deleting takes no values"),
    };
    if let (RecordType::SOA, Some(soa)) = (id.key.rtype, &after) {
        work.ask(&id.zone, soa);
    }
    work.put(id, after, number);
    Ok(())
}

/// The set that the values belong to, and the values as rdata of its type.
fn target<S: State + ?Sized>(work: &Work<'_, S>, change: &Change) -> Result<(SetId, Vec<Rdata>), Vec<BadItem>> {
    let one = |item| vec![item];
    match (&change.values, change.which) {
        (_, Which::Every) | (Values::Text(_), Which::Type(..)) => Err(one(BadItem::at(
            RefusalKind::InvalidRecord,
            format!("{}/type", change.pointer),
            format!("{} needs one type", change.op.as_str()),
        ))),
        (Values::Parsed(values), Which::Type(rtype, covers)) => {
            let zone = resolve::zone(work.state, change, Some(rtype)).map_err(one)?;
            let key = key(change, rtype, covers, values)?;
            Ok((SetId { zone, owner: change.owner.clone(), key }, values.clone()))
        }
        (values, Which::Only) => {
            let id = resolve::present(work, change).map_err(one)?.swap_remove(0);
            let values = match values {
                Values::Parsed(values) => values.clone(),
                Values::Text(texts) => input::values(&change.pointer, id.key.rtype, texts)?,
            };
            Ok((id, values))
        }
    }
}

/// The key that all values agree on: signatures say themselves what they cover.
fn key(
    change: &Change,
    rtype: RecordType,
    covers: Option<RecordType>,
    values: &[Rdata],
) -> Result<SetKey, Vec<BadItem>> {
    let Some(first) = values.first() else {
        let pointer = format!("{}/values", change.pointer);
        return Err(vec![BadItem::at(RefusalKind::InvalidRecord, pointer, RecordSetError::Empty.to_string())]);
    };
    let key = covers.filter(|_| rtype == RecordType::RRSIG).map_or(SetKey::for_rdata(rtype, first), SetKey::rrsig);
    let strays = values.iter().enumerate().filter(|(_, value)| SetKey::for_rdata(rtype, value) != key);
    let items: Vec<BadItem> = strays
        .map(|(place, _)| {
            let pointer = format!("{}/values/{place}", change.pointer);
            let detail = format!("does not cover {}: signatures over different types are different sets", key.covered);
            BadItem::at(RefusalKind::InvalidRecord, pointer, detail).hint("one change for each covered type")
        })
        .collect();
    if items.is_empty() { Ok(key) } else { Err(items) }
}

fn ttl_of<S: State + ?Sized>(work: &Work<'_, S>, zone: &Name, present: Option<&RecordSet>) -> Ttl {
    let soa = || work.get(&SetId { zone: zone.clone(), owner: zone.clone(), key: SetKey::of(RecordType::SOA) });
    match present {
        Some(set) => set.ttl(),
        None => soa().map_or_else(default_ttl, |soa| soa.ttl()),
    }
}

pub(super) fn default_ttl() -> Ttl {
    Ttl::from_secs(DEFAULT_TTL_SECS).unwrap_or(Ttl::MAX)
}

fn set(change: &Change, ttl: Ttl, values: Vec<Rdata>) -> Result<RecordSet, Vec<BadItem>> {
    RecordSet::new(ttl, values).map_err(|error| {
        let pointer = format!("{}/values", change.pointer);
        vec![BadItem::at(RefusalKind::InvalidRecord, pointer, error.to_string())]
    })
}

fn added<S: State + ?Sized>(
    work: &Work<'_, S>,
    change: &Change,
    id: &SetId,
    present: Option<RecordSet>,
    values: Vec<Rdata>,
) -> Result<RecordSet, Vec<BadItem>> {
    let ttl = ttl_of(work, &id.zone, present.as_ref());
    let Some(present) = present else { return set(change, change.ttl.unwrap_or(ttl), values) };
    if change.ttl.is_some_and(|asked| asked != ttl) {
        let detail = format!("the set has TTL {ttl}, and all records of a set have one TTL (RFC 2181 section 5.2)");
        let pointer = format!("{}/ttl", change.pointer);
        return Err(vec![
            BadItem::at(RefusalKind::InvalidRecord, pointer, detail).hint("leave the TTL out, or set the whole set"),
        ]);
    }
    set(change, ttl, present.rdata().iter().cloned().chain(values).collect())
}

fn removed(
    change: &Change,
    id: &SetId,
    present: Option<RecordSet>,
    values: &[Rdata],
) -> Result<Option<RecordSet>, Vec<BadItem>> {
    let Some(present) = present else {
        return Err(vec![resolve::absent(change, format_args!("{} set", resolve::shown(id, false)))]);
    };
    let missing: Vec<BadItem> = values
        .iter()
        .enumerate()
        .filter(|(_, value)| present.rdata().binary_search(value).is_err())
        .map(|(place, _)| {
            let detail = format!("{} {} has no such value", id.owner.without_dot(), resolve::shown(id, false));
            BadItem::at(RefusalKind::RecordNotFound, format!("{}/values/{place}", change.pointer), detail)
        })
        .collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let left: Vec<Rdata> = present.rdata().iter().filter(|value| !values.contains(value)).cloned().collect();
    if left.is_empty() { Ok(None) } else { set(change, present.ttl(), left).map(Some) }
}

fn exists<S: State + ?Sized>(work: &Work<'_, S>, change: &Change, id: &SetId) -> BadItem {
    let (owner, set) = (id.owner.without_dot(), resolve::shown(id, false));
    let detail = match work.since(id) {
        Some(since) => format!("{owner} {set} exists since {since}"),
        None => format!("{owner} {set} is made by an earlier change of this request"),
    };
    let hint = format!("PUT /records/{}/{} replaces it", path::segment(&owner), id.key.rtype);
    BadItem::at(RefusalKind::RecordExists, format!("{}/name", change.pointer), detail).hint(hint)
}
