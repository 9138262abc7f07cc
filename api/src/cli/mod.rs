//! The command line: a client of the HTTP surface, by verb. `serve` alone runs a node.

mod age;
mod apply;
mod bisect;
mod blame;
mod client;
mod diff;
mod export;
mod failure;
mod follow;
mod forms;
mod hints;
mod history;
mod import_history;
mod lines;
mod log;
mod lookup;
#[cfg(feature = "etcd")]
mod migrate;
mod offline;
mod output;
mod proof;
mod records;
mod rollback;
mod side;
mod state;
mod zones;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{app::FaultySettings, config::Settings};
use client::{Client, Failure};
use output::{Output, Printer};

/// Conn3ction: DNS that remembers.
///
/// Exit codes: 0 done; 1 refused; 2 usage; 3 conflict; 4 unreachable or outcome unknown; 5 verify or replay mismatch.
#[derive(Debug, Parser)]
#[command(name = "conn3ction", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every verb.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The server [default: $CONN3CTION_URL, else http://127.0.0.1:$PORT]. A token is taken from CONN3CTION_TOKEN.
    // Read where it is used: clap would show it in every usage line as if it were needed.
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// `serve`: directory of ledger and local views [default: ./conn3ction-data]. Other verbs: read this ledger
    /// directory, which no server holds, instead of asking a server.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    output: Output,
    /// One JSON object a line; short for `-o json`.
    #[arg(long, global = true)]
    json: bool,
    /// Why: stored in the event.
    #[arg(short = 'm', long, global = true, value_name = "TEXT")]
    reason: Option<String>,
    /// Who, where no token says it [default: $USER]. `log`: only these, `*` stands for anything.
    #[arg(long, global = true, value_name = "NAME")]
    actor: Option<String>,
    /// As of this moment: r1041, 2026-11-22T10:15:00Z, 40m, 2h, 3d, now. `serve`: the responder stays there.
    #[arg(long, global = true, value_name = "WHEN")]
    at: Option<String>,
    /// Show what would be done, do nothing.
    #[arg(long, global = true)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long, global = true)]
    yes: bool,
    /// How long a write waits until the views show it.
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    wait: String,
    /// Do not wait for the views.
    #[arg(long, global = true, conflicts_with = "wait")]
    no_wait: bool,
    /// How long the answer to a read may take to begin.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Colour.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: output::Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: API, ledger, projections and DNS responder.
    Serve(Box<Settings>),
    /// Show record sets.
    Get(records::Get),
    /// Create or replace a record set.
    Set(records::Write),
    /// Add values to a record set.
    Add(records::Write),
    /// Remove values from a record set.
    Remove(records::Write),
    /// Delete a record set, or all of a name with ANY.
    Delete(records::Delete),
    /// Apply a change set, a saved plan, or lines of `set|add|remove|delete …`, as one event.
    Apply(apply::Apply),
    /// List, show, create and delete zones.
    #[command(subcommand)]
    Zone(zones::Zone),
    /// Take in a master file (also .gz); the zone is created if it is missing.
    Import(zones::Import),
    /// Take in the past of zones that are kept in git, or in a folder of dated files: an event for each version.
    ImportHistory(import_history::ImportHistory),
    /// Print a zone as a master file, or copy the whole ledger into a directory.
    Export(export::Export),
    /// Show events, newest first; of a name all that changed its answer.
    Log(log::Log),
    /// Show one event with all that it changed.
    Show(log::Show),
    /// Show who put each value there, when and why.
    Blame(blame::Blame),
    /// Find the event that made an answer what it is.
    Bisect(bisect::Bisect),
    /// Show every version of a name, newest first.
    History(history::History),
    /// Show the record sets in which two moments, master files or servers differ.
    Diff(diff::Diff),
    /// Bring a zone, or a part of it, back to what it was at a moment; the plan is shown first.
    Restore(rollback::Restore),
    /// Undo an event, or a part of it; the plan is shown first.
    Revert(rollback::Revert),
    /// Show what the responder answers, and which events put it there.
    Lookup(lookup::Lookup),
    /// Take over what an older service or a plain CoreDNS keeps in etcd; the plan is shown first.
    #[cfg(feature = "etcd")]
    Migrate(migrate::Migrate),
    /// Show the server's state, or a zone's.
    Status(state::Status),
    /// Check that the hash chain is whole and that every view is what the ledger says.
    Verify(proof::Verify),
    /// Build every view anew up to a moment, aside, and hold it against what is shown of that moment.
    Replay(proof::Replay),
    /// Rebuild a view from the ledger and swap it in.
    Rebuild(state::Rebuild),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether what the verb shows can be of any moment.
    fn reads_the_past(&self) -> bool {
        match self {
            Self::Serve(_)
            | Self::Get(_)
            | Self::Lookup(_)
            | Self::Blame(_)
            | Self::Bisect(_)
            | Self::History(_)
            | Self::Export(_)
            | Self::Zone(zones::Zone::List | zones::Zone::Show { .. }) => true,
            Self::Status(status) => status.zone.is_some(),
            #[cfg(feature = "etcd")]
            Self::Migrate(_) => false,
            Self::Zone(zones::Zone::Create { .. } | zones::Zone::Delete { .. })
            | Self::Set(_)
            | Self::Add(_)
            | Self::Remove(_)
            | Self::Delete(_)
            | Self::Apply(_)
            | Self::Import(_)
            | Self::ImportHistory(_)
            | Self::Restore(_)
            | Self::Revert(_)
            | Self::Log(_)
            | Self::Show(_)
            | Self::Diff(_)
            | Self::Verify(_)
            | Self::Replay(_)
            | Self::Rebuild(_)
            | Self::Completions { .. } => false,
        }
    }

    /// What to do where `--at` says nothing.
    fn instead_of_at(&self) -> &'static str {
        if matches!(self, Self::Log(_)) {
            "log shows events, not a state: use --until WHEN (and --since WHEN)"
        } else if matches!(self, Self::Diff(_)) {
            "diff takes its moments as words: diff FROM TO"
        } else if matches!(self, Self::Replay(_) | Self::Restore(_)) {
            "the moment of this verb is --to WHEN"
        } else {
            "--at is for verbs that show a state; this one shows or changes the present"
        }
    }

    /// Whether the verb writes and cannot show beforehand what.
    fn has_no_plan(&self) -> bool {
        match self {
            Self::Rebuild(_) => true,
            Self::Export(export) => export.copies(),
            _ => false,
        }
    }

    /// Whether the verb changes what the ledger or a view of it holds.
    fn writes(&self) -> bool {
        match self {
            #[cfg(feature = "etcd")]
            Self::Migrate(_) => true,
            Self::Zone(zones::Zone::Create { .. } | zones::Zone::Delete { .. })
            | Self::Set(_)
            | Self::Add(_)
            | Self::Remove(_)
            | Self::Delete(_)
            | Self::Apply(_)
            | Self::Import(_)
            | Self::ImportHistory(_)
            | Self::Restore(_)
            | Self::Revert(_)
            | Self::Rebuild(_) => true,
            Self::Zone(zones::Zone::List | zones::Zone::Show { .. })
            | Self::Serve(_)
            | Self::Get(_)
            | Self::Lookup(_)
            | Self::Blame(_)
            | Self::Bisect(_)
            | Self::History(_)
            | Self::Export(_)
            | Self::Status(_)
            | Self::Log(_)
            | Self::Show(_)
            | Self::Diff(_)
            | Self::Verify(_)
            | Self::Replay(_)
            | Self::Completions { .. } => false,
        }
    }
}

