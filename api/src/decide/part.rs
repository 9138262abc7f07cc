//! The part of a zone that a command means: all of it, a subtree, a name, or one of a name's sets.

use std::fmt;

use conn3ction_schemas::{Name, RecordType, Revision, SetKey};

use super::{
    refusal::{BadItem, Refusal},
    state::{Scope, State},
};

/// A part of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The zone's apex.
    pub zone: Name,
    /// How much of it.
    pub within: Within,
}

/// How much of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Within {
    /// All of it, and whether it exists.
    Zone,
    /// A name and all below it.
    Under(Name),
    /// All sets of a name.
    Owner(Name),
    /// The set of a type at a name; of RRSIG without a covered type all that are there.
    Type(Name, RecordType, Option<RecordType>),
}

impl Part {
    /// All of a zone.
    pub fn whole(zone: &Name) -> Self {
        Self { zone: zone.clone(), within: Within::Zone }
    }

    /// Whether a record set of the zone belongs to this part.
    pub fn holds(&self, owner: &Name, key: SetKey) -> bool {
        match &self.within {
            Within::Zone => true,
            Within::Under(top) => owner.is_at_or_below(top),
            Within::Owner(name) => owner == name,
            Within::Type(name, rtype, covers) => {
                owner == name && key.rtype == *rtype && covers.is_none_or(|covers| key.covered == covers)
            }
        }
    }

    /// The item that says what changed in this part after `than`.
    pub(crate) fn changed<S: State + ?Sized>(&self, state: &S, than: Revision) -> Option<BadItem> {
        let actual = state.changed_since(self.scope(), than)?;
        Some(Refusal::changed_since("", &self.to_string(), than, actual))
    }

    fn scope(&self) -> Scope<'_> {
        let zone = &self.zone;
        match &self.within {
            Within::Zone => Scope::Zone(zone),
            Within::Under(top) => Scope::Under(zone, top),
            Within::Owner(name) | Within::Type(name, RecordType::RRSIG, None) => Scope::Owner(zone, name),
            Within::Type(name, RecordType::RRSIG, Some(covers)) => Scope::Set(zone, name, SetKey::rrsig(*covers)),
            Within::Type(name, rtype, _) => Scope::Set(zone, name, SetKey::of(*rtype)),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            Within::Zone => f.write_str(&self.zone.without_dot()),
            Within::Under(top) => write!(f, "{} and what is below", top.without_dot()),
            Within::Owner(name) => f.write_str(&name.without_dot()),
            Within::Type(name, rtype, covers) => {
                write!(f, "{} {rtype}", name.without_dot())?;
                covers.map_or(Ok(()), |covers| write!(f, " covering {covers}"))
            }
        }
    }
}
