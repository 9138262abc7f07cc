//! A node: build, spawn, drain.

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use conn3ction_dns::{Secondaries, Server, Store, View, server::Counters};
use conn3ction_ledger::{
    Event, Ledger, ReadError,
    committer::{Committer, Handle as CommitterHandle, Outcome, SubmitError},
    memory::MemoryLedger,
};
use conn3ction_projector::{
    Claim, Condition, Config as ViewsConfig, Handle as Views, Projector, Replay, Seal, ViewName,
};
use conn3ction_schemas::{
    Actor, Delta, Epoch, Name, Revision, Serial, Timestamp, Token,
    event::{Auth, Hash, Idempotency, chunk},
    json,
};
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    auth::Tokens,
    config::{Config, LedgerKind, LogFormat, Role, Settings},
    decide::{Command, Envelope, Intent, Live, Refusal, RefusalKind, command::NewZone, decider::Decisions},
    headers::Headers,
    http::{
        self,
        problem::{Problem, ProblemKind},
        request::Caller,
        writing::Answer,
    },
    import::{self, Mode},
    moment::Closed,
    past::Importing,
    plan,
    proof::{self, Anchor, Progress},
    responder,
};

/// How long a write waits for the answers to show it before it answers all the same.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// Answers are sealed after so many changes: what a restart has to fold takes well under a second.
const SEAL_CHANGES: u64 = 100_000;
/// How often the ledger is asked where its head is, so that lag and absence are known.
const HEAD_EVERY: Duration = Duration::from_secs(1);

/// What handlers share.
pub struct NodeState {
    /// The answers at every version.
    pub store: Arc<Store>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The views and how far they are.
    pub views: Views,
    /// Bearer tokens, if a token file is set.
    pub(crate) tokens: Option<Tokens>,
    /// Requests may name any host; else only this machine by address or as localhost.
    pub(crate) any_host: bool,
    /// The views in etcd, also where another process writes them.
    #[cfg(feature = "etcd")]
    etcd: Option<conn3ction_projector::EtcdConfig>,
    /// Ends streams and tasks.
    pub stop: CancellationToken,
    pub(crate) committer: CommitterHandle<Decisions<Views>>,
    /// The zones whose past is being taken in.
    pub(crate) importing: Importing,
    /// How far the past is final.
    pub(crate) closed: std::sync::Mutex<Closed>,
    /// Headers of events that were asked for.
    pub(crate) headers: Headers,
    dns: Option<Arc<Counters>>,
    secondaries: Option<Arc<Secondaries>>,
    head: AtomicU64,
    caught_up: AtomicBool,
    ledger_fault: std::sync::Mutex<Option<String>>,
    /// When the ledger answered last.
    ledger_seen: std::sync::Mutex<Instant>,
    data: std::path::PathBuf,
}

/// A running node.
pub struct Node {
    state: Arc<NodeState>,
    http: Option<SocketAddr>,
    dns: Vec<SocketAddr>,
    tasks: TaskTracker,
}

/// `conn3ction serve`: runs a node until SIGINT or SIGTERM, then drains it.
///
/// # Errors
///
/// Whatever kept the node from starting; every fault of the settings together.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let config = settings.with_file().map_err(|fault| anyhow::anyhow!("{fault}"))?.check().map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the settings are faulty:\n  {}", faults.join("\n  "))
    })?;
    log(config.log_format);
    let stop = CancellationToken::new();
    let node = Node::start(config, stop.clone()).await?;
    if let Some(address) = node.http {
        tracing::info!(%address, "HTTP listens");
    }
    for address in &node.dns {
        tracing::info!(%address, "DNS listens");
    }
    tracing::info!("the node runs");
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    node.stopped().await;
    Ok(())
}

fn log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

