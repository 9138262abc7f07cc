//! A history as the server takes it: each line becomes a planned event of the zones that this history itself made.
//!
//! Pure but for [`Importing`]. What a line says is held against the lines before; that nobody else touched the zones is
//! seen by their serials when the event is decided ([`PlannedScope::Serials`]), because every change moves them.

use std::{collections::BTreeMap, sync::Arc};

use conn3ction_schemas::{
    Delta, Kind, Name, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp,
    event::{DraftBody, DraftChunks, Salt, ZoneLife},
};

use super::{
    Importing,
    wire::{SetVersion, VersionInput, ZoneVersion},
};
use crate::decide::{
    BadItem, MAX_SETS_AT_A_NAME, Refusal, RefusalKind, input,
    planned::{Before, Planned, PlannedContent, PlannedScope, PlannedZone},
    rules, soa,
};

/// The zones that a history made so far.
#[derive(Debug)]
pub struct Past {
    importing: Importing,
    zones: BTreeMap<Name, ZonePast>,
}

#[derive(Debug)]
struct ZonePast {
    exists: bool,
    serial: Option<Serial>,
    /// When it changed last.
    time: Timestamp,
    sets: BTreeMap<(Name, SetKey), RecordSet>,
}

/// A version, ready to be committed but for its body, which [`Planned::body`] gets once it is encoded.
#[derive(Debug)]
pub struct Taking {
    /// The event.
    pub planned: Planned,
    /// Its deltas.
    pub deltas: Arc<[Delta]>,
    /// Its zones, with their serials from then on.
    pub serials: Vec<(Name, Serial)>,
    /// One of its zones is new to this history.
    pub begins: bool,
}

impl Past {
    /// Nothing taken yet.
    pub fn new(importing: Importing) -> Self {
        Self { importing, zones: BTreeMap::new() }
    }

    /// The zones that have a past now.
    pub fn zones(&self) -> impl Iterator<Item = &Name> {
        self.zones.keys()
    }

    /// Whether another import has a zone that `version` would be the first of ours to touch.
    pub fn is_held_up(&self, version: &VersionInput) -> bool {
        let mut names = version.zones.iter().filter_map(|zone| input::name("", &zone.name).ok());
        names.any(|name| !self.zones.contains_key(&name) && self.importing.holds(&name))
    }

    /// Takes the version in line `number`.
    ///
    /// # Errors
    ///
    /// Every fault of the line. The history cannot go on after that.
    pub fn take(&mut self, number: u64, version: &VersionInput) -> Result<Taking, Refusal> {
        let at = |pointer: &str| format!("/{number}{pointer}");
        let bad = |kind, pointer: &str, detail: String| Refusal::one(BadItem::at(kind, at(pointer), detail));
        let rule = |detail: String| bad(RefusalKind::ZoneRule, "/zones", detail);
        let time = Timestamp::parse(&version.time)
            .map_err(|_| bad(RefusalKind::InvalidRecord, "/time", format!("{:?} is no RFC 3339 time", version.time)))?;
        let mut listed = BTreeMap::new();
        for zone in &version.zones {
            let name = input::name(&at("/zones"), &zone.name).map_err(Refusal::one)?;
            if listed.insert(name, zone).is_some() {
                return Err(rule(format!("{} stands twice", zone.name)));
            }
        }
        if listed.is_empty() {
            return Err(rule("a version changes at least one zone".into()));
        }
        let mut changes = self.read(number, &listed, &version.changes)?;
        let (mut zones, mut before, mut deltas) = (Vec::new(), Vec::new(), Vec::new());
        let (mut serials, mut begins) = (Vec::new(), false);
        let mut effective = time;
        for (place, (apex, listed)) in listed.iter().enumerate() {
            let changes = changes.remove(apex).unwrap_or_default();
            let zone = self.enter(apex, listed).map_err(rule)?;
            before.push(Before { exists: zone.exists, serial: zone.serial });
            begins |= zone.serial.is_none();
            effective = effective.max(zone.time.plus_micros(1));
            let (life, found) = zone.apply(place as u32, listed, changes);
            zone.check(apex, life, &found).map_err(rule)?;
            deltas.extend(found);
            serials.extend(zone.serial.map(|serial| (apex.clone(), serial)));
            zones.push(PlannedZone { zone: apex.clone(), life, asked: Some(Serial(listed.serial)), signed: false });
        }
        for apex in listed.keys() {
            if let Some(zone) = self.zones.get_mut(apex) {
                zone.time = effective;
            }
        }
        let gone = zones.iter().all(|zone| zone.life == ZoneLife::Deleted);
        let deltas: Arc<[Delta]> = deltas.into();
        let planned = Planned {
            kind: if gone { Kind::ZoneDeleted } else { Kind::ZoneImported },
            planned_at: Revision::ZERO,
            zones,
            body: DraftBody {
                salt: Salt([0; 16]),
                digest: conn3ction_schemas::event::Hash([0; 32]),
                change_count: 0,
                chunks: DraftChunks::Inline(Vec::new()),
            },
            scope: PlannedScope::Serials(before),
            content: PlannedContent::Deltas(deltas.clone()),
            time: Some(effective),
            of: None,
        };
        Ok(Taking { planned, deltas, serials, begins })
    }

