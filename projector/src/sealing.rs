//! Sealing the answers: a restart folds what came after the file, not the whole history, and what was sealed takes no
//! memory of the process.
//!
//! Building anew and sealing are one movement: a fold is made aside, from nothing or from a sealed file, brought up to
//! where the live one is, and takes its place between two events. Readers go on all the while.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use conn3ction_dns::{
    Store,
    store::{SealError, Sealed},
};
use conn3ction_ledger::{Ledger, ReadError};
use conn3ction_schemas::Revision;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Answers, Checkpoint, Claim, Digest, HeadState, Seal, SharedHead, ViewName, attached, checkpoint, content_digest,
    follow::{chain, follow, follow_to, follow_until},
    progress::{Condition, Reporter, Watcher},
};

/// How long to wait before a ledger that is away is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// The file in its directory.
const FILE: &str = "answers.sealed";

/// What the sealed answers in `directory` say and hold, while no process keeps them; `None` if there are none. Blocks.
pub(crate) fn claim_in(directory: &Path) -> Option<Claim> {
    let unreadable = |text: String| Some(Claim::unreadable(ViewName::Answers, text));
    let sealed = match Sealed::open(&directory.join(FILE)) {
        Ok(sealed) => sealed,
        Err(SealError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return unreadable(chain(&error)),
    };
    let Some((head, digest)) = attached::read(&sealed) else { return unreadable("it is of another form".into()) };
    let at = Checkpoint::start(0).after(head.epoch, head.revision, head.hash, digest);
    let (store, _writer) = Store::open(&sealed);
    Some(Claim::stored(ViewName::Answers, at, content_digest(&store.at(head.revision.into()))))
}

/// What the fold knew when sealing was asked for.
#[derive(Debug)]
pub(crate) struct Snapshot {
    head: HeadState,
    digest: Digest,
}

/// Asks for a sealing when enough has changed. The fold holds it.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    requests: mpsc::Sender<Snapshot>,
    is_busy: Arc<AtomicBool>,
    changes: u64,
    /// How many changes are enough.
    enough: u64,
}

impl Trigger {
    /// Notes `changes` of an event that is not over yet.
    pub(crate) fn count(&mut self, changes: usize) {
        self.changes += changes as u64;
    }

    /// Asks for a sealing of what was shown just now, if it is time and none is under way.
    pub(crate) fn ask(&mut self, head: &SharedHead, digest: Digest) {
        if self.changes < self.enough || self.is_busy.swap(true, Ordering::Relaxed) {
            return;
        }
        self.changes = 0;
        // Nobody takes it while the process ends.
        let _ = self.requests.try_send(Snapshot { head: head.read().clone(), digest });
    }
}

/// Makes folds aside and hands them to the task of the answers.
#[derive(Debug, Clone)]
pub(crate) struct Successors(mpsc::Sender<Answers>);

impl Successors {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Answers>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Puts `fold` in the place of the live one.
    pub(crate) async fn put(&self, fold: Answers) {
        // The task ends with the process.
        let _ = self.0.send(fold).await;
    }
}

/// What a process begins with: sealed states of this ledger, or nothing.
pub(crate) struct Start {
    pub(crate) store: Arc<Store>,
    pub(crate) fold: Answers,
    sealed_states: u64,
}