impl Node {
    /// Starts a node of `config`; it runs until `stop`.
    ///
    /// # Errors
    ///
    /// A port, the ledger or a file cannot be had.
    pub async fn start(config: Config, stop: CancellationToken) -> anyhow::Result<Self> {
        let tokens = config.tokens.as_deref().map(Tokens::load).transpose().map_err(|fault| anyhow::anyhow!(fault))?;
        let tasks = TaskTracker::new();
        let ledger = open(&config, &tasks, &stop).await?;
        let views = (config.ledger != LedgerKind::Memory).then(|| config.data.join("views"));
        #[cfg(feature = "etcd")]
        let etcd = etcd_views(&config).await?;
        let kept = ViewsConfig {
            records: views.as_ref().map(|views| views.join("records")),
            seal: views.map(|directory| Seal { directory, changes: SEAL_CHANGES }),
            #[cfg(feature = "etcd")]
            etcd: etcd.clone().filter(|_| matches!(config.role, Role::All | Role::Projector)),
        };
        let views = Projector::spawn(kept, ledger.clone(), stop.clone()).await?;
        let store = views.store().clone();
        let clock = Timestamp::now;
        let importing = Importing::default();
        let (committer, committing) =
            Committer::spawn(ledger.clone(), Decisions::beside(views.clone(), importing.clone()), clock, stop.clone());
        tasks.spawn(async move {
            if let Err(error) = committing.await {
                tracing::error!(%error, "the committer ended");
            }
        });

        let answers = matches!(config.role, Role::All | Role::Dns) && !config.dns_listen.is_empty();
        let mut server = if answers { Some(responder::bind(&config, store.clone(), &views)?) } else { None };
        let dns = server.as_ref().map(Server::addresses).unwrap_or_default();
        let state = Arc::new(NodeState {
            store,
            ledger,
            views,
            #[cfg(feature = "etcd")]
            etcd,
            tokens,
            any_host: config.any_host,
            stop: stop.clone(),
            committer,
            importing,
            closed: std::sync::Mutex::default(),
            headers: Headers::default(),
            dns: server.as_ref().map(Server::counters),
            secondaries: server.as_ref().map(Server::secondaries),
            head: AtomicU64::new(0),
            caught_up: AtomicBool::new(false),
            ledger_fault: std::sync::Mutex::new(None),
            ledger_seen: std::sync::Mutex::new(Instant::now()),
            data: config.data.clone(),
        });
        state.catch_up().await?;
        if let (Some(server), Some(when)) = (&mut server, config.at) {
            server.pin(state.moment(when)?.view);
        }
        if matches!(config.role, Role::All | Role::Api) && config.at.is_none() {
            state.create_first_zones(&config.zones).await?;
        }
        if let Some(server) = server {
            let stop = stop.clone();
            tasks.spawn(async move {
                if let Err(error) = server.run(stop.clone()).await {
                    tracing::error!(%error, "the responder ended");
                    stop.cancel();
                }
            });
        }
        let http = match config.http_listen {
            Some(wanted) => {
                let listener =
                    TcpListener::bind(wanted).await.with_context(|| format!("listening on {wanted} (http-listen)"))?;
                let address = listener.local_addr()?;
                let routes = match config.role {
                    Role::All | Role::Api => http::router(state.clone()),
                    Role::Projector | Role::Dns => http::watching(state.clone()),
                };
                tasks.spawn(http::serve(listener, routes, stop.clone()));
                Some(address)
            }
            None => None,
        };
        let watching = state.clone();
        tasks.spawn(async move { stop.run_until_cancelled(watching.watch_head()).await });
        tasks.close();
        Ok(Self { state, http, dns, tasks })
    }

    /// Serves a ledger directory that no server holds, on a free loopback port, without DNS.
    ///
    /// # Errors
    ///
    /// As [`Node::start`]; the directory holds no ledger.
    pub async fn offline(directory: &Path, stop: CancellationToken) -> anyhow::Result<Self> {
        anyhow::ensure!(directory.join("ledger").is_dir(), "{} holds no ledger", directory.display());
        let settings = Settings {
            http_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            dns_listen: Some(Vec::new()),
            ledger: Some(LedgerKind::File),
            data: Some(directory.into()),
            zones: Some(Vec::new()),
            ..Settings::default()
        };
        let config = settings.check().map_err(|faults| anyhow::anyhow!("{}", faults[0]))?;
        Self::start(config, stop).await
    }

