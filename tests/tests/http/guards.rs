//! Guards and retries: `If-Match`, `If-None-Match`, `expected_revision`, `Idempotency-Key`, `min_revision`.

use conn3ction_tests::http::Answer;

use crate::{get, problem, put, send, server};

/// `STATUS KIND`, or only the status of what went well.
fn outcome(answer: &Answer) -> String {
    if answer.status < 400 { answer.status.to_string() } else { format!("{} {}", answer.status, problem(answer)) }
}

#[test]
fn an_etag_is_the_last_change_of_that_set_or_zone() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    assert_eq!(put(&server, "a.example.local", "A", "10.0.0.1")?.header("etag"), "\"1:2\"");
    assert_eq!(put(&server, "b.example.local", "A", "10.0.0.1")?.header("etag"), "\"1:3\"");
    assert_eq!(send(&server, "POST /zones", &[], r#"{"name":"other.test"}"#)?.header("etag"), "\"1:4\"");
    for (target, tag) in [
        ("/records/a.example.local", "\"1:2\""),
        ("/records/b.example.local/A", "\"1:3\""),
        ("/zones/example.local", "\"1:3\""),
        ("/zones/example.local/zonefile", "\"1:3\""),
        ("/zones/other.test", "\"1:4\""),
    ] {
        let answer = get(&server, target)?;
        assert_eq!(answer.header("etag"), tag, "{target}");
        for (known, status) in [(tag, 304), ("\"1:1\", W/\"1:2\", \"1:3\", \"1:4\"", 304), ("*", 304), ("\"1:1\"", 200)]
        {
            let again = send(&server, &format!("GET {target}"), &[("If-None-Match", known)], "")?;
            assert_eq!((again.status, again.header("etag")), (status, tag), "{target} {known}");
            assert_eq!(again.body.is_empty(), status == 304, "{target} {known}");
        }
    }
    Ok(())
}

#[test]
fn one_guard_holds_the_requests_own_scope_against_a_revision() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?; // r2
    put(&server, "b.example.local", "A", "10.0.0.1")?; // r3
    put(&server, "a.example.local", "TXT", "text")?; // r4
    let set = |value: &str| format!(r#"{{"type":"A","values":["{value}"]}}"#);
    let of = |revision: &str, value: &str| {
        format!(r#"{{"type":"A","values":["{value}"],"expected_revision":"{revision}"}}"#)
    };
    let tag = |revision: &str| format!("\"{revision}\"");
    let send = |line: &str, header: Option<(&str, &str)>, body: &str| send(&server, line, header.as_slice(), body);
    // Writes elsewhere never count: neither another name's nor another type's.
    let answer = send("PUT /records/a.example.local/A", Some(("If-Match", &tag("1:1"))), &set("10.0.0.2"))?;
    assert_eq!(outcome(&answer), "412 changed-since", "{}", answer.body);
    for (line, header, body, expected) in [
        ("PUT /records/a.example.local/A", Some(tag("1:2")), set("10.0.0.2"), "200"), // r5
        ("PUT /records/a.example.local/A", Some(tag("1:4")), set("10.0.0.3"), "412 changed-since"),
        ("PUT /records/a.example.local/A", None, of("r4", "10.0.0.3"), "412 changed-since"),
        ("PUT /records/a.example.local/A", None, of("1:5", "10.0.0.3"), "200"), // r6
        ("PUT /records/a.example.local/A", Some(tag("1:6")), of("1:6", "10.0.0.4"), "400 malformed"),
        ("DELETE /records/a.example.local/A", Some(tag("1:5")), String::new(), "412 changed-since"),
        ("DELETE /records/a.example.local/TXT", Some(tag("1:4")), String::new(), "204"), // r7
        ("DELETE /zones/example.local", Some(tag("1:6")), String::new(), "412 changed-since"),
        (
            "POST /changes",
            None,
            r#"{"expected_revision":"1:3","changes":[{"op":"set","name":"b.example.local","type":"A","values":["10.0.0.5"]}]}"#.into(),
            "201", // r8
        ),
        (
            "POST /changes",
            None,
            r#"{"expected_revision":"1:7","changes":[
                {"op":"set","name":"a.example.local","type":"A","values":["10.0.0.5"]},
                {"op":"set","name":"b.example.local","type":"A","values":["10.0.0.6"]}]}"#.into(),
            "412 changed-since",
        ),
        ("POST /zones/example.local/import", Some(tag("1:7")), "c 60 A 10.0.0.1\n".into(), "412 changed-since"),
        ("POST /zones/example.local/import", Some(tag("1:8")), "c 60 A 10.0.0.1\n".into(), "201"), // r9
    ] {
        let answer = send(line, header.as_deref().map(|tag| ("If-Match", tag)), &body)?;
        assert_eq!(outcome(&answer), expected, "{line} {header:?} {body}: {}", answer.body);
    }
    // Create only.
    for (name, expected) in [("a", "409 record-exists"), ("new", "201")] {
        let line = format!("PUT /records/{name}.example.local/A");
        let answer = send(&line, Some(("If-None-Match", "*")), &set("10.0.0.9"))?;
        assert_eq!(outcome(&answer), expected, "{}", answer.body);
    }
    // What only creates anyway may be asked to.
    let record = r#"{"name":"newer.example.local","type":"A","values":["10.0.0.9"]}"#;
    for (line, body) in [("POST /records", record), ("POST /zones", r#"{"name":"new.test"}"#)] {
        for expected in ["201", "409"] {
            let answer = send(line, Some(("If-None-Match", "*")), body)?;
            assert_eq!(outcome(&answer)[..3], *expected, "{line}: {}", answer.body);
        }
    }
    Ok(())
}

#[test]
fn a_retry_with_the_same_key_is_applied_once() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let post = |key: &str, actor: &str, line: &str, body: &str| {
        send(&server, line, &[("Idempotency-Key", key), ("Conn3ction-Actor", actor)], body)
    };
    let record = r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"]}"#;
    let first = post("k", "ann", "POST /records", record)?;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    // Other writes come between.
    put(&server, "a.example.local", "A", "10.0.0.9")?;
    let again = post("k", "ann", "POST /records", record)?;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
    assert_eq!((&again.body, again.header("conn3ction-revision")), (&first.body, "1:2"));
    // Another request, other query included, or the same of another actor.
    for (actor, line, body, expected) in [
        ("ann", "POST /records", r#"{"name":"b.example.local","type":"A","values":["10.0.0.1"]}"#, "422 key-reused"),
        ("ann", "POST /changes", record, "400 unknown-parameter"),
        ("bob", "POST /records", record, "409 record-exists"),
    ] {
        let answer = post("k", actor, line, body)?;
        assert_eq!(outcome(&answer), expected, "{actor} {line}: {}", answer.body);
    }
    // A refusal is judged anew.
    assert_eq!(outcome(&post("k2", "ann", "DELETE /records/c.example.local", "")?), "404 record-not-found");
    put(&server, "c.example.local", "A", "10.0.0.1")?;
    let gone = post("k2", "ann", "DELETE /records/c.example.local", "")?;
    let again = post("k2", "ann", "DELETE /records/c.example.local", "")?;
    assert_eq!((gone.status, again.status), (204, 204));
    assert_eq!((gone.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(gone.header("conn3ction-revision"), again.header("conn3ction-revision"));
    for (line, body) in [
        ("POST /changes", r#"{"changes":[{"op":"set","name":"d.example.local","type":"A","values":["10.0.0.1"]}]}"#),
        ("POST /zones", r#"{"name":"k.test"}"#),
        ("POST /zones/i.test/import", "@ SOA ns.i.test. h.i.test. 1 1 1 1 1\n@ NS ns.i.test.\n"),
        ("DELETE /zones/k.test", ""),
    ] {
        let key = line.replace(['/', ' '], "-");
        let (first, again) = (post(&key, "ann", line, body)?, post(&key, "ann", line, body)?);
        assert_eq!((first.status, &first.body), (again.status, &again.body), "{line}");
        assert!(first.status < 300, "{line}: {}", first.body);
        assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"), "{line}");
    }
    Ok(())
}

#[test]
fn writes_are_read_at_once_and_any_read_waits_for_a_revision() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let written = put(&server, "a.example.local", "A", "10.0.0.1")?;
    let revision = written.header("conn3ction-revision");
    for target in ["/records", "/records/a.example.local", "/zones", "/zones/example.local", "/events", "/events/1"] {
        let answer = get(&server, &format!("{target}?min_revision={revision}&wait=10s"))?;
        assert_eq!((answer.status, answer.header("conn3ction-revision")), (200, revision), "{target}");
    }
    for target in ["/readyz", "/projections", "/verify", "/events/1/changes", "/zones/example.local/zonefile"] {
        assert_eq!(get(&server, &format!("{target}?min_revision={revision}&wait=10s"))?.status, 200, "{target}");
    }
    // The waiting read answers as soon as the write is there.
    let address = server.http;
    let waiting = std::thread::spawn(move || {
        conn3ction_tests::http::request(address, "GET", "/records/b.example.local?min_revision=3&wait=60s", &[], "")
    });
    put(&server, "b.example.local", "A", "10.0.0.1")?;
    assert_eq!(waiting.join().expect("the waiting read")?.status, 200);
    Ok(())
}
