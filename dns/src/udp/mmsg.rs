//! The one module with `unsafe`: batched receiving and sending, and three socket and thread settings that socket2 lacks.
//!
//! What makes it sound:
//! - All buffers belong to the [`Batch`] and outlive every call; the kernel is given pointers made anew for each call and
//!   keeps none after it returns.
//! - Every length the kernel reports is cut to the buffer it speaks of before it is used.
//! - Addresses and control messages are plain octets here; they are read and written by safe code.

#![expect(unsafe_code, reason = "recvmmsg, sendmmsg, setsockopt and sched_setaffinity have no safe form")]
#![cfg_attr(target_env = "gnu", expect(clippy::unnecessary_cast, reason = "musl has other integers in msghdr"))]

use super::{coalesce::Runs, ip_of};
use crate::past::{Exchange, LOT};
use std::{io, mem, net::UdpSocket, os::fd::AsRawFd};

/// Messages of one batch.
pub(super) const BATCH: usize = 64;
/// Octets of one message, in and out: above the 1,232 that we offer (RFC 9715), and an odd number of cache lines, so
/// that the buffers of a batch do not fall on the same cache sets.
pub(super) const OCTETS: usize = 21 * 64;
/// The longest socket address, `sockaddr_in6`.
const ADDRESS: usize = mem::size_of::<libc::sockaddr_in6>();
/// Octets for IPV6_PKTINFO (40) and UDP_SEGMENT (24).
const CONTROL: usize = 64;
/// Where a control message's octets begin, and the unit its length is rounded up to.
const CONTROL_HEADER: usize = mem::size_of::<libc::cmsghdr>();

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Aligned<const N: usize>([u8; N]);

/// The buffers of one thread and socket: what was asked, by whom, and what to answer.
pub(super) struct Batch {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[Aligned<32>]>,
    address_lengths: [usize; BATCH],
    control: Box<[Aligned<CONTROL>]>,
    control_lengths: [usize; BATCH],
    input: Box<[[u8; OCTETS]]>,
    /// Octets received, 0 for a message that did not fit its buffer.
    input_lengths: [usize; BATCH],
    output: Box<[[u8; OCTETS]]>,
    output_lengths: [usize; BATCH],
    received: usize,
    /// The slots that have an answer, in the order in which they were received.
    answered: Vec<u8>,
    runs: Runs,
    coalesce: bool,
}

/// What became of the answers of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) answers: usize,
    pub(super) dropped: usize,
}

impl Batch {
    /// Buffers that send answers of one length to one peer as one message (UDP_SEGMENT) if `coalesce`.
    pub(super) fn new(coalesce: bool) -> Self {
        // SAFETY: both structs are integers and pointers, for which all zeroes is a value.
        let (header, vector) = unsafe { (mem::zeroed::<libc::mmsghdr>(), mem::zeroed::<libc::iovec>()) };
        Self {
            headers: vec![header; BATCH].into(),
            vectors: vec![vector; BATCH].into(),
            addresses: vec![Aligned([0; 32]); BATCH].into(),
            address_lengths: [0; BATCH],
            control: vec![Aligned([0; CONTROL]); BATCH].into(),
            control_lengths: [0; BATCH],
            input: vec![[0; OCTETS]; BATCH].into(),
            input_lengths: [0; BATCH],
            output: vec![[0; OCTETS]; BATCH].into(),
            output_lengths: [0; BATCH],
            received: 0,
            answered: Vec::with_capacity(BATCH),
            runs: Runs::new(),
            coalesce,
        }
    }

