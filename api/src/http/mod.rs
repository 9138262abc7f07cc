//! Routes by resource. Handlers translate: HTTP to commands and questions, outcomes to shapes and status codes.

mod absent;
mod apply_to;
mod bisect;
mod blame;
mod body;
mod changed;
mod changes;
mod diff;
mod docs;
mod events;
mod filter;
mod health;
mod history;
mod ledger;
pub mod list;
mod lookup;
mod metrics;
pub mod problem;
mod projections;
mod proof;
mod query;
pub(crate) mod reading;
mod records;
pub(crate) mod request;
mod rollback;
mod serve;
mod sets;
mod trace_context;
mod trail;
mod transfer;
pub(crate) mod writing;
mod zones;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::{catch_panic::CatchPanicLayer, timeout::RequestBodyTimeoutLayer};

use crate::app::NodeState;
pub(crate) use filter::glob_matches;
use problem::{Problem, ProblemKind};
pub(crate) use query::{distance, nearest, wait};
pub use serve::serve;

/// What every handler is given.
pub type Shared = Arc<NodeState>;

/// How long a body may pause between two of its pieces.
const BODY_PAUSE: Duration = Duration::from_secs(20);

macro_rules! routes {
    ($($path:literal => $method:expr),* $(,)?) => {
        /// The paths of all routes, as the OpenAPI document writes them.
        pub const PATHS: &[&str] = &[$($path),*];

        fn table() -> Router<Shared> {
            Router::new()$(.route($path, $method))*
        }
    };
}

routes! {
    "/healthz" => get(health::live),
    "/readyz" => get(health::ready),
    "/metrics" => get(metrics::render),
    "/openapi.json" => get(docs::openapi),
    "/docs" => get(docs::index),
    "/docs/{page}" => get(docs::page),
    "/problems/{kind}" => get(docs::problem),
    "/records" => get(records::list).post(records::create),
    "/records/{name}" => get(records::show_only).put(records::put_only).delete(records::delete_only),
    "/records/{name}/{type}" => get(records::show).put(records::put).delete(records::delete),
    "/records/{name}/history" => get(changed::history),
    "/blame" => get(blame::list),
    "/bisect" => get(bisect::show),
    "/diff" => get(diff::list),
    "/changes" => post(changes::change),
    "/zones" => get(zones::list).post(zones::create),
    "/zones/{zone}" => get(zones::show).delete(zones::delete),
    "/zones/{zone}/zonefile" => get(transfer::export),
    "/zones/{zone}/import" => post(transfer::import),
    "/zones/{zone}/restore" => post(rollback::restore),
    "/history" => post(history::take),
    "/events" => get(events::list),
    "/events/{rev}" => get(events::show),
    "/events/{rev}/revert" => post(rollback::revert),
    "/events/{rev}/changes" => get(events::changes),
    "/ledger" => get(ledger::export),
    "/lookup" => get(lookup::show),
    "/projections" => get(projections::list),
    "/projections/{view}/rebuild" => post(projections::rebuild),
    "/verify" => get(proof::verify),
    "/replay" => get(proof::replay),
}

/// All routes over one node.
pub fn router(node: Shared) -> Router {
    over(node, table())
}

/// What an operator looks at in a role that serves no API.
pub fn watching(node: Shared) -> Router {
    let table = Router::new().route("/healthz", get(health::live)).route("/readyz", get(health::ready));
    over(node, table.route("/metrics", get(metrics::render)))
}

fn over(node: Shared, table: Router<Shared>) -> Router {
    table
        .fallback(|request: Request| async move {
            Problem::new(ProblemKind::NotFound, format!("no route {}", request.uri().path()))
        })
        .method_not_allowed_fallback(|request: Request| async move {
            let detail = format!("{} does not take {}", request.uri().path(), request.method());
            Problem::new(ProblemKind::MethodNotAllowed, detail)
        })
        .layer(middleware::from_fn_with_state(node.clone(), request::admit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .with_state(node)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(ProblemKind::Internal, "the request hit a fault of the server; its log has more").into_response()
}
