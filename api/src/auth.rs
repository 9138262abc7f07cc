//! Bearer tokens: a file of hashes, so that reading the file gives nobody a token.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use conn3ction_schemas::event::{Actor, Auth, Hash};
use subtle::ConstantTimeEq;

/// A token file and the tokens that were in it when it was read last.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    tokens: RwLock<Tokens>,
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Those of [`Tokens::load`].
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        Ok(Self { path: path.into(), tokens: Tokens::load(path)?.into() })
    }

    /// Reads it again; where it is faulty, what was read before stays in force. Says how many tokens there are.
    ///
    /// # Errors
    ///
    /// Those of [`Tokens::load`].
    pub(crate) fn reread(&self) -> Result<usize, String> {
        let tokens = Tokens::load(&self.path)?;
        let count = tokens.0.len();
        if count == 0 {
            // It is being written just now, perhaps.
            return Err(format!("{}: no token is in it", self.path.display()));
        }
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(count)
    }

    /// Whose token this is.
    pub(crate) fn bearer(&self, secret: &str) -> Option<(Actor, Access)> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).bearer(secret)
    }
}

/// The tokens of one file. A line is `SHA256-HEX ACTOR read|write`; empty lines and `#` comments are skipped.
#[derive(Debug, Default)]
struct Tokens(Vec<Token>);

#[derive(Debug)]
struct Token {
    hash: Hash,
    actor: String,
    access: Access,
}

/// What a token's bearer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// Read everything, history too.
    Read,
    /// Read and write.
    Write,
}

impl Tokens {
    /// Reads a token file.
    ///
    /// # Errors
    ///
    /// The line that is no token, never its text: a token may stand there by mistake.
    fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|line| {
            format!(
                "{}, line {line}: expected SHA256-HEX ACTOR read|write (printf %s TOKEN | sha256sum), each hash once",
                path.display()
            )
        })
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut tokens = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let token = Token::parse(line).ok_or(at + 1)?;
            // One secret that is two people's is nobody's.
            if tokens.iter().any(|other: &Token| other.hash == token.hash) {
                return Err(at + 1);
            }
            tokens.push(token);
        }
        Ok(Self(tokens))
    }

    /// Whose token this is. Every stored hash is compared, in constant time.
    fn bearer(&self, secret: &str) -> Option<(Actor, Access)> {
        let hash = Hash::of(secret.as_bytes());
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.hash.0.ct_eq(&hash.0)) {
                found = Some(token);
            }
        }
        found.map(|token| (Actor { name: token.actor.clone(), auth: Auth::Token }, token.access))
    }
}

impl Token {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (hex, actor, access, None) = (words.next()?, words.next()?, words.next()?, words.next()) else {
            return None;
        };
        let hash: [u8; 32] = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok()?;
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return None,
        };
        Some(Self { hash: Hash(hash), actor: actor.into(), access })
    }
}

/// Looks at the text of a token file.
///
/// # Errors
///
/// The number of the line that is no token.
pub fn check(text: &str) -> Result<(), usize> {
    Tokens::parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_a_bad_line_by_its_number() {
        let text = format!("# ours\n\n{} ci-deploy write\n{} auditor read\n", Hash::of(b"s3cret"), Hash::of(b"other"));
        let tokens = Tokens::parse(&text).expect("a token file");
        let (actor, access) = tokens.bearer("s3cret").expect("known");
        assert_eq!((actor.name.as_str(), actor.auth, access), ("ci-deploy", Auth::Token, Access::Write));
        assert_eq!(tokens.bearer("other").map(|(_, access)| access), Some(Access::Read));
        assert!(tokens.bearer("").is_none());
        let twice = format!("{0} alice write\n{0} bob read", Hash::of(b"s3cret"));
        assert_eq!(Tokens::parse(&twice).err(), Some(2));
        for bad in ["zz ci write", "s3cret", "00 ci write"] {
            assert_eq!(Tokens::parse(&format!("#\n{bad}")).err(), Some(2), "{bad}");
        }
    }
}
