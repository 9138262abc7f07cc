//! Walking the frames of one segment, plain or packed.

use std::io;

use bytes::Bytes;
use conn3ction_schemas::Revision;

use super::{
    disk::{Disk, DiskFile},
    frame::{FrameHead, HEAD_BYTES, Kind},
    pack::{BLOCK_BYTES, Packed},
    segment::{MAGIC, Segment},
    stored,
};
use crate::Head;

/// How much of a plain segment is read at once; longer payloads are read alone.
const WINDOW_BYTES: usize = 256 * 1024;

/// Why a frame could not be had.
#[derive(Debug)]
pub(super) enum Fault {
    /// The medium failed.
    Io(io::Error),
    /// The segment ends in the middle of the frame.
    Incomplete,
    /// The frame is not what was written.
    Damaged(String),
    /// A later version of this program wrote the segment.
    Newer(u16),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

/// The octets of a segment by their offset before packing.
enum Source {
    Plain(Box<dyn DiskFile>),
    Packed(Packed),
}

/// A cursor over the frames of one segment.
pub(super) struct Frames {
    source: Source,
    /// Where the next frame begins.
    offset: u64,
    /// Nothing is read from here on.
    end: u64,
    window: Bytes,
    window_at: u64,
    /// Payloads are mostly passed over: read little of a plain segment at once.
    pub(super) sparing: bool,
}

impl Frames {
    /// Opens `segment` and stands at its first octet.
    pub(super) fn open(disk: &dyn Disk, segment: &Segment) -> Result<Self, Fault> {
        let source = loop {
            if segment.is_packed() {
                break Source::Packed(Packed::open(disk.open(&segment.packed_name())?)?);
            }
            match disk.open(&segment.plain_name()) {
                Ok(file) => break Source::Plain(file),
                // It was packed just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound && segment.is_packed() => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(Fault::Damaged(format!("segment {} is missing", segment.plain_name())));
                }
                Err(error) => return Err(error.into()),
            }
        };
        // Asked before the length is: a segment that is being ended is cut first, and only then says that it has no end.
        let durable = segment.end();
        let there = match &source {
            Source::Plain(file) => file.len()?,
            Source::Packed(packed) => packed.len(),
        };
        let end = durable.min(there);
        Ok(Self { source, offset: 0, end, window: Bytes::new(), window_at: 0, sparing: false })
    }

    /// Whether it gains something to go on here later, and costs little until then. A packed segment does not grow.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self.source, Source::Packed(_)) && self.window.len() <= 4 * BLOCK_BYTES
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the segment ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Goes to a frame that is known to begin at `offset`.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Reads what every segment begins with: the head of the log when it was begun.
    pub(super) fn start(&mut self) -> Result<Head, Fault> {
        let magic = self.octets(0, MAGIC.len())?;
        if magic[..6] != MAGIC[..6] {
            return Err(Fault::Damaged("this is no segment of a ledger".into()));
        }
        if magic[6..] != MAGIC[6..] {
            return Err(Fault::Newer(u16::from_le_bytes([magic[6], magic[7]])));
        }
        self.offset = MAGIC.len() as u64;
        let frame = self.peek()?.ok_or(Fault::Incomplete)?;
        let payload = self.payload(&frame)?;
        match stored::decode_head(&payload) {
            Ok(head) if frame.kind == Kind::Start && head.revision == frame.revision => {
                self.pass(&frame);
                Ok(head)
            }
            Ok(_) => Err(Fault::Damaged("the segment does not begin with its start".into())),
            Err(error) => Err(Fault::Damaged(error.to_string())),
        }
    }

    /// The head of the next frame; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<FrameHead>, Fault> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let octets = self.octets(self.offset, HEAD_BYTES)?;
        match FrameHead::decode(&octets) {
            Some(frame) if frame.total_bytes() > self.end - self.offset => Err(Fault::Incomplete),
            Some(frame) => Ok(Some(frame)),
            None => Err(Fault::Damaged("the frame's head does not match its checksum".into())),
        }
    }

    /// The payload of the next frame, checked.
    pub(super) fn payload(&mut self, frame: &FrameHead) -> Result<Bytes, Fault> {
        // With its head, so that this stays in the window for whoever reads the frame once more.
        let padded = self.octets(self.offset, HEAD_BYTES + frame.padded_bytes())?.slice(HEAD_BYTES..);
        if !frame.fits(&padded) {
            return Err(Fault::Damaged(format!("the frame up to {} does not match its checksum", frame.revision)));
        }
        Ok(padded.slice(..frame.payload_bytes as usize))
    }

    /// The first bad event of the next frame, which is not what was written; `None` if it does not tell.
    pub(super) fn first_bad(&mut self, frame: &FrameHead) -> Option<Revision> {
        if frame.kind != Kind::Batch {
            return None;
        }
        let payload = self.octets(self.offset + HEAD_BYTES as u64, frame.payload_bytes as usize).ok()?;
        stored::first_bad(&payload, frame.revision)
    }

    /// Steps over the next frame.
    pub(super) fn pass(&mut self, frame: &FrameHead) {
        self.offset += frame.total_bytes();
    }

    /// Exactly these octets.
    pub(super) fn octets(&mut self, offset: u64, count: usize) -> Result<Bytes, Fault> {
        if offset + count as u64 > self.end {
            return Err(Fault::Incomplete);
        }
        let within = |start: u64, window: &Bytes| {
            let from = usize::try_from(offset.checked_sub(start)?).ok()?;
            let to = from.checked_add(count).filter(|&to| to <= window.len())?;
            Some(window.slice(from..to))
        };
        if let Some(octets) = within(self.window_at, &self.window) {
            return Ok(octets);
        }
        let (start, window) = match &mut self.source {
            Source::Plain(file) => {
                let at_once = if self.sparing { 4096 } else { WINDOW_BYTES };
                let wanted = count.max(at_once).min(usize::try_from(self.end - offset).unwrap_or(usize::MAX));
                let mut window = vec![0; wanted];
                let there = file.read_at(&mut window, offset)?;
                window.truncate(there);
                (offset, window)
            }
            // Only whole blocks are unpacked, and none twice: what is there of a frame that ends in the next one is kept.
            Source::Packed(packed) => {
                let from = offset.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
                let (start, kept) = match from.and_then(|from| self.window.get(from..)) {
                    Some(kept) => (offset, kept),
                    None => (offset - offset % BLOCK_BYTES as u64, &[][..]),
                };
                let wanted = (offset - start) as usize + count;
                (start, packed.read(kept, start + kept.len() as u64, wanted)?)
            }
        };
        (self.window_at, self.window) = (start, window.into());
        within(start, &self.window).ok_or(Fault::Incomplete)
    }
}

/// Walks all of a segment that does not change any more and gives its index.
pub(super) fn index(frames: &mut Frames) -> Result<Vec<(Revision, u64)>, Fault> {
    let mut index = Vec::new();
    let mut before = frames.start()?.revision;
    frames.sparing = true;
    while let Some(frame) = frames.peek()? {
        if frame.kind == Kind::Batch && frame.revision > before {
            super::segment::note(&mut index, before, frames.offset());
            before = frame.revision;
        }
        frames.pass(&frame);
    }
    frames.sparing = false;
    Ok(index)
}
