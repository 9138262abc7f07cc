//! Whole zones in and out as master files.
//!
//! An import is planned on a view: the file's sets and the zone's are walked side by side in canonical order, so that
//! only real differences become deltas, and these go to the ledger as they come. The committer then checks only that the
//! zone did not change since.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read, Write},
    sync::{Arc, Mutex, PoisonError},
};

use conn3ction_dns::{Store, View};
use conn3ction_ledger::{
    Ledger,
    committer::{Handle, Outcome, SubmitError},
};
use conn3ction_schemas::{
    Delta, Epoch, Kind, Name, RecordSet, RecordType, Revision, SetKey, Token, ZoneChange,
    event::ZoneLife,
    json,
    zonefile::{Reader, Zone, ZoneSet, write_zone},
};

use crate::{
    decide::{
        BadItem, Envelope, Live, MAX_SETS_AT_A_NAME, Place, Refusal, RefusalKind, State,
        decider::{Decisions, StateAtHead},
        planned::{Planned, PlannedContent, PlannedScope, PlannedZone, ZoneContent},
        rules, soa,
        warnings::{Warning, WarningKind},
    },
    plan::{self, Findings},
    rollback::unchanged_since,
};

/// Octets of a master file, as it arrives and inflated: ten megabytes of gzip can be ten gigabytes of blank lines.
pub(crate) const MAX_OCTETS: u64 = 1 << 30;

/// What becomes of sets that the file does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    Merge,
    /// They go.
    Replace,
}

/// A master file that was read and is to become the content of a zone.
#[derive(Debug)]
pub struct Incoming {
    apex: Name,
    mode: Mode,
    zone: Zone,
}

/// Reads a master file, plain or gzip.
///
/// # Errors
///
/// Every fault with its line and column; [`RefusalKind::TooLarge`] for one that inflates to more than 1 GiB.
pub fn read(apex: &Name, mode: Mode, file: impl Read) -> Result<Incoming, Refusal> {
    read_at_most(MAX_OCTETS, apex, mode, file)
}

fn read_at_most(limit: u64, apex: &Name, mode: Mode, file: impl Read) -> Result<Incoming, Refusal> {
    let mut plain = BufReader::with_capacity(64 * 1024, file);
    let unreadable = |error: io::Error| {
        Refusal::one(BadItem::at(RefusalKind::InvalidRecord, "", format!("the master file cannot be read: {error}")))
    };
    let packed = plain.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    let over = Cell::new(false);
    let input: Box<dyn BufRead + '_> = if packed {
        let inflated = Bounded { input: flate2::bufread::MultiGzDecoder::new(plain), left: limit, over: &over };
        Box::new(BufReader::with_capacity(64 * 1024, inflated))
    } else {
        Box::new(plain)
    };
    let zone = Zone::assemble(apex, Reader::new(input, apex.clone())).map_err(|faults| {
        if over.get() {
            let detail = format!("the master file has more than {limit} octets when it is inflated");
            return Refusal::one(BadItem::at(RefusalKind::TooLarge, "", detail));
        }
        let items = faults.into_iter().map(|fault| BadItem {
            kind: RefusalKind::InvalidRecord,
            place: Place::Line { line: fault.line, column: fault.column },
            detail: fault.detail,
            hint: None,
        });
        let nothing = || Refusal::one(BadItem::at(RefusalKind::InvalidRecord, "", "the master file is faulty"));
        Refusal::of(items.collect()).unwrap_or_else(nothing)
    })?;
    if zone.sets.is_empty() {
        let detail = "the master file has no record; to be rid of a zone, delete it";
        return Err(Refusal::one(BadItem::at(RefusalKind::InvalidRecord, "", detail)));
    }
    Ok(Incoming { apex: apex.clone(), mode, zone })
}

/// What a file holds, plain or gzip; `None` if that is more than 1 GiB.
///
/// # Errors
///
/// It is no whole gzip.
pub(crate) fn unpacked(octets: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let plain = if octets.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&octets[..]).take(MAX_OCTETS + 1).read_to_end(&mut plain)?;
        plain
    } else {
        octets
    };
    Ok(Some(plain).filter(|plain| plain.len() as u64 <= MAX_OCTETS))
}

/// Fails, and says so, once more than `left` octets came.
struct Bounded<'a, R> {
    input: R,
    left: u64,
    over: &'a Cell<bool>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(octets)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.over.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(read)
    }
}

