//! `blame`: who put each value there.

use anstyle::Style;
use conn3ction_schemas::{Timestamp, json};

use super::{
    age::told,
    client::{Client, Failure},
    output::{NOTE, Printer, REMOVED, columns},
    records::dotted,
};
use crate::http::list::Row;

#[derive(Debug, clap::Args)]
pub(super) struct Blame {
    /// The owner name; sets that it has no more are shown, too, with who took them away.
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

impl Blame {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        if self.name.is_none() && self.zone.is_none() && self.under.is_none() {
            return Err(Failure::Usage("blame needs a NAME, --zone or --under".into()));
        }
        let query = [
            ("name", self.name.as_deref()),
            ("type", self.rtype.as_deref()),
            ("zone", self.zone.as_deref()),
            ("under", self.under.as_deref()),
            ("at", client.global.at.as_deref()),
        ];
        let rows: Vec<json::BlameRow> = client.get(client.url(&["blame"], &query)).await?;
        if printer.for_programs() {
            printer.rows(&rows, json::BlameRow::COLUMNS);
            return Ok(());
        }
        let now = Timestamp::now();
        let line = |row: &json::BlameRow| -> Vec<(Style, String)> {
            let [time, age] = told(&row.time, now);
            let plain = Style::new();
            let (style, value) = match &row.value {
                Some(value) => (plain, value.clone()),
                None => (REMOVED, "(taken away)".to_owned()),
            };
            let rtype = match &row.covers {
                Some(covers) => format!("{} {covers}", row.rtype),
                None => row.rtype.clone(),
            };
            vec![
                (NOTE, format!("r{}", row.revision)),
                (plain, time),
                (plain, age),
                (plain, row.actor.clone()),
                (plain, dotted(&row.name)),
                (plain, row.ttl.map_or_else(|| "-".to_owned(), |ttl| ttl.to_string())),
                (plain, rtype),
                (style, value),
                (plain, row.reason.clone().unwrap_or_default()),
            ]
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        columns(&lines).iter().for_each(|line| printer.line(Style::new(), line));
        Ok(())
    }
}
