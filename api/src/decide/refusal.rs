//! Why a command is not done: every bad item, where it stands and how to mend it.

use conn3ction_schemas::Revision;

/// A refused command. The state is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// What kind of problem; of several the first one's.
    pub kind: RefusalKind,
    /// All in one line.
    pub detail: String,
    /// Every bad item, at most [`Refusal::MAX_ITEMS`].
    pub items: Vec<BadItem>,
}

/// The kind of problem: a variant exists because a client acts differently. Status codes are chosen at the HTTP edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// A set to be created exists.
    RecordExists,
    /// A zone to be created exists.
    ZoneExists,
    /// A set or value is not there.
    RecordNotFound,
    /// A zone is not there.
    ZoneNotFound,
    /// Several sets fit; the items list them.
    TypeNeeded,
    /// A CNAME beside other data, or two.
    CnameConflict,
    /// Something in the command's scope changed after the revision expected.
    ChangedSince,
    /// The ledger has not reached the revision expected.
    MomentNotYet,
    /// What an event changed was changed again later.
    RevertConflict,
    /// A name in no zone of ours.
    OutsideZones,
    /// The zone as a whole forbids it.
    ZoneRule,
    /// A name, type, TTL or value that is not valid.
    InvalidRecord,
    /// The idempotency key was used for another request.
    KeyReused,
    /// More than one command may change.
    TooLarge,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadItem {
    /// What kind of problem this one is.
    pub kind: RefusalKind,
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub detail: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// Where a bad item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer into the body (RFC 6901); empty for the whole.
    Pointer(String),
    /// A place in a master file, both counted from 1.
    Line {
        /// The line.
        line: u64,
        /// The column in octets.
        column: u64,
    },
    /// A key of the service whose data is taken over.
    Key(String),
}

impl BadItem {
    /// An item at a JSON pointer.
    pub fn at(kind: RefusalKind, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, place: Place::Pointer(pointer.into()), detail: detail.into(), hint: None }
    }

    /// With a way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Refusal {
    /// Items beyond this are counted, not listed.
    pub const MAX_ITEMS: usize = 1_000;

    /// A refusal of one item.
    pub fn one(item: BadItem) -> Self {
        Self { kind: item.kind, detail: item.detail.clone(), items: vec![item] }
    }

    /// A refusal of all `items`, which are in their order in the request; `None` if there are none.
    pub fn of(mut items: Vec<BadItem>) -> Option<Self> {
        let first = items.first()?;
        let kind = first.kind;
        let detail = match items.len() {
            1 => first.detail.clone(),
            count => format!("{} (and {} more)", first.detail, count - 1),
        };
        items.truncate(Self::MAX_ITEMS);
        Some(Self { kind, detail, items })
    }

    /// Something in scope changed.
    pub(crate) fn changed_since(pointer: &str, what: &str, expected: Revision, actual: Revision) -> BadItem {
        BadItem::at(RefusalKind::ChangedSince, pointer, format!("{what} changed at {actual}, after {expected}"))
            .hint("read it again, then ask again with that revision")
    }
}
