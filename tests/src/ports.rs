//! Ports for servers that the tests start; the tests of the crates take in this file, too.

#![allow(unreachable_pub, reason = "public where it is part of a library")]

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

/// A loopback address whose port is free for UDP and TCP. It is below the ports that the system gives out by itself, so
/// that no connection takes it before the server does that is to listen there.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 37;
    loop {
        let port = 10_000 + (start + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}
