//! Writes a reply: whole record sets or nothing, within a limit.

use conn3ction_schemas::{RecordType, Serial};

use super::{Query, Rcode};
use crate::store::node::{RECORD_HEAD, StoredSet};

/// The set does not fit any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The owner of records, as cheaply as it can be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'n> {
    /// The name that stands at this offset of the message.
    At(usize),
    /// These labels, below the name that stands at this offset.
    Below(&'n [u8], usize),
}

/// Where the records of a set went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    /// The offset of the first record.
    pub(crate) at: usize,
    /// Octets of each owner.
    pub(crate) owner_len: usize,
}

/// A reply in the making.
#[derive(Debug)]
pub(crate) struct Message<'b> {
    out: &'b mut [u8],
    len: usize,
    limit: usize,
    section: usize,
    edns: bool,
    dnssec_ok: bool,
    udp_size: u16,
}

const OPT_LEN: usize = 11;
/// The first two bits of a pointer leave 14 for the offset (RFC 1035 section 4.1.4).
const POINTER_END: usize = 0x4000;

impl<'b> Message<'b> {
    pub(crate) const ANSWER: usize = 6;
    pub(crate) const AUTHORITY: usize = 8;
    pub(crate) const ADDITIONAL: usize = 10;

    /// Starts a reply to `query`, whose header is `header`, of at most `limit` octets. `None` if `out` can't even hold
    /// the question.
    pub(crate) fn start(
        out: &'b mut [u8],
        header: &[u8],
        query: &Query<'_>,
        limit: usize,
        udp_size: u16,
    ) -> Option<Self> {
        let edns = query.edns.is_some();
        let len = 12 + query.question.len();
        let limit = limit.min(out.len()).checked_sub(if edns { OPT_LEN } else { 0 })?;
        if len > limit {
            return None;
        }
        start_header(out.get_mut(..12)?, header);
        out[5] = 1;
        out[12..len].copy_from_slice(query.question);
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        Some(Self { out, len, limit, section: Self::ANSWER, edns, dnssec_ok, udp_size })
    }

    pub(crate) fn section(&mut self, section: usize) {
        self.section = section;
    }

    /// Marks the reply as authoritative, or not.
    pub(crate) fn set_authoritative(&mut self, on: bool) {
        self.out[2] = self.out[2] & !0x04 | if on { 0x04 } else { 0 };
    }

    pub(crate) fn set_truncated(&mut self) {
        self.out[2] |= 0x02;
    }

    /// Adds all records of `set` to the present section, or none. `ttl` and `serial` replace what the records hold.
    pub(crate) fn put_set(
        &mut self,
        owner: Owner<'_>,
        set: &StoredSet<'_>,
        ttl: Option<u32>,
        serial: Option<Serial>,
    ) -> Result<Placed, Full> {
        let at = self.len;
        let mut count = 0;
        let owner_len;
        if let Owner::At(12) = owner {
            let end = at + set.records.len();
            if end > self.limit {
                return Err(Full);
            }
            self.out[at..end].copy_from_slice(set.records);
            self.len = end;
            count += set.split().count();
            owner_len = 2;
        } else {
            let written = self.put_all(owner, set, &mut count);
            if written.is_err() {
                self.len = at;
            }
            owner_len = written?;
        }
        if ttl.is_some() || serial.is_some() {
            self.patch(at, count, owner_len, ttl, serial);
        }
        self.count(count as u16);
        Ok(Placed { at, owner_len })
    }

    fn put_all(&mut self, owner: Owner<'_>, set: &StoredSet<'_>, count: &mut usize) -> Result<usize, Full> {
        let mut owner_len = 0;
        for (record, _) in set.split() {
            let start = self.len;
            self.put_owner(owner)?;
            owner_len = self.len - start;
            self.put(&record[2..])?;
            *count += 1;
        }
        Ok(owner_len)
    }

    fn patch(&mut self, at: usize, count: usize, owner_len: usize, ttl: Option<u32>, serial: Option<Serial>) {
        let mut at = at;
        for _ in 0..count {
            let fixed = at + owner_len;
            let end = fixed + 10 + u16::from_be_bytes([self.out[fixed + 8], self.out[fixed + 9]]) as usize;
            if let Some(ttl) = ttl {
                self.out[fixed + 4..fixed + 8].copy_from_slice(&ttl.to_be_bytes());
            }
            // The serial stands 20 octets before the end of a SOA.
            if let (Some(serial), true) = (serial, end >= fixed + 30) {
                self.out[end - 20..end - 16].copy_from_slice(&serial.0.to_be_bytes());
            }
            at = end;
        }
    }

