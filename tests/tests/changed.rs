//! History of a name and the difference of two moments, from memory and from sealed states alike.

use conn3ction_tests::Conn3ction;
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

    let printed = run(&["history", "api.example.local", "A"])?;
    assert!(printed.contains("bob  moved") && printed.contains("-   192.0.2.1"), "{printed}");
    let printed = run(&["diff", "r2", "now", "--json"])?;
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert_eq!(server.cli(&["diff", "r2", "now", "--exit-code"])?.code, 1);
    assert_eq!(server.cli(&["diff", "r4", "r4", "--exit-code"])?.code, 0);
    Ok(())
}
