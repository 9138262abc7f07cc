//! The records view: every record set as JSON in a local sled tree, for whoever must see the records with no ledger and
//! no server at hand.
//!
//! It is a cache: what is in doubt (damage, another ledger, another form) is dropped and made anew from the ledger. It
//! writes behind, at most [`MOST_SETS`] record sets a batch, and each batch moves the checkpoint with it.

mod copy;
mod pages;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use conn3ction_dns::View;
use conn3ction_ledger::{Event, Ledger, ReadError};
use conn3ction_schemas::{Delta, Revision, event::ZoneLife, json::Record};
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::copy::{Batch, Copy, CopyError, damage, set_key, set_value, zone_entry};
use crate::{
    Checkpoint, Claim, Condition, Digest, Part, ViewName,
    checkpoint::belongs,
    follow::{Chunks, chain},
    progress::{Reporter, Watcher},
    rebuild::{RebuildError, Rebuilt, Requests},
};

/// The version of the copy's form. A copy of another is made anew.
const FORMAT: u32 = 3;

/// The most record sets in one batch, but for the rest of a chunk.
const MOST_SETS: usize = 4_096;

/// How long changes gather before they are written: twice as long each time while more than one came, because nobody waits
/// for them then and each write to the disk makes the ledger's own take longer.
const GATHER: [Duration; 2] = [Duration::from_millis(25), Duration::from_millis(800)];

/// How long a copy that its last user has left may still be locked.
const LEFT_OPEN: Duration = Duration::from_millis(500);

/// How long to wait before a disk or ledger that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// A task that keeps the local copy.
pub(crate) struct RecordsView {
    pub(crate) directory: PathBuf,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// They go first: somebody waits for them.
    pub(crate) answers: Watcher,
    pub(crate) reporter: Reporter,
    pub(crate) rebuilds: Requests<Rebuilt>,
    pub(crate) looks: Requests<Claim>,
    /// Work on the disk that has begun is ended before the view has stopped, so that its copy can be opened from then on.
    pub(crate) tasks: TaskTracker,
}

/// Why the view cannot go on.
enum Fault {
    Copy(CopyError),
    Ledger(ReadError),
}

impl From<CopyError> for Fault {
    fn from(error: CopyError) -> Self {
        Self::Copy(error)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Ledger(error)
    }
}

/// A copy, where it stands with what waits to be written, and what waits.
struct Fold {
    directory: PathBuf,
    tasks: TaskTracker,
    copy: Arc<Copy>,
    at: Checkpoint,
    waiting: Batch,
}

/// Reads the copy in `directory` while no process keeps it: calls `each` with the zone and every record set, in the order
/// of zones, owners and types, and says which revision they show. Blocks.
///
/// # Errors
///
/// In words: there is no copy, it is in use or damaged, or it stands inside an event.
pub fn read_records(directory: &Path, each: &mut dyn FnMut(&str, Record)) -> Result<Revision, String> {
    if !directory.is_dir() {
        return Err(format!("there are no records in {}", directory.display()));
    }
    let (copy, checkpoint) = open_soon(directory).map_err(|error| chain(&error))?;
    if !checkpoint.part.is_start() {
        return Err(format!("the records in {} show half of an event", directory.display()));
    }
    copy.records(directory, each).map_err(|error| chain(&error))?;
    Ok(checkpoint.at())
}

/// Makes a copy of the records as they were right after the event `upto` in the empty `directory`, and says what it holds.
///
/// # Errors
///
/// The ledger's or the disk's, in words.
pub async fn make_records(directory: &Path, ledger: &dyn Ledger, upto: Revision) -> Result<Digest, String> {
    let tasks = TaskTracker::new();
    let (reporter, _) = Reporter::new(ViewName::Records);
    let made = async {
        let mut made = Fold::open(directory, &tasks).await?;
        made.go_to(ledger, &reporter, upto).await?;
        made.stored_digest().await
    };
    let made = made.await.map_err(|fault| fault.text());
    // The directory is free afterwards.
    tasks.close();
    tasks.wait().await;
    made
}

