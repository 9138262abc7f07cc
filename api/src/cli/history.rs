//! `history` and `diff`: what changed at a name, and between two moments.

use anstyle::Style;
use conn3ction_schemas::json;

use super::{
    client::{Client, Failure},
    output::{NOTE, Printer, escape},
    records::show_changes,
};
use crate::http::list::Row;

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// The owner name.
    name: String,
    /// Only this type.
    rtype: Option<String>,
}

impl History {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let query = [("type", self.rtype.as_deref()), ("at", client.global.at.as_deref())];
        let entries: Vec<json::HistoryEntry> =
            client.get(client.url(&["records", &self.name, "history"], &query)).await?;
        if printer.for_programs() {
            printer.rows(&entries, json::HistoryEntry::COLUMNS);
            return Ok(());
        }
        for entry in entries {
            let reason = entry.reason.as_deref().unwrap_or(&entry.kind);
            printer.line(NOTE, &escape(&format!("r{}  {}  {}  {reason}", entry.revision, entry.time, entry.actor)));
            let json::HistoryEntry { zone, name, rtype, covers, before, after, .. } = entry;
            show_changes(printer, &[json::ChangeJson { zone, name, rtype, covers, before, after }], 1);
        }
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The moment to compare with: r1041, a time, an age.
    from: String,
    /// The moment to compare.
    #[arg(default_value = "now")]
    to: String,
    /// Only this owner.
    name: Option<String>,
    /// Only this type.
    rtype: Option<String>,
    /// Only this zone.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME")]
    under: Option<String>,
    /// End with 1 if there is a difference.
    #[arg(long)]
    exit_code: bool,
}

impl Diff {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let query = [
            ("from", Some(&*self.from)),
            ("to", Some(&*self.to)),
            ("name", self.name.as_deref()),
            ("type", self.rtype.as_deref()),
            ("zone", self.zone.as_deref()),
            ("under", self.under.as_deref()),
        ];
        let changes: Vec<json::ChangeJson> = client.get(client.url(&["diff"], &query)).await?;
        if printer.for_programs() {
            printer.rows(&changes, json::ChangeJson::COLUMNS);
        } else if changes.is_empty() {
            printer.line(Style::new(), "no difference");
        } else {
            show_changes(printer, &changes, changes.len() as u64);
        }
        if self.exit_code && !changes.is_empty() {
            return Err(Failure::Left(format!("{} record sets differ", changes.len())));
        }
        Ok(())
    }
}
