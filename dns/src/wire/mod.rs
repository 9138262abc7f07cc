//! DNS messages: queries in, replies out. Bounded, without allocation, and no octets can make them fail.

mod message;
mod query;
mod record;

pub(crate) use message::{Full, Message, Owner, Placed, header_only};
pub(crate) use query::{Parsed, Query, Rcode, parse};
pub(crate) use record::{Record, read_name, read_record};
