//! One zone in the store: all its lives, names and serials.

use std::{
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapAny, Guard};
use conn3ction_schemas::{Name, Serial, Timestamp};

use super::{
    Version,
    index::Index,
    node::{Node, State},
    older::Older,
    order::Order,
    sealed::{Row, SealedZone},
    segments::{Segments, Timeline},
    ticks::Ticks,
};

/// What is known of one name.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The newest state, of whatever life, that came since the zone was sealed.
    pub(super) newest: ArcSwapAny<Option<Node>>,
    /// The writer's [`NameNotes`](super::writer::NameNotes). Reading them brings the slot into the cache, which only an
    /// exchange could do otherwise.
    pub(super) notes: AtomicU32,
}

/// A zone from its first creation on; it is never removed, its lives end.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) number: u32,
    pub(super) apex: Name,
    pub(super) lives: Timeline<Option<Life>>,
    pub(super) ticks: Ticks,
    pub(super) index: Index,
    pub(super) slots: Segments<Slot>,
    pub(super) order: ArcSwap<Order>,
    /// The owners that ever had an NSEC3 set.
    pub(super) nsec3: ArcSwap<Order>,
    /// Numbers of labels below the apex at which a name, a cut or a DNAME ever stood: other depths need no probe.
    pub(super) names_at: Depths,
    pub(super) cuts_at: Depths,
    pub(super) dnames_at: Depths,
    /// What stood when the zone was sealed: the names up to its count, and their states until then.
    pub(super) sealed: Option<SealedZone>,
    hasher: foldhash::quality::RandomState,
}

/// From a zone's creation to its deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) since: Version,
    pub(super) created_at: Timestamp,
}

/// What an event left behind in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tick {
    pub(super) time: Timestamp,
    pub(super) serial: Option<Serial>,
    pub(super) records: u32,
    pub(super) sets: u32,
}

impl Zone {
    pub(super) fn new(number: u32, apex: Name, sealed: Option<SealedZone>) -> Self {
        let [names_at, cuts_at, dnames_at] = sealed.as_ref().map(SealedZone::depths).unwrap_or_default();
        Self {
            number,
            apex,
            lives: Timeline::new(sealed.as_ref().map(SealedZone::lives)),
            ticks: Ticks::new(sealed.as_ref().map(SealedZone::ticks)),
            index: Index::new(),
            slots: Segments::new(),
            order: ArcSwap::default(),
            nsec3: ArcSwap::default(),
            names_at,
            cuts_at,
            dnames_at,
            sealed,
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    #[inline]
    pub(super) fn hash(&self, owner: &[u8]) -> u32 {
        hash(&self.hasher, owner)
    }

    /// The number and newest state of `owner`.
    pub(super) fn find(&self, owner: &[u8]) -> Option<(u32, Held<'_>)> {
        if let Some(number) = self.sealed.as_ref().and_then(|sealed| sealed.find(owner)) {
            return Some((number, self.newest(number)?));
        }
        let mut found = None;
        self.index.find(self.hash(owner), |number| {
            found = self.find_at(number, owner);
            found.is_some()
        });
        found
    }

    /// As [`Zone::find`], if `owner` has this number and came or changed since the zone was sealed.
    #[inline]
    pub(super) fn find_at(&self, number: u32, owner: &[u8]) -> Option<(u32, Held<'_>)> {
        let node = self.slots.get(number)?.newest.load();
        let is_it = node.as_ref().is_some_and(|node| State::of(node).owner() == owner);
        is_it.then_some((number, Held::Newest(node)))
    }

    /// The newest state of name `number`.
    #[inline]
    pub(super) fn newest(&self, number: u32) -> Option<Held<'_>> {
        if let Some(slot) = self.slots.get(number) {
            let node = slot.newest.load();
            if node.is_some() {
                return Some(Held::Newest(node));
            }
        }
        self.sealed.as_ref()?.newest(number).map(Held::Sealed)
    }

    /// What held of name `number`, whose newest state is `newest`, at `version`.
    pub(super) fn at<'z>(&'z self, number: u32, newest: Held<'z>, version: Version) -> Option<Held<'z>> {
        match &newest {
            Held::Newest(node) => {
                let head = &node.as_ref()?.header.header;
                if head.since() <= version {
                    return Some(newest);
                }
                if let Some(older) = head.older(version) {
                    return Some(Held::Older(older));
                }
                // All that is in memory is younger.
            }
            Held::Older(older) if older.state().since <= version => return Some(newest),
            Held::Sealed(state) if state.since <= version => return Some(newest),
            Held::Older(_) | Held::Sealed(_) => {}
        }
        self.sealed.as_ref()?.at(number, version).map(Held::Sealed)
    }

    /// How name `number` stands to `owner` in canonical order.
    pub(super) fn compare(&self, number: u32, owner: &[u8]) -> std::cmp::Ordering {
        if let Some(sealed) = self.sealed.as_ref().and_then(|sealed| sealed.owner(number)) {
            return super::labels::compare(sealed, owner);
        }
        match self.newest(number) {
            Some(held) => super::labels::compare(held.state().owner(), owner),
            None => std::cmp::Ordering::Less,
        }
    }
}

/// 32 well mixed bits: the index takes some from each end.
#[inline]
pub(super) fn hash(hasher: &foldhash::quality::RandomState, octets: &[u8]) -> u32 {
    let mut state = hasher.build_hasher();
    state.write(octets);
    (state.finish() >> 16) as u32
}

/// A set of numbers of labels, to which a number is only ever added.
#[derive(Debug, Default)]
pub(super) struct Depths([AtomicU64; 2]);

impl Depths {
    pub(super) const fn of(words: [u64; 2]) -> Self {
        Self([AtomicU64::new(words[0]), AtomicU64::new(words[1])])
    }

