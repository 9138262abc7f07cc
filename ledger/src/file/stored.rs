//! The payloads of frames: a batch with the head that it makes, a chunk with its name.

use std::sync::Arc;

use bytes::Bytes;
use conn3ction_schemas::{
    Revision,
    event::{FormError, Reader, Salt, SealedHeader},
};
use minicbor::{Decoder, Encode, Encoder};
use uuid::Uuid;

use crate::{Body, Chunks, Event, Head, chain::has_its_body};

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment's number.
    pub(super) segment: u32,
    /// Octets from the segment's begin.
    pub(super) offset: u64,
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Adds `[head, [event …]]` and the places of the chunks of each large body, in the order of the events that name them.
pub(super) fn encode_batch(out: &mut Vec<u8>, head: &Head, events: &[Arc<Event>], places: &[Vec<Place>]) {
    let mut e = Encoder::new(out);
    let written: Written = (|| {
        e.array(2)?;
        put_head(&mut e, head)?;
        e.array(events.len() as u64)?;
        for event in events {
            put_event(&mut e, event)?;
        }
        e.array(places.len() as u64)?;
        for body in places {
            e.array(2 * body.len() as u64)?;
            for place in body {
                e.u32(place.segment)?.u64(place.offset)?;
            }
        }
        Ok(())
    })();
    infallible(written);
}

/// Adds `head`.
pub(super) fn encode_head(out: &mut Vec<u8>, head: &Head) {
    infallible(put_head(&mut Encoder::new(out), head));
}

fn put_head(e: &mut Encoder<&mut Vec<u8>>, head: &Head) -> Written {
    e.array(6)?;
    head.epoch.encode(e, &mut ())?;
    head.revision.encode(e, &mut ())?;
    head.hash.encode(e, &mut ())?;
    head.committed_at.encode(e, &mut ())?;
    head.closed.encode(e, &mut ())?;
    e.bytes(head.batch.as_bytes())?.ok()
}

/// `[header, salt, [chunk …]]`, or `[header, salt, body id, chunk count]`.
fn put_event(e: &mut Encoder<&mut Vec<u8>>, event: &Event) -> Written {
    let members = match event.body {
        Body::Inline(_) => 3,
        Body::Parts { .. } => 4,
    };
    e.array(members)?.bytes(event.header.octets())?.bytes(&event.salt.0)?;
    match &event.body {
        Body::Inline(chunks) => {
            e.array(chunks.len() as u64)?;
            for chunk in chunks {
                e.bytes(chunk)?;
            }
        }
        Body::Parts { id, count } => {
            e.bytes(id.as_bytes())?.u32(*count)?;
        }
    }
    Ok(())
}

fn infallible(written: Written) {
    if written.is_err() {
        unreachable!("writing to a vector cannot fail");
    }
}

/// Reads the head, and the number of events that make it.
pub(super) fn decode_batch_head(payload: &[u8]) -> Result<(Head, u64), FormError> {
    let mut d = Decoder::new(payload);
    members(&mut d, 2)?;
    Ok((get_head(&mut d)?, length(&mut d)?))
}

/// Reads a head that stands alone.
pub(super) fn decode_head(payload: &[u8]) -> Result<Head, FormError> {
    get_head(&mut Decoder::new(payload))
}

/// Reads the events and the head that they make. The events lie in `payload`, and hold it as long as they live: whoever reads
/// a log lets go of them soon, and who keeps one for longer takes what is needed ([`SealedHeader::alone`]).
pub(super) fn decode_batch(payload: &Bytes) -> Result<(Head, Vec<Arc<Event>>), FormError> {
    let mut d = Decoder::new(payload);
    members(&mut d, 2)?;
    let head = get_head(&mut d)?;
    let count = length(&mut d)?;
    let mut events = Vec::new();
    let mut reader = Reader::new(&payload[d.position()..]);
    for _ in 0..count {
        events.push(get_event(payload, &mut reader)?);
    }
    Ok((head, events))
}

/// The first event that is not what was written, in a batch up to `last` that is not; `None` if the events do not tell.
///
/// Each event is vouched for by the hash that the next one carries, and the last one by the head. Where the two differ, it is
/// the next one that was changed if what comes after does not vouch for that either.
pub(super) fn first_bad(payload: &Bytes, last: Revision) -> Option<Revision> {
    let mut d = Decoder::new(payload);
    members(&mut d, 2).ok()?;
    let head = get_head(&mut d).ok()?;
    let count = length(&mut d).ok()?;
    let mut reader = Reader::new(&payload[d.position()..]);
    let first = Revision(last.0.checked_sub(count)?).next();
    let events: Vec<Arc<Event>> = (0..count).map_while(|_| get_event(payload, &mut reader).ok()).collect();
    if events.first().is_some_and(|event| event.revision() != first) {
        return None;
    }
    let is_whole = events.len() as u64 == count;
    let is_vouched_for = |place: usize| match events.get(place + 1) {
        Some(next) => next.header.read().previous_hash() == events[place].header.hash(),
        None => !is_whole || head.hash == events[place].header.hash(),
    };
    let is_bad = |place: usize| {
        !has_its_body(&events[place])
            || (!is_vouched_for(place) && (place + 1 == events.len() || is_vouched_for(place + 1)))
    };
    let place = (0..events.len()).find(|place| is_bad(*place)).or((!is_whole).then_some(events.len()))?;
    Some(Revision(first.0 + place as u64))
}

