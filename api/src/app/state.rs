//! What handlers share: the store, the ledger, the views, and how a node reads, commits and proves.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use conn3ction_dns::{Secondaries, Store, View, server::Counters};
use conn3ction_ledger::{
    Event, Ledger, ReadError,
    committer::{Handle as CommitterHandle, Outcome, SubmitError},
};
use conn3ction_projector::{Claim, Condition, Handle as Views, Replay, ViewName};
use conn3ction_schemas::{
    Actor, Delta, Epoch, Name, Revision, Serial, Token,
    event::{Auth, Hash, Idempotency, chunk},
    json,
};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    auth::TokenFile,
    decide::{Command, Envelope, Intent, Live, Refusal, RefusalKind, command::NewZone, decider::Decisions},
    headers::Headers,
    http::{
        self,
        problem::{Problem, ProblemKind},
        request::Caller,
        writing::Answer,
    },
    import::{self, Mode},
    moment::{Closed, Place},
    past::Importing,
    plan,
    proof::{self, Anchor, Progress},
};

/// How long a write waits for the answers to show it before it answers all the same.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// How often the ledger is asked where its head is, so that lag and absence are known.
const HEAD_EVERY: Duration = Duration::from_secs(1);

/// What a node says of itself.
#[derive(Debug)]
pub(crate) struct About {
    /// Its role's name.
    pub(crate) role: &'static str,
    /// The name of its ledger's kind.
    pub(crate) ledger: &'static str,
    /// Where it answers DNS.
    pub(crate) dns: Vec<SocketAddr>,
    /// The moment as of which it does so for ever.
    pub(crate) at: OnceLock<Place>,
}

/// What handlers share.
pub struct NodeState {
    pub(crate) about: About,
    /// The answers at every version.
    pub store: Arc<Store>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The views and how far they are.
    pub views: Views,
    /// Bearer tokens, if a token file is set.
    pub(crate) tokens: Option<Arc<TokenFile>>,
    /// Requests may name any host; else only this machine by address or as localhost.
    pub(crate) any_host: bool,
    /// The views in etcd, also where another process writes them.
    #[cfg(feature = "etcd")]
    pub(super) etcd: Option<conn3ction_projector::EtcdConfig>,
    /// Ends streams and tasks.
    pub stop: CancellationToken,
    pub(crate) committer: CommitterHandle<Decisions<Views>>,
    /// The zones whose past is being taken in.
    pub(crate) importing: Importing,
    /// How far the past is final.
    pub(crate) closed: std::sync::Mutex<Closed>,
    /// Headers of events that were asked for.
    pub(crate) headers: Headers,
    pub(super) dns: Option<Arc<Counters>>,
    pub(super) secondaries: Option<Arc<Secondaries>>,
    pub(super) head: AtomicU64,
    pub(super) caught_up: AtomicBool,
    pub(super) ledger_fault: std::sync::Mutex<Option<String>>,
    /// When the ledger answered last.
    pub(super) ledger_seen: std::sync::Mutex<Instant>,
    pub(super) data: std::path::PathBuf,
}

