//! Fields that name things by mnemonics: types, type bitmaps, algorithms.

use super::{
    field::{Words, take},
    token::{Token, Tokens},
};
use crate::RecordType;

/// Names and numbers of a registry.
pub(super) type Mnemonics = [(&'static str, u16)];

/// DNSSEC algorithms (RFC 4034 appendix A.1 and its registry); of several names the first is
/// printed, where BIND prints one at all: in CERT. Elsewhere they are numbers.
pub(super) const ALGORITHMS: &Mnemonics = &[
    ("DELETE", 0),
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("NSEC3DSA", 6),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3RSASHA1", 7),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECCGOST", 12),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Certificate types (RFC 4398 section 2.1).
pub(super) const CERTIFICATES: &Mnemonics = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// A mnemonic, or a number up to `max`.
pub(super) fn mnemonic(token: &Token<'_>, names: &Mnemonics, max: u16) -> Result<u16, String> {
    if let Some((_, number)) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(token.plain())) {
        return Ok(*number);
    }
    super::plain::number(token, max)
        .map_err(|_| format!("`{}` is neither a mnemonic nor a number up to {max}", token.shown()))
}

/// The mnemonic of `number`, else the number.
pub(super) fn printed(names: &Mnemonics, number: u16) -> String {
    match names.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => (*name).into(),
        None => number.to_string(),
    }
}

/// An algorithm as CERT shows it.
pub(super) fn printed_algorithm(number: u8) -> String {
    match number {
        // DELETE means something in CDS and CDNSKEY only.
        0 => "0".into(),
        _ => printed(ALGORITHMS, number.into()),
    }
}

pub(super) fn parse(token: &Token<'_>) -> Result<RecordType, String> {
    token.plain().parse().map_err(|_| format!("`{}` is no record type", token.shown()))
}

pub(super) fn check(octets: &[u8]) -> Result<(), String> {
    let rtype = RecordType(u16::from_be_bytes([octets[0], octets[1]]));
    if rtype.is_data() && rtype != RecordType::RRSIG {
        Ok(())
    } else {
        Err(format!("there are no signatures over {rtype}"))
    }
}

pub(super) fn parse_bitmap(tokens: &mut Tokens<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let mut types = Vec::new();
    while let Some(token) = tokens.next() {
        types.push(parse(token)?);
    }
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0;
        for rtype in window {
            let [_, low] = rtype.0.to_be_bytes();
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
            length = usize::from(low / 8) + 1;
        }
        out.extend([(window[0].0 >> 8) as u8, length as u8]);
        out.extend_from_slice(&bits[..length]);
    }
    Ok(())
}

/// Windows rise, hold 1 to 32 octets and do not end with a zero (RFC 4034 section 4.1.2).
pub(super) fn check_bitmap(rest: &mut &[u8]) -> Result<(), String> {
    let mut last = None;
    while !rest.is_empty() {
        let head = take(rest, 2)?;
        let (window, length) = (head[0], usize::from(head[1]));
        let bits = take(rest, length)?;
        if last.is_some_and(|last| last >= window) {
            return Err("the windows of the type bitmap do not rise".into());
        }
        if length > 32 || bits.last().is_none_or(|octet| *octet == 0) {
            return Err("a window of the type bitmap has 1 to 32 octets, the last not zero".into());
        }
        last = Some(window);
    }
    Ok(())
}

pub(super) fn print_bitmap(mut rest: &[u8], words: &mut Words) -> Option<()> {
    while !rest.is_empty() {
        let head = take(&mut rest, 2).ok()?;
        let (window, length) = (u16::from(head[0]), usize::from(head[1]));
        for (at, octet) in take(&mut rest, length).ok()?.iter().enumerate() {
            for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                words.display(RecordType(window << 8 | (at * 8 + bit) as u16));
            }
        }
    }
    Some(())
}
