//! Who put a value there, what changed at a name, what changed its answer and when: questions about the past of one name,
//! in histories of 10,000 events and of millions, in one run.
//!
//! ```text
//! cargo bench -p conn3ction-dns --bench why -- [names=100000] [events=10000,1000000,10000000] [asked=2000]
//! ```
//! Events give one name after another another address. Names are asked at random, one in twenty through an alias; the
//! median and the slowest of all are told. `bisect` is asked for a value that never was, so it walks to the beginning.

#[path = "../../examples/serve.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
mod serve;
#[path = "../answers/zone.rs"]
#[expect(dead_code, reason = "its questions are another bench's")]
mod zone;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use conn3ction_dns::{
    store::{Store, Version},
    trail::{self, Trail},
};
use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, SetKey, Timestamp, Ttl};

const A: RecordType = RecordType::A;

fn main() -> anyhow::Result<()> {
    let (mut names, mut asked, mut histories) = (100_000, 2_000, vec![10_000, 1_000_000, 10_000_000]);
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.split_once('=').with_context(|| format!("{argument} is no setting"))? {
            ("names", value) => names = value.parse()?,
            ("asked", value) => asked = value.parse()?,
            ("events", value) => histories = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            _ => bail!("{argument} is no setting"),
        }
    }
    let mut first = None;
    for events in histories {
        let times = measure(names, events, asked)?;
        let first = first.get_or_insert(times);
        println!("\n{names} names, {events} events: {:.1} versions a name", events as f64 / names as f64);
        let wanted = [1_000.0, 1_000.0, f64::INFINITY, 50_000.0];
        for (at, what) in ["blame", "history", "log, the last 50", "bisect, all the way"].iter().enumerate() {
            let (median, most) = times[at];
            let bound =
                if wanted[at].is_finite() { format!(", wanted under {} us", wanted[at]) } else { String::new() };
            println!(
                "  {what:<20} {median:>9.1} us ({:.1} of the first history), the slowest {most:.1} us{bound}",
                median / first[at].0
            );
        }
    }
    Ok(())
}

/// Median and slowest in microseconds: blame, history, log, bisect.
fn measure(names: usize, events: u64, asked: usize) -> anyhow::Result<[(f64, f64); 4]> {
    let store = history(names, events)?;
    let (apex, mut random): (Name, _) = ("bench.example.".parse()?, Random(7));
    let never = Rdata::from_stored(&[255, 255, 255, 255]);
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..asked {
        let owner: Name = format!("host{}.bench.example.", random.below(names as u64)).parse()?;
        let view = store.now();
        let begin = Instant::now();
        let origins = view.zone(&apex).and_then(|zone| {
            let owner = zone.owner(&owner)?;
            Some(owner.sets().map(|set| owner.origins(set.key())).collect::<Vec<_>>())
        });
        let gone = view.removals(&apex, &owner);
        times[0].push(begin.elapsed());
        black_box((origins, gone));
        let begin = Instant::now();
        black_box(view.steps(&apex, &owner).count());
        times[1].push(begin.elapsed());
        let begin = Instant::now();
        black_box(Trail::of_answer(&view, &owner, Some(A)).take(50).count());
        times[2].push(begin.elapsed());
        let begin = Instant::now();
        let holds = |traced: &conn3ction_dns::trace::Traced| {
            traced.sections[0].iter().any(|record| record.rtype == A && record.rdata == never)
        };
        black_box(trail::bisect(&view, &owner, A, usize::MAX, holds));
        times[3].push(begin.elapsed());
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        (micros(times[times.len() / 2]), micros(times[times.len() - 1]))
    }))
}

/// xorshift64: the same history in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

fn history(names: usize, events: u64) -> anyhow::Result<Arc<Store>> {
    let (store, mut writer) = Store::new();
    serve::load(&mut writer, zone::master_file(names).as_bytes())?;
    let (apex, mut random): (Name, _) = ("bench.example.".parse()?, Random(1));
    for version in 2..=events {
        let number = random.below(names as u64);
        // Every 20th is a CNAME: its target changes instead.
        let owner: Name = format!("host{}.bench.example.", number + u64::from(number % 20 == 0)).parse()?;
        let set = RecordSet::new(Ttl::from_secs(300)?, vec![Rdata::from_stored(&(version as u32).to_be_bytes())])?;
        writer.begin(Version(version), Timestamp(version as i64));
        writer.set(&apex, &owner, SetKey::of(A), Some(&set));
        writer.publish();
    }
    Ok(store)
}
