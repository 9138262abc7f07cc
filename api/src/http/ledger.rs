//! `/ledger`: all events in their stored form, for whoever keeps a copy.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use conn3ction_ledger::export;
use conn3ction_schemas::Revision;
use futures::{StreamExt, stream};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::Query,
    reading,
};

pub(super) async fn export(State(node): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["after"])?;
    reading::wait(&node, &query).await?;
    let after = query.text("after").map_or(Ok(Revision::ZERO), |after| reading::revision(&node, after))?;
    let end = node.ledger.head().await.map_err(|error| node.read_fault(&error))?;
    let head = end.revision;
    if after > head {
        let detail = format!("{after} is yet to come; the head is {}", node.token(head));
        return Err(Problem::new(ProblemKind::MomentNotYet, detail));
    }
    let reader = node.clone();
    let pieces = export::export(node.ledger.clone(), after, end);
    let mut pieces = Box::pin(pieces.map(move |piece| piece.map_err(|error| reader.read_fault(&error))));
    // A fault until here is an answer of its own; one later cuts the body short.
    let first = pieces.next().await.transpose()?;
    let pieces = stream::iter(first.map(Ok)).chain(pieces).map(|piece| piece.map_err(|problem| problem.detail));
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(export::MEDIA_TYPE));
    Ok(reading::stamp(&node, head, response))
}
