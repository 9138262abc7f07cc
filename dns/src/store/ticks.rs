//! The versions that touched a zone, found by version and by time.
//!
//! Blocks of at most [`BLOCK`] rows. A block's first row is whole, each other one a word of 64 bits that says what it adds
//! to the first, and how many records and sets came since the row before; a row that does not fit begins a new block. So an
//! event takes 8 octets in a busy zone, and what a whole row takes where events are an hour apart. Whole rows are few enough
//! to stay in the cache; where within its block a row is, the times and versions of two blocks tell well enough for a guess.
//!
//! One writer appends while readers read: nothing that was shown is ever written again, but for the unused bits.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use conn3ction_schemas::{Serial, Timestamp};

use super::{
    Version,
    rising::{Rising, count_among, count_from},
    sealed::{Column, Row},
    segments::Pages,
    zone::Tick,
};

/// What each event left behind in a zone. Versions rise, and times never fall.
#[derive(Debug)]
pub(super) struct Ticks {
    /// The first of them, in a file.
    sealed: Option<Column>,
    /// How many blocks there are in the upper half, how many words in the lower: shown at once.
    shown: AtomicU64,
    /// The first row of each block: version, time ([`in_order`]), [`start`] and serial, records and sets.
    firsts: Pages<[AtomicU64; 4]>,
    /// The other rows ([`Added`]).
    words: Pages<AtomicU64>,
    /// Version and time of every [`FIRSTS`]th block but the first.
    every: OnceLock<Box<[Rising; 2]>>,
    /// The last row, as a first one: the writer's alone, who would have to add up a block otherwise.
    last: [AtomicU64; 4],
}

/// Rows of a block.
const BLOCK: u32 = 256;
/// Of so many blocks one has its version and time in `every`.
const FIRSTS: u32 = 8;
/// Columns of a row that a search can go by.
const VERSION: usize = 0;
const TIME: usize = 1;
/// Place of the rest.
const START: usize = 2;
const COUNTS: usize = 3;
/// Beside the start: the row has a serial.
const HAS_SERIAL: u64 = 1 << 32;

/// What a row adds, from the highest bit on: microseconds, versions and serials since the first row of its block; records and
/// sets since the row before.
#[derive(Debug, Clone, Copy)]
struct Added(u64);

/// Bits of records and of sets since the row before, which may be fewer.
const STEP_BITS: u32 = 4;
const BIAS: u32 = 1 << (STEP_BITS - 1);
/// A serial more an event is what most zones do.
const SERIAL_BITS: u32 = 9;
const SERIAL_SHIFT: u32 = 2 * STEP_BITS;
const VERSION_BITS: u32 = 16;
const VERSION_SHIFT: u32 = SERIAL_SHIFT + SERIAL_BITS;
const TIME_SHIFT: u32 = VERSION_SHIFT + VERSION_BITS;

/// Where a row is.
#[derive(Debug, Clone, Copy)]
struct Place {
    block: u32,
    /// Words of the block up to the row.
    words: u32,
}

/// The block of a row, and where in it the row seems to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    block: u32,
    first: [u64; 4],
    /// How much the row adds at most, in the column that is searched by.
    added: u64,
    from: u32,
    end: u32,
    guess: u32,
}

impl Added {
    /// What `row` adds to `last`, in the block that begins with `first`; `None` if it does not fit.
    fn of(first: [u64; 4], last: [u64; 4], row: [u64; 4]) -> Option<Self> {
        let fits = |number: Option<u64>, bits: u32| number.filter(|number| *number < 1 << bits);
        let time = fits(row[TIME].checked_sub(first[TIME]), u64::BITS - TIME_SHIFT)?;
        let version = fits(row[VERSION].checked_sub(first[VERSION]), VERSION_BITS)?;
        if (row[START] ^ first[START]) & HAS_SERIAL != 0 {
            return None;
        }
        let more =
            |now: u64, before: u64, bias: u32| u64::from((now as u32).wrapping_sub(before as u32).wrapping_add(bias));
        let serial = fits(Some(more(row[START], first[START], 0)), SERIAL_BITS)?;
        let records = fits(Some(more(row[COUNTS] >> 32, last[COUNTS] >> 32, BIAS)), STEP_BITS)?;
        let sets = fits(Some(more(row[COUNTS], last[COUNTS], BIAS)), STEP_BITS)?;
        let rest = serial << SERIAL_SHIFT | records << STEP_BITS | sets;
        Some(Self(time << TIME_SHIFT | version << VERSION_SHIFT | rest))
    }

    fn time(self) -> u64 {
        self.0 >> TIME_SHIFT
    }

    fn version(self) -> u64 {
        self.0 >> VERSION_SHIFT & ((1 << VERSION_BITS) - 1)
    }

