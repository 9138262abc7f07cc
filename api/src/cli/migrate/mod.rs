//! `migrate`: takes over what an older service or a plain CoreDNS keeps in etcd.

mod plans;

use std::{collections::BTreeSet, path::PathBuf};

use anstyle::Style;
use conn3ction_ledger::etcd::{
    Client as Etcd, ClientConfig, Password,
    etcd_client::{GetOptions, KeyValue},
};
use conn3ction_schemas::{Name, json};
use reqwest::header::{HeaderMap, HeaderName};

use self::plans::{Part, Plans};
use super::{
    apply,
    client::{Client, Failure},
    output::{Printer, agreed, escape},
    records::{sets, show_changes, unchanged, warn},
};
use crate::{
    decide::{BadItem, Place},
    migrate::{self, Migration},
};

/// The header that says where what is written was taken from.
const SOURCE: HeaderName = HeaderName::from_static("conn3ction-source");

/// Keys that are read at once.
const PAGE: i64 = 1_000;

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// The prefix of the old keys. They are only read.
    #[arg(long, value_name = "PREFIX")]
    from: String,
    /// records: JSON records under their names; skydns: what CoreDNS's etcd plugin reads.
    #[arg(long, default_value = "records")]
    format: Format,
    /// A zone that takes in the old names below it, made if it is not there; repeat for more. A name in none of them, nor
    /// in a zone of the server, goes to a new zone of its last two labels.
    #[arg(long, value_name = "ZONE")]
    zone: Vec<String>,
    /// The etcd that holds them.
    #[arg(
        long,
        env = "ETCD_ENDPOINTS",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379"
    )]
    etcd_endpoints: Vec<String>,
    /// User for etcd.
    #[arg(long, env = "ETCD_USERNAME", value_name = "USER", requires = "etcd_password_file")]
    etcd_username: Option<String>,
    /// File with that user's password.
    #[arg(long, env = "ETCD_PASSWORD_FILE", value_name = "FILE")]
    etcd_password_file: Option<PathBuf>,
    /// PEM file of the authority that signed etcd's certificate.
    #[arg(long, env = "ETCD_CA", value_name = "FILE")]
    etcd_ca: Option<PathBuf>,
    /// PEM file of our certificate for etcd.
    #[arg(long, env = "ETCD_CERT", value_name = "FILE", requires = "etcd_key")]
    etcd_cert: Option<PathBuf>,
    /// PEM file of the key of that certificate.
    #[arg(long, env = "ETCD_KEY", value_name = "FILE")]
    etcd_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Records,
    Skydns,
}

impl Migrate {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let (entries, revision) = self.read().await?;
        let existing: Vec<json::ZoneJson> = client.get(client.url(&["zones"], &[])).await?;
        let parsed = |text: &String| text.parse::<Name>().map_err(|error| Failure::Usage(format!("{text}: {error}")));
        let existing = existing.iter().map(|zone| parsed(&zone.name)).collect::<Result<BTreeSet<_>, _>>()?;
        let mut zones = self.zone.iter().map(parsed).collect::<Result<BTreeSet<_>, _>>()?;
        zones.extend(existing.iter().cloned());
        let zone_of = |name: &Name| {
            let mut above = std::iter::successors(Some(name.clone()), Name::parent);
            above.find(|name| zones.contains(name))
        };
        let format = match self.format {
            Format::Records => migrate::Format::Records,
            Format::Skydns => migrate::Format::Skydns,
        };
        let pairs = entries.iter().map(|entry| (entry.key(), entry.value()));
        let migration = migrate::plan(format, &self.from, pairs, zone_of);
        printer.note(&format!("{} keys below {} at etcd revision {revision}", entries.len(), self.from));
        migration.notes.iter().for_each(|(key, note)| printer.note(&format!("{key}: {note}")));
        let reason = client.global.reason.clone();
        let reason = reason.unwrap_or_else(|| format!("taken over from {} at etcd revision {revision}", self.from));
        let mut headers = HeaderMap::new();
        for (name, value) in [(SOURCE, format!("migrate:{}", self.from)), (apply::REASON, reason)] {
            headers.insert(name.clone(), apply::sendable(&name, &value)?);
        }
        let Plans { parts, refused } = Plans::ask(client, &headers, &migration, &existing).await?;
        if let Some(problem) = refused {
            not_taken(&migration).iter().for_each(|line| printer.note(line));
            return Err(Failure::Refused(Box::new(problem)));
        }
        take_over(client, printer, &headers, parts).await?;
        left(&migration)
    }

    /// All keys below the prefix as they stood at one etcd revision.
    async fn read(&self) -> Result<(Vec<KeyValue>, i64), Failure> {
        let fault = |error: &dyn std::error::Error| Failure::Unreachable(crate::http::writing::chain(error));
        let file = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| Failure::File { path: path.display().to_string(), source })
        };
        let password = self.etcd_password_file.as_ref().map(file).transpose()?;
        let password = password.map(|text| Password::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        let config = ClientConfig {
            endpoints: self.etcd_endpoints.clone(),
            user: self.etcd_username.clone().zip(password),
            ca: self.etcd_ca.clone(),
            identity: self.etcd_cert.clone().zip(self.etcd_key.clone()),
            ..ClientConfig::default()
        };
        // The old service's merged version glued prefix and name without a slash: those keys begin with it, too.
        let prefix = self.from.trim_end_matches('/').as_bytes();
        let Some((last, before)) = prefix.split_last() else {
            return Err(Failure::Usage("--from needs a prefix: the whole of etcd is not read".into()));
        };
        let end = [before, &[last + 1]].concat();
        let etcd = Etcd::new(config).await.map_err(|error| fault(&error))?;
        let (mut entries, mut from, mut revision) = (Vec::new(), prefix.to_vec(), 0);
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE).with_revision(revision);
            let mut page = etcd.get(from, Some(options)).await.map_err(|error| fault(&error))?;
            if revision == 0 {
                revision = page.header().map_or(0, |header| header.revision());
            }
            let more = page.more();
            entries.extend(page.take_kvs());
            match entries.last() {
                Some(last) if more => from = [last.key(), &[0]].concat(),
                _ => return Ok((entries, revision)),
            }
        }
    }
}

