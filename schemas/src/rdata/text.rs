//! Character-strings (RFC 1035 section 3.3) and longer texts.

use super::{
    field::{Words, take_counted},
    token::{Token, Tokens},
};

/// `text` as character-strings of at most 255 octets; at least one.
pub(super) fn split(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / 255 + 1);
    if text.is_empty() {
        wire.push(0);
    }
    for part in text.chunks(255) {
        wire.push(part.len() as u8);
        wire.extend_from_slice(part);
    }
    wire
}

pub(super) fn parse_one(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    parse_counted(&token.octets()?, out)
}

/// Appends `octets` behind their length.
pub(super) fn parse_counted(octets: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let length = u8::try_from(octets.len())
        .map_err(|_| format!("a text of {} octets, the most is 255; split it", octets.len()))?;
    out.push(length);
    out.extend_from_slice(octets);
    Ok(())
}

/// Texts to the end; a long one is split where that is the rule.
pub(super) fn parse_many(tokens: &mut Tokens<'_>, split_long: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let mut next = Some(tokens.need()?);
    while let Some(token) = next {
        if split_long {
            out.extend(split(&token.octets()?));
        } else {
            parse_one(token, out)?;
        }
        next = tokens.next();
    }
    Ok(())
}

pub(super) fn check_many(rest: &mut &[u8]) -> Result<(), String> {
    loop {
        take_counted(rest)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

pub(super) fn check_alphanumeric(text: &[u8]) -> Result<(), String> {
    if text.iter().all(u8::is_ascii_alphanumeric) { Ok(()) } else { Err("letters and digits only".into()) }
}

/// RFC 8659 section 4.1.
pub(super) fn check_tag(text: &[u8]) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty; write issue, issuewild, iodef or another registered tag".into());
    }
    check_alphanumeric(text)
}

pub(super) fn print_quoted(text: &[u8], words: &mut Words) {
    let out = words.begin();
    out.push('"');
    print_escaped(text, out);
    out.push('"');
}

/// The octets as they stand between quotation marks.
pub(super) fn print_escaped(text: &[u8], out: &mut String) {
    use std::fmt::Write as _;
    for &octet in text {
        match octet {
            b'"' | b'\\' => out.extend(['\\', octet as char]),
            0x20..=0x7e => out.push(octet as char),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "\\{octet:03}"),
        }
    }
}
