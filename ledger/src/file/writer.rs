//! What writes: one append at a time, one write and one `fdatasync` each.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    Shared,
    disk::DiskFile,
    frame::{self, Kind},
    recover::Opened,
    segment::{self, Segment},
    stored::{self, Place},
};
use crate::{AppendError, Batch, Body, Head};

/// A segment that is this long gets a successor.
pub(super) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// So many zeros are written ahead of small frames. What is written over them changes no length and, but for file systems that copy on
/// write, needs no new block, so that making it durable does not wait for that to be recorded: half the time for a batch of a block or more.
static ROOM: [u8; 256 * 1024] = [0; 256 * 1024];

/// Longer frames come seldom and make their own room.
const SMALL_BYTES: usize = ROOM.len() / 4;

/// Chunks are made durable when this much has come together, so that the append that names them does not wait for all.
const STAGED_SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// How long chunks are remembered that no event names. Their octets stay in the segment, where nobody looks at them.
const STAGED_FOR: Duration = Duration::from_secs(3600);

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Closed segments go to the packer.
    packer: mpsc::Sender<Arc<Segment>>,
    segment: Arc<Segment>,
    segment_bytes: u64,
    file: Box<dyn DiskFile>,
    head: Head,
    /// Where the next frame goes.
    end: u64,
    /// How long the file is: zeros from `end` on, which were written.
    room: u64,
    /// Everything before is durable.
    synced: u64,
    staged: HashMap<Uuid, Staged>,
    /// A durable write failed.
    poisoned: bool,
    frame: Vec<u8>,
}

