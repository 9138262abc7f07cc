//! What HTTP and the command line say in JSON: the shapes as plain texts and numbers, and the two ways across.
//!
//! Answers ([`Record`], [`EventJson`], [`Plan`], [`Problem`] …) are made from the vocabulary and read by clients, which
//! ignore members they do not know, because members may be added. Requests ([`RecordInput`], [`ChangeSet`],
//! [`ZoneInput`], [`RestoreInput`], [`RevertInput`]) refuse unknown members; what their texts mean is read at the door of the commands (`decide::input` in
//! `api`), which lists everything that is wrong. `schemas/json/*.schema.json` say the same to other programs; a test
//! (`tests/documents.rs`) holds the two together.

mod bisect;
mod blame;
mod change_set;
mod event;
mod node;
mod plan;
mod problem;
mod proof;
mod record;
mod rollback;
mod zone;

pub use bisect::{Bisect, ShortAnswer};
pub use blame::BlameRow;
pub use change_set::{ChangeInput, ChangeSet, Op};
pub use event::{ChangeJson, EventJson, EventZone, HistoryEntry};
pub use node::{Health, Lookup, NotShown, Ready, ViewStatus};
pub use plan::{ApplyTo, Conflict, Plan, Summary, Warning};
pub use problem::{Problem, ProblemError};
pub use proof::{AnchorCheck, CheckProgress, LedgerCopy, ReplayJson, VerifyJson, ViewCheck};
pub use record::{EventNote, Record, RecordInput, SetJson};
pub use rollback::{RestoreInput, RevertInput};
pub use zone::{Secondary, ZoneInput, ZoneJson};

/// For serde: a flag that is left out when it is false.
fn is_false(flag: &bool) -> bool {
    !flag
}
