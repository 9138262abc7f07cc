//! A zone as another server sends it (RFC 5936 section 2.2), message by message; pure.

use conn3ction_schemas::{Name, RecordType, Ttl, zonefile};

use crate::wire::{Record, read_name, read_record};

/// Why a server's answer is no zone, in words that go on from its name: `refuses it (REFUSED)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(pub String);

/// A transfer under way.
///
/// It begins with the zone's SOA and ends when that comes again; the id and the zone must be those asked for in every
/// message. What the records are as a zone is [`zonefile::Zone::assemble`]'s to say.
#[derive(Debug)]
pub struct Incoming {
    zone: Name,
    id: u16,
    /// The number of a record stands for its line.
    records: Vec<zonefile::Record>,
    octets: u64,
    is_whole: bool,
}

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;

impl Incoming {
    /// Nothing of `zone` has come yet; `id` is the question's.
    pub fn new(zone: Name, id: u16) -> Self {
        Self { zone, id, records: Vec::new(), octets: 0, is_whole: false }
    }

    /// Takes the next message; true when the zone is whole.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`]; the transfer is over then.
    pub fn take(&mut self, message: &[u8]) -> Result<bool, BadAnswer> {
        let (answers, mut at) = opened(message, self.id, &self.zone, RecordType::AXFR)?;
        if answers == 0 {
            return Err(bad("answers without a record"));
        }
        for _ in 0..answers {
            let number = self.records.len() as u64 + 1;
            let malformed = || bad(format!("sends record {number} malformed"));
            let record = read_record(message, &mut at).ok_or_else(malformed)?;
            let owner = Name::from_wire(&record.owner).map_err(|_| malformed())?;
            if record.class != CLASS_IN {
                return Err(bad(format!("sends record {number} of class {}", record.class)));
            }
            let is_soa = record.rtype == RecordType::SOA && owner == self.zone;
            if self.is_whole || (number == 1 && !is_soa) {
                let where_ = if self.is_whole { "goes on after" } else { "does not begin with" };
                return Err(bad(format!("{where_} the zone's SOA")));
            }
            self.is_whole = is_soa && number > 1;
            let rdata = record.whole_rdata().map_err(|error| bad(format!("sends {owner} with {error}")))?;
            // With the highest bit set it counts as 0 (RFC 2181 section 8).
            let ttl = Some(Ttl::from_secs(record.ttl).unwrap_or(Ttl::ZERO));
            let rtype = record.rtype;
            self.octets += (owner.as_wire().len() + rdata.as_wire().len() + size_of::<zonefile::Record>()) as u64;
            self.records.push(zonefile::Record { line: number, column: 1, owner, ttl, rtype, rdata });
        }
        Ok(self.is_whole)
    }

    /// The records, as they came; the SOA is the first and the last of them if they are whole.
    pub fn into_records(self) -> Vec<zonefile::Record> {
        self.records
    }

    /// What the records take in memory, about: names that a message points to are whole here.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// How many records came.
    pub fn count(&self) -> usize {
        self.records.len()
    }
}

/// A question of one record type.
pub(super) fn question(id: u16, name: &Name, qtype: RecordType) -> Vec<u8> {
    let [id_high, id_low] = id.to_be_bytes();
    let header = [id_high, id_low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], name.as_wire(), &qtype.0.to_be_bytes(), &CLASS_IN.to_be_bytes()].concat()
}

/// The apex of the zone that holds `name`, as a server tells it when it is asked for a SOA: the answer's owner, or that of
/// the negative answer.
pub(super) fn apex(message: &[u8], id: u16, name: &Name) -> Result<Name, BadAnswer> {
    const NXDOMAIN: u8 = 3;
    let mut message = message.to_vec();
    // That the name does not exist is an answer, too.
    if let Some(flags) = message.get_mut(3).filter(|flags| **flags & 15 == NXDOMAIN) {
        *flags &= 0xf0;
    }
    let (answers, mut at) = opened(&message, id, name, RecordType::SOA)?;
    let authorities = u16::from_be_bytes([message[8], message[9]]);
    for _ in 0..u32::from(answers) + u32::from(authorities) {
        let Some(Record { owner, rtype, .. }) = read_record(&message, &mut at) else { break };
        if rtype == RecordType::SOA
            && let Ok(owner) = Name::from_wire(&owner)
            && name.is_at_or_below(&owner)
        {
            return Ok(owner);
        }
    }
    Err(bad(format!("does not say in which zone {name} is")))
}

/// Checks header and question; gives the number of answers and where they begin. Later messages of a transfer may leave
/// the question out (RFC 5936 section 2.2.2).
fn opened(message: &[u8], id: u16, name: &Name, qtype: RecordType) -> Result<(u16, usize), BadAnswer> {
    let malformed = || bad("sends a malformed message");
    let header: &[u8; HEADER] = message.first_chunk().ok_or_else(malformed)?;
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if count(0) != id || header[2] & 0xf8 != 0x80 {
        return Err(bad("sends what is no answer to our question"));
    }
    if let Some(words) = refusal(header[3] & 15, name, qtype) {
        return Err(BadAnswer(words));
    }
    if header[2] & 2 != 0 {
        return Err(bad("cuts its answer short (TC) over TCP"));
    }
    let mut at = HEADER;
    for _ in 0..count(4) {
        let asked = read_name(message, &mut at).and_then(|name| Name::from_wire(&name).ok());
        let fixed = message.get(at..at + 4).ok_or_else(malformed)?;
        if asked.as_ref() != Some(name) || fixed[..2] != qtype.0.to_be_bytes() {
            return Err(bad("answers another question"));
        }
        at += 4;
    }
    Ok((count(6), at))
}

