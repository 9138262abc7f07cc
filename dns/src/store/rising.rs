//! Searching among numbers that never fall.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::segments::Segments;

/// Of so many numbers one has a copy one level up: a few cache lines, read at once.
const STEP: u32 = 32;

/// Numbers that never fall. Of every [`STEP`]th but the first there is a copy one level up, and so on: a search looks at
/// one step of each level, and all but the last levels stay in the cache.
#[derive(Debug)]
pub(super) struct Rising {
    numbers: Segments<AtomicU64>,
    above: OnceLock<Box<Rising>>,
}

impl Rising {
    pub(super) const fn new() -> Self {
        Self { numbers: Segments::new(), above: OnceLock::new() }
    }

    /// Puts `number` after the `place` that there are.
    pub(super) fn push(&self, place: u32, number: u64) {
        self.numbers.place(place).store(number, Ordering::Relaxed);
        if place > 0 && place.is_multiple_of(STEP) {
            self.above.get_or_init(|| Box::new(Self::new())).push(place / STEP - 1, number);
        }
    }

    /// How many of the first `len` numbers are at most `number`.
    pub(super) fn count_up_to(&self, len: u32, number: u64) -> u32 {
        let from = match self.above.get() {
            Some(above) if len > STEP => above.count_up_to((len - 1) / STEP, number) * STEP,
            _ => 0,
        };
        from + self.numbers.count(from, len.min(from + STEP), |other| other.load(Ordering::Relaxed) <= number)
    }
}

/// How many of `len` places, the first of them, are low: found from a guess, in the logarithm of how far that is off.
pub(super) fn count_from(guess: u32, len: u32, is_low: impl Fn(u32) -> bool) -> u32 {
    // All before `low` are low, none from `high` on is.
    let (mut low, mut high) = (0, len);
    let (mut at, mut step) = (guess, 1);
    while low < high {
        at = at.clamp(low, high - 1);
        let went_up = is_low(at);
        if went_up {
            low = at + 1
        } else {
            high = at
        }
        at = match low > 0 && high < len {
            true => low + (high - low) / 2,
            // All were on one side: farther each time.
            false if went_up => at.saturating_add(step),
            false => at.saturating_sub(step),
        };
        step = step.saturating_mul(2);
    }
    low
}

/// How many of `len` numbers that never fall are at most `number`. Some halving finds the part where it is, which costs
/// little, for many searches look there; within it they are taken to be equally far apart.
pub(super) fn count_among(len: u32, number: u64, number_at: impl Fn(u32) -> Option<u64>) -> u32 {
    const HALVINGS: u32 = 6;
    let is_low = |at| number_at(at).is_some_and(|other| other <= number);
    // Live questions ask for the last one.
    let Some(mut high) = len.checked_sub(1).filter(|last| !is_low(*last)) else { return len };
    let mut low = 0;
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2;
        if is_low(middle) { low = middle } else { high = middle }
    }
    let guess = number_at(low).zip(number_at(high)).and_then(|(from, to)| {
        let part = u128::from(number.checked_sub(from)?) * u128::from(high - low);
        part.checked_div(u128::from(to - from))
    });
    low + count_from(guess.unwrap_or_default() as u32, high - low, |at| is_low(low + at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_however_far_apart_they_are() {
        let forms: [fn(u64) -> u64; 4] = [|at| at * 7, |at| at * at * at, |at| 3 + at / 10, |at| at.max(1 << 40)];
        for (form, len) in forms.into_iter().flat_map(|form| [0, 1, 2, 63, 64, 65, 100_000].map(|len| (form, len))) {
            let numbers: Vec<u64> = (0..len).map(|at| form(at.into())).collect();
            let count = |number| count_among(len, number, |at| numbers.get(at as usize).copied()) as usize;
            for asked in numbers.iter().step_by(61).chain(numbers.last()) {
                for number in [asked.saturating_sub(1), *asked, asked + 1] {
                    let expected = numbers.partition_point(|other| *other <= number);
                    assert_eq!(count(number), expected, "{number} among {len}");
                }
            }
            assert_eq!(count(0), numbers.partition_point(|other| *other == 0));
            assert_eq!(count(u64::MAX), len as usize);
        }
    }

    #[test]
    fn what_is_low_is_counted_from_every_guess() {
        for len in [0, 1, 2, 31, 255] {
            for low in 0..=len {
                for guess in [0, 1, low, len / 2, len, u32::MAX] {
                    assert_eq!(count_from(guess, len, |at| at < low), low, "{low} of {len} from {guess}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_counted_through_all_levels() {
        let rising = Rising::new();
        for place in 0..5_000u32 {
            rising.push(place, u64::from(place) * 3);
        }
        for number in 0..15_000 {
            assert_eq!(rising.count_up_to(5_000, number), (number / 3 + 1) as u32);
        }
    }
}
