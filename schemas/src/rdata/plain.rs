//! Numbers, times, addresses and names.

use std::{
    fmt::{Display, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use chrono::{DateTime, NaiveDateTime};

use super::{field::Words, token::Token};
use crate::{
    Name, NameError,
    name::{print_labels, unescape},
    revision::digits,
};

/// A decimal number up to `max`.
pub(super) fn number<T: FromStr + Display + PartialOrd>(token: &Token<'_>, max: T) -> Result<T, String> {
    match token.plain() {
        "" => None,
        text => digits(text).ok().filter(|number| *number <= max),
    }
    .ok_or_else(|| format!("`{}` is no number from 0 to {max}", token.shown()))
}

/// Seconds, plain or with units.
pub(super) fn period(token: &Token<'_>) -> Result<u32, String> {
    crate::ttl::seconds(token.text)
        .ok_or_else(|| format!("`{}` is no number of seconds up to 4294967295, nor one such as 1h30m", token.shown()))
}

/// `YYYYMMDDHHmmSS`, or seconds since 1970 in at most ten digits (RFC 4034 section 3.2).
pub(super) fn timestamp(token: &Token<'_>) -> Result<u32, String> {
    let text = token.plain();
    if text.len() == 14 {
        NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S")
            .ok()
            .and_then(|time| u32::try_from(time.and_utc().timestamp()).ok())
    } else {
        number(token, u32::MAX).ok()
    }
    .ok_or_else(|| format!("`{}` is no time such as 20301231235959 between 1970 and 2106", token.shown()))
}

pub(super) fn printed_timestamp(secs: u32) -> Option<impl Display> {
    Some(DateTime::from_timestamp(i64::from(secs), 0)?.format("%Y%m%d%H%M%S"))
}

pub(super) fn ipv4(token: &Token<'_>) -> Result<Ipv4Addr, String> {
    token.plain().parse().map_err(|_| format!("`{}` is no IPv4 address such as 192.0.2.1", token.shown()))
}

pub(super) fn ipv6(token: &Token<'_>) -> Result<Ipv6Addr, String> {
    token.plain().parse().map_err(|_| format!("`{}` is no IPv6 address such as 2001:db8::1", token.shown()))
}

/// `00-00-5e-00-53-2a` (RFC 7043).
pub(super) fn eui(token: &Token<'_>, length: usize) -> Result<Vec<u8>, String> {
    let pairs = token.plain().split('-').map(|pair| {
        let hex = pair.len() == 2 && pair.bytes().all(|octet| octet.is_ascii_hexdigit());
        hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    });
    pairs
        .collect::<Option<Vec<u8>>>()
        .filter(|octets| octets.len() == length)
        .ok_or_else(|| format!("`{}` is not {length} hex pairs with hyphens between them", token.shown()))
}

pub(super) fn printed_eui(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    for octet in octets {
        let hyphen = if text.is_empty() { "" } else { "-" };
        // Writing to a String cannot fail.
        _ = write!(text, "{hyphen}{octet:02x}");
    }
    text
}

/// A name: completed by `origin`, or by the rules for JSON if there is none.
pub(super) fn name(token: &Token<'_>, origin: Option<&Name>) -> Result<Name, String> {
    let explain = |error: NameError| format!("`{}` is no name: {error}", token.shown());
    let Some(origin) = origin else {
        if token.text == b"@" {
            return Err("`@` means the origin only in a master file; write the whole name".into());
        }
        let name = Name::parse_absolute(token.text).map_err(explain)?;
        if !token.text.ends_with(b".") && name.label_count() == 1 {
            let shown = token.shown();
            return Err(format!("`{shown}` is a single label: write `{shown}.`, or the whole name it stands for"));
        }
        return Ok(name);
    };
    Name::parse_relative(token.text, origin).map_err(explain)
}

/// The wire form of a name with the letters as they were written.
pub(super) fn cased_name(token: &Token<'_>, origin: Option<&Name>) -> Result<Vec<u8>, String> {
    let mut wire = name(token, origin)?.as_wire().to_vec();
    if token.text == b"@" || token.text == b"." {
        return Ok(wire);
    }
    // Label by label the text has as many characters as the wire form has octets; a dot stands where the next length does.
    let mut at = 1;
    let mut octets = token.text.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'.' => {}
            b'\\' => wire[at] = unescape(&mut octets).ok_or("bad escape")?,
            plain => wire[at] = plain,
        }
        at += 1;
    }
    Ok(wire)
}

/// Splits the uncompressed name off `octets`.
pub(super) fn split_name(octets: &[u8]) -> Result<(Name, &[u8]), String> {
    Name::split_wire(octets).map_err(|_| "no whole uncompressed name".to_owned())
}

pub(super) fn print_name(rest: &mut &[u8], words: &mut Words) -> Option<()> {
    let (_, after) = Name::split_wire(rest).ok()?;
    let wire = &rest[..rest.len() - after.len()];
    *rest = after;
    print_labels(wire, words.spelling, words.begin()).ok()
}
