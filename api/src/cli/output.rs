//! How results look: tables for people, JSON lines, CSV or master-file lines for programs. Whatever came from a zone is
//! escaped before it reaches a terminal.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use conn3ction_schemas::json;
use serde::Serialize;

use super::client::Failure;
use crate::http::list::Row;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// Aligned columns.
    Table,
    /// Aligned columns, all of them.
    Wide,
    /// One JSON object a line.
    Json,
    /// RFC 4180 with a header line.
    Csv,
    /// Master-file lines.
    Zone,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

pub(super) const ADDED: Style = AnsiColor::Green.on_default();
pub(super) const REMOVED: Style = AnsiColor::Red.on_default();
pub(super) const NOTE: Style = AnsiColor::Cyan.on_default();
pub(super) const FAULT: Style = AnsiColor::Red.on_default().bold();

/// Prints results in the chosen way; words for people go to standard error, so that a pipe carries results only.
pub(super) struct Printer {
    pub(super) output: Output,
    color: anstream::ColorChoice,
    /// Results are for programs, so these lines go beside them.
    is_aside: bool,
}

impl Printer {
    pub(super) fn new(output: Output, color: Color) -> Self {
        Self { output, color: color.choice(), is_aside: false }
    }

    /// One for what people read: where results are for programs, on standard error.
    pub(super) fn aside(&self) -> Self {
        Self { output: Output::Table, color: self.color, is_aside: self.for_programs() }
    }

    /// Rows of one kind; `columns` picks those of the narrow table.
    pub(super) fn rows<T: Row>(&self, rows: &[T], columns: &[&str]) {
        match self.output {
            Output::Json => self.json_lines(rows),
            Output::Csv => self.csv(rows, true),
            Output::Table | Output::Wide | Output::Zone => {
                let shown: Vec<usize> = (0..T::COLUMNS.len())
                    .filter(|at| self.output == Output::Wide || columns.contains(&T::COLUMNS[*at]))
                    .collect();
                let mut lines = vec![shown.iter().map(|at| T::COLUMNS[*at].to_ascii_uppercase()).collect::<Vec<_>>()];
                lines.extend(rows.iter().map(|row| {
                    let cells = row.cells();
                    shown.iter().map(|at| cells[*at].clone()).collect()
                }));
                self.table(&lines);
            }
        }
    }

    /// Aligned lines, the first of them the names of the columns.
    pub(super) fn table(&self, lines: &[Vec<String>]) {
        let escaped: Vec<Vec<String>> =
            lines.iter().map(|line| line.iter().map(|cell| escape(cell)).collect()).collect();
        aligned(&escaped).iter().for_each(|line| self.line(Style::new(), line));
    }

    /// CSV lines, the first of them below the names of the columns.
    pub(super) fn csv<T: Row>(&self, rows: &[T], is_first: bool) {
        let mut out = Vec::new();
        if is_first {
            crate::http::list::csv_line(&mut out, T::COLUMNS.iter().copied());
        }
        for row in rows {
            crate::http::list::csv_line(&mut out, row.cells().iter().map(String::as_str));
        }
        self.raw(&out);
    }

    /// One JSON object a line.
    pub(super) fn json_lines<T: Serialize>(&self, items: &[T]) {
        for item in items {
            match serde_json::to_string(item) {
                Ok(line) => self.line(Style::new(), &line),
                Err(error) => eprintln!("conn3ction: {error}"),
            }
        }
    }

    /// A styled line on standard output. A closed pipe is not our fault and ends the printing.
    pub(super) fn line(&self, style: Style, text: &str) {
        if self.is_aside {
            // Nobody reads it then.
            let _ = writeln!(anstream::AutoStream::new(std::io::stderr(), self.color), "{style}{text}{style:#}");
            return;
        }
        let mut out = anstream::AutoStream::new(std::io::stdout(), self.color);
        if writeln!(out, "{style}{text}{style:#}").is_err() {
            std::process::exit(0);
        }
    }

    /// Octets as they are.
    pub(super) fn raw(&self, octets: &[u8]) {
        let mut out = std::io::stdout().lock();
        if out.write_all(octets).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    }

    /// A word for people, on standard error.
    pub(super) fn note(&self, text: &str) {
        let mut out = anstream::AutoStream::new(std::io::stderr(), self.color);
        // Nobody reads it then.
        let _ = writeln!(out, "{NOTE}{}{NOTE:#}", escape(text));
    }

    /// Whether results are for programs.
    pub(super) fn for_programs(&self) -> bool {
        matches!(self.output, Output::Json | Output::Csv)
    }
}

