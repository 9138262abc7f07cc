use serde::{Deserialize, Serialize};

use super::{Checked, ProblemError, check::Parts};

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

impl ChangeInput {
    /// Reads name, type and values of change number `index` and checks that the members fit the `op`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with a pointer into the change set.
    pub fn check(&self, index: usize) -> Result<Checked, Vec<ProblemError>> {
        let at = format!("/changes/{index}");
        let mut errors = Vec::new();
        match self.op {
            Op::Create | Op::Set | Op::Add | Op::Remove if self.values.is_none() => {
                errors.push(ProblemError::pointer(format!("{at}/values"), "missing"));
            }
            Op::Delete if self.values.is_some() => errors.push(
                ProblemError::pointer(format!("{at}/values"), "delete takes the whole set away")
                    .hint("`remove` takes single values away"),
            ),
            Op::Create | Op::Set | Op::Add | Op::Delete | Op::Remove => {}
        }
        if self.ttl.is_some() && matches!(self.op, Op::Delete | Op::Remove) {
            errors.push(ProblemError::pointer(format!("{at}/ttl"), "there is no TTL to set here").hint("leave it out"));
        }
        let checked = Parts {
            at: &at,
            name: Some(&self.name),
            rtype: self.rtype.as_deref(),
            covers: self.covers.as_deref(),
            zone: self.zone.as_deref(),
            values: self.values.as_deref(),
            ttl: self.ttl,
        }
        .check();
        match checked {
            Ok(checked) if errors.is_empty() => Ok(checked),
            Ok(_) => Err(errors),
            Err(more) => {
                errors.extend(more);
                Err(errors)
            }
        }
    }
}
