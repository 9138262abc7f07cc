//! Liveness and readiness.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use conn3ction_schemas::json;

use super::{Shared, problem::Problem, projections::status, query::Query, reading};

pub(super) async fn live(uri: Uri) -> Result<Json<json::Health>, Problem> {
    Query::parse(&uri, &[])?;
    Ok(Json(json::Health { status: "ok".into() }))
}

/// Ready: the answers show the ledger's head as this node knows it, and nothing waits for an operator.
pub(super) async fn ready(State(node): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    reading::wait(&node, &Query::parse(&uri, &[])?).await?;
    let reasons = node.not_ready();
    let body = json::Ready {
        ready: reasons.is_empty(),
        reasons,
        revision: node.token(node.revision()).to_string(),
        head: node.token(node.head_known()).to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        role: node.about.role.into(),
        ledger: node.about.ledger.into(),
        dns: node.about.dns.iter().map(ToString::to_string).collect(),
        at: node.about.at.get().map(ToString::to_string),
        views: status(&node),
    };
    let code = if body.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (code, Json(body)).into_response();
    reading::stale(&node, response.headers_mut());
    Ok(response)
}
