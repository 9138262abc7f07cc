//! The local copy on disk: zones, pages of record sets and the checkpoint in one sled tree, so that one batch moves all.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use conn3ction_dns::View;
use conn3ction_schemas::{Name, RecordSet, RecordType, Serial, SetKey, json::Record};

use super::{
    FORMAT,
    pages::{PageError, Pages},
};
use crate::{Checkpoint, Digest, EntryHash};

/// sled keeps several times this in memory.
const CACHE_OCTETS: u64 = 8 << 20;

/// Beside zones and pages, whose keys start with [`ZONE`] or [`SET`].
const CHECKPOINT: &[u8] = b"c";
const ZONE: u8 = b'z';
const SET: u8 = b's';

/// An open copy. The process that has it open is the only one.
#[derive(Debug)]
pub(super) struct Copy {
    tree: sled::Db,
}

/// Why a copy cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// It may be used later: another process has it, the disk is full or away.
    #[error("the records in {}", .0.display())]
    Unavailable(PathBuf, #[source] sled::Error),
    /// What is there is not what was written: it is dropped and made again.
    #[error("the records in {} are damaged: {detail}", .directory.display())]
    Damaged { directory: PathBuf, detail: String },
}

/// Entries to put and to take away.
#[derive(Debug, Default)]
pub(super) struct Batch(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Batch {
    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts `new` in the place of `old` and moves `digest` along.
    pub(super) fn replace(&mut self, digest: &mut Digest, key: Vec<u8>, old: Option<Vec<u8>>, new: Option<Vec<u8>>) {
        if let Some(old) = old {
            digest.remove(EntryHash::of_pair(&key, &old));
        }
        if let Some(new) = &new {
            digest.add(EntryHash::of_pair(&key, new));
        }
        self.0.insert(key, new);
    }
}

impl Copy {
    /// Opens what is in `directory`, or begins there, and reads all of it: a copy whose entries do not make up the digest
    /// beside them is damaged. Blocks.
    pub(super) fn open(directory: &Path) -> Result<(Self, Checkpoint), CopyError> {
        let damaged = |text: String| damage(directory, text);
        // sled panics on some kinds of damage.
        let opened = std::panic::catch_unwind(|| {
            let tree = sled::Config::new().path(directory).cache_capacity(CACHE_OCTETS).open();
            let copy = Self { tree: tree.map_err(|error| fault(directory, error))? };
            let checkpoint = copy.checkpoint(directory)?;
            let digest = copy.digest(directory)?;
            Ok((copy, checkpoint, digest))
        });
        let (copy, checkpoint, digest) = opened.unwrap_or_else(|_| Err(damaged("it cannot be opened".into())))?;
        if digest != checkpoint.digest {
            return Err(damaged(format!("the digest is {digest}, not {}", checkpoint.digest)));
        }
        Ok((copy, checkpoint))
    }

    /// Where the copy says that it stands.
    pub(super) fn checkpoint(&self, directory: &Path) -> Result<Checkpoint, CopyError> {
        let damaged = |text: String| damage(directory, text);
        let Some(stored) = self.tree.get(CHECKPOINT).map_err(|error| fault(directory, error))? else {
            return Ok(Checkpoint::start(FORMAT));
        };
        let checkpoint: Checkpoint = serde_json::from_slice(&stored).map_err(|error| damaged(error.to_string()))?;
        match checkpoint.format {
            FORMAT => Ok(checkpoint),
            other => Err(damaged(format!("it has the form {other}, not {FORMAT}"))),
        }
    }

    /// The digest of the entries as they are. Blocks.
    pub(super) fn digest(&self, directory: &Path) -> Result<Digest, CopyError> {
        let mut digest = Digest::default();
        for entry in self.tree.scan_prefix([ZONE]) {
            let (key, value) = entry.map_err(|error| fault(directory, error))?;
            digest.add(EntryHash::of_pair(&key, &value));
        }
        let mut add = |key: &[u8], value: &[u8]| digest.add(EntryHash::of_pair(key, value));
        self.pages().each(&[SET], &mut add).map_err(|error| page_fault(directory, error))?;
        Ok(digest)
    }

    /// Writes `batch` and moves the checkpoint, at once or not at all. Blocks.
    pub(super) fn write(&self, directory: &Path, batch: Batch, checkpoint: &Checkpoint) -> Result<(), CopyError> {
        let mut writes = sled::Batch::default();
        let mut sets = batch.0;
        for (key, value) in sets.split_off(&[ZONE][..]) {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        self.pages().change(sets, &mut writes).map_err(|error| page_fault(directory, error))?;
        writes.insert(CHECKPOINT, checkpoint.to_json().into_bytes());
        self.tree.apply_batch(writes).map_err(|error| fault(directory, error))
    }

    /// Writes out what the last batches left in memory. Blocks.
    pub(super) fn flush(&self, directory: &Path) -> Result<(), CopyError> {
        self.tree.flush().map(drop).map_err(|error| fault(directory, error))
    }

    /// Calls `each` with every record set in the order of zones, owners and types. A SOA shows its zone's serial. Blocks.
    pub(super) fn records(&self, directory: &Path, each: &mut dyn FnMut(&str, Record)) -> Result<(), CopyError> {
        let damaged = |text: &str| damage(directory, text.to_owned());
        for entry in self.tree.scan_prefix([ZONE]) {
            let (key, value) = entry.map_err(|error| fault(directory, error))?;
            let (Some(zone), Some((serial, apex))) = (key.get(1..), value.split_first_chunk()) else {
                return Err(damaged("a zone without its serial"));
            };
            let serial = Serial(u32::from_be_bytes(*serial));
            let apex = std::str::from_utf8(apex).map_err(|_| damaged("a zone's name"))?;
            let mut read = Ok(());
            let mut show = |_: &[u8], value: &[u8]| match serde_json::from_slice::<Record>(value) {
                Ok(mut record) => {
                    if record.rtype == "SOA" {
                        record.values.iter_mut().for_each(|value| *value = with_serial(value, serial));
                    }
                    each(apex, record);
                }
                Err(_) => read = Err(damaged("a record")),
            };
            let walked = self.pages().each(&[&[SET], zone].concat(), &mut show);
            walked.map_err(|error| page_fault(directory, error))?;
            read?;
        }
        Ok(())
    }

    fn pages(&self) -> Pages<'_> {
        Pages { tree: &self.tree, prefix: SET }
    }
}

/// A SOA's text with another serial, its third field (RFC 1035 section 3.3.13). Spaces in names are escaped.
fn with_serial(soa: &str, serial: Serial) -> String {
    let serial = serial.0.to_string();
    let mut fields: Vec<&str> = soa.split(' ').collect();
    if let Some(field) = fields.get_mut(2) {
        *field = &serial;
    }
    fields.join(" ")
}

pub(super) fn damage(directory: &Path, detail: String) -> CopyError {
    CopyError::Damaged { directory: directory.to_owned(), detail }
}

fn page_fault(directory: &Path, error: PageError) -> CopyError {
    match error {
        PageError::Sled(error) => fault(directory, error),
        PageError::Damaged => damage(directory, "a page of records".into()),
    }
}

fn fault(directory: &Path, error: sled::Error) -> CopyError {
    match error {
        // A file that is cut short or is no longer one of sled's reads as one of these.
        sled::Error::Io(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
                || error.to_string().contains("corrupt") =>
        {
            damage(directory, error.to_string())
        }
        error @ sled::Error::Io(_) => CopyError::Unavailable(directory.to_owned(), error),
        error @ (sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. }) => damage(directory, error.to_string()),
    }
}

/// The entry of a living zone: its serial, big-endian, and its name.
pub(super) fn zone_entry(zone: &Name, serial: Serial) -> (Vec<u8>, Vec<u8>) {
    let mut key = vec![ZONE];
    push(&mut key, zone);
    (key, [&serial.0.to_be_bytes(), zone.without_dot().as_bytes()].concat())
}

/// The key of a record set, in the canonical order of zones and owners (RFC 4034 section 6.1).
pub(super) fn set_key(zone: &Name, owner: &Name, key: SetKey) -> Vec<u8> {
    // Without zero octets in labels it is at most this long.
    let mut octets = Vec::with_capacity(16 + 2 * (zone.as_wire().len() + owner.as_wire().len()));
    octets.push(SET);
    push(&mut octets, zone);
    push(&mut octets, owner);
    octets.extend_from_slice(&key.rtype.0.to_be_bytes());
    octets.extend_from_slice(&key.covered.0.to_be_bytes());
    octets
}

/// A record set as JSON. The serial inside a SOA is 0: the zone's own entry carries it.
pub(super) fn set_value(owner: &Name, key: SetKey, set: &RecordSet) -> Vec<u8> {
    let mut record = Record::new(owner, key, set);
    if key.rtype == RecordType::SOA {
        record.values.iter_mut().for_each(|value| *value = with_serial(value, Serial(0)));
    }
    serde_json::to_vec(&record).unwrap_or_else(|_| unreachable!("a record is plain text"))
}

/// The digest of a copy of `content`.
pub(super) fn digest_of(content: &View) -> Digest {
    let mut digest = Digest::default();
    for zone in content.zones() {
        let (key, value) = zone_entry(zone.apex(), zone.serial());
        digest.add(EntryHash::of_pair(&key, &value));
        for owner in zone.owners() {
            let name = owner.name();
            for set in owner.sets() {
                let key = set_key(zone.apex(), &name, set.key());
                digest.add(EntryHash::of_pair(&key, &set_value(&name, set.key(), &set.to_record_set())));
            }
        }
    }
    digest
}

/// The labels from the root down, each ended by two zero octets, and two more at the name's end; a zero octet in a label
/// is followed by a one. So no name's octets start another's, and they sort as names do.
fn push(octets: &mut Vec<u8>, name: &Name) {
    let labels: Vec<&[u8]> = name.labels().collect();
    for label in labels.iter().rev() {
        for &octet in *label {
            octets.push(octet);
            if octet == 0 {
                octets.push(1);
            }
        }
        octets.extend_from_slice(&[0, 0]);
    }
    octets.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_rfc_4034_section_6_1_says_and_none_starts_another() {
        let names = ["example.", "a.example.", "z.a.example.", "\\000.z.example.", "z.z.example.", "\\200.example."];
        let octets = names.map(|name| {
            let mut octets = Vec::new();
            push(&mut octets, &name.parse().expect("a name"));
            octets
        });
        assert!(octets.is_sorted(), "{octets:?}");
        for (one, other) in octets.iter().zip(octets.iter().skip(1)) {
            assert!(!other.starts_with(one));
        }
    }

    #[test]
    fn a_soa_shows_the_zones_serial() {
        assert_eq!(with_serial("a.b. c\\032d. 1 2 3 4 5", Serial(9)), "a.b. c\\032d. 9 2 3 4 5");
    }
}
