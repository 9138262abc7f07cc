//! `/zones`.

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use conn3ction_dns::store::ZoneView;
use conn3ction_schemas::{Name, RecordType, Revision, SetKey, json};

use super::{
    Shared, absent,
    body::{self, JsonBody},
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    records::path_name,
    request::Caller,
    writing::{self, Order},
};
use crate::decide::{
    command::{Intent, NewZone},
    input,
};

pub(super) async fn list(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["at", "limit", "after"])?;
    let reading = Reading::of(&node, &query).await?;
    let view = reading.view().clone();
    let after = query.name("after")?;
    let limit = query.limit()?.unwrap_or(usize::MAX);
    let mut zones: Vec<ZoneView<'_>> =
        view.zones().filter(|zone| after.as_ref().is_none_or(|after| zone.apex() > after)).collect();
    let more = zones.len() > limit;
    zones.truncate(limit);
    let rows: Vec<_> = zones.iter().map(|zone| shape(&node, zone)).collect();
    let response = reading.stamp(&node, list::whole(Format::accepted(&headers), &rows));
    Ok(match zones.last() {
        Some(last) if more => {
            let after = last.apex().to_string();
            list::next_page(response, &uri, &[("at", reading.link(&node)), ("after", after)])
        }
        _ => response,
    })
}

pub(super) async fn show(State(node): State<Shared>, Path(zone): Path<String>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["at"])?;
    let reading = Reading::of(&node, &query).await?;
    let apex = path_name(&zone)?;
    let Some(zone) = reading.view().zone(&apex) else { return Err(absent::zone(&node, &reading, &apex).await) };
    let response = Json(shape(&node, &zone)).into_response();
    let reading = reading.clone().within(&zone);
    Ok(reading::tag(&node, zone.last_change().into(), reading.stamp(&node, response)))
}

fn missing(apex: &Name) -> Problem {
    Problem::new(ProblemKind::ZoneNotFound, format!("no zone {}", apex.without_dot()))
}

fn shape(node: &Shared, zone: &ZoneView<'_>) -> json::ZoneJson {
    let signed = zone.owner(zone.apex()).is_some_and(|apex| apex.set(SetKey::rrsig(RecordType::SOA)).is_some());
    json::ZoneJson {
        name: zone.apex().without_dot(),
        serial: zone.serial().0,
        revision: Revision::from(zone.last_change()).0,
        record_count: zone.record_count(),
        signed_elsewhere: signed,
        secondaries: node.secondaries(zone.apex()),
    }
}

pub(super) async fn create(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    JsonBody { value: new, digest }: JsonBody<json::ZoneInput>,
) -> Result<Response, Problem> {
    let query = Query::of_write(&uri, &["dry_run"])?;
    let mut items = Vec::new();
    let name = input::name("/name", &new.name).map_err(|item| items.push(item)).ok();
    let nameservers = new.nameservers.unwrap_or_default();
    let nameservers: Vec<Name> = nameservers
        .iter()
        .enumerate()
        .filter_map(|(at, text)| {
            input::target(&format!("/nameservers/{at}"), text).map_err(|item| items.push(item)).ok()
        })
        .collect();
    let contact = new.contact.and_then(|text| mailbox(&text).map_err(|item| items.push(item)).ok());
    let ttl = new.ttl.and_then(|secs| input::ttl("/ttl", secs.into()).map_err(|item| items.push(item)).ok());
    let (Some(name), true) = (name, items.is_empty()) else { return Err(writing::refused(items)) };
    let expected = new.expected_revision.map(|text| reading::revision(&node, &text)).transpose()?;
    let caller = caller.creating();
    let order = Order { caller, reason: new.reason, expected, digest, source: "rest", dry_run: query.flag("dry_run")? };
    let dry_run = order.dry_run;
    let intent = Intent::CreateZone(NewZone { name: name.clone(), nameservers, contact, ttl });
    let answer = writing::submit(&node, order, intent).await?;
    if dry_run {
        return answer.into_response(&node).await;
    }
    node.shown(answer.revision()).await?;
    let view = node.store.at(answer.revision().into());
    let Some(zone) = view.zone(&name) else { return Err(missing(&name)) };
    let response = answer.stamp(&node, (StatusCode::CREATED, Json(shape(&node, &zone))).into_response());
    Ok(reading::tag(&node, zone.last_change().into(), response))
}

/// A mailbox as SOA RNAME holds it: `host.master@example.org` is `host\.master.example.org.` (RFC 1035 section 8).
fn mailbox(text: &str) -> Result<Name, crate::decide::BadItem> {
    match text.split_once('@') {
        Some((local, domain)) => input::name("/contact", &format!("{}.{domain}", local.replace('.', "\\."))),
        None => input::name("/contact", text),
    }
}

pub(super) async fn delete(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(zone): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of_write(request.uri(), &["dry_run"])?;
    let apex = path_name(&zone)?;
    let digest = body::digest(&request);
    body::none(request).await?;
    let order = Order { caller, reason: None, expected: None, digest, source: "rest", dry_run: query.flag("dry_run")? };
    let dry_run = order.dry_run;
    let answer = writing::submit(&node, order, Intent::DeleteZone(apex)).await?;
    if dry_run {
        return answer.into_response(&node).await;
    }
    node.shown(answer.revision()).await?;
    Ok(answer.stamp(&node, StatusCode::NO_CONTENT.into_response()))
}
