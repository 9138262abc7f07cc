use crate::{Rdata, RecordType, Ttl, event::read::Reader};

/// The records of one type at one owner ([RFC 9499]: RRset): never empty, one TTL, no duplicates, in canonical order
/// of rdata ([RFC 4034 section 6.3]). So equal sets are equal values.
///
/// [RFC 9499]: https://www.rfc-editor.org/rfc/rfc9499
/// [RFC 4034 section 6.3]: https://www.rfc-editor.org/rfc/rfc4034#section-6.3
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordSet {
    ttl: Ttl,
    rdata: Vec<Rdata>,
}

/// What names a record set at its owner: the type and, for RRSIG, the type it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetKey {
    /// The type of the records.
    pub rtype: RecordType,
    /// The covered type of RRSIG; `RecordType(0)` for every other type.
    pub covered: RecordType,
}

/// Why rdata make no record set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordSetError {
    /// No rdata at all.
    #[error("a record set has at least one value")]
    Empty,
    /// More than [`RecordSet::MAX_VALUES`].
    #[error("a record set has at most 1000 values")]
    TooMany,
    /// One DNS message of 65,535 octets could not hold the set.
    #[error("the record set does not fit one DNS message")]
    TooLarge,
}

impl RecordSet {
    /// The most values of one set; a larger set would be a way to make every answer slow (CVE-2024-1737).
    pub const MAX_VALUES: usize = 1000;
    /// Octets of answers that fit one message beside header, question of 255 octets, EDNS option and a SOA.
    const MAX_OCTETS: usize = 65_535 - 1_024;
    /// Octets of a record in an answer before its rdata.
    const HEAD_OCTETS: usize = 12;

    /// Makes a set; equal rdata merge.
    ///
    /// # Errors
    ///
    /// [`RecordSetError`].
    pub fn new(ttl: Ttl, mut rdata: Vec<Rdata>) -> Result<Self, RecordSetError> {
        rdata.sort_unstable();
        rdata.dedup();
        let octets: usize = rdata.iter().map(|rdata| Self::HEAD_OCTETS + rdata.as_wire().len()).sum();
        match rdata.len() {
            0 => Err(RecordSetError::Empty),
            len if len > Self::MAX_VALUES => Err(RecordSetError::TooMany),
            _ if octets > Self::MAX_OCTETS => Err(RecordSetError::TooLarge),
            _ => Ok(Self { ttl, rdata }),
        }
    }

    /// The TTL of all records of the set.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// The values in canonical order.
    pub fn rdata(&self) -> &[Rdata] {
        &self.rdata
    }
}

/// A [`RecordSet`] that lies elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct RecordSetRef<'a> {
    ttl: Ttl,
    values: Values<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    Made(&'a [Rdata]),
    /// So many byte strings of CBOR.
    Stored(usize, Reader<'a>),
}

impl<'a> RecordSetRef<'a> {
    /// Takes `count` values as [`RecordSet::rdata`] gave them to whoever stored them; `None` if they make no set, or are not
    /// in order.
    pub(crate) fn read(ttl: Ttl, count: u64, reader: &mut Reader<'a>) -> Option<Self> {
        let count = usize::try_from(count).ok().filter(|count| (1..=RecordSet::MAX_VALUES).contains(count))?;
        let values = Values::Stored(count, *reader);
        let mut octets = 0;
        let mut before: Option<&[u8]> = None;
        for _ in 0..count {
            let value = reader.bytes()?;
            if before.is_some_and(|before| before >= value) {
                return None;
            }
            octets += RecordSet::HEAD_OCTETS + value.len();
            before = Some(value);
        }
        (octets <= RecordSet::MAX_OCTETS).then_some(Self { ttl, values })
    }

    /// The TTL of all records of the set.
    #[inline]
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// How many values there are.
    #[inline]
    pub fn count(&self) -> usize {
        match self.values {
            Values::Made(rdata) => rdata.len(),
            Values::Stored(count, _) => count,
        }
    }

    /// The values in canonical order, in wire form.
    #[inline]
    pub fn rdata(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut values = self.values;
        std::iter::from_fn(move || match &mut values {
            Values::Made(rdata) => {
                let (first, rest) = rdata.split_first()?;
                *rdata = rest;
                Some(first.as_wire())
            }
            Values::Stored(count, reader) => {
                *count = count.checked_sub(1)?;
                reader.bytes()
            }
        })
    }

    /// The same set with octets of its own.
    pub fn to_record_set(&self) -> RecordSet {
        RecordSet { ttl: self.ttl, rdata: self.rdata().map(Rdata::from_stored).collect() }
    }
}

impl<'a> From<&'a RecordSet> for RecordSetRef<'a> {
    fn from(set: &'a RecordSet) -> Self {
        Self { ttl: set.ttl, values: Values::Made(&set.rdata) }
    }
}

impl SetKey {
    /// The key of a set that is no RRSIG.
    pub const fn of(rtype: RecordType) -> Self {
        Self { rtype, covered: RecordType(0) }
    }

    /// The key of the signatures over `covered`.
    pub const fn rrsig(covered: RecordType) -> Self {
        Self { rtype: RecordType::RRSIG, covered }
    }

    /// The key of the set that `rdata` of type `rtype` belongs to.
    pub fn for_rdata(rtype: RecordType, rdata: &Rdata) -> Self {
        match (rtype, rdata.as_wire()) {
            (RecordType::RRSIG, &[high, low, ..]) => Self::rrsig(RecordType(u16::from_be_bytes([high, low]))),
            _ => Self::of(rtype),
        }
    }
}
