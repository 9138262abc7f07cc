//! Chunks: the pieces in which a body is stored and folded, each a CBOR array of deltas that is read alone.

use bytes::Bytes;
use minicbor::{Encode, Encoder};

use super::{Delta, DeltaRef, FormError, cbor, read::Reader};

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
    read(octets).map(|delta| delta.map(Into::into))
}

/// As [`deltas`], without copying names and rdata.
///
/// # Errors
///
/// Those of [`deltas`].
pub fn read(octets: &[u8]) -> impl Iterator<Item = Result<DeltaRef<'_>, FormError>> {
    let mut reader = Reader(octets);
    // How many are left stands at the begin; none are once a fault was told.
    let mut left = reader.array();
    let mut is_told = false;
    let malformed = move |rest: Reader<'_>| {
        FormError::Malformed(format!("no chunk of ours beyond octet {}", octets.len() - rest.0.len()))
    };
    std::iter::from_fn(move || {
        let next = match left {
            Some(0) if reader.0.is_empty() => return None,
            None | Some(0) => None,
            Some(count) => {
                left = Some(count - 1);
                reader.delta()
            }
        };
        match next {
            Some(delta) => Some(Ok(delta)),
            None if std::mem::replace(&mut is_told, true) => None,
            None => {
                left = None;
                Some(Err(malformed(reader)))
            }
        }
    })
}
