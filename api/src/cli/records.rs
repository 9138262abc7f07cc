//! `get`, `set`, `add`, `remove`, `delete`.

use anstyle::Style;
use conn3ction_schemas::{
    Rdata, RecordType, Ttl,
    json::{self, Op},
};
use reqwest::Method;
use serde::Serialize;

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
        let expand = matches!(printer.output, Output::Wide | Output::Csv).then_some("event");
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
        // As it comes: a zone may be more than fits. The columns of a table are as wide as their widest cell, so it waits.
        let (mut lines, mut table, mut count) = (client.lines(url).await?, Vec::new(), 0);
        while let Some(record) = lines.next::<json::Record>().await? {
            match printer.output {
                Output::Json => printer.json_lines(&[record]),
                Output::Csv => printer.csv(&[record], count == 0),
                Output::Zone => master_lines(printer, &record),
                Output::Table | Output::Wide => table.push(record),
            }
            count += 1;
        }
        if count == 0 && self.name.is_some() {
            return Err(self.nothing(client).await);
        }
        match printer.output {
            Output::Csv if count == 0 => printer.csv::<json::Record>(&[], true),
            Output::Table | Output::Wide => printer.rows(&table, &["name", "ttl", "type", "values"]),
            Output::Json | Output::Csv | Output::Zone => {}
        }
        if count == 0 {
            printer.note(&format!("no record set fits{}", as_of(client)));
        }
        Ok(())
    }

    /// Nothing has the name; why is known to the responder.
    async fn nothing(&self, client: &Client) -> Failure {
        let name = self.name.as_deref().unwrap_or_default();
        let text = format!("{name} has no record set that fits{}", as_of(client));
        let why = super::lookup::why_absent(client, name, self.rtype.as_deref()).await;
        Failure::NotFound(why.map(|why| format!("{text}: {why}")).unwrap_or(text))
    }
}

/// The moment that `--at` names, behind what is said of it.
pub(super) fn as_of(client: &Client) -> String {
    client.global.at.as_ref().map(|at| format!(" as of {at}")).unwrap_or_default()
}

/// A set as lines of a master file.
fn master_lines(printer: &Printer, record: &json::Record) {
    for value in &record.values {
        let (name, ttl, rtype) = (dotted(&record.name), record.ttl, &record.rtype);
        printer.line(Style::new(), &escape(&format!("{name} {ttl} IN {rtype} {value}")));
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
    #[arg(value_parser = name)]
    name: String,
    /// The record type.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// The values, each as `dig +short` prints it and quoted if it has spaces; behind `--` they may begin with a hyphen.
    #[arg(required = true)]
    values: Vec<String>,
    /// Seconds that resolvers may keep the answer [default: the set's present one, else the zone's].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_hyphen_values = true)]
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
        let asked = self.change(op).map_err(Failure::Usage)?;
        change(client, printer, vec![asked.clone()]).await.map_err(|failure| beside_cname(failure, &asked))
    }

    /// The change.
    ///
    /// # Errors
    ///
    /// The words of one value were given as values of their own.
    pub(super) fn change(&self, op: Op) -> Result<json::ChangeInput, String> {
        if let (Ok(rtype), true) = (self.rtype.parse::<RecordType>(), self.values.len() > 1) {
            let is_value = |text: &str| Rdata::parse(rtype, text, None).is_ok();
            let whole = self.values.join(" ");
            if is_value(&whole) && !self.values.iter().any(|value| is_value(value)) {
                return Err(format!("a value of several words is quoted: {} {} '{whole}'", self.name, self.rtype));
            }
        }
        Ok(json::ChangeInput {
            op,
            name: self.name.clone(),
            rtype: Some(self.rtype.clone()),
            values: Some(self.values.clone()),
            ttl: self.ttl,
            zone: self.zone.clone(),
            covers: None,
        })
    }
}

/// A CNAME stands alone: the line that does both at once.
fn beside_cname(failure: Failure, asked: &json::ChangeInput) -> Failure {
    let Failure::Refused(mut problem) = failure else { return failure };
    let is_alias = asked.rtype.as_ref().is_some_and(|rtype| rtype.eq_ignore_ascii_case("CNAME"));
    let other = problem.detail.split_once(" would have a CNAME beside ").map(|(_, beside)| beside);
    let gone = if is_alias { other.filter(|other| !other.contains([' ', ','])).unwrap_or("ANY") } else { "CNAME" };
    let (name, rtype) = (&asked.name, asked.rtype.as_deref().unwrap_or_default());
    let word = |value: &String| if value.contains(' ') { format!("\"{value}\"") } else { value.clone() };
    let values: Vec<String> = asked.values.iter().flatten().map(word).collect();
    let values = values.join(" ");
    // What printf or the shell would take for its own is not shown as a line to paste.
    let is_unquoted = asked.values.iter().flatten().all(|value| !value.contains('"'));
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_ \"".contains(c));
    if let (Some(_), true, [error]) = (other, is_unquoted && plain(name) && plain(&values), &mut problem.errors[..]) {
        error.hint = Some(format!(
            "to replace it: printf 'delete {name} {gone}\\nset {name} {rtype} {values}\\n' | conn3ction apply -"
        ));
    }
    Failure::Refused(problem)
}

