//! Folds the ledger into views.
//!
//! A view is a value, the revision that it reflects and its [`Digest`], moved together:
//! - **answers** ([`Projector`], in memory): every zone at every version, what the responder and the commands read;
//! - **records**: record sets as JSON in a local store, a cache that may be deleted at any time, and their **mirror**
//!   in etcd;
//! - **zone keys** ([`zone_keys`]): what CoreDNS and scripts read in etcd.
//!
//! Promises:
//! - A fold ([`Projection`]) cannot fail and knows no clock, randomness or map order: the same events give the same
//!   view and digest, live or rebuilt from zero, however the bodies are cut.
//! - Readers see an event as a whole (in etcd: an owner as a whole, where an event is too large for a transaction).
//! - Nothing is skipped: a damaged ledger stops a view at its last good state and is reported.
//! - A stored view's [`Checkpoint`] moves in the write that changes it; any number of processes may write one.
//!
//! What this crate does not know: HTTP, how answers are sent, what commands mean.

mod answers;
mod attached;
mod checkpoint;
mod claim;
mod content;
mod digest;
#[cfg(feature = "etcd")]
mod etcd_view;
mod follow;
mod key_view;
mod keys;
mod mirror;
#[cfg(feature = "etcd")]
mod not_shown;
mod notes;
mod prefix;
mod progress;
mod projection;
mod projector;
mod rebuild;
mod records;
mod replay;
mod sealing;
pub mod zone_keys;

pub use answers::{HeadState, SharedHead, ZoneState};
pub use checkpoint::{Checkpoint, Part};
pub use claim::{Checked, Claim, claims_in};
pub use content::{Content, digest as content_digest};
pub use digest::{Digest, EntryHash};
pub use key_view::{KeyView, OwnerStep, ZoneStep};
pub use keys::{Keys, Seen};
pub use mirror::Mirror;
#[cfg(feature = "etcd")]
pub use not_shown::NotShown;
pub use notes::{Note, Notes};
pub use prefix::{Prefix, PrefixError, check_prefixes};
pub use progress::{Condition, NotReached, Progress, ViewName, Watcher};
pub use projection::Projection;
#[cfg(feature = "etcd")]
pub use projector::EtcdConfig;
pub use projector::{Config, Handle, Projector, Seal, SpawnError};
pub use rebuild::{RebuildError, Rebuilt};
pub use records::{make_records, read_records};
pub use replay::Replay;

use answers::Answers;
