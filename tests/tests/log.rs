//! The log of a name follows its answer; `--exact` does not.

use conn3ction_tests::{
    Conn3ction,
    http::{Events, request},
};

#[test]
fn the_log_of_a_name_tells_all_that_changed_its_answer() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let run = |arguments: &[&str]| {
        let ran = server.cli(arguments)?;
        anyhow::ensure!(ran.code == 0, "{arguments:?}: {ran:?}");
        Ok(ran.out)
    };
    let revisions = |query: &str| -> anyhow::Result<Vec<u64>> {
        let rows = server.ask("GET", &format!("/events?{query}"), "")?.json();
        let rows = rows.as_array().ok_or_else(|| anyhow::anyhow!("{query}: {rows}"))?;
        Ok(rows.iter().filter_map(|row| row["revision"].as_u64()).collect())
    };
    // r1 makes the zone.
    run(&["set", "*.example.local", "A", "192.0.2.1", "--actor", "ann", "-m", "catch all"])?; // r2
    run(&["set", "www.example.local", "CNAME", "api.example.local.", "--actor", "bob"])?; // r3
    run(&["set", "other.example.local", "A", "192.0.2.9"])?; // r4
    run(&["set", "api.example.local", "A", "192.0.2.3", "--actor", "ci-deploy", "-m", "CHG-1 own address"])?; // r5
    run(&["set", "api.example.local", "TXT", "\"x\""])?; // r6
    run(&["delete", "api.example.local", "ANY", "--actor", "eve"])?; // r7
    run(&["zone", "create", "api.example.local", "-m", "a zone takes the target over"])?; // r8
    run(&["zone", "delete", "api.example.local", "--yes"])?; // r9

    let answer = "name=www.example.local&type=A&answer=true";
    assert_eq!(revisions(&format!("{answer}&order=desc"))?, [9, 8, 7, 5, 3, 2, 1]);
    assert_eq!(revisions(answer)?, [1, 2, 3, 5, 7, 8, 9]);
    assert_eq!(revisions(&format!("{answer}&from=r3&to=r7"))?, [3, 5, 7]);
    assert_eq!(revisions(&format!("{answer}&actor=ci-*"))?, [5]);
    assert_eq!(revisions("name=www.example.local")?, [3]);
    assert_eq!(revisions("name=api.example.local")?, [5, 6, 7, 8, 9]);
    assert_eq!(revisions("name=api.example.local&type=TXT&order=desc")?, [7, 6]);
    assert_eq!(revisions("name=api.example.local&zone=example.local")?, [5, 6, 7]);
    assert_eq!(revisions("name=never.example.local")?, [0; 0]);
    // A zone that is gone has its events still; one that never was is a slip of the pen.
    assert_eq!(revisions("zone=api.example.local")?, [8, 9]);
    for never in ["zone=never.test", "name=www.never.test", "zone=never.test&name=www.example.local"] {
        let refused = server.ask("GET", &format!("/events?{never}"), "")?;
        assert_eq!(
            (refused.status, refused.json()["type"].clone()),
            (404, "/problems/zone-not-found".into()),
            "{never}"
        );
    }

    // Page by page it is the same.
    let (mut paged, mut next) = (Vec::new(), Some(format!("/events?{answer}&order=desc&limit=2")));
    while let Some(target) = next.take() {
        let page = server.ask("GET", &target, "")?;
        paged.extend(page.json().as_array().expect("rows").iter().filter_map(|row| row["revision"].as_u64()));
        next = page.header("link").split(['<', '>']).nth(1).map(str::to_owned);
    }
    assert_eq!(paged, [9, 8, 7, 5, 3, 2, 1]);

    // An event shows what it changed on the path, wherever that is.
    let rows = server.ask("GET", &format!("/events?{answer}&from=r5&to=r5"), "")?.json();
    let change = &rows[0]["changes"][0];
    assert_eq!((&change["name"], &change["after"]["values"][0]), (&"api.example.local".into(), &"192.0.2.3".into()));

    // So does the stream.
    let mut events = Events::follow(server.http, &format!("/events?{answer}&after=r7"), &[])?;
    assert_eq!(events.next_event()?.0, "1:8");
    assert_eq!(events.next_event()?.0, "1:9");
    run(&["set", "other.example.local", "A", "192.0.2.10"])?; // r10
    run(&["set", "*.example.local", "A", "192.0.2.2", "-m", "moved"])?; // r11
    assert_eq!(events.next_event()?.0, "1:11");

    for (query, problem) in
        [("answer=true", "malformed"), ("name=a..b", "malformed"), ("name=a&answr=true", "unknown-parameter")]
    {
        let refused = server.ask("GET", &format!("/events?{query}"), "")?;
        assert_eq!((refused.status, refused.json()["type"].clone()), (400, format!("/problems/{problem}").into()));
    }

    let printed = run(&["log", "www.example.local", "A", "--since", "r3", "-p"])?;
    let heads: Vec<_> = printed.lines().filter(|line| line.starts_with('r')).collect();
    assert_eq!(heads.len(), 6, "{printed}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        words(heads[0])[4..],
        ["ago", "tester", "*.example.local.", "A", "moved", "undo:", "conn3ction", "revert", "r11"],
        "{printed}"
    );
    assert_eq!(
        words(heads[4])[4..11],
        ["ago", "ci-deploy", "api.example.local.", "A", "CHG-1", "own", "address"],
        "{printed}"
    );
    let column = |line: &str, word: &str| line.find(word);
    assert_eq!(column(heads[0], "*.example"), column(heads[4], "api.example"), "{printed}");
    assert!(printed.contains("+ api.example.local.  60  A\n+   192.0.2.3\n"), "{printed}");
    let printed = run(&["log", "--actor", "ci-*", "--oneline"])?;
    assert!(
        printed.starts_with("r5  ") && printed.ends_with("ago  ci-deploy  api.example.local. A  CHG-1 own address\n"),
        "{printed}"
    );
    assert_eq!(run(&["log", "www.example.local", "--exact"])?.lines().count(), 1);
    assert_eq!(run(&["log", "--grep", "CHG-", "--json"])?.lines().count(), 1);
    assert_eq!(run(&["log", "--until", "r4", "--zone", "example.local", "--oneline"])?.lines().count(), 4);
    assert_eq!(server.cli(&["log", "--exact"])?.code, 2);

    let printed = run(&["show", "r5"])?;
    for part in [
        "event     r5  (1:5)",
        "Actor:    ci-deploy  (not authenticated)",
        "serial 4 -> 5",
        "    CHG-1 own",
        "+   192.0.2.3",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert_eq!(server.cli(&["show", "r99"])?.code, 1);
    Ok(())
}

