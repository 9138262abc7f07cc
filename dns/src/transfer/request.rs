use conn3ction_schemas::{Name, RecordType, Serial};

/// A question for a whole zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The header's first four octets: the id and the flags.
    pub(super) header: [u8; 4],
    /// The question as asked: its name keeps its case.
    pub(super) question: Vec<u8>,
    pub(super) asked: Asked,
    pub(super) edns: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The whole zone (RFC 5936).
    Axfr(Name),
    /// What is new since a serial (RFC 1995).
    Ixfr(Name, Serial),
    /// A transfer that is malformed: IXFR without the SOA of the asker.
    Malformed,
    /// A transfer of another class than IN.
    OtherClass,
}

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;

impl Request {
    /// Takes the request out of a query; `None` if it asks for something else (or is no sound query).
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let &[id_high, id_low, flags, more_flags, questions @ ..] = message.first_chunk::<6>()?;
        // QR and the opcode are 0: a query.
        if flags & 0xf8 != 0 || questions != [0, 1] {
            return None;
        }
        let name_end = HEADER + Name::split_wire(message.get(HEADER..)?).ok().map(|(name, _)| name.as_wire().len())?;
        let question = message.get(HEADER..name_end + 4)?;
        let qtype = word(message, name_end)?;
        if qtype != RecordType::AXFR.0 && qtype != RecordType::IXFR.0 {
            return None;
        }
        let zone = Name::from_wire(message.get(HEADER..name_end)?).ok()?;
        let (client_serial, edns) = rest(message, name_end + 4);
        let asked = match client_serial {
            _ if word(message, name_end + 2)? != CLASS_IN => Asked::OtherClass,
            _ if qtype == RecordType::AXFR.0 => Asked::Axfr(zone),
            Some(serial) => Asked::Ixfr(zone, serial),
            None => Asked::Malformed,
        };
        Some(Self { header: [id_high, id_low, flags, more_flags], question: question.to_vec(), asked, edns })
    }
}

/// Reads what follows the question: the serial of the first SOA (in an IXFR it stands in the authority section), and
/// whether there is an OPT record. A record that cannot be read ends the search.
fn rest(message: &[u8], mut at: usize) -> (Option<Serial>, bool) {
    let (mut serial, mut edns) = (None, false);
    let mut record = || {
        at = skip_name(message, at)?;
        let rtype = RecordType(word(message, at)?);
        let rdata = at + 10..at + 10 + word(message, at + 8)? as usize;
        let octets = message.get(rdata.clone())?;
        at = rdata.end;
        Some((rtype, octets))
    };
    // Two sections of one record each are all that a request has; a signature may follow.
    for _ in 0..4 {
        match record() {
            Some((RecordType::SOA, rdata)) if serial.is_none() => {
                serial = rdata.len().checked_sub(20).and_then(|from| rdata[from..].first_chunk());
            }
            Some((RecordType::OPT, _)) => edns = true,
            Some(_) => {}
            None => break,
        }
    }
    (serial.map(|octets| Serial(u32::from_be_bytes(*octets))), edns)
}

/// Where the name at `at` ends; a pointer ends it.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + length as usize,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOA: &[u8] = b"\xc0\x0c\x00\x06\x00\x01\0\0\0\0\0\x16\0\0\0\0\x00\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    fn message(qtype: u8, class: u8, authority: &[u8]) -> Vec<u8> {
        let header = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, u8::from(!authority.is_empty()), 0, 0];
        [&header[..], b"\x02eX\x00\x00", &[qtype, 0, class], authority].concat()
    }

    #[test]
    fn a_transfer_is_told_from_other_questions() {
        let zone: Name = "ex.".parse().expect("a name");
        let asked = |message: &[u8]| Request::parse(message).map(|request| request.asked);
        assert_eq!(asked(&message(252, 1, b"")), Some(Asked::Axfr(zone.clone())));
        assert_eq!(asked(&message(252, 3, b"")), Some(Asked::OtherClass));
        assert_eq!(asked(&message(251, 1, b"")), Some(Asked::Malformed));
        assert_eq!(asked(&message(6, 1, b"")), None);
        let mut response = message(252, 1, b"");
        response[2] = 0x80;
        assert_eq!(asked(&response), None);
        let mut rdata = SOA.to_vec();
        rdata.truncate(SOA.len());
        assert_eq!(asked(&message(251, 1, &rdata)), Some(Asked::Ixfr(zone, Serial(7))));
    }

    proptest! {
        #[test]
        fn no_message_makes_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..60) {
            let _ = Request::parse(&octets);
            let mut near = message(251, 1, SOA);
            near.truncate(cut);
            near.extend(octets);
            let _ = Request::parse(&near);
        }
    }
}
