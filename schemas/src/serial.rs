use std::{cmp::Ordering, fmt};

/// A zone's SOA serial. Only partly ordered: two serials 2^31 apart have no order ([RFC 1982]).
///
/// [RFC 1982]: https://www.rfc-editor.org/rfc/rfc1982
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

impl Serial {
    /// The serial `by` later. RFC 1982 section 3.1 defines this for `by` up to 2^31 - 1.
    pub const fn advanced(self, by: u32) -> Serial {
        Serial(self.0.wrapping_add(by))
    }

    /// `asked` if that is later than this, else the next one.
    pub fn next(self, asked: Option<Serial>) -> Serial {
        asked.filter(|asked| *asked > self).unwrap_or(self.advanced(1))
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Serial) -> Option<Ordering> {
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            0x8000_0000 => None,
            1..0x8000_0000 => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 1982 section 3.2
    fn serials_wrap_and_opposite_ones_have_no_order() {
        assert!(Serial(0) > Serial(u32::MAX));
        assert!(Serial(1) < Serial(2));
        assert_eq!(Serial(0).partial_cmp(&Serial(0x8000_0000)), None);
        assert_eq!(Serial(u32::MAX).next(None), Serial(0));
        assert_eq!(Serial(7).next(Some(Serial(100))), Serial(100));
        assert_eq!(Serial(7).next(Some(Serial(7))), Serial(8));
    }
}
