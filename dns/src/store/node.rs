//! Nodes: the whole state of one owner from one version on, in one allocation. A node is replaced, never edited.
//!
//! The octets after the head: the owner's labels below the apex, a directory of the record sets sorted by key, then for
//! each set its records ready for the wire (`C0 0C | type | class | ttl | rdlength | rdata`, names in rdata uncompressed).

use conn3ction_schemas::{RecordSetRef, RecordType, SetKey};
use triomphe::ThinArc;

use super::{
    Version,
    older::{self, Block, Older},
    varint,
};

pub(crate) type Node = ThinArc<Head, u8>;

/// Octets of a directory entry: type, covered type, length of the records, since.
const ENTRY: usize = 16;
/// The same, and where the records start.
pub(super) const SEALED_ENTRY: usize = ENTRY + 8;
/// What each record begins with: its owner, as a pointer to the question (RFC 1035 section 4.1.4).
pub(super) const RECORD_START: [u8; 2] = [0xc0, 0x0c];
/// Octets of a record before its rdata.
pub(crate) const RECORD_HEAD: usize = 12;

#[derive(Debug)]
pub(crate) struct Head {
    /// The version since which this state holds.
    since: Version,
    /// The version in which a record set of this owner last changed.
    changed: Version,
    /// The states before.
    older: Option<Block>,
    sets: u16,
    owner: u8,
    facts: Facts,
}

impl Head {
    #[inline]
    pub(super) fn since(&self) -> Version {
        self.since
    }

    /// The newest block of older states.
    #[inline]
    pub(super) fn blocks(&self) -> Option<&Block> {
        self.older.as_ref()
    }

    /// The older state that held at `version`.
    pub(super) fn older(&self, version: Version) -> Option<Older> {
        Older::find(self.older.as_ref()?, version)
    }
}

/// What a lookup asks of an owner, so that it need not search its sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts(pub(super) u8);

impl Facts {
    /// Has record sets that make the name exist; NSEC3 and its signature do not (RFC 5155 section 7.2.8).
    pub(crate) const DATA: Facts = Facts(1);
    /// Has no such sets, but existing names below it.
    pub(crate) const EMPTY_NON_TERMINAL: Facts = Facts(2);
    /// Has NS and is not the apex.
    pub(crate) const CUT: Facts = Facts(4);
    pub(crate) const DNAME: Facts = Facts(8);
    pub(crate) const CNAME: Facts = Facts(16);
    /// A name whose first label is `*` exists right below.
    pub(crate) const WILDCARD_CHILD: Facts = Facts(32);
    /// Has an NSEC3 set.
    pub(crate) const NSEC3: Facts = Facts(64);

    pub(crate) const fn has(self, other: Facts) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn exists(self) -> bool {
        self.has(Facts(Self::DATA.0 | Self::EMPTY_NON_TERMINAL.0))
    }

    pub(crate) const fn with(self, other: Facts, on: bool) -> Facts {
        Facts(if on { self.0 | other.0 } else { self.0 & !other.0 })
    }
}

/// One state, wherever it lies: in a node, or sealed in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State<'a> {
    /// The version since which this state holds.
    pub(crate) since: Version,
    /// The version in which a record set of this owner last changed.
    pub(crate) changed: Version,
    pub(crate) facts: Facts,
    owner: &'a [u8],
    sets: Sets<'a>,
}

/// Where the record sets of a state are.
#[derive(Debug, Clone, Copy)]
enum Sets<'a> {
    /// A directory, and the records in its order.
    Node { directory: &'a [u8], records: &'a [u8] },
    /// A directory that says where each set's records start in `octets`: equal ones are there once.
    Placed { directory: &'a [u8], octets: &'a [u8] },
    /// A directory of entries as short as can be ([`packed_entry`]): records come one after another in `own`, or lie
    /// somewhere in `octets`.
    Packed { directory: &'a [u8], own: &'a [u8], octets: &'a [u8] },
}

