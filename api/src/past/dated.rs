//! The versions of a folder of dated files: each holds its zones from its date on.

use std::{fs, io, path::Path};

use chrono::{NaiveDate, NaiveTime};
use conn3ction_schemas::Timestamp;

use super::{Blob, Blobs, Version};

/// The versions, the oldest first, and the files without a date in their names: those are beside every version.
///
/// # Errors
///
/// The folder cannot be read.
pub fn versions(path: &Path) -> io::Result<(Vec<Version>, Vec<String>)> {
    let (mut dated, mut left) = (Vec::new(), Vec::new());
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
            let blob = Blob { id: entry.to_string_lossy().into_owned(), link: false };
            let place = entry.strip_prefix(path).unwrap_or(&entry);
            let id = place.to_string_lossy().into_owned();
            let Some(date) = date(&name) else {
                left.push((id, blob));
                continue;
            };
            let file = place.with_file_name(&date.rest).to_string_lossy().into_owned();
            dated.push((date, id, file, blob));
        }
    }
    dated.sort_by(|(a, a_id, ..), (b, b_id, ..)| (a.time, a.number, a_id).cmp(&(b.time, b.number, b_id)));
    left.sort_by(|a, b| a.0.cmp(&b.0));
    let mut versions: Vec<Version> = Vec::new();
    for moment in dated.chunk_by(|(a, ..), (b, ..)| (a.time, a.number) == (b.time, b.number)) {
        // A zone finds what it includes of its own date, whichever of the two files comes first.
        let mut beside: Vec<_> = moment.iter().map(|(_, _, file, blob)| (file.clone(), blob.clone())).collect();
        if versions.is_empty() {
            beside.splice(..0, left.iter().cloned());
        }
        for (date, id, file, blob) in moment {
            versions.push(Version {
                id: id.clone(),
                time: date.time,
                actor: None,
                reason: None,
                files: vec![(file.clone(), Some(blob.clone()))],
                moved: Vec::new(),
                beside: std::mem::take(&mut beside),
            });
        }
    }
    Ok((versions, left.into_iter().map(|(id, _)| id).collect()))
}

/// What a file's name tells about its version.
#[derive(Debug, PartialEq, Eq)]
struct Dated {
    time: Timestamp,
    /// Of several versions of one date; 0 where there is no number.
    number: u32,
    /// The name without them.
    rest: String,
}

/// The first date in a file's name, with a time in UTC or a running number if one follows; and the name without it.
fn date(name: &str) -> Option<Dated> {
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
        let number = time.is_none().then(|| running_number(&mut rest)).flatten().unwrap_or_default();
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
        Some(Dated { time: Timestamp(moment), number, rest })
    })
}

/// The number behind a date: `-2`, `_13`, or `02` where nothing parts them, as in a serial. Where a reverse zone's name
/// goes on behind it, it is that name's.
fn running_number(rest: &mut &[u8]) -> Option<u32> {
    let from = rest.strip_prefix(b"-").or(rest.strip_prefix(b"_")).or(rest.strip_prefix(b".")).unwrap_or(rest);
    let digits = from.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (number, after) = from.split_at(digits);
    let fits = if from.len() == rest.len() { digits == 2 } else { (1..=4).contains(&digits) };
    let ends = after.first().is_none_or(|octet| b"-_.".contains(octet));
    let is_reverse =
        [&b".in-addr.arpa"[..], b".ip6.arpa"].iter().any(|end| after.windows(end.len()).any(|it| it == *end));
    if !fits || !ends || is_reverse {
        return None;
    }
    *rest = after;
    std::str::from_utf8(number).ok()?.parse().ok()
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
    fn dates_times_and_running_numbers_are_found_in_names() {
        for (name, time, number, rest) in [
            ("2018-01-31.zone.gz", "2018-01-31T00:00:00Z", 0, "zone.gz"),
            ("2018-01-29-signed.zone.gz", "2018-01-29T00:00:00Z", 0, "signed.zone.gz"),
            ("example.org-20260102T030405Z.zone", "2026-01-02T03:04:05Z", 0, "example.org.zone"),
            ("db.example.20260102", "2026-01-02T00:00:00Z", 0, "db.example"),
            ("example_2026-01-02_03-04.zone", "2026-01-02T03:04:00Z", 0, "example.zone"),
            ("example.org-20200109-1.zone", "2020-01-09T00:00:00Z", 1, "example.org.zone"),
            ("example.org-20200109-10.zone", "2020-01-09T00:00:00Z", 10, "example.org.zone"),
            ("example.org.20200109_2", "2020-01-09T00:00:00Z", 2, "example.org"),
            ("db.example.2020010903", "2020-01-09T00:00:00Z", 3, "db.example"),
            ("2020-01-09.2.example.org.zone", "2020-01-09T00:00:00Z", 2, "example.org.zone"),
            ("2020-01-09-10.2.0.192.in-addr.arpa", "2020-01-09T00:00:00Z", 0, "10.2.0.192.in-addr.arpa"),
            ("20200109.10.in-addr.arpa.zone", "2020-01-09T00:00:00Z", 0, "10.in-addr.arpa.zone"),
        ] {
            let time = Timestamp::parse(time).expect("a time");
            assert_eq!(date(name), Some(Dated { time, number, rest: rest.to_owned() }), "{name}");
        }
        for name in ["example.zone", "10.2.0.192.in-addr.arpa", "20261399.zone", "123420260102.zone", "202601021.zone"]
        {
            assert_eq!(date(name), None, "{name}");
        }
    }
}
