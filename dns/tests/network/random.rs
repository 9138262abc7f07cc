//! Random numbers that come again: the whole course follows from a seed.

/// A generator of 64-bit numbers (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeds from `$CONN3CTION_SEED`, else from `default`, and prints what `what` was seeded with.
    pub(crate) fn seeded(what: &str, default: u64) -> Self {
        let given = std::env::var("CONN3CTION_SEED").ok();
        let seed = given.map_or(default, |text| text.parse().expect("CONN3CTION_SEED is a number"));
        eprintln!("{what}: CONN3CTION_SEED={seed}");
        Self::new(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
