//! `conn3ction import-history`: a team's git repository or folder of dated zone files becomes history.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IsTerminal},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use conn3ction_schemas::Name;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    client::{Client, Failure},
    output::Printer,
};
use crate::past::{
    Blobs, Version, dated, git,
    origins::{Followed, Origins},
    tree::{Note, Tree},
    wire::{Taken, VersionInput},
};

/// Lines that wait for the server.
const WAITING: usize = 64;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct ImportHistory {
    /// A git repository (its first-parent line is read), or a folder of zone files with dates in their names.
    path: PathBuf,
    /// The only zone; without --file, every file whose SOA is this zone's.
    #[arg(long, value_name = "ZONE", conflicts_with = "zones")]
    zone: Option<String>,
    /// The zone's file, by a name that it has or had; in a folder of dated files the name without the date.
    #[arg(long, value_name = "PATH", requires = "zone")]
    file: Option<String>,
    /// A file of lines `GLOB ORIGIN` that says which files hold which zones; the last match wins, `-` is no zone,
    /// `*` stands for anything.
    /// Without it, $ORIGIN, the SOA or the file's name tells.
    #[arg(long, value_name = "MAPFILE")]
    zones: Option<PathBuf>,
    /// Stop before anything is imported if a version cannot be read whole, instead of leaving it out.
    #[arg(long)]
    strict: bool,
}

/// What was read.
#[derive(Debug, Default)]
struct Read {
    versions: u64,
    notes: Vec<Note>,
    /// Files that are no version, for want of a date in their names.
    undated: Vec<String>,
}

impl ImportHistory {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let verb = self.clone();
        let origins = tokio::task::spawn_blocking(move || verb.origins());
        let origins = origins.await.map_err(|error| Failure::Usage(error.to_string()))??;
        if self.strict {
            let (verb, origins) = (self.clone(), origins.clone());
            let read = blocking(move || verb.read(origins, |_| true)).await?;
            let left_out = read.notes.iter().filter(|note| note.skipped).count() + read.undated.len();
            if left_out > 0 {
                tell(printer, &read);
                let detail = format!("{left_out} faults in {} versions; nothing was imported", read.versions);
                return Err(Failure::Usage(detail));
            }
        }
        let (sender, receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(WAITING);
        let verb = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            verb.read(origins, |version| {
                let line = serde_json::to_vec(version).map(|mut line| {
                    line.push(b'\n');
                    line
                });
                line.is_ok_and(|line| sender.blocking_send(line.into()).is_ok())
            })
        });
        let began = Arc::new(AtomicBool::new(false));
        let begins = began.clone();
        let lines = futures::stream::unfold((receiver, begins), |(mut receiver, begins)| async move {
            let line = receiver.recv().await?;
            begins.store(true, Ordering::Relaxed);
            Some((Ok::<_, io::Error>(line), (receiver, begins)))
        });
        // A dry run goes the same way, for only the server knows which zones have a past already.
        let sent = client.send_history(reqwest::Body::wrap_stream(lines)).await;
        let read = match reading.await {
            Ok(read) => read,
            Err(error) => return Err(Failure::Usage(error.to_string())),
        };
        let read = read.map_err(|source| self.fault(source))?;
        tell(printer, &read);
        let response = sent.map_err(|failure| if began.load(Ordering::Relaxed) { broken(failure) } else { failure })?;
        let settled = client.settled(&response).await?;
        let taken: Taken = client.decode(response).await?;
        let already = taken.already.map(|count| format!(", {count} were there already")).unwrap_or_default();
        if client.global.dry_run {
            printer.note(&format!("{} of {} versions would become events{already}", taken.events, read.versions));
            return Ok(());
        }
        if printer.for_programs() {
            printer.json_lines(&[taken]);
            return Ok(());
        }
        let skipped: BTreeSet<_> = read.notes.iter().filter(|note| note.skipped).map(|note| &note.version).collect();
        let place = match (taken.first, taken.last) {
            (Some(first), Some(last)) => format!(", r{first} to r{last}"),
            _ => String::new(),
        };
        printer.note(&format!(
            "{} versions, {} events{place}{already}, {} left out; zones: {}{}",
            read.versions,
            taken.events,
            skipped.len(),
            if taken.zones.is_empty() { "none".to_owned() } else { taken.zones.join(", ") },
            settled.map(|views| format!("; {views}")).unwrap_or_default(),
        ));
        Ok(())
    }

    fn fault(&self, source: io::Error) -> Failure {
        Failure::File { path: self.path.display().to_string(), source }
    }

    fn origins(&self) -> Result<Origins, Failure> {
        if let Some(zone) = &self.zone {
            let zone = Name::parse_absolute(zone.as_bytes())
                .map_err(|error| Failure::Usage(format!("--zone {zone}: {error}")))?;
            let Some(file) = &self.file else { return Ok(Origins::One { zone, file: None }) };
            let missing = || Failure::NotFound(format!("no version has a file {file}"));
            let file = self.follow(file.trim_start_matches("./")).map_err(|source| self.fault(source))?;
            return Ok(Origins::One { zone, file: Some(file.ok_or_else(missing)?) });
        }
        let Some(path) = &self.zones else { return Ok(Origins::Told) };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Failure::File { path: shown.clone(), source })?;
        Origins::map(&text).map_err(|(line, fault)| Failure::Usage(format!("{shown}, line {line}: {fault}")))
    }

    /// The names of the zone's file; `None` if no version has it.
    fn follow(&self, file: &str) -> io::Result<Option<Followed>> {
        if git::is_repository(&self.path) {
            return git::follow(&self.path, file);
        }
        let (versions, _) = dated::versions(&self.path)?;
        let exists = versions.iter().flat_map(|version| &version.files).any(|(path, _)| path == file);
        Ok(exists.then(|| Followed::new(file.to_owned(), BTreeMap::new())))
    }

    /// Reads all versions and hands on those that change something, until `each` says to stop.
    fn read(&self, origins: Origins, each: impl FnMut(&VersionInput) -> bool) -> io::Result<Read> {
        if git::is_repository(&self.path) {
            let count = git::count(&self.path)?;
            let tree = Tree::new(git::Objects::new(&self.path)?, origins, false);
            return walk(tree, git::Commits::new(&self.path)?, count, each).map(|(read, _)| read);
        }
        let (versions, left) = dated::versions(&self.path)?;
        let count = versions.len() as u64;
        let tree = Tree::new(dated::Files, origins, true);
        let (mut read, included) = walk(tree, versions.into_iter().map(Ok), count, each)?;
        read.undated = left.into_iter().filter(|path| !included.contains(path)).collect();
        Ok(read)
    }
}

