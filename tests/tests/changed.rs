//! History of a name and the difference of two moments, from memory and from sealed states alike.

use conn3ction_tests::{Conn3ction, http::request};
use serde_json::Value;

fn sets(row: &Value) -> [Option<&str>; 2] {
    [row["before"]["values"][0].as_str(), row["after"]["values"][0].as_str()]
}

#[test]
fn every_version_of_a_name_and_what_differs_between_two_moments() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let run = |arguments: &[&str]| {
        let ran = server.cli(arguments)?;
        anyhow::ensure!(ran.code == 0, "{arguments:?}: {ran:?}");
        Ok(ran.out)
    };
    run(&["set", "api.example.local", "A", "192.0.2.1", "-m", "first", "--actor", "ann"])?;
    run(&["set", "www.example.local", "CNAME", "api.example.local."])?;
    run(&["set", "api.example.local", "A", "192.0.2.2", "-m", "moved", "--actor", "bob"])?;
    run(&["set", "api.example.local", "TXT", "\"x\""])?;
    run(&["delete", "api.example.local", "A", "-m", "gone"])?;
    run(&["set", "api.example.local", "A", "192.0.2.3"])?;

    let history = server.ask("GET", "/records/api.example.local/history?type=A", "")?.json();
    let rows = history.as_array().expect("rows");
    let revisions: Vec<_> = rows.iter().map(|row| row["revision"].as_u64().expect("a number")).collect();
    assert_eq!(revisions, [7, 6, 4, 2]);
    assert_eq!(
        rows.iter().map(sets).collect::<Vec<_>>(),
        [
            [None, Some("192.0.2.3")],
            [Some("192.0.2.2"), None],
            [Some("192.0.2.1"), Some("192.0.2.2")],
            [None, Some("192.0.2.1")],
        ]
    );
    assert_eq!((&rows[2]["actor"], &rows[2]["reason"]), (&"bob".into(), &"moved".into()));
    assert_eq!(
        server.ask("GET", "/records/api.example.local/history?at=r4", "")?.json().as_array().map(Vec::len),
        Some(2)
    );

    // Pages end between two events and are one snapshot.
    let page = server.ask("GET", "/records/api.example.local/history?limit=2", "")?;
    assert_eq!(page.json().as_array().map(Vec::len), Some(2));
    let link = page.header("link").to_owned();
    let next = link.split(['<', '>']).nth(1).expect("a link");
    let rest = server.ask("GET", next, "")?;
    let rest: Vec<_> = rest.json().as_array().expect("rows").iter().map(|row| row["revision"].clone()).collect();
    assert_eq!(rest, [5, 4], "{link}");
    assert_eq!(server.ask("GET", "/records/never.example.local/history", "")?.status, 404);

    let differs = |query: &str| -> anyhow::Result<Vec<String>> {
        let rows = server.ask("GET", &format!("/diff?{query}"), "")?.json();
        let rows = rows.as_array().expect("rows").iter();
        Ok(rows
            .map(|row| {
                format!("{} {} {:?}", row["name"].as_str().unwrap_or(""), row["type"].as_str().unwrap_or(""), sets(row))
            })
            .collect())
    };
    let api = "api.example.local A [Some(\"192.0.2.1\"), Some(\"192.0.2.3\")]";
    let text = "api.example.local TXT [None, Some(\"\\\"x\\\"\")]";
    let www = "www.example.local CNAME [None, Some(\"api.example.local.\")]";
    assert_eq!(differs("from=r2")?, [api, text, www]);
    assert_eq!(differs("from=r2&type=A")?, [api]);
    assert_eq!(differs("from=r2&name=www.example.local")?, [www]);
    assert_eq!(differs("from=r4&to=r4")?, [""; 0]);
    assert_eq!(differs("from=now&to=r2&type=A")?, ["api.example.local A [Some(\"192.0.2.3\"), Some(\"192.0.2.1\")]"]);

    assert_eq!(differs("from=r2&under=www.example.local")?, [www]);
    assert_eq!(
        differs("from=now&to=r0&zone=example.local&type=CNAME")?,
        ["www.example.local CNAME [Some(\"api.example.local.\"), None]"]
    );

    // Page by page it is the same, whatever happens meanwhile; and in every form.
    let (mut paged, mut next) = (Vec::new(), Some("/diff?from=r2&limit=2".to_owned()));
    while let Some(target) = next.take() {
        let page = server.ask("GET", &target, "")?;
        run(&["set", "zz.example.local", "A", &format!("192.0.2.{}", paged.len())])?;
        paged.extend(page.json().as_array().expect("rows").iter().map(|row| row["type"].clone()));
        next = page.header("link").split(['<', '>']).nth(1).map(str::to_owned);
    }
    assert_eq!(paged, ["A", "TXT", "CNAME"]);
    for (form, first, lines) in [("application/x-ndjson", "{\"zone\":", 3), ("text/csv", "zone,name,type,", 4)] {
        let answer = request(server.http, "GET", "/diff?from=r2&to=r7", &[("Accept", form)], "")?;
        assert!(answer.body.starts_with(first) && answer.body.lines().count() == lines, "{answer:?}");
        let answer =
            request(server.http, "GET", "/records/api.example.local/history?type=TXT", &[("Accept", form)], "")?;
        assert_eq!(answer.body.lines().count(), lines - 2, "{answer:?}");
    }
    for (query, status, problem) in [
        ("", 400, "malformed"),
        ("from=soon", 400, "bad-when"),
        ("from=r99", 422, "moment-not-yet"),
        ("from=r2&to=0:1", 410, "epoch-ended"),
        ("from=r2&zone=never.test", 404, "zone-not-found"),
        ("from=r2&form=x", 400, "unknown-parameter"),
    ] {
        let answer = server.ask("GET", &format!("/diff?{query}"), "")?;
        let kind = answer.json()["type"].clone();
        assert_eq!((answer.status, kind), (status, format!("/problems/{problem}").into()), "{query}");
    }

    let printed = run(&["history", "api.example.local", "A"])?;
    assert!(
        printed.contains("  bob     moved\n~ api.example.local.  60  A\n") && printed.contains("-   192.0.2.1"),
        "{printed}"
    );
    let printed = run(&["diff", "r2", "r7", "--json"])?;
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert_eq!(run(&["diff", "r2", "r7", "-o", "csv"])?.lines().count(), 4);
    assert_eq!(run(&["diff", "r7", "r7", "-o", "csv"])?.lines().count(), 1);
    let printed = run(&["diff", "r2", "api.example.local", "A"])?;
    assert_eq!(printed, "~ api.example.local.  60  A\n-   192.0.2.1\n+   192.0.2.3\n");
    assert_eq!(server.cli(&["diff", "r2", "now", "--exit-code"])?.code, 1);
    assert_eq!(server.cli(&["diff", "r4", "r4", "--exit-code"])?.code, 0);
    Ok(())
}
