use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

/// Microseconds since the Unix epoch, UTC. Printed as RFC 3339 with `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment that the system clock shows. Only edges call this; decide and fold take times as arguments.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// Takes RFC 3339 with any offset; what is finer than a microsecond is cut.
    ///
    /// # Errors
    ///
    /// The text is no RFC 3339 time.
    pub fn parse(text: &str) -> Result<Self, chrono::ParseError> {
        match whole_seconds(text) {
            Some(time) => Ok(time),
            None => Ok(Self(DateTime::parse_from_rfc3339(text)?.timestamp_micros())),
        }
    }

    /// The moment `micros` microseconds later.
    #[must_use]
    #[inline]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// As [`Timestamp::to_exact_text`], in ASCII at the front of `room` and without an allocation; `None` beyond the
    /// years 0 to 9999.
    pub fn to_exact_octets(self, room: &mut [u8; 27]) -> Option<&[u8]> {
        let (seconds, mut fraction) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000) as u32);
        let second = seconds.rem_euclid(86_400) as u32;
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let year = u32::try_from(year).ok().filter(|year| *year <= 9999)?;
        *room = *b"0000-00-00T00:00:00.000000Z";
        let pairs = [year / 100, year % 100, month, day, second / 3_600, second / 60 % 60, second % 60];
        for (at, number) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(pairs) {
            room[at] += (number / 10) as u8;
            room[at + 1] += (number % 10) as u8;
        }
        if fraction == 0 {
            room[19] = b'Z';
            return Some(&room[..20]);
        }
        for digit in room[20..26].iter_mut().rev() {
            *digit += (fraction % 10) as u8;
            fraction /= 10;
        }
        // Digits that are 0 at the end go.
        let end = 26 - room[20..26].iter().rev().take_while(|digit| **digit == b'0').count();
        room[end] = b'Z';
        Some(&room[..=end])
    }

    /// RFC 3339 with as much of the fraction of the second as there is: the short form that, read again, is this very
    /// moment, so that who pastes the time of an event sees its state and not the one before.
    pub fn to_exact_text(self) -> String {
        match self.to_exact_octets(&mut [0; 27]) {
            Some(octets) => octets.iter().map(|octet| char::from(*octet)).collect(),
            None => self.to_string(),
        }
    }

    /// RFC 3339 in whole seconds, the rest cut: for the time of day, never for the time of an event.
    pub fn to_seconds_text(self) -> String {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

/// Year, month and day of the day that is `days` after 1970-01-01. Years begin in March here, so that the leap day is the
/// last of its year, and 400 of them are 146,097 days.
fn date(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097) as u32);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, year) = (day - (153 * month + 2) / 5 + 1, era * 400 + i64::from(year));
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// `2026-11-22T01:52:07Z`, read several times as fast as any form: questions about the past come with it.
fn whole_seconds(text: &str) -> Option<Timestamp> {
    let octets: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let pair = |at: usize| {
        let [tens, ones] = [octets[at], octets[at + 1]].map(|octet| octet.wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if marks.iter().any(|(at, mark)| octets[*at] != *mark) {
        return None;
    }
    let year = pair(0)? * 100 + pair(2)?;
    let date = NaiveDate::from_ymd_opt(year as i32, pair(5)?, pair(8)?)?;
    // A leap second is left to the general form.
    let time = date.and_hms_opt(pair(11)?, pair(14)?, pair(17)?)?;
    Some(Timestamp(time.and_utc().timestamp_micros()))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_time_is_read_again_as_the_same_and_is_no_longer_than_it_must() {
        for (micros, fraction) in
            [(0, ""), (1, ".000001"), (10, ".00001"), (500_000, ".5"), (530_234, ".530234"), (999_990, ".99999")]
        {
            for second in [1_764_000_000, 0, -86_400] {
                let time = Timestamp(second * 1_000_000 + micros);
                let text = time.to_exact_text();
                assert_eq!(text, time.to_seconds_text().replace('Z', &format!("{fraction}Z")));
                assert_eq!(Timestamp::parse(&text).ok(), Some(time), "{text}");
            }
        }
    }

    #[test]
    fn the_short_ways_read_and_write_what_the_general_ones_do() {
        let general = |text: &str| Some(Timestamp(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()));
        for days in (-720_000..2_930_000i64).step_by(97) {
            let time = Timestamp((days * 86_400 + days.rem_euclid(86_400)) * 1_000_000 + 999_999);
            let text =
                DateTime::from_timestamp_micros(time.0).expect("a time").to_rfc3339_opts(SecondsFormat::Secs, true);
            let whole = Timestamp(time.0 - 999_999);
            let mut room = [0; 27];
            let octets = whole.to_exact_octets(&mut room).filter(|octets| *octets == text.as_bytes());
            assert_eq!(octets.is_some(), text.len() == 20, "{text}");
            assert_eq!(Timestamp::parse(&text).ok(), general(&text), "{text}");
        }
        for odd in [
            "2016-12-31T23:59:60Z",
            "2026-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:60:00Z",
            "2026-11-22t10:15:00Z",
            "2026-11-22 10:15:00Z",
            "20261-1-22T10:15:00Z",
            "2026-1é-2T10:15:00Z",
        ] {
            assert_eq!(Timestamp::parse(odd).ok(), general(odd), "{odd}");
        }
    }
}
