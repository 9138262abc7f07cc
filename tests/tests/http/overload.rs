//! Clients that are too slow, more requests than can wait, and a ledger that takes a write and says nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use conn3ction_tests::{
    Conn3ction, FAKETIME,
    etcd::Etcd,
    http::{Answer, connect},
};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::{get, problem, send};

/// The server's clock runs twenty times as fast, and its patience ends as much sooner.
const HASTE: [(&str, &str); 2] = [("LD_PRELOAD", FAKETIME), ("FAKETIME", "+0 x20")];

fn sent(server: &Conn3ction, text: &str) -> anyhow::Result<TcpStream> {
    let mut stream = connect(server.http)?;
    stream.write_all(text.as_bytes())?;
    Ok(stream)
}

#[test]
fn a_request_that_stops_half_way_is_given_up() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start_in(&HASTE, data.path(), &["--ledger", "memory"])?;
    let host = format!("Host: {}", server.http);
    let mut slow = Vec::new();
    for (head, begun) in [
        ("PUT /records/a.example.local/A", "Content-Length: 100\r\n\r\n{\"values\":"),
        ("POST /changes", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"),
        ("POST /zones/example.local/import", "Content-Length: 100\r\n\r\n$TTL 60\n"),
        ("POST /history", "Content-Length: 100\r\nContent-Type: application/x-ndjson\r\n\r\n{"),
    ] {
        slow.push((head, sent(&server, &format!("{head} HTTP/1.1\r\n{host}\r\n{begun}"))?));
    }
    let mut headless = sent(&server, &format!("GET /records HTTP/1.1\r\n{host}\r\n"))?;
    for (head, stream) in slow {
        let answer = Answer::read(stream, false)?;
        assert_eq!((answer.status, problem(&answer)), (408, "too-slow".into()), "{head}: {answer:?}");
    }
    // Whoever does not even ask is not answered.
    let mut rest = Vec::new();
    headless.read_to_end(&mut rest)?;
    assert_eq!(rest, b"");
    assert_eq!(get(&server, "/events")?.json().as_array().map(Vec::len), Some(1), "nothing was written");
    Ok(())
}

/// More than the ledger's first batch (512) and the queue behind it (4,096) hold.
const FLOOD: usize = 5_100;

/// Asks for [`FLOOD`] changes at once over 30 connections; status and `Retry-After` of each.
fn flood(server: SocketAddr, body: &'static str) -> anyhow::Result<Vec<(u16, String)>> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for client in 0..30 {
            let stream = tokio::net::TcpStream::connect(server).await?;
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            for number in 0..FLOOD / 30 {
                let url = format!("http://{server}/records/c{client}-{number}.example.local/A");
                let request = hyper::Request::put(url).body(body.to_owned())?;
                let mut sender = sender.clone();
                asked.spawn(async move {
                    let answer = sender.send_request(request).await?;
                    let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().map(str::to_owned));
                    anyhow::Ok((answer.status().as_u16(), wait.transpose()?.unwrap_or_default()))
                });
            }
        }
        asked.join_all().await.into_iter().collect()
    })
}

/// Takes 10 seconds, for so long an append is tried.
#[test]
fn a_write_of_unknown_outcome_is_504_and_what_cannot_even_wait_429() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url, "--role", "api"])?;
    let line = "PUT /records/a.example.local/A";
    let (headers, body) = ([("Idempotency-Key", "once")], r#"{"values":["10.0.0.1"]}"#);
    etcd.pause()?;
    let (unknown, flood) = std::thread::scope(|scope| {
        let unknown = scope.spawn(|| send(&server, line, &headers, body));
        let flood = scope.spawn(|| flood(server.http, body));
        let unknown = unknown.join().expect("a thread that asks");
        etcd.go_on()?;
        anyhow::Ok((unknown?, flood.join().expect("a thread that asks")?))
    })?;
    assert_eq!((unknown.status, problem(&unknown)), (504, "outcome-unknown".into()));

    let count = |status: u16| flood.iter().filter(|answer| answer.0 == status).count();
    let limited = flood.iter().filter(|answer| **answer == (429, "1".into())).count();
    assert!(limited > 0 && limited == count(429), "each says when to come back: {limited} of {}", count(429));
    assert!(limited <= FLOOD - 4_096, "4,096 may wait, {limited} were refused");
    let (done, in_doubt) = (count(201), count(504));
    assert_eq!(done + limited + in_doubt + count(503), FLOOD);

    // Sent again with its key it is done once, whether or not it was done then.
    let again = loop {
        let again = send(&server, line, &headers, body)?;
        if !matches!(again.status, 503 | 504) {
            break again;
        }
    };
    assert_eq!(again.status, 201, "{again:?}");
    let events = get(&server, "/events?name=a.example.local&min_revision=2&wait=30s")?.json();
    assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
    let stored = get(&server, "/records?under=example.local&type=A")?.json().as_array().map_or(0, Vec::len) - 1;
    assert!((done..=done + in_doubt).contains(&stored), "{stored} of {done} and {in_doubt} in doubt");
    Ok(())
}