/// A response code in words (RFC 6895 section 2.3); `None` for none.
fn refusal(rcode: u8, zone: &Name, qtype: RecordType) -> Option<String> {
    Some(match rcode {
        5 | 9 if qtype == RecordType::SOA => {
            let code = if rcode == 5 { "REFUSED" } else { "NOTAUTH" };
            format!("serves no zone that holds {zone}, or not to us ({code})")
        }
        0 => return None,
        1 => "cannot read the question (FORMERR)".to_owned(),
        2 => format!("failed (SERVFAIL); it may not have loaded {zone}"),
        3 => format!("says that {zone} does not exist (NXDOMAIN)"),
        4 => "knows no zone transfer (NOTIMP)".to_owned(),
        5 => "refuses it (REFUSED); it must allow transfers to this address, and it may want a key (TSIG), which we have not"
            .to_owned(),
        9 => format!("does not serve {zone}, or not to us (NOTAUTH)"),
        code => format!("answers with response code {code}"),
    })
}

fn bad(words: impl Into<String>) -> BadAnswer {
    BadAnswer(words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    /// An answer of `ex.` with these records; a pointer to the zone's name is `\xc0\x0c`.
    fn message(rcode: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut message = question(7, &name("ex."), RecordType::AXFR);
        message[2] = 0x84;
        message[3] = rcode;
        message[7] = records.len() as u8;
        records.iter().for_each(|record| message.extend_from_slice(record));
        message
    }

    /// The names of its rdata end in pointers, as BIND, Knot and NSD write them.
    const SOA: &[u8] =
        b"\xc0\x0c\0\x06\0\x01\0\0\0\x3c\0\x1d\x02ns\xc0\x0c\x01h\xc0\x0c\0\0\0\x05\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04";
    const MX: &[u8] = b"\x01a\xc0\x0c\0\x0f\0\x01\x80\0\0\0\0\x06\0\x0a\x01B\xc0\x0c";

    #[test]
    fn a_zone_is_whole_when_its_soa_comes_again() {
        let mut incoming = Incoming::new(name("ex."), 7);
        assert_eq!(incoming.take(&message(0, &[SOA, MX])), Ok(false));
        let mut bare = message(0, &[]);
        bare.truncate(12);
        bare[5] = 0;
        bare[7] = 1;
        // The zone's name stands where the question had it, so that the pointers hold.
        bare.extend_from_slice(b"\x02ex\0");
        bare.extend_from_slice(&SOA[2..]);
        assert_eq!(incoming.take(&bare), Ok(true));
        let records = incoming.into_records();
        let texts: Vec<_> = records
            .iter()
            .map(|record| format!("{} {} {}", record.owner, record.rtype, record.rdata.to_text(record.rtype)))
            .collect();
        assert_eq!(texts, ["ex. SOA ns.ex. h.ex. 5 1 2 3 4", "a.ex. MX 10 b.ex.", "ex. SOA ns.ex. h.ex. 5 1 2 3 4"]);
        assert_eq!(records[1].ttl.map(Ttl::as_secs), Some(0), "RFC 2181 section 8");
    }

    #[test]
    fn what_is_no_zone_is_told_in_words() {
        let told = |message: &[u8]| Incoming::new(name("ex."), 7).take(message).expect_err("no zone").0;
        for (rcode, words) in [
            (1, "(FORMERR)"),
            (2, "(SERVFAIL); it may not have loaded ex."),
            (3, "(NXDOMAIN)"),
            (4, "(NOTIMP)"),
            (5, "refuses it (REFUSED); it must allow transfers"),
            (9, "does not serve ex., or not to us (NOTAUTH)"),
            (11, "response code 11"),
        ] {
            assert!(told(&message(rcode, &[])).contains(words), "{rcode}");
        }
        assert_eq!(told(&message(0, &[])), "answers without a record");
        assert_eq!(told(&message(0, &[MX])), "does not begin with the zone's SOA");
        assert_eq!(told(&message(0, &[SOA, SOA, MX])), "goes on after the zone's SOA");
        assert_eq!(told(&message(0, &[SOA])[..40]), "sends record 1 malformed");
        let mut other = message(0, &[SOA]);
        other[1] = 8;
        assert_eq!(told(&other), "sends what is no answer to our question");
        let mut cut = message(0, &[SOA]);
        cut[2] |= 2;
        assert_eq!(told(&cut), "cuts its answer short (TC) over TCP");
        let mut another = message(0, &[SOA]);
        another[13] = b'f';
        assert_eq!(told(&another), "answers another question");
        // A pointer to itself, and one to a label before it that leads to it again.
        for loops in [&b"\xc0\x14\0\x06\0\x01\0\0\0\0\0\0"[..], b"\x01a\xc0\x14\0\x06\0\x01\0\0\0\0\0\0"] {
            assert_eq!(told(&message(0, &[loops])), "sends record 1 malformed");
        }
    }

    #[test]
    fn the_zone_of_a_name_is_told_by_a_soa_above_it() {
        let mut reply = question(7, &name("www.a.ex."), RecordType::SOA);
        reply[2] = 0x84;
        reply[3] = 3;
        reply[9] = 1;
        // The zone's name stands in the question, from its third label on.
        let mut soa = SOA.to_vec();
        for at in (0..soa.len()).filter(|at| SOA[*at..].starts_with(b"\xc0\x0c")) {
            soa[at + 1] = 12 + 6;
        }
        reply.extend_from_slice(&soa);
        assert_eq!(apex(&reply, 7, &name("www.a.ex.")), Ok(name("ex.")));
        reply[9] = 0;
        assert_eq!(
            apex(&reply, 7, &name("www.a.ex.")).expect_err("no SOA").0,
            "does not say in which zone www.a.ex. is"
        );
    }
}
