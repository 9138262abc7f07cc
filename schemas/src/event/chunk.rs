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
    let mut left = None;
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let next = next_delta(&mut decoder, &mut left);
        over = !matches!(next, Ok(Some(_)));
        next.transpose()
    })
}

/// The next of `left` deltas; how many there are stands at the begin.
fn next_delta(d: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<Option<Delta>, FormError> {
    let count = match *left {
        Some(count) => count,
        None => d.array()?.ok_or_else(|| FormError::Malformed("chunk of indefinite length".into()))?,
    };
    if count > 0 {
        *left = Some(count - 1);
        return read_delta(d).map(Some);
    }
    if d.position() < d.input().len() {
        return Err(FormError::Malformed("octets after the last delta".into()));
    }
    Ok(None)
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