/// Writes the zone as a master file.
///
/// # Errors
///
/// Those of `out`, and [`io::ErrorKind::NotFound`] if the view has no such zone.
pub fn export(view: &View, apex: &Name, out: &mut impl Write) -> io::Result<()> {
    let zone = view.zone(apex).ok_or(io::ErrorKind::NotFound)?;
    let sets = zone.owners().flat_map(|owner| {
        let name = owner.name();
        let sets: Vec<_> = owner.sets().map(|set| (name.clone(), set.key(), set.to_record_set())).collect();
        sets
    });
    write_zone(out, apex, sets)
}

/// The dry run of an import.
///
/// # Errors
///
/// The refusal that the import would meet.
pub fn plan(view: View, epoch: Epoch, envelope: &Envelope, incoming: &Incoming) -> Result<json::Plan, Refusal> {
    let state = Live::new(view);
    unchanged(&state, envelope, &incoming.apex)?;
    let draft = incoming.diff(&state, &mut |_| {})?;
    let zones: Vec<ZoneChange> = draft.change.into_iter().collect();
    let decided_at = Token { epoch, revision: state.revision() };
    // What is sent is the file, with the plan's revision in `If-Match`.
    let apply = serde_json::Value::Null;
    Ok(draft.findings.into_plan(Kind::ZoneImported, envelope, &zones, decided_at, apply))
}

/// Imports: one event with the real differences, none if there are none. `warnings` are those of the plan that was applied.
///
/// # Errors
///
/// [`SubmitError`].
pub async fn submit<H: StateAtHead>(
    committer: &Handle<Decisions<H>>,
    ledger: &Arc<dyn Ledger>,
    store: &Arc<Store>,
    envelope: &Envelope,
    incoming: Arc<Incoming>,
    warnings: &mut Vec<json::Warning>,
) -> Result<Outcome, SubmitError<Refusal>> {
    let found = Mutex::new(Vec::new());
    let outcome = plan::submit_planned(committer, envelope, || async {
        let state = Live::new(store.now());
        unchanged(&state, envelope, &incoming.apex).map_err(SubmitError::Refused)?;
        let planned_at = state.revision();
        let producing = incoming.clone();
        let staged = plan::stage(ledger, move |sink| producing.diff(&state, sink)).await;
        let staged = staged.map_err(|error| SubmitError::Append(Arc::new(error)))?;
        let draft = staged.given.map_err(SubmitError::Refused)?;
        *found.lock().unwrap_or_else(PoisonError::into_inner) = draft.findings.into_warnings();
        Ok(draft.change.map(|_| Planned {
            kind: Kind::ZoneImported,
            planned_at,
            zones: vec![draft.zone],
            body: staged.body,
            scope: PlannedScope::Zones,
            content: PlannedContent::Zone(incoming.clone()),
            time: None,
            of: None,
        }))
    })
    .await?;
    *warnings = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(unchanged_since(outcome, store.now().last_change(&incoming.apex).map(Revision::from)))
}

fn unchanged(state: &Live, envelope: &Envelope, apex: &Name) -> Result<(), Refusal> {
    let Some(expected) = envelope.expected_revision else { return Ok(()) };
    crate::decide::check_reached(state, expected)?;
    match state.changed_since(crate::decide::Scope::Zone(apex), expected) {
        Some(actual) => Err(Refusal::one(Refusal::changed_since("", &apex.without_dot(), expected, actual))),
        None => Ok(()),
    }
}

/// The sets of one owner by key.
type Sets = Vec<(SetKey, RecordSet)>;

/// What an import comes to, besides its deltas.
struct Diff {
    zone: PlannedZone,
    /// `None` if nothing is to change.
    change: Option<ZoneChange>,
    findings: Findings,
}

impl Incoming {
    /// Hands the differences to `sink` in their order.
    fn diff(&self, state: &Live, sink: &mut dyn FnMut(&Delta)) -> Result<Diff, Refusal> {
        let zone = self.planned_zone(state)?;
        let present = state.zone(&self.apex).map(|zone| zone.serial);
        let asks_for_more = present.is_none_or(|present| zone.asked.is_some_and(|asked| asked > present));
        // Unsigned content is taken with any serial; signed content that differs needs a greater one, told below.
        let settled = zone.settle(state);
        let after = settled.as_ref().ok().map(|change| change.after).or(zone.asked);
        let mut findings = Findings::default();
        for fault in &self.zone.warnings {
            let kind = WarningKind::MixedTtls.as_str().into();
            findings.add(json::Warning { kind, name: None, line: Some(fault.line), detail: fault.detail.clone() });
        }
        let mut items = Vec::new();
        let mut cut = None;
        self.walk(state, &mut |owner, old, new| {
            items.extend(self.conflict(owner, &old, new));
            for set in new {
                cut = below(&self.apex, cut, set, &mut findings);
            }
            for mut delta in deltas(owner, old, new, self.mode) {
                if delta.key.rtype == RecordType::SOA {
                    let patched = |set: Option<RecordSet>, serial| match serial {
                        Some(serial) => set.map(|set| soa::with_serial(&set, serial)),
                        None => set,
                    };
                    delta.before = patched(delta.before.take(), present);
                    delta.after = patched(delta.after.take(), after);
                }
                findings.count(state, &self.apex, &delta);
                sink(&delta);
            }
        });
        if let Some(refusal) = Refusal::of(items) {
            return Err(refusal);
        }
        if findings.change_count() == 0 && !asks_for_more {
            return Ok(Diff { zone, change: None, findings });
        }
        let change = settled.map_err(Refusal::one)?;
        if let (Some(asked), Some(present)) = (zone.asked, change.before)
            && asked != change.after
            && asked != present
        {
            findings.warn(&Warning::serial_not_greater(&self.apex, asked, present, change.after));
        }
        if zone.signed {
            let detail = "the zone is signed elsewhere; only an import with a greater serial changes it";
            findings.warn(&Warning::new(WarningKind::SignedElsewhere, &self.apex, detail));
        }
        Ok(Diff { zone, change: Some(change), findings })
    }

