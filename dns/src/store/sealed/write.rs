//! Seals a store's states up to one version into a file.

use std::{
    fs::File,
    hash::BuildHasher,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{FOOTER, MAGIC, Row, Section, hash};
use crate::store::{
    Store, Version, Zones, labels,
    node::{self, Facts, State},
    writer::NameNotes,
    zone::Zone,
};

impl Store {
    /// Writes everything up to `version`, which must be published, into a sealed file at `path`, with what the
    /// caller attaches. Readers and the writer go on meanwhile. The file takes its name when it is whole and on disk.
    ///
    /// # Errors
    ///
    /// The system's; what was at `path` before is still there.
    pub fn seal(
        &self,
        version: Version,
        path: &Path,
        attach: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let aside = path.with_extension("unfinished");
        let mut out =
            Out { file: BufWriter::with_capacity(1 << 20, File::create(&aside)?), at: 0, crc: Default::default() };
        write(&self.zones.load_full(), version.min(self.published()), attach, &mut out)?;
        let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// A file that knows where it is and what was written.
struct Out {
    file: BufWriter<File>,
    at: u64,
    crc: crc32fast::Hasher,
}

impl Out {
    /// Where `octets` start.
    fn put(&mut self, octets: &[u8]) -> io::Result<u64> {
        self.crc.update(octets);
        self.file.write_all(octets)?;
        let at = self.at;
        self.at += octets.len() as u64;
        Ok(at)
    }

    fn put_all<const N: usize>(&mut self, numbers: impl Iterator<Item = [u8; N]>) -> io::Result<(u64, u64)> {
        let (at, mut len) = (self.at, 0);
        for number in numbers {
            self.put(&number)?;
            len += 1;
        }
        Ok((at, len))
    }
}

impl Write for Out {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.put(octets).map(|_| octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn write(
    zones: &Zones,
    version: Version,
    attach: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    out: &mut Out,
) -> io::Result<()> {
    // Random as the seeds of the process's own tables are.
    let seed = foldhash::quality::RandomState::default().hash_one(version.0);
    let mut directory = Vec::new();
    let mut count = 0u64;
    for number in zones.order.load_full().iter_from(&mut |_| std::cmp::Ordering::Greater) {
        let Some(zone) = zones.get(number).filter(|zone| zone.ticks.at(version).is_some()) else { continue };
        let section = write_zone(zone, version, seed, out)?;
        directory.push(zone.apex.as_wire().len() as u8);
        directory.extend_from_slice(zone.apex.as_wire());
        directory.extend(section.numbers().iter().flat_map(|number| number.to_be_bytes()));
        count += 1;
    }
    let attached = out.at;
    attach(out)?;
    let attached_len = out.at - attached;
    let directory = out.put(&directory)?;
    let numbers = [count, directory, attached, attached_len, version.0, seed];
    let (footer, _) = out.put_all(numbers.into_iter().map(u64::to_be_bytes))?;
    let crc = out.crc.clone().finalize();
    out.put(&crc.to_be_bytes())?;
    out.put(&MAGIC)?;
    debug_assert_eq!(out.at - footer, FOOTER as u64);
    Ok(())
}

fn write_zone(zone: &Zone, version: Version, seed: u64, out: &mut Out) -> io::Result<Section> {
    let born = zone.lives.at(version).and_then(|(_, life)| life).map(|life| life.since);
    let (mut names, mut hashes, mut children, mut nsec3) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The names that the present one is below, each with its number.
    let mut above: Vec<(Vec<u8>, usize)> = Vec::new();
    let mut written = Name::default();
    let mut states = 0;
    for number in zone.order.load_full().iter_from(&mut |_| std::cmp::Ordering::Greater) {
        let newest = zone.newest(number).and_then(|newest| zone.at(number, newest, version));
        let Some(newest) = newest else { continue };
        let owner = newest.state().owner().to_vec();
        let exists = born.is_some_and(|born| newest.state().since >= born) && newest.state().facts.exists();
        let place = names.len();
        while above.last().is_some_and(|(other, _)| !labels::is_at_or_below(&owner, other)) {
            above.pop();
        }
        let parent = labels::parent(&owner);
        if let Some((_, parent)) = above.last().filter(|(other, _)| exists && parent == Some(other)) {
            children[*parent] += 1;
        }
        written.clear();
        let mut held = Some(newest);
        while let Some(state) = held {
            written.states.push(state.state().since);
            held = state.state().since.0.checked_sub(1).and_then(|before| {
                let newest = zone.newest(number)?;
                zone.at(number, newest, Version(before))
            });
        }
        written.states.reverse();
        states += written.states.len() as u64;
        let mut had_nsec3 = false;
        for at in 0..written.states.len() {
            let newest = zone.newest(number);
            let Some(held) = newest.and_then(|newest| zone.at(number, newest, written.states[at])) else { continue };
            had_nsec3 |= held.state().facts.has(Facts::NSEC3);
            written.put_state(&held.state(), out)?;
        }
        names.push(written.put(&owner, out)?);
        hashes.push(hash(seed, &owner));
        children.push(if had_nsec3 { NameNotes::IN_NSEC3 } else { 0 });
        if had_nsec3 {
            nsec3.push(place as u32);
        }
        above.push((owner, place));
    }
    let [names_at, cuts_at, dnames_at] = [&zone.names_at, &zone.cuts_at, &zone.dnames_at].map(|depths| depths.words());
    Ok(Section {
        names: out.put_all(names.iter().map(|at| at.to_be_bytes()))?,
        index: out.put_all(index(&hashes).into_iter().map(u64::to_be_bytes))?,
        children: out.put_all(children.into_iter().map(u32::to_be_bytes))?.0,
        nsec3: out.put_all(nsec3.into_iter().map(u32::to_be_bytes))?,
        lives: put_rows(zone.lives.iter(), version, out)?,
        ticks: put_rows(zone.ticks.iter(), version, out)?,
        depths: [names_at, cuts_at, dnames_at],
        states,
    })
}

/// What was written of one name.
#[derive(Default)]
struct Name {
    /// Since when each of its states holds.
    states: Vec<Version>,
    places: Vec<u64>,
    /// Records that are in the file already.
    records: Vec<(Vec<u8>, u64)>,
    octets: Vec<u8>,
}

/// Equal records of one name are found among this many.
const REMEMBERED: usize = 16;

impl Name {
    fn clear(&mut self) {
        self.states.clear();
        self.places.clear();
        self.records.clear();
    }

    fn put_state(&mut self, state: &State<'_>, out: &mut Out) -> io::Result<()> {
        self.octets.clear();
        self.octets.extend_from_slice(&state.changed.0.to_be_bytes());
        self.octets.push(state.facts.0);
        self.octets.extend_from_slice(&(state.sets().count() as u16).to_be_bytes());
        for set in state.sets() {
            let known = self.records.iter().find(|(records, _)| records == set.records).map(|(_, at)| *at);
            let at = match known {
                Some(at) => at,
                None => {
                    let at = out.put(set.records)?;
                    if self.records.len() == REMEMBERED {
                        self.records.remove(0);
                    }
                    self.records.push((set.records.to_vec(), at));
                    at
                }
            };
            node::entry(&mut self.octets, set.key, set.records.len(), set.since);
            self.octets.extend_from_slice(&at.to_be_bytes());
        }
        self.places.push(out.put(&self.octets)?);
        Ok(())
    }

    /// Where the name is.
    fn put(&mut self, owner: &[u8], out: &mut Out) -> io::Result<u64> {
        self.octets.clear();
        self.octets.extend_from_slice(&(self.states.len() as u32).to_be_bytes());
        self.octets.push(owner.len() as u8);
        self.octets.extend_from_slice(owner);
        for (since, at) in self.states.iter().zip(&self.places) {
            self.octets.extend_from_slice(&since.0.to_be_bytes());
            self.octets.extend_from_slice(&at.to_be_bytes());
        }
        out.put(&self.octets)
    }
}

/// At most two thirds full, so that a probe ends soon.
fn index(hashes: &[u32]) -> Vec<u64> {
    let mut words = vec![0; (hashes.len() * 3 / 2 + 1).next_power_of_two()];
    let mask = words.len() - 1;
    for (number, hash) in (1u64..).zip(hashes) {
        let mut at = *hash as usize & mask;
        while words[at] != 0 {
            at = (at + 1) & mask;
        }
        words[at] = u64::from(*hash) << 32 | number;
    }
    words
}

fn put_rows<T: Row>(
    rows: impl Iterator<Item = (Version, T)>,
    version: Version,
    out: &mut Out,
) -> io::Result<(u64, u64)> {
    let rows = rows.take_while(|(since, _)| *since <= version).map(|(since, value)| {
        let [a, b, c] = value.row();
        let mut row = [0; super::ROW];
        for (place, number) in row.chunks_exact_mut(8).zip([since.0, a, b, c]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        row
    });
    out.put_all(rows)
}
