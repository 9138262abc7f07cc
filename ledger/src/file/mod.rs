//! A log in append-only segment files, the embedded default.
//!
//! [`FileLedger::open`] takes a directory for this process. A batch is one frame, one write and one `fdatasync`, so it is there
//! whole or not at all. Readers open the same files and read only what is durable; the latest events come from memory. A
//! thread packs segments that are complete.
//!
//! An append blocks the thread that polls it until the disk has answered, so its runtime should have another, which is woken when
//! that takes long.
//!
//! After a crash a torn last write is cut off; any other damage is refused with its revision, because what was
//! acknowledged must not vanish silently. After a failed durable write nothing more is appended until the log is opened again.

pub mod disk;
pub mod frame;
mod frames;
mod lookout;
mod pack;
mod reader;
mod recent;
mod recover;
mod segment;
mod stored;
mod writer;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use conn3ction_schemas::Revision;
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{AppendError, Batch, Body, Event, Head, Ledger, ReadError, chain, follow};
use disk::{Directory, Disk, LockError};
use lookout::Lookout;
use recent::Recent;
use segment::Segment;
use writer::Writer;

/// How many chunks of a large body are read at once.
const CHUNKS_AT_ONCE: usize = 8;

/// A log in a directory.
pub struct FileLedger {
    shared: Arc<Shared>,
    /// Rings after each append; followers end when it is gone.
    moved: Arc<watch::Sender<Revision>>,
    /// `None` while this is dropped, and where the log is only read.
    writer: Option<(tokio::sync::Mutex<Writer>, Lookout)>,
    packer: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    torn_bytes: u64,
    /// Of a log that is only read.
    _lock: Option<Box<dyn Send + Sync>>,
}

/// Why a directory could not be opened as a log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process appends there.
    #[error("the ledger in {directory} is in use by process {holder}")]
    InUse {
        /// The directory.
        directory: String,
        /// The process's number, as it wrote it down.
        holder: String,
    },
    /// Stored octets are not what was appended. An operator must look; nothing is skipped.
    #[error("the ledger is damaged at {revision}, in {segment}: {detail}")]
    Damaged {
        /// The first bad revision.
        revision: Revision,
        /// The file.
        segment: String,
        /// What is wrong there.
        detail: String,
    },
    /// Written by a later version of this program.
    #[error("{segment} has format {version}, which is newer than this build reads")]
    Newer {
        /// The file.
        segment: String,
        /// Its format.
        version: u16,
    },
    /// The medium failed.
    #[error("opening the ledger's directory")]
    Io(#[source] io::Error),
}

/// What the writing thread and all readers share.
struct Shared {
    disk: Box<dyn Disk>,
    state: Mutex<State>,
    /// Where a read stopped last: who reads a long log goes on there, and opens and unpacks nothing twice.
    stopped: Mutex<Option<reader::Stopped>>,
    moved: std::sync::Weak<watch::Sender<Revision>>,
}

/// Where the log ends, for readers: everything here is durable.
struct State {
    head: Head,
    recent: Recent,
    /// Segment n stands at place n.
    segments: Vec<Arc<Segment>>,
}

