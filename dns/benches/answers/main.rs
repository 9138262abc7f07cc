//! Answers over UDP: our responder beside Knot, NSD and a bare echo, each alone on one processor, in one run.
//!
//! ```text
//! cargo bench -p conn3ction-dns --bench answers -- [names=100000] [seconds=2] [rounds=3] [sockets=1000,16] [records=0]
//! ```
//! Prints rate and processor time per answer, each also as a ratio to the better of Knot and NSD in the same run. On a
//! busy machine trust the second figure. With `records=1000000` it also prints what a record takes in memory.
//! Loopback only; the load is bounded by `seconds` and by 1,024 questions in flight.

mod load;
#[path = "../../examples/serve.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
mod serve;
mod servers;
mod zone;

use anyhow::{Context, bail};
use servers::Kind;
use std::{net::UdpSocket, path::Path, process::Command, time::Duration};

const IN_FLIGHT: usize = 1024;

struct Settings {
    names: usize,
    seconds: f64,
    rounds: usize,
    sockets: Vec<usize>,
    records: usize,
}

/// The best round of one server: the one that was disturbed least.
#[derive(Clone, Copy)]
struct Figure {
    rate: f64,
    cpu_us: f64,
    lost: u64,
    name_errors: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["echo", address] => Ok(load::echo(&UdpSocket::bind(address)?)?),
        ["serve", address, file] => serve::serve(address.parse()?, Path::new(file), true),
        ["serve-plain", address, file] => serve::serve(address.parse()?, Path::new(file), false),
        _ => measure(&settings(&arguments)?),
    }
}

fn settings(arguments: &[&str]) -> anyhow::Result<Settings> {
    let mut settings = Settings { names: 100_000, seconds: 2.0, rounds: 3, sockets: vec![1000, 16], records: 0 };
    for argument in arguments {
        match argument.split_once('=').with_context(|| format!("{argument} is no setting"))? {
            ("names", value) => settings.names = value.parse()?,
            ("seconds", value) => settings.seconds = value.parse()?,
            ("rounds", value) => settings.rounds = value.parse()?,
            ("sockets", value) => settings.sockets = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            ("records", value) => settings.records = value.parse()?,
            _ => bail!("{argument} is no setting"),
        }
    }
    Ok(settings)
}

fn measure(settings: &Settings) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let master_file = dir.path().join("zone");
    std::fs::write(&master_file, zone::master_file(settings.names))?;
    let questions = zone::questions(settings.names, 1 << 16);
    // The load on one processor, the server on the other.
    Command::new("taskset").args(["-cp", "1", &std::process::id().to_string()]).output()?;
    let kinds = [Kind::Echo, Kind::Nsd, Kind::Knot, Kind::OursPlain, Kind::Ours];
    for &sockets in &settings.sockets {
        let mut best: [Option<Figure>; 5] = [None; 5];
        for _ in 0..settings.rounds {
            for (kind, best) in kinds.iter().zip(&mut best) {
                let figure = round(*kind, dir.path(), &master_file, &questions, sockets, settings.seconds)?;
                if best.is_none_or(|best| figure.cpu_us < best.cpu_us) {
                    *best = Some(Figure { rate: best.map_or(0.0, |best| best.rate).max(figure.rate), ..figure });
                } else if let Some(best) = best {
                    best.rate = best.rate.max(figure.rate);
                }
            }
        }
        print(settings, sockets, &kinds.into_iter().zip(best.into_iter().flatten()).collect::<Vec<_>>());
    }
    if settings.records > 0 {
        memory(dir.path(), settings.records)?;
    }
    Ok(())
}

fn round(
    kind: Kind,
    dir: &Path,
    master_file: &Path,
    questions: &[Vec<u8>],
    sockets: usize,
    seconds: f64,
) -> anyhow::Result<Figure> {
    let server = kind.start(dir, master_file, 0)?;
    let run = |seconds| load::run(server.address, questions, sockets, IN_FLIGHT, Duration::from_secs_f64(seconds));
    run(0.3)?;
    let before = server.cpu_seconds()?;
    let load = run(seconds)?;
    let cpu = server.cpu_seconds()? - before;
    Ok(Figure {
        rate: load.answers as f64 / load.seconds,
        cpu_us: cpu * 1e6 / load.answers.max(1) as f64,
        lost: load.lost,
        name_errors: load.by_rcode[3] as f64 / load.answers.max(1) as f64,
    })
}

fn print(settings: &Settings, sockets: usize, figures: &[(Kind, Figure)]) {
    let peers = || figures.iter().filter(|(kind, _)| matches!(kind, Kind::Knot | Kind::Nsd)).map(|(_, figure)| figure);
    let best_rate = peers().map(|figure| figure.rate).fold(0.0, f64::max);
    let best_cpu = peers().map(|figure| figure.cpu_us).fold(f64::INFINITY, f64::min);
    println!("\n{} names, {sockets} client sockets, {IN_FLIGHT} in flight", settings.names);
    println!(
        "{:<28} {:>10} {:>8} {:>12} {:>8} {:>6} {:>9}",
        "", "answers/s", "of best", "cpu us each", "of best", "lost", "NXDOMAIN"
    );
    for (kind, figure) in figures {
        println!(
            "{:<28} {:>10.0} {:>8.2} {:>12.2} {:>8.2} {:>6} {:>8.1}%",
            kind.name(),
            figure.rate,
            figure.rate / best_rate,
            figure.cpu_us,
            figure.cpu_us / best_cpu,
            figure.lost,
            figure.name_errors * 100.0,
        );
    }
}

/// What a record takes: a process with `records` of them beside one with next to none.
fn memory(dir: &Path, records: usize) -> anyhow::Result<()> {
    let resident = |names: usize| -> anyhow::Result<u64> {
        let file = dir.join("memory");
        std::fs::write(&file, zone::master_file(names))?;
        Kind::Ours.start(dir, &file, 0)?.resident()
    };
    // A quarter of the names has a second record.
    let (empty, full) = (resident(1)?, resident(records / 5 * 4)?);
    let each = full.saturating_sub(empty) as f64 / records as f64;
    println!("\n{records} records: {} MiB beside {} MiB empty, {each:.0} octets each", full >> 20, empty >> 20);
    Ok(())
}
