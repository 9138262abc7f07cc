//! UDP: one plain thread per socket, batched calls, no lock, allocation or further system call per packet.
//!
//! Each thread has its own socket per address (SO_REUSEPORT), its own buffers and its own counters, and reads the
//! published version once per batch. The kernel is 95 % of an answer's cost, so the loop has nothing else in it.

mod coalesce;
mod mmsg;

use crate::{past::Exchange, server::counters::TransportCounters};
use mmsg::Batch;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long a thread with nothing to do waits before it looks whether it shall stop.
const WAKE: Duration = Duration::from_millis(100);
/// Asked of the kernel for each socket: some milliseconds of a full load. It grants at most `net.core.*mem_max`.
const SOCKET_OCTETS: usize = 4 << 20;

/// Binds `count` sockets to `address`, among which the kernel spreads the peers.
///
/// # Errors
///
/// As `bind(2)`, also when another program answers there already: without the first, exclusive bind two servers of
/// one user would share the queries and nobody would notice.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    drop(socket(address, false)?);
    let first = socket(address, count > 1)?;
    let address = first.local_addr()?;
    let more = (1..count).map(|_| socket(address, true));
    std::iter::once(Ok(first)).chain(more).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // Asked for, not insisted on: a small buffer only loses packets earlier.
    let _ = socket.set_recv_buffer_size(SOCKET_OCTETS);
    let _ = socket.set_send_buffer_size(SOCKET_OCTETS);
    socket.set_read_timeout(Some(WAKE))?;
    socket.set_reuse_port(shared)?;
    let (level, info, discover) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, libc::IP_MTU_DISCOVER),
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, libc::IPV6_MTU_DISCOVER)
        }
    };
    if address.ip().is_unspecified() {
        mmsg::set_option(&socket, level, info, 1)?;
    }
    // Forged "fragmentation needed" messages must not make us fragment (RFC 9715 section 3.1).
    mmsg::set_option(&socket, level, discover, libc::IP_PMTUDISC_OMIT)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Answers what comes to `socket` until `stop`, on the calling thread. `view` is called once per batch, `answer` with what
/// it gave for a few messages at a time.
pub(crate) fn serve<View>(
    socket: &UdpSocket,
    coalesce: bool,
    counters: &TransportCounters,
    stop: &CancellationToken,
    view: impl Fn() -> View,
    answer: impl Fn(&View, &mut [Exchange<'_>]),
) {
    let mut batch = Batch::new(coalesce);
    while !stop.is_cancelled() {
        let received = match batch.receive(socket) {
            Ok(received) => received,
            // A timeout, an interruption, or an error of one earlier answer (ICMP): none says that the socket is lost.
            Err(_) => continue,
        };
        let view = view();
        let mut seen = counters.batch(received);
        batch.answer(|exchanges| {
            answer(&view, exchanges);
            for exchange in exchanges {
                if let Some(octets) = exchange.octets {
                    seen.answered(exchange.packet.len(), &exchange.out[..octets]);
                }
            }
        });
        drop(view);
        seen.sent(batch.send(socket).dropped);
    }
}

/// Keeps the calling thread on the `nth` processor. A thread that cannot be pinned answers all the same.
pub(crate) fn pin(nth: usize) {
    if let Err(error) = mmsg::pin_thread(nth) {
        tracing::debug!(%error, "an UDP thread could not be pinned");
    }
}

/// The address in a `sockaddr_in` or `sockaddr_in6`.
fn ip_of(peer: &[u8]) -> IpAddr {
    match peer {
        [_, _, _, _, _, _, _, _, rest @ ..] if peer.len() >= 28 => {
            let octets: [u8; 16] = rest[..16].try_into().unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        [_, _, _, _, a, b, c, d, ..] => IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Runs a server that sends every message back, `copies` of it cut to different lengths in turn.
    fn with_server(bind_to: &str, coalesce: bool, ask: impl FnOnce(u16)) {
        let sockets = bind(bind_to.parse().expect("an address"), 1).expect("bound");
        let port = sockets[0].local_addr().expect("an address").port();
        let (stop, counters) = (CancellationToken::new(), TransportCounters::default());
        let stops = stop.clone().drop_guard();
        thread::scope(|scope| {
            scope.spawn(|| {
                serve(
                    &sockets[0],
                    coalesce,
                    &counters,
                    &stop,
                    || (),
                    |(), exchanges| {
                        for Exchange { packet, peer, out, octets } in exchanges {
                            out[..packet.len()].copy_from_slice(packet);
                            *octets = peer.map(|_| packet.len());
                        }
                    },
                );
            });
            ask(port);
            drop(stops);
        });
    }

    fn client(local: &str, server: &str) -> UdpSocket {
        let socket = UdpSocket::bind(local).expect("bound");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        // Connected: an answer from another address than the one that was asked does not arrive.
        socket.connect(server).expect("connected");
        socket
    }

    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        for (bind_to, local, asked) in [
            ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2"),
            ("[::]:0", "[::1]:0", "[::1]"),
            ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
        ] {
            for coalesce in [false, true] {
                with_server(bind_to, coalesce, |port| {
                    let client = client(local, &format!("{asked}:{port}"));
                    client.send(b"who are you?").expect("sent");
                    let mut reply = [0; 64];
                    let octets = client.recv(&mut reply).unwrap_or_else(|error| panic!("{asked}: {error}"));
                    assert_eq!(&reply[..octets], b"who are you?");
                });
            }
        }
    }

    #[test]
    fn every_one_of_many_questions_is_answered_to_its_asker() {
        for (bind_to, coalesce) in [("127.0.0.1:0", true), ("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
            with_server(bind_to, coalesce, |port| {
                let server = format!("127.0.0.1:{port}");
                let clients: Vec<UdpSocket> = (0..5).map(|_| client("127.0.0.1:0", &server)).collect();
                let question = |client: usize, number: usize| vec![client as u8 + 10 * number as u8; 100 + number % 3];
                for round in 0..10 {
                    for number in 0..20 {
                        for (at, client) in clients.iter().enumerate() {
                            client.send(&question(at, number)).expect("sent");
                        }
                    }
                    for (at, client) in clients.iter().enumerate() {
                        let mut expected: Vec<_> = (0..20).map(|number| question(at, number)).collect();
                        for left in (1..=20).rev() {
                            let mut reply = [0; 256];
                            let octets =
                                client.recv(&mut reply).unwrap_or_else(|error| panic!("{round}, {left} left: {error}"));
                            let found = expected.iter().position(|one| *one == reply[..octets]);
                            expected.swap_remove(found.expect("an answer of one's own, once"));
                        }
                    }
                }
            });
        }
    }

    #[test]
    fn a_message_over_the_buffer_is_dropped_and_the_next_one_answered() {
        with_server("127.0.0.1:0", true, |port| {
            let client = client("127.0.0.1:0", &format!("127.0.0.1:{port}"));
            client.send(&[1; 4000]).expect("sent");
            client.send(&[]).expect("sent");
            client.send(&[2; mmsg::OCTETS]).expect("sent");
            let mut reply = [0; 8000];
            assert_eq!(client.recv(&mut reply).expect("an answer"), mmsg::OCTETS);
            assert_eq!(reply[0], 2);
        });
    }

    #[test]
    fn an_address_that_another_server_answers_on_is_refused() {
        let taken = bind("127.0.0.1:0".parse().expect("an address"), 2).expect("bound");
        let address = taken[0].local_addr().expect("an address");
        assert_eq!(bind(address, 2).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
