//! Lines of `set|add|remove|delete …`: words as a shell splits them, and every fault with its line.

use clap::{Parser, error::ErrorKind};
use conn3ction_schemas::json::{self, Op};

use super::{
    client::Failure,
    records::{Delete, Write},
};
use crate::{
    decide::{
        command,
        input::{self, RawChange},
    },
    http::nearest,
};

/// Changes, and the line of each, counted from 1.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) changes: Vec<json::ChangeInput>,
    pub(super) at: Vec<usize>,
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
enum Line {
    Set(Write),
    Add(Write),
    Remove(Write),
    Delete(Delete),
}

/// The verbs of lines.
const VERBS: [&str; 4] = ["set", "add", "remove", "delete"];

/// Reads lines.
///
/// # Errors
///
/// Every line that is wrong. If all can be read, what is wrong with a record is left to the server, which finds more.
pub(super) fn read(text: &str) -> Result<Lines, Failure> {
    let mut lines = Lines { changes: Vec::new(), at: Vec::new() };
    let (mut faults, mut is_unread) = (Vec::new(), false);
    for (at, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match change(line) {
            Ok(change) => {
                faults.extend(wrong(&change).into_iter().map(|fault| (at, fault)));
                lines.changes.push(change);
                lines.at.push(at);
            }
            Err(fault) => {
                is_unread = true;
                faults.push((at, fault));
            }
        }
    }
    if is_unread {
        let told = faults.iter().map(|(at, fault)| format!("line {at}: {fault}"));
        return Err(Failure::Usage(match faults.len() {
            1 => told.collect(),
            count => {
                let told: Vec<_> = told.collect();
                format!("{count} faults; nothing was done\n  {}", told.join("\n  "))
            }
        }));
    }
    if lines.changes.is_empty() {
        return Err(Failure::Usage("there is nothing to apply: no line with a verb, no JSON".into()));
    }
    Ok(lines)
}

/// What the server refused, by lines.
pub(super) fn placed(failure: Failure, lines: &[usize]) -> Failure {
    each_fault(failure, |error, at| error.line = lines.get(at).map(|line| *line as u64))
}

/// Gives each fault of one change, and the place of that change, to `tell`; pointers mean nothing to who wrote no JSON.
pub(super) fn each_fault(failure: Failure, tell: impl Fn(&mut json::ProblemError, usize)) -> Failure {
    let Failure::Refused(mut problem) = failure else { return failure };
    let is_lone = problem.errors.len() == 1;
    for error in &mut problem.errors {
        let Some(pointer) = error.pointer.take() else { continue };
        if let Some(at) = pointer.strip_prefix("/changes/").and_then(|rest| rest.split('/').next()?.parse().ok()) {
            let says_all = is_lone && error.detail == problem.detail;
            tell(error, at);
            if says_all {
                problem.detail.clone_from(&error.detail);
            }
        }
    }
    Failure::Refused(problem)
}

fn change(line: &str) -> Result<json::ChangeInput, String> {
    let words = words(line)?;
    let verb = words.first().cloned().unwrap_or_default();
    let parsed = Line::try_parse_from(words).map_err(|error| match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument if !VERBS.contains(&&*verb) => {
            let hint = nearest(&verb, VERBS.into_iter()).unwrap_or_else(|| "write set, add, remove or delete".into());
            format!("no verb {verb:?}; {hint}")
        }
        _ => {
            let text = error.to_string();
            let told: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            told.join(" ").trim_start_matches("error: ").into()
        }
    })?;
    match parsed {
        Line::Set(verb) => verb.change(Op::Set),
        Line::Add(verb) => verb.change(Op::Add),
        Line::Remove(verb) => verb.change(Op::Remove),
        Line::Delete(verb) => Ok(verb.change()),
    }
}

/// What is wrong with a change by itself.
fn wrong(change: &json::ChangeInput) -> Vec<String> {
    let raw = RawChange {
        pointer: String::new(),
        zone: change.zone.as_deref(),
        name: &change.name,
        rtype: change.rtype.as_deref(),
        covers: change.covers.as_deref(),
        ttl: change.ttl.map(u64::from),
        values: change.values.as_deref().unwrap_or_default(),
    };
    let op = match change.op {
        Op::Create => command::Op::Create,
        Op::Set => command::Op::Set,
        Op::Delete => command::Op::Delete,
        Op::Add => command::Op::Add,
        Op::Remove => command::Op::Remove,
    };
    let items = input::change(op, &raw).err().unwrap_or_default();
    items.into_iter().map(|item| item.detail).collect()
}

/// Splits at white space. Single quotes keep everything, so that `'"a text"'` is a quoted TXT; double quotes all but `\"`
/// and `\\`. Elsewhere a backslash stays: names and values have their own use for it.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted: Option<char> = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quoted) {
            ('\'' | '"', None) => {
                quoted = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(quote)) if c == quote => quoted = None,
            ('\\', Some('"')) => {
                let escaped = rest.next_if(|next| matches!(next, '"' | '\\'));
                word.get_or_insert_default().push(escaped.unwrap_or('\\'));
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quoted {
        None => Ok(words),
        Some(quote) => Err(format!("a quote {quote} is not closed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_verbs() {
        let lines = read("# new\nset a.b. TXT '\"x y\"' --ttl 5\n\ndelete c.b. ANY\n").expect("lines");
        assert_eq!(lines.at, [2, 4]);
        assert_eq!(lines.changes[0].values.as_deref(), Some(&["\"x y\"".to_owned()][..]));
        assert_eq!(lines.changes[0].ttl, Some(5));
    }

    #[test]
    fn words_are_those_of_a_shell_but_for_a_bare_backslash() {
        for (line, expected) in [
            (r#"a "b c" 'd "e"'"#, &["a", "b c", r#"d "e""#][..]),
            (r#"x"y z"'!'w"#, &["xy z!w"]),
            (r#""a \"b\" \\ \032" a\032b"#, &[r#"a "b" \ \032"#, r"a\032b"]),
            (r#"a """#, &["a", ""]),
            ("a b#c '#d' # the rest", &["a", "b#c", "#d"]),
        ] {
            assert_eq!(words(line).expect(line), expected, "{line}");
        }
        for line in ["a 'b", "a \"b", "a \"b\\\""] {
            assert!(words(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_faulty_line_is_told_by_its_number_with_all_that_is_wrong() {
        for (text, told) in [
            ("set a.b.", "line 1: the following required arguments were not provided: <TYPE> <VALUES>..."),
            ("\nput a.b. A 1", "line 2: no verb \"put\"; write set, add, remove or delete"),
            ("sett a.b. A 1", "line 1: no verb \"sett\"; did you mean set?"),
            ("set a.b. TXT 'x", "line 1: a quote ' is not closed"),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), told);
        }
        let failure =
            read("dlete a.b. A\nset a.b. A 1.2.3.4\nset a.b. A 300.1.1.1\nadd a.b. A 'x").expect_err("faulty");
        let text = failure.to_string();
        let lines: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(lines, ["3 faults; nothing was done", "  line 1", "  line 3", "  line 4"], "{text}");
    }
}
