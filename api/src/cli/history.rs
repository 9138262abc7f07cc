//! `history`: every version of a name.

use anstyle::Style;
use conn3ction_schemas::{Timestamp, json};

use super::{
    age::told,
    client::{Client, Failure},
    output::{NOTE, Printer, columns},
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
        let now = Timestamp::now();
        let line = |entry: &json::HistoryEntry| -> Vec<(Style, String)> {
            let (plain, [time, age]) = (Style::new(), told(&entry.time, now));
            let reason = entry.reason.clone().unwrap_or_default();
            let revision = (NOTE, format!("r{}", entry.revision));
            vec![revision, (plain, time), (plain, age), (plain, entry.actor.clone()), (plain, reason)]
        };
        let lines = columns(&entries.iter().map(line).collect::<Vec<_>>());
        let mut shown = None;
        for (entry, line) in entries.into_iter().zip(lines) {
            if shown.replace(entry.revision) != Some(entry.revision) {
                printer.line(Style::new(), &line);
            }
            let json::HistoryEntry { zone, name, rtype, covers, before, after, .. } = entry;
            show_changes(printer, &[json::ChangeJson { zone, name, rtype, covers, before, after }], 1);
        }
        Ok(())
    }
}
