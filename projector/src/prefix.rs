use std::fmt;

/// A key prefix in etcd, without its last slash: with or without one in the settings means the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// Why key prefixes cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Nothing but slashes: the view would own all of etcd.
    #[error("{setting} must name at least one path segment")]
    Empty {
        /// The setting.
        setting: String,
    },
    /// One prefix is, or lies inside, another: two writers would own one key.
    #[error("{first} ({first_prefix}) and {second} ({second_prefix}) overlap; give each a prefix outside the other")]
    Overlap {
        /// A setting.
        first: String,
        /// Its value.
        first_prefix: Prefix,
        /// The other setting.
        second: String,
        /// Its value.
        second_prefix: Prefix,
    },
}

impl Prefix {
    /// Takes the value of `setting`.
    ///
    /// # Errors
    ///
    /// [`PrefixError::Empty`].
    pub fn new(setting: &str, value: &str) -> Result<Self, PrefixError> {
        let prefix = value.trim_end_matches('/');
        if prefix.trim_start_matches('/').is_empty() {
            return Err(PrefixError::Empty { setting: setting.into() });
        }
        Ok(Self(prefix.into()))
    }

    /// The text without a last slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `{prefix}/`: what all keys below begin with.
    pub fn with_slash(&self) -> String {
        format!("{}/", self.0)
    }

    /// The first key after all keys that begin with [`Prefix::with_slash`].
    pub fn after(&self) -> String {
        // `0` follows `/`.
        format!("{}0", self.0)
    }

    /// What follows `{prefix}/` in `key`.
    pub fn strip<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.0)?.strip_prefix('/')
    }

    /// `{prefix}/{key}`.
    pub fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses equal and nested prefixes among the named settings.
///
/// # Errors
///
/// [`PrefixError::Overlap`] with the first two that overlap.
pub fn check_prefixes(prefixes: &[(&str, &Prefix)]) -> Result<(), PrefixError> {
    for (at, (first, first_prefix)) in prefixes.iter().enumerate() {
        for (second, second_prefix) in &prefixes[at + 1..] {
            let (a, b) = (first_prefix.with_slash(), second_prefix.with_slash());
            if a.starts_with(&b) || b.starts_with(&a) {
                return Err(PrefixError::Overlap {
                    first: (*first).into(),
                    first_prefix: (*first_prefix).clone(),
                    second: (*second).into(),
                    second_prefix: (*second_prefix).clone(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::new("X", text).expect("a prefix")
    }

    #[test]
    fn a_last_slash_makes_no_difference() {
        assert_eq!(prefix("/conn3ction/records/"), prefix("/conn3ction/records"));
        assert!(Prefix::new("X", "//").is_err());
    }

    #[test]
    fn equal_and_nested_prefixes_are_refused_and_neighbours_are_not() {
        let check = |a: &str, b: &str| check_prefixes(&[("A", &prefix(a)), ("B", &prefix(b))]).is_ok();
        assert!(!check("/a", "/a/"));
        assert!(!check("/a", "/a/b"));
        assert!(!check("/a/b", "/a"));
        assert!(check("/a", "/ab"));
        assert!(check("/a/b", "/a/c"));
    }
}
