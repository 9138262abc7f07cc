//! The states that an owner had before its newest, packed: one search in a few cache lines finds any of them.
//!
//! A block is never edited: the next state replaces the newest block by one that holds that state as well, until it is
//! full; then a new one begins, with a link to the one before and one further back. The octets after the head:
//!
//! ```text
//! for each state, the oldest first: since u32, counted from the block's first | place of the state u16
//! the owner's labels below the apex
//! for each state: facts u8 | how much earlier it changed, unless it is `since` | length of the directory
//!                 directory | the records of each set that were not there yet
//! ```
//! Places count from the end of the owner; numbers without a width are as short as can be (`varint`). The table comes first,
//! so that it is read together with the head.

use triomphe::ThinArc;

use super::{
    Version,
    node::{self, Facts, State},
    varint,
};

pub(crate) type Block = ThinArc<BlockHead, u8>;

/// States of a block, and octets after which it takes none: what a change copies at most. A place fits into two octets.
const STATES: usize = 32;
const OCTETS: usize = 4096;
/// Octets of a row of the table.
const ROW: usize = 6;
/// Beside the facts: `changed` is another version than `since`.
const CHANGED_APART: u8 = 128;

#[derive(Debug)]
pub(crate) struct BlockHead {
    /// Since when the oldest of its states holds.
    first: Version,
    /// The block before, and one further back: a search walks both in logarithmic time (a skew-binary list).
    before: Option<Block>,
    jump: Option<Block>,
    /// How many blocks are before.
    place: u32,
    states: u8,
    owner: u8,
}

/// One of the states of a block.
#[derive(Debug, Clone)]
pub(crate) struct Older {
    block: Block,
    found: Found,
}

/// What a block says of a state, and where in [`Parts::rest`] its directory begins and ends.
#[derive(Debug, Clone, Copy)]
struct Found {
    since: Version,
    changed: Version,
    facts: Facts,
    directory: (u32, u32),
}

impl Older {
    /// The state that held at `version`, out of `newest` and the blocks before it.
    pub(super) fn find(newest: &Block, version: Version) -> Option<Self> {
        let mut block = newest;
        while is_after(block, version) {
            block = toward(block, version)?;
        }
        let parts = Parts::of(block);
        let found = parts.found(parts.place_at(version)?);
        Some(Self { block: block.clone(), found })
    }

    /// Unpacked once, in [`Older::find`]: an answer looks at a state several times.
    #[inline]
    pub(super) fn state(&self) -> State<'_> {
        Parts::of(&self.block).shown(self.found)
    }
}

/// Whether all states of `block` are younger than `version`.
pub(super) fn is_after(block: &Block, version: Version) -> bool {
    block.header.header.first > version
}

/// One step from `block` toward the one with the state that held at `version`.
pub(super) fn toward(block: &Block, version: Version) -> Option<&Block> {
    let head = &block.header.header;
    match &head.jump {
        _ if head.first <= version => Some(block),
        Some(jump) if is_after(jump, version) => Some(jump),
        _ => head.before.as_ref(),
    }
}

/// Reads each cache line of the table, for [`super::touch`].
pub(super) fn touch_table(block: &Block) -> u64 {
    Parts::of(block).table.iter().step_by(64).fold(0, |all, octet| all ^ u64::from(*octet))
}

/// Reads each cache line of the block, for [`super::touch`].
pub(super) fn touch_all(block: &Block) -> u64 {
    block.slice.iter().step_by(64).fold(u64::from(block.header.header.place), |all, octet| all ^ u64::from(*octet))
}

/// Reads the beginning of the state that held at `version`, for [`super::touch`].
pub(super) fn touch_state(block: &Block, version: Version) -> Option<u64> {
    let parts = Parts::of(block);
    let row = &parts.table[parts.place_at(version)? * ROW..];
    parts.rest.get(usize::from(u16::from_be_bytes([row[4], row[5]]))).map(|octet| u64::from(*octet))
}

/// Memory that is used again and again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    octets: Vec<u8>,
    directory: Vec<u8>,
    own: Vec<u8>,
}