/// One record set within a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredSet<'a> {
    pub(crate) key: SetKey,
    pub(crate) since: Version,
    /// The records in wire form, each with owner `C0 0C`.
    pub(crate) records: &'a [u8],
}

impl<'a> State<'a> {
    /// The state of an owner that never was.
    pub(super) const NOTHING: State<'static> = State {
        since: Version(0),
        changed: Version(0),
        facts: Facts(0),
        owner: &[],
        sets: Sets::Node { directory: &[], records: &[] },
    };

    #[inline]
    pub(crate) fn of(node: &'a Node) -> Self {
        let head = &node.header.header;
        let (owner, rest) = node.slice.split_at(head.owner as usize);
        let (directory, records) = rest.split_at(ENTRY * head.sets as usize);
        let (since, changed, facts) = (head.since, head.changed, head.facts);
        Self { since, changed, facts, owner, sets: Sets::Node { directory, records } }
    }

    /// A state whose directory says where in `octets` the records are.
    pub(super) fn placed(
        (since, changed, facts): (Version, Version, Facts),
        owner: &'a [u8],
        directory: &'a [u8],
        octets: &'a [u8],
    ) -> Self {
        Self { since, changed, facts, owner, sets: Sets::Placed { directory, octets } }
    }

    /// A state whose directory is packed; `own` are the records that stand with it, `octets` where the others are.
    pub(super) fn packed(
        (since, changed, facts): (Version, Version, Facts),
        owner: &'a [u8],
        (directory, own): (&'a [u8], &'a [u8]),
        octets: &'a [u8],
    ) -> Self {
        Self { since, changed, facts, owner, sets: Sets::Packed { directory, own, octets } }
    }

    /// The labels below the apex; empty for the apex.
    #[inline]
    pub(crate) fn owner(&self) -> &'a [u8] {
        self.owner
    }

    pub(crate) fn has_sets(&self) -> bool {
        match self.sets {
            Sets::Node { directory, .. } | Sets::Placed { directory, .. } | Sets::Packed { directory, .. } => {
                !directory.is_empty()
            }
        }
    }

    /// The record sets in the order of their keys.
    pub(crate) fn sets(&self) -> impl Iterator<Item = StoredSet<'a>> + use<'a> {
        let (mut sets, since) = (self.sets, self.since);
        std::iter::from_fn(move || sets.next(since))
    }

    pub(crate) fn set(&self, key: SetKey) -> Option<StoredSet<'a>> {
        self.sets().find(|set| set.key == key)
    }
}

impl<'a> Sets<'a> {
    /// The next set of a state that holds since `since`.
    #[inline]
    fn next(&mut self, since: Version) -> Option<StoredSet<'a>> {
        match self {
            Self::Node { directory, records } => {
                let (entry, rest) = directory.split_at_checked(ENTRY)?;
                *directory = rest;
                let own;
                (own, *records) = records.split_at(number::<4>(&entry[4..8]) as usize);
                Some(stored(entry, own))
            }
            Self::Placed { directory, octets } => {
                let (entry, rest) = directory.split_at_checked(SEALED_ENTRY)?;
                *directory = rest;
                let at = number::<8>(&entry[ENTRY..]) as usize;
                let end = at.saturating_add(number::<4>(&entry[4..8]) as usize);
                Some(stored(entry, octets.get(at..end).unwrap_or_default()))
            }
            Self::Packed { directory, own, octets } => {
                let rtype = varint::take(directory)?;
                let covered = if rtype & 1 == 0 { 0 } else { varint::take(directory)? };
                let key = SetKey { rtype: RecordType((rtype >> 1) as u16), covered: RecordType(covered as u16) };
                let len = varint::take(directory)? as usize;
                let since = Version(since.0.wrapping_sub(varint::take(directory)?));
                let records = match (varint::take(directory)? as usize).checked_sub(1) {
                    None => {
                        let records;
                        (records, *own) = own.split_at_checked(len)?;
                        records
                    }
                    Some(at) => octets.get(at..at.saturating_add(len)).unwrap_or_default(),
                };
                Some(StoredSet { key, since, records })
            }
        }
    }
}

