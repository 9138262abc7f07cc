//! The versions of a folder of dated files: each holds its zones from its date on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{NaiveDate, NaiveTime};
use conn3ction_schemas::Timestamp;

use super::{Blob, Blobs, Version};

/// The versions, the oldest first, and the files without a date in their names.
///
/// # Errors
///
/// The folder cannot be read.
pub fn versions(path: &Path) -> io::Result<(Vec<Version>, Vec<PathBuf>)> {
    let (mut versions, mut left) = (Vec::new(), Vec::new());
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let Some((time, rest)) = date(&name) else {
                left.push(entry);
                continue;
            };
            let place = entry.strip_prefix(path).ok().and_then(Path::parent).unwrap_or(Path::new(""));
            let file = place.join(rest).to_string_lossy().into_owned();
            let blob = Blob { id: entry.to_string_lossy().into_owned(), link: false };
            versions.push(Version {
                id: entry.strip_prefix(path).unwrap_or(&entry).to_string_lossy().into_owned(),
                time,
                actor: None,
                reason: None,
                files: vec![(file, Some(blob))],
                moved: Vec::new(),
            });
        }
    }
    versions.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    Ok((versions, left))
}

/// The first date in a file's name, with a time if one follows, in UTC; and the name without it.
fn date(name: &str) -> Option<(Timestamp, String)> {
    let octets = name.as_bytes();
    (0..octets.len()).find_map(|at| {
        if at > 0 && octets[at - 1].is_ascii_digit() {
            return None;
        }
        let mut rest = &octets[at..];
        let year = number(&mut rest, 4)?;
        let month = number(&mut rest, 2)?;
        let day = number(&mut rest, 2)?;
        let day = NaiveDate::from_ymd_opt(year as i32, month, day).filter(|_| (1970..3000).contains(&year))?;
        let mut after = rest;
        let mut time = || {
            after = after.strip_prefix(b"T").or(after.strip_prefix(b"t")).or(after.strip_prefix(b"_")).unwrap_or(after);
            let (hour, minute) = (number(&mut after, 2)?, number(&mut after, 2)?);
            let second = number(&mut after, 2).unwrap_or(0);
            NaiveTime::from_hms_opt(hour, minute, second)
        };
        let time = time();
        if time.is_some() {
            rest = after.strip_prefix(b"Z").unwrap_or(after);
        }
        if rest.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let moment = day.and_time(time.unwrap_or_default()).and_utc().timestamp_micros();
        let separator = |octet: char| "-_.".contains(octet);
        let before = name[..at].trim_end_matches(separator);
        let behind = name[name.len() - rest.len()..].trim_start_matches(separator);
        let rest = if before.is_empty() || behind.is_empty() {
            format!("{before}{behind}")
        } else {
            format!("{before}.{behind}")
        };
        Some((Timestamp(moment), rest))
    })
}

/// So many digits, behind a `-` or `:` or nothing.
fn number(rest: &mut &[u8], digits: usize) -> Option<u32> {
    let from = rest.strip_prefix(b"-").or(rest.strip_prefix(b":")).unwrap_or(rest);
    let (number, after) = from.split_at_checked(digits)?;
    let number = number.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(number).ok()?.parse().ok())??;
    *rest = after;
    Some(number)
}

/// Files on disk.
#[derive(Debug, Clone, Copy)]
pub struct Files;

impl Blobs for Files {
    fn read(&mut self, blob: &Blob) -> io::Result<Vec<u8>> {
        fs::read(&blob.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_found_in_names() {
        for (name, time, rest) in [
            ("2018-01-31.zone.gz", "2018-01-31T00:00:00Z", "zone.gz"),
            ("2018-01-29-signed.zone.gz", "2018-01-29T00:00:00Z", "signed.zone.gz"),
            ("example.org-20260102T030405Z.zone", "2026-01-02T03:04:05Z", "example.org.zone"),
            ("db.example.20260102", "2026-01-02T00:00:00Z", "db.example"),
            ("example_2026-01-02_03-04.zone", "2026-01-02T03:04:00Z", "example.zone"),
        ] {
            let expected = Timestamp::parse(time).expect("a time");
            assert_eq!(date(name), Some((expected, rest.to_owned())), "{name}");
        }
        for name in ["example.zone", "10.2.0.192.in-addr.arpa", "20261399.zone", "123420260102.zone"] {
            assert_eq!(date(name), None, "{name}");
        }
    }
}