/// The block for all that `before` holds and `state`, which came after it.
pub(super) fn pack(before: Option<&Block>, state: &State<'_>, buffers: &mut Buffers) -> Block {
    let Buffers { octets, directory, own } = buffers;
    let open = before.filter(|block| {
        let parts = Parts::of(block);
        let head = &block.header.header;
        let is_near = state.since.0 - head.first.0 <= u32::MAX.into();
        usize::from(head.states) < STATES && parts.rest.len() < OCTETS && is_near
    });
    let (first, owner) = (state.since, state.owner());
    let parts = open.map_or(Parts { first, owner, table: &[], rest: &[] }, Parts::of);
    octets.clear();
    octets.extend_from_slice(parts.table);
    octets.extend_from_slice(&((state.since.0 - parts.first.0) as u32).to_be_bytes());
    octets.extend_from_slice(&(parts.rest.len() as u16).to_be_bytes());
    octets.extend_from_slice(parts.owner);
    octets.extend_from_slice(parts.rest);
    let apart = state.changed != state.since;
    octets.push(state.facts.0 | if apart { CHANGED_APART } else { 0 });
    if apart {
        varint::put(octets, state.since.0.wrapping_sub(state.changed.0));
    }
    directory.clear();
    own.clear();
    for set in state.sets() {
        let known = parts.place_of(set.records);
        node::packed_entry(directory, state.since, &set, known);
        if known.is_none() {
            own.extend_from_slice(set.records);
        }
    }
    varint::put(octets, directory.len() as u64);
    octets.extend_from_slice(directory);
    octets.extend_from_slice(own);
    let owner = parts.owner.len() as u8;
    let head = match open.map(|block| &block.header.header) {
        Some(head) => BlockHead {
            first: head.first,
            before: head.before.clone(),
            jump: head.jump.clone(),
            place: head.place,
            states: head.states + 1,
            owner,
        },
        None => {
            let place = before.map_or(0, |before| before.header.header.place + 1);
            BlockHead { first: state.since, before: before.cloned(), jump: jump(before), place, states: 1, owner }
        }
    };
    ThinArc::from_header_and_slice(head, octets)
}

/// The jump link of the block after `before`.
fn jump(before: Option<&Block>) -> Option<Block> {
    let before = before?;
    let head = &before.header.header;
    let Some(jump) = &head.jump else { return Some(before.clone()) };
    let far = &jump.header.header;
    let even =
        far.jump.as_ref().is_some_and(|farther| head.place - far.place == far.place - farther.header.header.place);
    if even { far.jump.clone() } else { Some(before.clone()) }
}

/// The octets of a block.
struct Parts<'a> {
    first: Version,
    table: &'a [u8],
    owner: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(block: &'a Block) -> Self {
        let head = &block.header.header;
        let (table, rest) = block.slice.split_at(ROW * usize::from(head.states));
        let (owner, rest) = rest.split_at(head.owner.into());
        Self { first: head.first, owner, table, rest }
    }

    /// Which state held at `version`, which is not before the first. All rows are looked at: that costs less than guessing
    /// which half to go on with.
    fn place_at(&self, version: Version) -> Option<usize> {
        let after = u32::try_from(version.0.checked_sub(self.first.0)?).unwrap_or(u32::MAX);
        self.table.chunks_exact(ROW).filter(|row| since(row) <= after).count().checked_sub(1)
    }

    fn found(&self, place: usize) -> Found {
        let row = &self.table[place * ROW..(place + 1) * ROW];
        let since = Version(self.first.0 + u64::from(since(row)));
        let at = usize::from(u16::from_be_bytes([row[4], row[5]]));
        let (facts, mut rest) = (self.rest[at], &self.rest[at + 1..]);
        let mut number = || varint::take(&mut rest).unwrap_or_default();
        let changed = if facts & CHANGED_APART != 0 { since.0.wrapping_sub(number()) } else { since.0 };
        let len = number() as u32;
        let directory = (self.rest.len() - rest.len()) as u32;
        let facts = Facts(facts & !CHANGED_APART);
        Found { since, changed: Version(changed), facts, directory: (directory, directory + len) }
    }

    fn shown(&self, found: Found) -> State<'a> {
        let (directory, end) = (found.directory.0 as usize, found.directory.1 as usize);
        let own = &self.rest[end..];
        State::packed(
            (found.since, found.changed, found.facts),
            self.owner,
            (&self.rest[directory..end], own),
            self.rest,
        )
    }

    /// Where octets equal to `records` are, whichever states they came with.
    fn place_of(&self, records: &[u8]) -> Option<usize> {
        // Every record begins so, and little else has that octet.
        memchr::memchr_iter(node::RECORD_START[0], self.rest).find(|at| self.rest[*at..].starts_with(records))
    }
}

fn since(row: &[u8]) -> u32 {
    row.first_chunk().map_or(0, |since| u32::from_be_bytes(*since))
}

