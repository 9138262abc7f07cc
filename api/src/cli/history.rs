//! `history` and `diff`: what changed at a name, and between two moments.

use anstyle::Style;
use conn3ction_schemas::{Timestamp, When, json};

use super::{
    age::told,
    client::{Client, Failure},
    output::{NOTE, Output, Printer, columns},
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

#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The moment to compare with: r1041, a time, an age.
    from: String,
    /// The moment to compare [default: now].
    to: Option<String>,
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
        let [to, name, rtype] = operands(self.to.as_deref(), self.name.as_deref(), self.rtype.as_deref())?;
        let query = [
            ("from", Some(&*self.from)),
            ("to", to),
            ("name", name),
            ("type", rtype),
            ("zone", self.zone.as_deref()),
            ("under", self.under.as_deref()),
        ];
        let url = client.url(&["diff"], &query);
        // As it comes: of two moments far apart it may be more than fits.
        let (mut lines, mut count) = (client.lines(url).await?, 0);
        while let Some(change) = lines.next::<json::ChangeJson>().await? {
            match printer.output {
                Output::Json => printer.json_lines(&[change]),
                Output::Csv => printer.csv(&[change], count == 0),
                Output::Table | Output::Wide | Output::Zone => show_changes(printer, &[change], 1),
            }
            count += 1;
        }
        match printer.output {
            Output::Csv if count == 0 => printer.csv::<json::ChangeJson>(&[], true),
            Output::Table | Output::Wide | Output::Zone if count == 0 => printer.line(Style::new(), "no difference"),
            Output::Json | Output::Csv | Output::Table | Output::Wide | Output::Zone => {}
        }
        if self.exit_code && count > 0 {
            let differ = if count == 1 { "record set differs" } else { "record sets differ" };
            return Err(Failure::Left(format!("{count} {differ}")));
        }
        Ok(())
    }
}

/// `TO` may be left out before `NAME`: a word that is no moment and has a dot is a name.
fn operands<'a>(
    to: Option<&'a str>,
    name: Option<&'a str>,
    rtype: Option<&'a str>,
) -> Result<[Option<&'a str>; 3], Failure> {
    match to {
        Some(word) if rtype.is_none() && word.parse::<When>().is_err() => {
            if !word.contains('.') {
                let forms = "write r1041, 2026-11-22T10:15:00Z, 40m, 2h, 3d or now; a name has a dot, as in `com.`";
                return Err(Failure::Usage(format!("{word:?} is neither a moment nor a name: {forms}")));
            }
            Ok([Some("now"), Some(word), name])
        }
        _ => Ok([to.or(Some("now")), name, rtype]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_moment_may_be_left_out_before_a_name() {
        let now = Some("now");
        for (words, expected) in [
            ([None, None, None], [now, None, None]),
            ([Some("2h"), None, None], [Some("2h"), None, None]),
            ([Some("www.example."), None, None], [now, Some("www.example."), None]),
            ([Some("www.example."), Some("A"), None], [now, Some("www.example."), Some("A")]),
            ([Some("r7"), Some("www.example."), Some("A")], [Some("r7"), Some("www.example."), Some("A")]),
        ] {
            assert_eq!(operands(words[0], words[1], words[2]).expect("understood"), expected);
        }
        for word in ["yesterday", "2026-11-23", "2hh", "5"] {
            assert!(operands(Some(word), None, None).is_err(), "{word}");
        }
    }
}