/// What the copy in `directory` says and what it holds, while no process keeps it; `None` if there is none. Blocks. sled writes
/// even where it only reads, so that is done in another place.
pub(crate) fn claim_in(directory: &Path) -> Option<Claim> {
    let unreadable = |text: String| Claim::unreadable(ViewName::Records, text);
    let elsewhere = || {
        let scratch = tempfile::tempdir()?;
        copy_files(directory, scratch.path())?;
        std::io::Result::Ok(scratch)
    };
    directory.is_dir().then(|| match elsewhere() {
        Ok(scratch) => match open_soon(scratch.path()) {
            // It was opened because what it holds is what its checkpoint says.
            Ok((_, checkpoint)) => Claim::stored(ViewName::Records, checkpoint.clone(), checkpoint.digest),
            Err(error) => unreadable(chain(&error)),
        },
        Err(error) => unreadable(error.to_string()),
    })
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else {
            // Not with its permissions: it may be on a medium that is only read.
            std::io::copy(&mut std::fs::File::open(entry.path())?, &mut std::fs::File::create(&target)?)?;
        }
    }
    Ok(())
}

/// The digest of a copy of `content`.
pub(crate) fn digest_of(content: &View) -> Digest {
    copy::digest_of(content)
}

/// Opens the copy. sled's threads give up their lock a moment after the process, or the view, that had it open told that it
/// is done.
fn open_soon(directory: &Path) -> Result<(Copy, Checkpoint), CopyError> {
    let begun = Instant::now();
    loop {
        match Copy::open(directory) {
            Err(CopyError::Unavailable(..)) if begun.elapsed() < LEFT_OPEN => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

impl RecordsView {
    /// Runs until `token` stops it.
    pub(crate) async fn run(mut self, token: CancellationToken) {
        let ended = token.run_until_cancelled(async {
            loop {
                let fault = match self.session().await {
                    Ok(never) => match never {},
                    Err(fault) => fault,
                };
                match fault {
                    Fault::Copy(error @ CopyError::Damaged { .. }) => {
                        tracing::warn!(view = "records", error = chain(&error), "dropped, and made anew");
                        remove(&self.directory);
                        // Should it come out damaged again, not without end.
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                    Fault::Copy(error @ CopyError::Unavailable(..)) => {
                        self.reporter.condition(Condition::Unavailable(chain(&error)));
                    }
                    Fault::Ledger(error) => return chain(&error),
                }
                let refused = || RebuildError::Failed("the view has no medium or no ledger now".into());
                tokio::select! {
                    request = self.rebuilds.next() => request.answer(Err(refused())),
                    request = self.looks.next() => request.answer(Err(refused())),
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        });
        match ended.await {
            Some(detail) => self.reporter.condition(Condition::Damaged(detail)),
            None => self.reporter.condition(Condition::Stopped),
        }
    }

    /// Opens the copy and keeps it at the ledger's head.
    async fn session(&mut self) -> Result<std::convert::Infallible, Fault> {
        let mut fold = Fold::open(&self.directory, &self.tasks).await?;
        let belongs = loop {
            match belongs(&*self.ledger, &fold.at).await {
                Err(error @ ReadError::Unavailable(_)) => self.wait(&error).await,
                told => break told?,
            }
        };
        if !belongs {
            return Err(damage(&self.directory, "it was made from another ledger".into()).into());
        }
        self.report(&fold);
        self.reporter.condition(Condition::Following);
        let ledger = self.ledger.clone();
        let mut events = ledger.follow(fold.at.at()).fuse();
        let mut gather = GATHER[0];
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                request = self.rebuilds.next() => {
                    self.reporter.condition(Condition::Rebuilding);
                    let (rebuilt, next) = self.rebuild(fold).await;
                    let answer = rebuilt.map_err(|fault| RebuildError::Failed(fault.text()));
                    request.answer(answer);
                    fold = next?;
                    self.reporter.condition(Condition::Following);
                    self.report(&fold);
                    continue;
                }
                request = self.looks.next() => {
                    request.answer(fold.claim().await.map_err(|fault| RebuildError::Failed(fault.text())));
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => {
                    // Should they have stopped, the copy goes on without them.
                    let _ = self.answers.reached(event.revision()).await;
                    fold.take(&*ledger, &self.reporter, &event).await?;
                }
                Some(Err(error @ ReadError::Unavailable(_))) => {
                    self.wait(&error).await;
                    events = ledger.follow(fold.at.at()).fuse();
                    continue;
                }
                Some(Err(error)) => return Err(error.into()),
                None => {
                    events = ledger.follow(fold.at.at()).fuse();
                    continue;
                }
            }
            gather = (gather * 2).min(GATHER[1]);
            let first = fold.at.at();
            while fold.waiting.len() < MOST_SETS
                && let Some(Some(Ok(event))) = events.next().now_or_never()
            {
                fold.take(&*ledger, &self.reporter, &event).await?;
            }
            if fold.at.at() == first {
                gather = GATHER[0];
            }
            let is_full = fold.waiting.len() >= MOST_SETS;
            fold.write().await?;
            self.report(&fold);
            if !is_full {
                tokio::time::sleep(gather).await;
            }
        }
    }

    /// Makes a copy aside from the whole ledger, compares, and puts it in the place of `live` if they differ. The copy to
    /// go on with comes along.
    async fn rebuild(&self, live: Fold) -> (Result<Rebuilt, Fault>, Result<Fold, Fault>) {
        let aside = self.directory.with_extension("rebuilt");
        remove(&aside);
        let compared = async {
            let mut made = Fold::open(&aside, &self.tasks).await?;
            let goal = live.at.at();
            made.go_to(&*self.ledger, &self.reporter, goal).await?;
            let was_right = made.at == live.at && live.stored_digest().await? == made.stored_digest().await?;
            Ok::<_, Fault>(Rebuilt { revision: goal, digest: made.at.digest, was_right })
        };
        let compared = compared.await;
        if !matches!(&compared, Ok(Rebuilt { was_right: false, .. })) {
            remove(&aside);
            return (compared, Ok(live));
        }
        drop(live);
        remove(&self.directory);
        // If it stays aside, the next session begins with nothing.
        if let Err(error) = std::fs::rename(&aside, &self.directory) {
            tracing::warn!(view = "records", %error, "the rebuilt copy cannot be moved to its place");
        }
        (compared, Fold::open(&self.directory, &self.tasks).await)
    }

    /// The ledger is away.
    async fn wait(&self, error: &ReadError) {
        self.reporter.condition(Condition::Unavailable(chain(error)));
        tokio::time::sleep(RETRY).await;
    }

    fn report(&self, fold: &Fold) {
        let at = &fold.at;
        match at.part.is_start() {
            true => self.reporter.reached(at.at(), at.digest),
            false => self.reporter.within(at.at(), at.part.steps, at.digest),
        }
    }
}

impl Fault {
    fn text(&self) -> String {
        match self {
            Self::Copy(error) => chain(error),
            Self::Ledger(error) => chain(error),
        }
    }
}

impl Fold {
    async fn open(directory: &Path, tasks: &TaskTracker) -> Result<Self, Fault> {
        let (copy, at) = blocking(tasks, directory, Copy::open).await?;
        let (directory, tasks) = (directory.to_owned(), tasks.clone());
        Ok(Self { directory, tasks, copy: Arc::new(copy), at, waiting: Batch::default() })
    }

    /// Takes in the events up to `goal`, which the ledger has, and writes all of it out.
    async fn go_to(&mut self, ledger: &dyn Ledger, reporter: &Reporter, goal: Revision) -> Result<(), Fault> {
        while self.at.at() < goal {
            let mut events = ledger.follow(self.at.at());
            while self.at.at() < goal
                && let Some(event) = events.next().await
            {
                self.take(ledger, reporter, &event?).await?;
                if self.waiting.len() >= MOST_SETS {
                    self.write().await?;
                }
            }
        }
        self.write().await?;
        self.flush().await
    }

    /// Takes in the next event; what fills a batch is written meanwhile.
    async fn take(&mut self, ledger: &dyn Ledger, reporter: &Reporter, event: &Arc<Event>) -> Result<(), Fault> {
        let header = &event.header;
        if header.revision <= self.at.at() {
            return Ok(());
        }
        let done = usize::try_from(self.at.part.steps).unwrap_or(usize::MAX);
        let mut chunks = Chunks::new(event.clone(), done);
        while let Some(deltas) = chunks.next(ledger, reporter).await? {
            for delta in &deltas {
                self.change(event, delta);
            }
            self.at.part = Part { steps: self.at.part.steps + 1, keys: 0 };
            if self.waiting.len() >= MOST_SETS {
                self.write().await?;
            }
        }
        let mut digest = self.at.digest;
        for change in &header.zones {
            let entry = |serial| zone_entry(&change.zone, serial);
            let (key, new) = entry(change.after);
            let old = change.before.map(|serial| entry(serial).1);
            match change.life {
                ZoneLife::Created => self.waiting.replace(&mut digest, key, None, Some(new)),
                ZoneLife::Stays => self.waiting.replace(&mut digest, key, old, Some(new)),
                ZoneLife::Deleted => self.waiting.replace(&mut digest, key, old, None),
            }
        }
        self.at = self.at.after(header.epoch, header.revision, header.hash(), digest);
        Ok(())
    }

    fn change(&mut self, event: &Event, delta: &Delta) {
        // A delta names its zone by its place in the header; `Chunks` checked that there is one.
        let Some(change) = event.header.zones.get(delta.zone as usize) else { return };
        let key = set_key(&change.zone, &delta.owner, delta.key);
        let [old, new] =
            [&delta.before, &delta.after].map(|set| set.as_ref().map(|set| set_value(&delta.owner, delta.key, set)));
        self.waiting.replace(&mut self.at.digest, key, old, new);
    }

    /// Writes what waits, and where the copy then stands.
    async fn write(&mut self) -> Result<(), Fault> {
        let (copy, at, waiting) = (self.copy.clone(), self.at.clone(), std::mem::take(&mut self.waiting));
        blocking(&self.tasks, &self.directory, move |directory| copy.write(directory, waiting, &at)).await
    }

    async fn flush(&self) -> Result<(), Fault> {
        let copy = self.copy.clone();
        blocking(&self.tasks, &self.directory, move |directory| copy.flush(directory)).await
    }

    /// What the copy says and what it holds, between two events.
    async fn claim(&self) -> Result<Claim, Fault> {
        let copy = self.copy.clone();
        blocking(&self.tasks, &self.directory, move |directory| {
            Ok(Claim::stored(ViewName::Records, copy.checkpoint(directory)?, copy.digest(directory)?))
        })
        .await
    }

    /// The digest of what is on the disk.
    async fn stored_digest(&self) -> Result<Digest, Fault> {
        let copy = self.copy.clone();
        blocking(&self.tasks, &self.directory, move |directory| copy.digest(directory)).await
    }
}

/// Runs `work` where it may block, as one of `tasks`: it runs to its end even where nobody waits for it any more, and what
/// it then comes to is dropped by it. A panic of sled's is damage.
async fn blocking<T: Send + 'static>(
    tasks: &TaskTracker,
    directory: &Path,
    work: impl FnOnce(&Path) -> Result<T, CopyError> + Send + 'static,
) -> Result<T, Fault> {
    let (done, waiting) = oneshot::channel();
    let path = directory.to_owned();
    tasks.spawn_blocking(move || drop(done.send(work(&path))));
    Ok(waiting.await.unwrap_or_else(|_| Err(damage(directory, "it cannot be read or written".into())))?)
}

/// Removes a copy, if there is one. What stays is found damaged, or of another ledger, once more.
fn remove(directory: &Path) {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(view = "records", %error, "a copy of the records cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}
