//! Lists: filters, pages that are one snapshot, JSON, NDJSON and CSV.

use conn3ction_tests::Conn3ction;

use crate::{column, get, put, send, server};

/// Three zones, two of them nested, with events r1 to r9.
fn filled() -> anyhow::Result<(tempfile::TempDir, Conn3ction)> {
    let (data, server) = server(&["--zones", "example.local.,child.example.local.,other.test."])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?; // r4
    put(&server, "a.example.local", "TXT", "text")?; // r5
    put(&server, "b.a.example.local", "A", "10.0.0.2")?; // r6
    put(&server, "a.child.example.local", "A", "10.0.0.3")?; // r7
    put(&server, "other.test", "A", "10.0.0.4")?; // r8
    let both = r#"{"reason":"CHG-9 both","changes":[
        {"op":"delete","name":"a.example.local","type":"TXT"},{"op":"set","name":"x.other.test","type":"A","values":["10.0.0.5"]}]}"#;
    let headers = [("Conn3ction-Actor", "ci-deploy"), ("X-Request-Id", "req-9")];
    anyhow::ensure!(send(&server, "POST /changes", &headers, both)?.status == 201); // r9
    Ok((data, server))
}

#[test]
fn one_set_of_filters_on_records_and_events() -> anyhow::Result<()> {
    let (_data, server) = filled()?;
    for (query, names) in [
        ("type=A", "a.example.local b.a.example.local a.child.example.local other.test x.other.test"),
        ("zone=other.test", "other.test other.test other.test x.other.test"),
        ("zone=example.local&type=A", "a.example.local b.a.example.local"),
        ("under=a.example.local", "a.example.local b.a.example.local"),
        ("under=example.local&type=A", "a.example.local b.a.example.local a.child.example.local"),
        ("name=A.Example.Local.", "a.example.local"),
        ("name=a.example.local&type=MX", ""),
        ("zone=child.example.local&under=a.child.example.local", "a.child.example.local"),
        ("under=.&type=SOA", "example.local child.example.local other.test"),
        ("type=RRSIG&covers=DS", ""),
    ] {
        let answer = get(&server, &format!("/records?{query}"))?;
        let list = answer.json();
        let mut found = column(&list, "name");
        let mut expected: Vec<_> = names.split_ascii_whitespace().collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    for (query, revisions) in [
        ("", "1 2 3 4 5 6 7 8 9"),
        ("order=desc&limit=3", "9 8 7"),
        ("after=7", "8 9"),
        ("after=3&order=desc", "2 1"),
        ("from=r3&to=r5", "3 4 5"),
        ("from=1:8", "8 9"),
        ("zone=other.test", "3 8 9"),
        ("name=a.example.local", "4 5 9"),
        ("name=a.example.local&type=TXT", "5 9"),
        ("under=a.example.local", "4 5 6 9"),
        ("actor=ci-*", "9"),
        ("actor=ci", ""),
        ("actor=anonymous", "4 5 6 7 8"),
        ("kind=zone-created", "1 2 3"),
        ("reason=CHG-9", "9"),
        ("reason=CHG-8", ""),
        ("request_id=req-9", "9"),
        ("from=1w&to=now", "1 2 3 4 5 6 7 8 9"),
        ("to=1w", ""),
    ] {
        let answer = get(&server, &format!("/events?{query}"))?;
        let found: Vec<_> =
            answer.json().as_array().into_iter().flatten().map(|event| event["revision"].to_string()).collect();
        assert_eq!(found.join(" "), revisions, "{query}");
    }
    // An event in a list shows the changes that match, and says how many it has.
    let event = &get(&server, "/events?zone=other.test&after=8")?.json()[0];
    assert_eq!((column(&event["changes"], "name"), &event["change_count"]), (vec!["x.other.test"], &2.into()));
    assert_eq!(get(&server, "/events/9/changes")?.json().as_array().map(Vec::len), Some(2));
    Ok(())
}

/// Follows the links of a list and gives the values of `member`, writing after the first page.
fn pages(server: &Conn3ction, first: &str, member: &str, round: usize) -> anyhow::Result<Vec<String>> {
    let (mut next, mut found) = (first.to_owned(), Vec::new());
    for page in 0.. {
        let answer = get(server, &next)?;
        anyhow::ensure!(answer.status == 200, "{next}: {}", answer.body);
        found.extend(answer.json().as_array().into_iter().flatten().map(|item| item[member].to_string()));
        if page == 0 {
            put(server, &format!("zz{round}.example.local"), "A", "10.0.0.1")?;
            send(server, "POST /zones", &[], &format!(r#"{{"name":"zz{round}.test"}}"#))?;
        }
        let link = answer.header("link");
        let Some(target) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else {
            anyhow::ensure!(link.is_empty(), "{link}");
            break;
        };
        next = target.to_owned();
    }
    Ok(found)
}

#[test]
fn all_pages_of_a_list_are_one_snapshot() -> anyhow::Result<()> {
    let (_data, server) = filled()?;
    let mut round = 0;
    for (target, member) in [
        ("/records?limit=", "name"),
        ("/records?type=A&under=example.local&limit=", "name"),
        ("/records?at=r8&limit=", "name"),
        ("/zones?limit=", "name"),
        ("/events?limit=", "revision"),
        ("/events?order=desc&limit=", "revision"),
        ("/events?from=1w&actor=anonymous&limit=", "revision"),
    ] {
        for limit in [1, 3] {
            round += 1;
            let whole: Vec<_> = {
                let answer = get(&server, target.trim_end_matches("limit=").trim_end_matches(['&', '?']))?;
                answer.json().as_array().into_iter().flatten().map(|item| item[member].to_string()).collect()
            };
            assert_eq!(pages(&server, &format!("{target}{limit}"), member, round)?, whole, "{target}{limit}");
        }
    }
    Ok(())
}

#[test]
fn every_list_comes_as_json_ndjson_and_csv() -> anyhow::Result<()> {
    let (_data, server) = filled()?;
    put(&server, "csv.other.test", "TXT", "a \"quoted\", text")?;
    for (target, header) in [
        ("/records", "name,ttl,type,values,covers,zone,revision,time,actor,reason"),
        ("/zones", "name,serial,revision,record_count,signed_elsewhere"),
        ("/events", "revision,time,kind,actor,reason,zones,change_count"),
        ("/events/9/changes", "zone,name,type,covers,before_ttl,before,after_ttl,after"),
        ("/projections", "view,revision,lag,state,digest"),
    ] {
        let accept = |kind: &str| send(&server, &format!("GET {target}"), &[("Accept", kind)], "");
        let (json, lines, csv) = (accept("application/json")?, accept("application/x-ndjson")?, accept("text/csv")?);
        let items = json.json().as_array().cloned().unwrap_or_default();
        assert!(!items.is_empty(), "{target}");
        let parsed: Vec<serde_json::Value> =
            lines.body.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        assert_eq!(parsed, items, "{target}");
        assert_eq!(lines.header("content-type"), "application/x-ndjson", "{target}");
        assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8", "{target}");
        assert_eq!(csv.body.lines().next(), Some(header), "{target}");
        assert!(
            csv.body.ends_with("\r\n") && csv.body.matches("\r\n").count() == items.len() + 1,
            "{target}: {}",
            csv.body
        );
    }
    let csv = send(&server, "GET /records?name=csv.other.test", &[("Accept", "text/csv")], "")?;
    assert!(csv.body.contains(r#","""a \""quoted\"", text""","#), "{}", csv.body);
    // A filter that lets nothing through.
    for (kind, body) in [("application/json", "[]"), ("application/x-ndjson", "")] {
        assert_eq!(send(&server, "GET /records?type=LOC", &[("Accept", kind)], "")?.body, body);
    }
    Ok(())
}

#[test]
fn a_long_list_without_a_limit_is_whole() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let lines: String =
        (0..3_000).map(|number| format!("n{number} 60 A 10.0.{}.{}\n", number / 250, number % 250)).collect();
    let imported = send(&server, "POST /zones/example.local/import", &[], &lines)?;
    assert_eq!((imported.status, &imported.json()["change_count"]), (201, &3_000.into()));
    assert_eq!(imported.json()["changes"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(get(&server, "/records?type=A")?.json().as_array().map(Vec::len), Some(3_000));
    assert_eq!(get(&server, "/events/2/changes")?.json().as_array().map(Vec::len), Some(3_000));
    assert_eq!(get(&server, "/events?after=1")?.json()[0]["changes"].as_array().map(Vec::len), Some(100));
    assert_eq!(get(&server, "/events/2")?.json()["changes"].as_array().map(Vec::len), Some(1_000));
    Ok(())
}
