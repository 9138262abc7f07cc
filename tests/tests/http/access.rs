//! Who may ask, from where, and how a request is told from others.

use conn3ction_tests::{Conn3ction, shell};

use crate::{Headers, get, problem, send, server};

const RECORD: &str = r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"]}"#;

#[test]
fn with_a_token_file_writes_need_a_token_and_its_actor_goes_into_the_event() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("tokens");
    let hash = |secret: &str| shell(&format!("printf %s {secret} | sha256sum | cut -d' ' -f1"));
    std::fs::write(
        &file,
        format!("# ours\n{} ci-deploy write\n{} auditor read\n", hash("s3cret")?.trim(), hash("look")?.trim()),
    )?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--tokens", &file.to_string_lossy()])?;
    #[rustfmt::skip]
    let cases: &[(&str, Headers<'_>, u16, &str)] = &[
        ("GET /records", &[], 200, ""),
        ("GET /records", &[("Authorization", "Bearer look")], 200, ""),
        ("GET /records", &[("Authorization", "Bearer wrong")], 401, "token-needed"),
        ("GET /records", &[("Authorization", "Basic czNjcmV0")], 401, "token-needed"),
        ("POST /records", &[], 401, "token-needed"),
        ("POST /records", &[("Conn3ction-Actor", "ci-deploy")], 401, "token-needed"),
        ("POST /records", &[("Authorization", "Bearer look")], 403, "forbidden"),
        ("POST /records", &[("Authorization", "Bearer wrong")], 401, "token-needed"),
        ("POST /records?dry_run=true", &[], 401, "token-needed"),
        ("POST /records?dry_run=true", &[("Authorization", "Bearer look")], 200, ""),
        ("POST /records?dry_run=true&dry_run=false", &[("Authorization", "Bearer look")], 400, "malformed"),
        ("POST /records?dry_run=false", &[("Authorization", "Bearer look")], 403, "forbidden"),
        ("POST /records", &[("Authorization", "bearer s3cret"), ("Conn3ction-Actor", "somebody-else")], 201, ""),
    ];
    for (line, headers, status, kind) in cases {
        let answer = send(&server, line, headers, if line.starts_with("POST") { RECORD } else { "" })?;
        assert_eq!(answer.status, *status, "{line} {headers:?}: {}", answer.body);
        if !kind.is_empty() {
            assert_eq!(problem(&answer), *kind, "{line} {headers:?}");
        }
        assert_eq!(answer.header("www-authenticate"), if *status == 401 { "Bearer" } else { "" });
    }
    let event = get(&server, "/events/2")?.json();
    assert_eq!((&event["actor"], &event["auth"]), (&"ci-deploy".into(), &"token".into()));
    assert!(!server.logged().contains("s3cret"), "no secret is logged");
    Ok(())
}

/// A token comes and goes without a restart; a slip of the pen locks nobody out.
#[test]
fn a_token_file_is_read_again_when_the_server_is_told_to_hang_up() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("tokens");
    let line =
        |secret: &str| shell(&format!("printf '%s ann write\\n' $(printf %s {secret} | sha256sum | cut -d' ' -f1)"));
    std::fs::write(&file, line("first")?)?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--tokens", &file.to_string_lossy()])?;
    let status = |secret: &str| -> anyhow::Result<u16> {
        let bearer = format!("Bearer {secret}");
        Ok(send(&server, "POST /records?dry_run=true", &[("Authorization", &bearer)], RECORD)?.status)
    };
    let hang_up = || shell(&format!("kill -HUP {}", server.pid()));
    assert_eq!((status("first")?, status("second")?), (200, 401));
    std::fs::write(&file, line("second")?)?;
    hang_up()?;
    server.logged_until("the token file was read again");
    assert_eq!((status("first")?, status("second")?), (401, 200));
    std::fs::write(&file, "")?;
    hang_up()?;
    server.logged_until("no token is in it");
    std::fs::write(&file, "hunter2\n")?;
    hang_up()?;
    let log = server.logged_until(", line 1: expected");
    assert!(log.contains("the tokens of before stay in force") && !log.contains("hunter2"), "{log}");
    assert_eq!((status("first")?, status("second")?), (401, 200));
    Ok(())
}

