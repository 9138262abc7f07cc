//! Questions about the past of one name, asked over HTTP of a server with a file ledger, for a short and a long history.
//!
//! ```text
//! cargo build --release -p conn3ction && cargo bench -p conn3ction-tests --bench why -- [names=3000] [events=3000,300000]
//! ```
//! Events give one name after another another address and come in as a history. Names are asked once each, so no header is
//! remembered from before; `GET /healthz` on the same connection is what HTTP alone takes. Medians, and each as a ratio to
//! the first history's.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use conn3ction_tests::{Conn3ction, http};

const ASKED: usize = 500;

fn main() -> anyhow::Result<()> {
    let (mut names, mut histories) = (3_000, vec![3_000, 300_000]);
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.split_once('=').with_context(|| format!("{argument} is no setting"))? {
            ("names", value) => names = value.parse()?,
            ("events", value) => histories = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            _ => bail!("{argument} is no setting"),
        }
    }
    let mut first: Option<Vec<f64>> = None;
    for events in histories {
        let scratch = tempfile::tempdir()?;
        let server = Conn3ction::start(scratch.path(), &["--zones", ""])?;
        let begun = Instant::now();
        let taken = http::request(
            server.http,
            "POST",
            "/history",
            &[("Content-Type", "application/x-ndjson")],
            &history(names, events),
        )?;
        ensure!(taken.status == 201, "{taken:?}");
        println!("\n{names} names, {events} events, taken in after {:.1} s", begun.elapsed().as_secs_f64());
        let times = measure(server.http, names)?;
        let first = first.get_or_insert(times.clone());
        for ((what, time), first) in QUESTIONS.iter().zip(&times).zip(first) {
            println!("  {:<10} {time:>8.0} us ({:.1} of the first history)", what.0, time / *first);
        }
    }
    Ok(())
}

/// What is asked, and of which part of the names: none is asked twice.
const QUESTIONS: [(&str, &str); 5] = [
    ("healthz", "/healthz"),
    ("blame", "/blame?name=NAME"),
    ("history", "/records/NAME/history"),
    ("bisect", "/bisect?name=NAME&type=A&answer=255.255.255.255"),
    ("log", "/events?name=NAME&answer=true&order=desc&limit=50"),
];

/// Medians in microseconds.
fn measure(server: SocketAddr, names: usize) -> anyhow::Result<Vec<f64>> {
    let mut connection = BufReader::new(TcpStream::connect(server)?);
    connection.get_ref().set_nodelay(true)?;
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); QUESTIONS.len()];
    for number in 0..ASKED.min(names / QUESTIONS.len()) {
        for (at, (_, target)) in QUESTIONS.iter().enumerate() {
            let target = target.replace("NAME", &owner(number * QUESTIONS.len() + at));
            let begun = Instant::now();
            ask(&mut connection, &target)?;
            times[at].push(begun.elapsed());
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    Ok(times.iter_mut().map(median).collect())
}

/// One request on a connection that stays; the body is read to its end.
fn ask(connection: &mut BufReader<TcpStream>, target: &str) -> anyhow::Result<()> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    let (mut line, mut length) = (String::new(), None);
    connection.read_line(&mut line)?;
    ensure!(line.contains(" 200 "), "{target}: {line}");
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.parse::<usize>()?)
            }
            Some(_) => {}
            None => break,
        }
    }
    if let Some(length) = length {
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        return Ok(());
    }
    // Chunked (RFC 9112 section 7.1).
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16)?;
        let mut chunk = vec![0; size + 2];
        connection.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn owner(number: usize) -> String {
    format!("host{number}.bench.test")
}

/// Lines of `POST /history`.
fn history(names: usize, events: u64) -> String {
    let mut random = 1u64;
    let mut text = String::new();
    for event in 1..=events {
        let (hour, minute, second) = (event / 3_600 % 24, event / 60 % 60, event % 60);
        let (year, month, day) = (2000 + event / 86_400 / 336, event / 86_400 / 28 % 12 + 1, event / 86_400 % 28 + 1);
        let change = if event == 1 {
            r#"{"zone":"bench.test","name":"bench.test","type":"SOA","after":{"ttl":60,"values":["ns.bench.test. h.bench.test. 1 1 2 3 4"]}},{"zone":"bench.test","name":"bench.test","type":"NS","after":{"ttl":60,"values":["ns.bench.test."]}}"#.to_owned()
        } else {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Every name has a first value before any has a second.
            let number = if event as usize - 2 < names { event as usize - 2 } else { (random >> 11) as usize % names };
            let [_, a, b, c] = (event as u32).to_be_bytes();
            format!(
                r#"{{"zone":"bench.test","name":"{}","type":"A","after":{{"ttl":60,"values":["10.{a}.{b}.{c}"]}}}}"#,
                owner(number)
            )
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            r#"{{"id":"{event}","time":"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z","actor":"ann","reason":"change {}","zones":[{{"name":"bench.test","serial":{event}}}],"changes":[{change}]}}"#,
            event % 100
        );
    }
    text
}
