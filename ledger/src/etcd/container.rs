//! The stored forms of batches and chunks: a small frame around zstd.
//!
//! A batch: the octet 1 (format), 16 octets batch id, a zstd frame with checksum. In it, CBOR: an array of the batch id
//! again and an array of events, each an array of four: header octets, salt, 0 and the inline chunks or 1 and
//! \[body id, count\].
//!
//! A chunk: the octet 1 (format), 8 octets big-endian microseconds since the Unix epoch (when it was staged), a zstd
//! frame with checksum.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use conn3ction_schemas::{
    Revision, Timestamp,
    event::{FormError, Salt, SealedHeader},
};
use minicbor::{Decoder, Encoder};
use uuid::Uuid;

use crate::{Batch, Body, Chunks, Event, ReadError};

const FORMAT: u8 = 1;

/// The most that a batch may unpack to. Many equal records pack so well that the packed size alone is no bound.
pub(super) const MAX_UNPACKED_BYTES: usize = 16 << 20;

/// Fast is better than small: a batch waits for it.
const LEVEL: i32 = 1;

pub(super) fn encode_batch(batch: &Batch) -> Vec<u8> {
    let mut octets = Vec::new();
    let written = (|| {
        let mut e = Encoder::new(&mut octets);
        e.array(2)?.bytes(batch.id.as_bytes())?.array(batch.events.len() as u64)?;
        for event in &batch.events {
            e.array(4)?.bytes(event.header.octets())?.bytes(&event.salt.0)?;
            match &event.body {
                Body::Inline(chunks) => {
                    e.u8(0)?.array(chunks.len() as u64)?;
                    for chunk in chunks {
                        e.bytes(chunk)?;
                    }
                }
                Body::Parts { id, count } => {
                    e.u8(1)?.array(2)?.bytes(id.as_bytes())?.u32(*count)?;
                }
            }
        }
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    if written.is_err() {
        unreachable!("writing to a vector cannot fail");
    }
    pack(&[&[FORMAT], batch.id.as_bytes().as_slice()].concat(), &octets)
}

/// The id of a stored batch.
pub(super) fn batch_id(value: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(value.get(1..17)?).ok()
}

/// The events of a stored batch; `at` is the revision to name if it is damaged.
pub(super) fn decode_batch(value: &[u8], at: Revision) -> Result<Vec<Arc<Event>>, ReadError> {
    let form = |source| match source {
        source @ FormError::Newer(_) => ReadError::Form { revision: at, source },
        FormError::Malformed(detail) => ReadError::Damaged { revision: at, detail },
    };
    let octets = unpack(value, 17, MAX_UNPACKED_BYTES).map_err(form)?;
    decode_events(&octets, &value[1..17]).map_err(form)
}

fn decode_events(octets: &Bytes, batch: &[u8]) -> Result<Vec<Arc<Event>>, FormError> {
    let mut d = Decoder::new(octets);
    if expect_array(&mut d)? != 2 || d.bytes()? != batch {
        return Err(FormError::Malformed("a batch that does not say its id twice".into()));
    }
    let count = expect_array(&mut d)?;
    let mut events = Vec::new();
    for _ in 0..count {
        if expect_array(&mut d)? != 4 {
            return Err(FormError::Malformed("a stored event has four members".into()));
        }
        let header = SealedHeader::decode(octets.slice_ref(d.bytes()?))?;
        let salt = d.bytes()?.try_into().map_err(|_| FormError::Malformed("salt of a wrong size".into()))?;
        let body = decode_body(octets, &mut d)?;
        events.push(Arc::new(Event { header, salt: Salt(salt), body }));
    }
    if d.position() != octets.len() {
        return Err(FormError::Malformed("octets after the last event".into()));
    }
    Ok(events)
}

fn decode_body(octets: &Bytes, d: &mut Decoder<'_>) -> Result<Body, FormError> {
    let kind = d.u8()?;
    let members = expect_array(d)?;
    match (kind, members) {
        (0, count) => {
            let mut chunks = Chunks::new();
            for _ in 0..count {
                chunks.push(octets.slice_ref(d.bytes()?));
            }
            Ok(Body::Inline(chunks))
        }
        (1, 2) => {
            let id = Uuid::from_slice(d.bytes()?).map_err(|error| FormError::Malformed(error.to_string()))?;
            Ok(Body::Parts { id, count: d.u32()? })
        }
        _ => Err(FormError::Malformed("a body is neither inline nor in parts".into())),
    }
}

fn expect_array(d: &mut Decoder<'_>) -> Result<u64, FormError> {
    d.array()?.ok_or_else(|| FormError::Malformed("array of indefinite length".into()))
}

pub(super) fn encode_part(chunk: &[u8], staged_at: Timestamp) -> Vec<u8> {
    pack(&[&[FORMAT], staged_at.0.to_be_bytes().as_slice()].concat(), chunk)
}

/// When a stored chunk was staged.
pub(super) fn staged_at(value: &[u8]) -> Option<Timestamp> {
    let micros = value.get(1..9)?.try_into().ok()?;
    Some(Timestamp(i64::from_be_bytes(micros)))
}

pub(super) fn decode_part(value: &[u8], limit: usize) -> Result<Bytes, FormError> {
    unpack(value, 9, limit)
}

fn pack(frame: &[u8], octets: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::Compressor::new(LEVEL).and_then(|mut zstd| {
        zstd.include_checksum(true)?;
        zstd.compress(octets)
    });
    match packed {
        Ok(packed) => [frame, &packed].concat(),
        Err(error) => unreachable!("zstd packs everything: {error}"),
    }
}

fn unpack(value: &[u8], frame: usize, limit: usize) -> Result<Bytes, FormError> {
    match value.first() {
        Some(&FORMAT) => {}
        Some(&format) if format > FORMAT => return Err(FormError::Newer(format)),
        _ => return Err(FormError::Malformed("no container of ours".into())),
    }
    let packed = value.get(frame..).ok_or_else(|| FormError::Malformed("a container that is cut off".into()))?;
    let mut octets = Vec::new();
    // One octet more than allowed tells "at the limit" from "over it".
    let read = zstd::stream::read::Decoder::with_buffer(packed)
        .map(zstd::stream::read::Decoder::single_frame)
        .and_then(|decoder| decoder.take(limit as u64 + 1).read_to_end(&mut octets));
    match read {
        Err(error) => Err(FormError::Malformed(error.to_string())),
        Ok(_) if octets.len() > limit => Err(FormError::Malformed("a container that unpacks to too much".into())),
        Ok(_) => Ok(octets.into()),
    }
}
