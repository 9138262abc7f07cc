use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What was asked and answered since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Over UDP.
    pub udp: TransportCounts,
    /// Over TCP, transfers not included.
    pub tcp: TransportCounts,
    /// TCP connections open now.
    pub tcp_connections: u64,
    /// TCP connections taken since the start.
    pub tcp_accepted: u64,
    /// TCP connections closed to make room for others.
    pub tcp_evicted: u64,
    /// Whole zones sent.
    pub transfers: u64,
    /// Transfers refused by address.
    pub transfers_refused: u64,
    /// NOTIFY messages sent, and how many a secondary confirmed.
    pub notifies: u64,
    /// NOTIFY messages that a secondary confirmed.
    pub notifies_confirmed: u64,
}

/// The counts of one transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportCounts {
    /// Messages received.
    pub queries: u64,
    /// Answers by RCODE (the four bits of the header).
    pub by_rcode: [u64; 16],
    /// Answers with TC set.
    pub truncated: u64,
    /// Messages left without an answer, and answers that could not be sent.
    pub dropped: u64,
    /// Octets of messages that were answered.
    pub octets_in: u64,
    /// Octets of answers.
    pub octets_out: u64,
}

/// Where the parts of a server count. Reading never disturbs them.
#[derive(Debug, Default)]
pub struct Counters {
    udp: Mutex<Vec<Arc<TransportCounters>>>,
    pub(crate) tcp: TransportCounters,
    pub(crate) tcp_open: AtomicU64,
    pub(crate) tcp_accepted: AtomicU64,
    pub(crate) tcp_evicted: AtomicU64,
    pub(crate) transfers: AtomicU64,
    pub(crate) transfers_refused: AtomicU64,
    pub(crate) notifies: AtomicU64,
    pub(crate) notifies_confirmed: AtomicU64,
}

/// The counters of one thread, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct TransportCounters {
    queries: AtomicU64,
    by_rcode: [AtomicU64; 16],
    truncated: AtomicU64,
    dropped: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
}

/// What one batch will add to the counters.
pub(crate) struct BatchCounts<'a> {
    to: &'a TransportCounters,
    counts: TransportCounts,
    unanswered: usize,
}

impl Counters {
    /// The sums of this moment.
    pub fn snapshot(&self) -> Counts {
        let mut udp = TransportCounts::default();
        for thread in self.udp.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.add_to(&mut udp);
        }
        let mut tcp = TransportCounts::default();
        self.tcp.add_to(&mut tcp);
        Counts {
            udp,
            tcp,
            tcp_connections: self.tcp_open.load(Relaxed),
            tcp_accepted: self.tcp_accepted.load(Relaxed),
            tcp_evicted: self.tcp_evicted.load(Relaxed),
            transfers: self.transfers.load(Relaxed),
            transfers_refused: self.transfers_refused.load(Relaxed),
            notifies: self.notifies.load(Relaxed),
            notifies_confirmed: self.notifies_confirmed.load(Relaxed),
        }
    }

    /// Counters for one more UDP thread.
    pub(crate) fn udp_thread(&self) -> Arc<TransportCounters> {
        let counters = Arc::<TransportCounters>::default();
        self.udp.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }
}

impl TransportCounters {
    /// Begins the counts of a batch of `received` messages.
    pub(crate) fn batch(&self, received: usize) -> BatchCounts<'_> {
        let counts = TransportCounts { queries: received as u64, ..TransportCounts::default() };
        BatchCounts { to: self, counts, unanswered: received }
    }

    fn add_to(&self, sum: &mut TransportCounts) {
        sum.queries += self.queries.load(Relaxed);
        for (sum, count) in sum.by_rcode.iter_mut().zip(&self.by_rcode) {
            *sum += count.load(Relaxed);
        }
        sum.truncated += self.truncated.load(Relaxed);
        sum.dropped += self.dropped.load(Relaxed);
        sum.octets_in += self.octets_in.load(Relaxed);
        sum.octets_out += self.octets_out.load(Relaxed);
    }
}

impl BatchCounts<'_> {
    /// Counts the answer to a query of `octets`.
    pub(crate) fn answered(&mut self, octets: usize, answer: &[u8]) {
        let Some(&[_, _, flags, rcode]) = answer.first_chunk() else { return };
        self.unanswered = self.unanswered.saturating_sub(1);
        self.counts.by_rcode[rcode as usize & 15] += 1;
        self.counts.truncated += u64::from(flags >> 1 & 1);
        self.counts.octets_in += octets as u64;
        self.counts.octets_out += answer.len() as u64;
    }

    /// Ends the batch, `dropped` of whose answers could not be sent.
    pub(crate) fn sent(self, dropped: usize) {
        let (to, counts) = (self.to, &self.counts);
        to.queries.fetch_add(counts.queries, Relaxed);
        for (total, count) in to.by_rcode.iter().zip(counts.by_rcode) {
            if count > 0 {
                total.fetch_add(count, Relaxed);
            }
        }
        to.truncated.fetch_add(counts.truncated, Relaxed);
        to.dropped.fetch_add((self.unanswered + dropped) as u64, Relaxed);
        to.octets_in.fetch_add(counts.octets_in, Relaxed);
        to.octets_out.fetch_add(counts.octets_out, Relaxed);
    }
}
