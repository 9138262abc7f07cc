use std::{fmt, str::FromStr};

/// A DNS record type: its 16-bit number ([IANA DNS parameters]). Printed as its mnemonic or `TYPE123` ([RFC 3597]).
///
/// [IANA DNS parameters]: https://www.iana.org/assignments/dns-parameters
/// [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($name:ident = $number:literal),* $(,)?) => {
        #[expect(missing_docs, reason = "the names are the registry's")]
        impl RecordType {
            $(pub const $name: RecordType = RecordType($number);)*
        }
        const MNEMONICS: &[(&str, u16)] = &[$((stringify!($name), $number)),*];
    };
}

record_types! {
    A = 1, NS = 2, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, PTR = 12, HINFO = 13, MINFO = 14, MX = 15, TXT = 16,
    RP = 17, AFSDB = 18, X25 = 19, RT = 21, KEY = 25, PX = 26, GPOS = 27, AAAA = 28, LOC = 29, SRV = 33, NAPTR = 35,
    KX = 36, CERT = 37, DNAME = 39, OPT = 41, APL = 42, DS = 43, SSHFP = 44, RRSIG = 46, NSEC = 47, DNSKEY = 48,
    DHCID = 49, NSEC3 = 50, NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61,
    CSYNC = 62, ZONEMD = 63, SVCB = 64, HTTPS = 65, SPF = 99, L32 = 105, LP = 107, EUI48 = 108, EUI64 = 109,
    TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, ANY = 255, URI = 256, CAA = 257, AVC = 258, TA = 32768, DLV = 32769,
}

impl RecordType {
    /// Whether records of this type can stand in a zone: no meta types, query types or the reserved 0
    /// ([RFC 6895 section 3.1]).
    ///
    /// [RFC 6895 section 3.1]: https://www.rfc-editor.org/rfc/rfc6895#section-3.1
    pub const fn is_data(self) -> bool {
        !matches!(self.0, 0 | 41 | 128..=255 | 65535)
    }

    /// Whether the type belongs to DNSSEC: it is served only on its own question or when DO is set.
    pub const fn is_dnssec(self) -> bool {
        matches!(self, Self::RRSIG | Self::NSEC | Self::NSEC3)
    }
}

/// The text is neither a mnemonic nor `TYPE` and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown record type")]
pub struct UnknownType;

impl FromStr for RecordType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if let Some((_, number)) = MNEMONICS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(RecordType(*number));
        }
        let (prefix, number) = text.split_at_checked(4).ok_or(UnknownType)?;
        if !prefix.eq_ignore_ascii_case("TYPE") {
            return Err(UnknownType);
        }
        crate::revision::digits(number).map(RecordType).map_err(|_| UnknownType)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MNEMONICS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.pad(name),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 3597 section 5
    fn types_print_as_mnemonic_or_number_and_both_parse() {
        assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
        assert_eq!("TYPE28".parse(), Ok(RecordType::AAAA));
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
        assert_eq!("type65280".parse(), Ok(RecordType(65280)));
        for bad in ["", "TYPE", "TYPE65536", "TYPE+1", "NOPE", "é…"] {
            assert_eq!(bad.parse::<RecordType>(), Err(UnknownType), "{bad}");
        }
    }
}