#[test]
fn without_tokens_the_actor_is_what_the_header_claims() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    send(&server, "POST /records", &[("Conn3ction-Actor", "ann"), ("Conn3ction-Reason", "CHG-7, the größte")], RECORD)?;
    let event = get(&server, "/events/2")?.json();
    let told = (&event["actor"], &event["auth"], &event["reason"]);
    assert_eq!(told, (&"ann".into(), &"none".into(), &"CHG-7, the größte".into()));
    Ok(())
}

#[test]
fn a_server_without_tokens_does_not_listen_beyond_loopback_unless_told_twice() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let start = |arguments: &[&str]| Conn3ction::start(data.path(), &[&["--ledger", "memory"], arguments].concat());
    let refused = start(&["--http-listen", "0.0.0.0:0"]).err().expect("refused").to_string();
    assert!(refused.contains("anybody could write") && refused.contains("allow-open"), "{refused}");
    start(&["--http-listen", "0.0.0.0:0", "--allow-open"])?;
    let file = data.path().join("tokens");
    std::fs::write(&file, "")?;
    start(&["--http-listen", "0.0.0.0:0", "--tokens", &file.to_string_lossy()])?;
    // A line that is no token is named by its number, never by its text.
    std::fs::write(&file, "# ours\nhunter2\n")?;
    let refused = start(&["--tokens", &file.to_string_lossy()]).err().expect("refused").to_string();
    assert!(refused.contains("line 2") && !refused.contains("hunter2"), "{refused}");
    Ok(())
}

#[test]
fn pages_of_elsewhere_reach_nothing_through_a_browser() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let own = server.http.to_string();
    let (origin, port) = (format!("http://{own}"), server.http.port());
    let (localhost, rebound) = (format!("localhost:{port}"), format!("evil.example:{port}"));
    let evil = format!("http://{rebound}");
    #[rustfmt::skip]
    let cases: &[(&str, Headers<'_>, u16, &str)] = &[
        // A form's content type is what `curl -d` sends: taken, but not from a page.
        ("POST", &[("Content-Type", "application/x-www-form-urlencoded")], 201, ""),
        ("POST", &[("Origin", &origin), ("Content-Type", "application/x-www-form-urlencoded")], 415, "media-type"),
        ("POST", &[("Origin", &origin), ("Content-Type", "text/plain")], 415, "media-type"),
        ("POST", &[("Origin", &origin), ("Content-Type", "application/json")], 409, "record-exists"),
        ("POST", &[("Origin", "http://evil.example"), ("Content-Type", "application/json")], 403, "forbidden"),
        ("GET", &[("Origin", "http://evil.example")], 403, "forbidden"),
        ("GET", &[("Origin", "null")], 403, "forbidden"),
        // A name that was made to resolve to us is its page's own origin; the Host tells.
        ("GET", &[("Host", &rebound)], 403, "forbidden"),
        ("POST", &[("Host", &rebound), ("Origin", &evil), ("Content-Type", "application/json")], 403, "forbidden"),
        ("GET", &[("Host", &localhost)], 200, ""),
        ("GET", &[("Host", "[::1]:8080")], 200, ""),
        ("GET", &[("Host", "192.0.2.1")], 200, ""),
    ];
    for (method, headers, status, kind) in cases {
        let answer =
            send(&server, &format!("{method} /records"), headers, if *method == "POST" { RECORD } else { "" })?;
        assert_eq!(answer.status, *status, "{method} {headers:?}: {}", answer.body);
        if !kind.is_empty() {
            assert_eq!(problem(&answer), *kind, "{method} {headers:?}");
        }
    }
    // Behind a proxy that passes its own name on.
    let (_data, open) = crate::server(&["--allow-open"])?;
    assert_eq!(send(&open, "GET /records", &[("Host", "dns.corp.example")], "")?.status, 200);
    Ok(())
}

