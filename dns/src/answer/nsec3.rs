//! Hashed denial ([RFC 5155]): from a name to the NSEC3 owner that matches or covers it.
//!
//! [RFC 5155]: https://www.rfc-editor.org/rfc/rfc5155

use conn3ction_schemas::{RecordType, SetKey};
use data_encoding::BASE32HEX_NOPAD;
use sha1::{Digest, Sha1};

use crate::store::{
    Held, ZoneView,
    node::{State, StoredSet},
};

/// Iterations that are followed; a zone that asks for more gets no proofs ([RFC 9276 section 3.2], CVE-2023-50868).
///
/// [RFC 9276 section 3.2]: https://www.rfc-editor.org/rfc/rfc9276#section-3.2
const MAX_ITERATIONS: u16 = 150;

/// A hashed owner as a label on the wire: its length and 32 characters.
type HashedLabel = [u8; 33];

/// How a zone hashes its names.
pub(super) struct Hashing {
    iterations: u16,
    salt: [u8; 255],
    salt_len: usize,
}

impl Hashing {
    /// Reads NSEC3PARAM (RFC 5155 section 4.2). SHA-1 is the only algorithm there is.
    pub(super) fn from_parameters(parameters: &StoredSet<'_>) -> Option<Self> {
        let (_, rdata) = parameters.split().next()?;
        let (&[1, _, high, low, salt_len], rest) = rdata.split_first_chunk()? else { return None };
        let given = rest.get(..salt_len.into())?;
        let iterations = u16::from_be_bytes([high, low]);
        let mut salt = [0; 255];
        salt[..given.len()].copy_from_slice(given);
        (iterations <= MAX_ITERATIONS).then_some(Self { iterations, salt, salt_len: given.len() })
    }

    /// The NSEC3 owner of `name`, given as its labels below the apex.
    pub(super) fn matching<'v>(&self, zone: &ZoneView<'v>, name: &[u8]) -> Option<Held<'v>> {
        zone.find(&self.label(zone, name)).filter(|held| has_nsec3(&held.state()))
    }

    /// The NSEC3 owner whose span holds the hash of `name`; before the first one that is the last one.
    pub(super) fn covering<'v>(&self, zone: &ZoneView<'v>, name: &[u8]) -> Option<Held<'v>> {
        const AFTER_ALL: HashedLabel = {
            let mut label = [0xff; 33];
            label[0] = 32;
            label
        };
        let before = |label: &HashedLabel| zone.last_nsec3_before(label, |state| has_nsec3(&state));
        before(&self.label(zone, name)).or_else(|| before(&AFTER_ALL))
    }

    /// RFC 5155 section 5.
    fn label(&self, zone: &ZoneView<'_>, name: &[u8]) -> HashedLabel {
        let salt = &self.salt[..self.salt_len];
        let first = Sha1::new().chain_update(name).chain_update(zone.apex().as_wire()).chain_update(salt);
        let mut hash = first.finalize();
        for _ in 0..self.iterations {
            hash = Sha1::new().chain_update(hash).chain_update(salt).finalize();
        }
        let mut label = [32; 33];
        BASE32HEX_NOPAD.encode_mut(&hash, &mut label[1..]);
        label.make_ascii_lowercase();
        label
    }
}

fn has_nsec3(state: &State<'_>) -> bool {
    state.set(SetKey::of(RecordType::NSEC3)).is_some()
}
