use super::{apl, encoded, loc, plain, svcb, text, token::Tokens, types};
use crate::{Name, name::Spelling};

/// A kind of rdata field: how it is written, what octets it has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    U8,
    U16,
    U32,
    /// Seconds; text may use units, `1h30m`.
    Period,
    /// Seconds since 1970, printed as `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
    Timestamp,
    /// One octet, written as a number or a DNSSEC algorithm's mnemonic.
    Algorithm,
    /// As [`Self::Algorithm`], printed as its mnemonic (RFC 4398 section 2.2).
    CertAlgorithm,
    /// Two octets, written as a number or a mnemonic of RFC 4398 section 2.1.
    CertType,
    Ipv4,
    Ipv6,
    /// So many octets, written as hex pairs with hyphens (RFC 7043).
    Eui(usize),
    /// A name, lower-cased.
    Name,
    /// A name whose case DNSSEC signatures cover (RFC 6840 section 5.1).
    CasedName,
    /// One character-string.
    Text,
    /// One character-string of letters and digits.
    Flags,
    /// One or more character-strings, to the end.
    Texts,
    /// A character-string of letters and digits, not quoted: the property tag of CAA.
    Tag,
    /// Text of any length, to the end.
    LongText,
    /// At least one octet in hex, to the end.
    Hex,
    /// At least one octet in base64, to the end.
    Base64,
    /// Octets with a length octet, in hex, `-` for none (RFC 5155 section 3.3).
    Salt,
    /// Octets with a length octet, in base32hex (RFC 5155 section 3.3).
    HashedName,
    /// A type that records of a zone have.
    Type,
    /// A type bitmap, to the end (RFC 4034 section 4.1.2).
    Types,
    /// The whole of a LOC (RFC 1876).
    Location,
    /// SvcParams, to the end (RFC 9460 section 2.2).
    SvcParams,
    /// Address prefixes, to the end (RFC 3123).
    Prefixes,
}

