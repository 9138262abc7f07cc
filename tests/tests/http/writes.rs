//! Writes that go well: what they answer, what becomes an event, what a dry run tells.

use std::fs;

use conn3ction_tests::{Conn3ction, http::Client};
use serde_json::{Value, json};

use crate::{column, get, problem, put, send, server};

#[test]
fn a_record_is_written_and_read_as_documented() -> anyhow::Result<()> {
    let (_data, server) = server(&["--zones", "example.local.,child.example.local."])?;
    let record = json!({"name": "app.example.local", "type": "A", "values": ["10.1.2.3"], "ttl": 60});
    for (line, body, status, expected) in [
        // The TTL: the set's present one, else the zone's default.
        (
            "POST /records",
            json!({"name": "app.example.local", "type": "A", "values": ["10.1.2.3"]}),
            201,
            record.clone(),
        ),
        ("GET /records/app.example.local", Value::Null, 200, record.clone()),
        ("PUT /records/app.example.local/A", json!({"values": ["10.1.2.3"], "ttl": 7}), 200, json!({"ttl": 7})),
        (
            "PUT /records/app.example.local/A",
            json!({"values": ["10.1.2.4", "10.1.2.3"]}),
            200,
            json!({"ttl": 7, "values": ["10.1.2.3", "10.1.2.4"]}),
        ),
        // Input takes either form of a name; output is lower case without the last dot, targets have theirs.
        (
            "PUT /records/WWW.Example.LOCAL./cname",
            json!({"values": ["App.example.local"]}),
            201,
            json!({"name": "www.example.local", "type": "CNAME", "values": ["app.example.local."]}),
        ),
        ("GET /records/www.example.local.", Value::Null, 200, json!({"name": "www.example.local"})),
        (
            "PUT /records/mail.example.local/MX",
            json!({"values": ["20 b.example.local", "10 single."]}),
            201,
            json!({"values": ["10 single.", "20 b.example.local."]}),
        ),
        (
            "PUT /records/t.example.local/TXT",
            json!({"values": ["not quoted; one text", "\"two\" \"texts\""]}),
            201,
            json!({"values": ["\"two\" \"texts\"", "\"not quoted; one text\""]}),
        ),
        (
            "PUT /records/*.w.example.local/A",
            json!({"name": "*.w.example.local", "type": "a", "values": ["10.0.0.1"]}),
            201,
            json!({"name": "*.w.example.local"}),
        ),
        (
            "PUT /records/%2A.w.example.local/A",
            json!({"values": ["10.0.0.2"]}),
            200,
            json!({"name": "*.w.example.local"}),
        ),
        (
            "PUT /records/app.child.example.local/A",
            json!({"values": ["10.0.0.2"]}),
            201,
            json!({"name": "app.child.example.local"}),
        ),
        // The same name and type in two zones of ours: the zone is told.
        (
            "PUT /records/child.example.local/NS",
            json!({"zone": "example.local", "values": ["ns.child.example.local."]}),
            201,
            json!({"zone": "example.local"}),
        ),
        (
            "GET /records/child.example.local/NS?zone=child.example.local",
            Value::Null,
            200,
            json!({"zone": "child.example.local", "values": ["localhost."]}),
        ),
        (
            "PUT /records/child.example.local/DS",
            json!({"values": ["1 13 2 00000000000000000000000000000000000000000000000000000000000000ff"]}),
            201,
            json!({"type": "DS"}),
        ),
        (
            "GET /records/child.example.local/DS?zone=example.local&expand=event",
            Value::Null,
            200,
            json!({"event": {"revision": 13, "actor": "anonymous"}}),
        ),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = send(&server, line, &[], &body)?;
        assert_eq!(answer.status, status, "{line} {body}: {}", answer.body);
        let shown = answer.json();
        for (member, value) in expected.as_object().into_iter().flatten() {
            match value {
                Value::Object(members) => {
                    for (inner, value) in members {
                        assert_eq!(&shown[member][inner], value, "{line} {body}: {shown}");
                    }
                }
                _ => assert_eq!(&shown[member], value, "{line} {body}: {shown}"),
            }
        }
    }
    Ok(())
}

