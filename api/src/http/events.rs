//! `/events`: the ledger, as pages, as one event, as a stream that grows.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, Uri, header},
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use conn3ction_ledger::Event;
use conn3ction_schemas::{Delta, Name, Revision, event::EventHeader, json};
use futures::{Stream, StreamExt};

use super::{
    Shared, absent,
    filter::Filter,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading, trail,
};

/// Matching changes that an event in a list shows.
pub(super) const IN_LISTS: usize = 100;
/// Changes that an event alone shows.
const ALONE: usize = 1_000;
/// Octets of events read from the ledger at once.
const READ_OCTETS: usize = 1 << 20;

const PARAMETERS: [&str; 15] = [
    "zone",
    "under",
    "name",
    "type",
    "covers",
    "answer",
    "actor",
    "kind",
    "reason",
    "request_id",
    "order",
    "limit",
    "after",
    "from",
    "to",
];

pub(super) async fn list(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &PARAMETERS)?;
    reading::wait(&node, &query).await?;
    let mut filter = Filter::parse(&query)?;
    absent::ensure_known(&node, filter.zone.as_ref(), filter.name.as_ref())?;
    let number = |text: &str| reading::revision(&node, text);
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        let unfit = ["order", "limit", "to"].into_iter().filter(|parameter| query.text(parameter).is_some());
        let unfit = unfit.map(|parameter| json::ProblemError::parameter(parameter, "a stream has no end"));
        let unfit: Vec<_> = unfit.collect();
        if !unfit.is_empty() {
            return Err(Problem::new(ProblemKind::UnknownParameter, "a stream goes on for ever").with(unfit));
        }
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(query.text("after"));
        // Another node may have shown what this one has not seen yet.
        let head = node.ledger.head().await.map_or_else(|_| node.head_known(), |head| head.revision);
        let after = match (last, query.text("from")) {
            (Some(text), _) => number(text)?,
            (None, Some(_)) => Revision(filter.span(&node, &query, head).await?.0.0.saturating_sub(1)),
            (None, None) => head,
        };
        if after > head {
            let detail = format!("{after} is yet to come; the head is {}", node.token(head));
            return Err(Problem::new(ProblemKind::MomentNotYet, detail));
        }
        return Ok(follow(node, filter, after).into_response());
    }
    // Which events are of a name is known from the answers, which may be behind the ledger.
    let head = if filter.name.is_some() { node.revision() } else { node.head_known() };
    let limit = query.limit()?;
    let descending = match query.text("order") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(Problem::new(ProblemKind::Malformed, "order is asc or desc")),
    };
    let after = query.text("after").map(number).transpose()?;
    let (mut from, mut to) = filter.span(&node, &query, head).await?;
    let span = filter.span_as_asked(&node, from, to);
    if descending {
        to = after.map_or(to, |after| Revision(after.0.saturating_sub(1)).min(to));
    } else {
        from = after.map_or(from, |after| after.next().max(from));
    }
    let format = Format::accepted(&headers);
    let mut pages: Pages = match filter.name.clone() {
        Some(name) => Box::pin(trail::pages(node.clone(), filter, &name, (from, to), descending)),
        None => {
            let pieces: Pieces = match descending {
                true => Box::pin(backward(node.clone(), from, to)),
                false => Box::pin(forward(node.clone(), from, to)),
            };
            filtered(node.clone(), filter, pieces, limit.is_some())
        }
    };
    let Some(limit) = limit else {
        return Ok(reading::stamp(&node, head, list::begun(format, pages).await?));
    };
    let mut rows = Vec::new();
    while rows.len() <= limit
        && let Some(page) = pages.next().await
    {
        rows.extend(page?);
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let response = reading::stamp(&node, head, list::whole(format, &rows));
    Ok(match rows.last() {
        Some(last) if more => {
            let mut changed = Vec::from(span);
            changed.push(("after", last.revision.to_string()));
            list::next_page(response, &uri, &changed)
        }
        _ => response,
    })
}

/// Rows for a list, some at a time.
type Pages = Pin<Box<dyn Stream<Item = Result<Vec<json::EventJson>, Problem>> + Send>>;

/// The events of `pieces` that are wanted; one by one if only a few may be asked for.
fn filtered(node: Shared, filter: Filter, pieces: Pieces, one_by_one: bool) -> Pages {
    let split = move |piece: Result<Vec<Arc<Event>>, Problem>| match piece {
        Ok(events) if one_by_one => events.into_iter().map(|event| Ok(vec![event])).collect(),
        piece => vec![piece],
    };
    let pieces = pieces.flat_map(move |piece| futures::stream::iter(split(piece)));
    Box::pin(pieces.then(move |events| {
        let (node, filter) = (node.clone(), filter.clone());
        async move { filter.rows(&node, events?).await }
    }))
}

/// Events of the ledger, as they are read.
type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<Arc<Event>>, Problem>> + Send>>;

/// Events `from ..= to`, oldest first.
fn forward(node: Shared, from: Revision, to: Revision) -> impl Stream<Item = Result<Vec<Arc<Event>>, Problem>> + Send {
    futures::stream::unfold(Some(from), move |next| {
        let node = node.clone();
        async move {
            let next = next.filter(|next| *next <= to)?;
            match node.read_events(Revision(next.0.saturating_sub(1)), READ_OCTETS).await {
                Ok(mut events) => {
                    let last = events.last()?.revision();
                    events.retain(|event| event.revision() <= to);
                    Some((Ok(events), Some(last.next())))
                }
                Err(problem) => Some((Err(problem), None)),
            }
        }
    })
}