impl FileLedger {
    /// Opens the log in `directory`, which is made if it is not there. Blocks for a walk over the last segment.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_on(Directory::open(directory)?, writer::SEGMENT_BYTES)
    }

    /// Opens the log in `directory` to read it: nothing there is made, changed or cut off, and appending is refused.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_to_read(directory: &Path) -> Result<Self, OpenError> {
        Self::open_on(Directory::open_to_read(directory)?, writer::SEGMENT_BYTES)
    }

    /// How many octets stand behind the last event, of a write that is not whole: a crash left them before anybody was told
    /// of it, or they are what is left of events that were cut off. Not 0 only where the log is only read.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Opens the log on any disk, with segments of about `segment_bytes`.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_on(disk: impl Disk, segment_bytes: u64) -> Result<Self, OpenError> {
        let lock = disk.lock().map_err(|error| match error {
            LockError::Held(holder) => OpenError::InUse { directory: disk.name(), holder },
            LockError::Io(error) => error.into(),
        })?;
        let mut opened = recover::open(&disk)?;
        let segments = std::mem::take(&mut opened.segments);
        let stop = Arc::new(AtomicBool::new(false));
        let (packer, closed) = mpsc::channel();
        let Some((last, complete)) = segments.split_last() else {
            return Err(OpenError::Io(io::Error::other("a log has at least one segment")));
        };
        for segment in complete.iter().filter(|segment| !segment.is_packed()) {
            let _ = packer.send(Arc::clone(segment));
        }
        let last = Arc::clone(last);
        let moved = Arc::new(watch::Sender::new(opened.head.revision));
        let state = State { head: opened.head.clone(), recent: Recent::default(), segments };
        let (disk, state, stopped) = (Box::new(disk), Mutex::new(state), Mutex::default());
        let shared = Arc::new(Shared { disk, state, stopped, moved: Arc::downgrade(&moved) });

        if shared.disk.is_read_only() {
            let (torn_bytes, lock) = (opened.torn_bytes, Some(lock));
            return Ok(Self { shared, moved, writer: None, packer: None, stop, torn_bytes, _lock: lock });
        }
        let writer = Writer::new(Arc::clone(&shared), last, opened, segment_bytes, packer);
        let packing = (Arc::clone(&shared), Arc::clone(&stop));
        let packer = std::thread::Builder::new().name("ledger-pack".into()).spawn(move || {
            // Held until both are done with the directory: the writer ends before the packer.
            let _lock = lock;
            packing.0.pack(&closed, &packing.1);
        })?;
        Ok(Self {
            shared,
            moved,
            writer: Some((tokio::sync::Mutex::new(writer), Lookout::begin()?)),
            packer: Some(packer),
            stop,
            torn_bytes: 0,
            _lock: None,
        })
    }

    /// Lets `work` write where the caller stands: waking another thread and being woken by it took a tenth of an append.
    /// Once it has begun nothing can interrupt it, whoever goes away.
    async fn write<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T, AppendError>) -> Result<T, AppendError> {
        let Some((writer, lookout)) = &self.writer else {
            return Err(AppendError::Unavailable("the log was opened to be read only".into()));
        };
        let mut writer = writer.lock().await;
        lookout.during(|| work(&mut writer))
    }
}

impl Drop for FileLedger {
    /// Waits for the packer, so that the directory is free afterwards.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.writer = None;
        if let Some(packer) = self.packer.take() {
            let _ = packer.join();
        }
    }
}

impl std::fmt::Debug for FileLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileLedger").field("directory", &self.shared.disk.name()).finish_non_exhaustive()
    }
}

impl Shared {
    /// No method leaves the state half changed, so a panic elsewhere does not spoil it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> MutexGuard<'_, Option<reader::Stopped>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> Head {
        self.state().head.clone()
    }

    /// Shows a durable batch to readers, whole.
    fn publish(&self, head: &Head, events: &[Arc<Event>]) {
        let mut state = self.state();
        state.head = head.clone();
        state.recent.push(events);
        drop(state);
        if let Some(moved) = self.moved.upgrade() {
            moved.send_replace(head.revision);
        }
    }

    fn add(&self, segment: Arc<Segment>) {
        self.state().segments.push(segment);
    }

    fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.state().segments.get(number as usize).cloned()
    }

    /// The segment that the event after `after` would be in.
    fn segment_of(&self, after: Revision) -> Arc<Segment> {
        let state = self.state();
        let place = state.segments.partition_point(|segment| segment.base <= after);
        // Several may begin at one revision when a large body fills them; the event is in the last of these.
        Arc::clone(&state.segments[place.saturating_sub(1)])
    }

    fn read(&self, after: Revision, max_bytes: usize) -> Result<Vec<Arc<Event>>, ReadError> {
        reader::read(self, after, max_bytes)
    }

    /// What can be answered without the disk.
    fn read_recent(&self, after: Revision, max_bytes: usize) -> Option<Vec<Arc<Event>>> {
        let state = self.state();
        if after >= state.head.revision { Some(Vec::new()) } else { state.recent.read(after, max_bytes) }
    }

    fn pack(&self, closed: &mpsc::Receiver<Arc<Segment>>, stop: &AtomicBool) {
        while let Ok(segment) = closed.recv() {
            if let Err(error) = pack::pack(&*self.disk, &segment, || stop.load(Ordering::Relaxed)) {
                // It stays readable as it is and is tried again when the log is opened the next time.
                tracing::warn!(
                    segment = segment.plain_name(),
                    error = &error as &dyn std::error::Error,
                    "cannot pack a segment"
                );
            }
        }
    }
}