#[test]
fn points_in_time_are_held_against_when_events_took_effect_not_when_they_were_stored() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--zones", ""])?;
    let mut history = String::new();
    for (serial, year) in (1..).zip(2019..=2023) {
        let apex = match serial {
            1 => {
                r#"{"zone":"old.test","name":"old.test","type":"SOA","after":{"ttl":60,"values":["ns.old.test. h.old.test. 1 1 2 3 4"]}},{"zone":"old.test","name":"old.test","type":"NS","after":{"ttl":60,"values":["ns.old.test."]}},"#
            }
            _ => "",
        };
        history.push_str(&format!(
            r#"{{"id":"v{year}","time":"{year}-05-01T12:00:00Z","actor":"ann","zones":[{{"name":"old.test","serial":{serial}}}],"changes":[{apex}{{"zone":"old.test","name":"www.old.test","type":"A","after":{{"ttl":60,"values":["192.0.2.{serial}"]}}}}]}}"#
        ));
        history.push('\n');
    }
    let taken = request(server.http, "POST", "/history", &[("Content-Type", "application/x-ndjson")], &history)?;
    assert_eq!(taken.status, 201, "{taken:?}");
    // r1 to r5 took effect in 2019 to 2023 and were stored today, as r6 was, which took effect today.
    let made = server.ask("POST", "/zones", r#"{"name":"new.test"}"#)?;
    assert_eq!(made.status, 201, "{made:?}");
    let revisions = |query: &str| -> anyhow::Result<Vec<u64>> {
        let rows = server.ask("GET", &format!("/events?{query}"), "")?.json();
        let rows = rows.as_array().ok_or_else(|| anyhow::anyhow!("{query}: {rows}"))?;
        Ok(rows.iter().filter_map(|row| row["revision"].as_u64()).collect())
    };
    for (query, wanted) in [
        ("from=2020-01-01T00:00:00Z&to=2022-05-01T12:00:00Z", &[2, 3, 4][..]),
        ("from=2020-05-01T12:00:00Z&to=2020-05-01T12:00:00Z", &[2]),
        ("to=2020-12-31T00:00:00Z", &[1, 2]),
        ("from=2022-05-01T12:00:01Z", &[5, 6]),
        ("from=1h", &[6]),
        ("to=1h&order=desc&limit=10", &[5, 4, 3, 2, 1]),
        ("name=www.old.test&from=2020-01-01T00:00:00Z&to=2022-01-01T00:00:00Z", &[2, 3]),
        ("name=www.old.test&answer=true&order=desc&to=2021-01-01T00:00:00Z", &[2, 1]),
        ("to=2018-01-01T00:00:00Z", &[]),
    ] {
        assert_eq!(revisions(query)?, wanted, "{query}");
    }
    let ran =
        server.cli(&["log", "--since", "2021-01-01T00:00:00Z", "--until", "2022-01-01T00:00:00Z", "--oneline"])?;
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{ran:?}");
    assert!(ran.out.starts_with("r3 "), "{ran:?}");
    Ok(())
}
