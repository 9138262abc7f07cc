//! `export`: a zone as a master file, or the whole ledger as a directory.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anstyle::Style;
use conn3ction_ledger::{
    Head,
    export::{Copier, CopyError, MEDIA_TYPE},
    file::{FileLedger, OpenError},
};
use conn3ction_schemas::json;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;

use super::{
    client::{Client, Failure},
    output::{Output, Printer},
};
use crate::http::writing::chain;

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The zone's apex.
    #[arg(required_unless_present = "ledger")]
    zone: Option<String>,
    /// Instead of a zone, copy the whole ledger into this directory. A copy that is there already is gone on with. `--data DIR`
    /// reads and verifies it.
    #[arg(long, value_name = "DIR", conflicts_with = "zone")]
    ledger: Option<PathBuf>,
}

impl Export {
    /// Whether a copy of the ledger is wanted.
    pub(super) fn copies(&self) -> bool {
        self.ledger.is_some()
    }

    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        match (&self.ledger, &self.zone) {
            (Some(directory), _) => copy(directory, client, printer).await,
            (None, zone) => master_file(zone.as_deref().unwrap_or_default(), client, printer).await,
        }
    }
}

async fn master_file(zone: &str, client: &Client, printer: &Printer) -> Result<(), Failure> {
    if !matches!(printer.output, Output::Table | Output::Zone) {
        return Err(Failure::Usage("export prints a master file; `get --zone` prints other forms".into()));
    }
    let url = client.url(&["zones", zone, "zonefile"], &[("at", client.global.at.as_deref())]);
    let mut response = client.open(url, "text/dns").await?;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => printer.raw(&chunk),
            Ok(None) => return Ok(()),
            Err(error) => return Err(Failure::Unreachable(format!("the export broke off: {error}"))),
        }
    }
}

async fn copy(directory: &Path, client: &Client, printer: &Printer) -> Result<(), Failure> {
    if client.global.at.is_some() {
        return Err(Failure::Usage("a copy of the ledger has every event; --at is for a zone".into()));
    }
    if !matches!(printer.output, Output::Table | Output::Json) {
        return Err(Failure::Usage(
            "export --ledger prints what it copied as a line or, with --json, as an object".into(),
        ));
    }
    let ledger = open(directory).await?;
    let mut copier = Copier::at_end_of(&ledger).await.map_err(failure)?;
    let (after, begun) = (copier.after().to_string(), copier.head().revision);
    let response = client.open(client.url(&["ledger"], &[("after", Some(&after))]), MEDIA_TYPE).await;
    let response = response.map_err(|error| match error {
        Failure::Refused(problem) if problem.status == 422 => Failure::Mismatch(format!(
            "{} has events up to {begun}, which this server does not have: {}",
            directory.display(),
            problem.detail
        )),
        error => error,
    })?;
    let broken = fill(&mut copier, response).await;
    // What came whole stays, also where the rest broke off.
    let ended = copier.finish().await.map_err(failure);
    let head = match broken {
        Ok(()) => ended?,
        Err(failure) => return Err(failure),
    };
    report(directory, begun.0, &head, printer);
    Ok(())
}

/// Opens the copy; what is no ledger is left alone.
async fn open(directory: &Path) -> Result<FileLedger, Failure> {
    let file = |source| Failure::File { path: directory.display().to_string(), source };
    let ledger = directory.join("ledger");
    if !ledger.is_dir() {
        std::fs::create_dir_all(directory).map_err(file)?;
        if std::fs::read_dir(directory).map_err(file)?.next().is_some() {
            return Err(Failure::Usage(format!(
                "{} holds other files and no ledger; name an empty or a new directory",
                directory.display()
            )));
        }
        std::fs::create_dir(&ledger).map_err(file)?;
    }
    let opened = tokio::task::spawn_blocking(move || FileLedger::open(&ledger)).await;
    opened.map_err(|error| Failure::Serve(error.into()))?.map_err(|error| match error {
        OpenError::Damaged { revision, segment, detail } => {
            Failure::Mismatch(format!("the copy is damaged at {revision}, in {segment}: {detail}"))
        }
        error => Failure::Serve(error.into()),
    })
}

/// Takes in what comes, and shows how far it is.
async fn fill(copier: &mut Copier<'_>, mut response: Response) -> Result<(), Failure> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("copied {bar:30} {pos}/{len} events {elapsed}") {
        bar.set_style(style);
    }
    let head = response.headers().get("conn3ction-revision").and_then(|token| token.to_str().ok());
    if let Some(head) = head.and_then(|token| token.rsplit_once(':')?.1.parse().ok()) {
        bar.set_length(head);
    }
    loop {
        let piece = response.chunk().await;
        match piece.map_err(|error| Failure::Unreachable(format!("the export broke off: {}", chain(&error))))? {
            Some(piece) => copier.take(&piece).await.map_err(failure)?,
            None => break,
        }
        bar.set_position(copier.head().revision.0);
    }
    bar.finish_and_clear();
    Ok(())
}

fn report(directory: &Path, begun: u64, head: &Head, printer: &Printer) {
    let copy = json::LedgerCopy {
        directory: directory.display().to_string(),
        events: head.revision.0 - begun,
        to: head.revision.0,
        hash: head.hash.to_string(),
    };
    if printer.for_programs() {
        return printer.json_lines(&[copy]);
    }
    let json::LedgerCopy { directory, events, to, hash } = copy;
    printer.line(
        Style::new(),
        &match events {
            0 => format!("nothing new; {directory} ends with r{to}: {hash}"),
            _ => format!("copied r{} to r{to} into {directory}: {hash}", begun + 1),
        },
    );
}

fn failure(error: CopyError) -> Failure {
    let text = chain(&error);
    match error {
        CopyError::Another { .. } | CopyError::Damaged(_) => Failure::Mismatch(text),
        CopyError::Form { .. } | CopyError::BrokenOff { .. } => Failure::Unreachable(text),
        CopyError::Read(_) | CopyError::Append(_) => Failure::Serve(anyhow::anyhow!(text)),
    }
}
