//! What every read does: wait for a revision, choose the state that it speaks for, say which that was.

use axum::{
    http::{HeaderMap, HeaderValue},
    response::Response,
};
use conn3ction_dns::Version;
use conn3ction_schemas::{Revision, Timestamp, When};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::Query,
};

/// Waits for `min_revision` at most as long as `wait` says.
///
/// # Errors
///
/// [`ProblemKind::NotCaughtUp`] after that; the errors of [`revision`].
pub(crate) async fn wait(node: &Shared, query: &Query) -> Result<(), Problem> {
    let limit = query.wait()?;
    let Some(text) = query.text("min_revision") else { return Ok(()) };
    let wanted = revision(node, text)?;
    if node.reached(wanted, limit).await {
        return Ok(());
    }
    let now = node.token(node.revision());
    Err(Problem::new(
        ProblemKind::NotCaughtUp,
        format!("{} is not shown yet; the views stand at {now}", node.token(wanted)),
    ))
}

/// The state that a read speaks for: the published one, or with `at` an earlier revision.
///
/// # Errors
///
/// [`ProblemKind::BadWhen`] for what is no revision, [`ProblemKind::MomentNotYet`] beyond the published one.
pub(crate) async fn version(node: &Shared, query: &Query) -> Result<Version, Problem> {
    wait(node, query).await?;
    let published = node.store.published();
    let Some(text) = query.text("at") else { return Ok(published) };
    let asked = match text {
        "now" => return Ok(published),
        _ => revision(node, text)?,
    };
    if asked.0 > published.0 {
        return Err(Problem::new(
            ProblemKind::MomentNotYet,
            format!("{asked} is yet to come; the head is r{}", published.0),
        ));
    }
    Ok(Version(asked.0))
}

/// A revision as people write it, of this ledger's epoch.
///
/// # Errors
///
/// [`ProblemKind::BadWhen`], [`ProblemKind::EpochEnded`].
pub(crate) fn revision(node: &Shared, text: &str) -> Result<Revision, Problem> {
    match When::parse_revision(text) {
        Ok(When::Revision(Some(epoch), _)) if epoch != node.epoch() => {
            Err(Problem::new(ProblemKind::EpochEnded, format!("this ledger is in epoch {}", node.epoch().0)))
        }
        Ok(When::Revision(_, revision)) => Ok(revision),
        _ => Err(Problem::new(ProblemKind::BadWhen, format!("{text:?} is no revision such as r1041 or 1:1041"))),
    }
}

/// Adds the headers that say which state answered.
pub(crate) fn stamp(node: &Shared, version: Version, mut response: Response) -> Response {
    let headers = response.headers_mut();
    put(headers, "conn3ction-revision", &node.token(Revision(version.0)).to_string());
    if version == node.store.published() {
        put(headers, "conn3ction-time", &Timestamp::now().to_string());
        put(headers, "conn3ction-final", "false");
    }
    response
}

/// The last change of what was asked for, as an `ETag`.
pub(crate) fn tag(node: &Shared, since: Revision, mut response: Response) -> Response {
    put(response.headers_mut(), "etag", &format!("\"{}\"", node.token(since)));
    response
}

pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
