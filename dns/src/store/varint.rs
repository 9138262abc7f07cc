//! Numbers in as few octets as they need, seven bits in each, the lowest first; all but the last have their high bit set.

#[inline]
pub(super) fn put(octets: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        octets.push(number as u8 | 128);
        number >>= 7;
    }
    octets.push(number as u8);
}

/// The number that `octets` begin with; they go on after it.
#[inline]
pub(super) fn take(octets: &mut &[u8]) -> Option<u64> {
    // Most have one.
    if let [octet @ ..128, rest @ ..] = *octets {
        *octets = rest;
        return Some(u64::from(*octet));
    }
    take_long(octets)
}

fn take_long(octets: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        number |= u64::from(octet & 127).checked_shl(shift)?;
        if *octet < 128 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_what_is_cut_off_is_none() {
        for bits in 0..64 {
            for number in [(1 << bits) - 1, 1 << bits, u64::MAX - (1 << bits)] {
                let mut octets = Vec::new();
                put(&mut octets, number);
                assert_eq!(take(&mut &octets[..]), Some(number));
                assert_eq!(take(&mut &octets[..octets.len() - 1]), None);
                octets.push(9);
                let mut rest = &octets[..];
                take(&mut rest);
                assert_eq!(rest, [9]);
            }
        }
        assert_eq!(take(&mut &[255; 20][..]), None);
    }
}