#[test]
fn a_name_without_a_type_is_the_only_set_there_in_every_verb() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?;
    assert_eq!(get(&server, "/records/a.example.local")?.json()["type"], "A");
    let only = r#"{"values":["10.0.0.2"]}"#;
    assert_eq!(send(&server, "PUT /records/a.example.local", &[], only)?.json()["type"], "A");
    put(&server, "a.example.local", "AAAA", "2001:db8::1")?;
    put(&server, "a.example.local", "MX", "10 mail.example.local.")?;
    for (line, body) in [
        ("GET /records/a.example.local", ""),
        ("DELETE /records/a.example.local", ""),
        ("PUT /records/a.example.local", only),
    ] {
        let answer = send(&server, line, &[], body)?;
        assert_eq!((answer.status, problem(&answer).as_str()), (409, "type-needed"), "{line}");
        for rtype in ["A", "AAAA", "MX"] {
            assert!(answer.body.contains(rtype), "{line} lists them: {}", answer.body);
        }
    }
    assert_eq!(column(&get(&server, "/records?name=a.example.local")?.json(), "type"), ["A", "MX", "AAAA"]);
    assert_eq!(send(&server, "DELETE /records/a.example.local/ANY", &[], "")?.status, 204);
    assert_eq!(get(&server, "/records/a.example.local")?.status, 404);
    // All three in one event.
    assert_eq!(get(&server, "/events/6")?.json()["change_count"], 3);
    Ok(())
}

