//! Query parameters, strictly: what is not understood is refused, with the nearest known name as a hint.

use std::{str::FromStr, time::Duration};

use axum::http::Uri;
use conn3ction_schemas::{Name, RecordType, json::ProblemError};

use super::problem::{Problem, ProblemKind};
use crate::path::decode;

/// The parameters of one request, all of them known to its route.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// Parameters that may stand several times.
const SEVERAL: [&str; 1] = ["anchor"];

/// Parameters that every read takes: a revision to wait for, and for how long at most.
pub(super) const WAITING: [&str; 2] = ["min_revision", "wait"];

impl Query {
    /// Reads the query of a read; every name must be in `known` or [`WAITING`], and stand once, unless it is one
    /// of [`SEVERAL`].
    ///
    /// # Errors
    ///
    /// [`ProblemKind::UnknownParameter`] naming every unknown one, [`ProblemKind::Malformed`] for bad encoding or a name twice.
    pub(crate) fn parse(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        Self::strict(uri, known, &WAITING)
    }

    /// Reads the query of a write, which waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub(crate) fn of_write(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        Self::strict(uri, known, &[])
    }

    fn strict(uri: &Uri, known: &[&str], waiting: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut unknown = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name, true), decode(value, true)) else {
                return Err(Problem::new(ProblemKind::Malformed, "the query is not percent-encoded UTF-8"));
            };
            if !known.contains(&name.as_str()) && !waiting.contains(&name.as_str()) {
                let hint = nearest(&name, known.iter().chain(waiting).copied());
                unknown.push(parameter_error(&name, "is not a parameter of this route", hint));
            } else if pairs.iter().any(|(earlier, _)| *earlier == name) && !SEVERAL.contains(&name.as_str()) {
                return Err(Problem::new(ProblemKind::Malformed, format!("the parameter {name} stands twice")));
            }
            pairs.push((name, value));
        }
        if unknown.is_empty() {
            return Ok(Self(pairs));
        }
        Err(Problem::new(ProblemKind::UnknownParameter, "nothing was done").with(unknown))
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter parsed; what it should have been goes into the problem.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`].
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| parsed(name, text, expected)).transpose()
    }

    /// Every value of a parameter that may stand several times, parsed.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`].
    pub(crate) fn several<T: FromStr>(&self, name: &str, expected: &str) -> Result<Vec<T>, Problem> {
        let values = self.0.iter().filter(|(known, _)| known == name);
        values.map(|(_, text)| parsed(name, text, expected)).collect()
    }

    /// `true` or `false`; absent is `false`.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`] for anything else, the empty text included.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.parsed(name, "true or false")?.unwrap_or(false))
    }

    /// How many items a page has at most; all if there is no limit.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`].
    pub(crate) fn limit(&self) -> Result<Option<usize>, Problem> {
        Ok(self.parsed::<std::num::NonZeroUsize>("limit", "a number from 1 on")?.map(Into::into))
    }

    /// A domain name.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`].
    pub(crate) fn name(&self, name: &str) -> Result<Option<Name>, Problem> {
        self.parsed(name, "a domain name")
    }

    /// A record type.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`].
    pub(crate) fn rtype(&self, name: &str) -> Result<Option<RecordType>, Problem> {
        self.parsed(name, "a record type such as A or TYPE65280")
    }

    /// A duration such as `10s`, at most a minute; [`Duration::ZERO`] when absent.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::Malformed`].
    pub(crate) fn wait(&self) -> Result<Duration, Problem> {
        let Some(text) = self.text("wait") else { return Ok(Duration::ZERO) };
        wait(text).map_err(|detail| Problem::new(ProblemKind::Malformed, detail))
    }
}

/// How long somebody is ready to wait.
pub(crate) fn wait(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "wait is a duration such as 500ms or 10s, at most 60s";
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or(FORM)?, 1000),
    };
    let millis = number.parse::<u64>().map_err(|_| FORM)?.saturating_mul(unit);
    if millis > 60_000 { Err(FORM) } else { Ok(Duration::from_millis(millis)) }
}

fn parsed<T: FromStr>(name: &str, text: &str, expected: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| {
        Problem::new(ProblemKind::Malformed, format!("the parameter {name} is not {expected}")).with([parameter_error(
            name,
            &format!("{text:?} is not {expected}"),
            None,
        )])
    })
}

/// An item of a problem that names a query parameter.
fn parameter_error(name: &str, detail: &str, hint: Option<String>) -> ProblemError {
    ProblemError { parameter: Some(name.into()), detail: detail.into(), hint, ..ProblemError::default() }
}

/// `did you mean X?` for the known word nearest to `word`, if one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    known
        .map(|candidate| (distance(&plain(word), &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| format!("did you mean {candidate}?"))
}

/// In how many octets `a` and `b` differ, two swapped neighbours as one (optimal string alignment), over the first 64 of
/// each.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (&a.as_bytes()[..a.len().min(64)], &b.as_bytes()[..b.len().min(64)]);
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_parameter_is_refused_with_the_nearest_known_one() {
        let uri = "/records?dryrun=true&zone=a".parse().expect("a uri");
        let problem = Query::parse(&uri, &["dry_run", "zone"]).expect_err("unknown");
        assert_eq!(problem.kind, ProblemKind::UnknownParameter);
        assert_eq!(problem.errors[0].hint.as_deref(), Some("did you mean dry_run?"));
    }

    #[test]
    fn flags_are_true_or_false_only() {
        for (query, expected) in
            [("x=true", Some(true)), ("x=false", Some(false)), ("", Some(false)), ("x", None), ("x=1", None)]
        {
            let uri = format!("/?{query}").parse().expect("a uri");
            assert_eq!(Query::parse(&uri, &["x"]).expect("known").flag("x").ok(), expected, "{query}");
        }
    }

    #[test]
    fn a_parameter_twice_or_badly_encoded_is_refused() {
        for query in ["x=1&x=2", "x=%zz", "x=%ff"] {
            let uri = format!("/?{query}").parse().expect("a uri");
            assert!(Query::parse(&uri, &["x"]).is_err(), "{query}");
        }
    }
}
