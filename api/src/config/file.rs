//! The TOML file, key by key: every fault is told, with its line.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Deserialize;
use toml::{Spanned, de::DeTable};

use super::{Fault, Settings};
use crate::http::nearest;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The settings that could be read.
    pub settings: Settings,
    /// Where each of them stands, as `FILE, line 3`.
    pub places: BTreeMap<String, String>,
    /// What could not.
    pub faults: Vec<Fault>,
}

impl File {
    pub(super) fn read(path: &Path) -> Self {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&shown, &text),
            Err(error) => {
                let fault = Fault { place: None, setting: "config".into(), detail: format!("{shown}: {error}") };
                Self { faults: vec![fault], ..Self::default() }
            }
        }
    }

    fn parse(shown: &str, text: &str) -> Self {
        let line = |at: usize| text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count() + 1;
        let place = |line: usize| format!("{shown}, line {line}");
        let (table, errors) = DeTable::parse_recoverable(text);
        let (mut faults, mut broken) = (Vec::new(), BTreeSet::new());
        for error in errors {
            let at = line(error.span().map_or(0, |span| span.start));
            // What follows from the first fault of a line says nothing new.
            if broken.insert(at) {
                let shown = text.lines().nth(at - 1).unwrap_or_default().trim();
                let detail = format!("`{shown}` is no TOML: {}; texts stand in quotes", error.message());
                faults.push((at, String::new(), detail));
            }
        }
        let mut file = Self::default();
        let known = names();
        for (key, value) in table.into_inner() {
            let (name, at) = (key.get_ref().to_string(), line(key.span().start));
            if broken.contains(&at) {
                continue;
            }
            if !known.contains(&name) {
                let hint = nearest(&name, known.iter().map(String::as_str));
                let hint = hint.unwrap_or_else(|| "conn3ction serve --help lists them".into());
                faults.push((at, name, format!("is no setting; {hint}")));
                continue;
            }
            let mut alone = DeTable::new();
            alone.insert(key, value);
            match Settings::deserialize(toml::Deserializer::from(Spanned::new(0..text.len(), alone))) {
                Ok(setting) => {
                    file.settings = std::mem::take(&mut file.settings).or(setting, |_| {});
                    file.places.insert(name, place(at));
                }
                Err(error) => {
                    let at = error.span().map_or(at, |span| line(span.start));
                    faults.push((at, name, error.message().to_owned()));
                }
            }
        }
        faults.sort_by_key(|(at, ..)| *at);
        let told = |(at, setting, detail): (usize, String, String)| Fault {
            place: Some(place(at)),
            setting: setting.into(),
            detail,
        };
        file.faults = faults.into_iter().map(told).collect();
        file
    }
}

/// The keys that a file may have.
fn names() -> BTreeSet<String> {
    let command = <Settings as clap::Args>::augment_args(clap::Command::new("serve"));
    let flags = command.get_arguments().filter_map(clap::Arg::get_long).filter(|flag| *flag != "config");
    // A global option of the command line that is a setting all the same.
    flags.chain(["data"]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_file_is_told_with_its_line_and_the_rest_is_read() {
        let text = "port = \"x\"\ndns-listn = \"127.0.0.1:53\"\nledger = \"memory\"\nrole = \"al\"\nzones = [\n  \"a.test\",\n  1,\n]\n\
                    [tls]\ncert = 1\n";
        let file = File::parse("c.toml", text);
        let told: Vec<_> = file.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "c.toml, line 1: port: invalid type: string \"x\", expected u16",
                "c.toml, line 2: dns-listn: is no setting; did you mean dns-listen?",
                "c.toml, line 4: role: unknown variant `al`, expected one of `all`, `api`, `projector`, `dns`",
                "c.toml, line 7: zones: invalid type: integer `1`, expected a string",
                "c.toml, line 9: tls: is no setting; conn3ction serve --help lists them",
            ]
        );
        assert_eq!(file.settings.ledger, Some(super::super::LedgerKind::Memory));
        assert_eq!(file.places["ledger"], "c.toml, line 3");
    }

    #[test]
    fn lines_that_are_no_toml_do_not_hide_what_is_wrong_elsewhere() {
        let file = File::parse("c.toml", "http-listen = 127.0.0.1:80\nledgr = \"file\"\nport = 80\nport = 81\n");
        let told: Vec<_> = file.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "c.toml, line 1: `http-listen = 127.0.0.1:80` is no TOML: invalid float, expected nothing; texts stand in quotes",
                "c.toml, line 2: ledgr: is no setting; did you mean ledger?",
                "c.toml, line 4: `port = 81` is no TOML: duplicate key; texts stand in quotes",
            ]
        );
        assert_eq!(file.settings.port, Some(80));
    }

    #[test]
    fn the_example_file_explains_every_setting_and_no_other() {
        let example = include_str!("../../../deploy/conn3ction.toml");
        let is_key = |text: &&str| text.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let lines = example.lines().map(|line| line.strip_prefix("# ").filter(is_key).unwrap_or(line));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        let file = File::parse("example", &text);
        assert_eq!(file.faults, [], "every key with a value that it takes");
        assert_eq!(file.places.into_keys().collect::<BTreeSet<_>>(), names());
    }
}
