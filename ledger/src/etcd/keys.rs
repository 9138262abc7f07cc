//! Where things are, under the ledger's prefix.
//!
//! | key | value |
//! |---|---|
//! | `head` | the log's end (JSON): every append compares and replaces it |
//! | `log/<16 hex>` | one batch, named by its **last** revision, so that the first key at or after a revision holds it |
//! | `parts/<body>/<8 hex>` | one chunk of a large body |
//! | `parts/<body>/named` | written with the event that names the body: from then on it is never swept |
//! | `floor`, `leader` | reserved |

use conn3ction_schemas::Revision;
use uuid::Uuid;

/// The keys of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Ends with a slash.
    prefix: String,
}

impl Keys {
    /// A missing or an extra last slash means the same.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{}/", prefix.trim_end_matches('/')) }
    }

    pub(super) fn head(&self) -> String {
        format!("{}head", self.prefix)
    }

    pub(super) fn log(&self) -> String {
        format!("{}log/", self.prefix)
    }

    /// The first key after the log.
    pub(super) fn log_end(&self) -> String {
        format!("{}log0", self.prefix)
    }

    pub(super) fn batch(&self, last: Revision) -> String {
        format!("{}log/{:016x}", self.prefix, last.0)
    }

    /// Which revision a key of the log is named by.
    pub(super) fn last_of(&self, key: &[u8]) -> Option<Revision> {
        let digits = key.strip_prefix(self.log().as_bytes())?;
        hex(digits, 16).map(Revision)
    }

    pub(super) fn parts(&self) -> String {
        format!("{}parts/", self.prefix)
    }

    /// The first key after all parts.
    pub(super) fn parts_end(&self) -> String {
        format!("{}parts0", self.prefix)
    }

    pub(super) fn body(&self, body: Uuid) -> String {
        format!("{}parts/{body}/", self.prefix)
    }

    pub(super) fn part(&self, body: Uuid, index: u32) -> String {
        format!("{}parts/{body}/{index:08x}", self.prefix)
    }

    /// Stands after the parts of the same body.
    pub(super) fn named(&self, body: Uuid) -> String {
        format!("{}parts/{body}/named", self.prefix)
    }

    /// Whose part a key is, and which (`None`: the mark that it is named).
    pub(super) fn part_of(&self, key: &[u8]) -> Option<(Uuid, Option<u32>)> {
        let rest = key.strip_prefix(self.parts().as_bytes())?;
        let (body, part) = rest.split_at_checked(36)?;
        let body = Uuid::try_parse_ascii(body).ok()?;
        match part.strip_prefix(b"/")? {
            b"named" => Some((body, None)),
            digits => Some((body, Some(u32::try_from(hex(digits, 8)?).ok()?))),
        }
    }
}

fn hex(digits: &[u8], length: usize) -> Option<u64> {
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.len() == length)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_slash_of_the_prefix_does_not_matter() {
        for prefix in ["/a/ledger", "/a/ledger/", "/a/ledger//"] {
            assert_eq!(Keys::new(prefix).head(), "/a/ledger/head");
        }
    }

    #[test]
    fn keys_of_the_log_sort_like_their_revisions() {
        let keys = Keys::new("/a");
        let revisions = [0, 1, 9, 10, 15, 16, 255, 256, u64::MAX].map(Revision);
        assert!(revisions.map(|revision| keys.batch(revision)).is_sorted());
        for revision in revisions {
            assert_eq!(keys.last_of(keys.batch(revision).as_bytes()), Some(revision));
            assert!(keys.batch(revision) < keys.log_end());
        }
    }

    #[test]
    fn parts_are_told_apart_from_their_mark() {
        let (keys, body) = (Keys::new("/a"), Uuid::from_u128(7));
        assert_eq!(keys.part_of(keys.part(body, 300).as_bytes()), Some((body, Some(300))));
        assert_eq!(keys.part_of(keys.named(body).as_bytes()), Some((body, None)));
        assert_eq!(keys.part_of(b"/a/parts/of/something/else"), None);
        assert!(keys.part(body, u32::MAX) < keys.named(body));
    }
}
