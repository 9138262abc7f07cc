//! Following the ledger as server-sent events.

use conn3ction_tests::http::Events;

use crate::{get, put, send, server};

#[test]
fn a_stream_goes_on_where_it_stopped_and_shows_what_the_filter_lets_through() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let mut all = Events::follow(server.http, "/events?after=0", &[])?;
    for number in 0..3 {
        put(&server, &format!("n{number}.example.local"), "A", "10.0.0.1")?;
    }
    for revision in 1..=4 {
        let (id, event) = all.next_event()?;
        assert_eq!((id.as_str(), &event["revision"]), (format!("1:{revision}").as_str(), &revision.into()));
    }
    drop(all);
    // The connection broke after 2; `Last-Event-ID` wins over `after`.
    for id in ["2", "r2", "1:2"] {
        let mut resumed = Events::follow(server.http, "/events?after=0", &[("Last-Event-ID", id)])?;
        assert_eq!(resumed.next_event()?.0, "1:3", "{id}");
    }
    let mut narrow = Events::follow(server.http, "/events?name=n9.example.local", &[])?;
    put(&server, "n8.example.local", "A", "10.0.0.1")?; // r5
    put(&server, "n9.example.local", "A", "10.0.0.1")?; // r6
    let (id, event) = narrow.next_event()?;
    assert_eq!((id.as_str(), &event["changes"][0]["name"]), ("1:6", &"n9.example.local".into()));
    // It is the same event as a page has.
    assert_eq!(event, get(&server, "/events?after=5")?.json()[0]);
    let bad = send(&server, "GET /events", &[("Accept", "text/event-stream"), ("Last-Event-ID", "x")], "")?;
    assert_eq!((bad.status, crate::problem(&bad).as_str()), (400, "bad-when"));
    Ok(())
}
