//! From the hash of a name to its number: extendible hashing that one writer grows while readers read.
//!
//! A directory of at most 65,536 segments, each a small open-addressed table of atomic words. Growing copies one segment
//! and the directory's pointers, never the whole table. A reader that still holds an older directory misses only names
//! that were added after it took its version, which it could not see anyway.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Guard};

/// A segment doubles up to this many words, then splits.
const MAX_WORDS: usize = 4096;
const MIN_WORDS: usize = 8;
/// The low bits of a hash place a word within its segment; the high ones choose the segment.
const MAX_BITS: u32 = 16;

#[derive(Debug)]
pub(super) struct Index {
    directory: ArcSwap<Directory>,
}

#[derive(Debug)]
pub(super) struct Directory {
    /// The number of high hash bits that choose the segment.
    bits: u32,
    segments: Box<[Arc<Segment>]>,
}

/// Words are `hash << 32 | number + 1`; 0 is empty. Nothing is ever removed.
#[derive(Debug)]
struct Segment {
    bits: u32,
    words: Box<[AtomicU64]>,
    used: AtomicU64,
}

impl Index {
    pub(super) fn new() -> Self {
        let directory = Directory { bits: 0, segments: [Arc::new(Segment::new(0, MIN_WORDS))].into() };
        Self { directory: ArcSwap::from_pointee(directory) }
    }

    /// What is looked into; taking it costs an atomic exchange.
    pub(super) fn directory(&self) -> Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// As [`Directory::find`], of what is there now.
    pub(super) fn find(&self, hash: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.directory().find(hash, is_it)
    }

    /// Adds `number` under `hash`. For the writer only; the number must not be there yet.
    pub(super) fn add(&self, hash: u32, number: u32) {
        loop {
            let directory = self.directory.load();
            let segment = directory.segment(hash);
            if segment.is_full() {
                let grown = directory.grown(hash);
                self.directory.store(Arc::new(grown));
            } else {
                segment.add((hash as u64) << 32 | (number as u64 + 1));
                return;
            }
        }
    }
}

impl Directory {
    /// The number that was added under `hash` and for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let words = &self.segment(hash).words;
        let mask = words.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let word = words[at].load(Ordering::Acquire);
            if word == 0 {
                return None;
            }
            let number = (word as u32) - 1;
            if (word >> 32) as u32 == hash && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&self, hash: u32) -> usize {
        if self.bits == 0 { 0 } else { (hash >> (32 - self.bits)) as usize }
    }

    fn segment(&self, hash: u32) -> &Segment {
        &self.segments[self.place(hash)]
    }

    /// This directory with more room for `hash`: its segment doubled, or split in two.
    fn grown(&self, hash: u32) -> Directory {
        let old = self.segment(hash);
        let words = || old.words.iter().map(|word| word.load(Ordering::Relaxed)).filter(|word| *word != 0);
        if old.words.len() < MAX_WORDS || old.bits == MAX_BITS {
            let new = Arc::new(Segment::new(old.bits, old.words.len() * 2));
            words().for_each(|word| new.add(word));
            return self.replaced(self.bits, |segment, _| std::ptr::eq(&**segment, old).then(|| new.clone()));
        }
        let bits = old.bits + 1;
        let halves = [(); 2].map(|()| Arc::new(Segment::new(bits, MAX_WORDS)));
        let half = |hash: u32| (hash >> (32 - bits)) as usize & 1;
        words().for_each(|word| halves[half((word >> 32) as u32)].add(word));
        let directory_bits = self.bits.max(bits);
        self.replaced(directory_bits, |segment, place| {
            let half = (place >> (directory_bits - bits)) & 1;
            std::ptr::eq(&**segment, old).then(|| halves[half].clone())
        })
    }

    fn replaced(&self, bits: u32, new: impl Fn(&Arc<Segment>, usize) -> Option<Arc<Segment>>) -> Directory {
        let shift = bits - self.bits;
        let segments = (0..1usize << bits).map(|place| {
            let old = &self.segments[place >> shift];
            new(old, place).unwrap_or_else(|| old.clone())
        });
        Directory { bits, segments: segments.collect() }
    }
}

impl Segment {
    fn new(bits: u32, len: usize) -> Self {
        let words = std::iter::repeat_with(AtomicU64::default).take(len).collect();
        Self { bits, words, used: AtomicU64::new(0) }
    }

    /// Three quarters: a probe stays short, and there is always an empty word to end it.
    fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) as usize + 1 > self.words.len() / 4 * 3
    }

    fn add(&self, word: u64) {
        let mask = self.words.len() - 1;
        let mut at = (word >> 32) as usize & mask;
        while self.words[at].load(Ordering::Relaxed) != 0 {
            at = (at + 1) & mask;
        }
        self.words[at].store(word, Ordering::Release);
        self.used.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(number: u32) -> u32 {
        number.wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b)
    }

    #[test]
    fn whatever_was_added_is_found_and_nothing_else() {
        let index = Index::new();
        for number in 0..50_000 {
            index.add(spread(number), number);
        }
        for number in 0..50_000 {
            assert_eq!(index.find(spread(number), |found| found == number), Some(number));
        }
        assert_eq!(index.find(spread(50_000), |found| found == 50_000), None);
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_caller() {
        let index = Index::new();
        for number in 0..5_000 {
            index.add(7, number);
        }
        for number in [0, 1, 4_999] {
            assert_eq!(index.find(7, |found| found == number), Some(number));
        }
    }
}
