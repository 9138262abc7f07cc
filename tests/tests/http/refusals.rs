//! Requests that are refused whatever they are about: status, kind, place and hint of each.

use crate::{Headers, get, places, problem, send, server};

#[test]
fn what_is_not_understood_is_refused_with_its_place_and_the_nearest_known_word() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let record = r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"]}"#;
    #[rustfmt::skip]
    let cases: &[(&str, Headers<'_>, &str, u16, &str, &str, &str)] = &[
        // Parameters.
        ("POST /records?dryrun=true", &[], record, 400, "unknown-parameter", "?dryrun", "dry_run"),
        ("POST /records?dry_run=1", &[], record, 400, "malformed", "?dry_run", ""),
        ("POST /records?dry_run", &[], record, 400, "malformed", "?dry_run", ""),
        ("POST /records?dry_run=true&dry_run=true", &[], record, 400, "malformed", "", ""),
        ("GET /records?zoen=x&typ=A", &[], "", 400, "unknown-parameter", "?zoen ?typ", "zone"),
        ("GET /records?type=FOO", &[], "", 400, "malformed", "?type", ""),
        ("GET /records?name=a..b", &[], "", 400, "malformed", "?name", ""),
        ("GET /records?name=%zz", &[], "", 400, "malformed", "", ""),
        ("GET /records?limit=0", &[], "", 400, "malformed", "?limit", ""),
        ("GET /records?limit=-1", &[], "", 400, "malformed", "?limit", ""),
        ("GET /zones?limit=0", &[], "", 400, "malformed", "?limit", ""),
        ("GET /events?limit=0", &[], "", 400, "malformed", "?limit", ""),
        ("GET /events?order=up", &[], "", 400, "malformed", "", ""),
        ("GET /events?kind=changed", &[], "", 400, "malformed", "", ""),
        ("GET /events?from=15", &[], "", 400, "bad-when", "?from", ""),
        ("GET /records?expand=events", &[], "", 400, "malformed", "", ""),
        ("GET /records?after=zzz", &[], "", 400, "malformed", "", ""),
        ("GET /records?wait=10", &[], "", 400, "malformed", "", ""),
        ("GET /records?wait=61s", &[], "", 400, "malformed", "", ""),
        ("GET /healthz?x=1", &[], "", 400, "unknown-parameter", "?x", ""),
        ("GET /readyz?x=1", &[], "", 400, "unknown-parameter", "?x", ""),
        ("GET /metrics?x=1", &[], "", 400, "unknown-parameter", "?x", ""),
        ("GET /openapi.json?x=1", &[], "", 400, "unknown-parameter", "?x", ""),
        ("GET /docs?x=1", &[], "", 400, "unknown-parameter", "?x", ""),
        ("GET /problems/malformed?x=1", &[], "", 400, "unknown-parameter", "?x", ""),
        ("POST /zones/example.local/import?mode=repalce", &[], "", 400, "malformed", "", ""),
        ("GET /events?from=r1&to=r0", &[], "", 400, "malformed", "?from", ""),
        ("GET /events?order=desc&limit=1", &[("Accept", "text/event-stream")], "", 400, "unknown-parameter", "?order ?limit", ""),
        ("GET /events", &[("Accept", "text/event-stream"), ("Last-Event-ID", "99")], "", 422, "moment-not-yet", "", ""),
        // Headers.
        ("POST /changes", &[("If-None-Match", "*")], r#"{"changes":[{"op":"set","name":"a.example.local","type":"A","values":["10.0.0.1"]}]}"#, 400, "unknown-parameter", "if-none-match:", ""),
        ("POST /zones/example.local/import", &[("If-None-Match", "*")], "a A 10.0.0.1\n", 400, "unknown-parameter", "if-none-match:", ""),
        ("DELETE /records/example.local/NS", &[("If-None-Match", "*")], "", 400, "unknown-parameter", "if-none-match:", ""),
        ("DELETE /records/example.local/NS", &[], r#"{"reason":"x"}"#, 400, "malformed", "/", ""),
        ("POST /records", &[("If-Match", "\"1:99\"")], record, 422, "moment-not-yet", "/", ""),
        ("GET /records", &[("Conn3ction-Acter", "x")], "", 400, "unknown-parameter", "conn3ction-acter:", "conn3ction-actor"),
        ("GET /records", &[("Conn3ction-Actor", "")], "", 400, "malformed", "conn3ction-actor:", ""),
        ("POST /records", &[("If-Match", "\"x\"")], record, 400, "malformed", "", ""),
        ("PUT /records/a.example.local", &[("If-None-Match", "\"1:1\"")], record, 400, "malformed", "", ""),
        ("POST /records", &[("Idempotency-Key", "")], record, 400, "malformed", "idempotency-key:", ""),
        ("POST /records", &[("Content-Encoding", "gzip")], record, 415, "media-type", "", ""),
        ("POST /zones/example.local/import", &[("Content-Encoding", "br")], "", 415, "media-type", "", ""),
        // JSON: the pointer of the member, and line and column in the text.
        ("POST /records", &[], "", 400, "malformed", "/", ""),
        ("POST /records", &[], "{", 400, "malformed", "/", ""),
        ("POST /records", &[], "nothing", 400, "malformed", "/", ""),
        ("POST /records", &[], r#"["a.example.local","A",["10.0.0.1"],60,null,null,null,null]"#, 400, "malformed", "/", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"]} x"#, 400, "malformed", "/", ""),
        ("POST /records", &[], r#"{"name":"a","name":"b"}"#, 400, "malformed", "/", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"],"tll":5}"#, 400, "unknown-parameter", "/tll", "ttl"),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":"10.0.0.1"}"#, 400, "malformed", "/values", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":[1]}"#, 400, "malformed", "/values/0", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"],"ttl":"60"}"#, 400, "malformed", "/ttl", ""),
        ("POST /records", &[], r#"{"type":"A","values":["10.0.0.1"]}"#, 422, "invalid-record", "/name", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","values":["10.0.0.1"]}"#, 422, "invalid-record", "/type", ""),
        ("POST /changes", &[], r#"{"changes":[{"op":"set","name":"a.example.local","type":"A","values":["10.0.0.1"]},{"op":"sett","name":"b"}]}"#, 400, "malformed", "/changes/1/op", ""),
        ("POST /changes", &[], r#"{"changes":[{"op":"set","name":"a.example.local","tpye":"A"}]}"#, 400, "unknown-parameter", "/changes/0/tpye", "type"),
        ("POST /changes", &[], r#"{"changes":[]}"#, 422, "invalid-record", "/changes", ""),
        ("POST /zones", &[], r#"{"nmae":"x.example"}"#, 400, "unknown-parameter", "/nmae", "name"),
        ("POST /records", &[("Conn3ction-Actor", "a"), ("Conn3ction-Actor", "b")], "{}", 400, "malformed", "conn3ction-actor:", ""),
        ("PUT /records/a.example.local/A", &[("If-Match", "\"1:1\""), ("If-Match", "\"1:9\"")], "{}", 400, "malformed", "if-match:", ""),
        ("DELETE /records/k%3D2ea.example.local/A", &[], "", 404, "record-not-found", "/name", ""),
        ("POST /zones", &[], r#"{"name":"a..b","nameservers":["ns","a..b"],"contact":"a..b","ttl":2147483648}"#, 422, "invalid-record", "/name /nameservers/0 /nameservers/1 /contact /ttl", ""),
        // Paths and methods.
        ("GET /nowhere", &[], "", 404, "not-found", "", ""),
        ("GET /records/", &[], "", 404, "not-found", "", ""),
        ("GET /docs/nowhere", &[], "", 404, "not-found", "", ""),
        ("GET /problems/nowhere", &[], "", 404, "not-found", "", ""),
        ("POST /projections/nowhere/rebuild", &[], "", 404, "not-found", "", ""),
        ("GET /records/a..b", &[], "", 400, "malformed", "", ""),
        ("GET /records/%ff", &[], "", 400, "malformed", "", ""),
        ("GET /records/a.example.local/FOO", &[], "", 400, "malformed", "", ""),
        ("PATCH /records", &[], "", 405, "method-not-allowed", "", ""),
        ("DELETE /events/1", &[], "", 405, "method-not-allowed", "", ""),
        // What is not there.
        ("GET /records/a.example.local", &[], "", 404, "record-not-found", "", ""),
        ("GET /records/example.local/MX", &[], "", 404, "record-not-found", "", ""),
        ("DELETE /records/a.example.local", &[], "", 404, "record-not-found", "/name", ""),
        ("DELETE /records/a.example.local/A", &[], "", 404, "record-not-found", "/name", ""),
        ("DELETE /records/a.example.local/ANY", &[], "", 404, "record-not-found", "/name", ""),
        ("GET /zones/nowhere", &[], "", 404, "zone-not-found", "", ""),
        ("DELETE /zones/nowhere", &[], "", 404, "zone-not-found", "/", ""),
        ("GET /zones/nowhere/zonefile", &[], "", 404, "zone-not-found", "", ""),
        ("GET /records?zone=nowhere", &[], "", 404, "zone-not-found", "", ""),
        ("GET /events/99", &[], "", 404, "event-not-found", "", ""),
        ("GET /events/0", &[], "", 404, "event-not-found", "", ""),
        ("GET /events/99/changes", &[], "", 404, "event-not-found", "", ""),
        // Moments.
        ("GET /records?at=15", &[], "", 400, "bad-when", "?at", ""),
        ("GET /records?at=r99", &[], "", 422, "moment-not-yet", "", ""),
        ("GET /records?at=9:1", &[], "", 422, "moment-not-yet", "", ""),
        ("GET /records?at=0:1", &[], "", 410, "epoch-ended", "", ""),
        ("GET /events/x", &[], "", 400, "bad-when", "", ""),
        ("GET /events/0:1", &[], "", 410, "epoch-ended", "", ""),
        ("GET /records?min_revision=x", &[], "", 400, "bad-when", "", ""),
        ("GET /records?min_revision=99", &[], "", 503, "not-caught-up", "", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"],"expected_revision":"x"}"#, 400, "bad-when", "", ""),
        ("POST /records", &[], r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"],"expected_revision":"9:1"}"#, 422, "moment-not-yet", "", ""),
    ];
    for (line, headers, body, status, kind, place, hint) in cases {
        let answer = send(&server, line, headers, body)?;
        let told = format!("{line} {headers:?} {body}: {}", answer.body);
        assert_eq!((answer.status, problem(&answer).as_str()), (*status, *kind), "{told}");
        assert_eq!(places(&answer), *place, "{told}");
        if !hint.is_empty() {
            assert_eq!(answer.json()["errors"][0]["hint"], format!("did you mean {hint}?"), "{told}");
        }
    }
    // Nothing of all this was written.
    assert_eq!(get(&server, "/records")?.header("conn3ction-revision"), "1:1");
    Ok(())
}

#[test]
fn json_faults_are_named_by_line_and_column() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    for (body, line, column) in [
        ("{\n  \"name\": \"a\",\n  \"ttl\": x\n}", 3, 10),
        ("{\n\"values\": [\"10.0.0.1\",\n]}", 3, 1),
        ("{\"name\":\"a\"", 1, 11),
        ("{\n \"ttl\": -1}", 2, 10),
    ] {
        let answer = send(&server, "POST /records", &[], body)?;
        let item = &answer.json()["errors"][0];
        assert_eq!((&item["line"], &item["column"]), (&line.into(), &column.into()), "{body}: {}", answer.body);
    }
    Ok(())
}

#[test]
fn what_is_too_large_is_refused_and_nothing_is_stored() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(16 << 20));
    let answer = send(&server, "POST /records", &[], &body)?;
    assert_eq!((answer.status, problem(&answer).as_str()), (413, "too-large"), "{}", answer.body);
    let changes = vec![r#"{"op":"delete","name":"x.example.local"}"#; 10_001].join(",");
    let answer = send(&server, "POST /changes", &[], &format!(r#"{{"changes":[{changes}]}}"#))?;
    assert_eq!((answer.status, problem(&answer).as_str()), (413, "too-large"), "{}", answer.body);
    // The parser of headers gives up before there is a request to name, so this one is bare.
    assert_eq!(send(&server, "GET /records", &[("X-Long", &"x".repeat(100_000))], "")?.status, 431);
    assert_eq!(get(&server, "/records")?.header("conn3ction-revision"), "1:1");
    Ok(())
}

#[test]
fn every_problem_has_its_page_and_a_405_names_the_methods() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    for kind in "malformed unknown-parameter bad-when record-not-found zone-not-found event-not-found record-exists zone-exists \
        type-needed cname-conflict revert-conflict key-in-progress moment-pruned epoch-ended changed-since too-large media-type \
        token-needed forbidden method-not-allowed too-slow headers-too-large invalid-record outside-zones zone-rule moment-not-yet \
        key-reused limited ledger-unavailable not-caught-up outcome-unknown storage-full"
        .split_ascii_whitespace()
    {
        let page = get(&server, &format!("/problems/{kind}"))?;
        assert_eq!(page.status, 200, "{kind}");
        assert!(page.header("content-type").starts_with("text/html") && page.body.contains(kind), "{kind}");
    }
    assert_eq!(send(&server, "PATCH /records", &[], "")?.header("allow"), "GET,HEAD,POST");
    let busy = get(&server, "/records?min_revision=99")?;
    assert_eq!(busy.header("retry-after"), "1");
    Ok(())
}
