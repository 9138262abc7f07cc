//! How far the views lag behind a commit.
//!
//! ```text
//! cargo build --profile fast -p conn3ction && cargo bench -p conn3ction-tests --profile fast --bench latency -- [secs=10]
//! ```
//! Changes come in by a timetable (an open loop) over several connections, and a round counts only if the timetable was kept.
//!
//! Responder, 1,000 changes/s: from an event's `committed_at` to the UDP answer that shows its address. The client asks as
//! soon as it has its HTTP answer, so HTTP's way back and a UDP round trip are in it. `committed_at` is set when a change
//! is decided, so on files the write and `fdatasync` are in it, too; the ledger in memory has none, and shows the view alone.
//!
//! Zone keys in etcd, 200 changes/s: one watch sees the ledger's batches and the zone keys. Between the batch that holds a
//! change and the zone key that shows its address lies what the view takes beyond the commit.

use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail, ensure};
use conn3ction_tests::{Conn3ction, etcd::Etcd, http};
use etcd_client::WatchOptions;

/// More than are ever busy at once, so that a slow disk does not hold up the timetable.
const CLIENTS: u32 = 16;
/// Each client changes its own names by turns; one is met again long after its last change is shown everywhere.
const NAMES: u32 = 100;
const DAY_US: u64 = 24 * 3600 * 1_000_000;

fn main() -> anyhow::Result<()> {
    let mut secs = 10;
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.split_once('=').with_context(|| format!("{argument} is no setting"))? {
            ("secs", value) => secs = value.parse()?,
            _ => bail!("{argument} is no setting"),
        }
    }
    responder("file", secs)?;
    responder("memory", secs)?;
    zone_keys(secs)
}

fn responder(ledger: &str, secs: u32) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let server = Conn3ction::start(scratch.path(), &["--ledger", ledger])?;
    let done = drive(&server, 1000, secs, true)?;
    let mut lags: Vec<f64> = done.iter().map(|change| change.shown_us as f64 / 1000.0).collect();
    let again = done.iter().filter(|change| change.asked > 1).count();
    println!(
        "{ledger}: {} changes at 1,000/s, committed to answered {}; {again} asked more than once (wanted: p99 under 2 ms)",
        done.len(),
        spread(&mut lags)
    );
    Ok(())
}

fn zone_keys(secs: u32) -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let scratch = tempfile::tempdir()?;
    let server = Conn3ction::start(scratch.path(), &["--etcd-endpoints", &etcd.url])?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (begun, url) = (Instant::now(), etcd.url.clone());
    let (opened, is_open) = std::sync::mpsc::channel();
    let expected = (200 * secs) as usize;
    let watching = runtime.spawn(async move {
        let mut client = etcd_client::Client::connect([url], None).await?;
        let mut watch = client.watch("/conn3ction/", Some(WatchOptions::new().with_prefix())).await?;
        let mut seen = Seen::default();
        let _ = opened.send(());
        while seen.addresses.len() < expected {
            let answer = watch.message().await?.context("the watch ended")?;
            let at = begun.elapsed();
            for pair in answer.events().iter().filter_map(|event| event.kv()) {
                seen.take(pair.key_str()?, pair.value(), at);
            }
        }
        anyhow::Ok(seen)
    });
    is_open.recv()?;
    let done = drive(&server, 200, secs, false)?;
    let seen = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), watching).await })???;
    let mut lags = Vec::new();
    for change in &done {
        let (_, committed) = seen.batches.range(change.revision..).next().context("no batch holds a change")?;
        let shown = seen.addresses.get(&change.address).context("no zone key showed a change")?;
        // Both may come in one answer of the watch.
        lags.push(shown.saturating_sub(*committed).as_secs_f64() * 1000.0);
    }
    println!(
        "etcd: {} changes at 200/s, committed to shown in the zone keys {} (wanted: p99 under 25 ms)",
        done.len(),
        spread(&mut lags)
    );
    Ok(())
}

/// What the watch showed, and when.
#[derive(Default)]
struct Seen {
    /// By the last revision of a batch.
    batches: BTreeMap<u64, Duration>,
    /// By the address in a zone key.
    addresses: HashMap<String, Duration>,
}

impl Seen {
    fn take(&mut self, key: &str, value: &[u8], at: Duration) {
        if let Some(last) = key.strip_prefix("/conn3ction/ledger/log/") {
            self.batches.insert(u64::from_str_radix(last, 16).unwrap_or_default(), at);
        } else if key.starts_with("/conn3ction/zones/example.local/n") {
            self.addresses.entry(String::from_utf8_lossy(value).into_owned()).or_insert(at);
        }
    }
}

