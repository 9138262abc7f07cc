//! What is said of a zone that a moment does not have: that it never was, was not yet, or was no more.

use conn3ction_dns::Version;
use conn3ction_schemas::{Name, Revision};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    reading::Reading,
};

/// Zone `apex` is not there at the moment of `reading`.
pub(super) async fn zone(node: &Shared, reading: &Reading, apex: &Name) -> Problem {
    Problem::new(ProblemKind::ZoneNotFound, format!("no zone {}{}", apex.without_dot(), why(node, reading, apex).await))
}

/// The words for a name that lies in no zone at the moment of `reading`.
pub(super) async fn zone_of(node: &Shared, reading: &Reading, name: &Name) -> String {
    let now = node.store.now();
    let why = match suffixes(name).find(|apex| now.was_zone(apex)) {
        Some(apex) => why(node, reading, &apex).await.replacen("it was", &format!("{} was", apex.without_dot()), 1),
        None => NEVER.to_owned(),
    };
    format!("{} is in no zone here{why}", name.without_dot())
}

/// Nothing is asked of a zone, or of a name in a zone, that this ledger has never seen: it is a slip of the pen, and an
/// empty answer would read as if nothing had changed there. Where the answers are behind the ledger nobody can tell yet.
///
/// # Errors
///
/// [`ProblemKind::ZoneNotFound`].
pub(super) fn ensure_known(node: &Shared, zone: Option<&Name>, name: Option<&Name>) -> Result<(), Problem> {
    if node.revision() < node.head_known() {
        return Ok(());
    }
    let now = node.store.now();
    let detail = match (zone, name) {
        (Some(zone), _) if !now.was_zone(zone) => format!("no zone {}{NEVER}", zone.without_dot()),
        (None, Some(name)) if !suffixes(name).any(|apex| now.was_zone(&apex)) => {
            format!("{} is in no zone here{NEVER}", name.without_dot())
        }
        _ => return Ok(()),
    };
    Err(Problem::new(ProblemKind::ZoneNotFound, detail))
}

const NEVER: &str = ", now or before";

/// `name` and all names above it, the root last.
fn suffixes(name: &Name) -> impl Iterator<Item = Name> {
    std::iter::successors(Some(name.clone()), Name::parent)
}

/// Since when the zone is gone, or when it came to be.
async fn why(node: &Shared, reading: &Reading, apex: &Name) -> String {
    let as_of = reading.as_of();
    let (what, turn) = match reading.view().zone_turned(apex) {
        Some(deleted) => ("deleted", deleted),
        None => match first_turn(node, apex) {
            Some(created) => ("created", created),
            None => return NEVER.to_owned(),
        },
    };
    // What was found stays right if the ledger cannot be read.
    let by = match node.header(turn.into()).await {
        Ok(header) => {
            let reason = header.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!(", {} by {}{reason}", header.time, header.actor.name)
        }
        Err(_) => String::new(),
    };
    format!("{as_of}; it was {what} at {}{by}", Revision::from(turn))
}

/// The version in which a zone came to be for the first time.
fn first_turn(node: &Shared, apex: &Name) -> Option<Version> {
    let mut view = node.store.now();
    let mut first = None;
    while let Some(turn) = view.zone_turned(apex) {
        first = Some(turn);
        view = view.back_to(Version(turn.0.checked_sub(1)?));
    }
    first
}
