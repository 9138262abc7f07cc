//! Sequences of length-prefixed labels without a root label: owners as they stand below their apex.

use std::cmp::Ordering;

/// Canonical order (RFC 4034 section 6.1) of two names below the same apex.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    // Most names stand right below the apex.
    if let (Some([]), Some([])) = (parent(a), parent(b)) {
        return a[1..].cmp(&b[1..]);
    }
    let (a_starts, a_count) = starts(a);
    let (b_starts, b_count) = starts(b);
    for back in 1..=a_count.min(b_count) {
        let a_label = label(a, a_starts[a_count - back] as usize);
        let b_label = label(b, b_starts[b_count - back] as usize);
        match a_label.cmp(b_label) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    a_count.cmp(&b_count)
}

/// The number of labels.
#[inline]
pub(crate) fn count(labels: &[u8]) -> usize {
    let (mut rest, mut count) = (labels, 0);
    while let Some(parent) = parent(rest) {
        (rest, count) = (parent, count + 1);
    }
    count
}

/// The name one label shorter; `None` for the apex itself.
#[inline]
pub(crate) fn parent(labels: &[u8]) -> Option<&[u8]> {
    let len = *labels.first()? as usize;
    labels.get(1 + len..)
}

/// Whether the first label is `*`.
pub(crate) fn is_wildcard(labels: &[u8]) -> bool {
    labels.starts_with(b"\x01*")
}

/// Whether `labels` is `other` or a name below it.
pub(crate) fn is_at_or_below(labels: &[u8], other: &[u8]) -> bool {
    let mut rest = labels;
    while rest.len() > other.len() {
        rest = match parent(rest) {
            Some(rest) => rest,
            None => return false,
        };
    }
    rest == other
}

/// Where each label starts; a name of 255 octets has at most 127.
pub(crate) fn starts(labels: &[u8]) -> ([u8; 128], usize) {
    let mut starts = [0; 128];
    let (mut at, mut count) = (0, 0);
    while at < labels.len() && count < 128 {
        starts[count] = at as u8;
        count += 1;
        at += 1 + labels[at] as usize;
    }
    (starts, count)
}

fn label(labels: &[u8], start: usize) -> &[u8] {
    let end = (start + 1 + labels[start] as usize).min(labels.len());
    &labels[start + 1..end]
}
