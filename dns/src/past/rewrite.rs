//! Moves a whole reply below a moment's name, so that what it names can be asked on.

use conn3ction_schemas::{Rdata, RecordType};

use crate::{
    store::View,
    wire::{Message, Owner, Query, Rcode, read_name, read_record},
};

/// A name would pass 255 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Whether a type is left out of answers below a moment's name: its signatures do not cover such names.
pub(crate) fn is_left_out(rtype: RecordType) -> bool {
    rtype.is_dnssec()
        || matches!(
            rtype,
            RecordType::DS | RecordType::DNSKEY | RecordType::NSEC3PARAM | RecordType::CDS | RecordType::CDNSKEY
        )
}

/// Where records are moved to.
#[derive(Debug)]
pub(crate) struct Below<'v> {
    /// The zones of the moment: names in them move, others stay.
    pub(crate) view: &'v View,
    /// The moment's name, `r42.asof.` in wire form.
    pub(crate) moment: &'v [u8],
}

impl Below<'_> {
    /// `name` without its root, then the moment's name.
    pub(crate) fn owner(&self, name: &[u8]) -> Result<Vec<u8>, TooLong> {
        let moved = [&name[..name.len() - 1], self.moment].concat();
        if moved.len() > 255 { Err(TooLong) } else { Ok(moved) }
    }

    /// The data with every name of our zones moved.
    pub(crate) fn rdata(&self, rtype: RecordType, rdata: &[u8]) -> Result<Vec<u8>, TooLong> {
        let mut result = Ok(());
        let moved = Rdata::from_stored(rdata).map_names(rtype, |name| {
            let lower = name.to_ascii_lowercase();
            self.view.zone_of_wire(&lower)?;
            self.owner(name).map_err(|error| result = Err(error)).ok()
        });
        result.map(|()| moved.as_wire().to_vec())
    }
}

/// Writes `answered`, a reply of ours, into `message` with every owner and every name of our zones moved below the
/// moment, and with TTL 0.
pub(super) fn rewrite(
    answered: &[u8],
    mut message: Message<'_>,
    to: &Below<'_>,
    query: &Query<'_>,
) -> Result<usize, TooLong> {
    let Some(header) = answered.get(..12) else { return Ok(message.finish(Rcode::ServFail)) };
    message.set_authoritative(header[2] & 4 != 0);
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let mut at = 12;
    let _question = read_name(answered, &mut at);
    at += 4;
    let mut is_full = false;
    for section in [Message::ANSWER, Message::AUTHORITY, Message::ADDITIONAL] {
        message.section(section);
        for _ in 0..count(section) {
            let Some(record) = read_record(answered, &mut at) else { break };
            if is_full || is_left_out(record.rtype) {
                continue;
            }
            let owner = to.owner(&record.owner)?;
            let mut rdata = to.rdata(record.rtype, record.rdata)?;
            // How long the absence may be kept (RFC 2308 section 5).
            if section == Message::AUTHORITY
                && record.rtype == RecordType::SOA
                && let Some(minimum) = rdata.last_chunk_mut::<4>()
            {
                minimum.fill(0);
            }
            // Everything but the additional section has to be there.
            if put(&mut message, &owner, query, record.rtype, &rdata).is_err() {
                is_full = true;
                if section != Message::ADDITIONAL {
                    message.set_truncated();
                }
            }
        }
    }
    Ok(message.finish(Rcode::from_header(header[3])))
}

fn put(
    message: &mut Message<'_>,
    owner: &[u8],
    query: &Query<'_>,
    rtype: RecordType,
    rdata: &[u8],
) -> Result<(), crate::wire::Full> {
    // The end of the owner that the question has too is a pointer to it.
    let name = query.name();
    let (mut own, mut rest) = (0, owner);
    while let [len, ..] = rest
        && *len > 0
    {
        if name.ends_with(rest) && is_boundary(name, name.len() - rest.len()) {
            let at = Owner::Below(&owner[..own], 12 + name.len() - rest.len());
            return message.put_record(at, rtype, 0, &[rdata]).map(drop);
        }
        own += 1 + usize::from(*len);
        rest = owner.get(own..).unwrap_or_default();
    }
    Err(crate::wire::Full)
}

fn is_boundary(name: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start < at {
        start += 1 + usize::from(name[start]);
    }
    start == at
}

/// Sets every TTL of a reply of ours to 0, that of OPT, which is none, aside.
pub(super) fn zero_ttls(reply: &mut [u8]) {
    let count = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let records = count(6) + count(8) + count(10);
    let Some(question_end) = name_end(reply, 12) else { return };
    let mut at = question_end + 4;
    for _ in 0..records {
        let Some(fixed) = name_end(reply, at) else { return };
        let Some([high, low, _, _, ttl @ .., len_high, len_low]) = reply.get_mut(fixed..fixed + 10) else { return };
        if RecordType(u16::from_be_bytes([*high, *low])) != RecordType::OPT {
            ttl.fill(0);
        }
        at = fixed + 10 + usize::from(u16::from_be_bytes([*len_high, *len_low]));
    }
}

/// Where the name that begins at `at` ends, pointers not followed.
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return Some(at + 2),
        }
    }
}
