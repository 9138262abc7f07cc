//! How long to wait before the next try.

use std::time::Duration;

/// Waits that grow from 50 ms to 2 s, each between half and all of its step, so that many clients of a cluster that
/// comes back do not all call at once.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LAST: Duration = Duration::from_secs(2);

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let step = Self::LAST.min(Self::FIRST * 2_u32.pow(self.tries.min(10)));
        self.tries = self.tries.saturating_add(1);
        // Any source of chance will do; this one is at hand.
        let chance = uuid::Uuid::new_v4().as_bytes()[0];
        step / 2 + step * u32::from(chance) / 512
    }

    /// How many waits there were since the last success.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_wait() <= Backoff::FIRST);
        for _ in 0..40 {
            backoff.next_wait();
        }
        let wait = backoff.next_wait();
        assert!(wait >= Backoff::LAST / 2 && wait <= Backoff::LAST, "{wait:?}");
        backoff.reset();
        assert!(backoff.next_wait() <= Backoff::FIRST);
    }
}
