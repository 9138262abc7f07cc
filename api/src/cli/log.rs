//! `log` and `show`: the events, newest first, as they come, or one by itself.

use std::cell::Cell;

use anstyle::Style;
use conn3ction_schemas::{Timestamp, json};

use super::{
    age::told,
    client::{Client, Failure},
    follow::Followed,
    output::{NOTE, Output, Printer, columns, escape},
    records::{dotted, show_changes},
    rollback::undo,
};
use crate::http::list::Row;

#[derive(Debug, clap::Args)]
#[command(after_help = "--actor GLOB shows only what these did; `*` stands for anything.\n\
    The log of a NAME follows its answer: aliases and their targets, the wildcard that stands in for it, the cut above \
    it, and zones that come and go.")]
pub(super) struct Log {
    /// Only events that changed the answer for this name, wherever that was.
    name: Option<String>,
    /// Only the answer for this type.
    rtype: Option<String>,
    /// Only events that changed record sets of NAME itself.
    #[arg(long, requires = "name")]
    exact: bool,
    /// Only this zone.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME")]
    under: Option<String>,
    /// Only from this moment on: r1041, a time, an age such as 2h. A time is when it took effect, also of imported history.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only up to this moment.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only reasons that contain this.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// At most so many events [default: 50; with -f so many first, 10].
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<u32>,
    /// Show the changes.
    #[arg(short = 'p', long)]
    patch: bool,
    /// One short line an event.
    #[arg(long, conflicts_with = "patch")]
    oneline: bool,
    /// Follow: print the last events, then each as it is committed, through restarts of the server.
    #[arg(short, long, conflicts_with = "until")]
    pub(super) follow: bool,
}

impl Log {
    pub(super) async fn run(&self, actor: Option<&str>, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let number = self.number.unwrap_or(50).to_string();
        let answer = self.name.is_some() && !self.exact;
        let mut query = vec![
            ("name", self.name.as_deref()),
            ("type", self.rtype.as_deref()),
            ("answer", answer.then_some("true")),
            ("zone", self.zone.as_deref()),
            ("under", self.under.as_deref()),
            ("actor", actor),
            ("reason", self.grep.as_deref()),
        ];
        if self.follow {
            let followed = Followed { query, since: self.since.as_deref(), number: self.number };
            let is_first = Cell::new(true);
            let show = |events: &[json::EventJson]| self.show(printer, events, is_first.replace(false));
            return followed.run(client, printer, show).await;
        }
        query.extend([
            ("from", self.since.as_deref()),
            ("to", self.until.as_deref()),
            ("limit", Some(&*number)),
            ("order", Some("desc")),
        ]);
        let response = client.open(client.url(&["events"], &query), "application/json").await?;
        let more = response.headers().contains_key("link");
        let events: Vec<json::EventJson> = client.decode(response).await?;
        self.show(printer, &events, true);
        if events.is_empty() {
            printer.note("no event fits");
        }
        if more && self.number.is_none() {
            printer.note(&format!("these are the newest {number}; -n N shows more"));
        }
        Ok(())
    }

    /// `is_first`: nothing was shown yet.
    fn show(&self, printer: &Printer, events: &[json::EventJson], is_first: bool) {
        match printer.output {
            Output::Json => return printer.json_lines(events),
            Output::Csv => return printer.csv(events, is_first),
            Output::Table | Output::Wide | Output::Zone => {}
        }
        let now = Timestamp::now();
        let plain = Style::new();
        let line = |event: &json::EventJson| {
            let mut line = line(event, self.oneline, now);
            if printer.output == Output::Wide {
                line.extend([
                    (plain, serials(event)),
                    (plain, event.source.clone()),
                    (plain, event.request_id.clone()),
                ]);
            }
            // Who asks after one name may be looking for what to undo.
            if let (Some(name), false) = (&self.name, self.oneline) {
                let undo = undo(event, name).map(|undo| format!("undo: {undo}"));
                line.push((plain, undo.unwrap_or_default()));
            }
            line
        };
        let lines: Vec<_> = events.iter().map(line).collect();
        for (event, line) in events.iter().zip(columns(&lines)) {
            printer.line(plain, &line);
            if self.patch {
                show_changes(printer, &event.changes, event.changes.len() as u64);
            }
        }
    }
}

