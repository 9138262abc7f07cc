use super::request::Request;
use conn3ction_schemas::{RecordType, Ttl};

/// A message is sent when the next record would take it past this: compression reaches no further (RFC 1035 4.1.4).
const FULL: usize = 16 << 10;
const HEADER: usize = 12;
/// OPT for 1,232 octets, no options.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// Packs the records of a transfer into framed messages.
///
/// An owner is compressed against the one before it, which in a zone's order shares almost all that can be shared.
pub(super) struct Packer {
    /// Two octets of length, then the message.
    framed: Vec<u8>,
    header: [u8; 4],
    question: Vec<u8>,
    records: u16,
    /// The last owner, and for each of its labels from the left where it stands (in the name, in the message).
    last: Vec<u8>,
    places: Vec<(u8, u16)>,
}

impl Packer {
    pub(super) fn new(request: &Request) -> Self {
        let mut packer = Self {
            framed: Vec::with_capacity(FULL + 1024),
            header: request.header,
            question: request.question.clone(),
            records: 0,
            last: Vec::new(),
            places: Vec::new(),
        };
        packer.begin();
        packer
    }

    fn begin(&mut self) {
        let [id_high, id_low, flags, _] = self.header;
        self.framed.clear();
        // A response, authoritative, the RD bit as asked.
        self.framed.extend([0, 0, id_high, id_low, 0x84 | flags & 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        self.framed.extend_from_slice(&self.question);
        self.records = 0;
        self.last.clear();
        self.places.clear();
    }

    /// Whether a record of `owner` and `rdata` should wait for the next message.
    pub(super) fn is_full_for(&self, owner: &[u8], rdata: &[u8]) -> bool {
        self.records > 0 && self.framed.len() + owner.len() + 10 + rdata.len() + OPT.len() > FULL
    }

    /// Adds a record.
    pub(super) fn push(&mut self, owner: &[u8], rtype: RecordType, ttl: Ttl, rdata: &[u8]) {
        self.push_owner(owner);
        self.framed.extend_from_slice(&rtype.0.to_be_bytes());
        self.framed.extend_from_slice(&[0, 1]);
        self.framed.extend_from_slice(&ttl.as_secs().to_be_bytes());
        self.framed.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.framed.extend_from_slice(rdata);
        self.records += 1;
    }

    fn push_owner(&mut self, owner: &[u8]) {
        // From the root leftwards as long as both names agree on whole labels.
        let shared = |at: usize| {
            let suffix = &owner[at..];
            self.places.iter().find(|(place, _)| self.last[*place as usize..] == *suffix).map(|(_, offset)| *offset)
        };
        let mut places = Vec::with_capacity(self.places.len() + 2);
        let mut at = 0;
        let start = self.framed.len() - 2;
        let mut pointed = None;
        while owner[at] != 0 {
            if let Some(offset) = shared(at) {
                pointed = Some((at, offset));
                break;
            }
            places.push((at as u8, (start + at) as u16));
            at += 1 + owner[at] as usize;
        }
        self.framed.extend_from_slice(&owner[..at]);
        match pointed {
            Some((at, offset)) => {
                self.framed.extend_from_slice(&(0xc000 | offset).to_be_bytes());
                let behind = self.last.len() - (owner.len() - at);
                let kept = self.places.iter().filter(|(place, _)| *place as usize >= behind);
                places.extend(kept.map(|(place, offset)| ((*place as usize - behind + at) as u8, *offset)));
            }
            None => self.framed.push(0),
        }
        self.last.clear();
        self.last.extend_from_slice(owner);
        self.places = places;
    }

    /// The framed message; the next one is begun. `opt` adds an OPT record with these options, as the first message of an
    /// answer to a request with one should have (RFC 5936 section 2.2.5).
    pub(super) fn take(&mut self, opt: Option<&[u8]>) -> Vec<u8> {
        if let Some(options) = opt {
            let [opt @ .., _, _] = OPT;
            self.framed.extend_from_slice(&opt);
            self.framed.extend_from_slice(&(options.len() as u16).to_be_bytes());
            self.framed.extend_from_slice(options);
            self.framed[HEADER + 1] = 1;
        }
        let length = (self.framed.len() - 2) as u16;
        self.framed[..2].copy_from_slice(&length.to_be_bytes());
        self.framed[8..10].copy_from_slice(&self.records.to_be_bytes());
        let framed = std::mem::replace(&mut self.framed, Vec::with_capacity(FULL + 1024));
        self.begin();
        framed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conn3ction_schemas::Name;

    fn request() -> Request {
        let query = [0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, b'e', b'X', 0, 0, 252, 0, 1];
        Request::parse(&query).expect("a transfer")
    }

    #[test] // RFC 1035 section 4.1.4
    fn owners_point_at_the_labels_of_the_owner_before() {
        let mut packer = Packer::new(&request());
        let owner = |text: &str| text.parse::<Name>().expect("a name");
        for name in ["ex.", "a.ex.", "b.a.ex.", "b.a.ex.", "c.ex."] {
            packer.push(owner(name).as_wire(), RecordType::A, Ttl::from_secs(60).expect("a TTL"), &[192, 0, 2, 1]);
        }
        let framed = packer.take(Some(&[]));
        let message = &framed[2..];
        assert_eq!(u16::from_be_bytes([framed[0], framed[1]]) as usize, message.len());
        assert_eq!(message[..12], [0, 9, 0x85, 0, 0, 1, 0, 5, 0, 0, 0, 1]);
        let rest = b"\x00\x01\x00\x01\0\0\0\x3c\x00\x04\xc0\x00\x02\x01";
        let names: [&[u8]; 5] = [b"\x02ex\x00", b"\x01a\xc0\x14", b"\x01b\xc0\x26", b"\xc0\x38", b"\x01c\xc0\x14"];
        let expected: Vec<u8> = names.iter().flat_map(|name| [name, &rest[..]].concat()).collect();
        assert_eq!(message[20..message.len() - OPT.len()], expected);
    }
}
