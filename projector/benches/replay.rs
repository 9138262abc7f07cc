//! A long log, walked and folded from zero: `verify`, and the answers view.
//!
//! ```text
//! taskset -c 0 cargo bench -p conn3ction-projector --bench replay -- [events=1000000] [names=100000]
//! ```
//! One change an event, on files. Rates are events for each second of processor time, all threads of the process counted,
//! so that they hold for one core on a busy machine, too. Then what a state takes in memory while nothing is sealed.

use std::{fs, future::Future, path::Path, sync::Arc, time::Instant};

use anyhow::Context;
use conn3ction_ledger::{Head, Ledger, file::FileLedger, verify::verify};
use conn3ction_projector::{Config, Projector, ViewName};
use conn3ction_schemas::{
    Delta, Name, Rdata, RecordSet, RecordType, Revision, SetKey, Timestamp, Ttl,
    event::{Draft, DraftBody},
};
use tokio_util::sync::CancellationToken;

#[path = "../../ledger/tests/contract/make.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "what the ledger's tests append is what is appended here")]
mod make;

/// Events appended at once.
const BATCH: u64 = 1000;
/// Octets of a record of this bench, ready for the wire.
const PAYLOAD: f64 = 16.0;

fn main() -> anyhow::Result<()> {
    let setting = |name: &str, default: u64| {
        let value = std::env::args().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        value.unwrap_or(default)
    };
    let (events, names) = (setting("events", 1_000_000), setting("names", 100_000));
    let scratch = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(scratch.path(), events, names))
}

async fn measure(directory: &Path, events: u64, names: u64) -> anyhow::Result<()> {
    let ledger: Arc<dyn Ledger> = Arc::new(FileLedger::open(directory)?);
    let mut history = History { held: vec![None; names as usize], random: 0x2545_f491_4f6c_dd1d };
    let mut head = ledger.head().await?;
    while head.revision.0 < events {
        head = history.append(&*ledger, &head, BATCH.min(events - head.revision.0)).await?;
    }
    let walked = timed(verify(&*ledger, Revision(1), |_| {})).await?;
    println!("verify: {} (wanted: at least 300000)", walked.rate(events));

    let token = CancellationToken::new();
    let before = anonymous()?;
    let fold = async {
        let handle = Projector::spawn(Config::default(), ledger.clone(), token.clone()).await?;
        handle.reached(ViewName::Answers, Revision(names.min(events))).await?;
        let first = anonymous()?;
        handle.reached(ViewName::Answers, Revision(events)).await?;
        anyhow::Ok((handle, first))
    };
    let folded = timed(fold).await?;
    println!("replay of the answers from zero: {} (wanted: at least 500000)", folded.rate(events));
    let (handle, first) = folded.value;
    let last = anonymous()?;
    let of_names = first.saturating_sub(before) as f64 / names.min(events) as f64;
    let of_states = last.saturating_sub(first) as f64 / events.saturating_sub(names).max(1) as f64;
    println!("memory: {of_names:.0} octets for each name with one state, {of_states:.0} for each further state,");
    println!("  {:.0} beyond its payload (wanted: at most 60)", of_states - PAYLOAD);
    token.cancel();
    handle.stopped().await;
    Ok(())
}

/// A value and what it took.
struct Timed<T> {
    value: T,
    wall: f64,
    cpu: f64,
}

impl<T> Timed<T> {
    fn rate(&self, events: u64) -> String {
        let (cpu, wall) = (events as f64 / self.cpu, events as f64 / self.wall);
        format!("{cpu:.0} events for each second of one core ({wall:.0} by the clock)")
    }
}

async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> anyhow::Result<Timed<T>>
where
    anyhow::Error: From<E>,
{
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let value = work.await?;
    Ok(Timed { value, wall: begun.elapsed().as_secs_f64(), cpu: cpu_seconds()? - cpu })
}

fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let field = |nth| stat.rsplit(')').next()?.split_whitespace().nth(nth)?.parse::<u64>().ok();
    let ticks = field(11).zip(field(12)).map(|(user, system)| user + system).context("/proc/self/stat is short")?;
    Ok(ticks as f64 / 100.0)
}

/// Octets that belong to this process alone.
fn anonymous() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("Anonymous:")).context("no Anonymous: in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Changes of one address each: every name once, then any name again and again.
struct History {
    held: Vec<Option<u32>>,
    random: u64,
}

impl History {
    async fn append(&mut self, ledger: &dyn Ledger, head: &Head, count: u64) -> anyhow::Result<Head> {
        let first = head.revision.0;
        let drafts: anyhow::Result<Vec<Draft>> = (first..first + count).map(|number| self.draft(number)).collect();
        let batch = make::batch_at(head, &drafts?, Timestamp::now());
        Ok(ledger.append(head, &batch).await?)
    }

    fn draft(&mut self, number: u64) -> anyhow::Result<Draft> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let names = self.held.len() as u64;
        let name = if number < names { number } else { self.random % names };
        let ttl = Ttl::from_secs(300)?;
        let set = |value: u32| RecordSet::new(ttl, vec![Rdata::from_stored(&value.to_be_bytes())]);
        let before = self.held[name as usize].replace(number as u32).map(set).transpose()?;
        let owner = Name::parse_absolute(format!("host{name}.example.local.").as_bytes())?;
        let after = Some(set(number as u32)?);
        let delta = Delta { zone: 0, owner, key: SetKey::of(RecordType::A), before, after };
        Ok(make::with_body(number as u32, DraftBody::inline([&delta])))
    }
}
