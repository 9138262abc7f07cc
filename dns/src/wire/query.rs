//! Reads a query.

use conn3ction_schemas::RecordType;

/// Response codes ([RFC 6895 section 2.3]) that a reply of ours can have. Those above 15 need EDNS.
///
/// [RFC 6895 section 2.3]: https://www.rfc-editor.org/rfc/rfc6895#section-2.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    YxDomain = 6,
    BadVers = 16,
}

impl Rcode {
    /// The code in the fourth octet of a reply of ours.
    pub(crate) fn from_header(octet: u8) -> Self {
        match octet & 15 {
            0 => Self::NoError,
            1 => Self::FormErr,
            3 => Self::NxDomain,
            4 => Self::NotImp,
            5 => Self::Refused,
            6 => Self::YxDomain,
            _ => Self::ServFail,
        }
    }
}

/// What a packet turned out to be.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack of one answer; a box would allocate")]
pub(crate) enum Parsed<'q> {
    /// Nothing to be answered: no whole header, or itself a reply (two servers would answer each other for ever).
    Silence,
    /// A header whose rest can't be read, or an operation that is none of ours: to be answered with this code.
    Refused(Rcode),
    /// A query or another operation of one question.
    Query(Query<'q>),
}

/// A well-formed query.
#[derive(Debug)]
pub(crate) struct Query<'q> {
    /// The operation: 0 is QUERY, 4 NOTIFY, 5 UPDATE.
    pub opcode: u8,
    /// The question as it came: name in its case, type, class.
    pub question: &'q [u8],
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for; 1 is IN.
    pub qclass: u16,
    /// What the OPT record says, if there is one.
    pub edns: Option<Edns<'q>>,
    /// The name asked for in lower case and wire form, padded with zeros.
    name: [u8; 255],
    name_len: u8,
}

/// The OPT record ([RFC 6891 section 6.1]).
///
/// [RFC 6891 section 6.1]: https://www.rfc-editor.org/rfc/rfc6891#section-6.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edns<'q> {
    /// The largest datagram that the sender takes, in octets.
    pub udp_size: u16,
    /// The version; we know 0.
    pub version: u8,
    /// The DO bit: the sender wants DNSSEC records.
    pub dnssec_ok: bool,
    /// The options: code, length and value of each, checked to be whole.
    pub options: &'q [u8],
}

impl Query<'_> {
    /// The name asked for, lower case, in wire form.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..self.name_len as usize]
    }
}

/// Reads `packet`.
pub(crate) fn parse(packet: &[u8]) -> Parsed<'_> {
    let Some(header) = packet.get(..12) else { return Parsed::Silence };
    if header[2] & 0x80 != 0 {
        return Parsed::Silence;
    }
    let opcode = header[2] >> 3 & 15;
    if !matches!(opcode, 0 | 4 | 5) {
        return Parsed::Refused(Rcode::NotImp);
    }
    match read(packet, opcode) {
        Some(query) => Parsed::Query(query),
        None => Parsed::Refused(Rcode::FormErr),
    }
}

fn read(packet: &[u8], opcode: u8) -> Option<Query<'_>> {
    let count = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    if count(4) != 1 {
        return None;
    }
    let mut name = [0; 255];
    let mut at = 12;
    let name_len = read_name(packet, &mut at, &mut name)?;
    let fixed = packet.get(at..at + 4)?;
    let qtype = RecordType(u16::from_be_bytes([fixed[0], fixed[1]]));
    let qclass = u16::from_be_bytes([fixed[2], fixed[3]]);
    at += 4;
    let question = &packet[12..at];
    for _ in 0..u32::from(count(6)) + u32::from(count(8)) {
        let record = read_record(packet, &mut at)?;
        if record.rtype == RecordType::OPT {
            return None;
        }
    }
    let mut edns = None;
    for _ in 0..count(10) {
        let record = read_record(packet, &mut at)?;
        if record.rtype != RecordType::OPT {
            continue;
        }
        // One OPT at most, and its owner is the root (RFC 6891 section 6.1.1).
        if edns.is_some() || !record.is_root {
            return None;
        }
        edns = Some(read_edns(&record)?);
    }
    if at != packet.len() {
        return None;
    }
    Some(Query { opcode, question, qtype, qclass, edns, name, name_len })
}

/// Reads the name of the question. Nothing stands before it that a pointer could mean.
fn read_name(packet: &[u8], at: &mut usize, name: &mut [u8; 255]) -> Option<u8> {
    let start = *at;
    loop {
        let len = *packet.get(*at)? as usize;
        if len > 63 {
            return None;
        }
        let end = *at + 1 + len;
        let label = packet.get(*at + 1..end)?;
        let place = *at - start;
        name.get_mut(place..place + 1 + len)?[1..].copy_from_slice(label);
        name[place + 1..place + 1 + len].make_ascii_lowercase();
        name[place] = len as u8;
        *at = end;
        if len == 0 {
            return u8::try_from(end - start).ok();
        }
    }
}

struct Record<'q> {
    is_root: bool,
    rtype: RecordType,
    class: u16,
    ttl: u32,
    rdata: &'q [u8],
}

