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
    /// The largest TTL.
    pub const MAX: Ttl = Ttl(i32::MAX as u32);

    /// Makes a TTL from `secs` seconds.
    ///
    /// # Errors
    ///
    /// [`TtlOutOfRange`] above 2^31 - 1.
    pub const fn from_secs(secs: u32) -> Result<Self, TtlOutOfRange> {
        if secs > Self::MAX.0 { Err(TtlOutOfRange) } else { Ok(Self(secs)) }
    }

    /// The TTL in seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