impl Field {
    /// Reads the field from words; appends octets that [`Field::check`] has yet to see.
    pub(super) fn parse(self, tokens: &mut Tokens<'_>, origin: Option<&Name>, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::U8 => out.push(plain::number(tokens.need()?, u8::MAX)?),
            Self::U16 => out.extend(plain::number(tokens.need()?, u16::MAX)?.to_be_bytes()),
            Self::U32 => out.extend(plain::number(tokens.need()?, u32::MAX)?.to_be_bytes()),
            Self::Period => out.extend(plain::period(tokens.need()?)?.to_be_bytes()),
            Self::Timestamp => out.extend(plain::timestamp(tokens.need()?)?.to_be_bytes()),
            Self::Algorithm | Self::CertAlgorithm => {
                out.push(types::mnemonic(tokens.need()?, types::ALGORITHMS, 255)? as u8)
            }
            Self::CertType => out.extend(types::mnemonic(tokens.need()?, types::CERTIFICATES, u16::MAX)?.to_be_bytes()),
            Self::Ipv4 => out.extend(plain::ipv4(tokens.need()?)?.octets()),
            Self::Ipv6 => out.extend(plain::ipv6(tokens.need()?)?.octets()),
            Self::Eui(length) => out.extend(plain::eui(tokens.need()?, length)?),
            Self::Name => out.extend_from_slice(plain::name(tokens.need()?, origin)?.as_wire()),
            Self::CasedName => out.extend(plain::cased_name(tokens.need()?, origin)?),
            Self::Text | Self::Flags | Self::Tag => text::parse_one(tokens.need()?, out)?,
            Self::Texts => text::parse_many(tokens, origin.is_none(), out)?,
            Self::LongText => out.extend(tokens.need()?.octets()?),
            Self::Hex => out.extend(encoded::hex(tokens)?),
            Self::Base64 => out.extend(encoded::base64(tokens)?),
            Self::Salt => encoded::salt(tokens.need()?, out)?,
            Self::HashedName => encoded::hashed_name(tokens.need()?, out)?,
            Self::Type => out.extend(types::parse(tokens.need()?)?.0.to_be_bytes()),
            Self::Types => types::parse_bitmap(tokens, out)?,
            Self::Location => loc::parse(tokens, out)?,
            Self::SvcParams => svcb::parse(tokens, out)?,
            Self::Prefixes => apl::parse(tokens, out)?,
        }
        Ok(())
    }

    pub(super) const fn is_name(self) -> bool {
        matches!(self, Self::Name | Self::CasedName)
    }

    /// Takes the field from the start of `rest` and appends its canonical form.
    pub(super) fn check(self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let start = *rest;
        match self {
            Self::U8 | Self::Algorithm | Self::CertAlgorithm => _ = take(rest, 1)?,
            Self::U16 | Self::CertType => _ = take(rest, 2)?,
            Self::U32 | Self::Period | Self::Timestamp | Self::Ipv4 => _ = take(rest, 4)?,
            Self::Ipv6 => _ = take(rest, 16)?,
            Self::Eui(length) => _ = take(rest, length)?,
            Self::Name => {
                let (name, after) = plain::split_name(rest)?;
                out.extend_from_slice(name.as_wire());
                *rest = after;
                return Ok(());
            }
            Self::CasedName => *rest = plain::split_name(rest)?.1,
            Self::Text => _ = take_counted(rest)?,
            Self::Flags => text::check_alphanumeric(take_counted(rest)?)?,
            Self::Tag => text::check_tag(take_counted(rest)?)?,
            Self::Texts => text::check_many(rest)?,
            Self::LongText => *rest = &[],
            Self::Hex | Self::Base64 => encoded::check_some(rest)?,
            Self::Salt => _ = take_counted(rest)?,
            Self::HashedName => encoded::check_hashed_name(take_counted(rest)?)?,
            Self::Type => types::check(take(rest, 2)?)?,
            Self::Types => types::check_bitmap(rest)?,
            Self::Location => loc::check(take(rest, loc::LENGTH)?)?,
            Self::SvcParams => svcb::check(rest)?,
            Self::Prefixes => apl::check(rest)?,
        }
        out.extend_from_slice(&start[..start.len() - rest.len()]);
        Ok(())
    }

    /// Prints the field at the start of `rest`; `None` if the octets have no form of their own.
    pub(super) fn print(self, rest: &mut &[u8], words: &mut Words) -> Option<()> {
        match self {
            Self::U8 | Self::Algorithm => words.display(take(rest, 1).ok()?[0]),
            Self::U16 => words.display(take_u16(rest)?),
            Self::U32 | Self::Period => words.display(take_u32(rest)?),
            Self::Timestamp => words.display(plain::printed_timestamp(take_u32(rest)?)?),
            Self::CertAlgorithm => words.display(types::printed_algorithm(take(rest, 1).ok()?[0])),
            Self::CertType => words.display(types::printed(types::CERTIFICATES, take_u16(rest)?)),
            Self::Ipv4 => words.display(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(take(rest, 4).ok()?).ok()?)),
            Self::Ipv6 => words.display(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(take(rest, 16).ok()?).ok()?)),
            Self::Eui(length) => words.display(plain::printed_eui(take(rest, length).ok()?)),
            Self::Name | Self::CasedName => plain::print_name(rest, words)?,
            Self::Text | Self::Flags => text::print_quoted(take_counted(rest).ok()?, words),
            Self::Tag => words.display(std::str::from_utf8(take_counted(rest).ok()?).ok()?),
            Self::Texts => {
                while !rest.is_empty() {
                    text::print_quoted(take_counted(rest).ok()?, words);
                }
            }
            Self::LongText => text::print_quoted(std::mem::take(rest), words),
            Self::Hex => words.split(&data_encoding::HEXUPPER.encode(std::mem::take(rest))),
            Self::Base64 => words.split(&data_encoding::BASE64.encode(std::mem::take(rest))),
            Self::Salt => words.display(encoded::printed_salt(take_counted(rest).ok()?)),
            Self::HashedName => words.display(data_encoding::BASE32HEX_NOPAD.encode(take_counted(rest).ok()?)),
            Self::Type => words.display(crate::RecordType(take_u16(rest)?)),
            Self::Types => types::print_bitmap(std::mem::take(rest), words)?,
            Self::Location => loc::print(take(rest, loc::LENGTH).ok()?, words)?,
            Self::SvcParams => svcb::print(std::mem::take(rest), words)?,
            Self::Prefixes => apl::print(std::mem::take(rest), words)?,
        }
        Some(())
    }
}

/// Printed fields with one blank between them.
#[derive(Default)]
pub(super) struct Words {
    text: String,
    /// Of names.
    pub(super) spelling: Spelling,
}

impl Words {
    /// Room for rdata of `octets` octets as most of them print.
    pub(super) fn for_octets(octets: usize, spelling: Spelling) -> Self {
        Self { text: String::with_capacity(8 + 2 * octets), spelling }
    }

    /// Begins a word and gives the text to append it to.
    pub(super) fn begin(&mut self) -> &mut String {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        &mut self.text
    }

    pub(super) fn display(&mut self, word: impl std::fmt::Display) {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        _ = write!(self.begin(), "{word}");
    }

    /// Adds ASCII text in words of 56 characters, as dig does with keys and digests.
    pub(super) fn split(&mut self, text: &str) {
        for start in (0..text.len()).step_by(56) {
            self.begin().push_str(&text[start..text.len().min(start + 56)]);
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Takes `length` octets.
pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, after) =
        rest.split_at_checked(length).ok_or_else(|| format!("needs {length} octets, {} are left", rest.len()))?;
    *rest = after;
    Ok(taken)
}

/// Takes a length octet and as many octets.
pub(super) fn take_counted<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = usize::from(take(rest, 1)?[0]);
    take(rest, length)
}

pub(super) fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let octets = take(rest, 2).ok()?;
    Some(u16::from_be_bytes(octets.try_into().ok()?))
}

pub(super) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let octets = take(rest, 4).ok()?;
    Some(u32::from_be_bytes(octets.try_into().ok()?))
}
