//! A million records: taken in, held, started with again.
//!
//! ```text
//! cargo build --release -p conn3ction && cargo bench -p conn3ction-tests --bench million -- [records=1000000]
//! ```
//! One zone, the one of the answers' bench, through `conn3ction import` on the file ledger. Memory is what is anonymous in
//! `smaps_rollup`: what is mapped from a file is the system's to take back. An empty server beside it is the binary's own.
//! On a busy machine trust processor time; the clock shows the others' work, too.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use conn3ction_tests::{Conn3ction, binary};

#[path = "../../dns/benches/answers/zone.rs"]
#[expect(dead_code, reason = "its questions are another bench's")]
mod zone;

const MIB: u64 = 1 << 20;
/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> anyhow::Result<()> {
    let argument = std::env::args().find_map(|argument| argument.strip_prefix("records=").map(str::to_owned));
    let records: u64 = argument.as_deref().unwrap_or("1000000").parse()?;
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("zone");
    // A quarter of the names has a second record.
    fs::write(&file, zone::master_file((records / 5 * 4) as usize))?;
    let (none, full) = (scratch.path().join("none"), scratch.path().join("full"));

    let server = Conn3ction::start(&none, &[])?;
    let all_empty = settled(server.pid())?;
    drop(server);

    let server = Conn3ction::start(&full, &[])?;
    let peak = Peak::watch(server.pid());
    let (begun, cpu) = (Instant::now(), cpu_seconds(server.pid())?);
    let ran = server.cli(&["import", "bench.example", &file.to_string_lossy(), "--mode", "replace"])?;
    let (taken, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(server.pid())? - cpu);
    ensure!(ran.code == 0, "import: {}{}", ran.out, ran.err);
    let rest = settled(server.pid())?;
    let peak = peak.end();
    println!(
        "import of {records} records: {taken:.2} s (wanted: under 10), {cpu:.2} s of processor time in the server"
    );
    let over = peak as f64 / rest as f64;
    println!("memory: {} MiB at rest, {} MiB at most: {over:.2} of rest (wanted: under 2)", rest / MIB, peak / MIB);
    each("all in one, after the import", rest, all_empty, records, 600);
    server.kill()?;

    for kind in ["after a crash", "again"] {
        let begun = Instant::now();
        let server = Conn3ction::start(&full, &[])?;
        wait("ready", || Ok(server.ask("GET", "/readyz", "").is_ok_and(|answer| answer.status == 200)))?;
        wait("an answer", || answers(server.dns))?;
        let (taken, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(server.pid())?);
        println!(
            "restart {kind}: answers and ready after {taken:.2} s (wanted: under 2), {cpu:.2} s of processor time"
        );
        each(&format!("all in one, restart {kind}"), settled(server.pid())?, all_empty, records, 600);
        server.kill()?;
    }

    let dns_empty = Responder::start(&none)?.settled()?;
    let begun = Instant::now();
    let server = Responder::start(&full)?;
    wait("an answer", || answers(server.address))?;
    let (taken, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(server.child.id())?);
    println!("role dns: answers after {taken:.2} s, {cpu:.2} s of processor time");
    each("role dns, from its sealed file", server.settled()?, dns_empty, records, 250);
    drop(server);
    fs::remove_dir_all(full.join("views"))?;
    let begun = Instant::now();
    let server = Responder::start(&full)?;
    wait("an answer", || answers(server.address))?;
    let (taken, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(server.child.id())?);
    println!("role dns: answers after {taken:.2} s, from the ledger alone, {cpu:.2} s of processor time");
    each("role dns, from the ledger alone", server.settled()?, dns_empty, records, 250);
    Ok(())
}

fn each(what: &str, octets: u64, empty: u64, records: u64, wanted: u64) {
    let each = octets.saturating_sub(empty) as f64 / records as f64;
    let (full, empty) = (octets / MIB, empty / MIB);
    println!("{what}: {full} MiB, {empty} MiB empty, {each:.0} octets a record (wanted: at most {wanted})");
}

/// Processor seconds of a process so far, user and system.
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let field = |nth| stat.rsplit(')').next()?.split_whitespace().nth(nth)?.parse::<u64>().ok();
    let ticks = field(11).zip(field(12)).map(|(user, system)| user + system).context("/proc/PID/stat is short")?;
    Ok(ticks as f64 / 100.0)
}

/// Octets that belong to the process alone.
fn anonymous(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("Anonymous:")).context("no Anonymous: in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// The memory of a process once neither it nor the process's time moves: its views are there, its files written.
fn settled(pid: u32) -> anyhow::Result<u64> {
    let mut last = (0, 0);
    let mut still = Instant::now();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let now = (anonymous(pid)? / MIB, (cpu_seconds(pid)? * 20.0) as u64);
        if now != last {
            (last, still) = (now, Instant::now());
        } else if still.elapsed() > Duration::from_secs(2) {
            return anonymous(pid);
        }
        std::thread::sleep(EVERY * 10);
    }
    bail!("process {pid} never comes to rest")
}

fn wait(what: &str, mut is_there: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if is_there()? {
            return Ok(());
        }
        std::thread::sleep(EVERY);
    }
    bail!("waited in vain for {what}")
}

/// Whether the server at `address` has the zone's SOA.
fn answers(address: SocketAddr) -> anyhow::Result<bool> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(EVERY * 10))?;
    let question = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x05bench\x07example\0\0\x06\0\x01";
    socket.send_to(question, address)?;
    let mut reply = [0; 512];
    Ok(socket.recv(&mut reply).is_ok_and(|octets| octets > 12 && reply[3] & 15 == 0 && reply[7] == 1))
}

/// The most memory that a process has while it is watched.
struct Peak {
    most: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Peak {
    fn watch(pid: u32) -> Self {
        let (most, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (most.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                seen.fetch_max(anonymous(pid).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(EVERY);
            }
        });
        Self { most, ends, thread }
    }

    fn end(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        // It has nothing to fail on.
        let _ = self.thread.join();
        self.most.load(Ordering::Relaxed)
    }
}

/// Our binary in the role of a responder, which on files answers from one moment.
struct Responder {
    child: Child,
    address: SocketAddr,
}

impl Responder {
    fn start(data: &Path) -> anyhow::Result<Self> {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(binary());
        command.args(["serve", "--role", "dns", "--at", "now", "--dns-listen", &address.to_string()]);
        let child = command.arg("--data").arg(data).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, address })
    }

    fn settled(&self) -> anyhow::Result<u64> {
        settled(self.child.id())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