    fn planned_zone(&self, state: &Live) -> Result<PlannedZone, Refusal> {
        let apex_sets = self.sets_of(&self.apex);
        let has = |key| apex_sets.iter().any(|set| set.key == key);
        let (exists, was_signed) = (state.zone(&self.apex).is_some(), state.is_signed(&self.apex));
        let signed = has(SetKey::rrsig(RecordType::SOA));
        let rule = |detail: String| Refusal::one(BadItem::at(RefusalKind::ZoneRule, "", detail));
        if self.mode == Mode::Replace || !exists {
            for rtype in [RecordType::SOA, RecordType::NS] {
                if !has(SetKey::of(rtype)) {
                    return Err(rule(format!("the file has no {rtype} at {}, which a whole zone needs", self.apex)));
                }
            }
        }
        if signed && !has(SetKey::of(RecordType::SOA)) {
            return Err(rule("the file has a signature over a SOA, but not the SOA".into()));
        }
        if self.mode == Mode::Merge && was_signed && !signed {
            return Err(Refusal::one(rules::signed_elsewhere(&self.apex, "")));
        }
        Ok(PlannedZone {
            zone: self.apex.clone(),
            life: if exists { ZoneLife::Stays } else { ZoneLife::Created },
            asked: self.zone.soa.as_ref().map(|soa| soa.serial),
            signed: signed || was_signed,
        })
    }

    /// Visits each owner of the zone or the file once, in canonical order, with its sets in both.
    fn walk<'a>(&'a self, state: &Live, visit: &mut dyn FnMut(&Name, Sets, &'a [ZoneSet])) {
        let zone = state.view().zone(&self.apex);
        let mut old = zone.iter().flat_map(|zone| zone.owners()).map(|owner| {
            let sets: Vec<_> = owner.sets().map(|set| (set.key(), set.to_record_set())).collect();
            (owner.name(), sets)
        });
        let mut new = self.zone.sets.chunk_by(|a, b| a.owner == b.owner);
        let (mut left, mut right) = (old.next(), new.next());
        loop {
            match (left.take(), right.take()) {
                (None, None) => return,
                (Some((owner, sets)), file) if file.is_none_or(|file| owner < file[0].owner) => {
                    visit(&owner, sets, &[]);
                    (left, right) = (old.next(), file);
                }
                (Some((owner, sets)), Some(file)) if owner == file[0].owner => {
                    visit(&owner, sets, file);
                    (left, right) = (old.next(), new.next());
                }
                (kept, Some(file)) => {
                    visit(&file[0].owner, Vec::new(), file);
                    (left, right) = (kept, new.next());
                }
                (kept, None) => left = kept,
            }
        }
    }

    /// What a merge would bring together at one owner that cannot stand together.
    fn conflict(&self, owner: &Name, old: &[(SetKey, RecordSet)], new: &[ZoneSet]) -> Option<BadItem> {
        if self.mode == Mode::Replace || new.is_empty() || old.is_empty() {
            return None;
        }
        let mut sets: std::collections::BTreeMap<&SetKey, &RecordSet> =
            old.iter().map(|(key, set)| (key, set)).collect();
        sets.extend(new.iter().map(|set| (&set.key, &set.set)));
        let at = |set: Option<&ZoneSet>| {
            let (line, column) = set.map_or((1, 1), |set| set.place);
            Place::Line { line: line.into(), column: column.into() }
        };
        let item =
            |kind, place, detail, hint: Option<&str>| BadItem { kind, place, detail, hint: hint.map(Into::into) };
        if sets.len() > MAX_SETS_AT_A_NAME {
            let detail = format!("{} would have over {MAX_SETS_AT_A_NAME} record sets", owner.without_dot());
            return Some(item(RefusalKind::ZoneRule, at(new.first()), detail, None));
        }
        let cname = SetKey::of(RecordType::CNAME);
        let beside = sets.contains_key(&cname).then(|| rules::beside_cname(sets).next()).flatten()?;
        let in_file = new.iter().find(|set| set.key == cname).or(new.iter().find(|set| set.key == beside));
        let detail = format!("{} would have a CNAME beside {}", owner.without_dot(), beside.rtype);
        let hint = Some("delete the one or the other first");
        Some(item(RefusalKind::CnameConflict, at(in_file), detail, hint))
    }

