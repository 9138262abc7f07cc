//! `apply`: a change set, a saved plan, or lines of verbs, as one atomic event.

use clap::Parser;
use conn3ction_schemas::json::{self, Op};
use reqwest::Method;

use super::{
    client::{Client, Failure},
    output::Printer,
    records::{Delete, Write, change, write},
};

#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    /// The file; `-` is standard input. JSON of a change set or of a plan, or lines such as `set www.example. A 192.0.2.1`.
    file: String,
}

impl Apply {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let text = read_text(&self.file)?;
        if !text.trim_start().starts_with('{') {
            return change(client, printer, lines(&text)?).await;
        }
        let bad = |error: serde_json::Error| Failure::Usage(format!("{}: {error}", self.file));
        let value: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
        // A saved plan carries the exact body that applies it.
        let body = value.get("apply").unwrap_or(&value);
        let request: json::ChangeSet = serde_json::from_value(body.clone()).map_err(bad)?;
        let body = serde_json::to_vec(&request).map_err(bad)?;
        write(client, printer, &["changes"], &[], Method::POST, Some(body)).await
    }
}

/// The text of a file, or of standard input for `-`.
pub(super) fn read_text(path: &str) -> Result<String, Failure> {
    let read = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.map_err(|source| Failure::File { path: path.into(), source })
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
enum Line {
    Set(Write),
    Add(Write),
    Remove(Write),
    Delete(Delete),
}

fn lines(text: &str) -> Result<Vec<json::ChangeInput>, Failure> {
    let mut changes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |detail: String| Failure::Usage(format!("line {}: {detail}", at + 1));
        let words = words(line).ok_or_else(|| fault("a quote is not closed".into()))?;
        let parsed = Line::try_parse_from(words).map_err(|error| {
            fault(error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").into())
        })?;
        changes.push(match parsed {
            Line::Set(verb) => verb.change(Op::Set),
            Line::Add(verb) => verb.change(Op::Add),
            Line::Remove(verb) => verb.change(Op::Remove),
            Line::Delete(verb) => verb.change(),
        });
    }
    if changes.is_empty() {
        return Err(Failure::Usage("there is nothing to apply".into()));
    }
    Ok(changes)
}

/// Splits at white space; single quotes keep everything, so that `'"a text"'` is a quoted TXT.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_verbs_and_faults_name_their_line() {
        let changes = lines("# new\nset a.b. TXT '\"x y\"' --ttl 5\n\ndelete c.b. ANY\n").expect("lines");
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0].values.as_deref(), Some(&["\"x y\"".to_owned()][..]));
        assert_eq!(changes[0].ttl, Some(5));
        for (text, line) in [("set a.b.", "line 1"), ("\nput a.b. A 1", "line 2"), ("set a.b. TXT 'x", "line 1")] {
            let failure = lines(text).expect_err("faulty").to_string();
            assert!(failure.starts_with(line), "{failure}");
        }
    }
}
