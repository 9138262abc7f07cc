//! Small damage to valid inputs.

use conn3ction_tests::random::Random;

/// What parsers look at: separators, escapes, limits, pointers.
const SPECIAL: &[u8] = b"\0\x01\x3f\x40\x7f\x80\xbf\xc0\xff .\\\"();$@*\n\t-:_/=,0129";

/// `seed` with one to eight small changes; now and then a piece of `other` in it.
pub fn mutate(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut octets = seed.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(octets.len() as u64 + 1) as usize;
        let special = SPECIAL[random.below(SPECIAL.len() as u64) as usize];
        match random.below(8) {
            0 => octets.insert(at, special),
            1 => octets.insert(at, random.next_u64() as u8),
            2 | 3 if at < octets.len() => octets[at] = special,
            4 if at < octets.len() => octets[at] ^= 1 << random.below(8),
            5 => drop(octets.drain(at..(at + random.below(6) as usize).min(octets.len()))),
            6 => {
                let piece = octets[at..(at + random.below(40) as usize).min(octets.len())].to_vec();
                octets.splice(at..at, piece.repeat(1 + random.below(5) as usize));
            }
            7 if !other.is_empty() => {
                let from = random.below(other.len() as u64) as usize;
                let piece = &other[from..(from + random.below(30) as usize).min(other.len())];
                octets.splice(at..at, piece.iter().copied());
            }
            _ => octets.truncate(at.max(octets.len() / 2)),
        }
    }
    octets
}