    fn serial(self) -> u32 {
        (self.0 >> SERIAL_SHIFT) as u32 & ((1 << SERIAL_BITS) - 1)
    }

    fn serial_after(self, first: &Tick) -> Option<Serial> {
        first.serial.map(|serial| Serial(serial.0.wrapping_add(self.serial())))
    }

    /// Makes `tick`, that of the row before, the one of this row.
    fn apply(self, tick: &mut Tick, first: &Tick) {
        let step = |place: u32| (self.0 >> (place * STEP_BITS)) as u32 & ((1 << STEP_BITS) - 1);
        tick.sets = tick.sets.wrapping_add(step(0)).wrapping_sub(BIAS);
        tick.records = tick.records.wrapping_add(step(1)).wrapping_sub(BIAS);
        tick.serial = self.serial_after(first);
        tick.time = first.time.plus_micros(self.time() as i64);
    }
}

impl Ticks {
    pub(super) const fn new(sealed: Option<Column>) -> Self {
        Self {
            sealed,
            shown: AtomicU64::new(0),
            firsts: Pages::new(),
            words: Pages::new(),
            every: OnceLock::new(),
            last: [const { AtomicU64::new(0) }; 4],
        }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Version, Tick)> {
        let sealed = self.sealed.iter().flat_map(|column| (0..column.len()).filter_map(|place| column.row(place)));
        let shown = self.shown();
        sealed.chain((0..shown.block).flat_map(move |block| self.rows_of(block, shown)))
    }

    /// Adds the tick of `version`. For the writer only; each version has one tick.
    pub(super) fn push(&self, version: Version, tick: Tick) {
        let Place { mut block, mut words } = self.shown();
        let serial = tick.serial.map_or(0, |serial| HAS_SERIAL | u64::from(serial.0));
        let counts = u64::from(tick.records) << 32 | u64::from(tick.sets);
        let mut row = [version.0, in_order(tick.time.0 as u64), serial, counts];
        let last = block.checked_sub(1).and_then(|block| self.firsts.get(block)).map(loaded);
        let open = last.filter(|first| words - start(first) < BLOCK - 1);
        let added = open.and_then(|first| Added::of(first, loaded(&self.last), row));
        store(&self.last, row);
        match added {
            Some(added) => {
                self.words.place(words).store(added.0, Ordering::Relaxed);
                words += 1;
            }
            None => {
                row[START] |= u64::from(words) << 33;
                store(self.firsts.place(block), row);
                if block > 0 && block.is_multiple_of(FIRSTS) {
                    let every = self.every.get_or_init(|| Box::new([const { Rising::new() }; 2]));
                    for (every, number) in every.iter().zip(row) {
                        every.push(block / FIRSTS - 1, number);
                    }
                }
                block += 1;
            }
        }
        self.shown.store(u64::from(block) << 32 | u64::from(words), Ordering::Release);
    }

    /// The last of them.
    pub(super) fn newest(&self) -> Option<(Version, Tick)> {
        self.at(Version(u64::MAX))
    }

    /// The last one up to `version`.
    pub(super) fn at(&self, version: Version) -> Option<(Version, Tick)> {
        match self.last_up_to(VERSION, version.0) {
            Some((first, place)) => Some(self.tick(first, place)),
            None => self.in_file(VERSION, version.0),
        }
    }

    /// The version of the last one up to `version`; all that it says takes longer to add up.
    pub(super) fn version_at(&self, version: Version) -> Option<Version> {
        match self.last_up_to(VERSION, version.0) {
            Some((first, place)) => Some(self.version(first, place)),
            None => Some(self.in_file(VERSION, version.0)?.0),
        }
    }

    /// The serial of the last one up to `version`.
    pub(super) fn serial(&self, version: Version) -> Option<Serial> {
        match self.last_up_to(VERSION, version.0) {
            Some((first, place)) => {
                let (_, tick) = whole(first);
                self.word(first, place).map_or(tick.serial, |word| word.serial_after(&tick))
            }
            None => self.in_file(VERSION, version.0).and_then(|(_, tick)| tick.serial),
        }
    }

    /// The version of the last one up to `version` that took effect by `time`.
    pub(super) fn at_time(&self, version: Version, time: Timestamp) -> Option<Version> {
        self.at_near(version, time, self.near_time(time))
    }

    /// As [`Ticks::at_time`], for what [`Ticks::near_time`] gave.
    pub(super) fn at_near(&self, version: Version, time: Timestamp, near: Option<Near>) -> Option<Version> {
        let found = match near.map(|near| self.exact(TIME, near)) {
            Some((first, place)) => self.version(first, place),
            None => self.in_file(TIME, in_order(time.0 as u64))?.0,
        };
        match found <= version {
            true => Some(found),
            // Younger than the view, which came to be while it was made.
            false => self.version_at(version),
        }
    }

