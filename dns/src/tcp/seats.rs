use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The connections that may be open at once. A full house never keeps a new client out: the connection that has waited
/// longest for its client's next question goes, of the same address if that address has its share already.
#[derive(Debug)]
pub(super) struct Seats {
    taken: Mutex<HashMap<u64, Taken>>,
    total: usize,
    per_address: usize,
    next: AtomicU64,
    started: Instant,
}

#[derive(Debug)]
struct Taken {
    address: IpAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Twice the milliseconds since the start at which the connection last moved; odd while it is being answered.
    moved: AtomicU64,
    evicted: CancellationToken,
}

/// A place among [`Seats`], given back when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    state: Arc<State>,
}

impl Seats {
    pub(super) fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            total: total.max(1),
            per_address: per_address.max(1),
            next: AtomicU64::new(0),
            started: Instant::now(),
        })
    }

    /// Takes a seat for `address`; says whether another connection had to go for it.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> (Seat, bool) {
        let address = address.to_canonical();
        let state = Arc::<State>::default();
        let number = self.next.fetch_add(1, Relaxed);
        let seat = Seat { seats: Arc::clone(self), number, state: Arc::clone(&state) };
        seat.waits();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.values().filter(|other| other.address == address).count();
        let victim = if of_address >= self.per_address {
            longest_waiting(&taken, |other| other.address == address)
        } else if taken.len() >= self.total {
            longest_waiting(&taken, |_| true)
        } else {
            None
        };
        if let Some(victim) = victim.and_then(|number| taken.remove(&number)) {
            victim.state.evicted.cancel();
        }
        taken.insert(number, Taken { address, state });
        (seat, victim.is_some())
    }
}

fn longest_waiting(taken: &HashMap<u64, Taken>, among: impl Fn(&Taken) -> bool) -> Option<u64> {
    let order = |moved: u64| (moved & 1, moved);
    let candidates = taken.iter().filter(|(_, seat)| among(seat));
    candidates.min_by_key(|(number, seat)| (order(seat.state.moved.load(Relaxed)), **number)).map(|(number, _)| *number)
}

impl Seat {
    /// Marks that the connection waits for a question from now on.
    pub(super) fn waits(&self) {
        self.state.moved.store(self.now() << 1, Relaxed);
    }

    /// Marks that the connection is being answered and has just moved on.
    pub(super) fn works(&self) {
        self.state.moved.store(self.now() << 1 | 1, Relaxed);
    }

    /// Resolves when the seat is needed for another.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> + '_ {
        self.state.evicted.cancelled()
    }

    fn now(&self) -> u64 {
        self.seats.started.elapsed().as_millis() as u64
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted(seats: &[&Seat]) -> Vec<bool> {
        seats.iter().map(|seat| seat.state.evicted.is_cancelled()).collect()
    }

    #[test]
    fn a_full_house_closes_the_connection_that_waits_longest() {
        let house = Seats::new(3, 3);
        let (first, _) = house.take([192, 0, 2, 1].into());
        let (second, _) = house.take([192, 0, 2, 2].into());
        let (third, none) = house.take([192, 0, 2, 3].into());
        assert!(!none);
        first.works();
        let (fourth, made_room) = house.take([192, 0, 2, 4].into());
        assert!(made_room);
        assert_eq!(evicted(&[&first, &second, &third, &fourth]), [false, true, false, false]);
        drop(second);
        assert_eq!(house.taken.lock().expect("not poisoned").len(), 3);
    }

    #[test]
    fn an_address_over_its_share_loses_its_own_connections() {
        let house = Seats::new(10, 2);
        let (other, _) = house.take([192, 0, 2, 1].into());
        let (first, _) = house.take([192, 0, 2, 2].into());
        let (second, _) = house.take([192, 0, 2, 2].into());
        let (third, made_room) = house.take([192, 0, 2, 2].into());
        assert!(made_room);
        assert_eq!(evicted(&[&other, &first, &second, &third]), [false, true, false, false]);
    }
}
