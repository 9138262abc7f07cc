//! Octets written in hex, base64 and base32hex.

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXLOWER_PERMISSIVE, HEXUPPER};

use super::token::{Token, Tokens};

/// The rest of the words as hex, blanks between digits ignored.
pub(super) fn hex(tokens: &mut Tokens<'_>) -> Result<Vec<u8>, String> {
    let digits = joined(tokens)?;
    HEXLOWER_PERMISSIVE.decode(&digits).map_err(|_| "not an even number of hex digits".into())
}

/// The rest of the words as base64, blanks ignored.
pub(super) fn base64(tokens: &mut Tokens<'_>) -> Result<Vec<u8>, String> {
    let digits = joined(tokens)?;
    BASE64.decode(&digits).map_err(|error| format!("no base64 ({error})"))
}

fn joined(tokens: &mut Tokens<'_>) -> Result<Vec<u8>, String> {
    let mut digits = tokens.need()?.text.to_vec();
    while let Some(token) = tokens.next() {
        digits.extend_from_slice(token.text);
    }
    Ok(digits)
}

pub(super) fn check_some(rest: &mut &[u8]) -> Result<(), String> {
    if rest.is_empty() {
        return Err("needs at least one octet".into());
    }
    *rest = &[];
    Ok(())
}

/// Hex with a length octet; `-` is no octets.
pub(super) fn salt(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let digits: &[u8] = if token.text == b"-" { b"" } else { token.text };
    let octets =
        HEXLOWER_PERMISSIVE.decode(digits).map_err(|_| format!("`{}` is neither hex nor `-`", token.shown()))?;
    counted(&octets, out)
}

pub(super) fn printed_salt(octets: &[u8]) -> String {
    if octets.is_empty() { "-".into() } else { HEXUPPER.encode(octets) }
}

/// Base32hex without padding, with a length octet.
pub(super) fn hashed_name(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let octets = BASE32HEX_NOPAD
        .decode(&token.text.to_ascii_uppercase())
        .map_err(|_| format!("`{}` is no base32hex", token.shown()))?;
    counted(&octets, out)
}

/// An owner label holds it in base32hex, and a label has at most 63 octets.
pub(super) fn check_hashed_name(octets: &[u8]) -> Result<(), String> {
    match octets.len() {
        1..=39 => Ok(()),
        length => Err(format!("{length} octets, a hash has 1 to 39")),
    }
}

fn counted(octets: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.push(u8::try_from(octets.len()).map_err(|_| "more than 255 octets")?);
    out.extend_from_slice(octets);
    Ok(())
}

/// What follows `\#`: the length and the octets (RFC 3597 section 5).
pub(super) fn parse_generic(words: &[Token<'_>]) -> Result<Vec<u8>, String> {
    let mut tokens = Tokens::new(words);
    let length: u16 = super::plain::number(tokens.need().map_err(|_| "\\# needs a length")?, u16::MAX)?;
    let octets = if tokens.peek().is_some() { hex(&mut tokens)? } else { Vec::new() };
    if octets.len() != usize::from(length) {
        return Err(format!("\\# says {length} octets, {} follow", octets.len()));
    }
    Ok(octets)
}

/// `\# length hex` (RFC 3597 section 5).
pub(super) fn generic(octets: &[u8]) -> String {
    let mut words = super::field::Words::default();
    words.display(r"\#");
    words.display(octets.len());
    words.split(&HEXUPPER.encode(octets));
    words.finish()
}