/// Lines of equally many styled cells in columns; what comes from zones is escaped.
pub(super) fn columns(lines: &[Vec<(Style, String)>]) -> Vec<String> {
    let plain: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|(_, cell)| escape(cell)).collect()).collect();
    // What is empty in every line takes no room.
    let widths: Vec<usize> = widths(&plain).into_iter().map(|width| if width == 0 { 0 } else { width + 2 }).collect();
    let line = |(styles, cells): (&Vec<(Style, String)>, &Vec<String>)| -> String {
        let last = cells.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
        let cells = styles.iter().zip(cells).zip(&widths).take(last + 1).enumerate();
        let padded = cells.map(|(at, (((style, _), cell), width))| {
            let space = if at == last { 0 } else { width - cell.chars().count() };
            format!("{style}{cell}{style:#}{:space$}", "")
        });
        padded.collect()
    };
    lines.iter().zip(&plain).map(line).collect()
}

/// Cells in columns as wide as their widest cell, two spaces apart.
fn aligned(lines: &[Vec<String>]) -> Vec<String> {
    let widths = widths(lines);
    let padded =
        |line: &Vec<String>| line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
    lines.iter().map(padded).map(|line: String| line.trim_end().to_owned()).collect()
}

fn widths(lines: &[Vec<String>]) -> Vec<usize> {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    (0..columns).map(width).collect()
}

/// Control characters shown instead of obeyed; line feeds between values become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// A failure with every bad item and its hint.
pub(super) fn failure(failure: &Failure, color: Color) {
    let mut out = anstream::AutoStream::new(std::io::stderr(), color.choice());
    for (at, line) in told(failure).iter().enumerate() {
        let name = if at == 0 { format!("{FAULT}conn3ction:{FAULT:#} ") } else { "  ".into() };
        let _ = writeln!(out, "{name}{}", escape(line.trim_start()));
    }
}

/// A failure as an object on standard error: what the server said, or the like of it for what never reached one.
pub(super) fn problem(failure: &Failure) {
    let printed = match failure {
        Failure::Refused(problem) => serde_json::to_string(problem),
        failure => serde_json::to_string(&serde_json::json!({
            "type": format!("cli:{}", failure.name()),
            "detail": failure.to_string(),
        })),
    };
    // Both are maps of texts and numbers.
    eprintln!("{}", printed.unwrap_or_default());
}

/// A failure in lines.
fn told(failure: &Failure) -> Vec<String> {
    // Lists keep their lines; what a server says of one thing is one line.
    let Failure::Refused(problem) = failure else { return failure.to_string().lines().map(str::to_owned).collect() };
    let line = |item: &json::ProblemError| {
        let column = item.column.map(|column| format!(", column {column}")).unwrap_or_default();
        item.line.map(|line| format!("line {line}{column}: ")).unwrap_or_default()
    };
    let whole = |item: &json::ProblemError| {
        let place = [&item.parameter, &item.header].into_iter().flatten().next();
        let place = place.map_or_else(|| line(item), |place| format!("{place}: "));
        format!("{place}{}", item.detail)
    };
    match &problem.errors[..] {
        // A lone item has its words in the first line already.
        [item] if item.detail == problem.detail => {
            let first = json::Problem { detail: line(item) + &item.detail, ..(**problem).clone() };
            std::iter::once(Failure::Refused(Box::new(first)).to_string()).chain(item.hint.clone()).collect()
        }
        items => {
            let hinted = |item: &json::ProblemError| {
                let hint = item.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{}{hint}", whole(item))
            };
            // The server's first line repeats the first item and counts the others.
            let repeats =
                items.first().is_some_and(|first| problem.detail.starts_with(&format!("{} (and ", first.detail)));
            let first = if repeats { format!("{} faults; nothing was done", items.len()) } else { failure.to_string() };
            std::iter::once(first).chain(items.iter().map(hinted)).collect()
        }
    }
}

/// Whether there is somebody to ask.
pub(super) fn is_asked() -> bool {
    std::io::stdin().is_terminal()
}

/// Says in `summary` what would be done, and asks. Where nobody can be asked, programs get the plans, so that they can be looked
/// at and applied by `apply`.
pub(super) fn agreed(
    printer: &Printer,
    summary: &str,
    question: &str,
    yes: bool,
    plans: &[&json::Plan],
) -> Result<bool, Failure> {
    if yes || !is_asked() {
        printer.note(summary);
    }
    if !yes && !is_asked() && printer.for_programs() {
        printer.json_lines(plans);
    }
    confirmed(&format!("{summary}. {question}"), yes)
}

/// Asks on the terminal; without one, `--yes` is needed.
pub(super) fn confirmed(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !is_asked() {
        return Err(Failure::Usage("this needs --yes where nobody can be asked".into()));
    }
    eprint!("{} [y/N] ", escape(question));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|source| Failure::File { path: "standard input".into(), source })?;
    Ok(answer.trim().eq_ignore_ascii_case("y") || answer.trim().eq_ignore_ascii_case("yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_a_zone_cannot_drive_a_terminal() {
        assert_eq!(escape("\"\u{1b}[31mred\u{7}\"\nb"), "\"\\u{1b}[31mred\\u{7}\" b");
    }
}
