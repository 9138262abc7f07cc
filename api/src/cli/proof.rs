//! `verify` and `replay`.

use std::{io::IsTerminal, path::Path};

use anstyle::Style;
use conn3ction_schemas::json;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    client::{Client, Failure},
    offline,
    output::{FAULT, Printer},
};
use crate::{
    config::Settings,
    proof::{Anchor, NoAnchor, Progress},
};

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// A revision and the hash that somebody kept of it: today's chain must pass through it. May be given several times.
    #[arg(long = "anchor", value_name = "REV:HASH", value_parser = anchor)]
    anchors: Vec<String>,
    #[cfg(feature = "etcd")]
    #[command(flatten)]
    etcd: offline::EtcdFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// The last moment: r1041, 2026-11-22T10:15:00Z, 40m, 2h, 3d, now.
    #[arg(long, value_name = "WHEN", default_value = "now")]
    to: String,
}

fn anchor(text: &str) -> Result<String, NoAnchor> {
    text.parse::<Anchor>().map(|_| text.to_owned())
}

impl Replay {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let bar = bar();
        let url = client.url(&["replay"], &[("to", Some(&self.to))]);
        let report: Result<json::ReplayJson, _> = client.report(url, |told| show(&bar, told)).await;
        bar.finish_and_clear();
        let report = report?;
        if printer.for_programs() {
            printer.json_lines(&[&report]);
        } else {
            let json::ReplayJson { to, events, events_per_second, .. } = report;
            let took = match report.elapsed_ms {
                0 => "less than 1 ms".to_owned(),
                ms @ 1..1_000 => format!("{ms} ms, {events_per_second} events/s"),
                ms => format!("{:.3} s, {events_per_second} events/s", ms as f64 / 1_000.0),
            };
            let line = format!("replayed to r{to}: {events} events in {took}");
            printer.line(Style::new(), &line);
            views(&report.views, printer);
        }
        differing(&report.views)
    }
}

impl Verify {
    /// Whether it reads a directory or etcd itself instead of asking a server.
    pub(super) fn is_offline(&self, data: Option<&Path>) -> bool {
        #[cfg(feature = "etcd")]
        if self.etcd.is_given() {
            return true;
        }
        data.is_some()
    }

    /// Verifies without a server: what is in `data` that no server holds, and what is in etcd.
    pub(super) async fn run_offline(&self, data: Option<&Path>, printer: &Printer) -> Result<(), Failure> {
        let anchors: Result<Vec<Anchor>, _> = self.anchors.iter().map(|anchor| anchor.parse()).collect();
        let anchors = anchors.map_err(|error: NoAnchor| Failure::Usage(error.to_string()))?;
        let settings = Settings { data: data.map(Path::to_owned), ..Settings::default() };
        #[cfg(feature = "etcd")]
        let settings = self.etcd.clone().or(settings);
        let bar = bar();
        let (progress, mut listener) = Progress::new();
        let mut work = std::pin::pin!(offline::verify(settings, &anchors, &progress));
        let report = loop {
            tokio::select! {
                report = &mut work => break report,
                Some(told) = listener.recv() => show(&bar, &told),
            }
        };
        bar.finish_and_clear();
        verdict(&report?, printer)
    }

    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let anchors: Vec<_> = self.anchors.iter().map(|anchor| ("anchor", Some(anchor.as_str()))).collect();
        let bar = bar();
        let report = client.report(client.url(&["verify"], &anchors), |told| show(&bar, told)).await;
        bar.finish_and_clear();
        verdict(&report?, printer)
    }
}

/// Prints what was found and fails if anything did not hold.
fn verdict(report: &json::VerifyJson, printer: &Printer) -> Result<(), Failure> {
    if printer.for_programs() {
        printer.json_lines(&[report]);
    } else {
        let line = match (report.bad, report.to) {
            (Some(_), 0) => "no event before it could be proven".to_owned(),
            (bad, to) => {
                let whole = if bad.is_some() { "chain whole only from" } else { "chain" };
                format!("{whole} r{} to r{to}: {}", report.from, report.hash)
            }
        };
        printer.line(Style::new(), &line);
        for anchor in report.anchors.iter().filter(|anchor| anchor.ok) {
            printer.line(Style::new(), &format!("anchor r{}: ok  {}", anchor.revision, anchor.hash));
        }
        views(&report.views, printer);
    }
    if let Some(bad) = report.bad {
        let detail = report.detail.as_deref().unwrap_or("it is not what was appended");
        return Err(Failure::Mismatch(format!("the first bad revision is r{bad}: {detail}")));
    }
    if let Some(detail) = &report.detail {
        return Err(Failure::Mismatch(detail.clone()));
    }
    differing(&report.views)?;
    let Some(anchor) = report.anchors.iter().find(|anchor| !anchor.ok) else { return Ok(()) };
    Err(Failure::Anchor(match &anchor.found {
        Some(found) => format!(
            "today's chain does not pass through r{}:{}: that event's hash is {found} now, so the history up to it is another \
             one",
            anchor.revision, anchor.hash
        ),
        None => format!("the chain ends at r{}, before r{}:{}", report.to, anchor.revision, anchor.hash),
    }))
}

fn differing(views: &[json::ViewCheck]) -> Result<(), Failure> {
    let differ: Vec<_> = views.iter().filter(|view| !view.ok).map(|view| view.view.as_str()).collect();
    if differ.is_empty() {
        return Ok(());
    }
    Err(Failure::Mismatch(format!("not what the ledger says: {}", differ.join(", "))))
}

/// A line for each view.
fn views(views: &[json::ViewCheck], printer: &Printer) {
    for view in views {
        let line = |verdict: &str| format!("{} r{}: {verdict}  {}", view.view, view.revision, view.digest);
        match &view.detail {
            None if view.ok => printer.line(Style::new(), &line("ok")),
            None => printer.line(FAULT, &line("DIFFERS")),
            Some(detail) => printer.line(FAULT, &line(&format!("DIFFERS: {detail}"))),
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{msg:6} {bar:30} {pos}/{len} events {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, told: &json::CheckProgress) {
    bar.set_length(told.total);
    bar.set_position(told.done);
    bar.set_message(told.step.clone());
}
