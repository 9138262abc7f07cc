//! Grow-only sequences that one writer extends while readers read: no element ever moves.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use super::{
    Version,
    sealed::{Column, Row},
};

/// Elements of the first segment; segment `k` after it holds `FIRST << k`.
const FIRST: usize = 8;
/// Segments that hold the remaining places of a `u32` index.
const MORE: usize = 29;

type Segment<T> = OnceLock<Box<[T]>>;

/// A sequence of `T::default()`s, allocated by segments of doubling size when their first place is asked for.
#[derive(Debug)]
pub(super) struct Segments<T> {
    first: Segment<T>,
    more: OnceLock<Box<[Segment<T>; MORE]>>,
}

impl<T: Default> Segments<T> {
    pub(super) const fn new() -> Self {
        Self { first: OnceLock::new(), more: OnceLock::new() }
    }

    /// The element at `index`; `None` while its segment was never needed.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        match locate(index) {
            None => self.first.get()?.get(index as usize),
            Some((segment, place)) => self.more.get()?[segment].get()?.get(place),
        }
    }

    /// How many of the elements from `from` to `end`, all of which are there, `holds` is true of. All are looked at: that
    /// costs less than guessing which half to go on with.
    pub(super) fn count(&self, from: u32, end: u32, holds: impl Fn(&T) -> bool) -> u32 {
        let (mut at, mut count) = (from, 0);
        while at < end {
            let segment = match locate(at) {
                None => self.first.get().and_then(|first| first.get(at as usize..)),
                Some((segment, place)) => self.more.get().and_then(|more| more[segment].get()?.get(place..)),
            };
            let segment = segment.unwrap_or_default();
            let segment = &segment[..segment.len().min((end - at) as usize)];
            count += segment.iter().filter(|element| holds(element)).count() as u32;
            at += segment.len().max(1) as u32;
        }
        count
    }

    /// The element at `index`; its segment is made if need be.
    pub(super) fn place(&self, index: u32) -> &T {
        let filled = |len| move || std::iter::repeat_with(T::default).take(len).collect();
        match locate(index) {
            None => &self.first.get_or_init(filled(FIRST))[index as usize],
            Some((segment, place)) => {
                let more = self.more.get_or_init(|| Box::new([const { OnceLock::new() }; MORE]));
                &more[segment].get_or_init(filled(FIRST << segment))[place]
            }
        }
    }
}

/// Segment and place of `index`; `None` for the first segment.
fn locate(index: u32) -> Option<(usize, usize)> {
    let index = index as usize;
    if index < FIRST {
        return None;
    }
    let segment = (index / FIRST).ilog2() as usize;
    Some((segment, index - (FIRST << segment)))
}

/// Values with the version since which each holds, in rising order; found at any version in logarithmic time.
#[derive(Debug)]
pub(super) struct Timeline<T> {
    /// The first of them, in a file.
    sealed: Option<Column>,
    len: AtomicU32,
    entries: Segments<OnceLock<(Version, T)>>,
}

impl<T: Row> Timeline<T> {
    pub(super) const fn new(sealed: Option<Column>) -> Self {
        Self { sealed, len: AtomicU32::new(0), entries: Segments::new() }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Version, T)> {
        let sealed = self.sealed.iter().flat_map(|column| (0..column.len()).filter_map(|place| column.row(place)));
        sealed.chain((0..self.len.load(Ordering::Acquire)).filter_map(|place| self.entry(place)))
    }

    fn entry(&self, place: u32) -> Option<(Version, T)> {
        self.entries.get(place)?.get().copied()
    }

    /// Adds what holds from `since` on. For the writer only. Of two values with one version the later counts.
    pub(super) fn push(&self, since: Version, value: T) {
        let len = self.len.load(Ordering::Relaxed);
        // The place after the last is always empty: there is one writer, and it raises `len` right below.
        let _ = self.entries.place(len).set((since, value));
        self.len.store(len + 1, Ordering::Release);
    }

    /// What holds at `version`, and since when; `None` before the first value.
    pub(super) fn at(&self, version: Version) -> Option<(Version, T)> {
        let holds = |since, _: &T| since <= version;
        last(self.len.load(Ordering::Acquire), |place| self.entry(place), holds)
            .or_else(|| self.sealed.as_ref().and_then(|column| last(column.len(), |place| column.row(place), holds)))
    }
}

/// The last of `len` entries that `holds`, by bisection.
pub(super) fn last<T>(
    len: u32,
    entry: impl Fn(u32) -> Option<(Version, T)>,
    holds: impl Fn(Version, &T) -> bool,
) -> Option<(Version, T)> {
    // Live questions ask for the last value: look there first.
    let end = entry(len.checked_sub(1)?)?;
    if holds(end.0, &end.1) {
        return Some(end);
    }
    let (mut low, mut high) = (0, len - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if entry(middle).is_some_and(|(since, value)| holds(since, &value)) { low = middle + 1 } else { high = middle }
    }
    entry(low.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_one_place() {
        let mut seen = std::collections::HashSet::new();
        for index in 0..10_000 {
            assert!(seen.insert(locate(index).map_or((usize::MAX, index as usize), |place| place)));
        }
        assert_eq!(locate(u32::MAX), Some((28, (1 << 31) - 1)));
    }
}
