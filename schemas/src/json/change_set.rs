use serde::{Deserialize, Serialize};

/// The body of `POST /changes`: one atomic event, over one zone or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeSet {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request is refused if a set that it names changed after this, `1:1044`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<String>,
    /// The changes in their order: a later one sees the earlier ones.
    pub changes: Vec<ChangeInput>,
}

/// One change of a [`ChangeSet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeInput {
    /// What to do.
    pub op: Op,
    /// The owner, with or without the last dot.
    pub name: String,
    /// The record type; without it the only set there is meant.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// The values: of the whole set for `create` and `set`, those that come or go for `add` and `remove`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// Seconds; without it the set's present TTL holds, else the zone's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The type that RRSIG values cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<String>,
    /// The zone, where the longest one that fits is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// What one change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Makes a set that must not exist yet.
    Create,
    /// Makes or replaces a set.
    Set,
    /// Takes a whole set away.
    Delete,
    /// Adds values to a set, which may not exist yet.
    Add,
    /// Takes values from a set.
    Remove,
}
