//! What a transaction is to write.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use conn3ction_ledger::etcd::etcd_client::TxnOp;
use conn3ction_schemas::Name;

use crate::{Content, Digest, EntryHash, key_view::KeyView};

/// etcd takes 128 operations a transaction; the checkpoint and a little room are left.
pub(super) const MOST_KEYS: usize = 120;
/// etcd takes 1.5 MiB a request.
pub(super) const MOST_OCTETS: usize = 1 << 20;

/// Keys with their values before and after. Later changes of a key take the place of earlier ones.
#[derive(Debug, Default, Clone)]
pub(super) struct Changes {
    keys: BTreeMap<String, (Option<String>, Option<String>)>,
    octets: usize,
}

impl Changes {
    /// The difference that a step makes at `names`.
    pub(super) fn of(view: &dyn KeyView, before: &dyn Content, after: &dyn Content, names: &BTreeSet<Name>) -> Self {
        let mut changes = Self::default();
        for name in names {
            let mut old = view.keys(before, name);
            for (key, new) in view.keys(after, name) {
                let old = old.remove(&key);
                if old.as_ref() != Some(&new) {
                    changes.put(key, old, Some(new));
                }
            }
            for (key, old) in old {
                changes.put(key, Some(old), None);
            }
        }
        changes
    }

    pub(super) fn put(&mut self, key: String, old: Option<String>, new: Option<String>) {
        let size = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        match self.keys.entry(key) {
            Entry::Vacant(place) => {
                self.octets += place.key().len() + size(&new);
                place.insert((old, new));
            }
            Entry::Occupied(mut place) => {
                let (_, present) = place.get_mut();
                self.octets = self.octets + size(&new) - size(present);
                *present = new;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether this and `more` fit one transaction together.
    pub(super) fn fits(&self, more: &Changes) -> bool {
        self.len() + more.len() <= MOST_KEYS && self.octets + more.octets <= MOST_OCTETS
    }

    pub(super) fn append(&mut self, more: Changes) {
        more.keys.into_iter().for_each(|(key, (old, new))| self.put(key, old, new));
    }

    /// Cuts into pieces that fit one transaction each, in the order of the keys, and gives those after the first
    /// `skip` keys.
    pub(super) fn pieces(self, skip: u64) -> Vec<Changes> {
        let mut pieces = vec![Changes::default()];
        for (key, (old, new)) in self.keys.into_iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
            let mut one = Changes::default();
            one.put(key, old, new);
            match pieces.last_mut() {
                Some(last) if last.fits(&one) => last.append(one),
                _ => pieces.push(one),
            }
        }
        pieces
    }

    /// The digest of a view after the changes.
    pub(super) fn digest(&self, mut digest: Digest) -> Digest {
        for (key, (old, new)) in &self.keys {
            if let Some(old) = old {
                digest.remove(EntryHash::of_pair(key.as_bytes(), old.as_bytes()));
            }
            if let Some(new) = new {
                digest.add(EntryHash::of_pair(key.as_bytes(), new.as_bytes()));
            }
        }
        digest
    }

    pub(super) fn operations(&self) -> Vec<TxnOp> {
        let changed = self.keys.iter().filter(|(_, (old, new))| old != new);
        changed
            .map(|(key, (_, new))| match new {
                Some(value) => TxnOp::put(key.as_str(), value.as_str(), None),
                None => TxnOp::delete(key.as_str(), None),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(keys: &[(&str, Option<&str>, Option<&str>)]) -> Changes {
        let mut changes = Changes::default();
        for (key, old, new) in keys {
            changes.put((*key).into(), old.map(Into::into), new.map(Into::into));
        }
        changes
    }

    #[test]
    fn a_key_that_changes_twice_is_written_once_and_counted_once() {
        let mut start = Digest::default();
        start.add(EntryHash::of_pair(b"a", b"1"));
        let mut both = changes(&[("a", Some("1"), Some("2"))]);
        both.append(changes(&[("a", Some("2"), Some("3"))]));
        let mut end = Digest::default();
        end.add(EntryHash::of_pair(b"a", b"3"));
        assert_eq!(both.digest(start), end);
        assert_eq!(both.operations().len(), 1);
        both.append(changes(&[("a", Some("3"), Some("1"))]));
        assert_eq!(both.digest(start), start);
        assert!(both.operations().is_empty());
    }

    #[test]
    fn pieces_fit_a_transaction_and_start_where_the_last_writer_stopped() {
        let mut many = Changes::default();
        for n in 0..300 {
            many.put(format!("{n:03}"), None, Some("x".into()));
        }
        let sizes = |skip| many.clone().pieces(skip).iter().map(Changes::len).collect::<Vec<_>>();
        assert_eq!(sizes(0), [120, 120, 60]);
        assert_eq!(sizes(120), [120, 60]);
    }
}
