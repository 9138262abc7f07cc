//! NOTIFY (RFC 1996): after a zone's serial has changed, the configured secondaries are told.
//!
//! What waits is bounded by the number of zones: a zone that changes again before its turn is told once. A secondary
//! that does not answer is asked once more and then left alone until the next change.

use crate::{
    server::counters::Counters,
    store::{Store, Version},
};
use conn3ction_schemas::{Name, RecordType, Serial};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a secondary may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often one change is told to a secondary that does not answer.
const ATTEMPTS: usize = 2;

/// Tells `secondaries` about every change of a serial until `stop`. `local` are the addresses that we answer on: a
/// secondary knows its primary by the address that a NOTIFY comes from.
pub(crate) async fn serve(
    store: Arc<Store>,
    secondaries: Arc<Secondaries>,
    local: Vec<IpAddr>,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let mut queues = Vec::new();
    for (place, secondary) in secondaries.addresses.iter().enumerate() {
        let queue = Arc::<Queue>::default();
        queues.push(Arc::clone(&queue));
        let (from, counters, stop) = (source(*secondary, &local), Arc::clone(&counters), stop.clone());
        let (secondaries, store) = (Arc::clone(&secondaries), Arc::clone(&store));
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tell(&secondaries, place, from, &store, &queue, &counters) => {}
            }
        });
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch(&store, &queues) => {}
    }
    tasks.close();
    tasks.wait().await;
}

/// The secondaries, and the serial of each zone that each confirmed to have been told.
///
/// Bounded by zones times secondaries.
#[derive(Debug, Default)]
pub struct Secondaries {
    addresses: Vec<SocketAddr>,
    told: Mutex<HashMap<Name, Box<[Option<Serial>]>>>,
}

impl Secondaries {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, told: Mutex::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Each secondary with the last serial of `zone` whose NOTIFY it answered.
    pub fn of(&self, zone: &Name) -> Vec<(SocketAddr, Option<Serial>)> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let serials = told.get(zone);
        let serial = |place: usize| serials.and_then(|serials| serials[place]);
        self.addresses.iter().enumerate().map(|(place, address)| (*address, serial(place))).collect()
    }

    fn confirmed(&self, zone: &Name, place: usize, serial: Option<Serial>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get_mut(zone) {
            Some(serials) => serials[place] = serial,
            None => {
                let mut serials = vec![None; self.addresses.len()];
                serials[place] = serial;
                told.insert(zone.clone(), serials.into());
            }
        }
    }
}

/// Queues every zone whose serial changes. The zones that stand at the start are told too: a secondary may have missed
/// changes while we were away.
async fn watch(store: &Arc<Store>, queues: &[Arc<Queue>]) {
    let mut known: HashMap<Name, Serial> = HashMap::new();
    let mut seen = Version(0);
    loop {
        store.reached(Version(seen.0 + 1)).await;
        let began = Instant::now();
        {
            let view = store.now();
            for zone in view.zones().filter(|zone| zone.last_change() > seen) {
                if known.insert(zone.apex().clone(), zone.serial()) != Some(zone.serial()) {
                    queues.iter().for_each(|queue| queue.add(zone.apex()));
                }
            }
            seen = view.version();
        }
        // Under a load of changes the looks are spaced out, so that with very many zones they never take more than a
        // twentieth of a processor.
        sleep(began.elapsed() * 20).await;
    }
}

/// The zones that one secondary is to be told about, first changed first.
#[derive(Default)]
struct Queue {
    waiting: Mutex<(VecDeque<Name>, HashSet<Name>)>,
    added: Notify,
}

impl Queue {
    fn add(&self, zone: &Name) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.1.insert(zone.clone()) {
            waiting.0.push_back(zone.clone());
            self.added.notify_one();
        }
    }

    fn take(&self) -> Option<Name> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let zone = waiting.0.pop_front()?;
        waiting.1.remove(&zone);
        Some(zone)
    }

    async fn next(&self) -> Name {
        loop {
            match self.take() {
                Some(zone) => return zone,
                None => self.added.notified().await,
            }
        }
    }
}

