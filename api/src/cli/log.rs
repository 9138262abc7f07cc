//! `log`: the events, newest first, or as they come.

use conn3ction_schemas::{Timestamp, json};

use super::{
    age::told,
    client::{Client, Failure},
    output::{NOTE, Printer, escape},
    records::show_changes,
};
use crate::http::list::Row;

#[derive(Debug, clap::Args)]
pub(super) struct Log {
    /// Only events that changed this owner.
    name: Option<String>,
    /// Only changes of this type.
    rtype: Option<String>,
    /// Only this zone.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME")]
    under: Option<String>,
    /// Only these actors; `*` stands for anything.
    #[arg(long = "by", value_name = "GLOB")]
    by: Option<String>,
    /// Only reasons that contain this.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// At most so many events.
    #[arg(short = 'n', long, value_name = "N", default_value = "50")]
    number: u32,
    /// Show the changes.
    #[arg(short = 'p', long)]
    patch: bool,
    /// Follow: print events as they are committed.
    #[arg(short, long)]
    follow: bool,
}

impl Log {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let number = self.number.to_string();
        let mut query = vec![
            ("name", self.name.as_deref()),
            ("type", self.rtype.as_deref()),
            ("zone", self.zone.as_deref()),
            ("under", self.under.as_deref()),
            ("actor", self.by.as_deref()),
            ("reason", self.grep.as_deref()),
        ];
        if self.follow {
            return self.follow(client, printer, &query).await;
        }
        query.push(("limit", Some(&number)));
        query.push(("order", Some("desc")));
        let events: Vec<json::EventJson> = client.get(client.url(&["events"], &query)).await?;
        if printer.for_programs() {
            printer.rows(&events, &[]);
        } else {
            events.iter().for_each(|event| self.show(printer, event));
        }
        Ok(())
    }

    /// Reads server-sent events for ever; after a broken connection it goes on behind the last event it saw.
    async fn follow(&self, client: &Client, printer: &Printer, query: &[(&str, Option<&str>)]) -> Result<(), Failure> {
        let mut last: Option<u64> = None;
        loop {
            let after = last.map(|revision| revision.to_string());
            let mut query = query.to_vec();
            query.push(("after", after.as_deref()));
            let mut response = client.open(client.url(&["events"], &query), "text/event-stream").await?;
            let mut buffer = Vec::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                buffer.extend_from_slice(&chunk);
                while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                    let block: Vec<u8> = buffer.drain(..end + 2).collect();
                    let Some(event) = event_of(&block) else { continue };
                    last = Some(event.revision);
                    if printer.for_programs() { printer.json_lines(&[event]) } else { self.show(printer, &event) }
                }
            }
            printer.note("the connection broke; going on where it stopped");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    fn show(&self, printer: &Printer, event: &json::EventJson) {
        let sets = if event.change_count == 1 { "set" } else { "sets" };
        let [time, age] = told(&event.time, Timestamp::now());
        let line = format!(
            "r{:<6} {}  {:>8}  {}  {} {sets}  {}  {}",
            event.revision,
            time,
            age,
            event.actor,
            event.change_count,
            event.kind,
            event.reason.as_deref().unwrap_or_default()
        );
        printer.line(NOTE, escape(&line).trim_end());
        if self.patch {
            show_changes(printer, &event.changes, event.change_count);
        }
    }
}

/// The event of one block of a server-sent stream (its `data:` lines).
fn event_of(block: &[u8]) -> Option<json::EventJson> {
    let text = std::str::from_utf8(block).ok()?;
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
    serde_json::from_str(&data.join("\n")).ok()
}

impl Row for json::EventJson {
    const COLUMNS: &[&str] = &["revision", "time", "kind", "actor", "reason", "zones", "change_count"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.revision.to_string(),
            self.time.clone(),
            self.kind.clone(),
            self.actor.clone(),
            self.reason.clone().unwrap_or_default(),
            self.zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>().join("\n"),
            self.change_count.to_string(),
        ]
    }
}