#[test]
fn an_equal_write_makes_no_event() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?;
    for (line, body) in [
        ("PUT /records/a.example.local/A", r#"{"values":["10.0.0.1"],"ttl":60}"#),
        ("POST /changes", r#"{"changes":[{"op":"set","name":"a.example.local","type":"A","values":["10.0.0.1"]}]}"#),
        ("POST /changes", r#"{"changes":[{"op":"add","name":"a.example.local","type":"A","values":["10.0.0.1"]}]}"#),
        ("POST /zones/example.local/import", "a 60 A 10.0.0.1\n"),
    ] {
        let answer = send(&server, line, &[], body)?;
        assert_eq!((answer.status, answer.header("conn3ction-revision")), (200, "1:2"), "{line}: {}", answer.body);
    }
    assert_eq!(get(&server, "/events")?.json().as_array().map(Vec::len), Some(2));
    // A SOA that stays as it is shows the serial of now.
    let soa = r#"{"values":["ns.example.local. h.example.local. 10 1 2 3 4"]}"#;
    send(&server, "PUT /records/example.local/SOA", &[], soa)?;
    put(&server, "b.example.local", "A", "10.0.0.2")?;
    let now = get(&server, "/records/example.local/SOA")?.json();
    assert_eq!(send(&server, "PUT /records/example.local/SOA", &[], soa)?.json(), now);
    Ok(())
}

#[test]
fn a_change_set_over_several_zones_is_one_event_or_nothing() -> anyhow::Result<()> {
    let (_data, server) = server(&["--zones", "example.local.,10.in-addr.arpa."])?;
    let changes = |last: &str| {
        format!(
            r#"{{"reason":"CHG-1","changes":[
                {{"op":"create","name":"a.example.local","type":"A","values":["10.0.0.1","10.0.0.2"]}},
                {{"op":"set","name":"1.0.0.10.in-addr.arpa","type":"PTR","values":["a.example.local."]}},
                {{"op":"remove","name":"a.example.local","type":"A","values":["10.0.0.2"]}},
                {{"op":"add","name":"t.example.local","type":"TXT","values":["x"],"ttl":5}},
                {last}]}}"#
        )
    };
    let bad = send(&server, "POST /changes", &[], &changes(r#"{"op":"delete","name":"nothing.example.local"}"#))?;
    assert_eq!((bad.status, problem(&bad).as_str()), (404, "record-not-found"), "{}", bad.body);
    assert_eq!(bad.json()["errors"][0]["pointer"], "/changes/4/name");
    assert_eq!(get(&server, "/records/a.example.local")?.status, 404);
    let done = send(
        &server,
        "POST /changes",
        &[],
        &changes(r#"{"op":"set","name":"z.example.local","type":"A","values":["10.0.0.9"]}"#),
    )?;
    assert_eq!(done.status, 201, "{}", done.body);
    let event = done.json();
    assert_eq!(
        (&event["revision"], &event["kind"], &event["reason"]),
        (&3.into(), &"records-changed".into(), &"CHG-1".into())
    );
    assert_eq!(column(&event["zones"], "name"), ["10.in-addr.arpa", "example.local"]);
    assert_eq!(
        column(&event["changes"], "name"),
        ["1.0.0.10.in-addr.arpa", "a.example.local", "t.example.local", "z.example.local"]
    );
    assert_eq!(event["changes"][1]["after"], json!({"ttl": 60, "values": ["10.0.0.1"]}));
    assert_eq!(event["change_count"], 4);
    // Each zone's serial rose by one, and is never a change.
    for zone in ["example.local", "10.in-addr.arpa"] {
        assert_eq!(get(&server, &format!("/zones/{zone}"))?.json()["serial"], 2, "{zone}");
    }
    Ok(())
}

#[test]
fn a_dry_run_of_every_write_tells_the_plan_and_writes_nothing() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?;
    for (method, target, body, kind, summary) in [
        (
            "POST",
            "/records",
            r#"{"name":"b.example.local","type":"A","values":["10.0.0.2"]}"#,
            "records-changed",
            [1, 0, 0],
        ),
        ("PUT", "/records/a.example.local/A", r#"{"values":["10.0.0.2"]}"#, "records-changed", [0, 1, 0]),
        ("PUT", "/records/a.example.local", r#"{"values":["10.0.0.2"]}"#, "records-changed", [0, 1, 0]),
        ("DELETE", "/records/a.example.local", "", "records-changed", [0, 0, 1]),
        ("DELETE", "/records/a.example.local/ANY", "", "records-changed", [0, 0, 1]),
        (
            "POST",
            "/changes",
            r#"{"changes":[{"op":"set","name":"a.example.local","type":"A","values":["10.0.0.2"],"ttl":5}]}"#,
            "records-changed",
            [0, 1, 0],
        ),
        ("POST", "/zones", r#"{"name":"new.test"}"#, "zone-created", [2, 0, 0]),
        ("DELETE", "/zones/example.local", "", "zone-deleted", [0, 0, 3]),
        ("POST", "/zones/example.local/import", "b 60 A 10.0.0.3\n", "zone-imported", [1, 0, 0]),
        (
            "POST",
            "/zones/example.local/import?mode=replace",
            "@ SOA localhost. hostmaster 1 60 30 1209600 60\n@ NS localhost.\n",
            "zone-imported",
            [0, 0, 1],
        ),
    ] {
        let dry =
            if target.contains('?') { format!("{target}&dry_run=true") } else { format!("{target}?dry_run=true") };
        let answer = send(&server, &format!("{method} {dry}"), &[], body)?;
        assert_eq!(answer.status, 200, "{method} {dry}: {}", answer.body);
        let plan = answer.json();
        let [created, replaced, deleted] = summary;
        assert_eq!(plan["kind"], kind, "{plan}");
        let told = &plan["summary"];
        assert_eq!(
            (told["created"].as_u64(), told["replaced"].as_u64(), told["deleted"].as_u64()),
            (Some(created), Some(replaced), Some(deleted)),
            "{method} {dry}: {plan}"
        );
        assert_eq!(plan["decided_at"], "1:2", "{plan}");
        // A zone is deleted without a body, a file is one of its own; `If-Match` guards both.
        let is_bodiless = target == "/zones/example.local" || target.contains("/import");
        let expected = if is_bodiless { Value::Null } else { "1:2".into() };
        assert_eq!(plan["apply"]["expected_revision"], expected, "{plan}");
        for member in ["revision", "time", "hash"] {
            assert_eq!(plan.get(member), None, "{plan}");
        }
        for member in ["conflicts", "warnings", "cache_seconds", "changes", "zones", "actor"] {
            assert!(plan.get(member).is_some(), "{member}: {plan}");
        }
        assert_eq!(get(&server, "/records")?.header("conn3ction-revision"), "1:2", "{method} {dry}");
    }
    // A refusal is the same as without it.
    let answer = send(
        &server,
        "POST /records?dry_run=true",
        &[],
        r#"{"name":"a.example.local","type":"A","values":["10.0.0.2"]}"#,
    )?;
    assert_eq!((answer.status, problem(&answer).as_str()), (409, "record-exists"));
    Ok(())
}

#[test]
fn a_plan_is_applied_exactly_or_refused() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?;
    let plan = |body: &str| -> anyhow::Result<String> {
        Ok(send(&server, "POST /changes?dry_run=true", &[], body)?.json()["apply"].to_string())
    };
    let change = r#"{"changes":[{"op":"set","name":"a.example.local","type":"A","values":["10.0.0.2"]}]}"#;
    let (first, second) = (plan(change)?, plan(change)?);
    assert_eq!(send(&server, "POST /changes", &[], &first)?.status, 201);
    let late = send(&server, "POST /changes", &[], &second)?;
    assert_eq!((late.status, problem(&late).as_str()), (412, "changed-since"));
    Ok(())
}

#[test]
fn a_zone_needs_only_its_name() -> anyhow::Result<()> {
    let (_data, server) = server(&["--zones", ""])?;
    let made = send(&server, "POST /zones", &[], r#"{"name":"Shop.Example."}"#)?;
    assert_eq!(
        (made.status, &made.json()["name"], &made.json()["record_count"]),
        (201, &"shop.example".into(), &2.into())
    );
    assert_eq!(get(&server, "/records/shop.example/NS")?.json()["values"], json!(["localhost."]));
    let again = send(&server, "POST /zones", &[], r#"{"name":"shop.example"}"#)?;
    assert_eq!((again.status, problem(&again).as_str()), (409, "zone-exists"));
    let full = r#"{"name":"full.example","nameservers":["ns1.full.example","ns2.elsewhere.test."],"contact":"host.master@full.example","ttl":300}"#;
    assert_eq!(send(&server, "POST /zones", &[], full)?.status, 201);
    let soa = get(&server, "/records/full.example/SOA")?.json();
    let text = soa["values"][0].as_str().unwrap_or_default().to_owned();
    assert!(text.starts_with("ns1.full.example. host\\.master.full.example. 1 "), "{text}");
    assert_eq!(soa["ttl"], 300);
    // Made again after deletion it goes on after its last serial.
    put(&server, "a.full.example", "A", "10.0.0.1")?;
    assert_eq!(send(&server, "DELETE /zones/full.example", &[], "")?.status, 204);
    assert_eq!(get(&server, "/zones/full.example")?.status, 404);
    assert_eq!(send(&server, "POST /zones", &[], full)?.json()["serial"], 3);
    Ok(())
}

#[test]
fn an_import_tells_what_its_plan_warned_of() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let file = "a 60 A 10.0.0.1\na 30 A 10.0.0.2\n";
    for target in ["/zones/example.local/import?dry_run=true", "/zones/example.local/import"] {
        let answer = send(&server, &format!("POST {target}"), &[], file)?;
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.json()["warnings"][0]["type"], "mixed-ttls", "{}", answer.body);
    }
    Ok(())
}

#[test]
fn at_a_time_each_record_says_the_revision_of_its_zone() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    send(&server, "POST /zones", &[], r#"{"name":"other.test"}"#)?; // r2
    put(&server, "a.example.local", "A", "10.0.0.1")?; // r3
    let time = get(&server, "/events/3")?.json()["time"].as_str().unwrap_or_default().to_owned();
    let of = |query: &str| get(&server, &format!("/records?at={time}{query}"));
    let all = of("")?;
    let revisions: Vec<_> = all.json().as_array().expect("rows").iter().map(|row| row["revision"].clone()).collect();
    assert_eq!(revisions, [3, 3, 3, 2, 2], "{}", all.body);
    let one = of("&zone=other.test")?;
    assert_eq!(one.header("conn3ction-revision"), "1:2");
    assert!(one.json()[0].get("revision").is_none(), "{}", one.body);
    Ok(())
}

/// How often the workers of process `pid` had to wait so far.
fn waits(pid: u32) -> anyhow::Result<u64> {
    let mut waits = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        if of("Name:") == "tokio-rt-worker" {
            waits += of("voluntary_ctxt_switches:").parse::<u64>()?;
        }
    }
    Ok(waits)
}

#[test] // Each further worker that is woken costs 20 to 40 us where its processor sleeps.
fn one_clients_change_wakes_one_thread_alone() -> anyhow::Result<()> {
    const CHANGES: u64 = 500;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start_in(&[("TOKIO_WORKER_THREADS", "4")], data.path(), &["--ledger", "memory"])?;
    let mut client = Client::new(server.http)?;
    (0..50).try_for_each(|_| client.change())?;
    let before = waits(server.pid())?;
    (0..CHANGES).try_for_each(|_| client.change())?;
    let waits = waits(server.pid())? - before;
    // One for the next request, and now and then the clock.
    assert!(waits < CHANGES * 5 / 4, "{waits} waits for {CHANGES} changes");
    Ok(())
}
