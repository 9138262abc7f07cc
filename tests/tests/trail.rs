//! `log NAME TYPE` is the history of an answer: every event in it changed what is answered, and no other event did.

use conn3ction_tests::{Conn3ction, random::Random};
use serde_json::Value;

/// The name that is looked at, and what an answer for it can come from: its wildcard, the cut above it, an alias's target.
const NAME: &str = "www.shop.example.local";
const OWNERS: [&str; 6] =
    [NAME, "*.shop.example.local", "shop.example.local", "api.example.local", "*.example.local", "x.api.example.local"];
const EVENTS: u64 = 60;

/// What a resolver is told: all but the SOA of a negative answer, which has a new serial with every event.
fn told(lookup: &Value) -> Value {
    let sets = |section: &str| {
        let sets = lookup[section].as_array().cloned().unwrap_or_default();
        let wanted = sets.into_iter().filter(|set| set["type"] != "SOA");
        wanted.map(|set| serde_json::json!([set["name"], set["type"], set["ttl"], set["values"]])).collect::<Vec<_>>()
    };
    serde_json::json!([lookup["rcode"], lookup["authoritative"], sets("answer"), sets("authority")])
}

#[test]
fn the_log_of_a_name_is_exactly_the_events_that_changed_its_answer() -> anyhow::Result<()> {
    let mut random = Random::new(Random::seed());
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    let mut head = 1;
    while head < EVENTS {
        let mut pick = |of: &[&'static str]| of[random.below(of.len() as u64) as usize];
        let owner = pick(&OWNERS);
        let (rtype, value) = match pick(&["A", "A", "CNAME", "NS", "TXT", "zone", "MX"]) {
            "A" => ("A", pick(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]).to_owned()),
            "CNAME" => ("CNAME", format!("{}.", pick(&["api.example.local", "x.api.example.local", "cdn.test", NAME]))),
            "NS" => ("NS", format!("{}.", pick(&["ns1.test", "ns2.test"]))),
            "TXT" => ("TXT", pick(&["\"x\"", "\"y\""]).to_owned()),
            "MX" => ("MX", "10 mail.test.".to_owned()),
            _ => ("zone", String::new()),
        };
        let lives = pick(&["set", "set", "delete"]) == "set";
        // What the rules of a zone forbid is refused, and makes no event.
        let done = match (rtype, lives) {
            ("zone", true) => server.ask("POST", "/zones", r#"{"name":"shop.example.local"}"#)?,
            ("zone", false) => server.ask("DELETE", "/zones/shop.example.local", "")?,
            (_, true) => {
                let body = serde_json::json!({"ttl": 60, "values": [value]}).to_string();
                server.ask("PUT", &format!("/records/{owner}/{rtype}"), &body)?
            }
            (_, false) => server.ask("DELETE", &format!("/records/{owner}/{rtype}"), "")?,
        };
        assert!(done.status < 500, "{done:?}");
        let shown = server.ask("GET", "/events?order=desc&limit=1", "")?.json();
        head = shown[0]["revision"].as_u64().unwrap_or_default();
    }
    for rtype in ["A", "TXT", "MX", "NS"] {
        let answer = |revision: u64| -> anyhow::Result<Value> {
            let lookup = server.ask("GET", &format!("/lookup?name={NAME}&type={rtype}&at=r{revision}"), "")?;
            anyhow::ensure!(lookup.status == 200, "{lookup:?}");
            Ok(told(&lookup.json()))
        };
        let ran = server.cli(&["log", NAME, rtype, "-n", "1000", "--json"])?;
        assert_eq!(ran.code, 0, "{ran:?}");
        let listed: Result<Vec<Value>, _> = ran.out.lines().map(serde_json::from_str).collect();
        let listed: Vec<_> = listed?.iter().filter_map(|event| event["revision"].as_u64()).collect();
        let answers = (0..=head).map(answer).collect::<anyhow::Result<Vec<_>>>()?;
        let changed: Vec<_> =
            (1..=head).rev().filter(|at| answers[*at as usize] != answers[*at as usize - 1]).collect();
        assert!(changed.len() > 5, "{rtype}: a history that changes answers: {changed:?}");
        assert_eq!(listed, changed, "{rtype}");
    }
    Ok(())
}
