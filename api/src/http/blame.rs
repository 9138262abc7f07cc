//! `GET /blame`: who put each value there, when and why.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use conn3ction_dns::{
    Version, View,
    store::{Origin, OwnerView, SetView},
};
use conn3ction_schemas::{Name, RecordType, Revision, SetKey, json};

use super::{
    Shared, absent,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading::Reading,
    sets::{Cursor, Filter, PIECE, Place},
};

/// One row for each value that holds at the moment asked for; with `name` also one for each set that the name has no more.
/// It costs the versions of the sets that it shows; the ledger is not read.
pub(super) async fn list(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["zone", "under", "name", "type", "covers", "at", "limit", "after"])?;
    let reading = Reading::of(&node, &query).await?;
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
        && !(filter.name.is_some() && view.was_zone(zone))
    {
        return Err(absent::zone(&node, &reading, zone).await);
    }
    let (limit, start) = (query.limit()?, query.text("after").map(Place::parse).transpose()?);
    let (is_first, format) = (start.is_none(), Format::accepted(&headers));
    let named = filter.name.clone();
    let gone = gone(&view, &filter);
    let mut cursor = Cursor::new(&view, filter, start);
    if named.is_none() && limit.is_none() {
        let state = (node.clone(), view, cursor);
        let pages = futures::stream::unfold(state, move |(node, view, mut cursor)| async move {
            let page = cursor.take(&view, PIECE, blamed);
            if page.is_empty() {
                return None;
            }
            let rows = rows(&node, page).await;
            // Lets other work in between two pieces of a long list.
            tokio::task::yield_now().await;
            Some((rows, (node, view, cursor)))
        });
        return Ok(reading.stamp(&node, list::stream(format, pages)));
    }
    let (mut page, limit) = (Vec::new(), limit.unwrap_or(usize::MAX));
    let mut more = false;
    // Pages end between two sets, so a set of more values than the limit is a page of its own.
    let mut count = 0;
    for set in cursor.take(&view, limit.saturating_add(1), blamed) {
        if count > 0 && count + set.values.len() > limit {
            more = true;
            break;
        }
        count += set.values.len();
        page.push(set);
    }
    let next = page.last().filter(|_| more).map(|set| set.place.to_string());
    if next.is_none() {
        page.extend(gone);
    }
    if let Some(name) = &named
        && page.is_empty()
        && is_first
    {
        let detail = format!("{} never had such a record set here", name.without_dot());
        return Err(Problem::new(ProblemKind::RecordNotFound, detail));
    }
    let response = reading.stamp(&node, list::whole(format, &rows(&node, page).await?));
    Ok(match next {
        Some(after) => list::next_page(response, &uri, &[("at", reading.link(&node)), ("after", after)]),
        None => response,
    })
}

/// A set, and where its values come from; none if it is gone.
struct Blamed {
    place: Place,
    ttl: Option<u32>,
    values: Vec<Origin>,
    changed: Version,
}

fn blamed(place: &Place, _: &conn3ction_dns::ZoneView<'_>, owner: &OwnerView<'_>, set: &SetView<'_>) -> Blamed {
    let (ttl, values, changed) = (Some(set.ttl().as_secs()), owner.origins(place.key), set.since());
    Blamed { place: place.clone(), ttl, values, changed }
}

/// The sets that a name had and has no more, in all zones that hold or held it.
fn gone(view: &View, filter: &Filter) -> Vec<Blamed> {
    let Some(name) = &filter.name else { return Vec::new() };
    let zones = match &filter.zone {
        Some(zone) => vec![zone.clone()],
        None => (0..=name.label_count()).map(|labels| name.suffix(labels)).collect(),
    };
    let of_zone = |zone: &Name| -> Vec<Blamed> {
        let place = |key: SetKey| Place { zone: zone.clone(), owner: name.clone(), key };
        let removals = view.removals(zone, name).into_iter().filter(|(key, _)| filter.wants(*key));
        removals.map(|(key, changed)| Blamed { place: place(key), ttl: None, values: Vec::new(), changed }).collect()
    };
    zones
        .iter()
        .filter(|_| filter.under.as_ref().is_none_or(|under| name.is_at_or_below(under)))
        .flat_map(of_zone)
        .collect()
}

async fn rows(node: &Shared, sets: Vec<Blamed>) -> Result<Vec<json::BlameRow>, Problem> {
    let mut rows = Vec::with_capacity(sets.len());
    for Blamed { place: Place { zone, owner, key }, ttl, values, changed } in sets {
        let values: Vec<(Option<String>, Version)> = match values.is_empty() {
            true => vec![(None, changed)],
            false => values.iter().map(|value| (Some(value.rdata.to_text(key.rtype)), value.version)).collect(),
        };
        for (value, version) in values {
            let note = node.note_of(version.into()).await?;
            rows.push(json::BlameRow {
                zone: zone.without_dot(),
                name: owner.without_dot(),
                rtype: key.rtype.to_string(),
                covers: (key.covered != RecordType(0)).then(|| key.covered.to_string()),
                value,
                ttl,
                revision: note.revision,
                time: note.time,
                actor: note.actor,
                reason: note.reason,
                set_revision: Revision::from(changed).0,
            });
        }
    }
    Ok(rows)
}

impl list::Row for json::BlameRow {
    const COLUMNS: &[&str] =
        &["zone", "name", "type", "covers", "value", "ttl", "revision", "time", "actor", "reason", "set_revision"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.zone.clone(),
            self.name.clone(),
            self.rtype.clone(),
            self.covers.clone().unwrap_or_default(),
            self.value.clone().unwrap_or_default(),
            self.ttl.map(|ttl| ttl.to_string()).unwrap_or_default(),
            self.revision.to_string(),
            self.time.clone(),
            self.actor.clone(),
            self.reason.clone().unwrap_or_default(),
            self.set_revision.to_string(),
        ]
    }
}
