//! Names in canonical order: for NSEC, transfers and exports.
//!
//! A B-tree of name numbers whose nodes are shared with readers. Between two publications the writer edits what it alone
//! holds and copies what a reader may hold, so that a new name costs a path and a bulk load costs no copies. The names
//! themselves live in their nodes: every call gets a comparison.

use std::{cmp::Ordering, sync::Arc};

const WIDTH: usize = 128;

#[derive(Debug, Clone)]
pub(super) enum Order {
    Leaf(Vec<u32>),
    /// Each child with the number of its first name.
    Inner(Vec<(u32, Arc<Order>)>),
}

impl Default for Order {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl Order {
    /// The order of names that come sorted.
    pub(super) fn of_sorted(numbers: impl Iterator<Item = u32>) -> Arc<Self> {
        let mut numbers = numbers.peekable();
        let mut level = Vec::new();
        while numbers.peek().is_some() {
            let leaf: Vec<u32> = numbers.by_ref().take(WIDTH - 1).collect();
            level.push((leaf[0], Arc::new(Self::Leaf(leaf))));
        }
        while level.len() > 1 {
            let chunks =
                level.chunks(WIDTH - 1).map(|children| (children[0].0, Arc::new(Self::Inner(children.to_vec()))));
            level = chunks.collect();
        }
        level.pop().map(|(_, order)| order).unwrap_or_default()
    }

    /// Adds `number`, whose name must not be in yet; `compare` orders another name against it.
    pub(super) fn insert(self: &mut Arc<Self>, number: u32, compare: &mut impl FnMut(u32) -> Ordering) {
        if let Some(right) = Self::insert_below(self, number, compare) {
            let left = (self.first(), self.clone());
            *self = Arc::new(Self::Inner(vec![left, right]));
        }
    }

    /// Inserts and gives the right half if the node had to be split.
    fn insert_below(
        node: &mut Arc<Self>,
        number: u32,
        compare: &mut impl FnMut(u32) -> Ordering,
    ) -> Option<(u32, Arc<Self>)> {
        match Arc::make_mut(node) {
            Self::Leaf(numbers) => {
                let at = position(numbers.len(), |at| compare(numbers[at]));
                numbers.insert(at, number);
                // In a sorted load every name comes last: full leaves stay full.
                let keep = if at + 1 == numbers.len() { WIDTH - 1 } else { WIDTH / 2 };
                (numbers.len() >= WIDTH).then(|| {
                    let right = numbers.split_off(keep);
                    (right[0], Arc::new(Self::Leaf(right)))
                })
            }
            Self::Inner(children) => {
                let after = position(children.len(), |at| compare(children[at].0));
                let at = after.saturating_sub(1);
                if after == 0 {
                    children[0].0 = number;
                }
                if let Some(right) = Self::insert_below(&mut children[at].1, number, compare) {
                    children.insert(at + 1, right);
                }
                let keep = if at + 2 >= children.len() { WIDTH - 1 } else { WIDTH / 2 };
                (children.len() >= WIDTH).then(|| {
                    let right = children.split_off(keep);
                    (right[0].0, Arc::new(Self::Inner(right)))
                })
            }
        }
    }

    fn first(&self) -> u32 {
        match self {
            Self::Leaf(numbers) => numbers[0],
            Self::Inner(children) => children[0].0,
        }
    }

    /// The last name that `compare` places at or before the sought one and that `accept` takes; at most `limit` names
    /// are looked at.
    pub(super) fn last_before<T>(
        &self,
        compare: &mut impl FnMut(u32) -> Ordering,
        accept: &mut impl FnMut(u32) -> Option<T>,
        limit: &mut usize,
    ) -> Option<T> {
        match self {
            Self::Leaf(numbers) => {
                let end = numbers.partition_point(|number| compare(*number) != Ordering::Greater);
                for number in numbers[..end].iter().rev() {
                    *limit = limit.checked_sub(1)?;
                    if let Some(taken) = accept(*number) {
                        return Some(taken);
                    }
                }
                None
            }
            Self::Inner(children) => {
                let end = children.partition_point(|(first, _)| compare(*first) != Ordering::Greater);
                for (_, child) in children[..end].iter().rev() {
                    if let Some(taken) = child.last_before(compare, accept, limit) {
                        return Some(taken);
                    }
                    if *limit == 0 {
                        return None;
                    }
                }
                None
            }
        }
    }

