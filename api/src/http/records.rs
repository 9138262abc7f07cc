//! `/records`: the documented service's routes, and every record set by name and type.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use conn3ction_dns::{
    View,
    store::{SetView, ZoneView},
};
use conn3ction_schemas::{Name, RecordType, Revision, json};

use super::{
    Shared, absent,
    body::{self, JsonBody},
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    request::Caller,
    sets::{Cursor, Filter, PIECE, Place},
    writing::{self, Order},
};
use crate::{
    decide::{
        command::{Change, Intent, Op, Values, Which},
        input::{self, RawChange},
    },
    path,
};

pub(super) async fn list(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["zone", "under", "name", "type", "covers", "expand", "at", "limit", "after"])?;
    let reading = Reading::of(&node, &query).await?;
    let expand = expands(&query)?;
    let limit = query.limit()?.unwrap_or(usize::MAX);
    let view = reading.view().clone();
    let filter = Filter {
        zone: query.name("zone")?,
        under: query.name("under")?,
        name: query.name("name")?,
        rtype: query.rtype("type")?,
        covers: query.rtype("covers")?,
    };
    if let Some(zone) = &filter.zone
        && view.zone(zone).is_none()
    {
        return Err(absent::zone(&node, &reading, zone).await);
    }
    let start = query.text("after").map(Place::parse).transpose()?;
    // At a point in time every zone has a revision of its own: that of one zone stands in the header.
    let mut reading = reading;
    let mut of_zones = reading.is_by_time();
    if let Some(zone) = filter.zone.as_ref().and_then(|zone| view.zone(zone)) {
        (reading, of_zones) = (reading.within(&zone), false);
    }
    let take = move |cursor: &mut Cursor, view: &View, limit| {
        let mut page = take(cursor, view, limit);
        for found in page.iter_mut().filter(|_| of_zones) {
            found.record.revision = view.zone(&found.place.zone).map(|zone| zone.last_change().0);
        }
        page
    };
    let mut cursor = Cursor::new(&view, filter, start);
    let mut next = None;
    let pages = if limit == usize::MAX {
        let state = (node.clone(), view, cursor);
        let pages = futures::stream::unfold(state, move |(node, view, mut cursor)| async move {
            let page = take(&mut cursor, &view, PIECE);
            if page.is_empty() {
                return None;
            }
            let page = if expand { provenance(&node, page).await } else { Ok(plain(page)) };
            // Lets other work in between two pieces of a long list.
            tokio::task::yield_now().await;
            Some((page, (node, view, cursor)))
        });
        list::begun(Format::accepted(&headers), pages).await?
    } else {
        let mut page = take(&mut cursor, &view, limit.saturating_add(1));
        if page.len() > limit {
            page.truncate(limit);
            next = page.last().map(|found| found.place.to_string());
        }
        let rows = if expand { provenance(&node, page).await? } else { plain(page) };
        list::whole(Format::accepted(&headers), &rows)
    };
    let response = reading.stamp(&node, pages);
    Ok(match next {
        Some(after) => list::next_page(response, &uri, &[("at", reading.link(&node)), ("after", after)]),
        None => response,
    })
}

pub(super) async fn show_only(
    State(node): State<Shared>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    one(&node, path_name(&name)?, None, &uri).await
}

pub(super) async fn show(
    State(node): State<Shared>,
    Path((name, rtype)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    one(&node, path_name(&name)?, Some(path_type(&rtype)?), &uri).await
}

async fn one(node: &Shared, name: Name, rtype: Option<RecordType>, uri: &Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri, &["zone", "covers", "expand", "at"])?;
    let reading = Reading::of(node, &query).await?;
    let expand = expands(&query)?;
    let filter = Filter {
        zone: query.name("zone")?,
        under: None,
        name: Some(name.clone()),
        rtype,
        covers: query.rtype("covers")?,
    };
    let view = reading.view().clone();
    let mut found = take(&mut Cursor::new(&view, filter, None), &view, 200);
    let record = match found.len() {
        0 => {
            let what = rtype.map(|rtype| format!(" {rtype}")).unwrap_or_default();
            return Err(Problem::new(
                ProblemKind::RecordNotFound,
                format!("{}{what} does not exist{}", name.without_dot(), reading.as_of()),
            ));
        }
        1 => found.remove(0),
        _ => return Err(several(&name, &found)),
    };
    let since = record.since;
    let reading = match view.zone(&record.place.zone) {
        Some(zone) => reading.within(&zone),
        None => reading,
    };
    let mut rows = if expand { provenance(node, vec![record]).await? } else { plain(vec![record]) };
    let response = Json(rows.remove(0)).into_response();
    Ok(reading::tag(node, since, reading.stamp(node, response)))
}

