//! `/projections`.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use conn3ction_projector::ViewName;
use conn3ction_schemas::json;

use super::{
    Shared,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading,
};

/// The most records listed that a view does not show.
#[cfg(feature = "etcd")]
const MOST_NOT_SHOWN: usize = 1_000;

/// What each view of this node shows.
pub(super) fn status(node: &Shared) -> Vec<json::ViewStatus> {
    let head = node.head_known().0;
    node.views
        .status()
        .into_iter()
        .map(|(view, progress)| json::ViewStatus {
            view: view.as_str().into(),
            revision: progress.revision.0,
            lag: head.saturating_sub(progress.revision.0),
            state: progress.condition.as_str().into(),
            detail: progress.condition.detail().map(str::to_owned),
            digest: progress.digest.to_string(),
            not_shown: Vec::new(),
            not_shown_count: 0,
        })
        .collect()
}

/// As [`status`], with the records that each view does not show as they are.
async fn status_and_not_shown(node: &Shared) -> Vec<json::ViewStatus> {
    let node = node.clone();
    let told = tokio::task::spawn_blocking(move || {
        #[cfg(not(feature = "etcd"))]
        let views = status(&node);
        #[cfg(feature = "etcd")]
        let mut views = status(&node);
        #[cfg(feature = "etcd")]
        for (status, (view, _)) in views.iter_mut().zip(node.views.status()) {
            node.views.not_shown(view, &mut |found| {
                status.not_shown_count += 1;
                if status.not_shown.len() < MOST_NOT_SHOWN {
                    status.not_shown.push(not_shown(&found));
                }
            });
        }
        views
    });
    told.await.unwrap_or_default()
}

#[cfg(feature = "etcd")]
fn not_shown(found: &conn3ction_projector::NotShown) -> json::NotShown {
    let (owner, rtype) = match &found.set {
        Some((owner, key)) => (owner, key.rtype.to_string()),
        None => (&found.zone, "ANY".into()),
    };
    let (zone, name) = (found.zone.without_dot(), owner.without_dot());
    json::NotShown { zone, name, rtype, reason: found.reason.to_string() }
}

pub(super) async fn list(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["except"])?;
    let except = match query.text("except") {
        None => None,
        Some(text) => Some(ViewName::ALL.into_iter().find(|view| view.as_str() == text).ok_or_else(|| {
            Problem::new(
                ProblemKind::Malformed,
                format!("except names a view: {}", ViewName::ALL.map(ViewName::as_str).join(", ")),
            )
        })?),
    };
    if let Some(text) = query.text("min_revision") {
        let wanted = reading::revision(&node, text)?;
        let limit = query.wait()?;
        if !node.all_views_reached(wanted, except, limit).await {
            let detail = format!("a view does not show {} yet", node.token(wanted));
            return Err(Problem::new(ProblemKind::NotCaughtUp, detail));
        }
    }
    Ok(list::whole(Format::accepted(&headers), &status_and_not_shown(&node).await))
}

pub(super) async fn rebuild(
    State(node): State<Shared>,
    Path(view): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::of_write(&uri, &[])?;
    let known = node.views.status();
    let Some((name, _)) = known.iter().find(|(name, _)| name.as_str() == view) else {
        let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Problem::new(ProblemKind::NotFound, format!("no view {view}; this node has {}", names.join(", "))));
    };
    // Asked now: what was last found may be seconds old, and the ledger back.
    if let Err(error) = node.ledger.head().await {
        return Err(Problem::new(ProblemKind::LedgerUnavailable, super::writing::chain(&error)));
    }
    node.views.rebuild(*name).await.map_err(|error| Problem::new(ProblemKind::NotCaughtUp, error.to_string()))?;
    let status = status_and_not_shown(&node).await.into_iter().find(|status| status.view == view);
    Ok(Json(status).into_response())
}
