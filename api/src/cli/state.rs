//! `status`, `rebuild`.

use anstyle::Style;
use conn3ction_schemas::json;
use reqwest::Method;

use super::{
    client::{Client, Failure},
    output::{Output, Printer, escape},
};
use crate::http::list::Row;

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Only this zone.
    pub(super) zone: Option<String>,
}

impl Status {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        if let Some(zone) = &self.zone {
            return super::zones::show(zone, client, printer).await;
        }
        let ready = client.ready().await?;
        // A node of this process began a moment ago: where its views would be is what is asked.
        let (head, wait) = if client.is_offline() { (Some(&*ready.head), Some("60s")) } else { (None, None) };
        let url = client.url(&["projections"], &[("min_revision", head), ("wait", wait)]);
        let views: Vec<json::ViewStatus> = match client.get(url).await {
            // Of the roles that only watch and answer.
            Err(Failure::Refused(problem)) if problem.status == 404 => ready.views.clone(),
            views => views?,
        };
        if printer.output == Output::Json {
            printer.json_lines(&[json::Ready { views, ..ready }]);
            return Ok(());
        }
        if printer.output != Output::Table {
            printer.rows(&views, json::ViewStatus::COLUMNS);
            return Ok(());
        }
        told(&ready, client.base(), printer);
        let mut lines = vec![["VIEW", "REVISION", "LAG", "STATE"].map(str::to_owned).to_vec()];
        lines.extend(views.iter().map(line));
        printer.table(&lines);
        Ok(())
    }
}

/// The server and its ledger, in lines of a name and what is said of it.
fn told(ready: &json::Ready, base: &str, printer: &Printer) {
    let dns = if ready.dns.is_empty() { "no DNS".to_owned() } else { format!("DNS at {}", ready.dns.join(", ")) };
    let pinned = ready.at.as_ref().map(|at| format!(" as of {at}")).unwrap_or_default();
    let json::Ready { version, role, ledger, head, .. } = ready;
    let fit = if ready.ready { "yes".to_owned() } else { format!("no: {}", ready.reasons.join("; ")) };
    for (name, said) in [
        ("server", format!("{base} conn3ction {version}, role {role}, {dns}{pinned}")),
        ("ledger", format!("{ledger}, head {head}")),
        ("ready", fit),
    ] {
        printer.line(Style::new(), &escape(&format!("{name:8}{said}")));
    }
}

/// A view as a line of the table.
fn line(view: &json::ViewStatus) -> Vec<String> {
    let lag = format!("{} {}", view.lag, if view.lag == 1 { "event" } else { "events" });
    let detail = view.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let not_shown = match view.not_shown_count {
        0 => String::new(),
        count => format!("; {count} not shown (GET /projections says which)"),
    };
    vec![view.view.clone(), format!("r{}", view.revision), lag, format!("{}{detail}{not_shown}", view.state)]
}

impl Row for json::ViewStatus {
    const COLUMNS: &[&str] = &["view", "revision", "lag", "state", "digest"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.view.clone(),
            self.revision.to_string(),
            self.lag.to_string(),
            self.state.clone(),
            self.digest.clone(),
        ]
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Rebuild {
    /// answers, records, mirror or zone-keys.
    view: String,
}

impl Rebuild {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let response =
            client.write(Method::POST, client.url(&["projections", &self.view, "rebuild"], &[]), None).await?;
        let view: json::ViewStatus = client.decode(response).await?;
        printer.rows(&[view], json::ViewStatus::COLUMNS);
        Ok(())
    }
}
