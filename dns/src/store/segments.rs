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
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        match locate(index) {
            None => self.first.get()?.get(index as usize),
            Some((segment, place)) => self.more.get()?[segment].get()?.get(place),
        }
    }

    /// The elements from `index` to the end of its segment; none while that was never needed.
    fn rest(&self, index: u32) -> &[T] {
        let rest = match locate(index) {
            None => self.first.get().and_then(|first| first.get(index as usize..)),
            Some((segment, place)) => self.more.get().and_then(|more| more[segment].get()?.get(place..)),
        };
        rest.unwrap_or_default()
    }

    /// How many of the elements from `from` to `end`, all of which are there, `holds` is true of. All are looked at: that
    /// costs less than guessing which half to go on with.
    pub(super) fn count(&self, from: u32, end: u32, holds: impl Fn(&T) -> bool) -> u32 {
        count(from, end, |at| self.rest(at), holds)
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

fn count<'a, T: 'a>(from: u32, end: u32, rest: impl Fn(u32) -> &'a [T], holds: impl Fn(&T) -> bool) -> u32 {
    let (mut at, mut count) = (from, 0);
    while at < end {
        let rest = rest(at);
        let run = &rest[..rest.len().min((end - at) as usize)];
        count += run.iter().filter(|element| holds(element)).count() as u32;
        at += run.len().max(1) as u32;
    }
    count
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

/// Elements of a page.
const PAGE: u32 = 1024;

/// As [`Segments`], for what grows very long: it doubles up to one page, and then grows by pages, so that no more than one
/// of them is ever there in vain. An element costs one look-up more.
#[derive(Debug)]
pub(super) struct Pages<T> {
    first: Segments<T>,
    /// The page of number 0 stays empty.
    more: Segments<Segment<T>>,
}

impl<T: Default> Pages<T> {
    pub(super) const fn new() -> Self {
        Self { first: Segments::new(), more: Segments::new() }
    }

    /// The element at `index`; `None` while its page was never needed.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        match index < PAGE {
            true => self.first.get(index),
            false => self.more.get(index / PAGE)?.get()?.get((index % PAGE) as usize),
        }
    }

    /// The elements from `index` to the end of its page or segment.
    pub(super) fn rest(&self, index: u32) -> &[T] {
        if index < PAGE {
            return self.first.rest(index);
        }
        let page = self.more.get(index / PAGE).and_then(OnceLock::get);
        page.and_then(|page| page.get((index % PAGE) as usize..)).unwrap_or_default()
    }

    /// As [`Segments::count`].
    pub(super) fn count(&self, from: u32, end: u32, holds: impl Fn(&T) -> bool) -> u32 {
        count(from, end, |at| self.rest(at), holds)
    }

    /// The element at `index`; its page is made if need be.
    pub(super) fn place(&self, index: u32) -> &T {
        if index < PAGE {
            return self.first.place(index);
        }
        let page = || std::iter::repeat_with(T::default).take(PAGE as usize).collect();
        &self.more.place(index / PAGE).get_or_init(page)[(index % PAGE) as usize]
    }
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

    #[test]
    fn pages_hold_what_was_put_at_each_place_and_no_more_than_one_is_unused() {
        let pages: Pages<AtomicU32> = Pages::new();
        for index in 0..5 * PAGE {
            pages.place(index).store(index, Ordering::Relaxed);
        }
        for index in 0..5 * PAGE {
            assert_eq!(pages.get(index).map(|element| element.load(Ordering::Relaxed)), Some(index));
        }
        assert!(pages.get(5 * PAGE).is_none());
        let in_reach = |number: &AtomicU32| number.load(Ordering::Relaxed) < 3 * PAGE + 7;
        for from in [0, 5, PAGE - 1, PAGE, 3 * PAGE - 3] {
            assert_eq!(pages.count(from, 5 * PAGE, in_reach), 3 * PAGE + 7 - from);
        }
    }
}
