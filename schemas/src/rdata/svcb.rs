//! Service parameters of SVCB and HTTPS (RFC 9460 sections 2.1, 2.2 and 7, RFC 9461, RFC 9540).

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::{
    field::{Words, take, take_counted, take_u16},
    plain, text,
    token::{Token, Tokens},
};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;

/// How the value of a key is written.
#[derive(Clone, Copy)]
enum Form {
    Keys,
    Protocols,
    Nothing,
    Port,
    Ipv4s,
    Ipv6s,
    Base64,
    Octets,
}

const KEYS: &[(&str, u16, Form)] = &[
    ("mandatory", MANDATORY, Form::Keys),
    ("alpn", ALPN, Form::Protocols),
    ("no-default-alpn", NO_DEFAULT_ALPN, Form::Nothing),
    ("port", 3, Form::Port),
    ("ipv4hint", 4, Form::Ipv4s),
    ("ech", 5, Form::Base64),
    ("ipv6hint", 6, Form::Ipv6s),
    ("dohpath", 7, Form::Octets),
    ("ohttp", 8, Form::Nothing),
];

pub(super) fn parse(tokens: &mut Tokens<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while let Some(token) = tokens.next() {
        let (name, value) = match token.text.iter().position(|octet| *octet == b'=') {
            None => (token.text, None),
            Some(at) => (&token.text[..at], Some(Token { text: &token.text[at + 1..], ..*token })),
        };
        // In `alpn="h2,h3"` the quoted word follows without a blank.
        let value = match (value, tokens.peek()) {
            (Some(value), Some(next)) if value.text.is_empty() && next.glued && next.quoted => {
                tokens.next();
                Some(*next)
            }
            (value, _) => value,
        };
        let key = key(name).ok_or_else(|| format!("`{}` is no service parameter", token.shown()))?;
        let octets = match &value {
            Some(value) => value.octets()?,
            None => Vec::new(),
        };
        let encoded = encode(form(key), &octets).map_err(|detail| format!("{}: {detail}", key_name(key)))?;
        params.push((key, encoded));
    }
    params.sort_by_key(|(key, _)| *key);
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| format!("{}: too long", key_name(key)))?;
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

/// Keys rise, `mandatory` names keys that are there, each known value has its form (RFC 9460 section 2.2).
pub(super) fn check(rest: &mut &[u8]) -> Result<(), String> {
    let mut keys = Vec::new();
    let mut mandatory = Vec::new();
    while !rest.is_empty() {
        let (key, value) = take_param(rest).ok_or("a parameter ends early")?;
        if keys.last().is_some_and(|last| *last >= key) {
            return Err(format!("{} stands twice or out of order", key_name(key)));
        }
        if key == u16::MAX {
            return Err("key65535 is reserved".into());
        }
        check_value(form(key), value).map_err(|detail| format!("{}: {detail}", key_name(key)))?;
        if key == MANDATORY {
            mandatory = value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        }
        keys.push(key);
    }
    if let Some(absent) = mandatory.iter().find(|key| !keys.contains(key)) {
        return Err(format!("mandatory names {}, which is not there", key_name(*absent)));
    }
    if keys.contains(&NO_DEFAULT_ALPN) && !keys.contains(&ALPN) {
        return Err("no-default-alpn needs alpn beside it".into());
    }
    Ok(())
}

pub(super) fn print(mut rest: &[u8], words: &mut Words) -> Option<()> {
    while !rest.is_empty() {
        let (key, value) = take_param(&mut rest)?;
        let mut text = key_name(key);
        if !value.is_empty() {
            text.push('=');
            print_value(form(key), value, &mut text)?;
        }
        words.display(text);
    }
    Some(())
}

fn take_param<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let key = take_u16(rest)?;
    let length = take_u16(rest)?;
    Some((key, take(rest, usize::from(length)).ok()?))
}

fn key(name: &[u8]) -> Option<u16> {
    let name = std::str::from_utf8(name).ok()?;
    if let Some((_, number, _)) = KEYS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)) {
        return Some(*number);
    }
    let (prefix, number) = name.split_at_checked(3)?;
    let plain = !number.is_empty() && (number == "0" || !number.starts_with('0'));
    (prefix.eq_ignore_ascii_case("key") && plain).then(|| crate::revision::digits(number).ok())?
}

fn key_name(key: u16) -> String {
    match KEYS.iter().find(|(_, number, _)| *number == key) {
        Some((name, ..)) => (*name).into(),
        None => format!("key{key}"),
    }
}

fn form(key: u16) -> Form {
    KEYS.iter().find(|(_, number, _)| *number == key).map_or(Form::Octets, |(.., form)| *form)
}

