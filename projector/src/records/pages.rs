//! Pages: record sets that are neighbours in the order of keys share one entry of the tree, packed. An entry costs sled far
//! more than its octets do, and the JSON of neighbours is much alike.

use std::{collections::BTreeMap, ops::Bound};

use sled::IVec;
use zstd::bulk::{Compressor, Decompressor};

/// The most record sets in a page. One change packs its whole page anew, so more would make single changes dear.
const MOST: usize = 16;

/// A page that is this long before it is packed takes no more sets. One set alone may be longer: a list of types that takes 34
/// octets on the wire prints as 256 names.
const FULL_OCTETS: usize = 1 << 20;

/// No page is longer before it is packed.
const MAX_OCTETS: usize = 64 << 20;

/// Of zstd.
const LEVEL: i32 = 1;

/// Keys and values by key.
type Sets = BTreeMap<Vec<u8>, Vec<u8>>;

/// Why pages cannot be read.
pub(super) enum PageError {
    Sled(sled::Error),
    /// It is not what was written.
    Damaged,
}

impl From<sled::Error> for PageError {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

/// The part of a tree whose keys start with one octet. A page stands under the key of its first set.
pub(super) struct Pages<'a> {
    pub(super) tree: &'a sled::Tree,
    pub(super) prefix: u8,
}

