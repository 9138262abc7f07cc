//! The past in a file: everything up to one version, sealed, mapped, and read by the same lookup as what is in memory.
//!
//! A restart opens the file and folds only what came after; what is in it takes no memory but the system's cache. All
//! numbers are big-endian.
//!
//! ```text
//! for each zone
//!   for each name in canonical order
//!     for each state, the oldest first
//!       the records of each set that are not there yet for this name, ready for the wire
//!       changed u64 | facts u8 | sets u16 | for each set: type u16, covered u16, length u32, since u64, place of records u64
//!     states u32 | owner length u8 | owner | for each state: since u64, place u64
//!   names         for each: place u64
//!   index         a power of two of u64: hash << 32 | number + 1, open addressing, 0 is empty
//!   children      for each name: u32, existing names right below; the high bit: had an NSEC3 set
//!   nsec3         u32, the numbers of those
//!   lives, ticks  rows of version u64 and three u64 more
//! attachment      the caller's
//! directory       for each zone: apex length u8, apex, 18 u64 (`Section`)
//! footer          zones u64 | directory u64 | attachment u64 | its length u64 | version u64 | seed u64 | CRC-32 u32 | magic
//! ```

mod map;
mod write;

use std::{fs::File, io, path::Path, sync::Arc};

use conn3ction_schemas::Name;

use super::{
    Version,
    node::{Facts, SEALED_ENTRY, State},
    segments,
    zone::Depths,
};

/// The last octets of a file, its form with them.
const MAGIC: [u8; 8] = *b"C3SEAL\0\x01";
const FOOTER: usize = 6 * 8 + 4 + MAGIC.len();
/// Octets of a row of a [`Column`].
const ROW: usize = 32;

/// A sealed file.
pub struct Sealed {
    octets: memmap2::Mmap,
    footer: Footer,
}

#[derive(Debug, Clone, Copy)]
struct Footer {
    zones: u64,
    directory: u64,
    attachment: (u64, u64),
    version: u64,
    seed: u64,
}

/// Why a sealed file cannot be used. Nothing is lost with it: it can be made again from the ledger.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It cannot be read or written.
    #[error("the sealed states: {0}")]
    Io(#[from] io::Error),
    /// It is not whole, or not of a form that this build knows.
    #[error("the sealed states are damaged or of another form: {0}")]
    Damaged(&'static str),
}

/// A value with its version in a row of four numbers.
pub(super) trait Row: Copy {
    fn read(row: [u64; 3]) -> Self;
    fn row(&self) -> [u64; 3];
}

/// Rows in a sealed file.
#[derive(Debug, Clone)]
pub(super) struct Column {
    file: Arc<Sealed>,
    at: usize,
    len: u32,
}

/// Where the parts of a zone are.
#[derive(Debug, Clone, Copy, Default)]
struct Section {
    names: (u64, u64),
    index: (u64, u64),
    children: u64,
    nsec3: (u64, u64),
    lives: (u64, u64),
    ticks: (u64, u64),
    depths: [[u64; 2]; 3],
    states: u64,
}

/// A zone's names and their states in a sealed file. A name's number is its place in canonical order.
#[derive(Debug)]
pub(super) struct SealedZone {
    file: Arc<Sealed>,
    section: Section,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} octets up to {})", self.octets.len(), self.footer.version)
    }
}

impl Sealed {
    /// Opens the file at `path` and reads it once to see that it is whole.
    ///
    /// # Errors
    ///
    /// [`SealError`]; no file is [`io::ErrorKind::NotFound`].
    pub fn open(path: &Path) -> Result<Arc<Self>, SealError> {
        let octets = map::map(&File::open(path)?)?;
        let damaged = SealError::Damaged;
        let start = octets.len().checked_sub(FOOTER).ok_or(damaged("too short"))?;
        let (body, footer) = octets.split_at(start);
        if !footer.ends_with(&MAGIC) {
            return Err(damaged("another form"));
        }
        let crc = be32(footer, FOOTER - MAGIC.len() - 4).unwrap_or_default();
        let mut sum = crc32fast::Hasher::new();
        sum.update(body);
        sum.update(&footer[..FOOTER - MAGIC.len() - 4]);
        if sum.finalize() != crc {
            return Err(damaged("its checksum differs"));
        }
        let number = |place: usize| be64(footer, place * 8).unwrap_or_default();
        let footer = Footer {
            zones: number(0),
            directory: number(1),
            attachment: (number(2), number(3)),
            version: number(4),
            seed: number(5),
        };
        Ok(Arc::new(Self { octets, footer }))
    }