impl Start {
    /// Opens what was sealed in `directory`, if it is whole and of this ledger; a file that is not is removed, for it can
    /// be made again. A ledger that is away is waited for.
    ///
    /// # Errors
    ///
    /// The ledger is damaged.
    pub(crate) async fn open(
        directory: Option<&Path>,
        ledger: &dyn Ledger,
        reporter: &Arc<Reporter>,
    ) -> Result<Self, ReadError> {
        let Some(path) = directory.map(|directory| directory.join(FILE)) else { return Ok(Self::empty(reporter)) };
        let opened = tokio::task::spawn_blocking(move || (Sealed::open(&path), path)).await;
        let Ok((sealed, path)) = opened else { return Ok(Self::empty(reporter)) };
        let reason = match sealed {
            Ok(sealed) => match attached::read(&sealed) {
                Some((head, digest)) => {
                    let at = Checkpoint::start(0).after(head.epoch, head.revision, head.hash, digest);
                    let belongs = loop {
                        match checkpoint::belongs(ledger, &at).await {
                            Err(ReadError::Unavailable(error)) => {
                                tracing::warn!(%error, "waiting for the ledger");
                                tokio::time::sleep(RETRY).await;
                            }
                            told => break told?,
                        }
                    };
                    if belongs {
                        tracing::info!(revision = head.revision.0, "answers go on from what was sealed");
                        return Ok(Self::of(&sealed, head, digest, reporter));
                    }
                    "it is of another ledger".to_owned()
                }
                None => "it is of another form".to_owned(),
            },
            Err(SealError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::empty(reporter));
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(reason, "what was sealed is not used and removed");
        // If it cannot be removed it is not used the next time either.
        let _ = std::fs::remove_file(&path);
        Ok(Self::empty(reporter))
    }

    pub(crate) fn empty(reporter: &Arc<Reporter>) -> Self {
        let (store, writer) = Store::new();
        Self { store, fold: Answers::new(writer, SharedHead::default(), reporter.clone()), sealed_states: 0 }
    }

    fn of(sealed: &Arc<Sealed>, head: HeadState, digest: Digest, reporter: &Arc<Reporter>) -> Self {
        let (store, writer) = Store::open(sealed);
        let fold = Answers::going_on(writer, head, digest, reporter.clone());
        Self { store, fold, sealed_states: sealed.states() }
    }

    /// A fold aside, whose progress nobody watches.
    pub(crate) fn aside() -> (Arc<Reporter>, Watcher) {
        let (reporter, watcher) = Reporter::new(ViewName::Answers);
        (Arc::new(reporter), watcher)
    }
}

/// Seals the answers whenever the fold asks for it.
pub(crate) struct Sealing {
    pub(crate) seal: Seal,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// The store that readers look into.
    pub(crate) live: Arc<Store>,
    pub(crate) answers: Watcher,
    pub(crate) successors: Successors,
    /// Told the revision that is sealed.
    pub(crate) sealed: watch::Sender<Revision>,
}

impl Seal {
    fn enough(&self, sealed_states: u64) -> u64 {
        self.changes.max(sealed_states / 4)
    }
}

impl Sealing {
    /// Makes `start` ask for sealing, and gives the task that does it.
    pub(crate) fn begin(self, start: &mut Start) -> impl Future<Output = ()> + use<> {
        let (requests, mut asked) = mpsc::channel(1);
        let trigger =
            Trigger { requests, is_busy: Arc::default(), changes: 0, enough: self.seal.enough(start.sealed_states) };
        start.fold.trigger = Some(trigger.clone());
        async move {
            while let Some(snapshot) = asked.recv().await {
                let revision = snapshot.head.revision;
                match self.seal(snapshot, &trigger).await {
                    Ok(()) => {
                        tracing::info!(revision = revision.0, "answers sealed");
                        self.sealed.send_replace(revision);
                    }
                    // The next try comes with the next changes.
                    Err(error) => tracing::warn!(error, revision = revision.0, "sealing the answers"),
                }
                trigger.is_busy.store(false, Ordering::Relaxed);
            }
        }
    }

    async fn seal(&self, snapshot: Snapshot, trigger: &Trigger) -> Result<(), String> {
        let (live, path) = (self.live.clone(), self.seal.directory.join(FILE));
        let sealed = tokio::task::spawn_blocking(move || -> Result<_, SealError> {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            let Snapshot { head, digest } = snapshot;
            live.seal(head.revision.into(), &path, |out| attached::write(&head, digest, out))?;
            Sealed::open(&path)
        });
        let sealed = sealed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let (head, digest) = attached::read(&sealed).ok_or("what was attached cannot be read")?;
        let (reporter, _) = Start::aside();
        let Start { mut fold, sealed_states, .. } = Start::of(&sealed, head, digest, &reporter);
        let upto = self.answers.now().revision;
        follow_to(&*self.ledger, fold.at(), upto, &mut fold, &reporter).await?;
        fold.trigger = Some(Trigger { changes: 0, enough: self.seal.enough(sealed_states), ..trigger.clone() });
        self.successors.put(fold).await;
        Ok(())
    }
}

/// Folds the ledger into the answers until `token` stops it; whenever a successor is there, that one goes on.
pub(crate) async fn keep_answers(
    start: Start,
    ledger: Arc<dyn Ledger>,
    mut successors: mpsc::Receiver<Answers>,
    reporter: Arc<Reporter>,
    token: CancellationToken,
) {
    let Start { store, mut fold, .. } = start;
    fold.report();
    loop {
        let (at, successor) = (fold.at(), successors.recv());
        let Some(next) = follow_until(&*ledger, at, &mut fold, &reporter, &token, successor).await else { return };
        let Some(mut next) = next else {
            return follow(&*ledger, fold.at(), &mut fold, &reporter, &token).await;
        };
        let caught_up = follow_to(&*ledger, next.at(), fold.at(), &mut next, &reporter);
        match token.run_until_cancelled(caught_up).await {
            Some(Ok(())) => {
                next.take_over(&mut fold, &store);
                let old = std::mem::replace(&mut fold, next);
                std::thread::spawn(move || old.retire());
            }
            Some(Err(error)) => tracing::warn!(error, "the answers keep their fold"),
            None => return reporter.condition(Condition::Stopped),
        }
    }
}
