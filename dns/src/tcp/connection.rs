use super::{Shared, seats::Seat};
use crate::{
    answer::Transport,
    past,
    transfer::{self, Sink},
};
use std::{
    io,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Answers that are gathered before they are written; more wait for the client to read.
const GATHER: usize = 64 << 10;
/// The longest DNS message over TCP.
const MESSAGE: usize = 65_535;

/// Answers one connection until its client leaves, breaks a rule or is too slow, the seat is needed, or `stop`.
pub(super) async fn serve(stream: TcpStream, peer: IpAddr, seat: Seat, shared: Arc<Shared>, stop: CancellationToken) {
    shared.counters.tcp_open.fetch_add(1, Relaxed);
    // An answer is one write already; waiting for more would only delay it.
    let _ = stream.set_nodelay(true);
    let mut connection =
        Connection { stream, peer, seat: &seat, shared: &shared, input: Vec::new(), output: Vec::new() };
    tokio::select! {
        () = seat.evicted() => {}
        () = stop.cancelled() => {}
        ended = connection.run() => if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a TCP connection ended");
        },
    }
    shared.counters.tcp_open.fetch_sub(1, Relaxed);
}

struct Connection<'a> {
    stream: TcpStream,
    peer: IpAddr,
    seat: &'a Seat,
    shared: &'a Shared,
    /// What has arrived and is not answered yet: at most one message and one read.
    input: Vec<u8>,
    /// Framed answers that are not written yet: at most [`GATHER`] and one message.
    output: Vec<u8>,
}

impl Connection<'_> {
    async fn run(&mut self) -> io::Result<()> {
        let mut deadline = Instant::now() + self.shared.limits.idle_timeout;
        loop {
            if self.answer_what_is_there().await? {
                self.flush().await?;
                deadline = Instant::now() + self.shared.limits.idle_timeout;
            }
            self.seat.waits();
            self.input.reserve(512);
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.input)).await;
            match read {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Answers every whole message; says whether there was one.
    async fn answer_what_is_there(&mut self) -> io::Result<bool> {
        let mut from = 0;
        while let Some(message) = frame(&self.input[from..]) {
            let message = from + 2..from + 2 + message;
            from = message.end;
            self.seat.works();
            self.answer(message).await?;
            if self.output.len() >= GATHER {
                self.flush().await?;
            }
        }
        self.input.drain(..from);
        if self.input.is_empty() && self.input.capacity() > 4096 {
            self.input = Vec::new();
        }
        Ok(from > 0)
    }

    async fn answer(&mut self, message: std::ops::Range<usize>) -> io::Result<()> {
        let shared = self.shared;
        let view = shared.source.view();
        let query = &self.input[message];
        if let Some(request) = transfer::Request::parse(query)
            && let Some(of) = past::transferred(shared.history.as_deref(), &view, query, self.peer)
        {
            self.flush().await?;
            let seat = self.seat;
            let moved = || seat.works();
            let mut sink = Sink { stream: &mut self.stream, limit: shared.limits.write_timeout, moved: &moved };
            return shared.transfers.serve(&request, self.peer, &of, &shared.counters, &mut sink).await;
        }
        let mut seen = shared.counters.tcp.batch(1);
        let start = self.output.len();
        self.output.resize(start + 2 + MESSAGE, 0);
        let out = &mut self.output[start + 2..];
        let octets = past::answer(shared.history.as_deref(), &view, query, self.peer, Transport::Tcp, out);
        if let Some(octets) = octets {
            self.output[start..start + 2].copy_from_slice(&(octets as u16).to_be_bytes());
            self.output.truncate(start + 2 + octets);
            seen.answered(query.len(), &self.output[start + 2..]);
        } else {
            self.output.truncate(start);
        }
        seen.sent(0);
        // Who sends what has no answer (a response, an octet or two) is no DNS client.
        octets.map(|_| ()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Writes the answers that wait.
    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        timeout(self.shared.limits.write_timeout, self.stream.write_all(&self.output)).await??;
        self.output = Vec::new();
        Ok(())
    }
}

/// The length of the whole message at the start of `input`, its two octets of length not counted (RFC 1035 4.2.2).
fn frame(input: &[u8]) -> Option<usize> {
    let length = u16::from_be_bytes(*input.first_chunk()?) as usize;
    (input.len() - 2 >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_when_the_whole_of_it_is_there() {
        assert_eq!(frame(&[]), None);
        assert_eq!(frame(&[0]), None);
        assert_eq!(frame(&[0, 0]), Some(0));
        assert_eq!(frame(&[0, 2, 1]), None);
        assert_eq!(frame(&[0, 2, 1, 2, 3]), Some(2));
        assert_eq!(frame(&[0xff, 0xff, 0]), None);
    }
}
