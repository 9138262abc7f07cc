//! APL: lists of address prefixes (RFC 3123), `1:192.0.2.0/24 !2:2001:db8::/32`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    field::{Words, take},
    plain,
    token::{Token, Tokens},
};

const NEGATED: u8 = 0x80;

pub(super) fn parse(tokens: &mut Tokens<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    while let Some(token) = tokens.next() {
        let bad = || format!("`{}` is no prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32", token.shown());
        let text = token.plain();
        let (negated, text) = text.strip_prefix('!').map_or((0, text), |text| (NEGATED, text));
        let (family, text) = text.split_once(':').ok_or_else(bad)?;
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let part = |text| Token { text, quoted: false, glued: false };
        let (family, most, mut octets): (u16, u8, Vec<u8>) = match family {
            "1" => (1, 32, plain::ipv4(&part(address.as_bytes()))?.octets().into()),
            "2" => (2, 128, plain::ipv6(&part(address.as_bytes()))?.octets().into()),
            _ => return Err(bad()),
        };
        let length: u8 = plain::number(&part(length.as_bytes()), most).map_err(|_| bad())?;
        while octets.last() == Some(&0) {
            octets.pop();
        }
        out.extend(family.to_be_bytes());
        out.extend([length, negated | octets.len() as u8]);
        out.extend(octets);
    }
    Ok(())
}

/// Known families only, prefixes within the address, no zeros at the end (RFC 3123 section 4).
pub(super) fn check(rest: &mut &[u8]) -> Result<(), String> {
    while !rest.is_empty() {
        let head = take(rest, 4)?;
        let octets = take(rest, usize::from(head[3] & !NEGATED))?;
        let most = match u16::from_be_bytes([head[0], head[1]]) {
            1 => 4,
            2 => 16,
            other => return Err(format!("address family {other} is unknown")),
        };
        if octets.len() > most || usize::from(head[2]) > most * 8 {
            return Err("a prefix is longer than its address".into());
        }
        if octets.last() == Some(&0) {
            return Err("a prefix ends with a zero octet".into());
        }
    }
    Ok(())
}

pub(super) fn print(mut rest: &[u8], words: &mut Words) -> Option<()> {
    while !rest.is_empty() {
        let head = take(&mut rest, 4).ok()?;
        let octets = take(&mut rest, usize::from(head[3] & !NEGATED)).ok()?;
        let not = if head[3] & NEGATED != 0 { "!" } else { "" };
        let mut whole = [0; 16];
        whole.get_mut(..octets.len())?.copy_from_slice(octets);
        match head[1] {
            1 => {
                let [a, b, c, d, ..] = whole;
                words.display(format_args!("{not}1:{}/{}", Ipv4Addr::new(a, b, c, d), head[2]));
            }
            _ => words.display(format_args!("{not}2:{}/{}", Ipv6Addr::from(whole), head[2])),
        }
    }
    Some(())
}
