use std::fmt;

use conn3ction_schemas::{NameRef, RecordSetRef, RecordType, Serial, SetKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// The digest of a view: the sum, modulo 2^256, of SHA-256 over its entries.
///
/// A sum does not ask for an order, and one changed entry changes it in two additions, whatever the view's size. Two
/// views with the same entries have the same digest; it tells faults apart, it is no proof against a forger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub(crate) [u64; 4]);

impl Digest {
    /// Adds an entry.
    pub fn add(&mut self, entry: EntryHash) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(entry.0) {
            (*limb, carry) = add_with_carry(*limb, other, carry);
        }
    }

    /// Takes an entry out again.
    pub fn remove(&mut self, entry: EntryHash) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(entry.0) {
            (*limb, borrow) = subtract_with_borrow(*limb, other, borrow);
        }
    }
}

fn add_with_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(carry as u64);
    (sum, first || second)
}

fn subtract_with_borrow(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first || second)
}

/// SHA-256 of one entry of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHash([u64; 4]);

impl EntryHash {
    /// An entry made of a key and a value, such as etcd's and sled's.
    pub fn of_pair(key: &[u8], value: &[u8]) -> Self {
        let hash = Sha256::new().chain_update((key.len() as u64).to_be_bytes()).chain_update(key).chain_update(value);
        Self::finish(hash)
    }

    /// A living zone and its serial.
    pub fn of_zone<'n>(zone: impl Into<NameRef<'n>>, serial: Serial) -> Self {
        let zone = zone.into().as_wire();
        Self::finish(Sha256::new().chain_update(b"Z").chain_update(zone).chain_update(serial.0.to_be_bytes()))
    }

    /// A record set. The serial inside a SOA counts as 0: the zone's own entry carries it.
    pub fn of_set<'n>(
        zone: impl Into<NameRef<'n>>,
        owner: impl Into<NameRef<'n>>,
        key: SetKey,
        set: impl Into<RecordSetRef<'n>>,
    ) -> Self {
        SetEntry::new(&mut Vec::with_capacity(128), zone.into(), owner.into(), key).hash(set.into())
    }

    fn finish(hash: Sha256) -> Self {
        let octets: [u8; 32] = hash.finalize().into();
        let mut limbs = [0; 4];
        for (limb, octets) in limbs.iter_mut().zip(octets.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*octets);
        }
        Self(limbs)
    }
}

/// Entries of one owner and key, in memory that is used again and again.
pub(crate) struct SetEntry<'o> {
    octets: &'o mut Vec<u8>,
    /// Octets up to the key.
    begin: usize,
    key: SetKey,
}

impl<'o> SetEntry<'o> {
    pub(crate) fn new(octets: &'o mut Vec<u8>, zone: NameRef<'_>, owner: NameRef<'_>, key: SetKey) -> Self {
        octets.clear();
        octets.push(b'S');
        octets.extend_from_slice(zone.as_wire());
        octets.extend_from_slice(owner.as_wire());
        octets.extend_from_slice(&key.rtype.0.to_be_bytes());
        octets.extend_from_slice(&key.covered.0.to_be_bytes());
        Self { begin: octets.len(), octets, key }
    }

    /// As [`EntryHash::of_set`].
    pub(crate) fn hash(&mut self, set: RecordSetRef<'_>) -> EntryHash {
        let Self { octets, begin, key } = self;
        octets.truncate(*begin);
        octets.extend_from_slice(&set.ttl().as_secs().to_be_bytes());
        for wire in set.rdata() {
            octets.extend_from_slice(&(wire.len() as u16).to_be_bytes());
            octets.extend_from_slice(wire);
            if key.rtype == RecordType::SOA && wire.len() >= SOA_NUMBERS {
                let at = octets.len() - SOA_NUMBERS;
                octets[at..at + 4].fill(0);
            }
        }
        EntryHash::finish(Sha256::new().chain_update(octets))
    }
}

/// The five 32-bit numbers at the end of a SOA's rdata, the serial first (RFC 1035 section 3.3.13).
pub(crate) const SOA_NUMBERS: usize = 20;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || de::Error::custom("a digest is 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut limbs = [0; 4];
        for (limb, at) in limbs.iter_mut().rev().zip((0..64).step_by(16)) {
            *limb = u64::from_str_radix(&text[at..at + 16], 16).map_err(|_| bad())?;
        }
        Ok(Self(limbs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_what_was_added_leaves_the_digest_as_it_was_in_any_order() {
        let entries: Vec<_> = (0u8..50).map(|n| EntryHash::of_pair(&[n], b"value")).collect();
        let mut forwards = Digest::default();
        let mut backwards = Digest::default();
        entries.iter().for_each(|entry| forwards.add(*entry));
        entries.iter().rev().for_each(|entry| backwards.add(*entry));
        assert_eq!(forwards, backwards);
        assert_ne!(forwards, Digest::default());
        entries.iter().skip(1).for_each(|entry| forwards.remove(*entry));
        let mut one = Digest::default();
        one.add(entries[0]);
        assert_eq!(forwards, one);
        forwards.remove(entries[0]);
        assert_eq!(forwards, Digest::default());
    }

    #[test]
    fn a_key_and_a_value_do_not_run_together() {
        assert_ne!(EntryHash::of_pair(b"ab", b"c"), EntryHash::of_pair(b"a", b"bc"));
    }

    #[test]
    fn the_printed_form_reads_back() {
        let mut digest = Digest::default();
        digest.add(EntryHash::of_pair(b"k", b"v"));
        let json = serde_json::to_string(&digest).expect("prints");
        assert_eq!(serde_json::from_str::<Digest>(&json).expect("reads"), digest);
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
    }
}
