//! Conn3ction: a DNS control plane that remembers. This crate is the node: HTTP, the committer's decisions, the command
//! line, and the wiring of ledger, projections and responder.
//!
//! - [`config`]: settings, checked before a port is bound.
//! - [`decide`]: pure: state + command -> event or refusal.
//! - [`app`]: build, spawn, drain; [`Node::builder`] embeds a node in another program.
//! - [`moment`]: what people write (`r1041`, a time, an age) becomes a state that can be read.
//! - [`proof`]: the chain and every view held against the ledger.
//! - [`past`]: the history of a zone in git or in dated files becomes events.
//! - [`http`]: routes by resource; [`http::problem`] is the one place where an error becomes a status code.
//! - [`cli`]: the command line by verb, a client of the HTTP surface.
//!
//! `http` and `decide` do not know which ledger they were given.

pub mod app;
mod at_once;
mod auth;
mod builder;
pub mod cli;
pub mod config;
pub mod decide;
mod headers;
pub mod http;
pub mod import;
pub mod migrate;
pub mod moment;
pub mod past;
mod path;
pub mod plan;
pub mod proof;
mod responder;
pub mod rollback;
#[cfg(feature = "etcd")]
mod sweep;

pub use app::Node;
pub use auth::check as check_token_file;
pub use builder::Builder;