impl Pages<'_> {
    /// Adds to `writes` what makes `changes` of the pages: a set to put, or `None` to take one away.
    pub(super) fn change(
        &self,
        changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        writes: &mut sled::Batch,
    ) -> Result<(), PageError> {
        let mut packer = Compressor::new(LEVEL).map_err(sled::Error::Io)?;
        let mut unpacker = Decompressor::new().map_err(sled::Error::Io)?;
        let mut changes = changes.into_iter().peekable();
        while let Some((first, _)) = changes.peek() {
            let (old, mut sets) = match self.page_of(first)? {
                Some((key, page)) => (Some(key), unpack(&page, &mut unpacker).ok_or(PageError::Damaged)?),
                None => (None, Sets::new()),
            };
            let end = match &old {
                Some(key) => self.range(Bound::Excluded(key)).keys().next().transpose()?,
                None => None,
            };
            while let Some((key, value)) = changes.next_if(|(key, _)| end.as_ref().is_none_or(|end| **key < **end)) {
                match value {
                    Some(value) => sets.insert(key, value),
                    None => sets.remove(&key),
                };
            }
            // A page that lost sets is not joined with the next; it goes with its last one.
            if let Some(old) = old
                && sets.first_key_value().is_none_or(|(first, _)| *first != *old)
            {
                writes.remove(old);
            }
            let sets: Vec<_> = sets.into_iter().collect();
            let each = sets.len().div_ceil(sets.len().div_ceil(MOST).max(1)).max(1);
            let small = sets.chunks(each).flat_map(|page| {
                let mut octets = 0;
                page.chunk_by(move |(_, value), _| {
                    octets += value.len();
                    let goes_on = octets < FULL_OCTETS;
                    octets = if goes_on { octets } else { 0 };
                    goes_on
                })
            });
            for page in small {
                writes.insert(&*page[0].0, pack(page, &mut packer).map_err(sled::Error::Io)?);
            }
        }
        Ok(())
    }

    /// Calls `each` with the sets whose keys start with `start`, in their order.
    pub(super) fn each(&self, start: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), PageError> {
        let from = self.page_of(start)?.map(|(key, _)| key).unwrap_or_else(|| start.into());
        let mut unpacker = Decompressor::new().map_err(sled::Error::Io)?;
        for entry in self.range(Bound::Included(&from)) {
            for (key, value) in unpack(&entry?.1, &mut unpacker).ok_or(PageError::Damaged)? {
                if key.starts_with(start) {
                    each(&key, &value);
                } else if *key > *start {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The page in which `key` has its place: the last that does not begin after it, else the first.
    fn page_of(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, sled::Error> {
        let before = self.tree.range::<&[u8], _>(&[self.prefix][..]..=key).next_back();
        before.or_else(|| self.range(Bound::Included(key)).next()).transpose()
    }

    fn range(&self, from: Bound<impl AsRef<[u8]>>) -> sled::Iter {
        let from = from.map(|key| key.as_ref().to_vec());
        self.tree.range((from, Bound::Excluded(vec![self.prefix + 1])))
    }
}

/// The length before packing, big-endian, and a zstd frame: for each set how many octets its key shares with the one before
/// (two octets), how many of its own follow (two), those, the length of the value (four), the value.
fn pack(sets: &[(Vec<u8>, Vec<u8>)], packer: &mut Compressor<'_>) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut last: &[u8] = &[];
    for (key, value) in sets {
        let shared = key.iter().zip(last).take_while(|(one, other)| one == other).count();
        plain.extend_from_slice(&(shared as u16).to_be_bytes());
        plain.extend_from_slice(&((key.len() - shared) as u16).to_be_bytes());
        plain.extend_from_slice(&key[shared..]);
        plain.extend_from_slice(&(value.len() as u32).to_be_bytes());
        plain.extend_from_slice(value);
        last = key;
    }
    let mut page = (plain.len() as u32).to_be_bytes().to_vec();
    page.append(&mut packer.compress(&plain)?);
    Ok(page)
}

/// `None` for what [`pack`] does not make.
fn unpack(page: &[u8], unpacker: &mut Decompressor<'_>) -> Option<Sets> {
    let (length, packed) = page.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_OCTETS {
        return None;
    }
    let plain = unpacker.decompress(packed, length).ok().filter(|plain| plain.len() == length)?;
    let mut rest = &plain[..];
    let mut sets = Sets::new();
    let mut last = Vec::new();
    while !rest.is_empty() {
        let [shared, own] = [take_u16(&mut rest)?, take_u16(&mut rest)?];
        last.truncate(usize::from(shared));
        last.extend_from_slice(rest.split_off(..usize::from(own))?);
        let (length, after) = rest.split_first_chunk()?;
        rest = after;
        let value = rest.split_off(..u32::from_be_bytes(*length) as usize)?;
        sets.insert(last.clone(), value.to_vec());
    }
    Some(sets)
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (octets, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn temporary() -> sled::Db {
        sled::Config::new().temporary(true).open().expect("a tree")
    }

    #[test]
    fn neighbours_that_are_long_can_be_read_again() {
        let tree = temporary();
        let pages = Pages { tree: &tree, prefix: b's' };
        // As long as a set can print: 16 of them in a page would be over what is read.
        let long = vec![b'x'; 5 << 20];
        let changes = (0..16u8).map(|nth| (vec![b's', nth], Some(long.clone()))).collect();
        let mut writes = sled::Batch::default();
        assert!(pages.change(changes, &mut writes).is_ok());
        tree.apply_batch(writes).expect("written");
        let mut read = 0;
        assert!(pages.each(b"s", &mut |_, value| read += usize::from(value == long)).is_ok());
        assert_eq!(read, 16);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pages_hold_what_was_put_and_not_taken_away(
            batches in prop::collection::vec(prop::collection::vec((0u16..300, any::<Option<u8>>()), 1..120), 1..12)
        ) {
            let tree = temporary();
            tree.insert("a", "before").and_then(|_| tree.insert("t", "behind")).expect("written");
            let pages = Pages { tree: &tree, prefix: b's' };
            let mut should = Sets::new();
            for batch in batches {
                let key = |n: u16| [&b"s"[..], &n.to_be_bytes()].concat();
                let changes: BTreeMap<_, _> =
                    batch.into_iter().map(|(n, value)| (key(n), value.map(|value| vec![value; 9]))).collect();
                for (key, value) in &changes {
                    match value {
                        Some(value) => should.insert(key.clone(), value.clone()),
                        None => should.remove(key),
                    };
                }
                let mut writes = sled::Batch::default();
                prop_assert!(pages.change(changes, &mut writes).is_ok());
                tree.apply_batch(writes).expect("written");
                for start in [&b"s"[..], b"s\0", b"s\x01"] {
                    let mut held = Vec::new();
                    prop_assert!(pages.each(start, &mut |key, value| held.push((key.to_vec(), value.to_vec()))).is_ok());
                    let wanted = should.iter().filter(|(key, _)| key.starts_with(start));
                    prop_assert!(held.iter().map(|(key, value)| (key, value)).eq(wanted));
                }
            }
            for page in tree.scan_prefix(b"s") {
                let (key, page) = page.expect("read");
                let sets = unpack(&page, &mut Decompressor::new().expect("zstd")).expect("a page");
                prop_assert!(sets.len() <= MOST && sets.first_key_value().is_some_and(|(first, _)| *first == *key));
            }
        }
    }

    #[test]
    fn what_is_no_page_is_not_read() {
        let (mut packer, mut unpacker) = (Compressor::new(LEVEL).expect("zstd"), Decompressor::new().expect("zstd"));
        let page = pack(&[(b"key".to_vec(), b"value".to_vec())], &mut packer).expect("packed");
        assert_eq!(unpack(&page, &mut unpacker), Some(Sets::from([(b"key".to_vec(), b"value".to_vec())])));
        assert!((0..page.len()).all(|length| unpack(&page[..length], &mut unpacker).is_none()));
    }
}
