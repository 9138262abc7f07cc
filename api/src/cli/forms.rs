//! Which verb prints its results in which forms: a form that a verb does not have is refused, not passed over.

use super::{
    Command,
    client::Failure,
    output::Output::{self, Csv, Json, Table, Wide, Zone},
    zones,
};

/// Refuses a form that the verb does not have.
pub(super) fn ensure(command: &Command, output: Output) -> Result<(), Failure> {
    let Some((verb, forms)) = forms(command) else { return Ok(()) };
    if forms.contains(&output) {
        return Ok(());
    }
    let names: Vec<_> = forms.iter().map(|form| name(*form)).collect();
    let known = match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.join(""),
    };
    Err(Failure::Usage(format!("`{verb}` has no form {}; it prints {known}", name(output))))
}

fn name(output: Output) -> &'static str {
    match output {
        Table => "table",
        Wide => "wide",
        Json => "json",
        Csv => "csv",
        Zone => "zone",
    }
}

/// The verb's name and its forms; none for those that see to it themselves or print no results.
fn forms(command: &Command) -> Option<(&'static str, &'static [Output])> {
    Some(match command {
        Command::Serve(_) | Command::Completions { .. } | Command::Export(_) => return None,
        Command::Get(_) => ("get", &[Table, Wide, Json, Csv, Zone]),
        Command::Log(_) => ("log", &[Table, Wide, Json, Csv]),
        Command::Zone(zones::Zone::List) => ("zone list", &[Table, Wide, Json, Csv]),
        Command::Zone(zones::Zone::Show { .. }) => ("zone show", &[Table, Wide, Json, Csv]),
        Command::Zone(zones::Zone::Create { .. }) => ("zone create", &[Table, Wide, Json, Csv]),
        Command::Status(_) => ("status", &[Table, Wide, Json, Csv]),
        Command::Rebuild(_) => ("rebuild", &[Table, Wide, Json, Csv]),
        Command::Blame(_) => ("blame", &[Table, Json, Csv]),
        Command::History(_) => ("history", &[Table, Json, Csv]),
        Command::Diff(_) => ("diff", &[Table, Json, Csv]),
        Command::Show(_) => ("show", &[Table, Json]),
        Command::Bisect(_) => ("bisect", &[Table, Json]),
        Command::Lookup(_) => ("lookup", &[Table, Json]),
        Command::Verify(_) => ("verify", &[Table, Json]),
        Command::Replay(_) => ("replay", &[Table, Json]),
        Command::Zone(zones::Zone::Delete { .. }) => ("zone delete", &[Table, Json]),
        Command::Set(_) => ("set", &[Table, Json]),
        Command::Add(_) => ("add", &[Table, Json]),
        Command::Remove(_) => ("remove", &[Table, Json]),
        Command::Delete(_) => ("delete", &[Table, Json]),
        Command::Apply(_) => ("apply", &[Table, Json]),
        Command::Import(_) => ("import", &[Table, Json]),
        Command::ImportHistory(_) => ("import-history", &[Table, Json]),
        Command::Restore(_) => ("restore", &[Table, Json]),
        Command::Revert(_) => ("revert", &[Table, Json]),
        #[cfg(feature = "etcd")]
        Command::Migrate(_) => ("migrate", &[Table, Json]),
    })
}
