use std::{fmt, str::FromStr};

/// The place of an event in the ledger: dense, 1, 2, 3 ...; 0 stands before the first event. Never etcd's own revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first event.
    pub const ZERO: Revision = Revision(0);

    /// The revision after this one.
    #[must_use]
    pub const fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Counts the lives of a ledger: a restore from backup starts a new one, so that old tokens are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch of a ledger that was never restored.
    pub const FIRST: Epoch = Epoch(1);
}

/// A revision with its epoch, `1:1041`: what headers print and `If-Match` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// The life of the ledger in which the revision was given.
    pub epoch: Epoch,
    /// The place in the ledger.
    pub revision: Revision,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch.0, self.revision.0)
    }
}

/// The text is no `epoch:revision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a revision token such as 1:1041")]
pub struct BadToken;

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let (epoch, revision) = text.split_once(':').ok_or(BadToken)?;
        Ok(Token { epoch: Epoch(digits(epoch)?), revision: Revision(digits(revision)?) })
    }
}

/// A decimal number without sign or space, which `str::parse` alone would let pass.
pub(crate) fn digits<T: FromStr>(text: &str) -> Result<T, BadToken> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().map_err(|_| BadToken) } else { Err(BadToken) }
}