/// What broke off while lines were sent, with the way on.
fn broken(failure: Failure) -> Failure {
    const WAY: &str = "; the same command goes on where it broke off";
    match failure {
        Failure::Unreachable(detail) => Failure::Unreachable(detail + WAY),
        Failure::Refused(mut problem) if problem.status >= 500 => {
            problem.detail.push_str(WAY);
            Failure::Refused(problem)
        }
        failure => failure,
    }
}

fn walk<B: Blobs>(
    mut tree: Tree<B>,
    versions: impl Iterator<Item = io::Result<Version>>,
    count: u64,
    mut each: impl FnMut(&VersionInput) -> bool,
) -> io::Result<(Read, BTreeSet<String>)> {
    let bar = progress(count);
    let mut read = Read::default();
    for version in versions {
        read.versions += 1;
        bar.inc(1);
        if let Some(version) = tree.next(version?, &mut read.notes)?
            && !each(&version)
        {
            break;
        }
    }
    bar.finish_and_clear();
    Ok((read, tree.into_included()))
}

async fn blocking(read: impl FnOnce() -> io::Result<Read> + Send + 'static) -> Result<Read, Failure> {
    let fault = |source| Failure::File { path: "the history".into(), source };
    tokio::task::spawn_blocking(read).await.map_err(|error| fault(io::Error::other(error)))?.map_err(fault)
}

/// Says what was found, each thing of a path once, with the version where it came up.
fn tell(printer: &Printer, read: &Read) {
    let mut told = BTreeSet::new();
    for note in &read.notes {
        let what = if note.skipped { "left out: " } else { "" };
        if note.skipped || told.insert((&note.path, &note.detail)) {
            // A dated file is version and path in one; a commit is told by its first digits.
            let place = match note.version.get(..12).filter(|_| note.version.len() == 40) {
                Some(commit) => format!("{commit} {}", note.path),
                None => note.version.clone(),
            };
            printer.note(&format!("{place}: {what}{}", note.detail));
        }
    }
    if let Some(first) = read.undated.first() {
        let (files, their) = if read.undated.len() == 1 { ("file", "its name") } else { ("files", "their names") };
        let more = if read.undated.len() == 1 { "" } else { " and others" };
        let count = read.undated.len();
        printer
            .note(&format!("{count} {files} left out for want of a date such as 2026-01-31 in {their}: {first}{more}"));
    }
}

fn progress(versions: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(versions);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} versions {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}
