//! The stored form of the head: JSON, so that an operator can read it with `etcdctl`.

use conn3ction_schemas::{
    Epoch, Revision, Timestamp,
    event::{FormError, Hash},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Head, ReadError};

const FORMAT: u32 = 1;

/// A head with what etcd knows of it: what the next append compares.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) head: Head,
    /// `None` in an empty log, where the key does not exist.
    pub(super) stored: Option<Stored>,
}

/// The head's key as etcd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) octets: Vec<u8>,
    pub(super) mod_revision: i64,
}

impl Known {
    pub(super) const EMPTY: Known = Known { head: Head::EMPTY, stored: None };

    pub(super) fn read(octets: &[u8], mod_revision: i64) -> Result<Self, ReadError> {
        Ok(Self { head: decode(octets)?, stored: Some(Stored { octets: octets.to_vec(), mod_revision }) })
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    epoch: u32,
    revision: u64,
    hash: String,
    /// Microseconds since the Unix epoch.
    committed_at: i64,
    /// Microseconds since the Unix epoch.
    closed: i64,
    batch: Uuid,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

pub(super) fn encode(head: &Head) -> Vec<u8> {
    let form = Form {
        format: FORMAT,
        epoch: head.epoch.0,
        revision: head.revision.0,
        hash: head.hash.to_string(),
        committed_at: head.committed_at.0,
        closed: head.closed.0,
        batch: head.batch,
    };
    match serde_json::to_vec(&form) {
        Ok(octets) => octets,
        Err(error) => unreachable!("numbers and texts are always JSON: {error}"),
    }
}

fn decode(octets: &[u8]) -> Result<Head, ReadError> {
    let malformed = |detail: String| ReadError::Damaged {
        revision: Revision::ZERO,
        detail: format!("the head is malformed: {detail}"),
    };
    let Format { format } = serde_json::from_slice(octets).map_err(|error| malformed(error.to_string()))?;
    if format > FORMAT {
        let source = FormError::Newer(u8::try_from(format).unwrap_or(u8::MAX));
        return Err(ReadError::Form { revision: Revision::ZERO, source });
    }
    let form: Form = serde_json::from_slice(octets).map_err(|error| malformed(error.to_string()))?;
    Ok(Head {
        epoch: Epoch(form.epoch),
        revision: Revision(form.revision),
        hash: hash(&form.hash).ok_or_else(|| malformed("its hash is no hash".into()))?,
        committed_at: Timestamp(form.committed_at),
        closed: Timestamp(form.closed),
        batch: form.batch,
    })
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (octet, place) in hash.iter_mut().zip((0..text.len()).step_by(2)) {
        *octet = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
    }
    Some(Hash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            epoch: Epoch(2),
            revision: Revision(1041),
            hash: Hash([0xab; 32]),
            committed_at: Timestamp(1_700_000_000_000_001),
            closed: Timestamp(1_700_000_000_000_009),
            batch: Uuid::from_u128(5),
        }
    }

    #[test]
    fn the_stored_form_stays_what_it_is() {
        let golden = r#"{"format":1,"epoch":2,"revision":1041,"hash":"abababababababababababababababababababababababababababababababab","committed_at":1700000000000001,"closed":1700000000000009,"batch":"00000000-0000-0000-0000-000000000005"}"#;
        assert_eq!(String::from_utf8_lossy(&encode(&head())), golden);
        assert_eq!(decode(golden.as_bytes()).expect("golden"), head());
    }

    #[test]
    fn a_later_format_is_refused_and_not_called_damaged() {
        let newer = br#"{"format":2,"shape":"unknown"}"#;
        assert!(matches!(decode(newer), Err(ReadError::Form { source: FormError::Newer(2), .. })));
        assert!(matches!(decode(b"{}"), Err(ReadError::Damaged { .. })));
        assert!(matches!(decode(b""), Err(ReadError::Damaged { .. })));
    }
}