impl NodeState {
    /// Waits until the answers show the head that the ledger has at the start.
    pub(super) async fn catch_up(&self) -> anyhow::Result<()> {
        let head = loop {
            match self.ledger.head().await {
                Ok(head) => break head.revision,
                Err(error @ ReadError::Unavailable(_)) => {
                    tracing::warn!(error = %http::writing::chain(&error), "waiting for the ledger");
                    tokio::time::sleep(HEAD_EVERY).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.saw_head(head);
        self.views.reached(ViewName::Answers, head).await?;
        self.caught_up.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes the zones of a first start, so that the documented first request works at once.
    pub(super) async fn create_first_zones(self: &Arc<Self>, zones: &[Name]) -> anyhow::Result<()> {
        if self.revision() != Revision::ZERO {
            return Ok(());
        }
        for zone in zones {
            let envelope = Envelope {
                event_id: Uuid::now_v7(),
                actor: Actor { name: "conn3ction".into(), auth: Auth::None },
                source: "first-start".into(),
                request_id: Uuid::now_v7().to_string(),
                idempotency: None,
                reason: Some("first start with an empty ledger".into()),
                expected_revision: None,
            };
            let new = NewZone { name: zone.clone(), nameservers: Vec::new(), contact: None, ttl: None };
            match self.submit(Command { envelope, intent: Intent::CreateZone(new) }).await {
                Ok(outcome) => {
                    if let Outcome::Committed(event) = outcome {
                        self.views.reached(ViewName::Answers, event.revision()).await?;
                    }
                }
                // Another process was first.
                Err(SubmitError::Refused(refusal)) if refusal.kind == RefusalKind::ZoneExists => {}
                Err(SubmitError::Refused(refusal)) => return Err(refusal.into()),
                Err(error) => anyhow::bail!("creating {zone}: {}", http::writing::chain(&error)),
            }
        }
        Ok(())
    }

    pub(super) async fn watch_head(&self) {
        loop {
            tokio::time::sleep(HEAD_EVERY).await;
            let fault = match self.ledger.head().await {
                Ok(head) => {
                    self.saw_head(head.revision);
                    self.saw_closed(&head);
                    *self.ledger_seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
                    None
                }
                Err(error) => Some(http::writing::chain(&error)),
            };
            *self.ledger_fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = fault;
        }
    }

    /// How long the ledger has not answered, if it does not: what is shown may be that old.
    pub fn stale(&self) -> Option<Duration> {
        self.ledger_fault()?;
        Some(self.ledger_seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed())
    }

    /// The secondaries of `zone`, and how far each is.
    pub fn secondaries(&self, zone: &Name) -> Vec<json::Secondary> {
        let all = self.secondaries.as_ref().map(|secondaries| secondaries.of(zone)).unwrap_or_default();
        let shape = |(address, serial): (SocketAddr, Option<Serial>)| json::Secondary {
            address: address.to_string(),
            serial: serial.map(|serial| serial.0),
        };
        all.into_iter().map(shape).collect()
    }

    fn saw_head(&self, revision: Revision) {
        self.head.fetch_max(revision.0, Ordering::Relaxed);
    }

    /// The last revision of the ledger that this node knows of.
    pub fn head_known(&self) -> Revision {
        Revision(self.head.load(Ordering::Relaxed)).max(self.revision())
    }

    /// The revision that answers show.
    pub fn revision(&self) -> Revision {
        self.store.published().into()
    }

    /// The ledger's life.
    pub fn epoch(&self) -> Epoch {
        self.views.head_state().read().epoch
    }

    /// A revision as headers print it.
    pub fn token(&self, revision: Revision) -> Token {
        Token { epoch: self.epoch(), revision }
    }

    /// Why this node should not be sent traffic; empty if it should.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.caught_up.load(Ordering::Acquire) {
            reasons.push("the answers have not caught up with the ledger yet".into());
        }
        for (view, progress) in self.views.status() {
            if let Condition::Held(detail) | Condition::Damaged(detail) = &progress.condition {
                reasons.push(format!("{view}: {detail}"));
            }
        }
        reasons
    }

    /// Why the ledger does not answer, if it does not.
    pub fn ledger_fault(&self) -> Option<String> {
        self.ledger_fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Waits until the answers show `revision`, at most `limit`; whether they do.
    pub async fn reached(&self, revision: Revision, limit: Duration) -> bool {
        self.revision() >= revision || tokio::time::timeout(limit, self.store.reached(revision.into())).await.is_ok()
    }

    /// Waits until every view but `except` shows `revision`, at most `limit`; whether they do.
    pub async fn all_views_reached(&self, revision: Revision, except: Option<ViewName>, limit: Duration) -> bool {
        let all = async {
            for (view, _) in self.views.status().into_iter().filter(|(view, _)| Some(*view) != except) {
                if self.views.reached(view, revision).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, all).await.unwrap_or(false)
    }

    /// Waits until the answers show what was just committed.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::NotCaughtUp`]; it is committed all the same.
    pub async fn shown(&self, revision: Revision) -> Result<(), Problem> {
        if self.reached(revision, SHOWN_WITHIN).await {
            return Ok(());
        }
        Err(Problem::new(ProblemKind::NotCaughtUp, format!("{revision} is committed, but not shown yet")))
    }

    /// One event.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::EventNotFound`], or the ledger cannot be read.
    pub async fn event(&self, revision: Revision) -> Result<Arc<Event>, Problem> {
        let missing = || Problem::new(ProblemKind::EventNotFound, format!("the ledger has no event {revision}"));
        let before = Revision(revision.0.checked_sub(1).ok_or_else(missing)?);
        self.read_events(before, 1).await?.into_iter().next().ok_or_else(missing)
    }

    /// Events after `after`, at most `octets` of them, at least one.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub async fn read_events(&self, after: Revision, octets: usize) -> Result<Vec<Arc<Event>>, Problem> {
        self.ledger.read(after, octets).await.map_err(|error| self.read_fault(&error))
    }

    /// A read that failed, as clients are told.
    pub fn read_fault(&self, error: &ReadError) -> Problem {
        tracing::warn!(error = %http::writing::chain(error), "reading the ledger");
        let kind = match error {
            ReadError::Unavailable(_) => ProblemKind::LedgerUnavailable,
            ReadError::Damaged { .. } | ReadError::Form { .. } => ProblemKind::Internal,
        };
        Problem::new(kind, http::writing::chain(error))
    }

    /// The deltas of an event, chunk by chunk.
    pub fn deltas(
        self: &Arc<Self>,
        event: Arc<Event>,
    ) -> impl Stream<Item = Result<Vec<Delta>, Problem>> + Send + Unpin + use<> {
        let node = self.clone();
        let chunks = self.ledger.body(event).map(move |chunk| {
            let chunk = chunk.map_err(|error| node.read_fault(&error))?;
            let deltas: Result<Vec<_>, _> = chunk::deltas(&chunk).collect();
            deltas.map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))
        });
        Box::pin(chunks)
    }

    /// Commits a command; a large one is planned and staged first.
    ///
    /// # Errors
    ///
    /// [`SubmitError`].
    pub async fn submit(&self, command: Command) -> Result<Outcome, SubmitError<Refusal>> {
        let outcome = plan::submit(&self.committer, &self.ledger, &self.store, command).await;
        self.note(&outcome);
        outcome
    }

    /// Commits what was planned already.
    ///
    /// # Errors
    ///
    /// [`SubmitError`].
    pub async fn submit_planned(&self, command: Arc<Command>) -> Result<Outcome, SubmitError<Refusal>> {
        let outcome = self.committer.submit(command).await;
        self.note(&outcome);
        outcome
    }

    pub(crate) fn note(&self, outcome: &Result<Outcome, SubmitError<Refusal>>) {
        if let Ok(Outcome::Committed(event)) = outcome {
            self.saw_head(event.revision());
        }
    }

    /// What a command would do.
    ///
    /// # Errors
    ///
    /// The refusal that it would meet.
    pub async fn plan(self: &Arc<Self>, command: Command) -> Result<json::Plan, Problem> {
        let node = self.clone();
        let planned =
            tokio::task::spawn_blocking(move || plan::plan(&Live::new(node.store.now()), node.epoch(), &command));
        match planned.await {
            Ok(plan) => plan.map_err(Problem::from),
            Err(error) => Err(Problem::new(ProblemKind::Internal, error.to_string())),
        }
    }

    /// Takes in a master file, or plans it.
    ///
    /// # Errors
    ///
    /// Every fault of the file with line and column; those of any write.
    pub async fn import(
        self: &Arc<Self>,
        caller: Caller,
        apex: Name,
        mode: Mode,
        file: std::fs::File,
        digest: Hash,
        dry_run: bool,
    ) -> Result<(Answer, Vec<json::Warning>), Problem> {
        caller.ensure_not_create_only()?;
        let expected_revision =
            caller.if_match.map(|token| http::reading::revision(self, &token.to_string())).transpose()?;
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            actor: caller.actor,
            source: caller.source.unwrap_or_else(|| "import".into()),
            request_id: caller.request_id,
            idempotency: caller.idempotency_key.map(|key| Idempotency { key, digest }),
            reason: caller.reason,
            expected_revision,
        };
        let internal = |error: tokio::task::JoinError| Problem::new(ProblemKind::Internal, error.to_string());
        let read = tokio::task::spawn_blocking(move || import::read(&apex, mode, file));
        let incoming = Arc::new(read.await.map_err(internal)??);
        if dry_run {
            let node = self.clone();
            let planned =
                tokio::task::spawn_blocking(move || import::plan(node.store.now(), node.epoch(), &envelope, &incoming));
            return Ok((Answer::Plan(Box::new(planned.await.map_err(internal)??)), Vec::new()));
        }
        let mut warnings = Vec::new();
        let outcome =
            import::submit(&self.committer, &self.ledger, &self.store, &envelope, incoming, &mut warnings).await;
        self.note(&outcome);
        Ok((http::writing::answer(self, outcome).await?, warnings))
    }