    /// The version up to which everything is in it.
    pub fn version(&self) -> Version {
        Version(self.footer.version)
    }

    /// What the caller put beside the zones.
    pub fn attachment(&self) -> &[u8] {
        let (at, len) = self.footer.attachment;
        self.slice(at, len)
    }

    /// How many states of names are in it.
    pub fn states(self: &Arc<Self>) -> u64 {
        self.zones().map(|(_, zone)| zone.section.states).sum()
    }

    /// The zones in canonical order.
    pub(super) fn zones(self: &Arc<Self>) -> impl Iterator<Item = (Name, SealedZone)> {
        let file = self.clone();
        let mut at = self.footer.directory as usize;
        let sections = (0..self.footer.zones).map_while(move |_| {
            let len = usize::from(*file.octets.get(at)?);
            let apex = Name::from_wire(file.octets.get(at + 1..at + 1 + len)?).ok()?;
            at += 1 + len;
            let section = Section::read(file.octets.get(at..at + Section::LEN)?)?;
            at += Section::LEN;
            Some((apex, SealedZone { file: file.clone(), section }))
        });
        // Made before any zone is used: a directory that cannot be read shows no zone instead of some.
        let sections: Vec<_> = sections.collect();
        let whole = sections.len() as u64 == self.footer.zones;
        sections.into_iter().filter(move |_| whole)
    }

    fn slice(&self, at: u64, len: u64) -> &[u8] {
        let at = at as usize;
        self.octets.get(at..at.saturating_add(len as usize)).unwrap_or_default()
    }
}

impl Section {
    const LEN: usize = 18 * 8;

    fn numbers(&self) -> [u64; Self::LEN / 8] {
        let [[a, b], [c, d], [e, f]] = self.depths;
        let (names, index, nsec3, lives, ticks) = (self.names, self.index, self.nsec3, self.lives, self.ticks);
        [
            names.0,
            names.1,
            index.0,
            index.1,
            self.children,
            nsec3.0,
            nsec3.1,
            lives.0,
            lives.1,
            ticks.0,
            ticks.1,
            a,
            b,
            c,
            d,
            e,
            f,
            self.states,
        ]
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let n = |place: usize| be64(octets, place * 8);
        let pair = |place: usize| Some((n(place)?, n(place + 1)?));
        Some(Self {
            names: pair(0)?,
            index: pair(2)?,
            children: n(4)?,
            nsec3: pair(5)?,
            lives: pair(7)?,
            ticks: pair(9)?,
            depths: [[n(11)?, n(12)?], [n(13)?, n(14)?], [n(15)?, n(16)?]],
            states: n(17)?,
        })
    }
}

impl Column {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn row<T: Row>(&self, place: u32) -> Option<(Version, T)> {
        let at = self.at + place as usize * ROW;
        let number = |place: usize| be64(&self.file.octets, at + place * 8);
        Some((Version(number(0)?), T::read([number(1)?, number(2)?, number(3)?])))
    }
}

impl SealedZone {
    /// How many names.
    pub(super) fn len(&self) -> u32 {
        self.section.names.1 as u32
    }

    pub(super) fn lives(&self) -> Column {
        self.column(self.section.lives)
    }

    pub(super) fn ticks(&self) -> Column {
        self.column(self.section.ticks)
    }

    fn column(&self, (at, len): (u64, u64)) -> Column {
        Column { file: self.file.clone(), at: at as usize, len: len as u32 }
    }

    /// Where names, cuts and DNAMEs ever stood.
    pub(super) fn depths(&self) -> [Depths; 3] {
        self.section.depths.map(Depths::of)
    }