    fn sets_of(&self, owner: &Name) -> &[ZoneSet] {
        let sets = &self.zone.sets;
        let start = sets.partition_point(|set| set.owner < *owner);
        let count = sets[start..].iter().take_while(|set| set.owner == *owner).count();
        &sets[start..start + count]
    }
}

impl ZoneContent for Incoming {
    fn sets(&self, owner: &Name) -> Option<Vec<(SetKey, RecordSet)>> {
        let sets = self.sets_of(owner);
        (!sets.is_empty()).then(|| sets.iter().map(|set| (set.key, set.set.clone())).collect())
    }

    fn replaces(&self) -> bool {
        self.mode == Mode::Replace
    }

    fn owners(&self) -> Box<dyn Iterator<Item = Name> + '_> {
        Box::new(self.zone.sets.chunk_by(|a, b| a.owner == b.owner).map(|sets| sets[0].owner.clone()))
    }
}

/// The differences at one owner, by key.
fn deltas(owner: &Name, old: Sets, new: &[ZoneSet], mode: Mode) -> Vec<Delta> {
    let mut found: Vec<Delta> = Vec::new();
    for set in new {
        let before = old.iter().find(|(key, _)| *key == set.key).map(|(_, set)| set);
        if !soa::same(set.key.rtype, before, Some(&set.set)) {
            let (before, after) = (before.cloned(), Some(set.set.clone()));
            found.push(Delta { zone: 0, owner: owner.clone(), key: set.key, before, after });
        }
    }
    if mode == Mode::Replace {
        let gone = old.into_iter().filter(|(key, _)| new.iter().all(|set| set.key != *key));
        found.extend(gone.map(|(key, set)| Delta {
            zone: 0,
            owner: owner.clone(),
            key,
            before: Some(set),
            after: None,
        }));
        found.sort_unstable_by_key(|delta| delta.key);
    }
    found
}

/// What hides all below it: a delegation or a DNAME.
type Cut<'a> = (&'a Name, RecordType);

/// Warns of data below a delegation that is no glue, and below a DNAME; gives what the sets after this one may lie below.
fn below<'a>(apex: &Name, cut: Option<Cut<'a>>, set: &'a ZoneSet, findings: &mut Findings) -> Option<Cut<'a>> {
    let Some((top, by)) = cut.filter(|(top, _)| set.owner.is_at_or_below(top)) else {
        return match set.key.rtype {
            RecordType::NS if set.owner != *apex => Some((&set.owner, RecordType::NS)),
            RecordType::DNAME => Some((&set.owner, RecordType::DNAME)),
            _ => None,
        };
    };
    let is_glue = by == RecordType::NS && matches!(set.key.rtype, RecordType::A | RecordType::AAAA);
    if *top != set.owner && !is_glue {
        let (kind, what) = match by {
            RecordType::DNAME => (WarningKind::BelowDname, "a DNAME"),
            _ => (WarningKind::BelowDelegation, "delegated"),
        };
        let detail = format!("{top} is {what}, so this {} is never served", set.key.rtype);
        findings.warn(&Warning::new(kind, &set.owner, detail));
    }
    Some((top, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_inflates_beyond_the_limit_is_refused_as_too_large() {
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(b"$TTL 60\n@ SOA ns h 5 1 2 3 4\n@ NS ns\nns A 192.0.2.1\n").expect("into memory");
        bomb.write_all(&[b'\n'; 300_000]).expect("into memory");
        let bomb = bomb.finish().expect("into memory");
        let apex: Name = "example.".parse().expect("a name");
        let read = |limit| read_at_most(limit, &apex, Mode::Replace, &bomb[..]).map_err(|refusal| refusal.kind);
        assert!(bomb.len() < 10_000);
        assert_eq!(read(200_000).expect_err("a bomb"), RefusalKind::TooLarge);
        assert!(read(400_000).is_ok());
    }
}
