//! The responder on real sockets: right answers, patient, impatient and malicious clients, and transfers as other servers
//! pull them.

mod bad_packets;
mod differential;
#[path = "../../../tests/src/free.rs"]
mod free;
mod random;
mod responder;
mod sockets;
mod transfer;