    /// The names from the first that `compare` does not place before the sought one.
    pub(super) fn iter_from(self: Arc<Self>, compare: &mut impl FnMut(u32) -> Ordering) -> Iter {
        let mut path = Vec::new();
        let mut node = self;
        loop {
            let (at, below) = match &*node {
                Self::Leaf(numbers) => (numbers.partition_point(|number| compare(*number) == Ordering::Less), None),
                Self::Inner(children) => {
                    let after = children.partition_point(|(first, _)| compare(*first) == Ordering::Less);
                    // What is sought may be the first name of `after`, or stand within the child before it.
                    let at = after.saturating_sub(1);
                    (at + 1, Some(children[at].1.clone()))
                }
            };
            path.push((node, at));
            match below {
                Some(below) => node = below,
                None => return Iter { path },
            }
        }
    }
}

/// Where a name goes among `len` sorted ones. Sorted loads end here after one comparison.
fn position(len: usize, mut compare: impl FnMut(usize) -> Ordering) -> usize {
    if len == 0 || compare(len - 1) == Ordering::Less {
        return len;
    }
    let (mut low, mut high) = (0, len - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if compare(middle) == Ordering::Less { low = middle + 1 } else { high = middle }
    }
    low
}

/// Names in canonical order as they stood when the iteration began.
#[derive(Debug)]
pub(super) struct Iter {
    path: Vec<(Arc<Order>, usize)>,
}

impl Iterator for Iter {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            let (node, at) = self.path.last_mut()?;
            let place = *at;
            *at += 1;
            match &**node {
                Order::Leaf(numbers) => match numbers.get(place) {
                    Some(number) => return Some(*number),
                    None => self.path.pop(),
                },
                Order::Inner(children) => match children.get(place) {
                    Some((_, child)) => {
                        let child = child.clone();
                        self.path.push((child, 0));
                        continue;
                    }
                    None => self.path.pop(),
                },
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn build(numbers: &[u32]) -> Arc<Order> {
        let mut order = Arc::new(Order::default());
        for number in numbers {
            order.insert(*number, &mut |other| other.cmp(number));
        }
        order
    }

    proptest! {
        #[test]
        fn numbers_come_back_sorted_from_any_place(
            set in prop::collection::hash_set(0u32..100_000, 0..2_000),
            sought in 0u32..100_000,
        ) {
            let numbers: Vec<u32> = set.into_iter().collect();
            let order = build(&numbers);
            let mut sorted = numbers;
            sorted.sort_unstable();
            let found: Vec<u32> = order.clone().iter_from(&mut |_| Ordering::Greater).collect();
            prop_assert_eq!(&found, &sorted);
            let found: Vec<u32> = order.clone().iter_from(&mut |other| other.cmp(&sought)).collect();
            let from = sorted.partition_point(|number| *number < sought);
            prop_assert_eq!(&found[..], &sorted[from..]);
            let before = order.last_before(&mut |other| other.cmp(&sought), &mut Some, &mut usize::MAX.clone());
            prop_assert_eq!(before, sorted.iter().rev().find(|number| **number <= sought).copied());
        }
    }

    #[test]
    fn a_held_order_does_not_change() {
        let mut order = build(&(0..1000).map(|n| n * 2).collect::<Vec<_>>());
        let held = order.clone();
        order.insert(501, &mut |other| other.cmp(&501));
        assert_eq!(held.iter_from(&mut |_| Ordering::Greater).count(), 1000);
        assert_eq!(order.iter_from(&mut |_| Ordering::Greater).count(), 1001);
    }
}
