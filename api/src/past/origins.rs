//! Which files hold a zone, and which.

use std::collections::BTreeMap;

use conn3ction_schemas::Name;

use crate::http::glob_matches;

/// How the zone of a file is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// One zone, in this file; without one, in every file that has a SOA record.
    One {
        /// The apex.
        zone: Name,
        /// The file.
        file: Option<Followed>,
    },
    /// By a map file; files that nothing matches hold no zone.
    Map(Vec<(String, Option<Name>)>),
    /// By `$ORIGIN`, the SOA's owner or the file's name.
    Told,
}

/// A file under the names that it has, version by version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    name: String,
    renamed: BTreeMap<String, String>,
}

impl Followed {
    /// A file that is called `name` at first, and otherwise from the versions on that `renamed` has.
    pub fn new(name: String, renamed: BTreeMap<String, String>) -> Self {
        Self { name, renamed }
    }
}

/// What a path says about its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// It holds no zone.
    None,
    /// It holds this one.
    Zone(Name),
    /// The file must tell; relative names belong to this one until it does.
    Perhaps(Name),
}

impl Origins {
    /// Reads a map file: lines `GLOB ORIGIN`, of which the last match wins; `-` as origin: no zone. `#` begins a comment.
    ///
    /// # Errors
    ///
    /// The number of the line that is none, and why.
    pub fn map(text: &str) -> Result<Self, (usize, String)> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        lines.map(|(number, line)| rule(line).map_err(|fault| (number, fault))).collect::<Result<_, _>>().map(Self::Map)
    }

    /// Goes on to a version, from which on a file may have another name.
    pub fn reach(&mut self, version: &str) {
        if let Self::One { file: Some(file), .. } = self
            && let Some(name) = file.renamed.remove(version)
        {
            file.name = name;
        }
    }

    /// What `path` says.
    pub fn hint(&self, path: &str) -> Hint {
        match self {
            Self::One { zone, file: Some(file) } => {
                if path == file.name {
                    Hint::Zone(zone.clone())
                } else {
                    Hint::None
                }
            }
            Self::One { zone, file: None } => Hint::Perhaps(zone.clone()),
            Self::Map(rules) => {
                let base = path.rsplit('/').next().unwrap_or(path);
                let fits =
                    |glob: &str| glob_matches(glob.as_bytes(), if glob.contains('/') { path } else { base }.as_bytes());
                match rules.iter().rev().find(|(glob, _)| fits(glob)) {
                    Some((_, Some(zone))) => Hint::Zone(zone.clone()),
                    Some((_, None)) | None => Hint::None,
                }
            }
            Self::Told => Hint::Perhaps(named(path)),
        }
    }
}

/// A line of a map file. A glob that would fit no file, or another than was meant, is a fault.
fn rule(line: &str) -> Result<(String, Option<Name>), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [glob, origin] = words[..] else { return Err("expected GLOB ORIGIN".into()) };
    if glob.contains(['?', '[', ']', '{', '}']) {
        return Err(format!("`{glob}`: in a glob only `*` stands for something else"));
    }
    let origin = match origin {
        "-" => None,
        name => Some(Name::parse_absolute(name.as_bytes()).map_err(|error| format!("`{name}` is no ORIGIN: {error}"))?),
    };
    Ok((glob.to_owned(), origin))
}

/// The zone that a file's name tells: `db.example.org`, `example.org.zone`.
pub(crate) fn named(path: &str) -> Name {
    let base = path.rsplit('/').next().unwrap_or(path);
    let base = base.strip_suffix(".gz").unwrap_or(base);
    let strip = |text: &str| {
        let text = ["db.", "zone.", "named.", "pri.", "master."]
            .iter()
            .find_map(|it| text.strip_prefix(it))
            .unwrap_or(text)
            .to_owned();
        let suffixes = [".zone", ".db", ".hosts", ".txt", ".dns", ".bind"];
        suffixes.iter().find_map(|it| text.strip_suffix(it)).unwrap_or(&text).to_owned()
    };
    Name::parse_absolute(strip(base).as_bytes()).unwrap_or_else(|_| Name::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_matches_wins() {
        let map = Origins::map("# ours\n*.zone example.org\nold/*.zone -\nold/a.zone a.example.\n").expect("a map");
        let zone = |text: &str| Hint::Zone(text.parse().expect("a name"));
        assert_eq!(map.hint("x.zone"), zone("example.org."));
        assert_eq!(map.hint("deep/x.zone"), zone("example.org."));
        assert_eq!(map.hint("old/x.zone"), Hint::None);
        assert_eq!(map.hint("old/a.zone"), zone("a.example."));
        assert_eq!(map.hint("README"), Hint::None);
        for fault in ["only", "*.zone b.test # ours", "*.zone b.test extra", "[bad b.test", "db.? b.test", "* b..test"]
        {
            let line = Origins::map(&format!("a b\n\n{fault}\n")).map_err(|(line, _)| line);
            assert_eq!(line, Err(3), "{fault}");
        }
    }

    #[test]
    fn a_files_name_tells_its_zone() {
        for (path, zone) in [
            ("zones/db.example.org", "example.org."),
            ("example.org.zone.gz", "example.org."),
            ("10.69.in-addr.arpa.zone", "10.69.in-addr.arpa."),
            ("root.zone", "root."),
        ] {
            assert_eq!(Origins::Told.hint(path), Hint::Perhaps(zone.parse().expect("a name")), "{path}");
        }
    }
}
