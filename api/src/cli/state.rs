//! `status`, `rebuild`.

use conn3ction_schemas::json;
use reqwest::Method;

use super::{
    client::{Client, Failure},
    output::Printer,
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
            let zone: json::ZoneJson =
                client.get(client.url(&["zones", zone], &[("at", client.global.at.as_deref())])).await?;
            printer.rows(&[zone], json::ZoneJson::COLUMNS);
            return Ok(());
        }
        let views: Vec<json::ViewStatus> = client.get(client.url(&["projections"], &[])).await?;
        printer.rows(&views, &["view", "revision", "lag", "state"]);
        Ok(())
    }
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
