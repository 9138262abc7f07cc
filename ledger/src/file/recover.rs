//! Opening a directory: which segments there are, where the log ends, and what a crash left behind its end.

use std::{collections::BTreeMap, io, sync::Arc};

use conn3ction_schemas::Revision;

use super::{
    OpenError,
    disk::{Disk, DiskFile},
    frame::{FrameHead, HEAD_BYTES, Kind},
    frames::{Fault, Frames},
    segment::{self, Segment, UNFINISHED},
    stored,
};
use crate::Head;

/// Sectors reach the disk or do not, each on its own.
const SECTOR_BYTES: u64 = 512;

/// A log that can be appended to.
pub(super) struct Opened {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) head: Head,
    /// The last segment's file.
    pub(super) file: Box<dyn DiskFile>,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// What a crash left there of a write that nobody was told of, in octets.
    pub(super) torn_bytes: u64,
}

/// Opens the log, and removes what a crash left behind if the disk may be changed.
pub(super) fn open(disk: &dyn Disk) -> Result<Opened, OpenError> {
    let mut segments: Vec<Arc<Segment>> = list(disk)?.into_values().map(Arc::new).collect();
    let Some(last) = segments.last() else {
        if disk.is_read_only() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no segment of a ledger").into());
        }
        let (first, file, end) = segment::create(disk, 0, &Head::EMPTY)?;
        segments.push(Arc::new(first));
        return Ok(Opened { segments, head: Head::EMPTY, file, end, torn_bytes: 0 });
    };
    // Only what has a successor is packed, and every name is durable before the next one appears.
    if last.is_packed() {
        return Err(damaged(last, last.base.next(), "the segment after it is missing".into()));
    }
    let Walked { head, end, torn_bytes, index } = walk(disk, last)?;
    let file = disk.open(&last.plain_name())?;
    last.set_end(end);
    last.set_index(index);
    if disk.is_read_only() {
        return Ok(Opened { head, file, end, segments, torn_bytes });
    }
    if torn_bytes > 0 {
        tracing::warn!(
            segment = last.plain_name(),
            revision = head.revision.0,
            cut_bytes = torn_bytes,
            "cut off a write that a crash left unfinished"
        );
    }
    if file.len()? > end {
        file.set_len(end)?;
    }
    // What was read may be in the page cache only; nobody shall see it before it is durable.
    file.sync()?;
    Ok(Opened { head, file, end, segments, torn_bytes })
}

fn remove(disk: &dyn Disk, name: &str) -> io::Result<()> {
    if disk.is_read_only() { Ok(()) } else { disk.remove(name) }
}

/// The segments in their order, after removing what was not finished or is there twice.
fn list(disk: &dyn Disk) -> Result<BTreeMap<u32, Segment>, OpenError> {
    let mut segments: BTreeMap<u32, Segment> = BTreeMap::new();
    for name in disk.list()? {
        if name.ends_with(UNFINISHED) {
            remove(disk, &name)?;
            continue;
        }
        let Some(segment) = Segment::parse(&name) else { continue };
        match segments.get(&segment.number) {
            Some(other) if other.base != segment.base => {
                return Err(damaged(other, other.base.min(segment.base).next(), "two segments have its number".into()));
            }
            // The packed one appeared when it was whole; the plain one was about to be removed.
            Some(other) => {
                remove(disk, &other.plain_name())?;
                segments.insert(segment.number, Segment::new(segment.number, segment.base, true));
            }
            None => {
                segments.insert(segment.number, segment);
            }
        }
    }
    let mut missing = Revision(1);
    for (expected, segment) in segments.values().enumerate() {
        if segment.number as usize != expected {
            return Err(damaged(segment, missing, "a segment before it is missing".into()));
        }
        missing = segment.base.next();
    }
    Ok(segments)
}

/// What the last segment holds.
struct Walked {
    head: Head,
    /// Where its last whole frame ends.
    end: u64,
    /// What stands behind that, but for the room that was made for more.
    torn_bytes: u64,
    index: Vec<(Revision, u64)>,
}

fn walk(disk: &dyn Disk, last: &Segment) -> Result<Walked, OpenError> {
    let mut frames = Frames::open(disk, last).map_err(|fault| refuse(last, last.base, fault))?;
    let mut head = frames.start().map_err(|fault| refuse(last, last.base, fault))?;
    if head.revision != last.base {
        return Err(damaged(last, last.base.next(), "its name does not say where it begins".into()));
    }
    let (mut index, mut torn_bytes) = (Vec::new(), 0);
    loop {
        let (frame, fault) = match frames.peek() {
            Ok(None) => break,
            Ok(Some(frame)) => match step(&mut frames, &frame, &mut head, &mut index) {
                Ok(()) => continue,
                Err(fault) => (Some(frame), fault),
            },
            Err(fault) => (None, fault),
        };
        let torn = torn_bytes_of(&mut frames, frame, &fault).map_err(|fault| refuse(last, head.revision, fault))?;
        let bad = frame.filter(|_| torn.is_none()).and_then(|frame| frames.first_bad(&frame));
        let before = bad.map_or(head.revision, |bad| Revision(bad.0 - 1));
        torn_bytes = torn.ok_or_else(|| refuse(last, before, fault))?;
        break;
    }
    Ok(Walked { head, end: frames.offset(), torn_bytes, index })
}

