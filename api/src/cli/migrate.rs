//! `migrate`: takes over what an older service or a plain CoreDNS keeps in etcd.

use std::{collections::BTreeSet, path::PathBuf};

use anstyle::Style;
use conn3ction_ledger::etcd::{
    Client as Etcd, ClientConfig, Password,
    etcd_client::{GetOptions, KeyValue},
};
use conn3ction_schemas::{Name, json};
use reqwest::StatusCode;

use super::{
    client::{Client, Failure},
    output::{ADDED, Printer, confirmed, escape},
};
use crate::{
    decide::{
        Place,
        command::{Change, Values, Which},
    },
    migrate::{self, Migration},
};

/// Keys that are read at once.
const PAGE: i64 = 1_000;
/// Record sets in one event.
const SETS: usize = 2_000;

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
        show(&migration, &existing, printer);
        let sets: usize = migration.zones.values().map(Vec::len).sum();
        if client.global.dry_run || sets == 0 {
            return left(&migration);
        }
        if !confirmed(&format!("Take over {sets} record sets?"), client.global.yes)? {
            return Ok(());
        }
        let source = format!("migrate:{}", self.from);
        let reason = client.global.reason.clone();
        let reason = reason.unwrap_or_else(|| format!("taken over from {} at etcd revision {revision}", self.from));
        for (zone, changes) in &migration.zones {
            if !existing.contains(zone) {
                let (name, reason) = (zone.to_string(), Some(reason.clone()));
                let (nameservers, contact, ttl, expected_revision) = (None, None, None, None);
                let input = json::ZoneInput { name, nameservers, contact, ttl, reason, expected_revision };
                client.take_over(client.url(&["zones"], &[]), &source, &input).await?;
            }
            for part in changes.chunks(SETS) {
                put(client, printer, (zone, part), &source, &reason).await?;
            }
        }
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

/// One event of some of a zone's sets.
async fn put(
    client: &Client,
    printer: &Printer,
    (zone, changes): (&Name, &[Change]),
    source: &str,
    reason: &str,
) -> Result<(), Failure> {
    let (reason, inputs) = (Some(reason.to_owned()), changes.iter().map(input).collect());
    let set = json::ChangeSet { reason, expected_revision: None, changes: inputs };
    let response = client.take_over(client.url(&["changes"], &[]), source, &set).await.map_err(|failure| {
        let Failure::Refused(mut problem) = failure else { return failure };
        // The server counts changes; the keys are what people can look at.
        for error in &mut problem.errors {
            let place = error.pointer.as_deref().and_then(|pointer| pointer.split('/').nth(2)?.parse::<usize>().ok());
            if let Some(change) = place.and_then(|place| changes.get(place)) {
                error.detail = format!("{}: {}", change.pointer, error.detail);
            }
        }
        Failure::Refused(problem)
    })?;
    let is_new = response.status() == StatusCode::CREATED;
    let settled = client.settled(&response).await?;
    let event: json::EventJson = client.decode(response).await?;
    let done = if is_new { "taken over" } else { "there already" };
    let views = settled.map(|views| format!("; {views}")).unwrap_or_default();
    let (name, sets, revision) = (zone.without_dot(), changes.len(), event.revision);
    printer.line(Style::new(), &escape(&format!("r{revision} {name}: {sets} record sets {done}{views}")));
    Ok(())
}

fn input(change: &Change) -> json::ChangeInput {
    let (rtype, covers) = match change.which {
        Which::Type(rtype, covers) => (Some(rtype), covers),
        Which::Every | Which::Only => (None, None),
    };
    let values = match (&change.values, rtype) {
        (Values::Parsed(values), Some(rtype)) => values.iter().map(|value| value.to_text(rtype)).collect(),
        _ => Vec::new(),
    };
    json::ChangeInput {
        op: json::Op::Set,
        name: change.owner.to_string(),
        rtype: rtype.map(|rtype| rtype.to_string()),
        values: Some(values),
        ttl: change.ttl.map(|ttl| ttl.as_secs()),
        zone: change.zone.as_ref().map(ToString::to_string),
        covers: covers.map(|covers| covers.to_string()),
    }
}

fn show(migration: &Migration, existing: &BTreeSet<Name>, printer: &Printer) {
    for (zone, changes) in &migration.zones {
        let new = if existing.contains(zone) { "" } else { ", a new zone" };
        printer.line(Style::new(), &escape(&format!("{}: {} record sets{new}", zone.without_dot(), changes.len())));
        for change in changes {
            let input = input(change);
            let ttl = input.ttl.map(|ttl| format!(" {ttl}")).unwrap_or_default();
            let (rtype, values) = (input.rtype.unwrap_or_default(), input.values.unwrap_or_default().join(", "));
            printer.line(ADDED, &escape(&format!("+ {}{ttl} {rtype} {values}", input.name)));
        }
    }
    migration.notes.iter().for_each(|(key, note)| printer.note(&format!("{key}: {note}")));
}

/// What was not taken is said last, and by the exit code.
fn left(migration: &Migration) -> Result<(), Failure> {
    if migration.left.is_empty() {
        return Ok(());
    }
    let lines = migration.left.iter().map(|item| {
        let (Place::Key(place) | Place::Pointer(place)) = &item.place else { return format!("\n  {}", item.detail) };
        format!("\n  {}: {}", escape(place), escape(&item.detail))
    });
    let lines: Vec<_> = lines.collect();
    Err(Failure::Left(format!("{} keys hold what cannot be taken over:{}", lines.len(), lines.concat())))
}