async fn tell(
    secondaries: &Secondaries,
    place: usize,
    from: IpAddr,
    store: &Arc<Store>,
    queue: &Queue,
    counters: &Counters,
) {
    let secondary = secondaries.addresses[place];
    let mut id = 0u16;
    loop {
        let zone = queue.next().await;
        id = id.wrapping_add(1);
        let serial = store.now().last_serial(&zone);
        match tell_one(secondary, from, &zone, id, counters).await {
            Ok(true) => {
                secondaries.confirmed(&zone, place, serial);
                counters.notifies_confirmed.fetch_add(1, Relaxed);
            }
            Ok(false) => tracing::warn!(%secondary, %zone, "no answer to NOTIFY"),
            Err(error) => tracing::warn!(%secondary, %zone, %error, "NOTIFY could not be sent"),
        }
    }
}

/// Sends one NOTIFY, again if no answer comes; says whether one came. A socket (and so a port) of its own for each.
async fn tell_one(secondary: SocketAddr, from: IpAddr, zone: &Name, id: u16, counters: &Counters) -> io::Result<bool> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(secondary).await?;
    let message = message(zone, id);
    let mut reply = [0; 512];
    for _ in 0..ATTEMPTS {
        counters.notifies.fetch_add(1, Relaxed);
        // A secondary that is down shows as an error here or at the receive (ICMP); it is the same as silence.
        let _ = socket.send(&message).await;
        let deadline = Instant::now() + PATIENCE;
        while let Ok(received) = timeout_at(deadline, socket.recv(&mut reply)).await {
            match received {
                Ok(octets) if octets >= 12 && reply[..2] == message[..2] && reply[2] & 0xf8 == 0xa0 => return Ok(true),
                Ok(_) => {}
                Err(_) => {
                    tokio::time::sleep_until(deadline).await;
                    break;
                }
            }
        }
    }
    Ok(false)
}

/// Opcode NOTIFY, AA, one question (RFC 1996 section 3).
fn message(zone: &Name, id: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([0x24, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(zone.as_wire());
    message.extend_from_slice(&RecordType::SOA.0.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The address to send from: the one we answer on, if there is one of the family; else the routes decide.
fn source(secondary: SocketAddr, local: &[IpAddr]) -> IpAddr {
    let fits = |address: &&IpAddr| {
        address.is_ipv4() == secondary.is_ipv4() && address.is_loopback() == secondary.ip().is_loopback()
    };
    let unspecified = if secondary.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    local.iter().find(fits).copied().unwrap_or(unspecified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_zone_that_changes_again_before_its_turn_is_told_once_and_in_its_turn() {
        let (a, b): (Name, Name) = ("a.".parse().expect("a name"), "b.".parse().expect("a name"));
        let queue = Queue::default();
        [&b, &a, &b].into_iter().for_each(|zone| queue.add(zone));
        assert_eq!(queue.next().await, b);
        queue.add(&b);
        assert_eq!([queue.take(), queue.take(), queue.take()], [Some(a), Some(b), None]);
    }

    #[test] // RFC 1996 section 3.7
    fn a_notify_asks_for_the_soa_of_the_zone() {
        let zone = "ex.".parse().expect("a name");
        assert_eq!(message(&zone, 0x0102), b"\x01\x02\x24\x00\0\x01\0\0\0\0\0\0\x02ex\0\0\x06\0\x01");
    }

    #[test]
    fn a_notify_leaves_from_an_address_that_we_answer_on() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let local = [address("127.0.0.1"), address("192.0.2.1"), address("::1")];
        let source = |secondary: &str| source(SocketAddr::new(address(secondary), 53), &local);
        assert_eq!(source("127.0.0.9"), address("127.0.0.1"));
        assert_eq!(source("192.0.2.7"), address("192.0.2.1"));
        assert_eq!(source("2001:db8::1"), address("::"));
    }
}