fn stored<'a>(entry: &[u8], records: &'a [u8]) -> StoredSet<'a> {
    let key =
        SetKey { rtype: RecordType(number::<2>(entry) as u16), covered: RecordType(number::<2>(&entry[2..4]) as u16) };
    StoredSet { key, since: Version(number::<8>(&entry[8..ENTRY])), records }
}

/// Puts a packed entry of a state that holds since `since`; `at` is where its records are, if they do not stand with it.
///
/// Type twice, plus one if there is a covered type, which follows; length of the records; how much earlier than the state
/// the set came; 0 or the place of its records plus one.
pub(super) fn packed_entry(octets: &mut Vec<u8>, since: Version, set: &StoredSet<'_>, at: Option<usize>) {
    let covered = u64::from(set.key.covered.0);
    varint::put(octets, u64::from(set.key.rtype.0) << 1 | u64::from(covered != 0));
    if covered != 0 {
        varint::put(octets, covered);
    }
    varint::put(octets, set.records.len() as u64);
    varint::put(octets, since.0.wrapping_sub(set.since.0));
    varint::put(octets, at.map_or(0, |at| at as u64 + 1));
}

/// The first `N` octets, at most eight, as a number.
#[inline]
fn number<const N: usize>(octets: &[u8]) -> u64 {
    let mut whole = [0; 8];
    if let Some(octets) = octets.first_chunk::<N>() {
        whole[8 - N..].copy_from_slice(octets);
    }
    u64::from_be_bytes(whole)
}

impl<'a> StoredSet<'a> {
    /// The records: each whole, with its rdata alone.
    pub(crate) fn split(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        records(self.records)
    }

    /// The TTL in seconds.
    pub(crate) fn ttl(&self) -> u32 {
        self.records.get(6..10).map_or(0, |ttl| number::<4>(ttl) as u32)
    }
}

/// The records of `octets`, which all have an owner of two octets: each whole, with its rdata alone.
pub(crate) fn records(mut octets: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let len = number::<2>(octets.get(10..RECORD_HEAD)?) as usize;
        let (record, rest) = octets.split_at_checked(RECORD_HEAD + len)?;
        octets = rest;
        Some((record, &record[RECORD_HEAD..]))
    })
}

/// Builds nodes; its buffers are used again and again.
#[derive(Debug, Default)]
pub(super) struct Builder {
    /// The owner and the directory, and in the end the records.
    octets: Vec<u8>,
    records: Vec<u8>,
    sets: usize,
    /// What follows from the sets, for an owner that is not the apex.
    facts: Facts,
    packed: older::Buffers,
}

/// What the next state of an owner grows from.
pub(super) struct Base<'a> {
    /// The newest state, if its life goes on.
    pub(super) now: Option<State<'a>>,
    /// The newest node, of whatever life.
    pub(super) newest: Option<&'a Node>,
    /// The owner's labels below the apex.
    pub(super) owner: &'a [u8],
    /// Whether existing names stand below.
    pub(super) has_children: bool,
}