/// Reads a record; its owner is stepped over, not followed.
fn read_record<'q>(packet: &'q [u8], at: &mut usize) -> Option<Record<'q>> {
    let start = *at;
    loop {
        match *packet.get(*at)? {
            0 => {
                *at += 1;
                break;
            }
            len @ 1..=63 => *at += 1 + len as usize,
            192.. => {
                *at += 2;
                break;
            }
            64..=191 => return None,
        }
    }
    let is_root = *at == start + 1;
    let fixed = packet.get(*at..*at + 10)?;
    let len = u16::from_be_bytes([fixed[8], fixed[9]]) as usize;
    let rdata = packet.get(*at + 10..*at + 10 + len)?;
    *at += 10 + len;
    Some(Record {
        is_root,
        rtype: RecordType(u16::from_be_bytes([fixed[0], fixed[1]])),
        class: u16::from_be_bytes([fixed[2], fixed[3]]),
        ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        rdata,
    })
}

fn read_edns<'q>(record: &Record<'q>) -> Option<Edns<'q>> {
    let mut rest = record.rdata;
    while !rest.is_empty() {
        rest = option(rest)?.1;
    }
    Some(Edns {
        udp_size: record.class,
        version: (record.ttl >> 16) as u8,
        dnssec_ok: record.ttl & 0x8000 != 0,
        options: record.rdata,
    })
}

/// The value of the first option, and what follows it.
fn option(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u16::from_be_bytes([*octets.get(2)?, *octets.get(3)?]) as usize;
    octets[4..].split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(counts: [u16; 4], body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, 1, 0];
        counts.iter().for_each(|count| packet.extend_from_slice(&count.to_be_bytes()));
        packet.extend_from_slice(body);
        packet
    }

    const QUESTION: &[u8] = b"\x03wWw\x02Ex\x00\x00\x01\x00\x01";
    const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

    fn is_query(packet: &[u8]) -> bool {
        matches!(parse(packet), Parsed::Query(_))
    }

    #[test]
    fn a_plain_query_is_read_and_its_name_lowered() {
        let packet = packet([1, 0, 0, 1], &[QUESTION, OPT].concat());
        let Parsed::Query(query) = parse(&packet) else { panic!("a query") };
        assert_eq!(query.name(), b"\x03www\x02ex\x00");
        assert_eq!((query.qtype, query.qclass, query.question), (RecordType::A, 1, QUESTION));
        let edns = query.edns.expect("EDNS");
        assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok), (1232, 0, true));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let q = |rest: &[u8]| [QUESTION, rest].concat();
        for (packet, why) in [
            (packet([0, 0, 0, 0], b""), "no question"),
            (packet([2, 0, 0, 0], &q(QUESTION)), "two questions"),
            (packet([1, 0, 0, 0], b"\xc0\x0c\x00\x01\x00\x01"), "a pointer to itself"),
            (packet([1, 0, 0, 0], b"\x40a\x00\x00\x01\x00\x01"), "a label type that is none"),
            (packet([1, 0, 0, 0], &QUESTION[..9]), "a question cut short"),
            (packet([1, 0, 0, 0], &q(b"x")), "octets after the end"),
            (packet([1, 0, 0, 1], QUESTION), "a record that is not there"),
            (packet([1, 0, 0, 2], &q(&[OPT, OPT].concat())), "two OPT"),
            (packet([1, 1, 0, 0], &q(OPT)), "OPT as an answer"),
            (packet([1, 0, 0, 1], &q(b"\x01a\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00")), "OPT with an owner"),
            (
                packet([1, 0, 0, 1], &q(b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x05\x00\x0a\x00\x07\x00")),
                "an option cut short",
            ),
            (packet([1, 65535, 65535, 65535], QUESTION), "more records than octets"),
        ] {
            assert!(matches!(parse(&packet), Parsed::Refused(Rcode::FormErr)), "{why}");
        }
        let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
        assert!(!is_query(&packet([1, 0, 0, 0], &[&long[..], b"\x00\x00\x01\x00\x01"].concat())), "257 octets");
        assert!(is_query(&packet(
            [1, 0, 0, 0],
            &[&long[64..], b"\x3d", &[b'a'; 61], b"\x00\x00\x01\x00\x01"].concat()
        )));
    }

    #[test]
    fn replies_get_silence_and_unknown_operations_are_named_so() {
        let mut reply = packet([1, 0, 0, 0], QUESTION);
        reply[2] |= 0x80;
        assert!(matches!(parse(&reply), Parsed::Silence));
        assert!(matches!(parse(&reply[..11]), Parsed::Silence));
        for opcode in [1, 2, 3, 6, 7, 15] {
            let mut other = packet([1, 0, 0, 0], QUESTION);
            other[2] = opcode << 3;
            assert!(matches!(parse(&other), Parsed::Refused(Rcode::NotImp)), "opcode {opcode}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_fail(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            parse(&octets);
            parse(&packet([1, octets.len() as u16 % 3, 0, 1], &octets));
            parse(&packet([1, 0, 0, 2], &[QUESTION, &octets].concat()));
        }
    }
}
