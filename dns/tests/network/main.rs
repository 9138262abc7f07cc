//! The responder on real sockets: right answers, patient, impatient and malicious clients, and transfers as other servers
//! pull them.

mod differential;
mod random;
mod responder;
mod sockets;
mod transfer;
