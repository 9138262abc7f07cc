//! A zone of a million records put back to what it was ten thousand changes ago: planned, applied, answered; then that event undone.
//!
//! ```text
//! cargo build --release -p conn3ction && cargo bench -p conn3ction-tests --bench restore -- [records=1000000] [changes=10000]
//! ```
//! File ledger, over HTTP; what the last change made is asked over UDP from when the request is sent until it is the old answer.
//! A plain walk of the zone, its export, stands beside it.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use conn3ction_tests::{Conn3ction, http};
use serde_json::json;

#[path = "../../dns/benches/answers/zone.rs"]
#[expect(dead_code, reason = "its questions are another bench's")]
mod zone;

/// Changes in one event.
const IN_EVENT: usize = 10;
const RESTORE: &str = "/zones/bench.example/restore";

fn main() -> anyhow::Result<()> {
    let (mut records, mut changes) = (1_000_000, 10_000);
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.split_once('=').with_context(|| format!("{argument} is no setting"))? {
            ("records", value) => records = value.parse()?,
            ("changes", value) => changes = value.parse()?,
            _ => bail!("{argument} is no setting"),
        }
    }
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("zone");
    // A quarter of the names has a second record.
    let names = records / 5 * 4;
    fs::write(&file, zone::master_file(names))?;
    let server = Conn3ction::start(&scratch.path().join("data"), &["--zones", ""])?;
    let ran = server.cli(&["import", "bench.example", &file.to_string_lossy(), "--mode", "replace"])?;
    ensure!(ran.code == 0, "import: {}{}", ran.out, ran.err);
    for event in 0..changes / IN_EVENT {
        let place = |at: usize| (event * IN_EVENT + at) * (names / changes).max(1) / 20 * 20 + 1 + at % IN_EVENT;
        let change = |at| json!({"op": "set", "name": owner(place(at)), "type": "A", "values": [format!("198.18.{}.{}", event % 256, at)]});
        let body = json!({"changes": (0..IN_EVENT).map(change).collect::<Vec<_>>()});
        let answer = server.ask("POST", "/changes", &body.to_string())?;
        ensure!(answer.status == 201, "{answer:?}");
    }
    println!("{records} records, then {changes} changes in {} events", changes / IN_EVENT);

    let (whole, _) = timed(|| ask(server.http, "GET", "/zones/bench.example/zonefile", ""))?;
    println!("export of the zone: {:.2} s", whole.as_secs_f64());
    let (took, plan) = timed(|| ask(server.http, "POST", &format!("{RESTORE}?dry_run=true"), r#"{"to":"r1"}"#))?;
    let plan = plan.json();
    println!("plan: {:.2} s (wanted: under 1), {}", took.as_secs_f64(), plan["summary"]);

    let last = owner(changes.saturating_sub(IN_EVENT) * (names / changes).max(1) / 20 * 20 + 1);
    done(&server, "restore, applied and answered", &last, RESTORE, &plan["apply"].to_string(), "(wanted: under 2)")?;
    let head = server.ask("GET", "/events?order=desc&limit=1", "")?.json()[0]["revision"].clone();
    done(&server, "that event undone", &last, &format!("/events/r{head}/revert"), "", "")?;
    let event = server.ask("GET", "/events/r5", "")?;
    ensure!(event.status == 200, "{event:?}");
    Ok(())
}

/// Sends a rollback and says when it was answered over HTTP, and when over DNS.
fn done(server: &Conn3ction, what: &str, name: &str, target: &str, body: &str, wanted: &str) -> anyhow::Result<()> {
    let before = address(server.dns, name)?;
    let (begun, http) = (Instant::now(), server.http);
    let (target, body) = (target.to_owned(), body.to_owned());
    let applying = std::thread::spawn(move || timed(|| ask(http, "POST", &target, &body)));
    while address(server.dns, name)? == before {
        ensure!(begun.elapsed() < Duration::from_secs(60), "{name} is still {before:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    let answered = begun.elapsed();
    let (took, _) = applying.join().map_err(|_| anyhow::anyhow!("the request panicked"))??;
    println!("{what}: HTTP after {:.2} s, DNS after {:.2} s {wanted}", took.as_secs_f64(), answered.as_secs_f64());
    Ok(())
}

fn ask(server: SocketAddr, method: &str, target: &str, body: &str) -> anyhow::Result<http::Answer> {
    let answer = http::request(server, method, target, &[], body)?;
    ensure!(answer.status < 300, "{method} {target}: {answer:?}");
    Ok(answer)
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((begun.elapsed(), done))
}

fn owner(number: usize) -> String {
    format!("host{number}.bench.example")
}

/// The last four octets of the answer for A: its address.
fn address(server: SocketAddr, name: &str) -> anyhow::Result<[u8; 4]> {
    let mut question = b"\0\x07\0\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend(label.as_bytes());
    }
    question.extend(b"\0\0\x01\0\x01");
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send_to(&question, server)?;
    let mut reply = [0; 512];
    let octets = socket.recv(&mut reply)?;
    ensure!(reply[3] & 15 == 0 && reply[7] == 1, "{name} has no address");
    Ok(reply[octets - 4..octets].try_into()?)
}
