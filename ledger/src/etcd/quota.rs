//! Staying clear of etcd's quota: at the quota etcd refuses every write, checkpoints and compaction's bookkeeping too.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::client::Client;
use crate::AppendError;

/// How old a measurement may be.
const FRESH: Duration = Duration::from_secs(5);

/// Warned above this share of the quota.
const WARN_PERCENT: u64 = 50;

/// Refused from this share of the quota on.
const REFUSE_PERCENT: u64 = 80;

/// Watches how full etcd is, by the size of its file: that is what etcd itself holds against the quota.
#[derive(Debug)]
pub(super) struct Quota {
    /// Taken for members that do not tell theirs (before 3.6).
    assumed_bytes: u64,
    measured: Mutex<Measured>,
}

#[derive(Debug, Default)]
struct Measured {
    at: Option<Instant>,
    used_bytes: u64,
    quota_bytes: u64,
    warned: bool,
}

/// How full etcd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("etcd's file has {used_bytes} of {quota_bytes} octets; appends stop at {REFUSE_PERCENT} %")]
pub struct Fullness {
    /// The file's size.
    pub used_bytes: u64,
    /// Where etcd stops taking writes.
    pub quota_bytes: u64,
}

impl Fullness {
    fn at_least(self, percent: u64) -> bool {
        u128::from(self.used_bytes) * 100 >= u128::from(self.quota_bytes) * u128::from(percent)
    }
}

impl Quota {
    pub(super) fn new(assumed_bytes: u64) -> Self {
        Self { assumed_bytes, measured: Mutex::default() }
    }

    /// Makes room for `size_bytes` more octets in the count.
    ///
    /// # Errors
    ///
    /// [`AppendError::Full`]. A member that does not answer is not full: the write itself will tell.
    pub(super) async fn admit(&self, client: &Client, size_bytes: usize) -> Result<(), AppendError> {
        let Some(fullness) = self.fullness(client, size_bytes as u64).await else {
            return Ok(());
        };
        if fullness.at_least(REFUSE_PERCENT) {
            // The next try measures again, so that a mended etcd is noticed at once.
            self.with(|measured| measured.at = None);
            return Err(AppendError::Full(Box::new(fullness)));
        }
        Ok(())
    }

    async fn fullness(&self, client: &Client, more_bytes: u64) -> Option<Fullness> {
        let known = self.with(|measured| {
            measured.used_bytes += more_bytes;
            // What a file grows by within the time that a measurement counts must be small beside the quota.
            let room = measured.quota_bytes / 100;
            let grown = more_bytes > room
                || measured.used_bytes / room.max(1) > (measured.used_bytes - more_bytes) / room.max(1);
            let fresh = measured.at.is_some_and(|at| at.elapsed() < FRESH) && !grown;
            fresh.then_some(Fullness { used_bytes: measured.used_bytes, quota_bytes: measured.quota_bytes })
        });
        if known.is_some() {
            return known;
        }
        let status = match client.status().await {
            Ok(status) => status,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "cannot ask etcd for its size");
                return None;
            }
        };
        let told = u64::try_from(status.db_size_quota()).unwrap_or(0);
        let fullness = Fullness {
            used_bytes: u64::try_from(status.db_size()).unwrap_or(0),
            quota_bytes: if told > 0 { told } else { self.assumed_bytes },
        };
        let news = self.with(|measured| {
            let warn = fullness.at_least(WARN_PERCENT);
            let news = warn && !measured.warned;
            *measured = Measured {
                at: Some(Instant::now()),
                used_bytes: fullness.used_bytes,
                quota_bytes: fullness.quota_bytes,
                warned: warn,
            };
            news
        });
        if news {
            tracing::warn!(
                used_bytes = fullness.used_bytes,
                quota_bytes = fullness.quota_bytes,
                "etcd is half full; appends stop at {REFUSE_PERCENT} %"
            );
        }
        Some(fullness)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Measured) -> T) -> T {
        change(&mut self.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_quota() {
        let full = |used_bytes| Fullness { used_bytes, quota_bytes: 1000 };
        assert!(!full(799).at_least(REFUSE_PERCENT));
        assert!(full(800).at_least(REFUSE_PERCENT));
        assert!(full(u64::MAX).at_least(REFUSE_PERCENT));
        assert!(!full(499).at_least(WARN_PERCENT) && full(500).at_least(WARN_PERCENT));
    }
}