    /// The changes of each zone, by owner and key.
    fn read(
        &self,
        number: u64,
        listed: &BTreeMap<Name, &ZoneVersion>,
        changes: &[SetVersion],
    ) -> Result<BTreeMap<Name, Changes>, Refusal> {
        let mut read: BTreeMap<Name, BTreeMap<_, _>> = BTreeMap::new();
        let mut items = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            match self::change(&format!("/{number}/changes/{place}"), listed, change) {
                Ok((zone, id, after)) => _ = read.entry(zone).or_default().insert(id, after),
                Err(bad) => items.extend(bad),
            }
        }
        Refusal::of(items).map_or(Ok(read), Err)
    }

    fn enter(&mut self, apex: &Name, listed: &ZoneVersion) -> Result<&mut ZonePast, String> {
        if !self.zones.contains_key(apex) {
            if listed.deleted {
                return Err(format!("{apex} is deleted, but this history never made it"));
            }
            if !self.importing.take(apex) {
                return Err(format!("another import is giving {apex} a past"));
            }
        }
        let fresh = || ZonePast { exists: false, serial: None, time: Timestamp(i64::MIN), sets: BTreeMap::new() };
        let zone = self.zones.entry(apex.clone()).or_insert_with(fresh);
        if listed.deleted && !zone.exists {
            return Err(format!("{apex} is deleted twice"));
        }
        Ok(zone)
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        self.importing.release(std::mem::take(&mut self.zones).into_keys());
    }
}

impl ZonePast {
    /// Brings the zone to its new version; gives what became of it and its deltas in their order.
    fn apply(&mut self, place: u32, listed: &ZoneVersion, changes: Changes) -> (ZoneLife, Vec<Delta>) {
        let before = self.serial;
        let life = match (self.exists, listed.deleted) {
            (_, true) => ZoneLife::Deleted,
            (true, false) => ZoneLife::Stays,
            (false, false) => ZoneLife::Created,
        };
        let after = match (life, before) {
            (ZoneLife::Deleted, Some(last)) => last,
            (_, Some(last)) => last.next(Some(Serial(listed.serial))),
            (_, None) => Serial(listed.serial),
        };
        let changes = if listed.deleted { self.sets.keys().map(|id| (id.clone(), None)).collect() } else { changes };
        let mut deltas = Vec::new();
        for ((owner, key), set) in changes {
            let id = (owner, key);
            let old = self.sets.get(&id).cloned();
            if soa::same(key.rtype, old.as_ref(), set.as_ref()) {
                continue;
            }
            let patched = |set: Option<RecordSet>, serial: Option<Serial>| match (key.rtype, serial) {
                (RecordType::SOA, Some(serial)) => set.map(|set| soa::with_serial(&set, serial)),
                _ => set,
            };
            match &set {
                Some(set) => _ = self.sets.insert(id.clone(), set.clone()),
                None => _ = self.sets.remove(&id),
            }
            let (before, after) = (patched(old, before), patched(set, Some(after)));
            deltas.push(Delta { zone: place, owner: id.0, key, before, after });
        }
        self.exists = !listed.deleted;
        self.serial = Some(after);
        (life, deltas)
    }