fn step(
    frames: &mut Frames,
    frame: &FrameHead,
    head: &mut Head,
    index: &mut Vec<(Revision, u64)>,
) -> Result<(), Fault> {
    let payload = frames.payload(frame)?;
    match frame.kind {
        Kind::Chunk => {}
        Kind::Batch => {
            let (after, events) =
                stored::decode_batch_head(&payload).map_err(|error| Fault::Damaged(error.to_string()))?;
            if after.revision != frame.revision || after.revision.0.checked_sub(events) != Some(head.revision.0) {
                let detail = format!("a batch of {events} up to {} follows {}", after.revision, head.revision);
                return Err(Fault::Damaged(detail));
            }
            segment::note(index, head.revision, frames.offset());
            *head = after;
        }
        Kind::Start | Kind::Table => return Err(Fault::Damaged("this kind of frame does not belong here".into())),
    }
    frames.pass(frame);
    Ok(())
}

/// How many octets a crash left at the cursor of a write that nobody was told of, 0 if there is only room for more; `None` if
/// what stands there is damage.
///
/// Before a batch is written all before it is durable, so a torn write is either chunks or one batch, and nothing that was
/// acknowledged stands behind it. What the medium did not take is missing at the end or reads as whole zero sectors. A
/// changed octet in the very last batch leaves neither, so it is told apart from a torn one.
fn torn_bytes_of(frames: &mut Frames, frame: Option<FrameHead>, fault: &Fault) -> Result<Option<u64>, Fault> {
    match fault {
        Fault::Io(_) | Fault::Newer(_) => return Ok(None),
        Fault::Incomplete | Fault::Damaged(_) => {}
    }
    // Whole, but not what should be there: no crash does that.
    if frame.as_ref().is_some_and(|frame| frames.payload(frame).is_ok()) {
        return Ok(None);
    }
    let start = frames.offset();
    let rest = frames.octets(start, usize::try_from(frames.end() - start).unwrap_or(usize::MAX))?;
    // Behind what was written last there are only zeros.
    let written =
        rest.iter().rposition(|&octet| octet != 0).map_or(0, |last| (last + 1).next_multiple_of(8).min(rest.len()));
    if written == 0 {
        return Ok(Some(0));
    }
    let was_batch = frame.is_some_and(|frame| frame.kind == Kind::Batch);
    for offset in (8..written).step_by(8) {
        let follows = FrameHead::decode(rest.get(offset..).unwrap_or_default()).filter(|later| {
            let payload = offset + HEAD_BYTES..offset + HEAD_BYTES + later.padded_bytes();
            (later.kind == Kind::Batch || was_batch) && rest.get(payload).is_some_and(|payload| later.fits(payload))
        });
        if follows.is_some() {
            return Ok(None);
        }
    }
    let torn = Some(written as u64);
    if matches!(fault, Fault::Incomplete) {
        return Ok(torn);
    }
    // Without its head a frame goes at least as far as that and what was written.
    let frame_end = start + frame.map_or(written.max(HEAD_BYTES) as u64, |frame| frame.total_bytes());
    let mut sector = start;
    while sector < frame_end {
        let next = (sector + 1).next_multiple_of(SECTOR_BYTES).min(frame_end);
        let octets = frames.octets(sector, usize::try_from(next - sector).unwrap_or(usize::MAX))?;
        if octets.iter().all(|&octet| octet == 0) {
            return Ok(torn);
        }
        sector = next;
    }
    Ok(None)
}

fn refuse(segment: &Segment, before: Revision, fault: Fault) -> OpenError {
    match fault {
        Fault::Io(error) => error.into(),
        Fault::Incomplete => damaged(segment, before.next(), "it is cut off".into()),
        Fault::Damaged(detail) => damaged(segment, before.next(), detail),
        Fault::Newer(version) => OpenError::Newer { segment: segment.plain_name(), version },
    }
}

fn damaged(segment: &Segment, revision: Revision, detail: String) -> OpenError {
    let segment = if segment.is_packed() { segment.packed_name() } else { segment.plain_name() };
    OpenError::Damaged { revision, segment, detail }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
