//! What `decide` may ask.

use conn3ction_schemas::{Actor, Name, RecordSet, RecordType, Revision, Serial, SetKey, event::Hash};

/// The state that a command is decided on: records, zones and idempotency keys at one revision.
///
/// The answer store at the head, the [`super::overlay::Overlay`] of drafts in flight over it, and a plain map in tests
/// are such states. Every question costs its own answer, never the size of a zone.
pub trait State {
    /// The revision this state reflects.
    fn revision(&self) -> Revision;

    /// The zone with this apex, if it exists.
    fn zone(&self, apex: &Name) -> Option<ZoneState>;

    /// The last serial of a zone that was deleted.
    fn last_serial(&self, apex: &Name) -> Option<Serial>;

    /// A record set. Its SOA serial may be any: [`ZoneState::serial`] is the zone's.
    fn set(&self, zone: &Name, owner: &Name, key: SetKey) -> Option<Held>;

    /// All record sets of an owner, sorted by key.
    fn sets(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, Held)>;

    /// The first `limit` record sets at or below `under` in canonical order of owner and key.
    fn first_sets(&self, zone: &Name, under: &Name, limit: usize) -> Vec<(Name, SetKey, RecordSet)>;

    /// The last revision after `than` at which something in `scope` changed.
    fn changed_since(&self, scope: Scope<'_>, than: Revision) -> Option<Revision>;

    /// What an actor's idempotency key was used for: the request's digest and the event it made.
    fn seen(&self, actor: &Actor, key: &str) -> Option<(Hash, Revision)>;

    /// The longest zone at or above `name`.
    fn zone_of(&self, name: &Name) -> Option<Name> {
        let mut at = Some(name.clone());
        while let Some(name) = at {
            if self.zone(&name).is_some() {
                return Some(name);
            }
            at = name.parent();
        }
        None
    }

    /// Whether the zone's SOA is signed by somebody else (RFC 4035): then only an import changes it.
    fn is_signed(&self, zone: &Name) -> bool {
        self.set(zone, zone, SetKey::rrsig(RecordType::SOA)).is_some()
    }
}

/// A zone that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneState {
    /// Its serial.
    pub serial: Serial,
    /// The last revision that changed it.
    pub since: Revision,
}

/// A record set and since when it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The set.
    pub set: RecordSet,
    /// The revision that made it so.
    pub since: Revision,
}

/// A part of the records that a guard can watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One record set.
    Set(&'a Name, &'a Name, SetKey),
    /// All sets of one owner: zone, owner.
    Owner(&'a Name, &'a Name),
    /// All at or below an owner: zone, owner.
    Under(&'a Name, &'a Name),
    /// A zone with everything in it, and whether it exists.
    Zone(&'a Name),
}
