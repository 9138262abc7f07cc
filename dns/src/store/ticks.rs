//! The versions that touched a zone, found by version and by time.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use conn3ction_schemas::Timestamp;

use super::{
    Version,
    sealed::{Column, Row},
    segments::{self, Segments},
    zone::Tick,
};

/// What each event left behind in a zone. Versions rise, and times never fall.
#[derive(Debug)]
pub(super) struct Ticks {
    /// The first of them, in a file.
    sealed: Option<Column>,
    len: AtomicU32,
    /// Version, time ([`in_order`]), and the rest of a tick as a sealed row has it.
    rows: Segments<[AtomicU64; 4]>,
    /// Version and time of every [`ROWS`]th row but the first.
    every: [Rising; 2],
}

/// Of so many rows one has its version and time in `every`.
const ROWS: u32 = 16;
/// Columns of a row that a search can go by.
const VERSION: usize = 0;
const TIME: usize = 1;

impl Ticks {
    pub(super) const fn new(sealed: Option<Column>) -> Self {
        let len = AtomicU32::new(0);
        Self { sealed, len, rows: Segments::new(), every: [Rising::new(), Rising::new()] }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Version, Tick)> {
        let sealed = self.sealed.iter().flat_map(|column| (0..column.len()).filter_map(|place| column.row(place)));
        sealed.chain((0..self.len.load(Ordering::Acquire)).filter_map(|place| self.rows.get(place)).map(tick))
    }

    /// Adds the tick of `version`. For the writer only; each version has one tick.
    pub(super) fn push(&self, version: Version, tick: Tick) {
        let len = self.len.load(Ordering::Relaxed);
        let [time, counts, serial] = tick.row();
        let row = [version.0, in_order(time), counts, serial];
        for (place, number) in self.rows.place(len).iter().zip(row) {
            place.store(number, Ordering::Relaxed);
        }
        if len > 0 && len.is_multiple_of(ROWS) {
            for (every, number) in self.every.iter().zip(row) {
                every.push(len / ROWS - 1, number);
            }
        }
        self.len.store(len + 1, Ordering::Release);
    }

    /// The last of them.
    pub(super) fn newest(&self) -> Option<(Version, Tick)> {
        self.at(Version(u64::MAX))
    }

    /// The last one up to `version`.
    pub(super) fn at(&self, version: Version) -> Option<(Version, Tick)> {
        match self.last_up_to(VERSION, version.0) {
            Some(row) => Some(tick(row)),
            None => self.in_file(|since, _| since <= version),
        }
    }

    /// The version of the last one up to `version` that took effect by `time`.
    pub(super) fn at_time(&self, version: Version, time: Timestamp) -> Option<Version> {
        match self.last_up_to(TIME, in_order(time.0 as u64)).map(|row| tick(row).0) {
            Some(found) if found <= version => Some(found),
            // Younger than the view, which came to be while it was made.
            Some(_) => self.at(version).map(|(since, _)| since),
            None => self.in_file(|since, tick| since <= version && tick.time <= time).map(|(since, _)| since),
        }
    }

    fn in_file(&self, holds: impl Fn(Version, &Tick) -> bool) -> Option<(Version, Tick)> {
        let column = self.sealed.as_ref()?;
        segments::last(column.len(), |place| column.row(place), holds)
    }

    /// The last row with at most `number` in `column`.
    fn last_up_to(&self, column: usize, number: u64) -> Option<&[AtomicU64; 4]> {
        let len = self.len.load(Ordering::Acquire);
        let is_low = |row: &[AtomicU64; 4]| row[column].load(Ordering::Relaxed) <= number;
        // Live questions ask for the last one.
        let last = self.rows.get(len.checked_sub(1)?)?;
        if is_low(last) {
            return Some(last);
        }
        let from = self.every[column].count_up_to((len - 1) / ROWS, number) * ROWS;
        let low = self.rows.count(from, len.min(from + ROWS), is_low);
        self.rows.get((from + low).checked_sub(1)?)
    }
}

fn tick(row: &[AtomicU64; 4]) -> (Version, Tick) {
    let [version, time, counts, serial] = row.each_ref().map(|number| number.load(Ordering::Relaxed));
    (Version(version), Tick::read([in_order(time), counts, serial]))
}

/// Times from before 1970 are negative: this puts them first, and takes itself back.
fn in_order(time: u64) -> u64 {
    time ^ 1 << 63
}

/// Of so many numbers one has a copy one level up: a few cache lines, read at once.
const STEP: u32 = 32;

/// Numbers that never fall. Of every [`STEP`]th but the first there is a copy one level up, and so on: a search looks at
/// one step of each level, and all but the last levels stay in the cache.
#[derive(Debug)]
struct Rising {
    numbers: Segments<AtomicU64>,
    above: OnceLock<Box<Rising>>,
}

impl Rising {
    const fn new() -> Self {
        Self { numbers: Segments::new(), above: OnceLock::new() }
    }

    /// Puts `number` after the `place` that there are.
    fn push(&self, place: u32, number: u64) {
        self.numbers.place(place).store(number, Ordering::Relaxed);
        if place > 0 && place.is_multiple_of(STEP) {
            self.above.get_or_init(|| Box::new(Self::new())).push(place / STEP - 1, number);
        }
    }

    /// How many of the first `len` numbers are at most `number`.
    fn count_up_to(&self, len: u32, number: u64) -> u32 {
        let from = match self.above.get() {
            Some(above) if len > STEP => above.count_up_to((len - 1) / STEP, number) * STEP,
            _ => 0,
        };
        from + self.numbers.count(from, len.min(from + STEP), |other| other.load(Ordering::Relaxed) <= number)
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_schemas::Serial;

    use super::*;

    #[test]
    fn ticks_are_found_by_version_and_by_time() {
        let ticks = Ticks::new(None);
        assert_eq!(ticks.at(Version(9)), None);
        let tick = |step: u64| Tick {
            time: Timestamp(step as i64 * 10 - 500),
            records: step as u32,
            serial: step.is_multiple_of(3).then_some(Serial(step as u32)),
            ..Tick::default()
        };
        for len in 1..=5_000u64 {
            ticks.push(Version(len * 10), tick(len));
            for asked in [1, 9, 10, 11, 159, 160, 319, 320, 321, len * 7, len * 10 - 1, len * 10, len * 20] {
                let expected = (asked / 10).min(len);
                let expected = (expected > 0).then(|| (Version(expected * 10), tick(expected)));
                assert_eq!(ticks.at(Version(asked)), expected, "at {asked} of {len}");
                let time = Timestamp(asked as i64 - 500);
                let since = expected.map(|(since, _)| since);
                assert_eq!(ticks.at_time(Version(u64::MAX), time), since, "by time at {asked} of {len}");
                let half = len / 2 * 10;
                let up_to_half = since.filter(|_| half > 0).map(|since| since.min(Version(half)));
                assert_eq!(
                    ticks.at_time(Version(half), time),
                    up_to_half,
                    "of the first half, by time at {asked} of {len}"
                );
            }
        }
    }
}
