//! `bisect`: which event made an answer what it is.

use anstyle::Style;
use conn3ction_schemas::{Timestamp, json};

use super::{
    client::{Client, Failure},
    log,
    output::{ADDED, NOTE, Output, Printer, REMOVED, columns, escape},
    records::{dotted, show_changes},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --answer the turns of the answer are walked back to the last one at which X became the answer, \
    or ceased to be it. With --run the events that changed the answer are halved, as git does: CMD finds the moment in \
    $CONN3CTION_AT, ends with 0 for good and with 1 to 124 for bad; where good and bad alternate, one change of several \
    is found."
)]
pub(super) struct Bisect {
    /// The name.
    name: String,
    /// The record type.
    #[arg(value_name = "TYPE")]
    rtype: String,
    /// A value of the answer, or NXDOMAIN, NODATA, REFERRAL, REFUSED.
    #[arg(long, value_name = "X", required_unless_present = "run")]
    answer: Option<String>,
    /// A shell command that tells good moments from bad ones.
    #[arg(long, value_name = "CMD", conflicts_with = "answer")]
    run: Option<String>,
    /// The moment to begin at; --at is the one to end at [default: before the first event].
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
}

impl Bisect {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        match &self.run {
            Some(command) => self.halve(command, client, printer).await,
            None => self.walk(client, printer).await,
        }
    }

    async fn walk(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let query = [
            ("name", Some(&*self.name)),
            ("type", Some(&*self.rtype)),
            ("answer", self.answer.as_deref()),
            ("from", self.since.as_deref()),
            ("at", client.global.at.as_deref()),
        ];
        let found: json::Bisect = client.get(client.url(&["bisect"], &query)).await?;
        let what = format!("{} for {} {}", found.answer, dotted(&found.name), found.rtype);
        if printer.output == Output::Json {
            printer.json_lines(std::slice::from_ref(&found));
        }
        let Some(event) = &found.event else {
            let always = if found.holds { "always was the answer" } else { "never was the answer" };
            let since = self.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
            return Err(Failure::Left(format!("{what} {always}{since}")));
        };
        if printer.output == Output::Json {
            return Ok(());
        }
        let turned = if found.holds { "became the answer" } else { "ceased to be the answer" };
        printer.line(Style::new(), &escape(&format!("{what} {turned} at")));
        show(printer, event);
        let before = found.before.as_ref().map(told).unwrap_or_default();
        printer.line(REMOVED, &format!("before: {}", escape(&before)));
        printer.line(ADDED, &format!("after:  {}", escape(&told(&found.after))));
        Ok(())
    }

    async fn halve(&self, command: &str, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let query = [
            ("name", Some(&*self.name)),
            ("type", Some(&*self.rtype)),
            ("answer", Some("true")),
            ("from", self.since.as_deref()),
            ("to", client.global.at.as_deref()),
        ];
        let events: Vec<json::EventJson> = client.get(client.url(&["events"], &query)).await?;
        let none = || Failure::Left(format!("no event changed the answer for {}", dotted(&self.name)));
        let (first, last) = events.first().zip(events.last()).ok_or_else(none)?;
        let before = first.revision - 1;
        let (old, new) =
            (self.judge(command, before, client, printer)?, self.judge(command, last.revision, client, printer)?);
        if old == new {
            let said = if new { "good" } else { "bad" };
            let hint = "choose --since and --at so that it is good at one end and bad at the other";
            return Err(Failure::Left(format!("{said} both at r{before} and at r{}; {hint}", last.revision)));
        }
        // `events[..low]` are as the oldest, the one at `high` is as the newest.
        let (mut low, mut high) = (0, events.len() - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_new = self.judge(command, events[middle].revision, client, printer)? == new;
            if is_new { high = middle } else { low = middle + 1 }
        }
        let found = &events[high];
        if printer.output == Output::Json {
            printer.json_lines(std::slice::from_ref(found));
            return Ok(());
        }
        let turned = if new { "good" } else { "bad" };
        printer.line(Style::new(), &format!("{turned} since"));
        show(printer, found);
        Ok(())
    }

    /// Whether the command calls a moment good.
    fn judge(&self, command: &str, revision: u64, client: &Client, printer: &Printer) -> Result<bool, Failure> {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).stdin(std::process::Stdio::null());
        let (at, url) = (format!("r{revision}"), client.base());
        shell.envs([("CONN3CTION_AT", &*at), ("CONN3CTION_URL", url)]);
        shell.envs([("CONN3CTION_NAME", &*self.name), ("CONN3CTION_TYPE", &*self.rtype)]);
        // What it prints is for people: results of ours go to standard output.
        let out = shell.output().map_err(|source| Failure::File { path: "sh".into(), source })?;
        let said = [out.stdout, out.stderr].concat();
        let good = match out.status.code() {
            Some(0) => true,
            Some(1..=124) => false,
            _ => {
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                return Err(Failure::Left(format!("the command could not judge {at}: {}: {said}", out.status)));
            }
        };
        printer.note(&format!("{at}: {}", if good { "good" } else { "bad" }));
        Ok(good)
    }
}

/// The values of an answer, and what became of the name that they lead to if there is nothing.
fn told(answer: &json::ShortAnswer) -> String {
    let outcome = (answer.outcome != "NOERROR").then_some(answer.outcome.as_str());
    answer.values.iter().map(String::as_str).chain(outcome).collect::<Vec<_>>().join(" ")
}

/// An event with its changes on the path of the answer.
fn show(printer: &Printer, event: &json::EventJson) {
    let line = log::line(event, false, Timestamp::now());
    columns(&[line]).iter().for_each(|line| printer.line(NOTE, line));
    show_changes(printer, &event.changes, event.changes.len() as u64);
}
