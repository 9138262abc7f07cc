use super::mmsg::{BATCH, OCTETS};

/// Which answers of a batch go out together: those to one peer with one length, as one message that the kernel cuts
/// into datagrams (UDP_SEGMENT). With few peers (forwarders, load balancers) this halves the cost of an answer.
pub(super) struct Runs {
    /// Where each run ends in the grouped list of slots.
    ends: Vec<u8>,
    /// Run number + 1 by hash of the peer; 0 is free. Twice as large as ever filled.
    table: [u8; 2 * BATCH],
    /// The run of each answer, in the order of the answers.
    run_of: [u8; BATCH],
    /// The first slot of each run, and how many answers it has.
    firsts: Vec<(u8, u8)>,
    grouped: [u8; BATCH],
}

/// The kernel's bounds on one message: segments, and octets of an UDP payload.
const SEGMENTS: usize = 64;
const PAYLOAD: usize = 65_000;

impl Runs {
    pub(super) fn new() -> Self {
        Self {
            ends: Vec::with_capacity(BATCH),
            table: [0; 2 * BATCH],
            run_of: [0; BATCH],
            firsts: Vec::with_capacity(BATCH),
            grouped: [0; BATCH],
        }
    }

    /// The number of runs, which is the number of messages to send.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The slots of run `index`, out of the list that was grouped.
    pub(super) fn slots<'a>(&self, index: usize, answered: &'a [u8]) -> &'a [u8] {
        let from = if index == 0 { 0 } else { self.ends[index - 1] };
        &answered[from as usize..self.ends[index] as usize]
    }

    /// Every answer by itself.
    pub(super) fn single(&mut self, answers: usize) {
        self.ends.clear();
        self.ends.extend(1..=answers as u8);
    }

    /// Reorders `answered` so that slots with equal `peer` stand together, and marks the runs. The order of the answers
    /// to one peer is kept; that between peers has no meaning.
    pub(super) fn group<'a>(
        &mut self,
        answered: &mut [u8],
        lengths: &[usize; BATCH],
        peer: impl Fn(u8) -> (usize, &'a [u8; 32], &'a [u8]),
    ) {
        self.table.fill(0);
        self.firsts.clear();
        for (at, &slot) in answered.iter().enumerate() {
            let most = SEGMENTS.min(PAYLOAD / lengths[slot as usize].clamp(1, OCTETS)) as u8;
            let mine = peer(slot);
            let mut place = hash(mine.0, mine.1);
            let run = loop {
                match self.table[place % (2 * BATCH)] {
                    0 => break self.open(place, slot),
                    run if peer(self.firsts[run as usize - 1].0) != mine => place += 1,
                    run if self.firsts[run as usize - 1].1 < most => break run - 1,
                    _ => break self.open(place, slot),
                }
            };
            self.firsts[run as usize].1 += 1;
            self.run_of[at] = run;
        }
        self.ends.clear();
        let mut end = 0;
        for (_, count) in &self.firsts {
            self.ends.push(end);
            end += count;
        }
        for (at, &slot) in answered.iter().enumerate() {
            let end = &mut self.ends[self.run_of[at] as usize];
            self.grouped[*end as usize] = slot;
            *end += 1;
        }
        answered.copy_from_slice(&self.grouped[..answered.len()]);
    }

    fn open(&mut self, place: usize, slot: u8) -> u8 {
        let run = self.firsts.len() as u8;
        self.firsts.push((slot, 0));
        self.table[place % (2 * BATCH)] = run + 1;
        run
    }
}

/// Mixes port, address and length. Collisions only cost comparisons, at most [`BATCH`] of them, so no secret is needed.
fn hash(length: usize, address: &[u8; 32]) -> usize {
    let word = |at: usize| address[at..at + 8].iter().fold(0u64, |word, &octet| word << 8 | u64::from(octet));
    let mixed = (word(0) ^ word(8).rotate_left(17) ^ word(16).rotate_left(31) ^ length as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 48) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_answer_goes_out_once_in_a_run_of_its_own_peer_and_length(
            answers in prop::collection::vec((0u8..5, prop::sample::select(vec![40usize, 41, 1232])), 0..=BATCH),
        ) {
            let mut lengths = [0; BATCH];
            let mut addresses = [[0u8; 32]; BATCH];
            for (slot, (peer, length)) in answers.iter().enumerate() {
                lengths[slot] = *length;
                addresses[slot][5] = *peer;
            }
            let peer = |slot: u8| (lengths[slot as usize], &addresses[slot as usize], &[][..]);
            let mut answered: Vec<u8> = (0..answers.len() as u8).collect();
            let mut runs = Runs::new();
            runs.group(&mut answered, &lengths, peer);
            for run in 0..runs.len() {
                let slots = runs.slots(run, &answered);
                prop_assert!(!slots.is_empty() && slots.windows(2).all(|two| two[0] < two[1]));
                prop_assert!(slots.iter().all(|slot| answers[*slot as usize] == answers[slots[0] as usize]));
                prop_assert!(slots.iter().map(|slot| lengths[*slot as usize]).sum::<usize>() <= PAYLOAD);
            }
            let peers: std::collections::HashSet<_> = answers.iter().collect();
            prop_assert!(runs.len() <= peers.len() + 1, "only a full run opens a second one");
            answered.sort_unstable();
            prop_assert_eq!(answered, (0..answers.len() as u8).collect::<Vec<_>>());
        }
    }
}
