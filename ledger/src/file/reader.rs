//! Reading from the segments: events after a revision, chunks of a large body. Everything here blocks.

use std::{io, sync::Arc};

use bytes::Bytes;
use conn3ction_schemas::{Revision, event::FormError};
use uuid::Uuid;

use super::{
    Shared,
    frame::Kind,
    frames::{self, Fault, Frames},
    segment::Segment,
    stored::{self, CHUNK_NAME_BYTES, Place},
};
use crate::{Event, ReadError, chain::Chain};

/// The events after `after`, which is before the head, bounded as [`crate::Ledger::read`] says.
/// What is whole before a fault is given first.
pub(super) fn read(shared: &Shared, after: Revision, max_bytes: usize) -> Result<Vec<Arc<Event>>, ReadError> {
    let mut events = Vec::new();
    match fill(&mut events, shared, after, max_bytes) {
        Err(error) if events.is_empty() => Err(error),
        Ok(()) | Err(_) => Ok(events),
    }
}

fn fill(events: &mut Vec<Arc<Event>>, shared: &Shared, after: Revision, max_bytes: usize) -> Result<(), ReadError> {
    let mut size_bytes = 0;
    let mut at = after;
    let head = shared.head().revision;
    let mut segment = shared.segment_of(after);
    let mut stopped = shared.stopped().take_if(|stopped| (stopped.segment, stopped.after) == (segment.number, after));
    while at < head {
        let mut walk = match stopped.take() {
            Some(stopped) => stopped.walk,
            None => Walk::open(shared, &segment, at)?,
        };
        while let Some((payload, last)) = walk.next(at)? {
            // Decoded alone the next time, and not in part now and again then.
            let mut is_full = !events.is_empty() && size_bytes + payload.len() > max_bytes;
            let batch = if is_full { Vec::new() } else { events_of(&payload, at, last)? };
            for event in batch {
                size_bytes += event.size();
                is_full = size_bytes > max_bytes && !events.is_empty();
                if is_full {
                    break;
                }
                at = event.revision();
                events.push(event);
            }
            if is_full {
                walk.step_back();
                if walk.frames.may_wait() {
                    *shared.stopped() = Some(Stopped { segment: segment.number, after: at, walk });
                }
                return Ok(());
            }
        }
        match shared.segment(segment.number + 1) {
            Some(next) if next.base == at => segment = next,
            Some(next) => return Err(damaged(at.next(), format!("segment {} begins too late", next.plain_name()))),
            // The head was published after the octets, so all of them were there.
            None if at < head => return Err(damaged(at.next(), "the log ends before it".into())),
            None => break,
        }
    }
    Ok(())
}

/// A read that had enough, in a packed segment.
pub(super) struct Stopped {
    segment: u32,
    /// The last event that was given.
    after: Revision,
    walk: Walk,
}

/// The places of the chunks of `event`'s body `id`.
pub(super) fn places(shared: &Shared, revision: Revision, id: Uuid) -> Result<Vec<Place>, ReadError> {
    let after = Revision(revision.0.saturating_sub(1));
    let mut walk = Walk::open(shared, &shared.segment_of(after), after)?;
    let (payload, _) = walk.next(after)?.ok_or_else(|| damaged(revision, "it is not where it was".into()))?;
    let bodies = stored::decode_places(&payload).map_err(|error| form(revision, error))?;
    let places = bodies.into_iter().find_map(|(body, places)| (body == id).then_some(places));
    places.ok_or_else(|| damaged(revision, "its body is not there".into()))
}

/// Reads chunks of large bodies, and keeps the segment open between two of them.
#[derive(Default)]
pub(super) struct Chunks {
    open: Option<(u32, Frames)>,
}

impl Chunks {
    /// Chunk `index` of `body`, which `revision` names.
    pub(super) fn read(
        &mut self,
        shared: &Shared,
        revision: Revision,
        (body, index): (Uuid, u32),
        place: Place,
    ) -> Result<Bytes, ReadError> {
        let chunk = self.at(shared, place).map_err(|fault| refuse(revision, fault))?;
        if stored::is_chunk(&chunk, body, index) {
            Ok(chunk.slice(CHUNK_NAME_BYTES..))
        } else {
            Err(damaged(revision, format!("chunk {index} of its body is not where it was")))
        }
    }

