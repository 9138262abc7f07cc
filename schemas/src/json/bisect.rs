use serde::{Deserialize, Serialize};

use super::EventJson;

/// When an answer became what it is, as `GET /bisect` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bisect {
    /// The name, without the last dot.
    pub name: String,
    /// The record type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// What was looked for: a value, or `NXDOMAIN`, `NODATA`, `REFERRAL`, `REFUSED`.
    pub answer: String,
    /// Whether it was the answer, or among its values, at the moment asked for.
    pub holds: bool,
    /// The last event before that moment at which this changed; null if it never did.
    pub event: Option<EventJson>,
    /// The answer right before the event; null without one.
    pub before: Option<ShortAnswer>,
    /// The answer from the event on; without one, that of the moment asked for.
    pub after: ShortAnswer,
}

/// An answer in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortAnswer {
    /// As in a query's `--answer`: `NOERROR`, `NODATA`, `NXDOMAIN`, `REFERRAL`, `REFUSED` …
    pub outcome: String,
    /// The values as `dig +short` prints them, aliases included.
    pub values: Vec<String>,
}