/// Shows the plans, asks, and does exactly them.
async fn take_over(
    client: &Client,
    printer: &Printer,
    headers: &HeaderMap,
    parts: Vec<Part<'_>>,
) -> Result<(), Failure> {
    let is_due = parts.iter().any(Part::is_due);
    let due = || parts.iter().filter(|part| part.is_due());
    let plans: Vec<&json::Plan> = due().map(|part| &part.plan).collect();
    if client.global.dry_run && printer.for_programs() && is_due {
        printer.json_lines(&plans);
        return Ok(());
    }
    // Programs get the events; who runs them sees the plan all the same.
    let people = printer.aside();
    show(&people, &parts);
    if !is_due {
        let Some(first) = parts.first() else { return Ok(()) };
        let count = parts.iter().map(|part| part.sets).sum();
        unchanged(printer, &first.plan, &format!("nothing to do: {} here as in etcd", are(count)));
        return Ok(());
    }
    let summary = summary(&parts);
    if client.global.dry_run {
        printer.note(&format!("{summary}. Nothing was done."));
        return Ok(());
    }
    if !agreed(printer, &summary, "Take over exactly this?", client.global.yes, &plans)? {
        return Ok(());
    }
    for part in parts.into_iter().filter(Part::is_due) {
        let (zone, taken) = (part.zone.without_dot(), part.taken());
        let response = apply::send(client, headers.clone(), part.plan, |_| Ok(part.file.unwrap_or_default())).await?;
        let settled = client.settled(&response).await?;
        let views = settled.map(|views| format!("; {views}")).unwrap_or_default();
        let Some(event) = client.event(response).await else {
            printer.note(&format!("{zone}: {} taken over{views}", sets(taken)));
            continue;
        };
        if printer.for_programs() {
            printer.json_lines(&[&event]);
        }
        let line = format!("r{} {zone}: {} taken over{views}", event.revision, sets(taken));
        people.line(Style::new(), &escape(&line));
    }
    Ok(())
}

/// What would change, zone by zone; what is here already is counted.
fn show(people: &Printer, parts: &[Part<'_>]) {
    for parts in parts.chunk_by(|a, b| a.zone == b.zone) {
        let (zone, count) = (parts[0].zone.without_dot(), parts.iter().map(|part| part.sets).sum());
        let new = if parts[0].is_new() { ", a new zone" } else { "" };
        let same = count - parts.iter().map(Part::taken).sum::<u64>();
        let same = if same > 0 { format!(", {same} unchanged") } else { String::new() };
        people.line(Style::new(), &escape(&format!("{zone}: {}{new}{same}", sets(count))));
        for Part { plan, .. } in parts {
            show_changes(people, &plan.changes, plan.change_count);
            warn(people, &plan.warnings);
        }
    }
}

/// `4 created, 1 replaced, 30 unchanged; old answers stay cached up to 300 s`.
fn summary(parts: &[Part<'_>]) -> String {
    let (mut created, mut replaced, mut same, mut cached) = (0, 0, 0, 0);
    for part in parts {
        created += part.plan.summary.created;
        replaced += part.plan.summary.replaced;
        same += part.sets - part.taken();
        cached = cached.max(part.plan.cache_seconds);
    }
    format!("{created} created, {replaced} replaced, {same} unchanged; old answers stay cached up to {cached} s")
}

/// `1 record set is`, `5 record sets are`.
fn are(count: u64) -> String {
    format!("{} {}", sets(count), if count == 1 { "is" } else { "are" })
}

/// The keys that hold what cannot be taken, each with its fault.
fn not_taken(migration: &Migration) -> Vec<String> {
    let line = |item: &BadItem| match &item.place {
        Place::Key(place) | Place::Pointer(place) => format!("{place}: {}", item.detail),
        Place::Line { .. } => item.detail.clone(),
    };
    migration.left.iter().map(line).collect()
}

/// What was not taken is said last, and by the exit code.
fn left(migration: &Migration) -> Result<(), Failure> {
    let lines: String = not_taken(migration).iter().map(|line| format!("\n  {}", escape(line))).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(Failure::Left(format!("{} keys hold what cannot be taken over:{lines}", migration.left.len())))
}