    /// What a zone as a whole must have.
    fn check(&self, apex: &Name, life: ZoneLife, deltas: &[Delta]) -> Result<(), String> {
        if life == ZoneLife::Deleted {
            return Ok(());
        }
        for rtype in [RecordType::SOA, RecordType::NS] {
            if !self.sets.contains_key(&(apex.clone(), SetKey::of(rtype))) {
                return Err(format!("{apex} would have no {rtype}"));
            }
        }
        for delta in deltas {
            let owner = &delta.owner;
            let sets: Vec<_> = self
                .sets
                .range((owner.clone(), SetKey::of(RecordType(0)))..)
                .take_while(|((other, _), _)| other == owner)
                .map(|((_, key), set)| (key, set))
                .collect();
            if sets.len() > MAX_SETS_AT_A_NAME {
                return Err(format!("{owner} would have over {MAX_SETS_AT_A_NAME} record sets"));
            }
            let alias = sets.iter().any(|(key, _)| key.rtype == RecordType::CNAME);
            if let Some(beside) = alias.then(|| rules::beside_cname(sets).next()).flatten() {
                return Err(format!("{owner} would have a CNAME beside {}", beside.rtype));
            }
        }
        Ok(())
    }
}

/// New sets by owner and key; `None`: the set is gone.
type Changes = BTreeMap<(Name, SetKey), Option<RecordSet>>;
/// One of them, with its zone.
type Change = (Name, (Name, SetKey), Option<RecordSet>);

