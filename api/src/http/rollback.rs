//! `POST /zones/{zone}/restore` and `POST /events/{rev}/revert`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use conn3ction_schemas::{Name, RecordType, json};
use futures::StreamExt;

use super::{
    Shared, apply_to,
    body::{JsonBody, MaybeJson},
    problem::{Problem, ProblemKind},
    query::Query,
    reading,
    records::path_name,
    request::Caller,
    writing::{self, Answer, Order},
};
use crate::{
    decide::{BadItem, Part, RefusalKind, Within, input},
    moment::Place,
    rollback::{self, Restore, Revert},
};

pub(super) async fn restore(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(zone): Path<String>,
    uri: Uri,
    JsonBody { value: asked, digest }: JsonBody<json::RestoreInput>,
) -> Result<Response, Problem> {
    let dry_run = Query::of_write(&uri, &["dry_run"])?.flag("dry_run")?;
    let zone = path_name(&zone)?;
    let narrowed = Narrowed { name: &asked.name, rtype: &asked.rtype, covers: &asked.covers, under: &asked.under };
    let within = narrowed.read(Some(&zone)).map_err(writing::refused)?;
    let at_to = |mut problem: Problem| {
        problem.errors = vec![json::ProblemError::pointer("/to", problem.detail.clone())];
        problem
    };
    let when = reading::when("to", &asked.to).map_err(at_to)?;
    let moment = node.settled(when).await.map_err(|error| at_to(error.into()))?;
    let of = match moment.place {
        Place::Now(revision) | Place::Revision(revision) => revision,
        // Every zone has its own revision at a point in time.
        Place::Time(_) => moment.view.last_change(&zone).unwrap_or(moment.view.version()).into(),
    };
    let restore = Restore { part: Part { zone, within }, then: moment.view, of, to: asked.to.clone() };
    let expected = asked.expected_revision.as_ref().map(|text| reading::revision(&node, text)).transpose()?;
    let order = Order { caller, reason: asked.reason.clone(), expected, digest, source: "rest", dry_run };
    let envelope = writing::envelope(&node, order)?;
    if dry_run {
        let (view, epoch, to) = (node.store.now(), node.epoch(), apply_to::restore(&restore.part.zone));
        let plan =
            blocking(move || rollback::plan_restore(view, epoch, &envelope, asked, &restore).map_err(Problem::from));
        return planned(&node, plan.await?, to).await;
    }
    let outcome =
        rollback::submit_restore(&node.committer, &node.ledger, &node.store, &envelope, Arc::new(restore)).await;
    node.note(&outcome);
    let answer = writing::answer(&node, outcome).await?;
    node.shown(answer.revision()).await?;
    answer.into_response(&node).await
}

pub(super) async fn revert(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(rev): Path<String>,
    uri: Uri,
    MaybeJson(JsonBody { value: asked, digest }): MaybeJson<json::RevertInput>,
) -> Result<Response, Problem> {
    let dry_run = Query::of_write(&uri, &["dry_run"])?.flag("dry_run")?;
    let mut items = Vec::new();
    let zone = asked.zone.as_ref().and_then(|text| input::name("/zone", text).map_err(|item| items.push(item)).ok());
    let narrowed = Narrowed { name: &asked.name, rtype: &asked.rtype, covers: &asked.covers, under: &asked.under };
    let within = narrowed.read(zone.as_ref()).map_err(|bad| items.extend(bad)).unwrap_or(Within::Zone);
    if !items.is_empty() {
        return Err(writing::refused(items));
    }
    let expected = asked.expected_revision.as_ref().map(|text| reading::revision(&node, text)).transpose()?;
    let order = Order { caller, reason: asked.reason.clone(), expected, digest, source: "rest", dry_run };
    let envelope = writing::envelope(&node, order)?;
    let revision = reading::revision(&node, &rev)?;
    let event = node.event(revision).await?;
    let after = node.store.at(revision.into());
    let mut chunks = node.deltas(event.clone());
    let mut deltas = Vec::new();
    while let Some(chunk) = chunks.next().await {
        deltas.extend(chunk?);
    }
    let revert = Revert { header: event.header.clone(), deltas, after, zone, within };
    if dry_run {
        let (view, epoch) = (node.store.now(), node.epoch());
        let plan =
            blocking(move || rollback::plan_revert(view, epoch, &envelope, asked, &revert).map_err(Problem::from));
        return planned(&node, plan.await?, apply_to::revert(revision)).await;
    }
    let revert = Arc::new(revert);
    let outcome = rollback::submit_revert(&node.committer, &node.ledger, &node.store, &envelope, revert).await;
    node.note(&outcome);
    let answer = writing::answer(&node, outcome).await?;
    node.shown(answer.revision()).await?;
    answer.into_response(&node).await
}

async fn planned(node: &Shared, mut plan: json::Plan, to: json::ApplyTo) -> Result<Response, Problem> {
    plan.apply_to = plan.conflicts.is_empty().then_some(to);
    Answer::Plan(Box::new(plan)).into_response(node).await
}

/// The members that narrow what is rolled back.
struct Narrowed<'a> {
    name: &'a Option<String>,
    rtype: &'a Option<String>,
    covers: &'a Option<String>,
    under: &'a Option<String>,
}

impl Narrowed<'_> {
    /// What they mean; names have to lie in `zone`, if it is known.
    fn read(&self, zone: Option<&Name>) -> Result<Within, Vec<BadItem>> {
        let mut items = Vec::new();
        let name = |pointer: &str, text: &Option<String>, items: &mut Vec<BadItem>| {
            let name = input::name(pointer, text.as_ref()?).map_err(|item| items.push(item)).ok()?;
            if let Some(zone) = zone.filter(|zone| !name.is_at_or_below(zone)) {
                let detail = format!("{} is not in {}", name.without_dot(), zone.without_dot());
                items.push(BadItem::at(RefusalKind::OutsideZones, pointer, detail));
            }
            Some(name)
        };
        let rtype = |pointer: &str, text: &Option<String>, items: &mut Vec<BadItem>| {
            input::record_type(pointer, text.as_ref()?).map_err(|item| items.push(item)).ok()
        };
        let (owner, under) = (name("/name", self.name, &mut items), name("/under", self.under, &mut items));
        let (of, covers) = (rtype("/type", self.rtype, &mut items), rtype("/covers", self.covers, &mut items));
        let mut faulty = |pointer: &str, detail: &str| {
            items.push(BadItem::at(RefusalKind::InvalidRecord, pointer, detail));
        };
        if self.name.is_some() && self.under.is_some() {
            faulty("/under", "name means one name and under all below one; give one of them");
        }
        if self.rtype.is_some() && self.name.is_none() {
            faulty("/type", "a type narrows a name; give the name, too");
        }
        if self.covers.is_some() && of != Some(RecordType::RRSIG) {
            faulty("/covers", "only RRSIG records cover a type");
        }
        if !items.is_empty() {
            return Err(items);
        }
        Ok(match (owner, of, under) {
            (Some(name), Some(of), _) => Within::Type(name, of, covers),
            (Some(name), None, _) => Within::Owner(name),
            (None, _, Some(top)) => Within::Under(top),
            (None, _, None) => Within::Zone,
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(ProblemKind::Internal, error.to_string())))
}
