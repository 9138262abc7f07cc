//! The trace that a request belongs to ([W3C Trace Context, section 3.2]).
//!
//! [W3C Trace Context, section 3.2]: https://www.w3.org/TR/trace-context/#traceparent-header

use axum::http::HeaderMap;

/// The trace id in `traceparent`: 32 lower-case hexadecimal digits. As the standard says, a header that is malformed or there
/// twice is as if it were not there, and of a later version only what version 00 has is read.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut found = headers.get_all("traceparent").iter();
    let (only, None) = (found.next()?, found.next()) else { return None };
    let text = only.to_str().ok()?;
    let mut fields = text.split('-');
    let [version, trace, parent, flags] = [2, 32, 16, 2].map(|len| fields.next().filter(|field| is_hex(field, len)));
    let (version, trace, parent) = (version?, trace?, parent?);
    flags?;
    let is_zero = |field: &str| field.bytes().all(|octet| octet == b'0');
    let has_more = fields.next().is_some();
    let is_malformed = version == "ff" || (version == "00" && has_more) || is_zero(trace) || is_zero(parent);
    (!is_malformed).then_some(trace)
}

fn is_hex(field: &str, len: usize) -> bool {
    field.len() == len && field.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_read_or_ignored_as_the_standard_says() {
        let read = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append("traceparent", HeaderValue::from_str(text).expect("a value"));
            }
            trace_id(&headers).map(str::to_owned)
        };
        let parent = "00f067aa0ba902b7";
        for text in [
            format!("00-{TRACE}-{parent}-01"),
            format!("00-{TRACE}-{parent}-00"),
            format!("cc-{TRACE}-{parent}-09"),
            format!("cc-{TRACE}-{parent}-01-what-the-future-will-be-like"),
        ] {
            assert_eq!(read(&[&text]).as_deref(), Some(TRACE), "{text}");
        }
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            TRACE.to_owned(),
            format!("ff-{TRACE}-{parent}-01"),
            format!("00-{TRACE}-{parent}-01-more"),
            format!("00-{TRACE}-{parent}-01-"),
            format!("00-{TRACE}-{parent}"),
            format!("00-{TRACE}-{parent}-1"),
            format!("00-{TRACE}-{parent}-01x"),
            format!("cc-{TRACE}-{parent}-01x"),
            format!("00-{}-{parent}-01", TRACE.to_uppercase()),
            format!("00-{}-{parent}-01", &TRACE[1..]),
            format!("00-{TRACE}-{}-01", &parent[1..]),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("0g-{TRACE}-{parent}-01"),
        ] {
            assert_eq!(read(&[&text]), None, "{text}");
        }
        let sound = format!("00-{TRACE}-{parent}-01");
        assert_eq!(read(&[&sound, &sound]), None);
        assert_eq!(read(&[]), None);
    }
}
