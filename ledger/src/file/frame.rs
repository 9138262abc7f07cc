//! Frames: what a segment is made of. A head that says kind, length and place, then the payload; each has its checksum.
//!
//! ```text
//! octets  0..4   length of the payload, little-endian like all numbers here
//!         4      kind
//!         5..8   zero
//!         8..16  the log's last revision once this frame is stored
//!        16..20  CRC-32 (IEEE 802.3) of payload and padding
//!        20..24  CRC-32 of octets 0..20
//!        24..    payload, padded with zeros to a multiple of 8
//! ```
//! The head's own checksum lets a reader skip payloads that it does not need and still notice any changed octet. All
//! frames begin at a multiple of 8, so that what follows a damaged one can be found.

use conn3ction_schemas::Revision;

/// The length of a head.
pub const HEAD_BYTES: usize = 24;

/// No payload is longer; a head that says so is none of ours.
pub const MAX_PAYLOAD_BYTES: u32 = 256 * 1024 * 1024;

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first frame of a segment: where the log stood.
    Start,
    /// A batch of events.
    Batch,
    /// A chunk of a large body.
    Chunk,
    /// Where to find what in a packed segment.
    Table,
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// What the payload is.
    pub kind: Kind,
    /// The length of the payload.
    pub payload_bytes: u32,
    /// The log's last revision once this frame is stored.
    pub revision: Revision,
    /// The checksum of payload and padding.
    pub crc: u32,
}

impl FrameHead {
    /// Reads a head. `None` if the octets are no head of ours.
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let octets: &[u8; HEAD_BYTES] = octets.get(..HEAD_BYTES)?.try_into().ok()?;
        if number(&octets[20..]) != crc32fast::hash(&octets[..20]) {
            return None;
        }
        let kind = match octets[4] {
            1 => Kind::Start,
            2 => Kind::Batch,
            3 => Kind::Chunk,
            4 => Kind::Table,
            _ => return None,
        };
        let revision = u64::from(number(&octets[8..])) | u64::from(number(&octets[12..])) << 32;
        let payload_bytes = number(octets);
        let (revision, crc) = (Revision(revision), number(&octets[16..]));
        (payload_bytes <= MAX_PAYLOAD_BYTES).then_some(Self { kind, payload_bytes, revision, crc })
    }

    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut octets = [0; HEAD_BYTES];
        octets[..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        octets[4] = match self.kind {
            Kind::Start => 1,
            Kind::Batch => 2,
            Kind::Chunk => 3,
            Kind::Table => 4,
        };
        octets[8..16].copy_from_slice(&self.revision.0.to_le_bytes());
        octets[16..20].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32fast::hash(&octets[..20]);
        octets[20..].copy_from_slice(&crc.to_le_bytes());
        octets
    }

    /// Payload and padding, in octets.
    pub fn padded_bytes(&self) -> usize {
        (self.payload_bytes as usize).next_multiple_of(8)
    }

    /// The whole frame, in octets.
    pub fn total_bytes(&self) -> u64 {
        (HEAD_BYTES + self.padded_bytes()) as u64
    }

    /// Whether `padded` is the payload with its padding.
    pub fn fits(&self, padded: &[u8]) -> bool {
        padded.len() == self.padded_bytes() && crc32fast::hash(padded) == self.crc
    }
}

/// Adds a frame to `out`; `payload` adds the payload's octets. Gives the payload's length, or `None` (and adds nothing)
/// if it is over [`MAX_PAYLOAD_BYTES`].
pub fn push(out: &mut Vec<u8>, kind: Kind, revision: Revision, payload: impl FnOnce(&mut Vec<u8>)) -> Option<u32> {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    payload(out);
    let payload_bytes = u32::try_from(out.len() - start - HEAD_BYTES).ok().filter(|&len| len <= MAX_PAYLOAD_BYTES);
    let Some(payload_bytes) = payload_bytes else {
        out.truncate(start);
        return None;
    };
    let mut head = FrameHead { kind, payload_bytes, revision, crc: 0 };
    out.resize(start + HEAD_BYTES + head.padded_bytes(), 0);
    head.crc = crc32fast::hash(&out[start + HEAD_BYTES..]);
    out[start..start + HEAD_BYTES].copy_from_slice(&head.encode());
    Some(payload_bytes)
}

/// The first four octets as a number.
fn number(octets: &[u8]) -> u32 {
    u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]])
}