/// A change that was made.
struct Change {
    address: String,
    revision: u64,
    /// From `committed_at` to the UDP answer that showed it.
    shown_us: u64,
    /// How often that question was asked.
    asked: u32,
}

/// Changes at `rate` a second for `secs` seconds; `shown`: the responder is asked for each.
fn drive(server: &Conn3ction, rate: u32, secs: u32, shown: bool) -> anyhow::Result<Vec<Change>> {
    let (http, dns) = (server.http, server.dns);
    // Once all are connected.
    let start = Instant::now() + Duration::from_millis(300);
    let clients = (0..CLIENTS).map(|who| {
        std::thread::spawn(move || {
            let mut client = Client::new(http, dns)?;
            let mut done = Vec::new();
            for number in (who..rate * secs).step_by(CLIENTS as usize) {
                let due = start + Duration::from_secs(1) * number / rate;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                done.push(client.change(who, number, shown)?);
            }
            anyhow::Ok(done)
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
    }
    let late = start.elapsed().saturating_sub(Duration::from_secs(secs.into()));
    ensure!(late < Duration::from_millis(200), "the timetable was not kept: the last change was {late:?} late");
    Ok(all)
}

struct Client {
    http: TcpStream,
    dns: UdpSocket,
    buffer: Vec<u8>,
}

impl Client {
    fn new(http: SocketAddr, dns: SocketAddr) -> anyhow::Result<Self> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        udp.connect(dns)?;
        udp.set_read_timeout(Some(Duration::from_secs(5)))?;
        let http = http::connect(http)?;
        http.set_nodelay(true)?;
        Ok(Self { http, dns: udp, buffer: vec![0; 64 * 1024] })
    }

    fn change(&mut self, who: u32, number: u32, shown: bool) -> anyhow::Result<Change> {
        let name = format!("n{who}-{}", number / CLIENTS % NAMES);
        let octets = [10, (number >> 16) as u8, (number >> 8) as u8, number as u8];
        let address = format!("10.{}.{}.{}", octets[1], octets[2], octets[3]);
        let body = format!(r#"{{"values":["{address}"]}}"#);
        let request = format!(
            "PUT /records/{name}.example.local/A HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.http.peer_addr()?,
            body.len()
        );
        self.http.write_all(request.as_bytes())?;
        let count = self.http.read(&mut self.buffer)?;
        let answer = String::from_utf8_lossy(&self.buffer[..count]).to_ascii_lowercase();
        ensure!(answer.starts_with("http/1.1 20"), "{answer}");
        let header = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.with_context(|| format!("no {name}: {answer}"))
        };
        let revision = header("conn3ction-revision")?.rsplit(':').next().unwrap_or_default().parse()?;
        let committed_us = micros_of_the_day(header("conn3ction-time")?)?;
        let mut change = Change { address, revision, shown_us: 0, asked: 0 };
        while shown && change.shown_us == 0 {
            change.asked += 1;
            if self.answers(&name, octets)? {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros() as u64 % DAY_US;
                change.shown_us = ((now + DAY_US - committed_us) % DAY_US).max(1);
            }
        }
        Ok(change)
    }

    /// Whether the responder's answer for `name` is this address.
    fn answers(&mut self, name: &str, address: [u8; 4]) -> anyhow::Result<bool> {
        let mut question = vec![1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in [name, "example", "local"] {
            question.push(label.len() as u8);
            question.extend(label.as_bytes());
        }
        question.extend([0, 0, 1, 0, 1]);
        self.dns.send(&question)?;
        let count = self.dns.recv(&mut self.buffer)?;
        Ok(self.buffer[..count].ends_with(&address))
    }
}

/// Microseconds since midnight of a time like `2026-11-22T01:52:07.481233Z`, in lower case.
fn micros_of_the_day(time: &str) -> anyhow::Result<u64> {
    let clock = time.split_once('t').with_context(|| format!("no time: {time}"))?.1.trim_end_matches('z');
    let (hms, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let seconds = hms.split(':').try_fold(0, |sum, part| anyhow::Ok(sum * 60 + part.parse::<u64>()?))?;
    Ok(seconds * 1_000_000 + format!("{fraction:0<6}").parse::<u64>()?)
}

/// Median, 99th percentile and the slowest, in ms.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
    format!("p50 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms", at(0.5), at(0.99), at(1.0))
}