fn several(name: &Name, found: &[Found]) -> Problem {
    let errors = found.iter().map(|found| {
        let record = &found.record;
        let covers = record.covers.as_ref().map(|covers| format!("covers={covers}"));
        let zone = record.zone.as_ref().map(|zone| format!("zone={}", path::encode(zone)));
        let narrowed: Vec<String> = covers.into_iter().chain(zone).collect();
        let query = if narrowed.is_empty() { String::new() } else { format!("?{}", narrowed.join("&")) };
        let zone = record.zone.as_ref().map(|zone| format!(", zone {zone}")).unwrap_or_default();
        json::ProblemError {
            detail: format!("{}{zone}", record.rtype),
            hint: Some(format!("/records/{}/{}{query}", path::segment(&record.name), record.rtype)),
            ..json::ProblemError::default()
        }
    });
    Problem::new(ProblemKind::TypeNeeded, format!("{name} has {} record sets", found.len())).with(errors)
}

pub(super) async fn create(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    JsonBody { value: post, digest }: JsonBody<json::RecordInput>,
) -> Result<Response, Problem> {
    let query = Query::of_write(&uri, &["dry_run"])?;
    let raw = RawChange {
        pointer: String::new(),
        zone: post.zone.as_deref(),
        name: post.name.as_deref().ok_or_else(|| missing("name"))?,
        rtype: Some(post.rtype.as_deref().ok_or_else(|| missing("type"))?),
        covers: post.covers.as_deref(),
        ttl: post.ttl.map(u64::from),
        values: &post.values,
    };
    let change = input::change(Op::Create, &raw).map_err(writing::refused)?;
    let expected = post.expected_revision.map(|text| reading::revision(&node, &text)).transpose()?;
    let caller = caller.creating();
    let order =
        Order { caller, reason: post.reason, expected, digest, source: "rest", dry_run: query.flag("dry_run")? };
    written(&node, order, change, true).await
}

pub(super) async fn put_only(
    state: State<Shared>,
    caller: Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    body: JsonBody<json::RecordInput>,
) -> Result<Response, Problem> {
    replace(state, caller, &name, None, &uri, body).await
}

pub(super) async fn put(
    state: State<Shared>,
    caller: Extension<Caller>,
    Path((name, rtype)): Path<(String, String)>,
    uri: Uri,
    body: JsonBody<json::RecordInput>,
) -> Result<Response, Problem> {
    replace(state, caller, &name, Some(&rtype), &uri, body).await
}

fn missing(member: &str) -> Problem {
    let item = json::ProblemError::pointer(format!("/{member}"), "missing");
    Problem::new(ProblemKind::InvalidRecord, format!("a record set to be made needs a {member}")).with([item])
}

async fn replace(
    State(node): State<Shared>,
    Extension(mut caller): Extension<Caller>,
    name: &str,
    rtype: Option<&str>,
    uri: &Uri,
    JsonBody { value: put, digest }: JsonBody<json::RecordInput>,
) -> Result<Response, Problem> {
    let query = Query::of_write(uri, &["dry_run", "zone", "covers"])?;
    let name = path_name(name)?;
    if let Some(other) = put.name.as_ref().filter(|other| other.parse::<Name>().ok().as_ref() != Some(&name)) {
        return Err(differs("/name", other, &name.to_string()));
    }
    if let (Some(path), Some(body)) = (rtype, &put.rtype)
        && path_type(path)? != body.parse().map_err(|_| differs("/type", body, path))?
    {
        return Err(differs("/type", body, path));
    }
    let raw = RawChange {
        pointer: String::new(),
        zone: put.zone.as_deref().or(query.text("zone")),
        name: &name.to_string(),
        rtype: rtype.or(put.rtype.as_deref()),
        covers: put.covers.as_deref().or(query.text("covers")),
        ttl: put.ttl.map(u64::from),
        values: &put.values,
    };
    let op = if std::mem::take(&mut caller.create_only) { Op::Create } else { Op::Set };
    let change = input::change(op, &raw).map_err(writing::refused)?;
    let expected = put.expected_revision.map(|text| reading::revision(&node, &text)).transpose()?;
    let order = Order { caller, reason: put.reason, expected, digest, source: "rest", dry_run: query.flag("dry_run")? };
    written(&node, order, change, false).await
}

fn differs(pointer: &str, given: &str, path: &str) -> Problem {
    let error = json::ProblemError {
        pointer: Some(pointer.into()),
        detail: format!("{given} is not what the path names, {path}"),
        hint: Some("leave it out of the body".into()),
        ..json::ProblemError::default()
    };
    Problem::new(ProblemKind::InvalidRecord, "path and body name different record sets").with([error])
}

