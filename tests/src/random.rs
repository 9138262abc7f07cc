//! Random numbers from a seed that is printed, so that a failure can be repeated.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `$SEED` if it is set, else another one each time; printed either way.
    pub fn seed() -> u64 {
        let given = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
        let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "seed");
        let seed = given.unwrap_or_else(fresh);
        println!("SEED={seed}");
        seed
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }
}
