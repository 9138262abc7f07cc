//! `get`, `set`, `add`, `remove`, `delete`.

use anstyle::Style;
use conn3ction_schemas::json::{self, Op};
use reqwest::Method;

use super::{
    client::{Client, Failure},
    output::{ADDED, Output, Printer, REMOVED, escape},
};
use crate::http::list::Row;

#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// Only this name.
    name: Option<String>,
    /// Only this type.
    rtype: Option<String>,
    /// Only this zone.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME")]
    under: Option<String>,
}

impl Get {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let expand = (printer.output == Output::Wide).then_some("event");
        let url = client.url(
            &["records"],
            &[
                ("name", self.name.as_deref()),
                ("type", self.rtype.as_deref()),
                ("zone", self.zone.as_deref()),
                ("under", self.under.as_deref()),
                ("expand", expand),
                ("at", client.global.at.as_deref()),
            ],
        );
        let records: Vec<json::Record> = client.get(url).await?;
        if records.is_empty() && self.name.is_some() {
            return Err(Failure::NotFound(self.name.clone().unwrap_or_default()));
        }
        if printer.output == Output::Zone {
            for record in &records {
                for value in &record.values {
                    let (name, ttl, rtype) = (dotted(&record.name), record.ttl, &record.rtype);
                    printer.line(Style::new(), &escape(&format!("{name} {ttl} IN {rtype} {value}")));
                }
            }
        } else {
            printer.rows(&records, &["name", "ttl", "type", "values"]);
        }
        Ok(())
    }
}

impl Row for json::Record {
    const COLUMNS: &[&str] =
        &["name", "ttl", "type", "values", "covers", "zone", "revision", "time", "actor", "reason"];