/// Commits one change and answers with the record that came of it.
async fn written(node: &Shared, order: Order, change: Change, created: bool) -> Result<Response, Problem> {
    let owner = change.owner.clone();
    let zone = change.zone.clone();
    let which = change.which;
    let dry_run = order.dry_run;
    let answer = writing::submit(node, order, Intent::ChangeRecords(vec![change])).await?;
    if dry_run {
        return answer.into_response(node).await;
    }
    let revision = answer.revision();
    let was_there = answer.replaced();
    node.shown(revision).await?;
    // A SOA that stays as it is shows the serial of now.
    let view = if answer.is_unchanged() { node.store.now() } else { node.store.at(revision.into()) };
    let filter = Filter {
        zone,
        name: Some(owner.clone()),
        rtype: match which {
            Which::Type(rtype, _) => Some(rtype),
            Which::Only | Which::Every => None,
        },
        covers: match which {
            Which::Type(_, covers) => covers,
            Which::Only | Which::Every => None,
        },
        under: None,
    };
    let found = take(&mut Cursor::new(&view, filter, None), &view, 8);
    // Where parent and child both hold the set, the one just written is meant.
    let Some(found) = found.into_iter().max_by_key(|found| (found.since, found.place.zone.label_count())) else {
        return Err(Problem::new(ProblemKind::RecordNotFound, format!("{owner} was changed again meanwhile")));
    };
    let code = if created || !was_there { StatusCode::CREATED } else { StatusCode::OK };
    let since = found.since;
    let record = plain(vec![found]).remove(0);
    Ok(reading::tag(node, since, answer.stamp(node, (code, Json(record)).into_response())))
}

pub(super) async fn delete_only(
    state: State<Shared>,
    caller: Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    remove(state, caller, &name, None, request).await
}

pub(super) async fn delete(
    state: State<Shared>,
    caller: Extension<Caller>,
    Path((name, rtype)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    remove(state, caller, &name, Some(&rtype), request).await
}

async fn remove(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    name: &str,
    rtype: Option<&str>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of_write(request.uri(), &["dry_run", "zone", "covers"])?;
    let which = match rtype {
        None => Which::Only,
        Some(any) if any.eq_ignore_ascii_case("ANY") => Which::Every,
        Some(rtype) => Which::Type(path_type(rtype)?, query.rtype("covers")?),
    };
    let change = Change {
        pointer: String::new(),
        op: Op::Delete,
        zone: query.name("zone")?,
        owner: path_name(name)?,
        which,
        ttl: None,
        values: Values::NONE,
    };
    let digest = body::digest(&request);
    body::none(request).await?;
    let order = Order { caller, reason: None, expected: None, digest, source: "rest", dry_run: query.flag("dry_run")? };
    let dry_run = order.dry_run;
    let answer = writing::submit(&node, order, Intent::ChangeRecords(vec![change])).await?;
    if dry_run {
        return answer.into_response(&node).await;
    }
    node.shown(answer.revision()).await?;
    Ok(answer.stamp(&node, StatusCode::NO_CONTENT.into_response()))
}

fn expands(query: &Query) -> Result<bool, Problem> {
    match query.text("expand") {
        None => Ok(false),
        Some("event") => Ok(true),
        Some(other) => Err(Problem::new(ProblemKind::Malformed, format!("expand takes `event`, not {other:?}"))),
    }
}

/// The name in a path segment.
pub(super) fn path_name(text: &str) -> Result<Name, Problem> {
    path::name(text).map_err(|error| Problem::new(ProblemKind::Malformed, format!("{text:?} is no name: {error}")))
}

fn path_type(text: &str) -> Result<RecordType, Problem> {
    text.parse().map_err(|_| Problem::new(ProblemKind::Malformed, format!("{text:?} is no record type")))
}

/// A set that was found, and where.
struct Found {
    record: json::Record,
    since: Revision,
    place: Place,
}

fn take(cursor: &mut Cursor, view: &View, limit: usize) -> Vec<Found> {
    cursor.take(view, limit, |place, zone, _, set| Found {
        record: record(view, zone, &place.owner, set),
        since: set.since().into(),
        place: place.clone(),
    })
}

/// A set as JSON; its zone is said when another zone of ours holds the same name and type.
fn record(view: &View, zone: &ZoneView<'_>, owner: &Name, set: &SetView<'_>) -> json::Record {
    let mut record = json::Record::new(owner, set.key(), &set.to_record_set());
    let elsewhere = (0..=owner.label_count())
        .map(|labels| owner.suffix(labels))
        .filter(|apex| apex != zone.apex())
        .filter_map(|apex| view.zone(&apex))
        .any(|other| other.owner(owner).is_some_and(|other| other.set(set.key()).is_some()));
    if elsewhere {
        record.zone = Some(zone.apex().without_dot());
    }
    record
}

fn plain(found: Vec<Found>) -> Vec<json::Record> {
    found.into_iter().map(|found| found.record).collect()
}

/// Adds to each record the event that made it so.
async fn provenance(node: &Shared, found: Vec<Found>) -> Result<Vec<json::Record>, Problem> {
    let mut events: HashMap<Revision, json::EventNote> = HashMap::new();
    let mut records = Vec::with_capacity(found.len());
    for mut found in found {
        let event = match events.get(&found.since) {
            Some(event) => event.clone(),
            None => {
                let event = node.note_of(found.since).await?;
                events.insert(found.since, event.clone());
                event
            }
        };
        found.record.event = Some(event);
        found.record.zone.get_or_insert_with(|| found.place.zone.without_dot());
        records.push(found.record);
    }
    Ok(records)
}