    /// How many existing names are right below name `number`, and in the high bit whether that ever had an NSEC3 set.
    pub(super) fn children(&self, number: u32) -> Option<u32> {
        let here = u64::from(number) < self.section.names.1;
        here.then(|| be32(&self.file.octets, self.section.children as usize + number as usize * 4)).flatten()
    }

    /// The names that ever had an NSEC3 set, in canonical order.
    pub(super) fn nsec3(&self) -> impl Iterator<Item = u32> {
        let (at, len) = self.section.nsec3;
        self.numbers(at, len)
    }

    fn numbers(&self, at: u64, len: u64) -> impl Iterator<Item = u32> {
        self.file.slice(at, len * 4).chunks_exact(4).map(|octets| be32(octets, 0).unwrap_or_default())
    }

    /// The number of `owner`.
    pub(super) fn find(&self, owner: &[u8]) -> Option<u32> {
        let (at, words) = self.section.index;
        let hash = hash(self.file.footer.seed, owner);
        let mask = words.checked_sub(1)?;
        let mut place = u64::from(hash) & mask;
        loop {
            let word = be64(&self.file.octets, (at + place * 8) as usize)?;
            if word == 0 {
                return None;
            }
            let number = (word as u32).wrapping_sub(1);
            if (word >> 32) as u32 == hash && self.owner(number) == Some(owner) {
                return Some(number);
            }
            place = (place + 1) & mask;
        }
    }

    /// The labels of name `number` below the apex; `None` for a name that came later.
    pub(super) fn owner(&self, number: u32) -> Option<&[u8]> {
        Some(self.name(number)?.owner)
    }

    /// The last state of name `number`.
    pub(super) fn newest(&self, number: u32) -> Option<State<'_>> {
        let name = self.name(number)?;
        self.state(&name, name.states.checked_sub(1)?)
    }

    /// The state of name `number` that held at `version`.
    pub(super) fn at(&self, number: u32, version: Version) -> Option<State<'_>> {
        let name = self.name(number)?;
        let entry = |place: u32| Some((Version(self.place(&name, place)?.0), place));
        let (_, place) = segments::last(name.states, entry, |since, _| since <= version)?;
        self.state(&name, place)
    }

    fn name(&self, number: u32) -> Option<NameRecord<'_>> {
        if number >= self.len() {
            return None;
        }
        let octets = &*self.file.octets;
        let at = be64(octets, self.section.names.0 as usize + number as usize * 8)? as usize;
        let (states, len) = (be32(octets, at)?, usize::from(*octets.get(at + 4)?));
        let owner = octets.get(at + 5..at + 5 + len)?;
        Some(NameRecord { owner, states, table: at + 5 + len })
    }

    /// Since when the state at `place` in a name's table holds, and where it is.
    fn place(&self, name: &NameRecord<'_>, place: u32) -> Option<(u64, usize)> {
        let at = name.table + place as usize * 16;
        Some((be64(&self.file.octets, at)?, be64(&self.file.octets, at + 8)? as usize))
    }

    fn state<'z>(&'z self, name: &NameRecord<'z>, place: u32) -> Option<State<'z>> {
        let file = &*self.file.octets;
        let (since, at) = self.place(name, place)?;
        let (changed, facts, high, low) =
            (be64(file, at)?, *file.get(at + 8)?, *file.get(at + 9)?, *file.get(at + 10)?);
        let sets = usize::from(u16::from_be_bytes([high, low]));
        let directory = file.get(at + 11..at + 11 + sets * SEALED_ENTRY)?;
        Some(State::placed((Version(since), Version(changed), Facts(facts)), name.owner, directory, file))
    }
}

struct NameRecord<'a> {
    owner: &'a [u8],
    states: u32,
    /// Where the table of its states is.
    table: usize,
}

/// 32 well mixed bits of FNV-1a, whose form never changes; keyed, for names come from strangers.
fn hash(seed: u64, octets: &[u8]) -> u32 {
    let mixed = octets.iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 32) as u32
}

fn be64(octets: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(octets.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn be32(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(octets.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
