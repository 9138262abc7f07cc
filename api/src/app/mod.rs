//! A node: build, spawn, drain.

mod log;
mod state;

use std::{
    convert::Infallible,
    io::IsTerminal,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Instant,
};

use anyhow::Context;
use conn3ction_dns::Server;
use conn3ction_ledger::{Ledger, committer::Committer, file::FileLedger, memory::MemoryLedger};
use conn3ction_projector::{Config as ViewsConfig, Projector, Seal};
use conn3ction_schemas::Timestamp;
use futures::{FutureExt, future};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::state::About;
pub use self::state::NodeState;
use crate::{
    at_once::at_once,
    auth::TokenFile,
    config::{Config, LedgerKind, Role, Settings},
    decide::decider::Decisions,
    headers::Headers,
    http,
    past::Importing,
    responder,
};

/// A running node.
pub struct Node {
    pub(crate) state: Arc<NodeState>,
    http: Option<SocketAddr>,
    dns: Vec<SocketAddr>,
    tasks: TaskTracker,
}

/// Settings that no node runs with; all their faults.
#[derive(Debug, thiserror::Error)]
#[error("the settings are faulty:\n  {0}")]
pub struct FaultySettings(pub(crate) String);

/// `conn3ction serve`: runs a node until SIGINT or SIGTERM, then drains it. SIGHUP reads the token file again; with none it
/// ends only what a terminal runs.
///
/// # Errors
///
/// Whatever kept the node from starting; every fault of the settings together.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut faults = crate::config::faults_of_environment();
    let resolved = settings.resolve().map_err(|found| faults.extend(found));
    let config = resolved.ok().filter(|_| faults.is_empty()).ok_or_else(|| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        FaultySettings(faults.join("\n  "))
    })?;
    log::begin(config.log_format);
    // From the beginning on: who is told to reload while it starts must not end. Without tokens only a terminal that is closed
    // ends a node.
    let reloads = config.tokens.is_some() || !std::io::stdin().is_terminal();
    let hangup = reloads.then(|| signal(SignalKind::hangup())).transpose()?;
    let stop = CancellationToken::new();
    let node = Node::start(config, stop.clone()).await?;
    if let Some(address) = node.http {
        tracing::info!(%address, "HTTP listens");
    }
    for address in &node.dns {
        tracing::info!(%address, "DNS listens");
    }
    tracing::info!("the node runs");
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
        never = reread_tokens(&node.state, hangup) => match never {},
    }
    tracing::info!("stopping");
    stop.cancel();
    node.stopped().await;
    Ok(())
}

/// Reads the token file again whenever the process is told to hang up.
async fn reread_tokens(node: &NodeState, hangup: Option<Signal>) -> Infallible {
    let (Some(mut hangup), Some(tokens)) = (hangup, &node.tokens) else { return std::future::pending().await };
    loop {
        hangup.recv().await;
        let tokens = tokens.clone();
        // Nobody waits for it: a file may lie where reading hangs.
        std::thread::spawn(move || match tokens.reread() {
            Ok(count) => tracing::info!(count, "the token file was read again"),
            Err(fault) => tracing::error!(%fault, "the tokens of before stay in force"),
        });
    }
}

impl Node {
    /// Starts a node of `config`; it runs until `stop`.
    ///
    /// # Errors
    ///
    /// A port, the ledger or a file cannot be had.
    pub async fn start(config: Config, stop: CancellationToken) -> anyhow::Result<Self> {
        let tasks = TaskTracker::new();
        let ledger = open(&config, &tasks, &stop).await?;
        Self::over(ledger, true, config, tasks, stop).await
    }

    /// Starts a node over `ledger`.
    async fn over(
        ledger: Arc<dyn Ledger>,
        keeps_records: bool,
        config: Config,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let tokens =
            config.tokens.as_deref().map(TokenFile::open).transpose().map_err(|fault| anyhow::anyhow!(fault))?;
        let views = (config.ledger != LedgerKind::Memory).then(|| config.data.join("views"));
        #[cfg(feature = "etcd")]
        let etcd = etcd_views(&config).await?;
        let kept = ViewsConfig {
            records: views.as_ref().filter(|_| keeps_records).map(|views| views.join("records")),
            seal: views.map(|directory| Seal { directory, changes: config.hot_floor }),
            #[cfg(feature = "etcd")]
            etcd: etcd.clone().filter(|_| matches!(config.role, Role::All | Role::Projector)),
        };
        let (views, answering) = Projector::begin(kept, ledger.clone(), stop.clone()).await?;
        let store = views.store().clone();
        let clock = Timestamp::now;
        let importing = Importing::default();
        let (committer, committing) =
            Committer::begin(ledger.clone(), Decisions::beside(views.clone(), importing.clone()), clock, stop.clone());
        // Each waits for the other whenever something is written: as one task they need no worker to be woken for that.
        let both = future::join(to_its_end("the committer", committing), to_its_end("the answers", answering));
        tasks.spawn(at_once(both));

        let answers = matches!(config.role, Role::All | Role::Dns) && !config.dns_listen.is_empty();
        let mut server = if answers { Some(responder::bind(&config, store.clone(), &views)?) } else { None };
        let dns = server.as_ref().map(Server::addresses).unwrap_or_default();
        let (role, ledger_kind) = (config.role.name(), config.ledger.name());
        let about = About { role, ledger: ledger_kind, dns: dns.clone(), at: OnceLock::new() };
        let state = Arc::new(NodeState {
            about,
            store,
            ledger,
            views,
            #[cfg(feature = "etcd")]
            etcd,
            tokens: tokens.map(Arc::new),
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
            let moment = state.moment(when)?;
            server.pin(&moment.view);
            let _ = state.about.at.set(moment.place);
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

    /// Serves a ledger directory that no server holds, on a free loopback port, without DNS. Nothing in it is changed: what the
    /// node writes goes to `scratch`.
    ///
    /// # Errors
    ///
    /// As [`Node::start`]; the directory holds no ledger.
    pub async fn offline(directory: &Path, scratch: &Path, stop: CancellationToken) -> anyhow::Result<Self> {
        let (ledger, sealed) = (directory.join("ledger"), Path::new("views").join("answers.sealed"));
        anyhow::ensure!(ledger.is_dir(), "{} holds no ledger", directory.display());
        std::fs::create_dir(scratch.join("views"))?;
        if let Ok(path) = directory.join(&sealed).canonicalize() {
            std::os::unix::fs::symlink(path, scratch.join(sealed))?;
        }
        let settings = Settings {
            http_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            dns_listen: Some(Vec::new()),
            ledger: Some(LedgerKind::File),
            data: Some(scratch.into()),
            zones: Some(Vec::new()),
            ..Settings::default()
        };
        let config = settings.check().map_err(|faults| anyhow::anyhow!("{}", faults[0]))?;
        let ledger = tokio::task::spawn_blocking(move || FileLedger::open_to_read(&ledger)).await??;
        Self::over(Arc::new(ledger), false, config, TaskTracker::new(), stop).await
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

/// A panic of one of those that are polled together ends that one alone.
async fn to_its_end(who: &'static str, work: impl Future<Output = ()>) {
    if AssertUnwindSafe(work).catch_unwind().await.is_err() {
        tracing::error!(who, "ended by a panic");
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
            let opened = tokio::task::spawn_blocking(move || FileLedger::open(&directory));
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
