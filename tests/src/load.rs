//! Clients that write while servers die, and that know afterwards what must be true.
//!
//! Each client owns a few names and changes them one request at a time, in ways that would fail or show if they were
//! applied twice (create, replace, delete). A request without a clear answer is sent again with its idempotency key, to
//! whichever server lives, until the answer is clear.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    http::{self, Answer},
    random::Random,
};

/// Names of one client.
const NAMES: u64 = 6;
/// How long a request may stay without a clear answer: far more than any restart takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<anyhow::Result<Written>>>,
}

struct Shared {
    servers: Mutex<Vec<SocketAddr>>,
    acknowledged: AtomicU64,
    denied: AtomicU64,
    stop: AtomicBool,
}

/// What clients were told.
#[derive(Debug, Default)]
pub struct Written {
    /// The address of each name that exists now.
    pub names: BTreeMap<String, String>,
    /// Idempotency key and revision of each acknowledged request.
    pub acknowledged: BTreeMap<String, u64>,
    /// Keys of requests of which a server said that nothing was stored, and that were not sent again.
    pub denied: BTreeSet<String>,
    /// Requests that were sent more than once.
    pub sent_again: usize,
    /// Answers that said that an earlier one of the same key counts.
    pub replayed: usize,
}

impl Load {
    /// Starts `clients` clients that write to `servers`.
    pub fn start(seed: u64, clients: u64, servers: &[SocketAddr]) -> Self {
        Self::named("load", seed, clients, servers)
    }

    /// Starts clients whose names and keys begin with `name`, so that they are others than those before.
    pub fn named(name: &str, seed: u64, clients: u64, servers: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared {
            servers: Mutex::new(servers.to_vec()),
            acknowledged: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let clients = (0..clients).map(|who| {
            let (shared, name) = (shared.clone(), format!("{name}-{who}"));
            let random = Random::new(seed ^ (who + 1).wrapping_mul(0x1234_5678_9abc_def1));
            std::thread::spawn(move || Client { shared, name, who, random, written: Written::default() }.run())
        });
        let clients = clients.collect();
        Self { shared, clients }
    }

    /// From now on requests go to these servers.
    pub fn aim(&self, servers: &[SocketAddr]) {
        *self.shared.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers.to_vec();
    }

    /// Waits until so many more requests were acknowledged.
    ///
    /// # Errors
    ///
    /// They were not for a minute, or a client ended.
    pub fn acknowledged(&self, more: u64) -> anyhow::Result<()> {
        self.counted(&self.shared.acknowledged, more)
    }

    /// Waits until so many more requests were answered that nothing was stored.
    ///
    /// # Errors
    ///
    /// They were not for a minute, or a client ended.
    pub fn denied(&self, more: u64) -> anyhow::Result<()> {
        self.counted(&self.shared.denied, more)
    }

    fn counted(&self, counter: &AtomicU64, more: u64) -> anyhow::Result<()> {
        let (before, begun) = (counter.load(Ordering::Relaxed), Instant::now());
        loop {
            let came = counter.load(Ordering::Relaxed) - before;
            if came >= more {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "waited for {more} answers, {came} came");
            anyhow::ensure!(!self.clients.iter().any(JoinHandle::is_finished), "a client gave up");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Lets every client finish its request, and gives what all were told.
    ///
    /// # Errors
    ///
    /// The first client's.
    pub fn stop(self) -> anyhow::Result<Written> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        for client in self.clients {
            let written = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            all.names.extend(written.names);
            all.acknowledged.extend(written.acknowledged);
            all.denied.extend(written.denied);
            all.sent_again += written.sent_again;
            all.replayed += written.replayed;
        }
        Ok(all)
    }
}

struct Client {
    shared: Arc<Shared>,
    name: String,
    who: u64,
    random: Random,
    written: Written,
}

/// A request and what it makes of its name.
struct Change {
    method: &'static str,
    target: String,
    body: String,
    name: String,
    after: Option<String>,
}

impl Client {
    fn run(mut self) -> anyhow::Result<Written> {
        for number in 0.. {
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("{}-{number}", self.name);
            let change = self.change(number);
            let Some(revision) = self.settle(&key, &change)? else {
                self.written.denied.insert(key);
                continue;
            };
            match change.after {
                Some(address) => drop(self.written.names.insert(change.name, address)),
                None => drop(self.written.names.remove(&change.name)),
            }
            self.written.acknowledged.insert(key, revision);
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.written)
    }

    fn change(&mut self, number: u64) -> Change {
        let name = format!("{}-{}.example.local", self.name, self.random.below(NAMES));
        let address = format!("10.{}.{}.{}", self.who, number / 256 % 256, number % 256);
        let at_name = format!("/records/{name}/A");
        if !self.written.names.contains_key(&name) {
            let body = format!(r#"{{"name":"{name}","type":"A","values":["{address}"]}}"#);
            return Change { method: "POST", target: "/records".into(), body, name, after: Some(address) };
        }
        if self.random.below(2) == 0 {
            return Change { method: "DELETE", target: at_name, body: String::new(), name, after: None };
        }
        let body = format!(r#"{{"values":["{address}"]}}"#);
        Change { method: "PUT", target: at_name, body, name, after: Some(address) }
    }

    /// Sends until the answer is clear. Gives the revision, or `None` if nothing was stored and the client lets it be.
    fn settle(&mut self, key: &str, change: &Change) -> anyhow::Result<Option<u64>> {
        let (begun, mut in_doubt) = (Instant::now(), false);
        for attempt in 0_u64.. {
            self.written.sent_again += usize::from(attempt == 1);
            let answer = self.send(key, change);
            match &answer {
                Ok(Answer { status: 200..=299, .. }) => {}
                Ok(answer @ Answer { status: 503 | 507, .. }) if says_nothing_was_stored(answer) => {
                    self.shared.denied.fetch_add(1, Ordering::Relaxed);
                    if !in_doubt && self.random.below(2) == 0 {
                        return Ok(None);
                    }
                }
                Ok(Answer { status: 429, .. }) => {}
                // No connection was no request.
                Err(error) if is_refused(error) => {}
                Ok(Answer { status: 503 | 504, .. }) | Err(_) => in_doubt = true,
                Ok(Answer { status: 409, body, .. }) if body.contains("/problems/key-in-progress") => {}
                Ok(other) => anyhow::bail!("{} {} as {key}: {other:?}", change.method, change.target),
            }
            if let Ok(answer @ Answer { status: 200..=299, .. }) = answer {
                self.written.replayed += usize::from(answer.header("idempotent-replayed") == "true");
                let token = answer.header("conn3ction-revision");
                let revision = token.split(':').nth(1).and_then(|revision| revision.parse().ok());
                return Ok(Some(revision.ok_or_else(|| anyhow::anyhow!("no revision: {answer:?}"))?));
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{key} has no clear answer: {answer:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        unreachable!("attempts have no end")
    }

    fn send(&mut self, key: &str, change: &Change) -> anyhow::Result<Answer> {
        let servers = self.shared.servers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let place = self.random.below(servers.len() as u64);
        let server = servers[usize::try_from(place)?];
        let headers = [("Idempotency-Key", key), ("Conn3ction-Reason", key), ("Conn3ction-Actor", "load")];
        http::request(server, change.method, &change.target, &headers, &change.body)
    }
}

fn says_nothing_was_stored(answer: &Answer) -> bool {
    ["/problems/ledger-unavailable", "/problems/storage-full"].iter().any(|kind| answer.body.contains(kind))
}

fn is_refused(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::ConnectionRefused)
}