    /// Waits for one message at least and takes what else is there, at most [`BATCH`]; gives their number.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the socket's receive timeout, else as `recvmmsg(2)`.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.received = 0;
        self.answered.clear();
        let buffers = self.input.iter_mut().zip(self.addresses.iter_mut()).zip(self.control.iter_mut());
        let headers = self.headers.iter_mut().zip(self.vectors.iter_mut());
        for (((input, address), control), (header, vector)) in buffers.zip(headers) {
            *vector = libc::iovec { iov_base: input.as_mut_ptr().cast(), iov_len: OCTETS };
            header.msg_len = 0;
            header.msg_hdr.msg_name = address.0.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = ADDRESS as _;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: `headers` holds BATCH headers; each names one vector, one address of 32 >= ADDRESS octets and one
        // control buffer of CONTROL octets, all owned by `self`, which is borrowed mutably for the whole call. A null
        // timeout is allowed.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as _,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?.min(BATCH);
        for (slot, header) in self.headers[..count].iter().enumerate() {
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.input_lengths[slot] = if cut { 0 } else { (header.msg_len as usize).min(OCTETS) };
            self.address_lengths[slot] = (header.msg_hdr.msg_namelen as usize).min(ADDRESS);
            let control = &mut self.control[slot].0;
            let received = (header.msg_hdr.msg_controllen as usize).min(CONTROL);
            self.control_lengths[slot] = reply_control(&mut control[..received]);
        }
        self.received = count;
        Ok(count)
    }

    /// Hands the messages to `answer`, a few at a time. Source port 0 cannot be answered: nobody listens there.
    pub(super) fn answer(&mut self, mut answer: impl FnMut(&mut [Exchange<'_>])) {
        for (nth, outputs) in self.output[..self.received].chunks_mut(LOT).enumerate() {
            let (first, count) = (nth * LOT, outputs.len());
            let mut exchanges: [Exchange<'_>; LOT] = Default::default();
            for ((exchange, out), slot) in exchanges.iter_mut().zip(outputs).zip(first..) {
                let peer = &self.addresses[slot].0[..self.address_lengths[slot]];
                let packet = &self.input[slot][..self.input_lengths[slot]];
                let is_answered = !packet.is_empty() && peer.len() >= 8 && peer[2..4] != [0, 0];
                *exchange = Exchange { packet, peer: is_answered.then(|| ip_of(peer)), out, octets: None };
            }
            answer(&mut exchanges[..count]);
            for (exchange, slot) in exchanges.iter().zip(first..) {
                if let Some(octets) = exchange.octets {
                    self.output_lengths[slot] = octets.min(OCTETS);
                    self.answered.push(slot as u8);
                }
            }
        }
    }

    /// Sends the answers, each to its peer from the address that was asked.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> Sent {
        let mut sent = Sent { answers: 0, dropped: 0 };
        if self.coalesce {
            let (addresses, lengths) = (&self.addresses, &self.output_lengths);
            let (control, control_lengths) = (&self.control, &self.control_lengths);
            let peer = |slot: u8| {
                let slot = slot as usize;
                (lengths[slot], &addresses[slot].0, &control[slot].0[..control_lengths[slot]])
            };
            self.runs.group(&mut self.answered, lengths, peer);
        } else {
            self.runs.single(self.answered.len());
        }
        let mut from = 0;
        for index in 0..self.runs.len() {
            from = self.prepare(index, from);
        }
        let mut next = 0;
        while next < self.runs.len() {
            // SAFETY: `prepare` filled the headers up to `runs.len()` just above with pointers into buffers of `self`,
            // which is borrowed mutably and not touched until the call returns.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers[next..].as_mut_ptr(),
                    (self.runs.len() - next) as _,
                    libc::MSG_NOSIGNAL as _,
                )
            };
            match usize::try_from(count) {
                Ok(count) if count > 0 => {
                    sent.answers +=
                        (next..next + count).map(|run| self.runs.slots(run, &self.answered).len()).sum::<usize>();
                    next += count;
                }
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // The first of the rest cannot be sent: leave it (its asker asks again) and go on behind it.
                _ => {
                    let lost = self.runs.slots(next, &self.answered).len();
                    // A route that cannot segment (IPsec, a small MTU) refuses a run; one by one may still go.
                    self.coalesce &= lost == 1;
                    sent.dropped += lost;
                    next += 1;
                }
            }
        }
        sent
    }

