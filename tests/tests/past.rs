//! The past as users meet it: every read at any moment, history, diff, blame, restore, revert.

use anyhow::Context;
use conn3ction_tests::{Conn3ction, shell};
use serde_json::Value;

/// An answer over HTTP.
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn ask(server: &Conn3ction, arguments: &str) -> anyhow::Result<Answer> {
    let text = shell(&format!("curl -s -i {}", arguments.replace("URL", &format!("http://{}", server.http))))?;
    let (headers, body) = text.split_once("\r\n\r\n").context("a head and a body")?;
    let status = headers.split(' ').nth(1).context("a status")?.parse()?;
    Ok(Answer { status, headers: headers.to_owned(), body: body.to_owned() })
}

fn put(server: &Conn3ction, name: &str, value: &str) -> anyhow::Result<Answer> {
    let body = format!(r#"'{{"type":"A","values":["{value}"]}}'"#);
    ask(server, &format!("-X PUT -H 'Conn3ction-Actor: ann' -d {body} URL/records/{name}/A"))
}

fn server() -> anyhow::Result<(tempfile::TempDir, Conn3ction)> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    Ok((data, server))
}

#[test]
fn every_read_answers_for_any_revision_or_time() -> anyhow::Result<()> {
    let (data, server) = server()?;
    // r1 made the zone.
    let writes = [put(&server, "app.example.local", "10.0.0.1")?, put(&server, "app.example.local", "10.0.0.2")?];
    let gone = ask(&server, "-X DELETE URL/records/app.example.local/A")?;
    let times: Vec<String> =
        writes.iter().chain([&gone]).map(|write| write.header("conn3ction-time").expect("a time").to_owned()).collect();
    let past = |at: &str| -> anyhow::Result<(u16, Value, Option<String>)> {
        let answer = ask(&server, &format!("'URL/records/app.example.local/A?at={at}'"))?;
        let value = answer.json()["values"][0].clone();
        Ok((answer.status, value, answer.header("conn3ction-revision").map(str::to_owned)))
    };
    for (at, revision) in [("r2", 2), ("1:2", 2), (times[0].as_str(), 2)] {
        assert_eq!(past(at)?, (200, "10.0.0.1".into(), Some(format!("1:{revision}"))), "{at}");
    }
    for at in ["r3", "1:3", times[1].as_str()] {
        assert_eq!(past(at)?, (200, "10.0.0.2".into(), Some("1:3".into())), "{at}");
    }
    for at in ["r1", "r0", "r4", times[2].as_str(), "now", "0s"] {
        assert_eq!(past(at)?.0, 404, "{at}");
    }
    for (at, status, problem) in [
        ("r5", 422, "moment-not-yet"),
        ("2:1", 422, "moment-not-yet"),
        ("2999-01-01T00:00:00Z", 422, "moment-not-yet"),
        ("15", 400, "bad-when"),
        ("yesterday", 400, "bad-when"),
        ("", 400, "bad-when"),
    ] {
        let answer = ask(&server, &format!("'URL/records?at={at}'"))?;
        assert_eq!((answer.status, &answer.json()["type"]), (status, &format!("/problems/{problem}").into()), "{at}");
    }
    for (path, then, now) in [("records?zone=example.local", 3, 2), ("zones", 1, 1)] {
        let separator = if path.contains('?') { '&' } else { '?' };
        for (at, count) in [(times[1].as_str(), then), ("now", now), ("r0", 0)] {
            if path.contains("zone=") && at == "r0" {
                continue;
            }
            let answer = ask(&server, &format!("'URL/{path}{separator}at={at}'"))?;
            assert_eq!(answer.json().as_array().map(Vec::len), Some(count), "{path} at {at}: {}", answer.body);
        }
    }
    let file = ask(&server, &format!("'URL/zones/example.local/zonefile?at={}'", times[0]))?;
    assert!(file.body.contains("10.0.0.1"), "{}", file.body);
    assert_eq!(file.header("conn3ction-revision"), Some("1:2"));
    assert_eq!(ask(&server, "'URL/zones/example.local?at=r2'")?.json()["serial"], 2);

    // A moment that the head has passed, or that was closed for the question, is final: before and after a restart.
    let asked = "'URL/records?name=app.example.local&at=";
    let closed = ask(&server, &format!("{asked}0s'"))?;
    assert_eq!(closed.header("conn3ction-final"), None, "{}", closed.headers);
    assert_eq!(ask(&server, "URL/records")?.header("conn3ction-final"), Some("false"));
    let moment = closed.header("conn3ction-time").expect("a time").to_owned();
    let later = put(&server, "app.example.local", "10.0.0.9")?;
    assert!(later.header("conn3ction-time").is_some_and(|time| *time > *moment));
    server.kill()?;
    let server = Conn3ction::start(data.path(), &[])?;
    for (at, count) in
        [(times[0].as_str(), 1), (moment.as_str(), 0), (later.header("conn3ction-time").expect("a time"), 1)]
    {
        let answer = ask(&server, &format!("{asked}{at}'"))?;
        assert_eq!(answer.json().as_array().map(Vec::len), Some(count), "{at}: {}", answer.body);
        assert_eq!(answer.header("conn3ction-final"), None);
        assert_eq!(answer.header("conn3ction-time"), Some(at));
    }
    Ok(())
}

#[test]
fn all_pages_of_a_list_are_one_snapshot() -> anyhow::Result<()> {
    let (_data, server) = server()?;
    let mut last = String::new();
    for number in 0..4 {
        let answer = put(&server, &format!("n{number}.example.local"), "10.0.0.1")?;
        last = answer.header("conn3ction-time").expect("a time").to_owned();
    }
    for at in ["".to_owned(), "&at=r5".to_owned(), format!("&at={last}")] {
        let mut next = format!("/records?type=A&limit=3{at}");
        let mut names = Vec::new();
        loop {
            let answer = ask(&server, &format!("'URL{next}'"))?;
            names.extend(answer.json().as_array().context("a list")?.iter().map(|record| record["name"].to_string()));
            // A write between two pages: the second page must not see it.
            put(&server, "zz.example.local", "10.0.0.3")?;
            let Some(link) = answer.header("link") else { break };
            next = link.split(['<', '>']).nth(1).context("a link")?.to_owned();
        }
        assert_eq!(names.len(), 4, "{at}: {names:?}");
        ask(&server, "-X DELETE URL/records/zz.example.local/A")?;
    }
    Ok(())
}