    fn cells(&self) -> Vec<String> {
        let event = self.event.as_ref();
        vec![
            self.name.clone(),
            self.ttl.to_string(),
            self.rtype.clone(),
            self.values.join("\n"),
            self.covers.clone().unwrap_or_default(),
            self.zone.clone().unwrap_or_default(),
            event.map(|event| event.revision.to_string()).unwrap_or_default(),
            event.map(|event| event.time.clone()).unwrap_or_default(),
            event.map(|event| event.actor.clone()).unwrap_or_default(),
            event.and_then(|event| event.reason.clone()).unwrap_or_default(),
        ]
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Write {
    /// The owner name.
    name: String,
    /// The record type.
    rtype: String,
    /// The values, each as `dig +short` prints it; behind `--` they may begin with a hyphen.
    #[arg(required = true)]
    values: Vec<String>,
    /// Seconds that resolvers may keep the answer [default: the set's present one, else the zone's].
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// The zone, where several hold the name.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

impl Write {
    pub(super) async fn run(&self, op: &str, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let op = match op {
            "add" => Op::Add,
            "remove" => Op::Remove,
            _ => Op::Set,
        };
        change(client, printer, vec![self.change(op)]).await
    }

    pub(super) fn change(&self, op: Op) -> json::ChangeInput {
        json::ChangeInput {
            op,
            name: self.name.clone(),
            rtype: Some(self.rtype.clone()),
            values: Some(self.values.clone()),
            ttl: self.ttl,
            zone: self.zone.clone(),
            covers: None,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The owner name.
    name: String,
    /// The record type, or ANY for all of the name.
    rtype: String,
    /// The zone, where several hold the name.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

impl Delete {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        change(client, printer, vec![self.change()]).await
    }

    pub(super) fn change(&self) -> json::ChangeInput {
        json::ChangeInput {
            op: Op::Delete,
            name: self.name.clone(),
            rtype: Some(self.rtype.clone()),
            values: None,
            ttl: None,
            zone: self.zone.clone(),
            covers: None,
        }
    }
}

/// Sends changes as one atomic event and shows what became of them.
pub(super) async fn change(client: &Client, printer: &Printer, changes: Vec<json::ChangeInput>) -> Result<(), Failure> {
    let request = json::ChangeSet { reason: client.global.reason.clone(), expected_revision: None, changes };
    let body = serde_json::to_vec(&request).map_err(|error| Failure::Usage(error.to_string()))?;
    write(client, printer, &["changes"], &[], Method::POST, Some(body)).await
}

/// Sends a write that answers with an event, a record, or on a dry run with a plan.
pub(super) async fn write(
    client: &Client,
    printer: &Printer,
    path: &[&str],
    query: &[(&str, Option<&str>)],
    method: Method,
    body: Option<Vec<u8>>,
) -> Result<(), Failure> {
    let mut query = query.to_vec();
    if client.global.dry_run {
        query.push(("dry_run", Some("true")));
    }
    let response = client.write(method, client.url(path, &query), body).await?;
    written(client, printer, response).await
}

/// Shows what a write answered.
pub(super) async fn written(client: &Client, printer: &Printer, response: reqwest::Response) -> Result<(), Failure> {
    if client.global.dry_run {
        let plan: json::Plan = client.decode(response).await?;
        show_plan(printer, &plan);
        return Ok(());
    }
    let settled = client.settled(&response).await?;
    let status = response.status();
    if status == reqwest::StatusCode::NO_CONTENT {
        printer.note(&settled.map_or_else(|| "done".into(), |views| format!("done; {views}")));
        return Ok(());
    }
    let event: json::EventJson = client.decode(response).await?;
    if printer.for_programs() {
        printer.json_lines(&[event]);
        return Ok(());
    }
    if status == reqwest::StatusCode::OK {
        printer.note(&format!("nothing to change: it has been so since r{} at the latest", event.revision));
        return Ok(());
    }
    show_changes(printer, &event.changes, event.change_count);
    let serials: Vec<_> = event.zones.iter().map(|zone| format!("{} serial {}", zone.name, zone.serial)).collect();
    let mut line = format!("r{} {}; {}", event.revision, event.kind, serials.join(", "));
    if let Some(views) = settled {
        line.push_str(&format!("; {views}"));
    }
    printer.note(&line);
    Ok(())
}

pub(super) fn show_plan(printer: &Printer, plan: &json::Plan) {
    if printer.for_programs() {
        printer.json_lines(&[plan]);
        return;
    }
    show_changes(printer, &plan.changes, plan.change_count);
    for warning in &plan.warnings {
        let name = warning.name.as_deref().unwrap_or_default();
        printer.note(&format!("warning: {} {name}: {}", warning.kind, warning.detail));
    }
    let summary = &plan.summary;
    printer.note(&format!(
        "{} created, {} replaced, {} deleted; old answers stay cached up to {} s. Nothing was done (planned at {}).",
        summary.created, summary.replaced, summary.deleted, plan.cache_seconds, plan.decided_at
    ));
}

/// Changes as git shows them: what goes in red, what comes in green.
pub(super) fn show_changes(printer: &Printer, changes: &[json::ChangeJson], count: u64) {
    for change in changes {
        let ttl = match (&change.before, &change.after) {
            (Some(before), Some(after)) if before.ttl != after.ttl => format!("{} -> {}", before.ttl, after.ttl),
            (_, Some(state)) | (Some(state), None) => state.ttl.to_string(),
            (None, None) => String::new(),
        };
        let covers = change.covers.as_ref().map(|covers| format!(" {covers}")).unwrap_or_default();
        let sign = match (&change.before, &change.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        printer
            .line(Style::new(), &escape(&format!("{sign} {}  {ttl}  {}{covers}", dotted(&change.name), change.rtype)));
        let values =
            |state: &Option<json::SetJson>| state.as_ref().map(|state| state.values.clone()).unwrap_or_default();
        let (before, after) = (values(&change.before), values(&change.after));
        for value in before.iter().filter(|value| !after.contains(value)) {
            printer.line(REMOVED, &format!("-   {}", escape(value)));
        }
        for value in after.iter().filter(|value| !before.contains(value)) {
            printer.line(ADDED, &format!("+   {}", escape(value)));
        }
    }
    if count > changes.len() as u64 {
        printer.note(&format!("… and {} more", count - changes.len() as u64));
    }
}

/// A name with its last dot.
pub(super) fn dotted(name: &str) -> String {
    if name.ends_with('.') { name.into() } else { format!("{name}.") }
}