struct Staged {
    since: Instant,
    places: BTreeMap<u32, Place>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        segment: Arc<Segment>,
        opened: Opened,
        segment_bytes: u64,
        packer: mpsc::Sender<Arc<Segment>>,
    ) -> Self {
        let Opened { head, file, end, .. } = opened;
        Self {
            shared,
            packer,
            segment,
            segment_bytes,
            file,
            head,
            end,
            room: end,
            synced: end,
            staged: HashMap::new(),
            poisoned: false,
            frame: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, head: &Head, now: Head, batch: &Batch) -> Result<Head, AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        if *head != self.head {
            return Err(AppendError::Conflict { actual: Box::new(self.head.clone()) });
        }
        let places = self.places(batch)?;
        self.roll_if_long()?;
        // A whole batch at the end of the log shows that all before it is durable; recovery relies on it.
        self.sync_staged()?;
        self.frame.clear();
        let pushed = frame::push(&mut self.frame, Kind::Batch, now.revision, |out| {
            stored::encode_batch(out, &now, &batch.events, &places);
        });
        if pushed.is_none() {
            return Err(too_large(batch));
        }
        let start = self.end;
        self.write(Some(batch))?;
        // A panic on the way would leave a batch behind that the head does not know.
        self.poisoned = true;
        self.file.sync().map_err(|error| self.poison(Some(batch), error))?;
        self.synced = self.end;
        if !batch.events.is_empty() {
            self.segment.note(self.head.revision, start);
        }
        for event in &batch.events {
            if let Body::Parts { id, .. } = event.body {
                self.staged.remove(&id);
            }
        }
        self.segment.set_end(self.end);
        self.head = now;
        self.shared.publish(&self.head, &batch.events);
        self.poisoned = false;
        Ok(self.head.clone())
    }

    pub(super) fn stage(&mut self, body: Uuid, index: u32, chunk: &[u8]) -> Result<(), AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        self.roll_if_long()?;
        self.frame.clear();
        let pushed = frame::push(&mut self.frame, Kind::Chunk, self.head.revision, |out| {
            stored::encode_chunk(out, body, index, chunk);
        });
        if pushed.is_none() {
            return Err(AppendError::TooLarge {
                size_bytes: chunk.len(),
                limit_bytes: frame::MAX_PAYLOAD_BYTES as usize - stored::CHUNK_NAME_BYTES,
            });
        }
        let place = Place { segment: self.segment.number, offset: self.end };
        self.write(None)?;
        if self.end - self.synced >= STAGED_SYNC_BYTES {
            self.sync_staged()?;
        }
        self.staged.retain(|_, staged| staged.since.elapsed() < STAGED_FOR);
        let staged = self.staged.entry(body);
        let staged = staged.or_insert_with(|| Staged { since: Instant::now(), places: BTreeMap::new() });
        staged.since = Instant::now();
        staged.places.insert(index, place);
        Ok(())
    }

    /// The places of the chunks of each large body that `batch` names.
    fn places(&self, batch: &Batch) -> Result<Vec<Vec<Place>>, AppendError> {
        let mut all = Vec::new();
        for event in &batch.events {
            let Body::Parts { id, count } = event.body else { continue };
            let missing = || AppendError::MissingBody { body: id };
            let staged = self.staged.get(&id).ok_or_else(missing)?;
            let places = (0..count).map(|index| staged.places.get(&index).copied());
            all.push(places.collect::<Option<Vec<Place>>>().ok_or_else(missing)?);
        }
        Ok(all)
    }

    /// Writes the frame in hand, of `batch` if it is one.
    fn write(&mut self, batch: Option<&Batch>) -> Result<(), AppendError> {
        match self.file.write_at(&self.frame, self.end) {
            Ok(()) => {
                self.end += self.frame.len() as u64;
                if self.end > self.room {
                    self.room = self.end;
                    if self.frame.len() <= SMALL_BYTES {
                        self.make_room();
                    }
                }
                Ok(())
            }
            Err(error) if is_full(&error) && self.give_back_room().is_ok() => Err(AppendError::Full(error.into())),
            Err(error) => Err(self.poison(batch, error)),
        }
    }

    /// Writes zeros behind what was written. On a medium that is full there are none: a frame needs the rest more.
    fn make_room(&mut self) {
        if self.file.write_at(&ROOM, self.end).is_ok() {
            self.room = self.end + ROOM.len() as u64;
        } else if let Err(error) = self.give_back_room() {
            tracing::debug!(error = &error as &dyn std::error::Error, "what was written of the room ahead stays");
        }
    }

    fn sync_staged(&mut self) -> Result<(), AppendError> {
        if self.synced < self.end {
            self.file.sync().map_err(|error| self.poison(None, error))?;
            self.synced = self.end;
        }
        Ok(())
    }

    /// Cuts the file back to what was written, part of a frame included that was not written whole.
    fn give_back_room(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.room = self.end;
        Ok(())
    }

    /// Goes on in a new segment if this one is long enough.
    fn roll_if_long(&mut self) -> Result<(), AppendError> {
        if self.end < self.segment_bytes {
            return Ok(());
        }
        // A segment that has a successor ends with its last frame.
        let ended = self.give_back_room().and_then(|()| self.file.sync());
        ended.map_err(|error| self.poison(None, error))?;
        self.synced = self.end;
        let made = segment::create(&*self.shared.disk, self.segment.number + 1, &self.head);
        let (next, file, end) = made.map_err(|error| match error {
            error if is_full(&error) => AppendError::Full(error.into()),
            // Its name may have become durable all the same, so appending to the old one could fork the log.
            error => self.poison(None, error),
        })?;
        let next = Arc::new(next);
        self.segment.set_end(u64::MAX);
        self.shared.add(Arc::clone(&next));
        // Without a packer the segment is packed when the log is opened the next time.
        let _ = self.packer.send(std::mem::replace(&mut self.segment, next));
        (self.file, self.end, self.room, self.synced) = (file, end, end, end);
        Ok(())
    }

    /// Stops all appending. What became of `batch` is not known; of other writes nothing was acknowledged.
    fn poison(&mut self, batch: Option<&Batch>, error: io::Error) -> AppendError {
        self.poisoned = true;
        tracing::error!(
            segment = self.segment.plain_name(),
            error = &error as &dyn std::error::Error,
            "a durable write failed; the ledger takes no more until it is opened again"
        );
        match batch {
            Some(batch) => AppendError::Unconfirmed { batch: batch.id, source: error.into() },
            None => AppendError::Poisoned,
        }
    }
}

impl Drop for Writer {
    /// A ledger that was closed takes no more octets than it has.
    fn drop(&mut self) {
        if !self.poisoned {
            // The next one to open it would cut it as well.
            let _ = self.give_back_room();
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

fn too_large(batch: &Batch) -> AppendError {
    AppendError::TooLarge {
        size_bytes: batch.events.iter().map(|event| event.size()).sum(),
        limit_bytes: frame::MAX_PAYLOAD_BYTES as usize,
    }
}
