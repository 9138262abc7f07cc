//! Segments: the files that the log is cut into, and what is known of each.
//!
//! `00000003-0000000000000411.seg` is segment 3, begun when the log's head was at revision 0x411. It is [`MAGIC`], a start
//! frame with the head at that moment, then chunks and batches. Once the next one is begun it never changes and is
//! packed: `00000003-0000000000000411.zst`. A name appears only when the file behind it is whole and durable.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use conn3ction_schemas::Revision;

use super::{
    disk::{Disk, DiskFile},
    frame::{self, Kind},
    stored,
};
use crate::Head;

/// What a segment begins with: the format's name and its version.
pub(super) const MAGIC: [u8; 8] = *b"c3seg\0\x01\0";

/// How a file that is not whole yet is called; such are removed when the log is opened.
pub(super) const UNFINISHED: &str = ".tmp";

/// One segment. Its number, its base and its name never change.
#[derive(Debug)]
pub(super) struct Segment {
    /// 0, 1, 2 …
    pub(super) number: u32,
    /// The head's revision when it was begun.
    pub(super) base: Revision,
    /// Whether it is to be found under its packed name.
    packed: AtomicBool,
    /// How far it is durable, in octets before packing; `u64::MAX` once nothing is added any more.
    end: AtomicU64,
    /// Revision before which, offset where: one entry for some dozens of events. `None` before it was first needed.
    index: Mutex<Option<Vec<(Revision, u64)>>>,
}

/// Events between two entries of an index: 10 million events take 2.5 MB of it.
const INDEX_EVERY: u64 = 64;

impl Segment {
    pub(super) fn new(number: u32, base: Revision, packed: bool) -> Self {
        Self { number, base, packed: packed.into(), end: u64::MAX.into(), index: Mutex::new(None) }
    }

    /// The name of the file that it is appended to, and that it has until it is packed.
    pub(super) fn plain_name(&self) -> String {
        format!("{:08x}-{:016x}.seg", self.number, self.base.0)
    }

    /// The name of the packed file.
    pub(super) fn packed_name(&self) -> String {
        format!("{:08x}-{:016x}.zst", self.number, self.base.0)
    }

    /// Reads a file's name; `None` if it is no segment.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (stem, kind) = name.split_once('.')?;
        let (number, base) = stem.split_once('-')?;
        let base = Revision(u64::from_str_radix(base, 16).ok()?);
        let segment = Self::new(u32::from_str_radix(number, 16).ok()?, base, kind == "zst");
        (name == segment.plain_name() || name == segment.packed_name()).then_some(segment)
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packed.load(Ordering::Acquire)
    }

    pub(super) fn set_packed(&self) {
        self.packed.store(true, Ordering::Release);
    }

    /// How far it may be read.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Begins the index, for the segment that is appended to or was just walked.
    pub(super) fn set_index(&self, index: Vec<(Revision, u64)>) {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(index);
    }

    /// Where to begin reading for the event after `after`; `None` if the segment was not walked yet.
    pub(super) fn find(&self, after: Revision) -> Option<u64> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let index = index.as_ref()?;
        let place = index.partition_point(|&(revision, _)| revision <= after);
        Some(place.checked_sub(1).map_or(0, |place| index[place].1))
    }

    /// Takes note that a batch after `before` begins at `offset`.
    pub(super) fn note(&self, before: Revision, offset: u64) {
        if let Some(index) = self.index.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            note(index, before, offset);
        }
    }
}

/// Adds an entry if the last one is far enough behind.
pub(super) fn note(index: &mut Vec<(Revision, u64)>, before: Revision, offset: u64) {
    if index.last().is_none_or(|&(revision, _)| before.0 >= revision.0 + INDEX_EVERY) {
        index.push((before, offset));
    }
}

/// Makes segment `number` after `head`, durable before its name appears. Gives the file and where the next frame goes.
pub(super) fn create(disk: &dyn Disk, number: u32, head: &Head) -> io::Result<(Segment, Box<dyn DiskFile>, u64)> {
    let segment = Segment::new(number, head.revision, false);
    let name = segment.plain_name();
    let unfinished = format!("{name}{UNFINISHED}");
    let mut octets = MAGIC.to_vec();
    let pushed = frame::push(&mut octets, Kind::Start, head.revision, |out| stored::encode_head(out, head));
    debug_assert!(pushed.is_some(), "a head is short");
    let end = octets.len() as u64;
    let file = disk.create(&unfinished)?;
    let made = file
        .write_at(&octets, 0)
        .and_then(|()| file.sync())
        .and_then(|()| disk.rename(&unfinished, &name))
        .and_then(|()| disk.sync_names());
    if let Err(error) = made {
        // Whatever is left of it is removed when the log is opened.
        let _ = disk.remove(&unfinished);
        return Err(error);
    }
    segment.set_end(end);
    segment.set_index(Vec::new());
    Ok((segment, file, end))
}
