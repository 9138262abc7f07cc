//! `POST /changes`: several changes as one atomic event.

use axum::{Extension, extract::State, http::Uri, response::Response};
use conn3ction_schemas::json;

use super::{
    Shared,
    body::JsonBody,
    problem::{Problem, ProblemKind},
    query::Query,
    reading,
    request::Caller,
    writing::{self, Order},
};
use crate::decide::{
    self, BadItem, Live, RefusalKind,
    command::{Change, Intent, Op},
    input::{self, RawChange},
};

/// Changes of one request; more belong into a master file.
const MAX_CHANGES: usize = 10_000;

pub(super) async fn change(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    JsonBody { value: set, digest }: JsonBody<json::ChangeSet>,
) -> Result<Response, Problem> {
    let query = Query::of_write(&uri, &["dry_run"])?;
    if set.changes.len() > MAX_CHANGES {
        let detail = format!("{} changes are more than the {MAX_CHANGES} of one request", set.changes.len());
        return Err(Problem::new(ProblemKind::TooLarge, detail));
    }
    let read = set.changes.iter().enumerate().map(|(at, change)| {
        let raw = RawChange {
            pointer: format!("/changes/{at}"),
            zone: change.zone.as_deref(),
            name: &change.name,
            rtype: change.rtype.as_deref(),
            covers: change.covers.as_deref(),
            ttl: change.ttl.map(u64::from),
            values: change.values.as_deref().unwrap_or_default(),
        };
        input::change(op(change.op), &raw)
    });
    let read: Vec<Result<Change, Vec<BadItem>>> = read.collect();
    if set.changes.is_empty() {
        let item = BadItem::at(RefusalKind::InvalidRecord, "/changes", "a change set has at least one change");
        return Err(writing::refused(vec![item]));
    }
    if read.iter().any(Result::is_err) {
        // What is in no zone is told along with what cannot be read, so that nobody mends a file twice.
        let state = Live::new(node.store.now());
        let items = read.into_iter().flat_map(|read| match read {
            Ok(change) => decide::outside(&state, &change).into_iter().collect(),
            Err(bad) => bad,
        });
        return Err(writing::refused(items.collect()));
    }
    let changes = read.into_iter().flatten().collect();
    let expected = set.expected_revision.map(|text| reading::revision(&node, &text)).transpose()?;
    let order = Order { caller, reason: set.reason, expected, digest, source: "rest", dry_run: query.flag("dry_run")? };
    let answer = writing::submit(&node, order, Intent::ChangeRecords(changes)).await?;
    node.shown(answer.revision()).await?;
    answer.into_response(&node).await
}

const fn op(op: json::Op) -> Op {
    match op {
        json::Op::Create => Op::Create,
        json::Op::Set => Op::Set,
        json::Op::Delete => Op::Delete,
        json::Op::Add => Op::Add,
        json::Op::Remove => Op::Remove,
    }
}