impl Ledger for FileLedger {
    fn head(&self) -> BoxFuture<'_, Result<Head, ReadError>> {
        future::ready(Ok(self.shared.head())).boxed()
    }

    fn append<'a>(&'a self, head: &'a Head, batch: &'a Batch) -> BoxFuture<'a, Result<Head, AppendError>> {
        let now = head.after(batch);
        self.write(move |writer| writer.append(head, now, batch)).boxed()
    }

    fn stage(&self, body: Uuid, index: u32, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>> {
        self.write(move |writer| writer.stage(body, index, &chunk)).boxed()
    }

    fn read(&self, after: Revision, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Arc<Event>>, ReadError>> {
        read(Arc::clone(&self.shared), after, max_bytes)
    }

    fn body(&self, event: Arc<Event>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let (id, count) = match &event.body {
            Body::Inline(chunks) => {
                return chain::checked(&event, stream::iter(chunks.clone().into_iter().map(Ok)).boxed());
            }
            Body::Parts { id, count } => (*id, *count),
        };
        chain::checked(&event, chunks(Arc::clone(&self.shared), event.revision(), id, count))
    }

    fn follow(&self, after: Revision) -> BoxStream<'static, Result<Arc<Event>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        let read = move |after, max_bytes| read(Arc::clone(&shared), after, max_bytes);
        follow::follow(read, self.moved.subscribe(), after)
    }
}

fn read(
    shared: Arc<Shared>,
    after: Revision,
    max_bytes: usize,
) -> BoxFuture<'static, Result<Vec<Arc<Event>>, ReadError>> {
    if let Some(events) = shared.read_recent(after, max_bytes) {
        return future::ready(Ok(events)).boxed();
    }
    blocking(move || shared.read(after, max_bytes)).boxed()
}

fn chunks(
    shared: Arc<Shared>,
    revision: Revision,
    id: Uuid,
    count: u32,
) -> BoxStream<'static, Result<Bytes, ReadError>> {
    stream::once(async move {
        let found = Arc::clone(&shared);
        let places = blocking(move || reader::places(&found, revision, id)).await?;
        if places.len() != count as usize {
            return Err(ReadError::Damaged { revision, detail: "its body has another number of chunks".into() });
        }
        Ok((shared, VecDeque::from_iter((0..count).zip(places)), reader::Chunks::default()))
    })
    .flat_map(move |found| match found {
        Err(error) => stream::iter([Err(error)]).boxed(),
        Ok(found) => stream::try_unfold(found, move |(shared, mut places, mut chunks)| async move {
            if places.is_empty() {
                return Ok(None);
            }
            blocking(move || {
                let mut some = Vec::new();
                for (index, place) in places.drain(..places.len().min(CHUNKS_AT_ONCE)) {
                    some.push(Ok(chunks.read(&shared, revision, (id, index), place)?));
                }
                Ok(Some((stream::iter(some), (shared, places, chunks))))
            })
            .await
        })
        .map(|some| match some {
            Ok(some) => some.boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        })
        .flatten()
        .boxed(),
    })
    .boxed()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ReadError::Unavailable(error.into())),
    }
}
