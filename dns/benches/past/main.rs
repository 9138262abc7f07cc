//! Answers about the past over UDP: another random moment in every question, beside live answers whose questions carry an
//! option of the same size, from memory and from a sealed file, in one run; and what a version takes in memory.
//!
//! ```text
//! cargo bench -p conn3ction-dns --bench past -- [names=100000] [events=10000,1000000] [seconds=2] [rounds=3]
//! ```
//! Prints for each history rate and processor time per answer, each also as a ratio to the live answers of the same
//! server. On a busy machine trust the second figure. Loopback only; 1,024 questions in flight. `sockets=no` measures
//! answering alone, packet to packet, on one thread.

#[path = "../answers/load.rs"]
#[expect(dead_code, reason = "the other bench has an echo, too")]
mod load;
#[path = "../../examples/serve.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
mod serve;
#[path = "../answers/zone.rs"]
mod zone;

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use conn3ction_dns::{
    EventNote, Exchange, History, Moment, Moments, NoMoment, Server, Transport, answer_all,
    server::{AddressList, Config},
    store::{Sealed, Store, Version},
};
use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, SetKey, Timestamp, Ttl, When};
use tokio_util::sync::CancellationToken;

const IN_FLIGHT: usize = 1024;
const SOCKETS: usize = 16;
const QUESTIONS: usize = 1 << 16;
/// Where the histories begin and how far their events are apart, in microseconds.
const BEGIN: i64 = 1_600_000_000_000_000;
const STEP: i64 = 1_000_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["serve", names, events, tier] = arguments[..] {
        return past(names.parse()?, events.parse()?, tier == "sealed");
    }
    if let ["answer", names, events, tier] = arguments[..] {
        return answer_alone(names.parse()?, events.parse()?, tier == "sealed");
    }
    if let ["seal", names, events, path] = arguments[..] {
        let store = history(names.parse()?, events.parse()?)?;
        return Ok(store.seal(store.published(), Path::new(path), |_| Ok(()))?);
    }
    let (mut names, mut seconds, mut rounds, mut histories) = (100_000, 2.0, 3, vec![10_000, 1_000_000]);
    let mut sockets = true;
    for argument in arguments {
        match argument.split_once('=').with_context(|| format!("{argument} is no setting"))? {
            ("names", value) => names = value.parse()?,
            ("seconds", value) => seconds = value.parse()?,
            ("rounds", value) => rounds = value.parse()?,
            ("sockets", value) => sockets = value != "no",
            ("events", value) => histories = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            _ => bail!("{argument} is no setting"),
        }
    }
    // The load on one processor, the server on the other.
    Command::new("taskset").args(["-cp", "1", &std::process::id().to_string()]).output()?;
    if !sockets {
        for events in histories {
            for tier in ["memory", "sealed"] {
                println!("\n{names} names, {events} events, {tier}");
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(std::env::current_exe()?);
                command.args(["answer", &names.to_string(), &events.to_string(), tier]).status()?;
            }
        }
        return Ok(());
    }
    let empty = Running::start(names, 0, "memory")?.resident()?;
    for events in histories {
        for tier in ["memory", "sealed"] {
            let server = Running::start(names, events, tier)?;
            let resident = server.resident()?;
            let each = resident.0.saturating_sub(empty.0) as f64 / events as f64;
            println!("\n{names} names, {events} events, {tier}: ready after {:.2} s", server.ready.as_secs_f64());
            println!(
                "  anonymous {} MiB, {each:.0} octets a version; mapped {} MiB",
                resident.0 >> 20,
                resident.1 >> 20
            );
            measure(&server, names, events, seconds, rounds)?;
        }
    }
    Ok(())
}

