//! The shared vocabulary of Conn3ction.
//!
//! What every other crate speaks: owner names ([`Name`]), record types ([`RecordType`]), rdata ([`Rdata`]), TTLs,
//! serials, record sets ([`RecordSet`]), revisions, moments ([`When`]) and events ([`event`]) with their stored form.
//!
//! Promises:
//! - A value of these types is always valid: it was parsed at the door, nobody checks again.
//! - Names and embedded names are lower case and uncompressed (RFC 4034 section 6.2), so equal means equal bytes.
//! - The stored form of events is for ever: the golden files in `golden` are read by every later version.
//!
//! What this crate does not know: sockets, tokio, HTTP, etcd, DNS messages.

pub mod event;
pub mod json;
mod name;
pub mod rdata;
mod record_set;
mod record_type;
mod revision;
mod serial;
mod time;
mod ttl;
mod when;
pub mod zonefile;

pub use event::{Actor, Delta, EventHeader, Kind, ZoneChange};
pub use name::{Name, NameError, NameRef};
pub use rdata::{Rdata, RdataError, Soa};
pub use record_set::{RecordSet, RecordSetError, RecordSetRef, SetKey};
pub use record_type::RecordType;
pub use revision::{Epoch, Revision, Token};
pub use serial::Serial;
pub use time::Timestamp;
pub use ttl::{Ttl, TtlOutOfRange};
pub use when::{When, WhenError};