    fn at(&mut self, shared: &Shared, place: Place) -> Result<Bytes, Fault> {
        let frames = match &mut self.open {
            Some((number, frames)) if *number == place.segment => frames,
            open => {
                let segment = shared.segment(place.segment);
                let segment = segment.ok_or_else(|| Fault::Damaged("a segment of its body is missing".into()))?;
                &mut open.insert((place.segment, Frames::open(&*shared.disk, &segment)?)).1
            }
        };
        frames.seek(place.offset);
        match frames.peek()? {
            Some(frame) if frame.kind == Kind::Chunk => frames.payload(&frame),
            Some(_) | None => Err(Fault::Damaged("a chunk of its body is not where it was".into())),
        }
    }
}

/// The batches of one segment from a revision on.
struct Walk {
    frames: Frames,
    /// Where the frame begins that was read last.
    last: u64,
}

impl Walk {
    fn open(shared: &Shared, segment: &Segment, after: Revision) -> Result<Self, ReadError> {
        let refuse_base = |fault| refuse(segment.base.next(), fault);
        let mut frames = Frames::open(&*shared.disk, segment).map_err(refuse_base)?;
        let offset = match segment.find(after) {
            Some(offset) => offset,
            None => {
                let index = frames::index(&mut frames).map_err(|fault| refuse(after.next(), fault))?;
                segment.set_index(index);
                segment.find(after).unwrap_or_default()
            }
        };
        if offset == 0 {
            frames.seek(0);
            frames.start().map_err(refuse_base)?;
        } else {
            frames.seek(offset);
        }
        Ok(Self { last: frames.offset(), frames })
    }

    /// Gives the batch that was given last once more.
    fn step_back(&mut self) {
        self.frames.seek(self.last);
    }

    /// The payload of the next batch with events after `after`, and the revision up to which it goes.
    fn next(&mut self, after: Revision) -> Result<Option<(Bytes, Revision)>, ReadError> {
        let refuse_next = |fault| refuse(after.next(), fault);
        while let Some(frame) = self.frames.peek().map_err(refuse_next)? {
            if frame.kind == Kind::Batch && frame.revision > after {
                let payload = self
                    .frames
                    .payload(&frame)
                    .map_err(|fault| refuse(self.frames.first_bad(&frame).unwrap_or(after.next()), fault))?;
                self.last = self.frames.offset();
                self.frames.pass(&frame);
                return Ok(Some((payload, frame.revision)));
            }
            self.frames.pass(&frame);
        }
        Ok(None)
    }
}

/// The events of a batch up to `last` that are after `after`, all of it checked.
fn events_of(payload: &Bytes, after: Revision, last: Revision) -> Result<Vec<Arc<Event>>, ReadError> {
    whole_batch(payload, after).map_err(|error| match error {
        ReadError::Damaged { revision, detail } => {
            damaged(stored::first_bad(payload, last).unwrap_or(revision), detail)
        }
        error @ (ReadError::Unavailable(_) | ReadError::Form { .. }) => error,
    })
}

fn whole_batch(payload: &Bytes, after: Revision) -> Result<Vec<Arc<Event>>, ReadError> {
    let (head, mut events) = stored::decode_batch(payload).map_err(|error| form(after.next(), error))?;
    let first = events.first().map_or(after.next(), |event| event.revision());
    if first > after.next() {
        return Err(damaged(after.next(), format!("{first} stands in its place")));
    }
    let mut chain = Chain::at(Revision(first.0.saturating_sub(1)));
    for event in &events {
        chain.check(event)?;
    }
    if chain.revision() != head.revision || chain.hash() != Some(head.hash) {
        return Err(damaged(first, "its batch says that it ends otherwise".into()));
    }
    events.retain(|event| event.revision() > after);
    Ok(events)
}

fn refuse(revision: Revision, fault: Fault) -> ReadError {
    match fault {
        Fault::Io(error) => ReadError::Unavailable(error.into()),
        Fault::Incomplete => damaged(revision, "its segment is cut off".into()),
        Fault::Damaged(detail) => damaged(revision, detail),
        Fault::Newer(version) => ReadError::Unavailable(
            io::Error::other(format!("segment format {version} is newer than this build reads")).into(),
        ),
    }
}

fn form(revision: Revision, error: FormError) -> ReadError {
    match error {
        FormError::Newer(_) => ReadError::Form { revision, source: error },
        FormError::Malformed(detail) => damaged(revision, detail),
    }
}

fn damaged(revision: Revision, detail: String) -> ReadError {
    ReadError::Damaged { revision, detail }
}
