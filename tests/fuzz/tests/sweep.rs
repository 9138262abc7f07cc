//! A moment of fuzzing in every run of the tests. A failure prints its seed and the octets.

use std::panic::catch_unwind;

use conn3ction_fuzz::{ENTRIES, mutate::mutate};
use conn3ction_tests::random::Random;

/// Inputs per entry; about three seconds in all.
const INPUTS: usize = 3_000;

#[test]
fn seeds_and_their_mutations_are_read_or_refused_but_never_break_a_promise() {
    let mut random = Random::new(Random::seed());
    for entry in ENTRIES {
        let seeds = (entry.seeds)();
        assert!(!seeds.is_empty(), "{}: seeds", entry.name);
        let mut inputs = seeds.clone();
        for turn in 0..INPUTS {
            let mut pick = || &seeds[random.below(seeds.len() as u64) as usize];
            let (seed, other) = (pick(), pick());
            // Now and then damage upon damage.
            let base = if turn % 4 == 3 { inputs.last().expect("inputs") } else { seed };
            let input = mutate(&mut random, base, other);
            if turn >= 64 {
                inputs.pop();
            }
            inputs.push(input);
            let input = inputs.last().expect("inputs");
            assert!(catch_unwind(|| (entry.run)(input)).is_ok(), "{}: {}", entry.name, input.escape_ascii());
        }
        for seed in &seeds {
            assert!(catch_unwind(|| (entry.run)(seed)).is_ok(), "{}: {}", entry.name, seed.escape_ascii());
        }
    }
}