    /// A file without a name for a body on its way.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn scratch_file(&self) -> std::io::Result<std::fs::File> {
        if self.data.is_dir() { tempfile::tempfile_in(&self.data) } else { tempfile::tempfile() }
    }

    /// The responder's counters, if this node answers DNS.
    pub fn dns_counters(&self) -> Option<&Counters> {
        self.dns.as_deref()
    }

    /// Walks the chain, which must pass through `anchors`, and holds every view against a fold of the ledger from nothing.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read now; damage is an answer, not an error.
    pub async fn verify(&self, anchors: &[Anchor], progress: &Progress) -> Result<json::VerifyJson, Problem> {
        let verified = proof::verify(&*self.ledger, anchors, self.claims(), progress).await;
        verified.map_err(|error| self.read_fault(&error))
    }

    /// Builds every view anew up to the event `to`, aside, and holds it against what is shown of that moment.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read now, or the disk not be written.
    pub async fn replay(&self, to: Revision, progress: &Progress) -> Result<json::ReplayJson, Problem> {
        // The fold would wait for a ledger that is away; who asks is told.
        self.ledger.head().await.map_err(|error| self.read_fault(&error))?;
        let internal = |detail: String| Problem::new(ProblemKind::Internal, detail);
        let scratch = if self.data.is_dir() { tempfile::tempdir_in(&self.data) } else { tempfile::tempdir() };
        let scratch = scratch.map_err(|error| internal(error.to_string()))?;
        #[cfg(feature = "etcd")]
        let etcd = self.etcd.clone();
        let keys = move |_replay: &Replay, _live: &View| {
            #[cfg(feature = "etcd")]
            if let Some(etcd) = etcd {
                // Whether the prefixes are apart was settled at the start.
                return etcd.against(_replay, _live).unwrap_or_default();
            }
            Vec::new()
        };
        let live = self.store.at(to.into());
        let replayed = proof::replay(&*self.ledger, to, scratch.path(), live, keys, progress).await;
        replayed.map_err(internal)
    }

    /// What each view says and holds: those of this process, and those in etcd whoever writes them.
    async fn claims(&self) -> Vec<Claim> {
        #[cfg_attr(not(feature = "etcd"), expect(unused_mut, reason = "only those in etcd are added"))]
        let mut claims = self.views.claims().await;
        #[cfg(feature = "etcd")]
        if let Some(etcd) = &self.etcd {
            claims.extend(etcd.claims().await);
        }
        claims
    }
}
