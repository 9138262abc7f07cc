use std::fmt;

/// A time to live in seconds, 0 to 2^31 - 1 ([RFC 2181 section 8]).
///
/// [RFC 2181 section 8]: https://www.rfc-editor.org/rfc/rfc2181#section-8
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

/// A TTL above 2^31 - 1 seconds. Resolvers would read it as 0, so it is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TTL is at most 2147483647 seconds")]
pub struct TtlOutOfRange;

impl Ttl {
    /// Not to be kept beyond the answer that needed it.
    pub const ZERO: Ttl = Ttl(0);
    /// The largest TTL.
    pub const MAX: Ttl = Ttl(i32::MAX as u32);

    /// Makes a TTL from `secs` seconds.
    ///
    /// # Errors
    ///
    /// [`TtlOutOfRange`] above 2^31 - 1.
    #[inline]
    pub const fn from_secs(secs: u32) -> Result<Self, TtlOutOfRange> {
        if secs > Self::MAX.0 { Err(TtlOutOfRange) } else { Ok(Self(secs)) }
    }

    /// The TTL in seconds.
    #[inline]
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Seconds as master files write them: a number, or numbers with the units `w d h m s` (`1h30m`).
pub(crate) fn seconds(text: &[u8]) -> Option<u32> {
    let mut total: u32 = 0;
    let mut number: Option<u32> = None;
    for &octet in text {
        if octet.is_ascii_digit() {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(octet - b'0'))?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match number {
        // Seconds without their unit may end the text, `1m30`.
        Some(rest) => total.checked_add(rest),
        None if text.is_empty() => None,
        None => Some(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_units() {
        for (text, secs) in
            [("0", 0), ("300", 300), ("1h30m", 5400), ("1W2d", 777_600), ("1m30", 90), ("4294967295", u32::MAX)]
        {
            assert_eq!(seconds(text.as_bytes()), Some(secs), "{text}");
        }
        for bad in ["", "h", "1x", "-1", "1h h", "4294967296", "99999999w", "1.5h"] {
            assert_eq!(seconds(bad.as_bytes()), None, "{bad}");
        }
    }
}
