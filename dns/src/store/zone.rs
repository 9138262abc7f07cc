//! One zone in the store: all its lives, names and serials.

use std::{
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapAny, Guard};
use conn3ction_schemas::{Name, Serial, Timestamp};

use super::{
    Version,
    index::Index,
    node::{Head, Node, State},
    order::Order,
    segments::{Segments, Timeline},
};

pub(super) type Slot = ArcSwapAny<Option<Node>>;

/// A zone from its first creation on; it is never removed, its lives end.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) apex: Name,
    pub(super) lives: Timeline<Option<Life>>,
    pub(super) ticks: Timeline<Tick>,
    pub(super) index: Index,
    pub(super) slots: Segments<Slot>,
    pub(super) order: ArcSwap<Order>,
    /// The owners that ever had an NSEC3 set.
    pub(super) nsec3: ArcSwap<Order>,
    /// Numbers of labels below the apex at which a name, a cut or a DNAME ever stood: other depths need no probe.
    pub(super) names_at: Depths,
    pub(super) cuts_at: Depths,
    pub(super) dnames_at: Depths,
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
    pub(super) fn new(apex: Name) -> Self {
        Self {
            apex,
            lives: Timeline::new(),
            ticks: Timeline::new(),
            index: Index::new(),
            slots: Segments::new(),
            order: ArcSwap::default(),
            nsec3: ArcSwap::default(),
            names_at: Depths::default(),
            cuts_at: Depths::default(),
            dnames_at: Depths::default(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    pub(super) fn hash(&self, owner: &[u8]) -> u32 {
        hash(&self.hasher, owner)
    }

    /// The number and newest node of `owner`.
    pub(super) fn find(&self, owner: &[u8]) -> Option<(u32, Guard<Option<Node>>)> {
        let mut found = None;
        let number = self.index.find(self.hash(owner), |number| {
            let Some(slot) = self.slots.get(number) else { return false };
            let node = slot.load();
            let is_it = node.as_ref().is_some_and(|node| State::of(node).owner() == owner);
            if is_it {
                found = Some(node);
            }
            is_it
        })?;
        Some((number, found?))
    }

    /// The newest node of name `number`.
    pub(super) fn newest(&self, number: u32) -> Guard<Option<Node>> {
        match self.slots.get(number) {
            Some(slot) => slot.load(),
            None => Guard::from_inner(None),
        }
    }

    /// How name `number` stands to `owner` in canonical order.
    pub(super) fn compare(&self, number: u32, owner: &[u8]) -> std::cmp::Ordering {
        match &*self.newest(number) {
            Some(node) => super::labels::compare(State::of(node).owner(), owner),
            None => std::cmp::Ordering::Less,
        }
    }
}

/// 32 well mixed bits: the index takes some from each end.
pub(super) fn hash(hasher: &foldhash::quality::RandomState, octets: &[u8]) -> u32 {
    let mut state = hasher.build_hasher();
    state.write(octets);
    (state.finish() >> 16) as u32
}

/// A set of numbers of labels, to which a number is only ever added.
#[derive(Debug, Default)]
pub(super) struct Depths([AtomicU64; 2]);

impl Depths {
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
pub(crate) enum Held {
    Newest(Guard<Option<Node>>),
    Past(Node),
}

static NOTHING: Head = Head::NOTHING;

impl Held {
    /// What held at `version`.
    pub(super) fn at(node: Guard<Option<Node>>, version: Version) -> Option<Self> {
        let newest = node.as_ref()?;
        let then = State::node_at(newest, version)?;
        if std::ptr::eq(newest, then) {
            return Some(Self::Newest(node));
        }
        Some(Self::Past(then.clone()))
    }

    pub(crate) fn state(&self) -> State<'_> {
        match self {
            Self::Newest(node) => node.as_ref().map_or(State { head: &NOTHING, octets: &[] }, State::of),
            Self::Past(node) => State::of(node),
        }
    }
}
