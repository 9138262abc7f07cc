use std::{fmt, str::FromStr};

use crate::{Epoch, Revision, Timestamp, Token, revision::digits};

/// A moment as people write it: `r1041`, `1:1041`, RFC 3339, an age such as `40m`, or `now`.
///
/// Bare numbers are refused: `15` could mean a revision or minutes. Where only a revision can stand, callers take
/// [`When::parse_revision`]. What prints can be pasted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The present.
    Now,
    /// A place in the ledger, in this epoch or the one named.
    Revision(Option<Epoch>, Revision),
    /// A point in time.
    Time(Timestamp),
    /// So many microseconds before the present.
    Age(i64),
}

/// The text names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a moment; write r1041, 1:1041, 2026-11-22T10:15:00Z, an age such as 40m, 2h, 3d or 1w, or now")]
pub struct WhenError;

impl When {
    /// Takes a moment, or a bare number as a revision.
    ///
    /// # Errors
    ///
    /// [`WhenError`] for whatever is no revision.
    pub fn parse_revision(text: &str) -> Result<Self, WhenError> {
        if let Ok(number) = digits(text) {
            return Ok(Self::Revision(None, Revision(number)));
        }
        match text.parse()? {
            revision @ Self::Revision(..) => Ok(revision),
            _ => Err(WhenError),
        }
    }
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        if text.is_empty() {
            return Err(WhenError);
        }
        if text.eq_ignore_ascii_case("now") {
            return Ok(Self::Now);
        }
        if let Some(number) = text.strip_prefix(['r', 'R']) {
            return digits(number).map(|n| Self::Revision(None, Revision(n))).map_err(|_| WhenError);
        }
        if let Ok(time) = Timestamp::parse(text) {
            return Ok(Self::Time(time));
        }
        if let Ok(token) = text.parse::<Token>() {
            return Ok(Self::Revision(Some(token.epoch), token.revision));
        }
        if let Some(time) = compact_time(text) {
            return Ok(Self::Time(time));
        }
        age(text).map(Self::Age).ok_or(WhenError)
    }
}

/// `20261122T101500Z`, the form that fits a DNS label.
fn compact_time(text: &str) -> Option<Timestamp> {
    let text = text.to_ascii_uppercase();
    chrono::NaiveDateTime::parse_from_str(&text, "%Y%m%dT%H%M%SZ")
        .ok()
        .map(|time| Timestamp(time.and_utc().timestamp_micros()))
}

fn age(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let secs: i64 = match unit.as_bytes() {
        b"s" | b"S" => 1,
        b"m" | b"M" => 60,
        b"h" | b"H" => 3_600,
        b"d" | b"D" => 86_400,
        b"w" | b"W" => 604_800,
        _ => return None,
    };
    if number.is_empty() {
        return None;
    }
    digits::<i64>(number).ok()?.checked_mul(secs)?.checked_mul(1_000_000)
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Revision(None, revision) => revision.fmt(f),
            Self::Revision(Some(epoch), revision) => Token { epoch: *epoch, revision: *revision }.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Age(micros) => write!(f, "{}s", micros / 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_parse_and_bare_numbers_do_not() {
        assert_eq!("r1041".parse(), Ok(When::Revision(None, Revision(1041))));
        assert_eq!("2:7".parse(), Ok(When::Revision(Some(Epoch(2)), Revision(7))));
        assert_eq!("2h".parse(), Ok(When::Age(7_200_000_000)));
        assert_eq!("20261122t101500z".parse(), "2026-11-22T10:15:00Z".parse::<When>());
        for bad in ["15", "", "r", "h", "r-1", "-2h", "2y", "99999999999999999999w", "2026-11-22", "1:", "é"] {
            assert_eq!(bad.parse::<When>(), Err(WhenError), "{bad}");
        }
        assert_eq!(When::parse_revision("1041"), Ok(When::Revision(None, Revision(1041))));
        assert_eq!(When::parse_revision("2h"), Err(WhenError));
    }

    #[test]
    fn what_is_printed_parses_back() {
        for text in ["now", "r7", "1:7", "2026-11-22T10:15:00.000001Z", "120s"] {
            assert_eq!(text.parse::<When>().expect("a moment").to_string(), text);
        }
    }
}