fn measure(server: &Running, names: usize, events: u64, seconds: f64, rounds: usize) -> anyhow::Result<()> {
    let questions = questions(names, events);
    let mut best = [(0.0f64, f64::INFINITY); 4];
    for _ in 0..rounds {
        for (questions, best) in questions.iter().zip(&mut best) {
            let run =
                |seconds| load::run(server.address, questions, SOCKETS, IN_FLIGHT, Duration::from_secs_f64(seconds));
            run(0.3)?;
            let before = server.cpu_seconds()?;
            let load = run(seconds)?;
            ensure!(load.by_rcode[0] > load.answers * 8 / 10, "most answers have records: {load:?}");
            let cpu = (server.cpu_seconds()? - before) * 1e6 / load.answers.max(1) as f64;
            *best = (best.0.max(load.answers as f64 / load.seconds), best.1.min(cpu));
        }
    }
    for (kind, live, (rate, cpu)) in [(KINDS[1], best[0], best[1]), (KINDS[3], best[2], best[3])] {
        println!(
            "  {kind:<18} {rate:>9.0}/s ({:.2} of live)  {cpu:.2} us each ({:.2} of live)",
            rate / live.0,
            cpu / live.1
        );
    }
    Ok(())
}

/// What is asked: the live answer with an option as long as that of what follows it, and that.
const KINDS: [&str; 4] = ["live", "as of a revision", "live", "as of a time"];

fn questions(names: usize, events: u64) -> [Vec<Vec<u8>>; 4] {
    [(65_001, false), (65_353, false), (65_001, true), (65_353, true)].map(|(code, by_time)| {
        let texts = Random(7).moments(events, by_time);
        let questions = zone::questions(names, QUESTIONS).into_iter().zip(texts);
        questions.map(|(question, text)| with_option(question, code, &text)).collect()
    })
}

/// Answers by turns: the least processor time that a round took of each kind.
fn answer_alone(names: usize, events: u64, sealed: bool) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (store, _) = opened(names, events, sealed, directory.path())?;
    let history = access(&store);
    let questions = questions(names, events);
    let mut best = [f64::INFINITY; 4];
    let mut outs = vec![[0; 1344]; 64];
    // The system counts in ticks of some milliseconds.
    const PASSES: usize = 8;
    for _ in 0..5 {
        for (questions, best) in questions.iter().zip(&mut best) {
            let begin = thread_nanoseconds()?;
            for batch in (0..PASSES).flat_map(|_| questions.chunks(64)) {
                let live = store.now();
                let peer = Some(Ipv4Addr::LOCALHOST.into());
                let exchanges = batch.iter().zip(&mut outs);
                let mut exchanges: Vec<_> =
                    exchanges.map(|(packet, out)| Exchange { packet, peer, out, octets: None }).collect();
                answer_all(Some(&history), &live, Transport::Udp { max_size: 1232 }, &mut exchanges);
                ensure!(exchanges.iter().all(|exchange| exchange.octets.is_some()), "every question has an answer");
            }
            *best = best.min((thread_nanoseconds()? - begin) / (PASSES * QUESTIONS) as f64);
        }
    }
    for (kind, live, each) in [(KINDS[1], best[0], best[1]), (KINDS[3], best[2], best[3])] {
        println!("  {kind:<18} {each:>5.0} ns, live {live:.0} ns");
    }
    Ok(())
}

/// Processor time of this thread.
fn thread_nanoseconds() -> anyhow::Result<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(told.split(' ').next().context("a number")?.parse()?)
}

/// xorshift64: the same questions in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn moments(&mut self, events: u64, by_time: bool) -> Vec<String> {
        let moment = |revision: u64| match by_time {
            true => Timestamp(BEGIN + revision as i64 * STEP).to_seconds_text(),
            false => format!("r{revision}"),
        };
        (0..QUESTIONS).map(|_| moment(1 + self.below(events.max(1)))).collect()
    }
}

/// `question` ends with an OPT record without options.
fn with_option(mut question: Vec<u8>, code: u16, text: &str) -> Vec<u8> {
    question.truncate(question.len() - 2);
    question.extend_from_slice(&(4 + text.len() as u16).to_be_bytes());
    question.extend_from_slice(&code.to_be_bytes());
    question.extend_from_slice(&(text.len() as u16).to_be_bytes());
    question.extend_from_slice(text.as_bytes());
    question
}