/// Events `from ..= to`, newest first: windows that are read forward and given out backward.
fn backward(node: Shared, from: Revision, to: Revision) -> impl Stream<Item = Result<Vec<Arc<Event>>, Problem>> + Send {
    const WINDOW: u64 = 256;
    futures::stream::unfold(Some(to), move |last| {
        let node = node.clone();
        async move {
            let last = last.filter(|last| *last >= from && last.0 > 0)?;
            let first = Revision(last.0.saturating_sub(WINDOW - 1)).max(from).max(Revision(1));
            let mut window = Vec::new();
            let mut pieces = Box::pin(forward(node, first, last));
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(events) => window.extend(events),
                    Err(problem) => return Some((Err(problem), None)),
                }
            }
            window.reverse();
            Some((Ok(window), (first.0 > 1).then(|| Revision(first.0 - 1))))
        }
    })
}

/// Server-sent events from the one after `after`, for ever or until the node stops; the id is `epoch:revision`.
fn follow(node: Shared, filter: Filter, after: Revision) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let stop = node.stop.clone();
    let stream = node.ledger.follow(after).filter_map(move |event| {
        let (node, filter) = (node.clone(), filter.clone());
        async move {
            let row = match (event, &filter.name) {
                (Ok(event), Some(name)) if filter.answer => {
                    node.store.reached(event.revision().into()).await;
                    trail::at(&node, &filter, name, event.revision()).await
                }
                (Ok(event), _) => filter.row(&node, &event, IN_LISTS).await,
                (Err(error), _) => Err(node.read_fault(&error)),
            };
            match row {
                Ok(row) => {
                    let row = row?;
                    SseEvent::default().id(format!("{}:{}", row.epoch, row.revision)).event("event").json_data(row).ok()
                }
                Err(problem) => Some(SseEvent::default().event("problem").data(problem.detail)),
            }
            .map(Ok)
        }
    });
    // A sign of life at once, so that the answer's head goes out and nobody takes a quiet stream for a hung one.
    let stream = futures::stream::iter([Ok(SseEvent::default().comment(""))]).chain(stream);
    // Around it all: a stop need not wait for what an event waits for.
    let stream = stream.take_until(stop.cancelled_owned());
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

pub(super) async fn show(State(node): State<Shared>, Path(rev): Path<String>, uri: Uri) -> Result<Response, Problem> {
    reading::wait(&node, &Query::parse(&uri, &[])?).await?;
    let event = node.event(reading::revision(&node, &rev)?).await?;
    let row = alone(&node, &event).await?;
    let head = node.head_known();
    Ok(reading::stamp(&node, head, Json(row).into_response()))
}

/// An event with its first changes.
pub(super) async fn alone(node: &Shared, event: &Arc<Event>) -> Result<json::EventJson, Problem> {
    let mut row = json::EventJson::new(&event.header, Vec::new());
    Filter::default().changes_into(&mut row, node, event, ALONE).await?;
    Ok(row)
}

pub(super) async fn changes(
    State(node): State<Shared>,
    Path(rev): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["limit", "after"])?;
    reading::wait(&node, &query).await?;
    let event = node.event(reading::revision(&node, &rev)?).await?;
    let (header, format) = (event.header.clone(), Format::accepted(&headers));
    let after = match query.text("after").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => {
            return Err(Problem::new(ProblemKind::Malformed, "after is how many changes were read already"));
        }
    };
    let mut passed = 0usize;
    let mut pages = node.deltas(event).map(move |deltas| {
        let deltas = deltas?;
        let rest = deltas.get(after.saturating_sub(passed)..).unwrap_or_default();
        passed += deltas.len();
        Ok::<Vec<_>, Problem>(rest.iter().map(|delta| change(&header, delta)).collect())
    });
    let Some(limit) = query.limit()? else { return Ok(list::stream(format, pages)) };
    let mut rows = Vec::new();
    while rows.len() <= limit
        && let Some(page) = pages.next().await
    {
        rows.extend(page?);
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let response = list::whole(format, &rows);
    Ok(if more { list::next_page(response, &uri, &[("after", (after + limit).to_string())]) } else { response })
}

/// A delta as JSON; it names its zone by its place in the header.
pub(super) fn change(header: &EventHeader, delta: &Delta) -> json::ChangeJson {
    let zone = header.zones.get(delta.zone as usize).map_or_else(Name::root, |change| change.zone.clone());
    json::ChangeJson::new(&zone, delta)
}

impl list::Row for json::ChangeJson {
    const COLUMNS: &[&str] = &["zone", "name", "type", "covers", "before_ttl", "before", "after_ttl", "after"];

    fn cells(&self) -> Vec<String> {
        let ttl = |state: &Option<json::SetJson>| state.as_ref().map(|state| state.ttl.to_string()).unwrap_or_default();
        let values =
            |state: &Option<json::SetJson>| state.as_ref().map(|state| state.values.join("\n")).unwrap_or_default();
        vec![
            self.zone.clone(),
            self.name.clone(),
            self.rtype.clone(),
            self.covers.clone().unwrap_or_default(),
            ttl(&self.before),
            values(&self.before),
            ttl(&self.after),
            values(&self.after),
        ]
    }
}
