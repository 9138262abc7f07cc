//! The zones in a tree of files, version by version: what each version changes in them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, Cursor},
    rc::Rc,
};

use conn3ction_schemas::{
    Name, RecordType, SetKey,
    json::SetJson,
    zonefile::{Fault, Reader, Zone, ZoneSet},
};

use super::{
    Blob, Blobs, Move, Version,
    origins::{Hint, Origins, named},
    wire::{SetVersion, VersionInput, ZoneVersion},
};
use crate::{decide, import::unpacked};

/// Faults told of one file.
const TOLD: usize = 3;

/// The files of the version reached, and the zones in them.
pub struct Tree<B> {
    blobs: B,
    origins: Origins,
    /// Whether the file written last holds a zone that several have: so in folders of dated files. In git the first does.
    newest_holds: bool,
    files: BTreeMap<String, Blob>,
    zones: BTreeMap<Name, Held>,
    /// The zones that names of files told before these were moved.
    told: BTreeMap<String, Name>,
    /// Files whose zone is left out since they do not parse, with the last parts of what they include.
    broken: BTreeMap<String, BTreeSet<String>>,
    /// The files that were included.
    included: BTreeSet<String>,
}

/// A zone and where it stands.
struct Held {
    path: String,
    zone: Zone,
    /// The last parts of what it includes.
    includes: BTreeSet<String>,
}

/// Something to be told about a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The commit or file.
    pub version: String,
    /// The path.
    pub path: String,
    /// What, with the line.
    pub detail: String,
    /// The zone was left as it was.
    pub skipped: bool,
}

/// What a file turned out to be.
enum Found {
    NoZone,
    Zone(Name, Held, Vec<String>),
    Broken(Vec<Fault>, BTreeSet<String>),
}

impl<B: Blobs> Tree<B> {
    /// No files yet.
    pub fn new(blobs: B, origins: Origins, newest_holds: bool) -> Self {
        Self {
            blobs,
            origins,
            newest_holds,
            files: BTreeMap::new(),
            zones: BTreeMap::new(),
            told: BTreeMap::new(),
            broken: BTreeMap::new(),
            included: BTreeSet::new(),
        }
    }

    /// Goes on to `version`; `None` if it changes no zone.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn next(&mut self, version: Version, notes: &mut Vec<Note>) -> std::io::Result<Option<VersionInput>> {
        self.origins.reach(&version.id);
        version.moved.iter().for_each(|it| self.go_along(it));
        let mut touched: BTreeSet<String> = BTreeSet::new();
        let mut names: BTreeSet<String> = BTreeSet::new();
        self.files.extend(version.beside);
        for (path, blob) in version.files {
            names.insert(last_part(&path).to_owned());
            match blob {
                Some(blob) => {
                    touched.insert(path.clone());
                    self.files.insert(path, blob);
                }
                None => {
                    self.files.remove(&path);
                    self.told.remove(&path);
                }
            }
        }
        let includers = self.zones.values().filter(|held| !held.includes.is_disjoint(&names));
        let includers = includers.map(|held| &held.path);
        let broken = self.broken.iter().filter(|(_, includes)| !includes.is_disjoint(&names)).map(|(path, _)| path);
        touched.extend(includers.chain(broken).filter(|path| self.files.contains_key(*path)).cloned());

        let mut note = |path: &str, detail: String, skipped| {
            notes.push(Note { version: version.id.clone(), path: path.to_owned(), detail, skipped });
        };
        let mut found: BTreeMap<Name, Held> = BTreeMap::new();
        for path in touched {
            self.broken.remove(&path);
            match self.read(&path)? {
                Found::NoZone => {
                    if let Some((zone, _)) = self.zones.iter().find(|(_, held)| held.path == path) {
                        note(&path, format!("no SOA record any more; {zone} stays as it was"), true);
                    }
                }
                Found::Broken(faults, includes) => {
                    self.broken.insert(path.clone(), includes);
                    let more = faults.len().saturating_sub(TOLD);
                    for fault in faults.into_iter().take(TOLD) {
                        note(&path, fault.to_string(), true);
                    }
                    if more > 0 {
                        note(&path, format!("and {more} more"), true);
                    }
                }
                Found::Zone(apex, held, warnings) => {
                    warnings.into_iter().for_each(|warning| note(&path, warning, false));
                    let holder = self.zones.get(&apex).map(|held| &held.path).filter(|at| self.files.contains_key(*at));
                    let holder = holder.or(found.get(&apex).map(|held| &held.path)).filter(|at| **at != path);
                    match holder {
                        Some(holder) if !self.newest_holds => {
                            note(&path, format!("holds {apex} as {holder} does, which counts"), false);
                        }
                        _ => _ = found.insert(apex, held),
                    }
                }
            }
        }
        for it in &version.moved {
            if let Some(zone) =
                self.told.get(&it.to).filter(|zone| found.get(*zone).is_some_and(|held| held.path == it.to))
            {
                note(&it.to, format!("was {}, so it still holds {zone}", it.from), false);
            }
        }
        // A zone goes with its file, or when its file holds another one now.
        let moved: BTreeSet<&String> = found.values().map(|held| &held.path).collect();
        let gone = self.zones.iter().filter(|(apex, held)| {
            !found.contains_key(*apex) && (!self.files.contains_key(&held.path) || moved.contains(&held.path))
        });
        let gone: Vec<Name> = gone.map(|(apex, _)| apex.clone()).collect();

