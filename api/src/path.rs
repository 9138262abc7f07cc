//! Names as segments of a URL's path, and percent-encoding.

use conn3ction_schemas::{Name, NameError};

/// A name, without its last dot, as a path segment.
pub(crate) fn segment(name: &str) -> String {
    encode(&escaped(name)).replace("%3D", "=")
}

/// As [`segment`], not yet percent-encoded: `=2E` is the root and `=2F` a slash, because URL clients swallow a lone dot and
/// proxies refuse an encoded slash.
pub(crate) fn escaped(name: &str) -> String {
    if name == "." {
        return "=2E".into();
    }
    // An equals sign of the name's own must not read as the beginning of such a pair.
    name.replace('=', "\\061").replace('/', "=2F")
}

/// The name that a path segment, percent-decoded already, stands for: `=2E` alone is the root, `=2F` is a slash and `=3D` an
/// equals sign.
///
/// # Errors
///
/// The text is no name.
pub(crate) fn name(segment: &str) -> Result<Name, NameError> {
    if segment.eq_ignore_ascii_case("=2E") {
        return Ok(Name::root());
    }
    let slashes = segment.replace("=2F", "/").replace("=2f", "/");
    slashes.replace("=3D", "\\061").replace("=3d", "\\061").parse()
}

/// Percent-encodes whatever is not unreserved (RFC 3986 section 2.3).
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

/// The text that a percent-encoded one stands for, `None` if that is no UTF-8; in a query `+` is a space.
pub(crate) fn decode(text: &str, is_query: bool) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let high = (rest.next()? as char).to_digit(16)?;
                let low = (rest.next()? as char).to_digit(16)?;
                (high * 16 + low) as u8
            }
            b'+' if is_query => b' ',
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back_from_its_segment() {
        for (text, expected) in [
            (".", "=2E"),
            ("a.example", "a.example"),
            ("0/25.2.0.192.in-addr.arpa", "0=2F25.2.0.192.in-addr.arpa"),
            ("*.x", "%2A.x"),
            ("a=2Fb.x", "a%5C0612Fb.x"),
            ("%3f#?.x", "%253f%23%3F.x"),
            ("\\000\\255\\@\\..x", "%5C000%5C255%5C%40%5C..x"),
        ] {
            let segment = segment(text);
            assert_eq!(segment, expected);
            let decoded = decode(&segment, false).expect("UTF-8");
            assert_eq!(name(&decoded), text.parse(), "{text}");
        }
        // A dot is one only alone: another name than the one that was written would be read or deleted.
        for (decoded, text) in
            [("k=2ey.x", "k\\061".to_owned() + "2ey.x"), ("a=3Db.x", "a\\061b.x".into()), ("=2e", ".".into())]
        {
            assert_eq!(name(decoded), text.parse(), "{decoded}");
        }
    }
}