    /// Fills the header of run `index`, whose vectors begin at `from`; gives where the next one's begin.
    fn prepare(&mut self, index: usize, from: usize) -> usize {
        let slots = self.runs.slots(index, &self.answered);
        let first = slots[0] as usize;
        for (vector, &slot) in self.vectors[from..].iter_mut().zip(slots) {
            let slot = slot as usize;
            *vector =
                libc::iovec { iov_base: self.output[slot].as_mut_ptr().cast(), iov_len: self.output_lengths[slot] };
        }
        let mut control = self.control_lengths[first];
        if slots.len() > 1 {
            let size = (self.output_lengths[first] as u16).to_ne_bytes();
            control += write_control(&mut self.control[first].0[control..], libc::SOL_UDP, libc::UDP_SEGMENT, &size);
        }
        let header = &mut self.headers[index];
        header.msg_len = 0;
        header.msg_hdr.msg_name = self.addresses[first].0.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = self.address_lengths[first] as _;
        header.msg_hdr.msg_iov = &mut self.vectors[from];
        header.msg_hdr.msg_iovlen = slots.len() as _;
        header.msg_hdr.msg_control = self.control[first].0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = control as _;
        header.msg_hdr.msg_flags = 0;
        from + slots.len()
    }
}

/// Turns what came with a message (the address it was sent to, on a wildcard socket) into what must go with the answer,
/// so that it leaves from that address; gives its length. The interface is left to the routes but for link-local peers.
fn reply_control(control: &mut [u8]) -> usize {
    let Some(header) = control.get(..CONTROL_HEADER) else { return 0 };
    let word = |at: usize| i32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (level, kind) = (word(CONTROL_HEADER - 8), word(CONTROL_HEADER - 4));
    let octets = match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => 12,
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => 20,
        _ => return 0,
    };
    let Some(info) = control.get_mut(CONTROL_HEADER..CONTROL_HEADER + octets) else { return 0 };
    if octets == 12 {
        info[..4].fill(0);
    } else if info[..2] != [0xfe, 0x80] {
        info[16..].fill(0);
    }
    control_space(octets)
}

/// Writes one control message; gives the octets it takes.
fn write_control(to: &mut [u8], level: libc::c_int, kind: libc::c_int, value: &[u8]) -> usize {
    to[..CONTROL_HEADER - 8].copy_from_slice(&(CONTROL_HEADER + value.len()).to_ne_bytes());
    to[CONTROL_HEADER - 8..CONTROL_HEADER - 4].copy_from_slice(&level.to_ne_bytes());
    to[CONTROL_HEADER - 4..CONTROL_HEADER].copy_from_slice(&kind.to_ne_bytes());
    to[CONTROL_HEADER..CONTROL_HEADER + value.len()].copy_from_slice(value);
    control_space(value.len())
}

/// The octets of a control message with `octets` of content, as `CMSG_SPACE` reckons them.
const fn control_space(octets: usize) -> usize {
    (CONTROL_HEADER + octets).next_multiple_of(mem::size_of::<usize>())
}

/// Sets a socket option that is one integer.
pub(super) fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to a live integer of the size that is given.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Keeps the calling thread on the `nth` of the processors that it may use (counted round).
pub(super) fn pin_thread(nth: usize) -> io::Result<()> {
    // SAFETY: a cpu_set_t is a bit set; all zeroes is the empty one.
    let mut allowed = unsafe { mem::zeroed::<libc::cpu_set_t>() };
    let size = mem::size_of::<libc::cpu_set_t>();
    // SAFETY: `allowed` is a whole cpu_set_t of the size that is given; 0 is the calling thread.
    if unsafe { libc::sched_getaffinity(0, size, &mut allowed) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every index is below CPU_SETSIZE.
    let usable = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
    let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(usable).collect();
    let Some(&cpu) = cpus.get(nth % cpus.len().max(1)) else { return Ok(()) };
    // SAFETY: as above; `cpu` is below CPU_SETSIZE, and `one` is a whole cpu_set_t.
    let done = unsafe {
        let mut one = mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cpu, &mut one);
        libc::sched_setaffinity(0, size, &one)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