    pub(super) fn words(&self) -> [u64; 2] {
        [self.0[0].load(Ordering::Acquire), self.0[1].load(Ordering::Acquire)]
    }

    pub(super) fn add(&self, depth: usize) {
        let bit = 1 << (depth % 64);
        let word = &self.0[depth / 64 % 2];
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Release);
        }
    }

    pub(super) fn has(&self, depth: usize) -> bool {
        self.0[depth / 64 % 2].load(Ordering::Acquire) & 1 << (depth % 64) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Ordering::Acquire) == 0)
    }
}

/// The state of an owner, kept alive while it is looked at. The newest state costs no reference count.
#[derive(Debug)]
pub(crate) enum Held<'z> {
    Newest(Guard<Option<Node>>),
    Older(Older),
    Sealed(State<'z>),
}

impl Held<'_> {
    #[inline]
    pub(crate) fn state(&self) -> State<'_> {
        match self {
            Self::Newest(node) => node.as_ref().map_or(State::NOTHING, State::of),
            Self::Older(older) => older.state(),
            Self::Sealed(state) => *state,
        }
    }
}

impl Row for Tick {
    fn read(row: [u64; 3]) -> Self {
        let [time, counts, serial] = row;
        let (has_serial, serial) = (serial >> 32 != 0, Serial(serial as u32));
        let (records, sets) = ((counts >> 32) as u32, counts as u32);
        Self { time: Timestamp(time as i64), serial: has_serial.then_some(serial), records, sets }
    }

    fn row(&self) -> [u64; 3] {
        let serial = self.serial.map_or(0, |serial| 1 << 32 | u64::from(serial.0));
        [self.time.0 as u64, u64::from(self.records) << 32 | u64::from(self.sets), serial]
    }
}

impl Row for Option<Life> {
    fn read(row: [u64; 3]) -> Self {
        let [since, created_at, lives] = row;
        (lives != 0).then_some(Life { since: Version(since), created_at: Timestamp(created_at as i64) })
    }

    fn row(&self) -> [u64; 3] {
        self.map_or([0; 3], |life| [life.since.0, life.created_at.0 as u64, 1])
    }
}
