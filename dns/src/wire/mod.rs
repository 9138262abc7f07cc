//! DNS messages: queries in, replies out. Bounded, without allocation, and no octets can make them fail.

mod message;
mod query;

pub(crate) use message::{Full, Message, Owner, Placed, header_only};
pub(crate) use query::{Parsed, Query, Rcode, parse};
