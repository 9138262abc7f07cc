//! `lookup`: what the responder answers, and why.

use anstyle::Style;
use conn3ction_schemas::{Timestamp, json};

use super::{
    age::told,
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
        printer.note(&verdict(&lookup));
        if lookup.rcode == "REFUSED" && !self.trace {
            // Why no zone answers is all there is to say.
            lookup.trace.iter().for_each(|step| printer.note(step));
        }
        let now = Timestamp::now();
        for (title, section) in
            [("answer", &lookup.answer), ("authority", &lookup.authority), ("additional", &lookup.additional)]
        {
            for record in section {
                let from = record.event.as_ref().map(|event| format!("  ; {title}, {}", noted(event, now)));
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

/// What came of the question, since when if that is nothing, and of which moment.
fn verdict(lookup: &json::Lookup) -> String {
    let is_empty = lookup.rcode == "NOERROR" && lookup.authoritative && lookup.answer.is_empty();
    let data = if is_empty { ", no data" } else { "" };
    let aa = if lookup.authoritative { ", authoritative" } else { "" };
    let since = lookup.since.as_ref().map(|event| format!(" since {}", noted(event, Timestamp::now())));
    let answered = format!("r{}", lookup.revision);
    let moment = match &lookup.moment {
        Some(moment) if *moment != answered && lookup.revision > 0 => format!("{moment} ({answered})"),
        Some(moment) => moment.clone(),
        None => answered,
    };
    format!("{}{data}{aa}, as of {moment}{}", lookup.rcode, since.map(|since| format!(";{since}")).unwrap_or_default())
}

/// Which event, when, who and why.
fn noted(event: &json::EventNote, now: Timestamp) -> String {
    let [time, _] = told(&event.time, now);
    let reason = event.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("r{} {time} {}{reason}", event.revision, event.actor)
}

/// Why nothing was found of a name: in no zone, or gone since an event. Nothing if the server has no more to say.
pub(super) async fn why_absent(client: &Client, name: &str, rtype: Option<&str>) -> Option<String> {
    let query = [("name", Some(name)), ("type", rtype), ("at", client.global.at.as_deref())];
    let lookup: json::Lookup = client.get(client.url(&["lookup"], &query)).await.ok()?;
    if lookup.rcode == "REFUSED" {
        return lookup.trace.into_iter().next();
    }
    let since = lookup.since?;
    let what = if lookup.rcode == "NXDOMAIN" { "the name does not exist" } else { "it has been so" };
    Some(format!("{what} since {}", noted(&since, Timestamp::now())))
}