/// A server with a history, on the other processor.
struct Running {
    child: Child,
    address: SocketAddr,
    ready: Duration,
}

impl Running {
    fn start(names: usize, events: u64, tier: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(std::env::current_exe()?).args([
            "serve",
            &names.to_string(),
            &events.to_string(),
            tier,
        ]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut line = || lines.next().context("the server ended")?.context("its output");
        let ready = Duration::from_secs_f64(line()?.parse()?);
        Ok(Self { address: line()?.parse()?, child, ready })
    }

    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        Ok((fields[11].parse::<u64>()? + fields[12].parse::<u64>()?) as f64 / 100.0)
    }

    /// Anonymous and mapped resident octets.
    fn resident(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let of = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a status line")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
        };
        Ok((of("RssAnon:")?, of("RssFile:")?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves a zone of `names` names in which `events` gave one name after another another address.
fn past(names: usize, events: u64, sealed: bool) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (store, ready) = opened(names, events, sealed, directory.path())?;
    println!("{}", ready.as_secs_f64());
    let history = access(&store);
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let config = Config { listen, udp_threads: 1, history: Some(history), ..Config::default() };
    let server = Server::bind(config, store)?;
    println!("{}", server.addresses()[0]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(server.run(CancellationToken::new()))?)
}

fn access(store: &Arc<Store>) -> History {
    History { moments: Arc::new(Past(store.clone())), allow: AddressList::loopback(), suffix: None }
}

/// Such a store, and how long it took to open if it is sealed.
fn opened(names: usize, events: u64, sealed: bool, directory: &Path) -> anyhow::Result<(Arc<Store>, Duration)> {
    let path = directory.join("answers.sealed");
    let store = if sealed {
        // By a process of its own, so that none of its memory is counted here.
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["seal", &names.to_string(), &events.to_string()]).arg(&path);
        ensure!(command.status()?.success(), "the history could not be sealed");
        None
    } else {
        Some(history(names, events)?)
    };
    let begin = Instant::now();
    let store = match store {
        Some(store) => store,
        None => Store::open(&Sealed::open(&path)?).0,
    };
    Ok((store, begin.elapsed()))
}

fn history(names: usize, events: u64) -> anyhow::Result<Arc<Store>> {
    let (store, mut writer) = Store::new();
    serve::load(&mut writer, zone::master_file(names).as_bytes())?;
    let (apex, mut random): (Name, _) = ("bench.example.".parse()?, Random(1));
    for version in 2..=events {
        let number = random.below(names as u64);
        // Every 20th is a CNAME.
        let owner: Name =
            format!("host{}.bench.example.", number - u64::from(number % 20 == 0 && number > 0)).parse()?;
        let rdata = Rdata::from_stored(&(version as u32).to_be_bytes());
        writer.begin(Version(version), Timestamp(BEGIN + version as i64 * STEP));
        let is_alias = number == 0;
        let set = RecordSet::new(Ttl::from_secs(300)?, vec![rdata])?;
        writer.set(&apex, &owner, SetKey::of(RecordType::A), (!is_alias).then_some(&set));
        writer.publish();
    }
    Ok(store)
}

struct Past(Arc<Store>);

impl Moments for Past {
    fn find(&self, when: When) -> Result<Moment, NoMoment> {
        let store = &self.0;
        let (view, version) = match when {
            When::Revision(_, revision) => (store.at(revision.into()), Some(revision.into())),
            When::Time(time) => (store.at_time(time), None),
            When::Now | When::Age(_) => (store.now(), Some(store.published())),
        };
        Ok(Moment { view, version, is_final: true })
    }

    fn event(&self, _: Version) -> Option<EventNote> {
        None
    }

    fn time(&self, version: Version) -> Option<Timestamp> {
        Some(Timestamp(BEGIN + version.0 as i64 * STEP))
    }
}
