//! `lookup`: what the responder answers, and why.

use anstyle::Style;
use conn3ction_schemas::json;

use super::{
    client::{Client, Failure},
    output::{NOTE, Output, Printer, escape},
    records::dotted,
};

#[derive(Debug, clap::Args)]
pub(super) struct Lookup {
    /// The name.
    name: String,
    /// The record type.
    #[arg(default_value = "A", value_name = "TYPE")]
    rtype: String,
    /// Show the path that the answer took.
    #[arg(long)]
    trace: bool,
}

impl Lookup {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let query = [("name", Some(&*self.name)), ("type", Some(&*self.rtype)), ("at", client.global.at.as_deref())];
        let lookup: json::Lookup = client.get(client.url(&["lookup"], &query)).await?;
        if printer.output == Output::Json {
            printer.json_lines(&[lookup]);
            return Ok(());
        }
        let aa = if lookup.authoritative { ", authoritative" } else { "" };
        printer.note(&format!("{}{aa}, as of r{}", lookup.rcode, lookup.revision));
        for (title, section) in
            [("answer", &lookup.answer), ("authority", &lookup.authority), ("additional", &lookup.additional)]
        {
            for record in section {
                let from = record.event.as_ref().map(|event| {
                    let reason = event.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                    format!("  ; {title}, r{} {} {}{reason}", event.revision, event.time, event.actor)
                });
                for value in &record.values {
                    let line = format!("{} {} IN {} {value}", dotted(&record.name), record.ttl, record.rtype);
                    printer.line(Style::new(), &escape(&format!("{line}{}", from.as_deref().unwrap_or_default())));
                }
            }
        }
        if self.trace {
            lookup.trace.iter().for_each(|step| printer.line(NOTE, &escape(step)));
        }
        Ok(())
    }
}
