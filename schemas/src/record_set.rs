use crate::{Rdata, RecordType, Ttl};

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

    /// Makes a set; equal rdata merge.
    ///
    /// # Errors
    ///
    /// [`RecordSetError`].
    pub fn new(ttl: Ttl, mut rdata: Vec<Rdata>) -> Result<Self, RecordSetError> {
        rdata.sort_unstable();
        rdata.dedup();
        let octets: usize = rdata.iter().map(|rdata| 12 + rdata.as_wire().len()).sum();
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