/// What one line says of an event, by columns.
pub(super) fn line(event: &json::EventJson, is_short: bool, now: Timestamp) -> Vec<(Style, String)> {
    let plain = Style::new();
    let [time, age] = told(&event.time, now);
    let reason = event.reason.clone().unwrap_or_default();
    let mut line = vec![(NOTE, format!("r{}", event.revision))];
    if !is_short {
        line.push((plain, time));
    }
    line.extend([(plain, age), (plain, event.actor.clone()), (plain, what(event)), (plain, reason)]);
    line
}

/// What an event did, and to what: one set by its name and type, else so many of this zone or of several.
fn what(event: &json::EventJson) -> String {
    let subject = match (&event.changes[..], event.change_count, &event.zones[..]) {
        ([change], 1, _) => {
            let covers = change.covers.as_ref().map(|covers| format!(" {covers}")).unwrap_or_default();
            format!("{} {}{covers}", dotted(&change.name), change.rtype)
        }
        (_, count, zones) => {
            let zones = match zones {
                [zone] => dotted(&zone.name),
                zones => format!("{} zones", zones.len()),
            };
            format!("{zones} {count} {}", if count == 1 { "set" } else { "sets" })
        }
    };
    // What the other kinds did is not told by their changes.
    if event.kind == "records-changed" { subject } else { format!("{} {subject}", event.kind) }
}

/// The zones that an event touched, with their serials.
fn serials(event: &json::EventJson) -> String {
    let zones = event.zones.iter().map(|zone| {
        let before = zone.previous_serial.map(|serial| format!("{serial} -> ")).unwrap_or_default();
        format!("{} {before}{}", dotted(&zone.name), zone.serial)
    });
    zones.collect::<Vec<_>>().join(", ")
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The event: r1041, 1041 or 1:1041.
    #[arg(value_name = "REV")]
    revision: String,
}

impl Show {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let event: json::EventJson = client.get(client.url(&["events", &self.revision], &[])).await?;
        if printer.for_programs() {
            printer.rows(&[event], &[]);
            return Ok(());
        }
        let [_, age] = told(&event.time, Timestamp::now());
        let line = |style: Style, name: &str, value: &str| printer.line(style, &escape(&format!("{name:10}{value}")));
        let plain = Style::new();
        line(NOTE, "event", &format!("r{}  ({}:{})", event.revision, event.epoch, event.revision));
        line(plain, "Actor:", &format!("{}  ({})", event.actor, authentication(&event.auth)));
        line(plain, "Time:", &format!("{}  ({age})", event.time));
        if let Some(committed_at) = &event.committed_at {
            line(plain, "Stored:", committed_at);
        }
        line(plain, "Source:", &format!("{}, request {}", event.source, event.request_id));
        let of = [("restores", event.restores), ("reverts", event.reverts)];
        let of = of.iter().find_map(|(what, of)| of.map(|of| format!(", {what} r{of}"))).unwrap_or_default();
        line(plain, "Kind:", &format!("{}{of}", event.kind));
        for zone in &event.zones {
            let before = zone.previous_serial.map(|serial| format!("{serial} -> ")).unwrap_or_default();
            let life = if zone.created { ", created" } else { "" };
            let life = if zone.deleted { ", deleted" } else { life };
            line(plain, "Zone:", &format!("{}  serial {before}{}{life}", zone.name, zone.serial));
        }
        line(plain, "Hash:", &event.hash);
        if let Some(reason) = &event.reason {
            printer.line(plain, "");
            printer.line(plain, &format!("    {}", escape(reason)));
        }
        printer.line(plain, "");
        show_changes(printer, &event.changes, event.change_count);
        Ok(())
    }
}

/// How it is known who did it, in words.
fn authentication(auth: &str) -> &str {
    if auth == "none" { "not authenticated" } else { auth }
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