    /// Adds one record; gives the offset of its rdata.
    pub(crate) fn put_record(
        &mut self,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[&[u8]],
    ) -> Result<usize, Full> {
        let at = self.len;
        let written = (|| {
            self.put_owner(owner)?;
            let rdata_len: usize = rdata.iter().map(|part| part.len()).sum();
            self.put(&rtype.0.to_be_bytes())?;
            self.put(&1u16.to_be_bytes())?;
            self.put(&ttl.to_be_bytes())?;
            self.put(&(rdata_len as u16).to_be_bytes())?;
            let rdata_at = self.len;
            rdata.iter().try_for_each(|part| self.put(part))?;
            Ok(rdata_at)
        })();
        match written {
            Ok(_) => self.count(1),
            Err(Full) => self.len = at,
        }
        written
    }

    fn put_owner(&mut self, owner: Owner<'_>) -> Result<(), Full> {
        let at = match owner {
            Owner::At(at) => at,
            Owner::Below(labels, at) => {
                self.put(labels)?;
                at
            }
        };
        if at < POINTER_END {
            return self.put(&(0xc000 | at as u16).to_be_bytes());
        }
        let mut end = at;
        while let len @ 1..=63 = self.out[end] {
            end += 1 + len as usize;
        }
        end += if self.out[end] == 0 { 1 } else { 2 };
        let len = end - at;
        if self.len + len > self.limit {
            return Err(Full);
        }
        self.out.copy_within(at..end, self.len);
        self.len += len;
        Ok(())
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        let end = self.len + octets.len();
        if end > self.limit {
            return Err(Full);
        }
        self.out[self.len..end].copy_from_slice(octets);
        self.len = end;
        Ok(())
    }

    fn count(&mut self, by: u16) {
        let at = self.section;
        let count = u16::from_be_bytes([self.out[at], self.out[at + 1]]).saturating_add(by);
        self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }

    /// The message written so far.
    pub(crate) fn written(&self) -> &[u8] {
        &self.out[..self.len]
    }

    /// Ends the reply with its code and OPT; gives its length.
    pub(crate) fn finish(mut self, rcode: Rcode) -> usize {
        let code = rcode as u16;
        self.out[3] = self.out[3] & 0xf0 | (code & 15) as u8;
        if self.edns {
            self.limit += OPT_LEN;
            self.section = Self::ADDITIONAL;
            let size = self.udp_size.to_be_bytes();
            let flags = if self.dnssec_ok { 0x80 } else { 0 };
            // `start` kept room for it.
            if self.put(&[0, 0, 41, size[0], size[1], (code >> 4) as u8, 0, flags, 0, 0, 0]).is_ok() {
                self.count(1);
            }
        }
        self.len
    }
}

impl Placed {
    /// The offsets of each rdata of `set`.
    pub(crate) fn rdata_offsets<'s>(self, set: &StoredSet<'s>) -> impl Iterator<Item = (usize, &'s [u8])> + use<'s> {
        let mut at = self.at;
        set.split().map(move |(record, rdata)| {
            let rdata_at = at + self.owner_len + RECORD_HEAD - 2;
            at += self.owner_len + record.len() - 2;
            (rdata_at, rdata)
        })
    }
}

/// Writes a reply of a header alone; gives its length.
pub(crate) fn header_only(out: &mut [u8], header: &[u8], rcode: Rcode) -> Option<usize> {
    let out = out.get_mut(..12)?;
    start_header(out, header);
    out[3] |= rcode as u8 & 15;
    Some(12)
}

/// The header of a reply: id, operation and RD are those of the query (RFC 1035 section 4.1.1). CD is not: only a
/// resolver copies it (RFC 4035 section 3.2.2), and neither Knot nor NSD does.
fn start_header(out: &mut [u8], header: &[u8]) {
    out.fill(0);
    out[..2].copy_from_slice(&header[..2]);
    out[2] = 0x80 | header[2] & 0x79;
}