fn encode(form: Form, octets: &[u8]) -> Result<Vec<u8>, String> {
    let words = || items(octets);
    let mut out = Vec::new();
    match form {
        Form::Octets => out.extend_from_slice(octets),
        Form::Nothing if octets.is_empty() => {}
        Form::Nothing => return Err("takes no value".into()),
        Form::Port => out.extend(plain::number(&word(octets), u16::MAX)?.to_be_bytes()),
        Form::Base64 => out = BASE64.decode(octets).map_err(|error| format!("no base64 ({error})"))?,
        Form::Ipv4s => {
            for item in words()? {
                out.extend(plain::ipv4(&word(&item))?.octets());
            }
        }
        Form::Ipv6s => {
            for item in words()? {
                out.extend(plain::ipv6(&word(&item))?.octets());
            }
        }
        Form::Protocols => {
            for item in words()? {
                text::parse_counted(&item, &mut out)?;
            }
        }
        Form::Keys => {
            let mut keys = Vec::new();
            for item in words()? {
                keys.push(key(&item).ok_or_else(|| format!("`{}` is no key", word(&item).shown()))?);
            }
            keys.sort_unstable();
            out.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
        }
    }
    Ok(out)
}

fn check_value(form: Form, value: &[u8]) -> Result<(), String> {
    let whole = |size: usize| match value.len() % size {
        0 if !value.is_empty() => Ok(()),
        _ => Err(format!("{} octets are no list of items of {size}", value.len())),
    };
    match form {
        Form::Octets => Ok(()),
        Form::Nothing if value.is_empty() => Ok(()),
        Form::Nothing => Err("takes no value".into()),
        Form::Base64 if value.is_empty() => Err("needs a value".into()),
        Form::Base64 => Ok(()),
        Form::Port if value.len() == 2 => Ok(()),
        Form::Port => Err("needs one port".into()),
        Form::Ipv4s => whole(4),
        Form::Ipv6s => whole(16),
        Form::Protocols => {
            let mut rest = value;
            loop {
                if take_counted(&mut rest)?.is_empty() {
                    return Err("an empty protocol".into());
                }
                if rest.is_empty() {
                    return Ok(());
                }
            }
        }
        Form::Keys => {
            whole(2)?;
            let rises = value.chunks_exact(2).is_sorted_by(|a, b| a < b);
            match value {
                [0, 0, ..] => Err("must not name itself".into()),
                _ if rises => Ok(()),
                _ => Err("a key stands twice or out of order".into()),
            }
        }
    }
}

fn print_value(form: Form, value: &[u8], text: &mut String) -> Option<()> {
    let listed = |items: Vec<String>| items.join(",");
    match form {
        Form::Octets => quote(value, text),
        Form::Nothing => return None,
        Form::Base64 => text.push_str(&BASE64.encode(value)),
        Form::Port => text.push_str(&u16::from_be_bytes(value.try_into().ok()?).to_string()),
        Form::Ipv4s => {
            let addresses = value.chunks_exact(4).map(|item| Some(Ipv4Addr::from(<[u8; 4]>::try_from(item).ok()?)));
            text.push_str(&listed(addresses.map(|item| Some(item?.to_string())).collect::<Option<_>>()?));
        }
        Form::Ipv6s => {
            let addresses = value.chunks_exact(16).map(|item| Some(Ipv6Addr::from(<[u8; 16]>::try_from(item).ok()?)));
            text.push_str(&listed(addresses.map(|item| Some(item?.to_string())).collect::<Option<_>>()?));
        }
        Form::Keys => {
            let keys = value.chunks_exact(2).map(|pair| key_name(u16::from_be_bytes([pair[0], pair[1]])));
            text.push_str(&listed(keys.collect()));
        }
        Form::Protocols => {
            let mut list = Vec::new();
            let mut rest = value;
            while !rest.is_empty() {
                if !list.is_empty() {
                    list.push(b',');
                }
                for &octet in take_counted(&mut rest).ok()? {
                    if matches!(octet, b',' | b'\\') {
                        list.push(b'\\');
                    }
                    list.push(octet);
                }
            }
            quote(&list, text);
        }
    }
    Some(())
}

fn quote(octets: &[u8], out: &mut String) {
    out.push('"');
    text::print_escaped(octets, out);
    out.push('"');
}

/// The items of a comma-separated list, in which `\` escapes a comma or itself (RFC 9460 appendix A.1).
fn items(octets: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut items = vec![Vec::new()];
    let mut from = octets.iter();
    while let Some(&octet) = from.next() {
        let octet = match octet {
            b',' => {
                items.push(Vec::new());
                continue;
            }
            b'\\' => *from.next().ok_or("ends in a backslash")?,
            plain => plain,
        };
        if let Some(item) = items.last_mut() {
            item.push(octet);
        }
    }
    if items.iter().any(Vec::is_empty) {
        return Err("an item of the list is empty".into());
    }
    Ok(items)
}

fn word(text: &[u8]) -> Token<'_> {
    Token { text, quoted: false, glued: false }
}
