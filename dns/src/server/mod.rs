//! The responder as one thing: bind, then run until told to stop.

pub(crate) mod access;
pub(crate) mod counters;

pub use crate::tcp::TcpLimits;
pub use access::{AddressList, BadAddress};
pub use counters::{Counters, Counts, TransportCounts};

use crate::{
    answer::Transport,
    notify::{self, Secondaries},
    past::{self, Exchange, History},
    store::{Store, Version, View},
    tcp,
    transfer::{Request, Transfers},
    udp,
};
use conn3ction_schemas::Timestamp;
use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    thread,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the responder listens on and whom it serves.
#[derive(Debug, Clone)]
pub struct Config {
    /// UDP and TCP addresses; with port 0 a free port is chosen, the same for both.
    pub listen: Vec<SocketAddr>,
    /// UDP threads, and so sockets, per address.
    pub udp_threads: usize,
    /// Whether each UDP thread stays on one processor.
    pub pin_threads: bool,
    /// Whether answers to one peer leave together (UDP_SEGMENT).
    pub coalesce: bool,
    /// Who may pull whole zones.
    pub allow_transfer: AddressList,
    /// The secondaries that are told of every change.
    pub notify: Vec<SocketAddr>,
    /// Who may ask about the past; `None`: nobody, and only the present is answered.
    pub history: Option<History>,
    /// The bounds of TCP.
    pub tcp: TcpLimits,
}

impl Default for Config {
    /// One UDP thread per processor on `127.0.0.1:1053`; transfers to this machine only.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 1053))],
            udp_threads: thread::available_parallelism().map_or(1, Into::into),
            pin_threads: true,
            coalesce: true,
            allow_transfer: AddressList::loopback(),
            notify: Vec::new(),
            history: None,
            tcp: TcpLimits::default(),
        }
    }
}

/// The largest UDP answer: it crosses every path unfragmented (RFC 9715).
const MAX_UDP: u16 = 1232;

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address} ({transport})")]
pub struct BindError {
    /// The address, as configured.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// A responder that holds its sockets and does not answer yet.
pub struct Server {
    config: Config,
    store: Arc<Store>,
    pinned: Option<(Version, Option<Timestamp>)>,
    sockets: Vec<Sockets>,
    secondaries: Arc<Secondaries>,
    counters: Arc<Counters>,
}

/// Where answers come from: the present, or for ever one moment.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    store: Arc<Store>,
    pinned: Option<(Version, Option<Timestamp>)>,
}

impl Source {
    /// What is answered from now.
    pub(crate) fn view(&self) -> View {
        self.pinned.map_or_else(|| self.store.now(), |moment| self.store.again(moment))
    }
}

struct Sockets {
    address: SocketAddr,
    tcp: TcpListener,
    udp: Vec<UdpSocket>,
}

impl Server {
    /// Binds every address of `config`; queries wait in the sockets until [`Server::run`].
    ///
    /// # Errors
    ///
    /// [`BindError`] for the first address that cannot be had.
    pub fn bind(config: Config, store: Arc<Store>) -> Result<Self, BindError> {
        let threads = config.udp_threads.max(1);
        let sockets = config.listen.iter().map(|address| bind(*address, threads)).collect::<Result<_, _>>()?;
        let secondaries = Arc::new(Secondaries::new(config.notify.clone()));
        Ok(Self { config, store, pinned: None, sockets, secondaries, counters: Arc::default() })
    }