/// Reads where the chunks of each large body are, each body with its id.
pub(super) fn decode_places(payload: &[u8]) -> Result<Vec<(Uuid, Vec<Place>)>, FormError> {
    let mut d = Decoder::new(payload);
    members(&mut d, 2)?;
    d.skip()?;
    let mut bodies = Vec::new();
    for _ in 0..length(&mut d)? {
        let members = length(&mut d)?;
        for member in 0..members {
            if members == 4 && member == 2 {
                bodies.push(get_uuid(&mut d)?);
            } else {
                d.skip()?;
            }
        }
    }
    members(&mut d, bodies.len() as u64)?;
    let mut all = Vec::new();
    for body in bodies {
        let mut places = Vec::new();
        for _ in 0..length(&mut d)? / 2 {
            places.push(Place { segment: d.u32()?, offset: d.u64()? });
        }
        all.push((body, places));
    }
    Ok(all)
}

fn get_head(d: &mut Decoder<'_>) -> Result<Head, FormError> {
    members(d, 6)?;
    Ok(Head {
        epoch: d.decode()?,
        revision: d.decode()?,
        hash: d.decode()?,
        committed_at: d.decode()?,
        closed: d.decode()?,
        batch: get_uuid(d)?,
    })
}

fn get_event(payload: &Bytes, reader: &mut Reader<'_>) -> Result<Arc<Event>, FormError> {
    let begin = *reader;
    let (header, salt, body) = get_members(payload, reader).ok_or_else(|| no_event(payload, begin))?;
    // Its largest part last, so that it is made where it will lie.
    Ok(Arc::new(Event { header: SealedHeader::decode(header)?, salt, body }))
}

/// Why these are not the members of an event: a later version, which its header names, may have others.
fn no_event(payload: &Bytes, mut reader: Reader<'_>) -> FormError {
    let header = reader.array().and_then(|_| reader.bytes());
    match header.map(|octets| SealedHeader::decode(payload.slice_ref(octets))) {
        Some(Err(newer @ FormError::Newer(_))) => newer,
        Some(_) | None => malformed("no event of ours"),
    }
}

/// The octets of the header, and the other members of an event.
#[inline]
fn get_members(payload: &Bytes, reader: &mut Reader<'_>) -> Option<(Bytes, Salt, Body)> {
    let members = reader.array()?;
    let header = payload.slice_ref(reader.bytes()?);
    let salt = Salt(reader.bytes()?.try_into().ok()?);
    let body = match members {
        3 => {
            let mut chunks = Chunks::new();
            for _ in 0..reader.array()? {
                chunks.push(payload.slice_ref(reader.bytes()?));
            }
            Body::Inline(chunks)
        }
        4 => Body::Parts { id: Uuid::from_slice(reader.bytes()?).ok()?, count: reader.unsigned()? },
        _ => return None,
    };
    Some((header, salt, body))
}

fn get_uuid(d: &mut Decoder<'_>) -> Result<Uuid, FormError> {
    Uuid::from_slice(d.bytes()?).map_err(|_| malformed("a UUID has 16 octets"))
}

fn length(d: &mut Decoder<'_>) -> Result<u64, FormError> {
    d.array()?.ok_or_else(|| malformed("an array of indefinite length"))
}

fn members(d: &mut Decoder<'_>, count: u64) -> Result<(), FormError> {
    if length(d)? == count { Ok(()) } else { Err(malformed("an array of another length")) }
}

fn malformed(detail: &str) -> FormError {
    FormError::Malformed(detail.into())
}

/// The octets before a chunk's own: its body's id and its index.
pub(super) const CHUNK_NAME_BYTES: usize = 20;

/// Adds a chunk with its name.
pub(super) fn encode_chunk(out: &mut Vec<u8>, body: Uuid, index: u32, chunk: &[u8]) {
    out.extend_from_slice(body.as_bytes());
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(chunk);
}

/// Whether the payload of a chunk frame is this chunk.
pub(super) fn is_chunk(payload: &[u8], body: Uuid, index: u32) -> bool {
    payload.get(..16) == Some(body.as_bytes()) && payload.get(16..CHUNK_NAME_BYTES) == Some(&index.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_later_form_is_told_as_that_whatever_members_it_has() {
        // Five members, of which the header begins with format 2.
        let payload = Bytes::from_static(&[0x85, 0x43, 0xa1, 0, 2, 0xf6, 0xf6, 0xf6, 0xf6]);
        let told = get_event(&payload, &mut Reader::new(&payload));
        assert!(matches!(told, Err(FormError::Newer(2))), "{told:?}");
    }
}
