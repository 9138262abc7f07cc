//! A closed-loop load: every client socket keeps a fixed number of questions in flight. Bounded in time and count.

#![expect(unsafe_code, reason = "the load must cost less than what it measures: recvmmsg and sendmmsg")]

use std::{
    io, mem,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

const BATCH: usize = 64;
const OCTETS: usize = 1344;

/// What a load brought.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) answers: u64,
    pub(crate) by_rcode: [u64; 16],
    /// Questions that were given up.
    pub(crate) lost: u64,
    pub(crate) seconds: f64,
}

/// Asks `server` from `sockets` sockets with `in_flight` questions in all, for `duration`.
pub(crate) fn run(
    server: SocketAddr,
    questions: &[Vec<u8>],
    sockets: usize,
    in_flight: usize,
    duration: Duration,
) -> io::Result<Load> {
    let clients: Vec<UdpSocket> = (0..sockets).map(|_| client(server)).collect::<io::Result<_>>()?;
    let window = (in_flight / sockets).clamp(1, BATCH);
    let mut calls = Calls::new();
    let mut next = 0usize;
    let mut flying = vec![0usize; sockets];
    let mut moved = vec![Instant::now(); sockets];
    let mut load = Load::default();
    let begin = Instant::now();
    while begin.elapsed() < duration {
        for (at, socket) in clients.iter().enumerate() {
            let got = calls.receive(socket, &mut load);
            flying[at] = flying[at].saturating_sub(got);
            if got > 0 {
                moved[at] = Instant::now();
            } else if flying[at] > 0 && moved[at].elapsed() > Duration::from_millis(300) {
                load.lost += flying[at] as u64;
                flying[at] = 0;
            }
            // Half a window at a time: fewer and fuller calls, as a busy forwarder makes them.
            if flying[at] * 2 <= window {
                let sent = calls.send(socket, questions, &mut next, window - flying[at]);
                flying[at] += sent;
                moved[at] = Instant::now();
            }
        }
    }
    load.seconds = begin.elapsed().as_secs_f64();
    Ok(load)
}

fn client(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Answers every datagram with itself: what the kernel's part of an answer costs. Never returns but by an error.
pub(crate) fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffers = vec![[0u8; OCTETS]; BATCH];
    let mut names = vec![[0u64; 4]; BATCH];
    loop {
        // SAFETY: zeroes are a value of both structs.
        let (mut headers, mut vectors) =
            unsafe { (mem::zeroed::<[libc::mmsghdr; BATCH]>(), mem::zeroed::<[libc::iovec; BATCH]>()) };
        for at in 0..BATCH {
            vectors[at] = libc::iovec { iov_base: buffers[at].as_mut_ptr().cast(), iov_len: OCTETS };
            headers[at].msg_hdr.msg_iov = &mut vectors[at];
            headers[at].msg_hdr.msg_iovlen = 1;
            headers[at].msg_hdr.msg_name = names[at].as_mut_ptr().cast();
            headers[at].msg_hdr.msg_namelen = 32;
        }
        // SAFETY: the headers point into buffers of this function that outlive the call.
        let count = unsafe {
            let flags = libc::MSG_WAITFORONE as _;
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), BATCH as _, flags, std::ptr::null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for at in 0..count {
            vectors[at].iov_len = headers[at].msg_len as usize;
            buffers[at][2] |= 0x80;
        }
        // SAFETY: as above.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as _, 0) };
    }
}

/// Buffers for the calls of the load.
struct Calls {
    buffers: Vec<[u8; OCTETS]>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
}

impl Calls {
    fn new() -> Self {
        // SAFETY: zeroes are a value of both structs.
        let (header, vector) = unsafe { (mem::zeroed::<libc::mmsghdr>(), mem::zeroed::<libc::iovec>()) };
        Self { buffers: vec![[0; OCTETS]; BATCH], headers: vec![header; BATCH], vectors: vec![vector; BATCH] }
    }

    fn aim(&mut self, count: usize) {
        for (header, vector) in self.headers[..count].iter_mut().zip(&mut self.vectors) {
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
    }

    fn receive(&mut self, socket: &UdpSocket, load: &mut Load) -> usize {
        for (vector, buffer) in self.vectors.iter_mut().zip(&mut self.buffers) {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: OCTETS };
        }
        self.aim(BATCH);
        // SAFETY: the headers point into buffers of `self`, which is borrowed for the call.
        let count = unsafe {
            let flags = libc::MSG_DONTWAIT as _;
            libc::recvmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), BATCH as _, flags, std::ptr::null_mut())
        };
        let count = usize::try_from(count).unwrap_or(0);
        for buffer in &self.buffers[..count] {
            load.by_rcode[buffer[3] as usize & 15] += 1;
        }
        load.answers += count as u64;
        count
    }

    fn send(&mut self, socket: &UdpSocket, questions: &[Vec<u8>], next: &mut usize, count: usize) -> usize {
        for vector in &mut self.vectors[..count] {
            let question = &questions[*next % questions.len()];
            *next += 1;
            *vector = libc::iovec { iov_base: question.as_ptr().cast_mut().cast(), iov_len: question.len() };
        }
        self.aim(count);
        // SAFETY: as above; sendmmsg only reads the questions.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as _, 0) };
        usize::try_from(sent).unwrap_or(0)
    }
}
