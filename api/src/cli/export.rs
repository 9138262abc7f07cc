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
use conn3ction_schemas::{Revision, Token, event::FormError, json};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;

use super::{
    client::{Client, Failure},
    output::{Output, Printer},
};
use crate::http::{problem::ProblemKind, writing::chain};

#[derive(Debug, clap::Args)]
#[command(override_usage = "conn3ction export [OPTIONS] <ZONE>\n       conn3ction export [OPTIONS] --ledger <DIR>")]
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
    let existing = if directory.join("ledger").is_dir() { Some(open(directory).await?) } else { None };
    let after = match &existing {
        Some(ledger) => Copier::at_end_of(ledger).await.map_err(failure)?.after(),
        None => {
            ensure_free(directory)?;
            Revision::ZERO
        }
    };
    let url = client.url(&["ledger"], &[("after", Some(&after.to_string()))]);
    let response = client.open(url, MEDIA_TYPE).await.map_err(|error| match error {
        Failure::Refused(problem) if problem.kind.ends_with(ProblemKind::MomentNotYet.slug()) => {
            Failure::Mismatch(format!("{} is ahead of this server: {}", directory.display(), problem.detail))
        }
        error => error,
    })?;
    // Nothing is made before there is something to put into it.
    let ledger = match existing {
        Some(ledger) => ledger,
        None => open(directory).await?,
    };
    let mut copier = Copier::at_end_of(&ledger).await.map_err(failure)?;
    let begun = copier.head().revision;
    let filled = fill(&mut copier, response, client).await;
    // What came whole stays, also where the rest broke off.
    let ended = copier.finish().await;
    let head = match (filled, ended) {
        (Ok(()), ended) => ended.map_err(failure)?,
        (Err(Failure::Unreachable(text)), Err(CopyError::BrokenOff { after })) => {
            let text = format!("{text}; the copy ends with {after}, and the same command goes on from there");
            return Err(Failure::Unreachable(text));
        }
        (Err(failure), _) => return Err(failure),
    };
    report(directory, begun.0, &head, printer);
    Ok(())
}

/// What is no ledger is left alone.
fn ensure_free(directory: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(directory).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(Failure::Usage(format!(
            "{} holds other files and no ledger; name an empty or a new directory",
            directory.display()
        ))),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Failure::File { path: directory.display().to_string(), source }),
    }
}

/// Opens the copy, or begins one.
async fn open(directory: &Path) -> Result<FileLedger, Failure> {
    let ledger = directory.join("ledger");
    let opened = tokio::task::spawn_blocking(move || FileLedger::open(&ledger)).await;
    opened.map_err(|error| Failure::Serve(error.into()))?.map_err(|error| match error {
        OpenError::Damaged { revision, segment, detail } => {
            Failure::Mismatch(format!("the copy is damaged at {revision}, in {segment}: {detail}"))
        }
        error => Failure::Serve(error.into()),
    })
}

/// Takes in what comes, and shows how far it is.
async fn fill(copier: &mut Copier<'_>, mut response: Response, client: &Client) -> Result<(), Failure> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("copied {bar:30} {pos}/{len} events {elapsed}") {
        bar.set_style(style);
    }
    let head = response.headers().get("conn3ction-revision").and_then(|token| token.to_str().ok());
    if let Some(Token { revision, .. }) = head.and_then(|token| token.parse().ok()) {
        bar.set_length(revision.0);
    }
    let filled = async {
        loop {
            let piece = client.begun(response.chunk()).await?;
            match piece.map_err(|error| Failure::Unreachable(format!("the export broke off: {}", chain(&error))))? {
                Some(piece) => copier.take(&piece).await.map_err(failure)?,
                None => return Ok(()),
            }
            bar.set_position(copier.head().revision.0);
        }
    };
    let filled = filled.await;
    bar.finish_and_clear();
    filled
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
        CopyError::Another { .. }
        | CopyError::Ahead { .. }
        | CopyError::Closed { .. }
        | CopyError::Original { .. }
        | CopyError::Damaged(_) => Failure::Mismatch(text),
        CopyError::Form { source: FormError::Malformed(_), .. } | CopyError::BrokenOff { .. } => {
            Failure::Unreachable(text)
        }
        CopyError::Form { source: FormError::Newer(_), .. } | CopyError::Read(_) | CopyError::Append(_) => {
            Failure::Serve(anyhow::anyhow!(text))
        }
    }
}