fn change(pointer: &str, listed: &BTreeMap<Name, &ZoneVersion>, raw: &SetVersion) -> Result<Change, Vec<BadItem>> {
    let one = |item: BadItem| vec![item];
    let invalid = |member: &str, detail: String| {
        one(BadItem::at(RefusalKind::InvalidRecord, format!("{pointer}{member}"), detail))
    };
    let zone = input::name(&format!("{pointer}/zone"), &raw.zone).map_err(one)?;
    let owner = input::name(&format!("{pointer}/name"), &raw.name).map_err(one)?;
    if listed.get(&zone).is_none_or(|zone| zone.deleted) {
        return Err(invalid("/zone", format!("{zone} is not among the zones that this version changes")));
    }
    if !owner.is_at_or_below(&zone) {
        let detail = format!("{owner} is outside {zone}");
        return Err(one(BadItem::at(RefusalKind::OutsideZones, format!("{pointer}/name"), detail)));
    }
    let rtype = input::record_type(&format!("{pointer}/type"), &raw.rtype).map_err(one)?;
    let covers = raw.covers.as_deref().map(|text| input::record_type(&format!("{pointer}/covers"), text));
    let key = match (rtype, covers.transpose().map_err(one)?) {
        (RecordType::RRSIG, Some(covered)) => SetKey::rrsig(covered),
        (RecordType::RRSIG, None) => return Err(invalid("/covers", "RRSIG needs the type that it covers".into())),
        (_, Some(_)) => return Err(invalid("/covers", "only RRSIG records cover a type".into())),
        (_, None) => SetKey::of(rtype),
    };
    let Some(set) = &raw.after else { return Ok((zone, (owner, key), None)) };
    let ttl = input::ttl(&format!("{pointer}/after/ttl"), set.ttl.into()).map_err(one)?;
    let values = input::values(&format!("{pointer}/after"), rtype, &set.values)?;
    if values.iter().any(|value| SetKey::for_rdata(rtype, value) != key) {
        return Err(invalid("/covers", "a value covers another type".into()));
    }
    let single = matches!(rtype, RecordType::CNAME | RecordType::DNAME | RecordType::SOA);
    match RecordSet::new(ttl, values) {
        Ok(set) if single && set.rdata().len() > 1 => Err(invalid("/after/values", format!("more than one {rtype}"))),
        Ok(set) => Ok((zone, (owner, key), Some(set))),
        Err(error) => Err(invalid("/after/values", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_schemas::json::SetJson;

    use super::*;

    fn set(zone: &str, name: &str, rtype: &str, value: &str) -> SetVersion {
        let after = (!value.is_empty()).then(|| SetJson { ttl: 60, values: vec![value.into()] });
        SetVersion { zone: zone.into(), name: name.into(), rtype: rtype.into(), after, covers: None }
    }

    fn version(time: &str, serial: u32, changes: Vec<SetVersion>) -> VersionInput {
        VersionInput {
            id: "0a1b".into(),
            time: time.into(),
            actor: None,
            reason: None,
            zones: vec![ZoneVersion { name: "a.test".into(), serial, deleted: false }],
            changes,
        }
    }

    fn first() -> VersionInput {
        let soa = set("a.test", "a.test", "SOA", "ns.a.test. h.a.test. 5 1 2 3 4");
        version("2020-01-01T00:00:00Z", 5, vec![soa, set("a.test", "a.test", "NS", "ns.a.test.")])
    }

    #[test]
    fn a_version_knows_what_was_before_and_takes_effect_after_it() {
        let importing = Importing::default();
        let mut past = Past::new(importing.clone());
        let taken = past.take(1, &first()).expect("a zone");
        assert_eq!((taken.deltas.len(), taken.planned.zones[0].life), (2, ZoneLife::Created));
        let apex: Name = "a.test".parse().expect("a name");
        assert!(importing.holds(&apex));
        let second = version("2019-01-01T00:00:00Z", 3, vec![set("a.test", "w.a.test", "A", "192.0.2.1")]);
        let taken = past.take(2, &second).expect("a version");
        let before = Before { exists: true, serial: Some(Serial(5)) };
        assert!(matches!(&taken.planned.scope, PlannedScope::Serials(zones) if zones[..] == [before]));
        assert_eq!(taken.planned.time, Some(Timestamp::parse("2020-01-01T00:00:00.000001Z").expect("a time")));
        let third = version("2020-01-02T00:00:00Z", 3, vec![set("a.test", "w.a.test", "A", "")]);
        let taken = past.take(3, &third).expect("a version");
        assert!(taken.deltas[0].before.is_some() && taken.deltas[0].after.is_none());
        let serial = Before { exists: true, serial: Some(Serial(6)) };
        assert!(matches!(&taken.planned.scope, PlannedScope::Serials(zones) if zones[..] == [serial]));
        assert!(Past::new(importing.clone()).take(1, &first()).is_err(), "two imports of one zone");
        drop(past);
        assert!(!importing.holds(&apex));
    }

    #[test]
    fn what_a_zone_cannot_hold_is_refused_with_its_place() {
        for (change, place) in [
            (set("a.test", "a.test", "SOA", ""), "/2/zones"),
            (set("a.test", "a.test", "CNAME", "b.test."), "/2/zones"),
            (set("a.test", "b.test", "A", "192.0.2.1"), "/2/changes/0/name"),
            (set("b.test", "b.test", "A", "192.0.2.1"), "/2/changes/0/zone"),
            (set("a.test", "w.a.test", "A", "192.0.2"), "/2/changes/0/after/values/0"),
            (set("a.test", "w.a.test", "RRSIG", ""), "/2/changes/0/covers"),
        ] {
            let mut past = Past::new(Importing::default());
            past.take(1, &first()).expect("a zone");
            let refusal = past.take(2, &version("2020-01-01T00:00:01Z", 6, vec![change.clone()])).expect_err(place);
            let places: Vec<_> = refusal.items.iter().map(|item| format!("{:?}", item.place)).collect();
            assert_eq!(places, [format!("Pointer({place:?})")], "{change:?}: {refusal:?}");
        }
    }
}
