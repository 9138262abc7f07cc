//! Chunks: the pieces in which a body is stored and folded, each a CBOR array of deltas that is read alone.

use bytes::Bytes;
use minicbor::{Decoder, Encode, Encoder};

use super::{Delta, FormError, cbor};
use crate::{Name, RecordType, SetKey};

/// No chunk is larger. One delta with both sets at their limit fits.
pub const MAX_OCTETS: usize = 256 * 1024;

/// Where a chunk is closed, so that the largest delta still fits behind it.
const CLOSE_AT: usize = 64 * 1024;

/// Packs deltas into chunks.
#[derive(Debug, Default)]
pub struct ChunkWriter {
    open: Vec<u8>,
    deltas: u64,
}

impl ChunkWriter {
    /// Adds a delta; gives the finished chunk when this one is full.
    pub fn push(&mut self, delta: &Delta) -> Option<Bytes> {
        let written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
            let mut e = Encoder::new(&mut self.open);
            e.array(6)?.u32(delta.zone)?;
            delta.owner.encode(&mut e, &mut ())?;
            e.u16(delta.key.rtype.0)?.u16(delta.key.covered.0)?;
            cbor::encode_optional(&mut e, &delta.before)?;
            cbor::encode_optional(&mut e, &delta.after)
        })();
        if written.is_err() {
            unreachable!("writing to a vector cannot fail");
        }
        self.deltas += 1;
        if self.open.len() < CLOSE_AT { None } else { self.finish() }
    }

    /// The chunk in hand, if it holds anything.
    pub fn finish(&mut self) -> Option<Bytes> {
        if self.deltas == 0 {
            return None;
        }
        let mut chunk = Vec::with_capacity(9 + self.open.len());
        if Encoder::new(&mut chunk).array(self.deltas).is_err() {
            unreachable!("writing to a vector cannot fail");
        }
        chunk.append(&mut self.open);
        self.deltas = 0;
        Some(chunk.into())
    }
}

/// Reads the deltas of one chunk in their order.
///
/// # Errors
///
/// The iterator yields one [`FormError`] and ends if the octets are malformed.
pub fn deltas(octets: &[u8]) -> impl Iterator<Item = Result<Delta, FormError>> + '_ {
    let mut decoder = Decoder::new(octets);
    let mut left = match decoder.array() {
        Ok(Some(count)) => Ok(count),
        Ok(None) => Err(FormError::Malformed("chunk of indefinite length".into())),
        Err(error) => Err(error.into()),
    };
    std::iter::from_fn(move || {
        let count = match &mut left {
            Ok(0) => return None,
            Ok(count) => count,
            Err(_) => return std::mem::replace(&mut left, Ok(0)).err().map(Err),
        };
        *count -= 1;
        let delta = read_delta(&mut decoder);
        if delta.is_err() {
            left = Ok(0);
        }
        Some(delta)
    })
}

fn read_delta(d: &mut Decoder<'_>) -> Result<Delta, FormError> {
    if d.array()? != Some(6) {
        return Err(FormError::Malformed("a delta has six members".into()));
    }
    let zone = d.u32()?;
    let owner: Name = d.decode()?;
    let key = SetKey { rtype: RecordType(d.u16()?), covered: RecordType(d.u16()?) };
    Ok(Delta { zone, owner, key, before: cbor::decode_optional(d)?, after: cbor::decode_optional(d)? })
}
