//! What a change costs through HTTP, beside what the same machine does at best in the same run.
//!
//! `cargo build --release -p conn3ction && cargo bench -p conn3ction-tests --bench append`, or of its parts `-- one files`. Three
//! ratios: one client's change against one `fdatasync` (`one`; what of that is not the disk's, `memory`), changes from 64 connections
//! on files against `GET /healthz` from the same, wrk both times (`files`), and on etcd against plain puts of as many octets (`etcd`).

use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use conn3ction_tests::{Conn3ction, etcd::Etcd, http::Client, shell};

const CLIENTS: usize = 64;
const SECS: u64 = 5;
const ROUNDS: usize = 3;

/// Every request gives one of 10,000 names another address.
const CHANGES: &str = r#"
local counter = 0
function setup(thread)
  thread:set("thread", counter)
  counter = counter + 1
end
function init()
  number = 0
  header = { ["Content-Type"] = "application/json" }
end
function request()
  number = number + 1
  local name = number % 5000 * 2 + thread
  local body = string.format('{"values":["10.%d.%d.%d"]}', number / 65536 % 256, number / 256 % 256, number % 256)
  return wrk.format("PUT", "/records/n" .. name .. ".example.local/A", header, body)
end
"#;

type Part = fn(&Path) -> anyhow::Result<()>;

/// The parts, each by its name.
const PARTS: [(&str, Part); 4] =
    [("one", alone_on_files), ("memory", alone_in_memory), ("files", on_files), ("etcd", on_etcd)];

fn main() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    std::fs::write(scratch.path().join("changes.lua"), CHANGES)?;
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(scratch.path())?;
        }
    }
    Ok(())
}

fn on_files(scratch: &Path) -> anyhow::Result<()> {
    let data = scratch.join("file");
    let server = Conn3ction::start(&data, &[])?;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let health = wrk(server.http, "/healthz", "")?;
        let changes = wrk(server.http, "/records", &format!("-s {}/changes.lua", scratch.display()))?;
        println!("file: healthz {health:.0}/s, changes {changes:.0}/s, ratio {:.2}", changes / health);
        ratios.push(changes / health);
    }
    println!("file, {CLIENTS} clients: median ratio {:.2} (wanted: at least 0.3)", median(&mut ratios));

    Ok(())
}

/// On a server of its own: after a hundred thousand changes another would be sealing and packing them.
fn alone_on_files(scratch: &Path) -> anyhow::Result<()> {
    let server = Conn3ction::start(&scratch.join("alone"), &[])?;
    let octets = octets_of_a_change(scratch)?;
    let mut plain = std::fs::File::options().create(true).append(true).open(scratch.join("synced"))?;
    let mut client = Client::new(server.http)?;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (mut syncs, mut changes) = (Vec::new(), Vec::new());
        // By turns, for a disk's pace changes from second to second; a hundred at once, for each sync of one file also waits for
        // what the file system has yet to record of the other.
        for _ in 0..10 {
            for _ in 0..100 {
                let begun = Instant::now();
                plain.write_all(&vec![7; octets])?;
                plain.sync_data()?;
                syncs.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            for _ in 0..100 {
                let begun = Instant::now();
                client.change()?;
                changes.push(begun.elapsed().as_secs_f64() * 1e6);
            }
        }
        let (sync, change) = (median(&mut syncs), median(&mut changes));
        println!("file: one fdatasync {sync:.0} us, one client's change {change:.0} us, ratio {:.2}", change / sync);
        ratios.push(change / sync);
    }
    println!("file, one client: median ratio {:.2} (wanted: at most 1.5)", median(&mut ratios));
    Ok(())
}

/// What is left of one client's change without the disk: with one worker thread nobody has to be woken for it.
fn alone_in_memory(scratch: &Path) -> anyhow::Result<()> {
    for workers in ["1", "2"] {
        let environment = [("TOKIO_WORKER_THREADS", workers)];
        let server = Conn3ction::start_in(&environment, &scratch.join("nothing"), &["--ledger", "memory"])?;
        let mut client = Client::new(server.http)?;
        let mut timed = |ask: fn(&mut Client) -> anyhow::Result<()>| {
            let mut times = Vec::new();
            for _ in 0..1000 {
                let begun = Instant::now();
                ask(&mut client)?;
                times.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            anyhow::Ok(median(&mut times))
        };
        let (health, change) = (timed(Client::health)?, timed(Client::change)?);
        println!("memory, {workers} worker threads: healthz {health:.0} us, one client's change {change:.0} us");
    }
    Ok(())
}

fn on_etcd(scratch: &Path) -> anyhow::Result<()> {
    let etcd = Etcd::start(&["--quota-backend-bytes=8589934592"])?;
    // What is measured is the ledger: another process would write the views.
    let server = Conn3ction::start(&scratch.join("etcd"), &["--etcd-endpoints", &etcd.url, "--role", "api"])?;
    let octets = octets_of_a_change(scratch)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let puts = runtime.block_on(puts(&etcd.url, round, octets))?;
        let changes = wrk(server.http, "/records", &format!("-s {}/changes.lua", scratch.display()))?;
        println!(
            "etcd: plain puts of {octets} octets {puts:.0}/s, changes {changes:.0}/s, ratio {:.2}",
            changes / puts
        );
        ratios.push(changes / puts);
    }
    println!("etcd, {CLIENTS} clients: median ratio {:.2} (wanted: at least 0.5)", median(&mut ratios));
    Ok(())
}

/// Requests a second, all of them answered with success.
fn wrk(server: SocketAddr, path: &str, options: &str) -> anyhow::Result<f64> {
    let printed = shell(&format!("wrk -t2 -c{CLIENTS} -d{SECS}s {options} http://{server}{path}"))?;
    anyhow::ensure!(!printed.contains("Non-2xx") && !printed.contains("Socket errors"), "{printed}");
    let rate = printed.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.ok_or_else(|| anyhow::anyhow!("no rate: {printed}"))
}

/// Octets that a change takes in the ledger on files: header, body and frame.
fn octets_of_a_change(scratch: &Path) -> anyhow::Result<usize> {
    let data = scratch.join("one");
    let server = Conn3ction::start(&data, &[])?;
    let mut client = Client::new(server.http)?;
    // The first segment is not full by then, and has room behind what was written.
    let written = || {
        let octets = std::fs::read(data.join("ledger/00000000-0000000000000000.seg"))?;
        anyhow::Ok(octets.iter().rposition(|octet| *octet != 0).unwrap_or(0))
    };
    client.change()?;
    let before = written()?;
    for _ in 0..100 {
        client.change()?;
    }
    Ok((written()? - before) / 100)
}

/// Plain puts a second.
async fn puts(url: &str, round: usize, octets: usize) -> anyhow::Result<f64> {
    let (done, begun) = (AtomicU64::new(0), Instant::now());
    let client = etcd_client::Client::connect([url], None).await?;
    let mut tasks = tokio::task::JoinSet::new();
    let done = std::sync::Arc::new(done);
    for task in 0..CLIENTS {
        let (mut client, done) = (client.kv_client(), done.clone());
        tasks.spawn(async move {
            for number in 0.. {
                if begun.elapsed() > Duration::from_secs(SECS) {
                    break;
                }
                client.put(format!("/plain/{round}/{task}/{number}"), vec![7; octets], None).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, etcd_client::Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
