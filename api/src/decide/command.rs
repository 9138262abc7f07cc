//! Commands: what somebody wants changed, parsed but not yet held against the state.

use std::sync::Arc;

use conn3ction_schemas::{
    Name, Rdata, RecordType, Revision, Ttl,
    event::{Actor, Idempotency},
};
use uuid::Uuid;

use super::planned::Planned;

/// A request to change something: who asks and what for.
#[derive(Debug, Clone)]
pub struct Command {
    /// Who asks, how and under which conditions.
    pub envelope: Envelope,
    /// What for.
    pub intent: Intent,
}

/// What every command carries, whatever it wants.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The id of the event that may come of it, UUID v7.
    pub event_id: Uuid,
    /// Who.
    pub actor: Actor,
    /// Through which door: `rest`, `import`, `migrate:/prefix` ...
    pub source: String,
    /// The correlation id.
    pub request_id: String,
    /// What makes a retry recognisable; one name space per actor.
    pub idempotency: Option<Idempotency>,
    /// Why.
    pub reason: Option<String>,
    /// Refuse if anything in the command's own scope changed after this revision.
    pub expected_revision: Option<Revision>,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub enum Intent {
    /// Create, replace or delete record sets or single values, in this order, as one event.
    ChangeRecords(Vec<Change>),
    /// Make a zone with its SOA and NS.
    CreateZone(NewZone),
    /// Delete a zone of at most [`super::MAX_DELTAS`] sets with all its data; larger ones are planned.
    DeleteZone(Name),
    /// Something large, planned outside the committer on an earlier revision.
    Planned(Arc<Planned>),
}

/// One change of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it stands in the request, a JSON pointer such as `/changes/2`; empty for the request itself.
    pub pointer: String,
    /// What to do.
    pub op: Op,
    /// The zone; without it the longest zone that fits.
    pub zone: Option<Name>,
    /// The owner name.
    pub owner: Name,
    /// Which of the owner's sets.
    pub which: Which,
    /// The TTL; without it the set's present one, else the zone's default.
    pub ttl: Option<Ttl>,
    /// The values that `op` needs.
    pub values: Values,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Makes a set that is not there yet.
    Create,
    /// Makes or replaces a whole set.
    Set,
    /// Deletes a whole set, or with [`Which::Every`] all at the owner.
    Delete,
    /// Adds values to a set, making it if need be.
    Add,
    /// Takes values out of a set; the last one takes the set along.
    Remove,
}

impl Op {
    /// Every operation.
    pub const ALL: [Op; 5] = [Self::Create, Self::Set, Self::Delete, Self::Add, Self::Remove];

    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// Which record sets of an owner are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The only one there, whatever its type.
    Only,
    /// All of them (`ANY`).
    Every,
    /// The one of this type, and for RRSIG of this covered type (without it, the only one).
    Type(RecordType, Option<RecordType>),
}

/// Values, read as far as they can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// The type was named, so they are rdata.
    Parsed(Vec<Rdata>),
    /// No type was named: text, until the state says what the only set's type is.
    Text(Vec<String>),
}

impl Values {
    /// No values.
    pub const NONE: Values = Values::Parsed(Vec::new());
}

/// A zone to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewZone {
    /// Its apex.
    pub name: Name,
    /// Its name servers; none: `localhost.`
    pub nameservers: Vec<Name>,
    /// The mailbox of SOA RNAME; without it `hostmaster.` and the apex.
    pub contact: Option<Name>,
    /// The TTL of SOA and NS, and so the default of records made without one; without it 60 s.
    pub ttl: Option<Ttl>,
}
