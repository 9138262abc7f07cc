//! Reads a message record by record, pointers followed: our own replies when they are rewritten, and those of others.

use conn3ction_schemas::{Rdata, RdataError, RecordType};

/// A record as it stands in a message.
pub(crate) struct Record<'m> {
    /// The owner in wire form, in its case.
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: RecordType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Its data; names in it may end in pointers, but not in messages of ours.
    pub(crate) rdata: &'m [u8],
    message: &'m [u8],
    rdata_end: usize,
}

impl Record<'_> {
    /// The data, names expanded, checked and in canonical form.
    pub(crate) fn whole_rdata(&self) -> Result<Rdata, RdataError> {
        Rdata::from_compressed(self.rtype, self.rdata, |rest| {
            let from = self.rdata_end - rest.len();
            let mut at = from;
            let name = read_name(self.message, &mut at)?;
            Some((name, at - from))
        })
    }
}

/// Reads the record at `at` and moves behind it.
pub(crate) fn read_record<'m>(message: &'m [u8], at: &mut usize) -> Option<Record<'m>> {
    let owner = read_name(message, at)?;
    let fixed: &[u8; 10] = message.get(*at..)?.first_chunk()?;
    let [type_high, type_low, class_high, class_low, ttl @ .., len_high, len_low] = *fixed;
    let rdata_end = *at + 10 + usize::from(u16::from_be_bytes([len_high, len_low]));
    let rdata = message.get(*at + 10..rdata_end)?;
    *at = rdata_end;
    let (rtype, class) =
        (RecordType(u16::from_be_bytes([type_high, type_low])), u16::from_be_bytes([class_high, class_low]));
    Some(Record { owner, rtype, class, ttl: u32::from_be_bytes(ttl), rdata, message, rdata_end })
}

/// Reads the name at `at`, pointers followed, and moves behind it. A pointer only goes to before the labels that led to it,
/// so this ends.
pub(crate) fn read_name(message: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(64);
    let (mut from, mut run, mut end) = (*at, *at, None);
    loop {
        match *message.get(from)? {
            0 => {
                name.push(0);
                *at = end.unwrap_or(from + 1);
                return (name.len() <= 255).then_some(name);
            }
            len @ 1..=63 => {
                name.extend_from_slice(message.get(from..from + 1 + usize::from(len))?);
                from += 1 + usize::from(len);
            }
            high @ 192.. => {
                let to = usize::from(u16::from_be_bytes([high & 0x3f, *message.get(from + 1)?]));
                end.get_or_insert(from + 2);
                if to >= run {
                    return None;
                }
                (from, run) = (to, to);
            }
            64..=191 => return None,
        }
    }
}
