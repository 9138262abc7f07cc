//! TCP (RFC 7766): length-framed messages, many per connection, answered in order.
//!
//! Whatever a client can make grow has a bound: connections (per address and in all), the time a message may take to
//! arrive, the answers that wait for a slow reader, and the time that reader may take.

mod connection;
mod seats;

use crate::{
    past::History,
    server::{Source, counters::Counters},
    transfer::Transfers,
};
use seats::Seats;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The bounds of TCP service.
#[derive(Debug, Clone)]
pub struct TcpLimits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections of one address open at once.
    pub connections_per_address: usize,
    /// How long a whole message may be waited for.
    pub idle_timeout: Duration,
    /// How long a client may take to read 64 KiB of answers.
    pub write_timeout: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 512,
            idle_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// What every connection needs.
pub(crate) struct Shared {
    pub(crate) source: Source,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) history: Option<Arc<History>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: TcpLimits,
    seats: Arc<Seats>,
}

impl Shared {
    pub(crate) fn new(
        source: Source,
        transfers: Arc<Transfers>,
        history: Option<Arc<History>>,
        counters: Arc<Counters>,
        limits: TcpLimits,
    ) -> Arc<Self> {
        let seats = Seats::new(limits.connections, limits.connections_per_address);
        Arc::new(Self { source, transfers, history, counters, limits, seats })
    }
}

/// Takes connections from `listener` until `stop`, then waits for those that are open to end.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (seat, evicted) = shared.seats.take(peer.ip());
                shared.counters.tcp_accepted.fetch_add(1, Relaxed);
                shared.counters.tcp_evicted.fetch_add(u64::from(evicted), Relaxed);
                connections.spawn(connection::serve(stream, peer.ip(), seat, Arc::clone(&shared), stop.clone()));
            }
            Err(error) => {
                // Out of descriptors, or a client that is gone already. A pause, else the first would spin.
                tracing::warn!(%error, "a TCP connection could not be taken");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}
