//! Who put a value there, over REST and on the command line.

use conn3ction_tests::Conn3ction;
use serde_json::Value;

/// Value, revision, actor, reason, last change of the set.
fn told(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| {
        format!(
            "{} {} r{} {} {} r{}",
            row["type"].as_str().unwrap_or_default(),
            row["value"].as_str().unwrap_or("-"),
            row["revision"],
            row["actor"].as_str().unwrap_or_default(),
            row["reason"].as_str().unwrap_or("-"),
            row["set_revision"]
        )
    })
    .collect()
}

#[test]
fn each_value_names_the_event_that_put_it_there() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let run = |arguments: &[&str]| {
        let ran = server.cli(arguments)?;
        anyhow::ensure!(ran.code == 0, "{arguments:?}: {ran:?}");
        Ok(ran.out)
    };
    run(&["set", "api.example.local", "A", "192.0.2.1", "-m", "first", "--actor", "ann"])?;
    run(&["add", "api.example.local", "A", "192.0.2.2", "-m", "second", "--actor", "bob"])?;
    run(&["set", "api.example.local", "A", "192.0.2.1", "192.0.2.2", "--ttl", "5", "--actor", "eve"])?;
    run(&["set", "api.example.local", "TXT", "\"x\"", "--actor", "ann"])?;
    run(&["delete", "api.example.local", "TXT", "-m", "not needed", "--actor", "bob"])?;
    run(&["set", "www.example.local", "CNAME", "api.example.local.", "--actor", "ann"])?;

    let ask = |query: &str| server.ask("GET", &format!("/blame?{query}"), "");
    let api = ["A 192.0.2.1 r2 ann first r4", "A 192.0.2.2 r3 bob second r4"];
    assert_eq!(told(&ask("name=api.example.local&type=A")?.json()), api);
    let text = "TXT - r6 bob not needed r6";
    assert_eq!(told(&ask("name=api.example.local")?.json()), [api[0], api[1], text]);
    assert_eq!(
        told(&ask("name=api.example.local&at=r3")?.json()),
        ["A 192.0.2.1 r2 ann first r3", "A 192.0.2.2 r3 bob second r3"]
    );
    assert_eq!(told(&ask("name=api.example.local&at=r5&type=TXT")?.json()), ["TXT \"x\" r5 ann - r5"]);
    // The zone's own sets came with it; the serial that moved since is no value.
    let apex = ask("name=example.local&type=SOA")?.json();
    assert_eq!((&apex[0]["revision"], &apex[0]["set_revision"]), (&1.into(), &1.into()), "{apex}");

    // Pages end between two sets and are one snapshot.
    let all = told(&ask("zone=example.local")?.json());
    let (mut paged, mut next) = (Vec::new(), Some("/blame?zone=example.local&limit=2".to_owned()));
    while let Some(target) = next.take() {
        let page = server.ask("GET", &target, "")?;
        run(&["set", "late.example.local", "A", &format!("192.0.2.{}", paged.len() + 10)])?;
        paged.extend(told(&page.json()));
        next = page.header("link").split(['<', '>']).nth(1).map(str::to_owned);
    }
    assert_eq!(paged, all);
    assert!(all.contains(&"CNAME api.example.local. r7 ann - r7".to_owned()), "{all:?}");
    let csv = conn3ction_tests::http::request(
        server.http,
        "GET",
        "/blame?under=api.example.local",
        &[("Accept", "text/csv")],
        "",
    )?;
    assert_eq!(csv.body.lines().count(), 3, "{csv:?}");

    for (query, status, problem) in [
        ("name=never.example.local", 404, "record-not-found"),
        ("name=api.example.local&type=MX", 404, "record-not-found"),
        ("zone=other.test", 404, "zone-not-found"),
        ("name=api.example.local&at=soon", 400, "bad-when"),
        ("name=api.example.local&at=r999", 422, "moment-not-yet"),
        ("name=api.example.local&at=0:1", 410, "epoch-ended"),
        ("nmae=api.example.local", 400, "unknown-parameter"),
    ] {
        let answer = ask(query)?;
        let kind = answer.json()["type"].clone();
        assert_eq!((answer.status, kind), (status, format!("/problems/{problem}").into()), "{query}");
    }

    let printed = run(&["blame", "api.example.local"])?;
    let lines: Vec<_> = printed.lines().collect();
    assert!(
        lines[0].starts_with("r2  ") && lines[0].contains(" ann  api.example.local.  5  A    192.0.2.1"),
        "{printed}"
    );
    assert!(lines[2].contains("(taken away)  not needed"), "{printed}");
    assert_eq!(run(&["blame", "api.example.local", "A", "--json"])?.lines().count(), 2);
    assert_eq!(server.cli(&["blame"])?.code, 2);
    assert_eq!(server.cli(&["blame", "never.example.local"])?.code, 1);
    Ok(())
}
