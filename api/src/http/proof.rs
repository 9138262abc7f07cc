//! `/verify` and `/replay`: long work, which as NDJSON tells its progress line by line and ends with the report.

use std::convert::Infallible;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use conn3ction_schemas::Revision;
use futures::stream;
use serde::Serialize;

use super::{Shared, list::Format, problem::Problem, query::Query, reading};
use crate::{moment::Place, proof::Progress};

pub(super) async fn verify(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["anchor"])?;
    let anchors = query.several("anchor", "a revision with its hash, such as r1041:9f2c… with 64 digits")?;
    reading::wait(&node, &query).await?;
    told(&headers, move |progress| async move { node.verify(&anchors, &progress).await }).await
}

/// To the moment `to`: at a point in time the last event that took effect by then in any zone.
pub(super) async fn replay(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["to"])?;
    reading::wait(&node, &query).await?;
    let moment = reading::moment(&node, "to", query.text("to").unwrap_or("now")).await?;
    let to = match moment.place {
        Place::Now(revision) | Place::Revision(revision) => revision,
        Place::Time(_) => moment.view.last_changes().max().map_or(Revision::ZERO, Revision::from),
    };
    told(&headers, move |progress| async move { node.replay(to, &progress).await }).await
}

/// Does `work`, and tells its progress if it is asked for.
async fn told<T: Serialize, W>(headers: &HeaderMap, work: impl FnOnce(Progress) -> W) -> Result<Response, Problem>
where
    W: Future<Output = Result<T, Problem>> + Send + 'static,
{
    match Format::accepted(headers) {
        Format::Json | Format::Csv => Ok(Json(work(Progress::default()).await?).into_response()),
        Format::NdJson => {
            let (progress, listener) = Progress::new();
            let lines = stream::unfold(Some((listener, Box::pin(work(progress)))), |state| async move {
                let (mut listener, mut work) = state?;
                Some(tokio::select! {
                    biased;
                    // The status was sent before the work was done: what went wrong is the last line.
                    done = &mut work => match done {
                        Ok(report) => (line(&report), None),
                        Err(problem) => (line(&problem.body()), None),
                    },
                    Some(step) = listener.recv() => (line(&step), Some((listener, work))),
                })
            });
            let mut response = Body::from_stream(lines).into_response();
            let media_type = HeaderValue::from_static("application/x-ndjson");
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            Ok(response)
        }
    }
}

fn line(item: &impl Serialize) -> Result<Bytes, Infallible> {
    let mut octets = serde_json::to_vec(item).unwrap_or_default();
    octets.push(b'\n');
    Ok(octets.into())
}
