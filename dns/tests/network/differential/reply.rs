//! A reply as a value, so that two servers' replies compare whatever their compression and order.

use conn3ction_schemas::{Name, Rdata, RecordType};
use std::fmt;

/// A reply read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The second pair of octets without the code: QR, operation, AA, TC, RD, RA, AD, CD.
    pub(crate) flags: u16,
    /// The code with the part that EDNS holds.
    pub(crate) rcode: u16,
    /// The question as it came back, octet by octet.
    pub(crate) question: Vec<u8>,
    /// Answer, authority and additional, each sorted; the answer's owners and types stand in `order`.
    pub(crate) sections: [Vec<Record>; 3],
    /// Owners and types of the answer in the order of the message: an alias comes before what it leads to.
    pub(crate) order: Vec<(Vec<u8>, RecordType)>,
    /// Version and flags of EDNS, if the reply has it.
    pub(crate) edns: Option<(u8, u16)>,
}

/// A record: names in lower case and without compression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: RecordType,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

impl Record {
    /// What a signature covers.
    pub(crate) fn covered(&self) -> Option<RecordType> {
        let &[high, low, ..] = &self.rdata[..] else { return None };
        (self.rtype == RecordType::RRSIG).then_some(RecordType(u16::from_be_bytes([high, low])))
    }
}

const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const AD: u16 = 0x0020;

impl Reply {
    /// Reads `message`; `None` if it is malformed.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        let flags = number(2)?;
        let mut at = 12;
        for _ in 0..number(4)? {
            read_name(message, &mut at)?;
            at += 4;
        }
        let question = message.get(12..at)?.to_vec();
        let (mut sections, mut order, mut edns) = ([vec![], vec![], vec![]], vec![], None);
        let mut rcode = flags & 15;
        for (section, records) in sections.iter_mut().enumerate() {
            for _ in 0..number(6 + 2 * section)? {
                let owner = read_name(message, &mut at)?;
                let rtype = RecordType(number(at)?);
                let ttl = u32::from(number(at + 4)?) << 16 | u32::from(number(at + 6)?);
                let len = number(at + 8)? as usize;
                at += 10;
                if rtype == RecordType::OPT {
                    edns = Some(((ttl >> 16) as u8, ttl as u16));
                    rcode |= (ttl >> 24 << 4) as u16;
                } else {
                    let rdata = read_rdata(message, at, len, rtype)?;
                    if section == 0 && rtype != RecordType::RRSIG {
                        order.push((owner.clone(), rtype));
                    }
                    records.push(Record { owner, rtype, ttl, rdata });
                }
                at += len;
            }
            records.sort();
        }
        order.dedup();
        (at == message.len()).then_some(Self { flags: flags & 0xfff0, rcode, question, sections, order, edns })
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & TC != 0
    }

    pub(crate) fn is_authoritative(&self) -> bool {
        self.flags & AA != 0
    }

    /// Whether a validator found it secure.
    pub(crate) fn is_authentic(&self) -> bool {
        self.flags & AD != 0
    }

    /// Whether it comes to an end in zones that we serve, after a few aliases at most.
    pub(crate) fn is_whole(&self) -> bool {
        let aliases = self.order.iter().filter(|(_, rtype)| *rtype == RecordType::CNAME).count();
        let has_end = self.order.iter().any(|(_, rtype)| !matches!(*rtype, RecordType::CNAME | RecordType::DNAME));
        let denies = self.sections[1].iter().any(|record| record.rtype == RecordType::SOA);
        self.is_authoritative() && aliases < 5 && (has_end || denies)
    }

    /// Whether it has one of the two that Unbound 1.17 calls bogus: an answer at a name that begins with `*` itself, where a
    /// wildcard higher up may stand in for it, and an NSEC record that may prove a wildcard to be an empty non-terminal.
    pub(crate) fn has_odd_wildcard(&self) -> bool {
        let leads_below = |record: &Record| {
            let next = record.rdata.get(1 + usize::from(*record.rdata.first().unwrap_or(&0))..).unwrap_or_default();
            record.rtype == RecordType::NSEC && next.windows(2).any(|two| two == b"\x01*")
        };
        let is_empty = self.rcode == 0 && self.sections[1].iter().any(leads_below);
        let question = [self.question.as_slice()].into_iter();
        let names = question.chain(self.sections[0].iter().map(|record| record.owner.as_slice()));
        is_empty || names.into_iter().any(|name| name.starts_with(b"\x01*"))
    }

    /// Whether an NSEC3 record in it has the opt-out flag.
    pub(crate) fn opts_out(&self) -> bool {
        let is_opt_out = |record: &Record| record.rtype == RecordType::NSEC3 && record.rdata.get(1) == Some(&1);
        self.sections[1].iter().any(is_opt_out)
    }

    /// The same with every record of the answer once.
    pub(crate) fn without_repeats(&self) -> Self {
        let mut once = self.clone();
        once.sections[0].dedup();
        once.order.clear();
        for set in &self.order {
            if !once.order.contains(set) {
                once.order.push(set.clone());
            }
        }
        once
    }

    /// Everything but the sections.
    pub(crate) fn head(&self) -> (u16, u16, &[u8], Option<(u8, u16)>) {
        (self.flags, self.rcode, &self.question, self.edns)
    }
}

/// Reads a name in lower case; pointers go backwards only.
fn read_name(message: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let (mut name, mut place, mut jumped) = (Vec::new(), *at, false);
    loop {
        let len = *message.get(place)? as usize;
        if len >= 0xc0 {
            let to = (len & 0x3f) << 8 | *message.get(place + 1)? as usize;
            if !jumped {
                *at = place + 2;
            }
            jumped = true;
            if to >= place {
                return None;
            }
            place = to;
            continue;
        }
        name.extend_from_slice(message.get(place..place + 1 + len)?);
        place += 1 + len;
        if len == 0 {
            if !jumped {
                *at = place;
            }
            name.make_ascii_lowercase();
            return (name.len() <= 255).then_some(name);
        }
    }
}

/// Rdata with its names expanded and in lower case.
fn read_rdata(message: &[u8], at: usize, len: usize, rtype: RecordType) -> Option<Vec<u8>> {
    let (skip, names) = match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => (0, 1),
        RecordType::MX => (2, 1),
        RecordType::SRV => (6, 1),
        RecordType::SOA => (0, 2),
        RecordType::NSEC => (0, 1),
        RecordType::RRSIG => (18, 1),
        _ => (0, 0),
    };
    let end = at + len;
    let mut rdata = message.get(at..at + skip)?.to_vec();
    let mut place = at + skip;
    for _ in 0..names {
        rdata.extend(read_name(message, &mut place)?);
    }
    rdata.extend_from_slice(message.get(place..end)?);
    Some(rdata)
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rcode {} flags {:04x} EDNS {:?}", self.rcode, self.flags, self.edns)?;
        for (records, name) in self.sections.iter().zip(["answer", "authority", "additional"]) {
            for record in records {
                writeln!(f, "  {name}: {record:?}")?;
            }
        }
        writeln!(f, "  order: {}", self.order.iter().map(|(_, rtype)| format!("{rtype} ")).collect::<String>())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = Name::from_wire(&self.owner).map_or_else(|error| error.to_string(), |name| name.to_string());
        let mut rdata = Rdata::from_stored(&self.rdata).to_text(self.rtype);
        rdata.truncate(100);
        write!(f, "{owner} {} {} {rdata}", self.ttl, self.rtype)
    }
}