    /// The addresses that are listened on, in the order of the configuration, with the ports that were chosen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|sockets| sockets.address).collect()
    }

    /// Answers from the moment of `view` for ever, as if it were the present. Nobody is notified of what changes.
    pub fn pin(&mut self, view: &View) {
        self.pinned = Some((view.version(), view.time()));
    }

    /// The secondaries that are notified, and how far each is.
    pub fn secondaries(&self) -> Arc<Secondaries> {
        Arc::clone(&self.secondaries)
    }

    /// What is counted, for `/metrics`.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Answers until `stop`, then lets what is under way end.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started, or ended by itself, which only a fault of ours can bring about.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let outer = stop;
        let stop = outer.child_token();
        // Whatever ends this future ends the threads.
        let _stops_the_rest = stop.clone().drop_guard();
        let transfers = Arc::new(Transfers::new(self.config.allow_transfer));
        let history = self.config.history.map(Arc::new);
        let source = Source { store: Arc::clone(&self.store), pinned: self.pinned };
        let shared = tcp::Shared::new(
            source.clone(),
            Arc::clone(&transfers),
            history.clone(),
            Arc::clone(&self.counters),
            self.config.tcp,
        );
        let tasks = TaskTracker::new();
        if !self.secondaries.is_empty() && source.pinned.is_none() {
            let local = self.sockets.iter().map(|sockets| sockets.address.ip()).filter(|ip| !ip.is_unspecified());
            let (local, counters) = (local.collect(), Arc::clone(&self.counters));
            tasks.spawn(notify::serve(Arc::clone(&self.store), self.secondaries, local, counters, stop.clone()));
        }
        let mut threads = Vec::new();
        for sockets in self.sockets {
            let listener = tokio::net::TcpListener::from_std(sockets.tcp)?;
            tasks.spawn(tcp::serve(listener, Arc::clone(&shared), stop.clone()));
            for (nth, socket) in sockets.udp.into_iter().enumerate() {
                let (source, transfers, stop) = (source.clone(), Arc::clone(&transfers), stop.clone());
                let (counters, coalesce, pinned) =
                    (self.counters.udp_thread(), self.config.coalesce, self.config.pin_threads);
                let history = history.clone();
                let work = move || {
                    let _stops_the_rest = stop.clone().drop_guard();
                    if pinned {
                        udp::pin(nth);
                    }
                    udp::serve(
                        &socket,
                        coalesce,
                        &counters,
                        &stop,
                        || source.view(),
                        |view, exchanges| {
                            let transport = Transport::Udp { max_size: MAX_UDP };
                            past::answer_all(history.as_deref(), view, transport, exchanges);
                            // Transfers are so rare that they are looked for only where the plain answer is a refusal.
                            for Exchange { packet, peer, out, octets } in exchanges {
                                if let (Some(peer), Some(_)) = (*peer, *octets)
                                    && is_refusal(out)
                                    && let Some(request) = Request::parse(packet)
                                {
                                    *octets = transfers.serve_udp(&request, peer, view, out);
                                }
                            }
                        },
                    );
                };
                threads.push(thread::Builder::new().name(format!("udp-{nth}")).spawn(work)?);
            }
        }
        stop.cancelled().await;
        tasks.close();
        tasks.wait().await;
        let ended = tokio::task::spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok())).await;
        if outer.is_cancelled() && ended.unwrap_or(false) {
            Ok(())
        } else {
            Err(io::Error::other("an UDP thread ended by itself"))
        }
    }
}

/// Whether the RCODE is NOTIMP or REFUSED.
fn is_refusal(answer: &[u8]) -> bool {
    matches!(answer.get(3).map(|flags| flags & 15), Some(4 | 5))
}

fn bind(address: SocketAddr, threads: usize) -> Result<Sockets, BindError> {
    // A port that is free for one transport may be taken for the other: try again when the choice is ours.
    let mut attempts = if address.port() == 0 { 20 } else { 1 };
    loop {
        attempts -= 1;
        let failed = |transport| move |source| BindError { address, transport, source };
        let tcp = bind_tcp(address).map_err(failed("tcp"))?;
        let bound = tcp.local_addr().map_err(failed("tcp"))?;
        match udp::bind(bound, threads) {
            Ok(udp) => return Ok(Sockets { address: bound, tcp, udp }),
            Err(error) if attempts == 0 => return Err(failed("udp")(error)),
            Err(_) => {}
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a former run may linger; a listener of another program still keeps us out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}
