//! The responder on real sockets: right answers, patient, impatient and malicious clients, and transfers as other servers
//! pull them.

mod bad_packets;
mod differential;
#[path = "../../../tests/src/ports.rs"]
mod ports;
mod random;
mod responder;
mod sockets;
mod transfer;
