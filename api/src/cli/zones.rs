//! `zone`, `import`, `export`.

use std::io::IsTerminal;

use conn3ction_schemas::json;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, Response, Url, header::HeaderMap};

use super::{
    apply,
    client::{Client, Failure},
    output::{Printer, confirmed, is_asked},
    records::{as_of, dotted, name, sets, show_plan, written},
};
use crate::http::list::Row;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Zone {
    /// List zones.
    List,
    /// Show a zone.
    Show {
        /// Its apex.
        zone: String,
    },
    /// Create a zone with SOA and NS.
    Create {
        /// Its apex.
        #[arg(value_parser = name)]
        zone: String,
        /// A name server; repeat for more [default: localhost.].
        #[arg(long = "nameserver", value_name = "NAME")]
        nameservers: Vec<String>,
        /// The responsible person's mailbox, user@example.org or user.example.org.
        #[arg(long, value_name = "MAILBOX")]
        contact: Option<String>,
        /// The zone's default TTL in seconds.
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u32>,
    },
    /// Delete a zone with all its records.
    Delete {
        /// Its apex.
        zone: String,
    },
}

impl Zone {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        match self {
            Self::List => {
                let zones: Vec<json::ZoneJson> =
                    client.get(client.url(&["zones"], &[("at", client.global.at.as_deref())])).await?;
                printer.rows(&zones, &["name", "serial", "revision", "record_count"]);
                if zones.is_empty() {
                    printer.note(&format!("no zone is here{}", as_of(client)));
                }
                Ok(())
            }
            Self::Show { zone } => show(zone, client, printer).await,
            Self::Create { zone, nameservers, contact, ttl } => {
                let request = json::ZoneInput {
                    name: zone.clone(),
                    nameservers: (!nameservers.is_empty()).then(|| nameservers.clone()),
                    contact: contact.clone(),
                    ttl: *ttl,
                    reason: client.global.reason.clone(),
                    expected_revision: None,
                };
                let body = serde_json::to_vec(&request).map_err(|error| Failure::Usage(error.to_string()))?;
                let mut query = vec![];
                if client.global.dry_run {
                    query.push(("dry_run", Some("true")));
                }
                let response = client.write(Method::POST, client.url(&["zones"], &query), Some(body)).await?;
                if client.global.dry_run {
                    return written(client, printer, response).await;
                }
                let settled = client.settled(&response).await?;
                let zone: json::ZoneJson = client.decode(response).await?;
                printer.rows(&[zone], &["name", "serial", "revision", "record_count"]);
                settled.iter().for_each(|views| printer.note(views));
                Ok(())
            }
            Self::Delete { zone } => delete(zone, client, printer).await,
        }
    }
}

/// Looks first whether the zone is there and what goes with it; then deletes exactly that.
async fn delete(zone: &str, client: &Client, printer: &Printer) -> Result<(), Failure> {
    let dry_run = client.url(&["zones", zone], &[("dry_run", Some("true"))]);
    let response = client.write(Method::DELETE, dry_run, None).await?;
    let plan: json::Plan = client.decode(response).await?;
    if client.global.dry_run {
        show_plan(printer, &plan);
        return Ok(());
    }
    let question = format!("Delete {} with its {}?", dotted(zone), sets(plan.change_count));
    if !client.global.yes && !is_asked() {
        printer.note(&question);
    }
    if !confirmed(&question, client.global.yes)? {
        return Ok(());
    }
    apply::plan(client, printer, plan, None).await
}

/// One zone; people are also told its SOA times, and who transfers it.
pub(super) async fn show(apex: &str, client: &Client, printer: &Printer) -> Result<(), Failure> {
    let at = [("at", client.global.at.as_deref())];
    let zone: json::ZoneJson = client.get(client.url(&["zones", apex], &at)).await?;
    let zone = std::slice::from_ref(&zone);
    printer.rows(zone, json::ZoneJson::COLUMNS);
    if printer.for_programs() {
        return Ok(());
    }
    let of_zone = [("zone", Some(apex)), ("at", client.global.at.as_deref())];
    let soa: json::Record = client.get(client.url(&["records", apex, "SOA"], &of_zone)).await?;
    let fields: Vec<&str> = soa.values.iter().flat_map(|value| value.split(' ')).collect();
    if let [_, _, _, refresh, retry, expire, negative] = fields[..] {
        let negative = format!("absence kept {negative} s");
        printer
            .note(&format!("refresh {refresh} s, retry {retry} s, expire {expire} s, {negative}, TTL {} s", soa.ttl));
    }
    for json::Secondary { address, serial } in &zone[0].secondaries {
        let serial = serial.map_or_else(|| "was told nothing yet".to_owned(), |serial| format!("has serial {serial}"));
        printer.note(&format!("secondary {address} {serial}"));
    }
    Ok(())
}

impl Row for json::ZoneJson {
    const COLUMNS: &[&str] = &["name", "serial", "revision", "record_count", "signed_elsewhere"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.serial.to_string(),
            self.revision.to_string(),
            self.record_count.to_string(),
            self.signed_elsewhere.to_string(),
        ]
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The zone's apex.
    #[arg(value_parser = name)]
    zone: String,
    /// The master file, perhaps .gz; `-` is standard input. What `dig AXFR` prints is taken, too.
    file: String,
    /// merge: sets in the file replace their namesakes, nothing else goes; replace: the zone becomes the file.
    #[arg(long, default_value = "merge", value_parser = ["merge", "replace"])]
    mode: String,
}

impl Import {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let octets = read_octets(&self.file)?;
        let dry_run = client.global.dry_run.then_some("true");
        let url = client.url(&["zones", &self.zone, "import"], &[("mode", Some(&self.mode)), ("dry_run", dry_run)]);
        let response = send_file(client, &HeaderMap::new(), url, octets).await?;
        written(client, printer, response).await
    }
}

/// The octets of a file, or of standard input for `-`.
pub(super) fn read_octets(path: &str) -> Result<Vec<u8>, Failure> {
    let fault = |source| Failure::File { path: path.into(), source };
    if path != "-" {
        return std::fs::read(path).map_err(fault);
    }
    let mut octets = Vec::new();
    std::io::Read::read_to_end(&mut std::io::stdin(), &mut octets).map_err(fault)?;
    Ok(octets)
}

/// Sends a master file piece by piece, and shows how far it is.
pub(super) async fn send_file(
    client: &Client,
    headers: &HeaderMap,
    url: Url,
    octets: Vec<u8>,
) -> Result<Response, Failure> {
    let progress = progress(octets.len() as u64);
    let octets = bytes::Bytes::from(octets);
    let body = || {
        let (octets, sent) = (octets.clone(), progress.clone());
        sent.set_position(0);
        let chunks = (0..octets.len()).step_by(CHUNK).map(move |from| {
            let chunk = octets.slice(from..octets.len().min(from + CHUNK));
            sent.inc(chunk.len() as u64);
            if sent.position() == sent.length().unwrap_or_default() {
                sent.set_message("taking it in");
            }
            Ok::<_, std::io::Error>(chunk)
        });
        reqwest::Body::wrap_stream(futures::stream::iter(chunks))
    };
    let result = client.upload(headers, url, body).await;
    progress.finish_and_clear();
    result
}

/// Octets of a file that are sent at once.
const CHUNK: usize = 64 * 1024;

fn progress(octets: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(octets);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}
