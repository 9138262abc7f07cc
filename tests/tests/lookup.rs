//! `lookup` tells what dig is told, and why.

use conn3ction_tests::{Conn3ction, shell};
use serde_json::Value;

#[test]
fn the_answer_of_the_responder_with_its_events_and_its_path() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    let lines = "set api.example.local. A 192.0.2.1 192.0.2.2\nset www.example.local. CNAME api.example.local.\n\
                 set *.wild.example.local. CNAME www.example.local.\nset sub.example.local. NS ns.sub.example.local.\n\
                 set ns.sub.example.local. A 192.0.2.53\nset old.example.local. DNAME wild.example.local.\n";
    let file = data.path().join("changes");
    std::fs::write(&file, lines)?;
    let applied = server.cli(&["apply", &file.to_string_lossy(), "-m", "CHG-5 names", "--actor", "ann"])?;
    assert_eq!(applied.code, 0, "{applied:?}");
    let dns = server.dns.port();
    for (name, rtype) in [
        ("api.example.local", "A"),
        ("www.example.local", "A"),
        ("x.wild.example.local", "A"),
        ("y.old.example.local", "A"),
        ("host.sub.example.local", "A"),
        ("api.example.local", "AAAA"),
        ("nothing.example.local", "A"),
        ("example.local", "SOA"),
        ("example.org", "A"),
    ] {
        let told = server.ask("GET", &format!("/lookup?name={name}&type={rtype}"), "")?.json();
        let asked = shell(&format!("dig @127.0.0.1 -p {dns} +tcp +norec {name} {rtype}"))?;
        let rcode = asked.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
        assert_eq!(told["rcode"].as_str(), rcode, "{name} {rtype}");
        assert_eq!(told["authoritative"], asked.contains(" aa"), "{name} {rtype}: {asked}");
        for (section, count) in [("answer", "ANSWER: "), ("authority", "AUTHORITY: ")] {
            let sets = told[section].as_array().expect("an array");
            let values: usize = sets.iter().map(|set| set["values"].as_array().map_or(0, Vec::len)).sum();
            let printed = asked.split(count).nth(1).and_then(|rest| rest.split([',', '\n']).next());
            assert_eq!(Some(values.to_string().as_str()), printed, "{name} {rtype} {section}: {told}");
            for value in sets.iter().flat_map(|set| set["values"].as_array().expect("an array")) {
                assert!(asked.contains(value.as_str().expect("text")), "{value} in {asked}");
            }
        }
    }
    let told: Value = server.ask("GET", "/lookup?name=y.old.example.local", "")?.json();
    let events: Vec<_> = told["answer"].as_array().expect("sets").iter().map(|set| &set["event"]["reason"]).collect();
    assert_eq!(events.len(), 5, "{told}");
    assert_eq!(events.iter().filter(|reason| **reason == "CHG-5 names").count(), 4, "all but the made CNAME: {told}");
    let path: Vec<_> = told["trace"].as_array().expect("steps").iter().filter_map(Value::as_str).collect();
    assert_eq!(
        path,
        [
            "zone example.local.: y.old.example.local.: below old.example.local., which is renamed to wild.example.local. (DNAME)",
            "zone example.local.: y.wild.example.local.: an alias of www.example.local. from the wildcard *.wild.example.local.",
            "zone example.local.: www.example.local.: an alias of api.example.local.",
            "zone example.local.: api.example.local.: the answer",
        ]
    );
    let printed = server.cli(&["lookup", "www.example.local", "--trace"])?;
    assert!(printed.out.contains("api.example.local. 60 IN A 192.0.2.2  ; answer, r2"), "{printed:?}");
    assert!(printed.out.contains("ann: CHG-5 names"), "{printed:?}");
    // Before there was a zone no event answers, whatever the head is now.
    let told = server.ask("GET", "/lookup?name=www.example.local&at=2020-01-01T00:00:00Z", "")?;
    let json = told.json();
    assert_eq!((&json["rcode"], &json["revision"]), (&"REFUSED".into(), &0.into()), "{json}");
    assert!(json["moment"].as_str().is_some_and(|moment| moment.starts_with("2020-01-01T00:00:00")), "{json}");
    let printed = server.cli(&["lookup", "www.example.local", "--at", "2020-01-01T00:00:00Z"])?;
    assert!(printed.err.starts_with("REFUSED, as of 2020-01-01T00:00:00"), "{printed:?}");
    assert!(printed.err.contains("example.local was created at r1, "), "{printed:?}");
    assert_eq!(told.header("conn3ction-revision"), "1:0");
    let csv = server.cli(&["get", "www.example.local", "-o", "csv"])?.out;
    assert!(csv.contains("www.example.local,60,CNAME,api.example.local.,,example.local,2,"), "{csv}");
    let before = server.cli(&["lookup", "www.example.local", "--at", "r1", "--json"])?;
    assert!(before.out.contains("NXDOMAIN"), "{before:?}");
    Ok(())
}