    /// Where HTTP listens; unspecified if it does not.
    pub fn http_address(&self) -> SocketAddr {
        self.http.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Where DNS listens.
    pub fn dns_addresses(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// Waits until every task has ended after the stop.
    pub async fn stopped(self) {
        self.tasks.wait().await;
        self.state.views.stopped().await;
    }
}

/// The ledger; what it needs done from time to time runs in `tasks` until `stop`.
#[cfg_attr(not(feature = "etcd"), expect(unused_variables, reason = "only etcd needs anything done"))]
pub(crate) async fn open(
    config: &Config,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<Arc<dyn Ledger>> {
    Ok(match config.ledger {
        LedgerKind::Memory => Arc::new(MemoryLedger::new()),
        LedgerKind::File => {
            let directory = config.data.join("ledger");
            std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
            let opened = tokio::task::spawn_blocking(move || conn3ction_ledger::file::FileLedger::open(&directory));
            Arc::new(opened.await??)
        }
        #[cfg(feature = "etcd")]
        LedgerKind::Etcd => {
            let etcd = config.etcd.as_ref().context("no etcd endpoints")?;
            let settings = conn3ction_ledger::etcd::EtcdConfig {
                client: etcd.client(),
                prefix: format!("{}/", etcd.ledger_prefix),
                ..conn3ction_ledger::etcd::EtcdConfig::default()
            };
            let ledger = conn3ction_ledger::etcd::EtcdLedger::connect(settings).await?;
            if matches!(config.role, Role::All | Role::Api) {
                let sweeping = stop.clone().run_until_cancelled_owned(crate::sweep::sweep(ledger.clone()));
                tasks.spawn(sweeping);
            }
            Arc::new(ledger)
        }
        #[cfg(not(feature = "etcd"))]
        LedgerKind::Etcd => anyhow::bail!("this build has no etcd support"),
    })
}

/// The views in etcd: where they are, whether this process writes them or not.
#[cfg(feature = "etcd")]
pub(crate) async fn etcd_views(config: &Config) -> anyhow::Result<Option<conn3ction_projector::EtcdConfig>> {
    let Some(etcd) = &config.etcd else { return Ok(None) };
    Ok(Some(conn3ction_projector::EtcdConfig {
        client: conn3ction_ledger::etcd::Client::new(etcd.client()).await?,
        records_prefix: etcd.records_prefix.clone(),
        zones_prefix: etcd.zones_prefix.clone(),
        ledger_prefix: etcd.ledger_prefix.clone(),
        large_zones: etcd.large_zones.clone(),
    }))
}

impl NodeState {
    /// Waits until the answers show the head that the ledger has at the start.
    async fn catch_up(&self) -> anyhow::Result<()> {
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
    async fn create_first_zones(self: &Arc<Self>, zones: &[Name]) -> anyhow::Result<()> {
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

    async fn watch_head(&self) {
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

    /// Waits until every view shows `revision`, at most `limit`; whether they do.
    pub async fn all_views_reached(&self, revision: Revision, limit: Duration) -> bool {
        let all = async {
            for (view, _) in self.views.status() {
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
    ) -> Result<Answer, Problem> {
        let expected_revision =
            caller.if_match.map(|token| http::reading::revision(self, &token.to_string())).transpose()?;
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            actor: caller.actor,
            source: "import".into(),
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
            return Ok(Answer::Plan(Box::new(planned.await.map_err(internal)??)));
        }
        let outcome = import::submit(&self.committer, &self.ledger, &self.store, &envelope, incoming).await;
        self.note(&outcome);
        http::writing::answer(self, outcome).await
    }

    /// A file without a name for a body on its way.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn scratch_file(&self) -> std::io::Result<std::fs::File> {
        if self.data.is_dir() { tempfile::tempfile_in(&self.data) } else { tempfile::tempfile() }
    }

    /// The responder's counters: name, help, value.
    pub fn dns_counters(&self) -> Option<Vec<(&'static str, &'static str, u64)>> {
        let counts = self.dns.as_ref()?.snapshot();
        Some(vec![
            ("udp_queries", "Messages received over UDP", counts.udp.queries),
            ("udp_truncated", "UDP answers with TC set", counts.udp.truncated),
            ("udp_dropped", "UDP messages left without an answer", counts.udp.dropped),
            ("udp_received_bytes", "Octets of UDP messages that were answered", counts.udp.octets_in),
            ("udp_sent_bytes", "Octets of UDP answers", counts.udp.octets_out),
            ("tcp_queries", "Messages received over TCP, transfers not included", counts.tcp.queries),
            ("tcp_dropped", "TCP messages left without an answer", counts.tcp.dropped),
            ("tcp_accepted", "TCP connections taken", counts.tcp_accepted),
            ("tcp_evicted", "TCP connections closed to make room for others", counts.tcp_evicted),
            ("transfers", "Whole zones sent", counts.transfers),
            ("transfers_refused", "Transfers refused by address", counts.transfers_refused),
            ("notifies", "NOTIFY messages sent", counts.notifies),
            ("notifies_confirmed", "NOTIFY messages that a secondary confirmed", counts.notifies_confirmed),
        ])
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