        let (mut zones, mut changes) = (Vec::new(), Vec::new());
        for apex in gone {
            if let Some(held) = self.zones.remove(&apex) {
                zones.push(ZoneVersion { name: apex.to_string(), serial: serial(&held.zone), deleted: true });
            }
        }
        for (apex, held) in found {
            let old = self.zones.get(&apex).map(|held| &held.zone);
            let before = changes.len();
            let text = apex.to_string();
            compare(old.map_or(&[], |zone| &zone.sets), &held.zone.sets, |before, after| {
                changes.extend(after.or(before).map(|set| change(&text, set, after)));
            });
            let serial = serial(&held.zone);
            if changes.len() > before || old.is_none_or(|old| self::serial(old) != serial) {
                zones.push(ZoneVersion { name: text, serial, deleted: false });
            }
            self.zones.insert(apex, held);
        }
        if zones.is_empty() {
            return Ok(None);
        }
        let (time, actor, reason) = (version.time.to_string(), version.actor, version.reason);
        Ok(Some(VersionInput { id: version.id, time, actor, reason, zones, changes }))
    }

    /// The files that zones included, of all versions.
    pub fn into_included(self) -> BTreeSet<String> {
        self.included
    }

    /// Lets a zone go along with its file, so that it stays what it is where only the file's name told it.
    fn go_along(&mut self, it: &Move) {
        if self.origins == Origins::Told {
            let before = self.told.remove(&it.from).unwrap_or_else(|| named(&it.from));
            let after = named(&it.to);
            // A file that was changed, too, may be another zone's, made of a copy; but not where its name says less.
            let less = after.is_root() || before.to_string().starts_with(&after.to_string());
            if before != after && (it.whole || less) {
                self.told.insert(it.to.clone(), before);
            }
        }
        if self.hint(&it.to) != Hint::None {
            self.zones.values_mut().filter(|held| held.path == it.from).for_each(|held| held.path.clone_from(&it.to));
        }
    }

    /// What the path says, or the one that the file had before.
    fn hint(&self, path: &str) -> Hint {
        self.told.get(path).map_or_else(|| self.origins.hint(path), |zone| Hint::Perhaps(zone.clone()))
    }

    fn read(&mut self, path: &str) -> std::io::Result<Found> {
        let (apex, origin) = match self.hint(path) {
            Hint::None => return Ok(Found::NoZone),
            Hint::Zone(zone) => (Some(zone.clone()), zone),
            Hint::Perhaps(zone) if matches!(self.origins, Origins::One { .. }) => (Some(zone.clone()), zone),
            Hint::Perhaps(zone) => (None, zone),
        };
        let Some(text) = self.text(path)? else { return Ok(Found::NoZone) };
        let sure = matches!(self.hint(path), Hint::Zone(_));
        if !sure && !text.windows(3).any(|word| word.eq_ignore_ascii_case(b"SOA")) {
            return Ok(Found::NoZone);
        }
        let includes = Rc::new(RefCell::new(BTreeSet::new()));
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        let split: Vec<u64>;
        let mut told = sure || self.zones.values().any(|held| held.path == path);
        {
            let (asked, from) = (includes.clone(), path.to_owned());
            let files = RefCell::new(&mut *self);
            let include = move |name: &str| {
                asked.borrow_mut().insert(last_part(name).to_owned());
                let mut files = files.borrow_mut();
                let found = files.included(&from, name).ok_or_else(|| format!("no file {name} in this version"))?;
                files.included.insert(found.clone());
                match files.text(&found) {
                    Ok(Some(text)) => Ok(Box::new(Cursor::new(text)) as Box<dyn BufRead>),
                    Ok(None) => Err(format!("{found} is too large")),
                    Err(error) => Err(format!("{found} cannot be read: {error}")),
                }
            };
            let mut reader = Reader::new(&text[..], origin).with_long_texts_split().with_include(Box::new(include));
            for item in reader.by_ref() {
                match item {
                    Ok(record) => {
                        // A script that writes zones has something like a SOA, too, but not at its head.
                        told |= record.rtype == RecordType::SOA && faults.is_empty();
                        records.push(record);
                    }
                    Err(fault) => faults.push(fault),
                }
            }
            split = reader.split_lines().to_vec();
        }
        if !told {
            return Ok(Found::NoZone);
        }
        let soa = records.iter().find(|record| record.rtype == RecordType::SOA).map(|record| record.owner.clone());
        let Some(apex) = apex
            .filter(|apex| sure || soa.as_ref() == Some(apex))
            .or(soa.filter(|_| !matches!(self.origins, Origins::One { .. })))
        else {
            return Ok(Found::NoZone);
        };
        if !faults.is_empty() {
            return Ok(Found::Broken(faults, includes.take()));
        }
        let mut warnings: Vec<String> =
            split.iter().map(|line| format!("line {line}: a text of over 255 octets, split")).collect();
        // As BIND does: what lies outside is not loaded.
        records.retain(|record| {
            let inside = record.owner.is_at_or_below(&apex);
            if !inside {
                warnings.push(format!("line {}: {} is outside {apex}, left out", record.line, record.owner));
            }
            inside
        });
        match Zone::assemble(&apex, records.into_iter().map(Ok)) {
            Err(faults) => Ok(Found::Broken(faults, includes.take())),
            Ok(zone) => {
                let has = |rtype| zone.sets.iter().any(|set| set.owner == apex && set.key == SetKey::of(rtype));
                if let Some(rtype) = [RecordType::SOA, RecordType::NS].into_iter().find(|rtype| !has(*rtype)) {
                    let detail = format!("no {rtype} at {apex}, which a whole zone needs");
                    let fault = Fault { file: None, line: 1, column: 1, detail };
                    return Ok(Found::Broken(vec![fault], includes.take()));
                }
                warnings.extend(zone.warnings.iter().map(ToString::to_string));
                let includes = includes.take();
                Ok(Found::Zone(apex, Held { path: path.to_owned(), zone, includes }, warnings))
            }
        }
    }

    /// The octets of a file, links followed and gzip unpacked; `None` if it is too large.
    fn text(&mut self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let Some(blob) = self.files.get(&path) else { return Ok(Some(Vec::new())) };
            let octets = self.blobs.read(blob)?;
            if blob.link {
                path = joined(&path, &String::from_utf8_lossy(&octets));
                continue;
            }
            return unpacked(octets);
        }
        Ok(Some(Vec::new()))
    }

    /// The file that `$INCLUDE name` in `from` means: beside it, from the top, else the one whose path ends in most of
    /// the parts of `name`; of several the first. So a path of the machine that the zones were served from is found.
    fn included(&self, from: &str, name: &str) -> Option<String> {
        let exact = [joined(from, name), name.trim_start_matches("./").to_owned()];
        if let Some(path) = exact.into_iter().find(|path| self.files.contains_key(path)) {
            return Some(path);
        }
        let wanted: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").rev().collect();
        let common = |path: &str| path.rsplit('/').zip(&wanted).take_while(|(a, b)| a == *b).count();
        let found = self.files.keys().map(|path| (common(path), path)).filter(|(parts, _)| *parts > 0);
        found.max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1))).map(|(_, path)| path.clone())
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `name` as seen from the folder of the file `from`.
fn joined(from: &str, name: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn serial(zone: &Zone) -> u32 {
    zone.soa.as_ref().map_or(1, |soa| soa.serial.0)
}

/// Visits the sets that differ, before and after; the serial alone makes no difference.
pub(crate) fn compare<'a>(
    old: &'a [ZoneSet],
    new: &'a [ZoneSet],
    mut visit: impl FnMut(Option<&'a ZoneSet>, Option<&'a ZoneSet>),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => (&a.owner, a.key).cmp(&(&b.owner, b.key)),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let come = if order.is_ge() { new.next() } else { None };
        let is_same = match (gone, come) {
            (Some(gone), Some(come)) => decide::soa::same(come.key.rtype, Some(&gone.set), Some(&come.set)),
            _ => false,
        };
        if !is_same {
            visit(gone, come);
        }
    }
}

fn change(zone: &str, set: &ZoneSet, after: Option<&ZoneSet>) -> SetVersion {
    let rtype = set.key.rtype;
    SetVersion {
        zone: zone.to_owned(),
        name: set.owner.to_string(),
        rtype: rtype.to_string(),
        after: after.map(|set| SetJson {
            ttl: set.set.ttl().as_secs(),
            values: set.set.rdata().iter().map(|rdata| rdata.to_text(rtype)).collect(),
        }),
        covers: (rtype == RecordType::RRSIG).then(|| set.key.covered.to_string()),
    }
}
