//! Times for people: exact, so that they can be pasted back, and how long ago.

use conn3ction_schemas::Timestamp;

/// `2026-11-22 01:52:07.5Z` and `38m ago`. A cut second would name the state before the event.
pub(super) fn told(time: &str, now: Timestamp) -> [String; 2] {
    let exact = Timestamp::parse(time).map(|time| time.to_exact_text().replace('T', " "));
    [exact.unwrap_or_else(|_| time.to_owned()), age(time, now)]
}

/// How long ago, in the largest unit that fits.
fn age(time: &str, now: Timestamp) -> String {
    let Ok(time) = Timestamp::parse(time) else { return String::new() };
    let secs = (now.0 - time.0).max(0) / 1_000_000;
    match secs {
        0..60 => format!("{secs}s ago"),
        60..7_200 => format!("{}m ago", secs / 60),
        7_200..172_800 => format!("{}h ago", secs / 3_600),
        _ => format!("{}d ago", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_schemas::When;

    use super::*;

    #[test]
    fn ages_are_told_in_the_largest_fitting_unit() {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("a time");
        for (time, text) in [
            ("2026-11-22T11:59:30Z", "30s ago"),
            ("2026-11-22T11:22:00Z", "38m ago"),
            ("2026-11-22T03:00:00Z", "9h ago"),
            ("2026-11-01T12:00:00Z", "21d ago"),
            ("2027-01-01T00:00:00Z", "0s ago"),
        ] {
            assert_eq!(age(time, now), text);
        }
        let [exact, age] = told("2026-11-22T11:22:00.123450Z", now);
        assert_eq!([&*exact, &*age], ["2026-11-22 11:22:00.12345Z", "37m ago"], "a whole minute is not over yet");
        let when: Result<When, _> = exact.parse();
        let meant = Timestamp::parse("2026-11-22T11:22:00.123450Z").expect("a time");
        assert_eq!(when.ok(), Some(When::Time(meant)), "what is printed can be pasted back");
    }
}