/// Refused before anything is sent: after a write it would be too late.
fn duration(text: &str) -> Result<String, &'static str> {
    crate::http::wait(text).map(|_| text.to_owned())
}

/// Runs the command line that the process was given.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    let (color, is_json) = (cli.global.color, cli.global.json || cli.global.output == Output::Json);
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if is_json {
                output::problem(&failure)
            } else {
                output::failure(&failure, color)
            }
            failure.exit_code()
        }
    }
}

/// Help and version, or what is wrong with the arguments: as an object, too, and with one nearest verb instead of all that
/// share a letter.
fn misunderstood(error: &clap::Error) -> ExitCode {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let code = ExitCode::from(error.exit_code() as u8);
    let verb = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) if error.kind() == ErrorKind::InvalidSubcommand => Some(verb),
        _ => None,
    };
    let command = Cli::command();
    let verbs = command.get_subcommands().flat_map(|verb| std::iter::once(verb).chain(verb.get_subcommands()));
    let hint = verb.and_then(|verb| crate::http::nearest(verb, verbs.map(clap::Command::get_name)));
    let is_json = |argument: std::ffi::OsString| argument == "--json" || argument == "-ojson";
    if error.use_stderr() && std::env::args_os().any(is_json) {
        let text = error.render().to_string();
        let text = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
        output::problem(&Failure::Usage(text.trim_start_matches("error: ").into()));
    } else if let (Some(verb), Some(hint)) = (verb, hint) {
        output::failure(&Failure::Usage(format!("no verb {verb:?}; {hint}")), output::Color::Auto);
    } else {
        // Nobody reads it then.
        let _ = error.print();
    }
    code
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { mut global, command } = cli;
    let printer = Printer::new(if global.json { Output::Json } else { global.output }, global.color);
    match command {
        Command::Serve(mut settings) => {
            settings.data = global.data.or_else(|| std::env::var_os("CONN3CTION_DATA").map(PathBuf::from));
            settings.at = global.at;
            return crate::app::serve(*settings).await.map_err(|error| match error.downcast_ref() {
                Some(faults @ FaultySettings(_)) => Failure::Usage(faults.to_string()),
                None => Failure::Serve(error),
            });
        }
        Command::Completions { shell } => {
            // Into memory first: the generator panics where nobody reads on.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "conn3ction", &mut script);
            printer.raw(&script);
            return Ok(());
        }
        _ => {}
    }
    forms::ensure(&command, printer.output)?;
    if global.at.is_some() && !command.reads_the_past() {
        return Err(Failure::Usage(command.instead_of_at().into()));
    }
    if global.data.is_some() && matches!(&command, Command::Log(log) if log.follow) {
        return Err(Failure::Usage(
            "log -f cannot follow --data DIR: while it reads, no server can hold that directory and append to it"
                .into(),
        ));
    }
    // clap does not see a conflict of two global options on both sides of the verb.
    if global.data.is_some() && global.server.is_some() {
        return Err(Failure::Usage(
            "--server asks a server, --data reads a directory that no server holds; give one".into(),
        ));
    }
    if global.data.is_some() && command.writes() && !global.dry_run {
        return Err(Failure::Usage(
            "--data only reads; to change records, start a server on that directory: conn3ction serve --data DIR"
                .into(),
        ));
    }
    if global.dry_run && command.has_no_plan() {
        return Err(Failure::Usage(
            "--dry-run: this verb has nothing to show before it is done, so nothing was done".into(),
        ));
    }
    // There it says whose events are wanted, not who asks.
    let glob = global.actor.take_if(|_| matches!(command, Command::Log(_)));
    if let Command::Verify(verb) = &command
        && verb.is_offline(global.data.as_deref())
    {
        return verb.run_offline(global.data.as_deref(), &printer).await;
    }
    let client = Client::connect(&global).await?;
    let typed = hints::Typed::of(&command);
    let result = match command {
        Command::Get(verb) => verb.run(&client, &printer).await,
        Command::Set(verb) => verb.run("set", &client, &printer).await,
        Command::Add(verb) => verb.run("add", &client, &printer).await,
        Command::Remove(verb) => verb.run("remove", &client, &printer).await,
        Command::Delete(verb) => verb.run(&client, &printer).await,
        Command::Apply(verb) => verb.run(&client, &printer).await,
        Command::Zone(verb) => verb.run(&client, &printer).await,
        Command::Import(verb) => verb.run(&client, &printer).await,
        Command::ImportHistory(verb) => verb.run(&client, &printer).await,
        Command::Export(verb) => verb.run(&client, &printer).await,
        Command::Log(verb) => verb.run(glob.as_deref(), &client, &printer).await,
        Command::Show(verb) => verb.run(&client, &printer).await,
        Command::Bisect(verb) => verb.run(&client, &printer).await,
        Command::Blame(verb) => verb.run(&client, &printer).await,
        Command::History(verb) => verb.run(&client, &printer).await,
        Command::Diff(verb) => verb.run(&client, &printer).await,
        Command::Restore(verb) => verb.run(&client, &printer).await,
        Command::Revert(verb) => verb.run(&client, &printer).await,
        Command::Lookup(verb) => verb.run(&client, &printer).await,
        #[cfg(feature = "etcd")]
        Command::Migrate(verb) => verb.run(&client, &printer).await,
        Command::Status(verb) => verb.run(&client, &printer).await,
        Command::Verify(verb) => verb.run(&client, &printer).await,
        Command::Replay(verb) => verb.run(&client, &printer).await,
        Command::Rebuild(verb) => verb.run(&client, &printer).await,
        Command::Serve(_) | Command::Completions { .. } => Ok(()),
    };
    let result = match result {
        Err(failure) => Err(hints::ours(failure, &client, typed).await),
        done => done,
    };
    client.close().await;
    result
}