impl Drop for BlockHead {
    /// Lets go of a long history in a loop; recursion would overflow the stack at some 10,000 blocks.
    fn drop(&mut self) {
        self.jump = None;
        let mut next = self.before.take();
        while let Some(mut block) = next {
            next = block.with_arc_mut(|arc| {
                triomphe::Arc::get_mut(arc).and_then(|block| {
                    block.header_mut().jump = None;
                    block.header_mut().before.take()
                })
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_schemas::{Rdata, RecordSet, RecordType, SetKey, Timestamp, Ttl};

    use super::*;
    use crate::store::Store;

    #[test]
    fn whatever_state_is_asked_for_is_found_in_a_history_of_many_blocks() {
        let mut buffers = Buffers::default();
        let mut newest: Option<Block> = None;
        for place in 1..=100_000u64 {
            let changed = Version(if place % 3 == 0 { place * 10 } else { 7 });
            let facts = (Version(place * 10), changed, Facts(place as u8 & 127));
            newest = Some(pack(newest.as_ref(), &State::placed(facts, b"\x01a", &[], &[]), &mut buffers));
        }
        let newest = newest.expect("a block");
        for version in (1..1_000_100).step_by(7) {
            let found = Older::find(&newest, Version(version));
            let expected = (version / 10).min(100_000);
            assert_eq!(found.is_some(), expected > 0);
            let Some(found) = found else { continue };
            let state = found.state();
            assert_eq!((state.since, state.owner()), (Version(expected * 10), &b"\x01a"[..]));
            assert_eq!(state.changed.0, if expected % 3 == 0 { expected * 10 } else { 7 });
            assert_eq!(state.facts, Facts(expected as u8 & 127));
        }
    }

    #[test]
    fn equal_records_are_in_a_block_once() {
        let name = |text: &str| text.parse::<conn3ction_schemas::Name>().expect("a name");
        let (apex, owner) = (name("example."), name("www.example."));
        let (store, mut writer) = Store::new();
        for version in 1..=20u64 {
            // What begins a record is in all of these, too.
            let octets = vec![if version % 2 == 0 { 0xc0 } else { 0x0c }; 100];
            let ttl = Ttl::from_secs(60).expect("a TTL");
            let set = RecordSet::new(ttl, vec![Rdata::from_stored(&octets)]).expect("a set");
            writer.begin(Version(version), Timestamp(0));
            writer.set(&apex, &owner, SetKey::of(RecordType::TXT), Some(&set));
            writer.publish();
        }
        let zones = store.zones.load();
        let zone = zones.get(0).expect("the zone");
        let node = zone.slots.get(0).expect("the owner").newest.load();
        let block = node.as_ref().and_then(|node| node.header.header.blocks()).expect("older states");
        assert_eq!(block.header.header.states, 19);
        assert!(block.slice.len() < 2 * 112 + 19 * 20, "{} octets", block.slice.len());
    }

    #[test]
    fn sets_are_what_they_were_however_far_apart_their_versions_are() {
        let name = |text: &str| text.parse::<conn3ction_schemas::Name>().expect("a name");
        let (apex, owner) = (name("example."), name("www.example."));
        let ttl = Ttl::from_secs(60).expect("a TTL");
        let keys = [SetKey::of(RecordType::A), SetKey { rtype: RecordType::RRSIG, covered: RecordType(65_535) }];
        let (store, mut writer) = Store::new();
        let mut held = [const { (None, 0) }; 2];
        let mut expected = Vec::new();
        for number in 0..200u64 {
            let version = number + if number >= 40 { 1 << 40 } else { 0 } + if number >= 50 { 1 << 60 } else { 0 };
            // The second set stays for long, through steps of all sizes, and is large in the end.
            let at = usize::from(number % 70 == 1);
            let octets = vec![number as u8; if at == 1 { 30_000 } else { 4 }];
            let set = (number % 9 != 8).then(|| RecordSet::new(ttl, vec![Rdata::from_stored(&octets)]).expect("a set"));
            writer.begin(Version(version + 1), Timestamp(0));
            writer.set(&apex, &owner, keys[at], set.as_ref());
            writer.publish();
            held[at] = (set, version + 1);
            expected.push((Version(version + 1), held.clone()));
        }
        for (version, held) in expected {
            let view = store.at(version);
            let owner = view.zone(&apex).and_then(|zone| zone.owner(&owner));
            for (key, (set, since)) in keys.into_iter().zip(held) {
                let found = owner.as_ref().and_then(|owner| owner.set(key));
                let expected = set.map(|set| (set, Version(since)));
                assert_eq!(found.map(|set| (set.to_record_set(), set.since())), expected, "{key:?} at {version}");
            }
        }
    }
}
