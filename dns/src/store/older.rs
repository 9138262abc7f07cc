//! The states that an owner had before its newest, packed: one search in a few cache lines finds any of them.
//!
//! A block is never edited: the next state replaces the newest block by one that holds that state as well, until it is
//! full; then a new one begins, with a link to the one before and one further back. The octets after the head:
//!
//! ```text
//! for each state, the oldest first: since u64 | place of the state u32
//! the owner's labels below the apex
//! for each state: the records of each set that are not there yet
//!                 facts u8 | sets u16 | changed u64, unless it is `since` | for each set as in a sealed file
//! ```
//! Places count from the end of the owner. The table comes first, so that it is read together with the head.

use triomphe::ThinArc;

use super::{
    Version,
    node::{self, Facts, SEALED_ENTRY, State, StoredSet},
};

pub(crate) type Block = ThinArc<BlockHead, u8>;

/// States of a block, and octets after which it takes none: what a change copies at most.
const STATES: usize = 32;
const OCTETS: usize = 4096;
/// Octets of a row of the table.
const ROW: usize = 12;
/// Equal records are found among those of this many states.
const REMEMBERED: usize = 8;
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
    place: u8,
}

impl Older {
    /// The state that held at `version`, out of `newest` and the blocks before it.
    pub(super) fn find(newest: &Block, version: Version) -> Option<Self> {
        let mut block = newest;
        loop {
            let head = &block.header.header;
            if head.first <= version {
                break;
            }
            block = match &head.jump {
                Some(jump) if jump.header.header.first > version => jump,
                _ => head.before.as_ref()?,
            };
        }
        let table = Parts::of(block).table;
        // All rows are looked at: that costs less than guessing which half to go on with.
        let held = table.chunks_exact(ROW).filter(|row| since(row) <= version).count();
        Some(Self { block: block.clone(), place: held.checked_sub(1)? as u8 })
    }

    pub(super) fn state(&self) -> State<'_> {
        Parts::of(&self.block).state(usize::from(self.place))
    }
}

/// The block for all that `before` holds and `state`, which came after it; `octets` is a buffer.
pub(super) fn pack(before: Option<&Block>, state: &State<'_>, octets: &mut Vec<u8>) -> Block {
    let open = before.filter(|block| {
        let parts = Parts::of(block);
        usize::from(block.header.header.states) < STATES && parts.rest.len() < OCTETS
    });
    let parts = open.map_or(Parts { owner: state.owner(), table: &[], rest: &[] }, Parts::of);
    octets.clear();
    octets.extend_from_slice(parts.table);
    octets.extend_from_slice(&state.since.0.to_be_bytes());
    let place_at = octets.len();
    octets.extend_from_slice(&[0; 4]);
    octets.extend_from_slice(parts.owner);
    let start = octets.len();
    octets.extend_from_slice(parts.rest);
    let known: Vec<Option<usize>> = state.sets().map(|set| parts.place_of(&set)).collect();
    let mut end = parts.rest.len();
    for (set, _) in state.sets().zip(&known).filter(|(_, known)| known.is_none()) {
        octets.extend_from_slice(set.records);
    }
    let place = octets.len() - start;
    octets[place_at..place_at + 4].copy_from_slice(&(place as u32).to_be_bytes());
    let apart = state.changed != state.since;
    octets.push(state.facts.0 | if apart { CHANGED_APART } else { 0 });
    octets.extend_from_slice(&(known.len() as u16).to_be_bytes());
    if apart {
        octets.extend_from_slice(&state.changed.0.to_be_bytes());
    }
    for (set, known) in state.sets().zip(&known) {
        let at = known.unwrap_or(end);
        if known.is_none() {
            end += set.records.len();
        }
        node::entry(octets, set.key, set.records.len(), set.since);
        octets.extend_from_slice(&(at as u64).to_be_bytes());
    }
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
    table: &'a [u8],
    owner: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(block: &'a Block) -> Self {
        let head = &block.header.header;
        let (table, rest) = block.slice.split_at(ROW * usize::from(head.states));
        let (owner, rest) = rest.split_at(head.owner.into());
        Self { owner, table, rest }
    }

    fn state(&self, place: usize) -> State<'a> {
        let row = &self.table[place * ROW..(place + 1) * ROW];
        let since = since(row);
        let at = u32::from_be_bytes([row[8], row[9], row[10], row[11]]) as usize;
        let (facts, sets) = (self.rest[at], u16::from_be_bytes([self.rest[at + 1], self.rest[at + 2]]));
        let mut rest = &self.rest[at + 3..];
        let mut changed = since;
        if let (true, Some((apart, after))) = (facts & CHANGED_APART != 0, rest.split_first_chunk()) {
            (changed, rest) = (Version(u64::from_be_bytes(*apart)), after);
        }
        let directory = &rest[..SEALED_ENTRY * usize::from(sets)];
        State::placed((since, changed, Facts(facts & !CHANGED_APART)), self.owner, directory, self.rest)
    }

    /// Where the records of `set` are, if one of the last states has the same.
    fn place_of(&self, set: &StoredSet<'_>) -> Option<usize> {
        let states = self.table.len() / ROW;
        (states.saturating_sub(REMEMBERED)..states).rev().find_map(|place| {
            let same = self.state(place).set(set.key)?;
            // Records of a state are in its block.
            (same.records == set.records).then(|| same.records.as_ptr() as usize - self.rest.as_ptr() as usize)
        })
    }
}

fn since(row: &[u8]) -> Version {
    Version(row.first_chunk().map_or(0, |since| u64::from_be_bytes(*since)))
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
    use super::*;

    #[test]
    fn whatever_state_is_asked_for_is_found_in_a_history_of_many_blocks() {
        let mut octets = Vec::new();
        let mut newest: Option<Block> = None;
        for place in 1..=100_000u64 {
            let changed = Version(if place % 3 == 0 { place * 10 } else { 7 });
            let facts = (Version(place * 10), changed, Facts(place as u8 & 127));
            newest = Some(pack(newest.as_ref(), &State::placed(facts, b"\x01a", &[], &[]), &mut octets));
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
}