/// A name to be written to. The DNS takes spaces in labels; who types one has most likely forgotten a quote or a dot.
pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if text.contains(char::is_whitespace) {
        Err("a name has no spaces; a space in a label is \\032")
    } else {
        Ok(text.into())
    }
}

/// A number of seconds.
fn seconds(text: &str) -> Result<u32, String> {
    if let Some(ttl) = text.parse().ok().and_then(|secs| Ttl::from_secs(secs).ok()) {
        return Ok(ttl.as_secs());
    }
    let mut digits = text.chars();
    let unit = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
    let unit = digits.next_back().and_then(|last| unit.iter().find(|(unit, _)| *unit == last));
    let meant = unit.and_then(|(_, unit)| digits.as_str().parse::<u32>().ok()?.checked_mul(*unit));
    let example = meant.filter(|secs| *secs <= Ttl::MAX.as_secs()).unwrap_or(300);
    Err(format!("it is a number of seconds from 0 to {}; write {example}", Ttl::MAX))
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The owner name.
    #[arg(value_parser = name)]
    name: String,
    /// The record type, or ANY for all of the name.
    #[arg(value_name = "TYPE|ANY")]
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
    change_set(client, printer, &request).await
}

/// Sends a change set and shows what became of it.
pub(super) async fn change_set(client: &Client, printer: &Printer, request: &json::ChangeSet) -> Result<(), Failure> {
    let body = serde_json::to_vec(request).map_err(|error| Failure::Usage(error.to_string()))?;
    let url = client.url(&["changes"], &[("dry_run", client.global.dry_run.then_some("true"))]);
    let response = client.write(Method::POST, url, Some(body)).await?;
    written(client, printer, response).await
}

/// Shows what a write answered: what its event changed, or on a dry run what it would change.
pub(super) async fn written(client: &Client, printer: &Printer, response: reqwest::Response) -> Result<(), Failure> {
    if client.global.dry_run {
        let plan: json::Plan = client.decode(response).await?;
        show_plan(printer, &plan);
        return Ok(());
    }
    let settled = client.settled(&response).await?;
    let views = settled.map(|views| format!("; {views}")).unwrap_or_default();
    let is_new = response.status() != reqwest::StatusCode::OK;
    let Some(event) = client.event(response).await else {
        printer.note(&format!("done{views}"));
        return Ok(());
    };
    if !is_new {
        unchanged(printer, &event, &format!("nothing to change: it has been so since r{}", event.revision));
        return Ok(());
    }
    if printer.for_programs() {
        printer.json_lines(&[event]);
        return Ok(());
    }
    warn(printer, &event.warnings);
    let zones = event.zones.iter().map(|zone| match zone.deleted {
        true => format!("{} with its {}", zone.name, sets(event.change_count)),
        false => format!("{} serial {}", zone.name, zone.serial),
    });
    let zones = zones.collect::<Vec<_>>().join(", ");
    let undo = match event.zones.iter().any(|zone| zone.deleted) {
        true => format!("; undo: conn3ction revert r{}", event.revision),
        false => {
            show_changes(printer, &event.changes, event.change_count);
            String::new()
        }
    };
    printer.note(&format!("r{} {}; {zones}{views}{undo}", event.revision, event.kind));
    let gone = event.changes.iter().filter(|change| change.after.is_none()).count() as u64;
    if event.kind == "zone-imported" && gone > 0 {
        let least = if event.change_count > event.changes.len() as u64 { "at least " } else { "" };
        let (gone, are) = (sets(gone), if gone == 1 { "is" } else { "are" });
        printer.note(&format!(
            "warning: {least}{gone} that the file does not have {are} gone; undo: conn3ction revert r{}",
            event.revision
        ));
    }
    Ok(())
}

/// Says that there was nothing to do; programs get the event that made it so, marked `"unchanged":true`, so that they
/// do not take it for one of theirs.
pub(super) fn unchanged(printer: &Printer, made_so: &impl Serialize, words: &str) {
    if !printer.for_programs() {
        return printer.note(words);
    }
    let mut object = serde_json::to_value(made_so).unwrap_or_default();
    object["unchanged"] = true.into();
    printer.json_lines(&[object]);
}

/// `1 record set`, `5 record sets`.
pub(super) fn sets(count: u64) -> String {
    format!("{count} record {}", if count == 1 { "set" } else { "sets" })
}

pub(super) fn show_plan(printer: &Printer, plan: &json::Plan) {
    if printer.for_programs() {
        printer.json_lines(&[plan]);
        return;
    }
    show_changes(printer, &plan.changes, plan.change_count);
    warn(printer, &plan.warnings);
    let summary = &plan.summary;
    let at = plan.decided_at.rsplit(':').next().unwrap_or_default();
    printer.note(&format!(
        "{} created, {} replaced, {} deleted; old answers stay cached up to {} s. Nothing was done (planned at r{at}).",
        summary.created, summary.replaced, summary.deleted, plan.cache_seconds
    ));
}

/// Warnings, a line each.
pub(super) fn warn(printer: &Printer, warnings: &[json::Warning]) {
    for warning in warnings {
        let line = warning.line.map(|line| format!(", line {line}")).unwrap_or_default();
        printer.note(&format!("warning: {}{line}: {}", warning.kind, warning.detail));
    }
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
