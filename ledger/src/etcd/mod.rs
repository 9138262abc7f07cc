//! A log in etcd: the key range is the truth, the watch a doorbell.
//!
//! [`Client`] is the way to etcd for everything of ours that is stored there: one member at a time, a deadline on every
//! call, and errors that say whether a write may have been done.

mod backoff;
mod call;
mod client;
mod config;

pub use backoff::Backoff;
pub use call::CallError;
pub use client::Client;
pub use config::{ClientConfig, ConfigError, Password};
/// The library that [`Client`]'s requests and answers belong to.
pub use etcd_client;
