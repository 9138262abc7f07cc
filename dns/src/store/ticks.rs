//! The versions that touched a zone, found by version and by time.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use conn3ction_schemas::Timestamp;

use super::{
    Version,
    sealed::{Column, Row},
    segments::{self, FIRST, Segments},
    zone::Tick,
};

/// What each event left behind in a zone. Versions rise, and so do times.
#[derive(Debug)]
pub(super) struct Ticks {
    /// The first of them, in a file.
    sealed: Option<Column>,
    len: AtomicU32,
    versions: Rising,
    times: Rising,
    /// The rest of each, as a row has it.
    rest: Segments<[AtomicU64; 2]>,
}

impl Ticks {
    pub(super) const fn new(sealed: Option<Column>) -> Self {
        let len = AtomicU32::new(0);
        Self { sealed, len, versions: Rising::new(), times: Rising::new(), rest: Segments::new() }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Version, Tick)> {
        let sealed = self.sealed.iter().flat_map(|column| (0..column.len()).filter_map(|place| column.row(place)));
        sealed.chain((0..self.len()).filter_map(|place| self.get(place)))
    }

    /// Adds the tick of `version`. For the writer only; each version has one tick.
    pub(super) fn push(&self, version: Version, tick: Tick) {
        let len = self.len.load(Ordering::Relaxed);
        let [time, rest @ ..] = tick.row();
        self.versions.push(len, version.0);
        self.times.push(len, in_order(time));
        for (place, number) in self.rest.place(len).iter().zip(rest) {
            place.store(number, Ordering::Relaxed);
        }
        self.len.store(len + 1, Ordering::Release);
    }

    /// The last of them.
    pub(super) fn newest(&self) -> Option<(Version, Tick)> {
        self.at(Version(u64::MAX))
    }

    /// The last one up to `version`.
    pub(super) fn at(&self, version: Version) -> Option<(Version, Tick)> {
        match self.versions.last_up_to(self.len(), version.0) {
            Some(place) => self.get(place),
            None => self.in_file(|since, _| since <= version),
        }
    }

    /// The last one up to `version` that took effect by `time`.
    pub(super) fn at_time(&self, version: Version, time: Timestamp) -> Option<(Version, Tick)> {
        let len = self.len();
        let found = self.times.last_up_to(len, in_order(time.0 as u64)).and_then(|by_time| {
            if self.versions.get(by_time) <= version.0 {
                return Some(by_time);
            }
            // Younger than the view, which came to be while it was made.
            self.versions.last_up_to(len, version.0)
        });
        match found {
            Some(place) => self.get(place),
            None => self.in_file(|since, tick| since <= version && tick.time <= time),
        }
    }

    fn in_file(&self, holds: impl Fn(Version, &Tick) -> bool) -> Option<(Version, Tick)> {
        let column = self.sealed.as_ref()?;
        segments::last(column.len(), |place| column.row(place), holds)
    }

    fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    fn get(&self, place: u32) -> Option<(Version, Tick)> {
        let [counts, serial] = self.rest.get(place)?.each_ref().map(|number| number.load(Ordering::Relaxed));
        let time = in_order(self.times.get(place));
        Some((Version(self.versions.get(place)), Tick::read([time, counts, serial])))
    }
}

/// Times from before 1970 are negative: this puts them first, and takes itself back.
fn in_order(time: u64) -> u64 {
    time ^ 1 << 63
}

/// Numbers that never fall. Of every [`FIRST`]th there is a copy one level up, and so on: a search looks at one cache
/// line of each level, and all but the last levels stay in the cache.
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
        const STEP: u32 = FIRST as u32;
        self.numbers.place(place).store(number, Ordering::Relaxed);
        if place == STEP {
            let above = self.above.get_or_init(|| Box::new(Self::new()));
            above.push(0, self.get(0));
        }
        if let Some(above) = self.above.get().filter(|_| place.is_multiple_of(STEP)) {
            above.push(place / STEP, number);
        }
    }

    fn get(&self, place: u32) -> u64 {
        self.numbers.get(place).map_or(0, |number| number.load(Ordering::Relaxed))
    }

    /// The place of the last of `len` numbers that is at most `number`.
    fn last_up_to(&self, len: u32, number: u64) -> Option<u32> {
        let last = len.checked_sub(1)?;
        // Live questions ask for the last one.
        if self.get(last) <= number {
            return Some(last);
        }
        let place = self.search(last, number);
        (place > 0 || self.get(0) <= number).then_some(place)
    }

    /// The same of those up to `last`; 0 also if all are higher.
    fn search(&self, last: u32, number: u64) -> u32 {
        let step = FIRST as u32;
        let from = match self.above.get() {
            Some(above) if last >= step => above.search(last / step, number) * step,
            _ => 0,
        };
        let run = self.numbers.run(from);
        let run = run.get(1..run.len().min(FIRST).min((last - from) as usize + 1)).unwrap_or_default();
        from + run.iter().filter(|other| other.load(Ordering::Relaxed) <= number).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_by_version_and_by_time() {
        let ticks = Ticks::new(None);
        assert_eq!(ticks.at(Version(9)), None);
        let tick = |step: u64| Tick {
            time: Timestamp(step as i64 * 10 - 500),
            records: step as u32,
            serial: step.is_multiple_of(3).then_some(conn3ction_schemas::Serial(step as u32)),
            ..Tick::default()
        };
        for len in 1..=5_000u64 {
            ticks.push(Version(len * 10), tick(len));
            for asked in [1, 9, 10, 11, 500, len * 7, len * 10 - 1, len * 10, len * 20] {
                let expected = (asked / 10).min(len);
                let expected = (expected > 0).then(|| (Version(expected * 10), tick(expected)));
                assert_eq!(ticks.at(Version(asked)), expected, "at {asked} of {len}");
                let time = Timestamp(asked as i64 - 500);
                assert_eq!(ticks.at_time(Version(u64::MAX), time), expected, "by time at {asked} of {len}");
                let half = len / 2 * 10;
                let up_to_half = expected.filter(|_| half > 0).map(|(found, _)| found.min(Version(half)));
                let found = ticks.at_time(Version(half), time).map(|(version, _)| version);
                assert_eq!(found, up_to_half, "of the first half, by time at {asked} of {len}");
            }
        }
    }
}
