//! A versioned, in-memory answer store and an authoritative DNS responder.
//!
//! - [`store`]: every record set of every zone at every version. One [`store::Writer`] places the nodes of an event and
//!   publishes its number with one atomic store; readers take a [`store::View`] and never wait, nor see half an event.
//! - [`answer()`]: a query to a whole reply, whatever the query holds ([RFC 1034 section 4.3.2]).
//! - [`server`]: the responder as a process runs it: UDP by plain threads and batched calls, TCP, zone transfer out,
//!   NOTIFY. `examples/serve.rs` is the whole of what it needs.
//!
//! - [`trace`]: an answer taken apart, with the path that it took.
//! - [`trail`]: the versions that changed an answer, wherever on its path they did so.
//! - [`transfer::pull`]: another server's zone, whole, to be held against ours.
//! - [`History`]: who may ask about the past (EDNS option 65353, names under `asof.`), and who finds the moments.
//!
//! What this crate does not know: the ledger, etcd, clocks. It knows [`store::Version`], a number that only rises.
//!
//! [RFC 1034 section 4.3.2]: https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2

pub mod answer;
mod lookup;
mod notify;
mod past;
pub mod server;
pub mod store;
mod tcp;
pub mod trace;
pub mod trail;
pub mod transfer;
mod udp;
mod wire;

pub use answer::{Transport, answer};
pub use notify::Secondaries;
pub use past::{
    BadSuffix, EventNote, Exchange, History, Moment, Moments, NoMoment, Suffix, answer as answer_with_history,
    answer_all,
};
pub use server::Server;
pub use store::{OwnerView, SetView, Store, Version, View, Writer, ZoneView};
pub use transfer::asks_for_transfer;