impl Builder {
    /// The state `base` with set `key` replaced by `records` (or removed), from `version` on. The facts that follow from
    /// the owner's own sets are found anew; those that come from its children are kept.
    pub(super) fn with_set(
        &mut self,
        base: &Base<'_>,
        version: Version,
        key: SetKey,
        records: Option<RecordSetRef<'_>>,
    ) -> Node {
        self.begin(base.owner);
        let mut others = base.now.iter().flat_map(State::sets).filter(|set| set.key != key).peekable();
        while let Some(set) = others.next_if(|set| set.key < key) {
            self.keep(&set);
        }
        if let Some(set) = records {
            let from = self.records.len();
            let [pointer, to] = RECORD_START;
            let mut head = [pointer, to, 0, 0, 0, 1, 0, 0, 0, 0];
            head[2..4].copy_from_slice(&key.rtype.0.to_be_bytes());
            head[6..].copy_from_slice(&set.ttl().as_secs().to_be_bytes());
            for rdata in set.rdata() {
                self.records.extend_from_slice(&head);
                self.records.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
                self.records.extend_from_slice(rdata);
            }
            self.enter(key, self.records.len() - from, version);
        }
        others.for_each(|set| self.keep(&set));
        let facts = self.facts;
        let data = facts.has(Facts::DATA);
        let facts = facts
            .with(Facts::EMPTY_NON_TERMINAL, !data && base.has_children)
            .with(Facts::CUT, facts.has(Facts::CUT) && !base.owner.is_empty())
            .with(Facts::WILDCARD_CHILD, base.now.is_some_and(|now| now.facts.has(Facts::WILDCARD_CHILD)));
        self.node(base, version, version, facts)
    }

    /// The state `base` with other facts.
    pub(super) fn with_facts(&mut self, base: &Base<'_>, version: Version, facts: Facts) -> Node {
        self.begin(base.owner);
        base.now.iter().flat_map(State::sets).for_each(|set| self.keep(&set));
        let changed = base.now.map_or(Version(0), |now| now.changed);
        self.node(base, version, changed, facts)
    }

    fn begin(&mut self, owner: &[u8]) {
        self.octets.clear();
        self.octets.extend_from_slice(owner);
        self.records.clear();
        (self.sets, self.facts) = (0, Facts::default());
    }

    /// Adds a set as it was.
    fn keep(&mut self, set: &StoredSet<'_>) {
        self.records.extend_from_slice(set.records);
        self.enter(set.key, set.records.len(), set.since);
    }

    /// Adds the entry of the set whose records, so many octets, were added last.
    fn enter(&mut self, key: SetKey, len: usize, since: Version) {
        entry(&mut self.octets, key, len, since);
        self.sets += 1;
        self.facts.0 |= facts_of(key).0;
    }

    fn node(&mut self, base: &Base<'_>, version: Version, changed: Version, facts: Facts) -> Node {
        let older = base.newest.and_then(|newest| {
            let head = &newest.header.header;
            if head.since < version {
                return Some(older::pack(head.older.as_ref(), &State::of(newest), &mut self.packed));
            }
            // Of the same version, still unpublished: it is replaced without a trace.
            head.older.clone()
        });
        // Names have at most 255 octets, owners at most 65,536 types.
        let (owner, sets) = (base.owner.len() as u8, self.sets as u16);
        self.octets.extend_from_slice(&self.records);
        let head = Head { since: version, changed, older, sets, owner, facts };
        ThinArc::from_header_and_slice(head, &self.octets)
    }
}

/// The part of a directory entry that both forms have.
pub(super) fn entry(octets: &mut Vec<u8>, key: SetKey, len: usize, since: Version) {
    octets.extend_from_slice(&key.rtype.0.to_be_bytes());
    octets.extend_from_slice(&key.covered.0.to_be_bytes());
    octets.extend_from_slice(&(len as u32).to_be_bytes());
    octets.extend_from_slice(&since.0.to_be_bytes());
}

/// The facts that follow from having a set, for an owner that is not the apex.
fn facts_of(key: SetKey) -> Facts {
    let facts = match key.rtype {
        RecordType::NS => Facts::CUT,
        RecordType::DNAME => Facts::DNAME,
        RecordType::CNAME => Facts::CNAME,
        RecordType::NSEC3 => Facts::NSEC3,
        _ => Facts::default(),
    };
    // NSEC3 and its signature stand beside the zone's tree.
    facts.with(Facts::DATA, key.rtype != RecordType::NSEC3 && key.covered != RecordType::NSEC3)
}
