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
use conn3ction_schemas::{
    Delta, Name, RecordType, Revision, Timestamp,
    event::{EventHeader, Kind},
    json,
};
use futures::{Stream, StreamExt};

use super::{
    Shared,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading, trail,
};
use crate::moment::Place;

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
    let number = |text: &str| reading::revision(&node, text);
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(query.text("after"));
        let after = match last {
            Some(text) => number(text)?,
            None => node.head_known(),
        };
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

/// Server-sent events from the one after `after`, for ever or until the node stops; the id is the revision.
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
                    SseEvent::default().id(row.revision.to_string()).event("event").json_data(row).ok()
                }
                Err(problem) => Some(SseEvent::default().event("problem").data(problem.detail)),
            }
            .map(Ok)
        }
    });
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
    reading::wait(&node, &Query::parse(&uri, &[])?).await?;
    let event = node.event(reading::revision(&node, &rev)?).await?;
    let header = event.header.clone();
    let pages = node.deltas(event).map(move |deltas| Ok(deltas?.iter().map(|delta| change(&header, delta)).collect()));
    Ok(list::stream(Format::accepted(&headers), pages))
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

/// Which events and which of their changes are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    zone: Option<Name>,
    under: Option<Name>,
    name: Option<Name>,
    pub(super) rtype: Option<RecordType>,
    covers: Option<RecordType>,
    /// With a name: whatever changed its answer, wherever that was.
    pub(super) answer: bool,
    actor: Option<String>,
    kind: Option<Kind>,
    reason: Option<String>,
    request_id: Option<String>,
    /// Took effect at this time or later, at this time or earlier.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Filter {
    fn parse(query: &Query) -> Result<Self, Problem> {
        let kind = match query.text("kind") {
            None => None,
            Some(text) => Some(Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
                let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                Problem::new(ProblemKind::Malformed, format!("kind is one of {}", kinds.join(", ")))
            })?),
        };
        let (name, answer) = (query.name("name")?, query.flag("answer")?);
        if answer && name.is_none() {
            let item = json::ProblemError::parameter("answer", "follows the answer for a name; name is missing");
            return Err(Problem::new(ProblemKind::Malformed, "answer needs a name").with([item]));
        }
        Ok(Self {
            zone: query.name("zone")?,
            under: query.name("under")?,
            name,
            rtype: query.rtype("type")?,
            covers: query.rtype("covers")?,
            answer,
            actor: query.text("actor").map(str::to_owned),
            kind,
            reason: query.text("reason").map(str::to_owned),
            request_id: query.text("request_id").map(str::to_owned),
            since: None,
            until: None,
        })
    }

    /// The revisions that `from` and `to` leave. Points in time are held against when events took effect, which for a
    /// history taken in later is before it was stored; so the first revision is found by a search, but not the last.
    async fn span(&mut self, node: &Shared, query: &Query, head: Revision) -> Result<(Revision, Revision), Problem> {
        let (mut from, mut to) = (Revision(1), head);
        for parameter in ["from", "to"] {
            let Some(text) = query.text(parameter) else { continue };
            let place = node.moment(reading::when(parameter, text)?)?.place;
            match (place, parameter) {
                (Place::Now(revision) | Place::Revision(revision), "from") => from = revision,
                (Place::Now(revision) | Place::Revision(revision), _) => to = revision.min(head),
                (Place::Time(time), "from") => {
                    from = node.first_stored_from(time, head).await?;
                    self.since = Some(time);
                }
                (Place::Time(time), _) => self.until = Some(time),
            }
        }
        Ok((from, to))
    }

    /// `from` and `to` as the next page's link names them: neither an age nor the present moves on between two pages.
    fn span_as_asked(&self, node: &Shared, from: Revision, to: Revision) -> [(&'static str, String); 2] {
        let named = |time: Option<Timestamp>, revision| match time {
            Some(time) => time.to_string(),
            None => node.token(revision).to_string(),
        };
        [("from", named(self.since, from)), ("to", named(self.until, to))]
    }

    /// The events that are wanted, as lists show them.
    async fn rows(&self, node: &Shared, events: Vec<Arc<Event>>) -> Result<Vec<json::EventJson>, Problem> {
        let mut rows = Vec::new();
        for event in events {
            rows.extend(self.row(node, &event, IN_LISTS).await?);
        }
        Ok(rows)
    }

    /// The event with its first `most` matching changes; `None` if it is not wanted.
    async fn row(&self, node: &Shared, event: &Arc<Event>, most: usize) -> Result<Option<json::EventJson>, Problem> {
        let header = &event.header;
        if !self.wants_event(header) {
            return Ok(None);
        }
        let narrow = [self.under.is_some(), self.name.is_some(), self.rtype.is_some(), self.covers.is_some()];
        let narrow = narrow.contains(&true) || self.zone.is_some();
        let mut row = json::EventJson::new(header, Vec::new());
        self.changes_into(&mut row, node, event, most).await?;
        Ok((!narrow || !row.changes.is_empty()).then_some(row))
    }

    /// Adds the first `most` changes that are wanted.
    async fn changes_into(
        &self,
        row: &mut json::EventJson,
        node: &Shared,
        event: &Arc<Event>,
        most: usize,
    ) -> Result<(), Problem> {
        let header = &event.header;
        let mut pieces = node.deltas(event.clone());
        while row.changes.len() < most
            && let Some(deltas) = pieces.next().await
        {
            let wanted = deltas?.into_iter().filter(|delta| self.wants(header, delta)).take(most - row.changes.len());
            row.changes.extend(wanted.map(|delta| change(header, &delta)));
        }
        Ok(())
    }

    pub(super) fn wants_event(&self, header: &EventHeader) -> bool {
        self.actor.as_ref().is_none_or(|glob| glob_matches(glob.as_bytes(), header.actor.name.as_bytes()))
            && self.kind.is_none_or(|kind| kind == header.kind)
            && self.since.is_none_or(|since| header.time >= since)
            && self.until.is_none_or(|until| header.time <= until)
            && self
                .reason
                .as_ref()
                .is_none_or(|part| header.reason.as_ref().is_some_and(|reason| reason.contains(part)))
            && self.request_id.as_ref().is_none_or(|id| *id == header.request_id)
            && self.zone.as_ref().is_none_or(|zone| header.zones.iter().any(|change| change.zone == *zone))
    }

    fn wants(&self, header: &EventHeader, delta: &Delta) -> bool {
        let zone = header.zones.get(delta.zone as usize).map(|change| &change.zone);
        self.name.as_ref().is_none_or(|name| delta.owner == *name)
            && self.rtype.is_none_or(|rtype| rtype == delta.key.rtype)
            && zone.map_or(self.zone.is_none(), |zone| self.wants_set(zone, delta))
    }

    /// As [`Filter::wants`], but for the name and the type: what is on the path of an answer need not have those.
    pub(super) fn wants_set(&self, zone: &Name, delta: &Delta) -> bool {
        self.zone.as_ref().is_none_or(|wanted| wanted == zone)
            && self.under.as_ref().is_none_or(|under| delta.owner.is_at_or_below(under))
            && self.covers.is_none_or(|covers| covers == delta.key.covered)
    }
}

/// `*` stands for any octets; in time proportional to the product of the lengths at most.
pub(crate) fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(octet) if *octet == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (glob, text, matches) in [
            ("ci-*", "ci-deploy", true),
            ("ci-*", "xci-deploy", false),
            ("*", "", true),
            ("a*b*c", "a--b-b-c", true),
            ("a*b", "abc", false),
            ("", "x", false),
        ] {
            assert_eq!(glob_matches(glob.as_bytes(), text.as_bytes()), matches, "{glob} {text}");
        }
    }
}