#[test] // W3C Trace Context section 3.2
fn the_trace_that_a_request_belongs_to_is_in_its_log_lines() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = |parent: &str, id: &str| {
        send(&server, "GET /records", &[("traceparent", parent), ("X-Request-Id", id)], "").map(|answer| answer.status)
    };
    assert_eq!(sent(&format!("00-{trace}-00f067aa0ba902b7-01"), "req-traced")?, 200);
    assert_eq!(sent(&format!("00-{trace}-0000000000000000-01"), "req-malformed")?, 200, "it is ignored");
    let without_id = send(&server, "GET /records", &[("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))], "")?;
    let made = without_id.header("x-request-id");
    assert_eq!(made.len(), 36, "an id of its own is made");
    let field = format!("\"trace_id\":\"{trace}\"");
    assert!(line(&server, "req-traced").contains(&field));
    assert!(line(&server, made).contains(&field));
    assert!(!line(&server, "req-malformed").contains("trace_id"));
    Ok(())
}

/// The line that says that request `id` was answered; it is written after the answer.
fn line(server: &Conn3ction, id: &str) -> String {
    let log = server.logged_until(id);
    let line = log.lines().find(|line| line.contains(id) && line.contains("answered"));
    line.unwrap_or_else(|| panic!("{id} in {log}")).to_owned()
}

#[test]
fn the_correlation_id_comes_back_and_is_in_the_event_and_every_log_line() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let answer = send(&server, "POST /records", &[("X-Request-Id", "req-5f0c")], RECORD)?;
    assert_eq!((answer.status, answer.header("x-request-id")), (201, "req-5f0c"));
    assert_eq!(get(&server, "/events/2")?.json()["request_id"], "req-5f0c");
    assert_eq!(get(&server, "/events?request_id=req-5f0c")?.json().as_array().map(Vec::len), Some(1));
    let refused = send(&server, "POST /records", &[("X-Request-Id", "req-77")], RECORD)?;
    assert_eq!((refused.status, &refused.json()["request_id"]), (409, &"req-77".into()));
    // Without one, or with one that cannot be logged as it is, one is made.
    for bad in ["", "two words", &"x".repeat(129)] {
        let answer = send(&server, "GET /records", &[("X-Request-Id", bad)], "")?;
        assert!(answer.header("x-request-id").len() == 36, "{bad:?}: {answer:?}");
    }
    let last = get(&server, "/healthz")?.header("x-request-id").to_owned();
    shell(&format!("curl -sf --http2-prior-knowledge -H 'X-Request-Id: req-http2' http://{}/readyz", server.http))?;
    let sent = [("req-5f0c", "/records"), ("req-77", "/records"), (&last, "/healthz"), ("req-http2", "/readyz")];
    for (id, path) in sent {
        let line = line(&server, id);
        assert!(line.contains(path), "{line}");
    }
    Ok(())
}

#[test]
fn each_log_line_is_one_json_object_whatever_the_request_says() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let id = r#"{"a":"\"},"span":{}}"#;
    assert_eq!(send(&server, "GET /records/%22%0A%5C", &[("X-Request-Id", id)], "")?.header("x-request-id"), id);
    assert_eq!(get(&server, "/healthz")?.status, 200);
    let log = server.logged_until("/healthz");
    let mut seen = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).map_err(|error| anyhow::anyhow!("{error}: {line}"))?;
        for member in ["timestamp", "level", "target"] {
            assert!(line[member].is_string(), "{member}: {line}");
        }
        if line["fields"]["message"] == "answered" {
            let span = &line["span"];
            assert_eq!((&span["name"], &span["method"]), (&"request".into(), &"GET".into()), "{line}");
            seen.push([&span["request_id"], &span["path"], &line["fields"]["status"]].map(ToString::to_string));
        }
    }
    let of = |id: &str| serde_json::Value::from(id).to_string();
    assert_eq!(seen[0], [of(id), of("/records/%22%0A%5C"), "400".into()], "{log}");
    Ok(())
}
