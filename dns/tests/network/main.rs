//! The responder on real sockets: patient, impatient and malicious clients, and transfers as other servers pull them.

mod responder;
mod sockets;
mod transfer;
