use std::collections::BTreeMap;

use conn3ction_schemas::{Name, SetKey, event::ZoneLife};

use crate::Content;

/// A view of keys and values, such as etcd's, that is a pure function of the records.
///
/// Promises: the keys of two names never meet, and a step changes the keys of no name but those it names as affected.
pub trait KeyView: Send + Sync + 'static {
    /// The keys that stand for `name`.
    fn keys(&self, content: &dyn Content, name: &Name) -> BTreeMap<String, String>;

    /// The name that `key` stands for, if its text says so.
    fn name_of(&self, key: &str) -> Option<Name>;

    /// The names whose keys may change because of what an event does to a zone as a whole.
    fn affected_by_zone(&self, step: &ZoneStep<'_>, each: &mut dyn FnMut(Name));

    /// The names whose keys may change because of what an event does to one owner's sets.
    fn affected_by_owner(&self, step: &OwnerStep<'_>, each: &mut dyn FnMut(Name));
}

/// What one event does to a zone as a whole: its serial moves, it comes or goes.
pub struct ZoneStep<'a> {
    /// The records before the event.
    pub before: &'a dyn Content,
    /// The records after the event.
    pub after: &'a dyn Content,
    /// The zone.
    pub zone: &'a Name,
    /// Whether it comes or goes.
    pub life: ZoneLife,
}

/// What one event does to the sets of one owner.
pub struct OwnerStep<'a> {
    /// The records before the event.
    pub before: &'a dyn Content,
    /// The records after the event.
    pub after: &'a dyn Content,
    /// The zone.
    pub zone: &'a Name,
    /// The owner.
    pub owner: &'a Name,
    /// The sets that change.
    pub keys: &'a [SetKey],
}
