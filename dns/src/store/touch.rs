//! Several questions looked into together, so that their waits for memory overlap.
//!
//! What an answer reads lies in a chain: the word of the index, the slot, the newest state, block after block of older ones.
//! A processor goes on while it waits, but not past the atomic exchange that keeps a state alive. So each link is read for
//! all questions before the next one, and the answers find it in the cache. Nothing that is found here decides an answer but
//! the zone.

use std::{hint::black_box, sync::atomic::Ordering};

use arc_swap::Guard;

use super::{View, node::Node, older::Block, view::ZoneView, zone::Zone};

/// Questions at a time: as many states as a thread holds without counting references.
pub(crate) const LOT: usize = 8;

/// A view, and a name (lower case, wire form) that is about to be looked up in it.
pub(crate) type Question<'v> = Option<(&'v View, &'v [u8])>;

/// Reads what the answers to these questions will read, and gives the zone of each as [`View::zone_of_wire`] would; `None`
/// where that takes a longer search.
pub(crate) fn touch<'v>(questions: &[Question<'v>; LOT]) -> [Option<ZoneView<'v>>; LOT] {
    let candidates = questions.map(|question| question.and_then(|(view, name)| view.nearest_apex(name)));
    // The rows that tell which version a zone shows at a point in time.
    let near: [_; LOT] = std::array::from_fn(|at| candidates[at]?.ticks.near_time(questions[at]?.0.time()?));
    let words = near.iter().zip(&candidates).filter_map(|(near, zone)| Some((*zone)?.ticks.guessed((*near)?)));
    black_box(words.fold(0, |all, word| all ^ word));
    let zones = std::array::from_fn(|at| questions[at]?.0.living_near(candidates[at]?, near[at]));
    touch_owners(questions, &zones);
    zones
}

/// The states of the owners.
fn touch_owners(questions: &[Question<'_>; LOT], zones: &[Option<ZoneView<'_>>; LOT]) {
    let owners: [_; LOT] = std::array::from_fn(|at| Some((zones[at]?.zone(), zones[at]?.labels_of(questions[at]?.1))));
    let numbers = near(&owners);
    let held: [_; LOT] = std::array::from_fn(|at| Some(zones[at]?.zone().slots.get(numbers[at]?)?.newest.load()));
    let node = |at: usize| held[at].as_ref().and_then(|held: &Guard<Option<Node>>| held.as_ref());
    let mut blocks = [None; LOT];
    let mut read = 0;
    for (at, block) in blocks.iter_mut().enumerate() {
        let (Some(node), Some(zone)) = (node(at), zones[at]) else { continue };
        let head = &node.header.header;
        *block = if head.since() > zone.version() { head.blocks() } else { None };
        read ^= u64::from(node.slice.last().copied().unwrap_or_default());
    }
    // Each round is one step back for all of them.
    while blocks.iter().zip(zones).fold(false, |goes_on, (block, zone)| goes_on | is_younger(*block, *zone)) {
        for (block, zone) in blocks.iter_mut().zip(zones) {
            if let (Some(from), Some(zone)) = (*block, zone) {
                *block = super::older::toward(from, zone.version());
            }
        }
    }
    let tables = blocks.iter().flatten().map(|block| super::older::touch_table(block));
    read ^= tables.fold(0, |all, octet| all ^ octet);
    let states =
        blocks.iter().zip(zones).filter_map(|(block, zone)| super::older::touch_state((*block)?, (*zone)?.version()));
    black_box(states.fold(read, |all, octet| all ^ octet));
}

/// The number of each owner or, rarely, of another name with its hash. Sealed names are not looked for.
fn near<const N: usize>(owners: &[Option<(&Zone, &[u8])>; N]) -> [Option<u32>; N] {
    // No wait overlaps with another past the exchange that taking a directory is: one serves all owners of a zone.
    let mut taken: Option<(&Zone, _)> = None;
    owners.map(|owner| {
        let (zone, owner) = owner?;
        let known = taken.take().filter(|(of, _)| std::ptr::eq(*of, zone));
        let (_, directory) = taken.insert(known.unwrap_or_else(|| (zone, zone.index.directory())));
        directory.find(zone.hash(owner), |_| true)
    })
}

/// As [`touch`], of what the next states of these owners, each given with its zone, will grow from; `newest` gives the
/// newest state of a number. Gives the number of each owner as far as it is known.
pub(super) fn touch_newest<'n, const N: usize>(
    owners: &[Option<(&Zone, &[u8])>; N],
    newest: impl Fn(&Zone, u32) -> Option<&'n Node>,
) -> [Option<u32>; N] {
    let numbers = near(owners);
    let slots = owners.iter().zip(numbers).filter_map(|(owner, number)| (*owner)?.0.slots.get(number?));
    let read = slots.fold(0, |all, slot| all ^ u64::from(slot.notes.load(Ordering::Relaxed)));
    let nodes: [_; N] = std::array::from_fn(|at| newest(owners[at]?.0, numbers[at]?));
    let nodes = nodes.iter().flatten();
    let read = nodes.clone().fold(read, |all, node| all ^ u64::from(node.slice.last().copied().unwrap_or_default()));
    let blocks = nodes.filter_map(|node| node.header.header.blocks());
    black_box(blocks.fold(read, |all, block| all ^ super::older::touch_all(block)));
    numbers
}

fn is_younger(block: Option<&Block>, zone: Option<ZoneView<'_>>) -> bool {
    block.zip(zone).is_some_and(|(block, zone)| super::older::is_after(block, zone.version()))
}