    /// The last row of the file with at most `number` in `column`.
    fn in_file(&self, column: usize, number: u64) -> Option<(Version, Tick)> {
        let rows = self.sealed.as_ref()?;
        let key = |place| {
            let (version, tick) = rows.row::<Tick>(place)?;
            Some(if column == TIME { in_order(tick.time.0 as u64) } else { version.0 })
        };
        rows.row(count_among(rows.len(), number, key).checked_sub(1)?)
    }

    /// How many blocks and words there are.
    fn shown(&self) -> Place {
        let shown = self.shown.load(Ordering::Acquire);
        Place { block: (shown >> 32) as u32, words: shown as u32 }
    }

    /// Where in memory [`Ticks::at_time`] will look.
    pub(super) fn near_time(&self, time: Timestamp) -> Option<Near> {
        self.near(TIME, in_order(time.0 as u64))
    }

    /// The word that seems to be the row.
    pub(super) fn guessed(&self, near: Near) -> u64 {
        self.words.get(near.from + near.guess).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// The last row with at most `number` in `column`, and the first of its block.
    fn last_up_to(&self, column: usize, number: u64) -> Option<([u64; 4], Place)> {
        self.near(column, number).map(|near| self.exact(column, near))
    }

    fn exact(&self, column: usize, near: Near) -> ([u64; 4], Place) {
        let Near { block, first, added, from, end, guess } = near;
        let is_low = |at: u32| {
            self.words.get(from + at).map(loaded_word).is_some_and(|word| match column {
                TIME => word.time() <= added,
                _ => word.version() <= added,
            })
        };
        (first, Place { block, words: count_from(guess, end - from, is_low) })
    }

    fn near(&self, column: usize, number: u64) -> Option<Near> {
        let shown = self.shown();
        let is_low = |first: &[AtomicU64; 4]| first[column].load(Ordering::Relaxed) <= number;
        let last = shown.block.checked_sub(1)?;
        let block = match self.firsts.get(last).is_some_and(is_low) {
            // Live questions ask for the last one.
            true => last,
            false => {
                let above = || self.every.get().map_or(0, |every| every[column].count_up_to(last / FIRSTS, number));
                let from = if last < FIRSTS { 0 } else { above() * FIRSTS };
                (from + self.firsts.count(from, last.min(from + FIRSTS), is_low)).checked_sub(1)?
            }
        };
        let first = loaded(self.firsts.get(block)?);
        let next = if block < last { self.firsts.get(block + 1).map(loaded) } else { None };
        let (from, end) = (start(&first), next.map_or(shown.words, |next| start(&next)));
        let added = number - first[column];
        let guess = next.map_or(end - from, |next| {
            let rows = u64::from(end - from + 1);
            added.saturating_mul(rows).checked_div(next[column] - first[column]).unwrap_or_default() as u32
        });
        Some(Near { block, first, added, from, end, guess })
    }

    /// Where the words of `block` end.
    fn end(&self, block: u32, shown: Place) -> u32 {
        let next = (block + 1 < shown.block).then(|| self.firsts.get(block + 1)).flatten();
        next.map_or(shown.words, |next| start(&loaded(next)))
    }

    /// The word of a row that is not the first of its block.
    fn word(&self, first: [u64; 4], place: Place) -> Option<Added> {
        place.words.checked_sub(1).and_then(|last| self.words.get(start(&first) + last)).map(loaded_word)
    }

    fn version(&self, first: [u64; 4], place: Place) -> Version {
        Version(first[VERSION] + self.word(first, place).map_or(0, Added::version))
    }

    fn tick(&self, first: [u64; 4], place: Place) -> (Version, Tick) {
        let (_, whole) = whole(first);
        let mut tick = whole;
        let words = (start(&first)..).take(place.words as usize).filter_map(|at| self.words.get(at));
        words.for_each(|word| loaded_word(word).apply(&mut tick, &whole));
        (self.version(first, place), tick)
    }

    fn rows_of(&self, block: u32, shown: Place) -> impl Iterator<Item = (Version, Tick)> {
        let first = self.firsts.get(block).map(loaded);
        let end = self.end(block, shown);
        first.into_iter().flat_map(move |row| {
            let first = whole(row);
            let words = (start(&row)..end).filter_map(|at| self.words.get(at)).map(loaded_word);
            let others = words.scan(first.1, move |tick, word| {
                word.apply(tick, &first.1);
                Some((Version(first.0.0 + word.version()), *tick))
            });
            std::iter::once(first).chain(others)
        })
    }
}

fn loaded(row: &[AtomicU64; 4]) -> [u64; 4] {
    row.each_ref().map(|number| number.load(Ordering::Relaxed))
}

fn loaded_word(word: &AtomicU64) -> Added {
    Added(word.load(Ordering::Relaxed))
}

fn store(places: &[AtomicU64; 4], row: [u64; 4]) {
    places.iter().zip(row).for_each(|(place, number)| place.store(number, Ordering::Relaxed));
}

/// Where the words of the block begin that has this first row. A zone has at most 2^31 of them in memory.
fn start(first: &[u64; 4]) -> u32 {
    (first[START] >> 33) as u32
}

fn whole(row: [u64; 4]) -> (Version, Tick) {
    let serial = row[START] & (HAS_SERIAL | u64::from(u32::MAX));
    (Version(row[VERSION]), Tick::read([in_order(row[TIME]), row[COUNTS], serial]))
}

/// Times from before 1970 are negative: this puts them first, and takes itself back.
fn in_order(time: u64) -> u64 {
    time ^ 1 << 63
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for every moment at and around the rows, while they are added.
    fn holds(rows: &[(Version, Tick)]) {
        let ticks = Ticks::new(None);
        assert_eq!(ticks.at(Version(9)), None);
        for (len, (version, tick)) in (1..).zip(rows) {
            ticks.push(*version, *tick);
            let rows = &rows[..len];
            let all = [0, 1, 30, 31, 32, 33, 255, 256, 257, len / 3, len / 2, len - 1];
            let asked = all.into_iter().filter_map(|place| rows.get(place));
            for (since, tick) in asked {
                for version in [since.0 - 1, since.0, since.0 + 1, since.0 * 2].map(Version) {
                    let expected = rows.partition_point(|(since, _)| *since <= version).checked_sub(1);
                    let expected = expected.map(|place| rows[place]);
                    assert_eq!(ticks.at(version), expected, "at {version} of {len}");
                    assert_eq!(ticks.version_at(version), expected.map(|(since, _)| since), "at {version} of {len}");
                    assert_eq!(
                        ticks.serial(version),
                        expected.and_then(|(_, tick)| tick.serial),
                        "at {version} of {len}"
                    );
                }
                for time in [tick.time.0 - 1, tick.time.0, tick.time.0 + 1].map(Timestamp) {
                    let last = rows.partition_point(|(_, tick)| tick.time <= time).checked_sub(1);
                    for limit in [rows[len / 2], rows[len - 1]].map(|(version, _)| version) {
                        let expected = last.map(|place| rows[place].0.min(limit));
                        assert_eq!(ticks.at_time(limit, time), expected, "at {time} of {len}");
                    }
                }
            }
            if len.is_power_of_two() {
                assert_eq!(ticks.iter().collect::<Vec<_>>(), rows);
            }
        }
        assert_eq!(ticks.newest(), rows.last().copied());
        assert_eq!(ticks.iter().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn ticks_are_found_by_version_and_by_time() {
        let tick = |step: u64| Tick {
            time: Timestamp(step as i64 * 10 - 500),
            records: step as u32,
            serial: step.is_multiple_of(3).then_some(Serial(step as u32)),
            ..Tick::default()
        };
        holds(&(1..=3_000).map(|step| (Version(step * 10), tick(step))).collect::<Vec<_>>());
    }

    #[test]
    fn rows_that_take_long_steps_are_found_as_others_are() {
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
        println!("seed {seed}");
        let mut random = seed as u64 | 1;
        let mut below = move |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Short steps most of the time, and now and then one that fits nowhere.
            let bits = u64::BITS - most.leading_zeros();
            (random >> 20) % (1 << ((random >> 8) % u64::from(bits)).max(1))
        };
        let (mut version, mut tick) = (0, Tick { time: Timestamp(-1 << 40), ..Tick::default() });
        let rows = (0..4_000).map(|_| {
            version += 1 + below(1 << 20);
            tick.time = tick.time.plus_micros(below(1 << 36) as i64);
            tick.records = (tick.records + below(32) as u32).saturating_sub(below(32) as u32);
            tick.sets = (tick.sets + below(16) as u32).saturating_sub(below(16) as u32);
            let next = tick.serial.map_or(u32::MAX - 5, |serial| serial.0.wrapping_add(below(32) as u32));
            tick.serial = (below(100) != 99).then_some(Serial(next));
            (Version(version), tick)
        });
        holds(&rows.collect::<Vec<_>>());
    }

    #[test]
    fn a_row_of_a_busy_zone_takes_one_word_and_its_share_of_the_first() {
        let ticks = Ticks::new(None);
        for version in 1..=25_600 {
            let serial = Some(Serial(version as u32));
            ticks.push(
                Version(version * 100),
                Tick { time: Timestamp(version as i64 * 8_000_000), serial, ..Tick::default() },
            );
        }
        let shown = ticks.shown();
        assert_eq!((shown.block, shown.words), (100, 25_500));
    }
}
