//! `GET /diff`: the record sets in which two moments differ.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use conn3ction_dns::{View, store::Difference};
use conn3ction_schemas::{Delta, Name, json};

use super::{
    Shared, absent,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    sets::{Filter, PIECE, Place},
};

/// In canonical order of zone, owner and type. A SOA that differs in its serial alone is no difference; owners that did not
/// change cost next to nothing. Only a piece of the list is ever held, however far the moments are apart.
pub(super) async fn list(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["from", "to", "zone", "under", "name", "type", "covers", "limit", "after"])?;
    reading::wait(&node, &query).await?;
    let Some(from) = query.text("from") else {
        let item = json::ProblemError::parameter("from", "the moment to compare with");
        return Err(Problem::new(ProblemKind::Malformed, "from is needed").with([item]));
    };
    let before = Reading::at(&node, "from", from).await?;
    let after = Reading::at(&node, "to", query.text("to").unwrap_or("now")).await?;
    let filter = Filter {
        zone: query.name("zone")?,
        under: query.name("under")?,
        name: query.name("name")?,
        rtype: query.rtype("type")?,
        covers: query.rtype("covers")?,
    };
    absent::ensure_known(&node, filter.zone.as_ref(), filter.name.as_ref())?;
    let start = query.text("after").map(Place::parse).transpose()?;
    let cursor = Cursor::new(before.view().clone(), after.view().clone(), filter, start)?;
    let format = Format::accepted(&headers);
    let Some(limit) = query.limit()? else {
        let pages = futures::stream::unfold(Some(cursor), |cursor| async {
            let (mut page, cursor) = match taken(cursor?, PIECE).await {
                Ok(taken) => taken,
                Err(problem) => return Some((Err(problem), None)),
            };
            let rows: Vec<_> = page.drain(..).map(|(_, row)| row).collect();
            (!rows.is_empty()).then_some((Ok(rows), Some(cursor)))
        });
        return Ok(after.stamp(&node, list::begun(format, pages).await?));
    };
    let (mut page, _) = taken(cursor, limit.saturating_add(1)).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|(place, _)| place.to_string());
    let rows: Vec<_> = page.into_iter().map(|(_, row)| row).collect();
    let response = after.stamp(&node, list::whole(format, &rows));
    Ok(match next {
        Some(place) => {
            let changed = [("from", before.link(&node)), ("to", after.link(&node)), ("after", place)];
            list::next_page(response, &uri, &changed)
        }
        None => response,
    })
}

/// [`Cursor::take`] on a thread that may take its time: a million names that are the same are a while without a row.
async fn taken(mut cursor: Cursor, limit: usize) -> Result<(Vec<(Place, json::ChangeJson)>, Cursor), Problem> {
    let taking = tokio::task::spawn_blocking(move || (cursor.take(limit), cursor));
    taking.await.map_err(|_| Problem::new(ProblemKind::Internal, "comparing failed"))
}

/// Walks the differences that a filter lets through; it can stop and go on anywhere.
struct Cursor {
    old: View,
    new: View,
    filter: Filter,
    /// The zones still to be walked, the present one last.
    zones: Vec<Name>,
    /// Differences up to here were given out.
    after: Option<Place>,
}

impl Cursor {
    fn new(old: View, new: View, filter: Filter, after: Option<Place>) -> Result<Self, Problem> {
        let all = if new.version() >= old.version() { &new } else { &old };
        let mut zones: Vec<Name> = match &filter.zone {
            Some(zone) if !all.was_zone(zone) => {
                return Err(Problem::new(ProblemKind::ZoneNotFound, format!("no zone {}", zone.without_dot())));
            }
            Some(zone) => vec![zone.clone()],
            None => all.zones_ever(&Name::root()).cloned().collect(),
        };
        let touches = |apex: &Name| {
            filter.name.as_ref().is_none_or(|name| name.is_at_or_below(apex))
                && filter.under.as_ref().is_none_or(|top| top.is_at_or_below(apex) || apex.is_at_or_below(top))
                && after.as_ref().is_none_or(|after| *apex >= after.zone)
        };
        zones.retain(touches);
        zones.reverse();
        Ok(Self { old, new, filter, zones, after })
    }

    /// At most `limit` further differences; none at the end.
    fn take(&mut self, limit: usize) -> Vec<(Place, json::ChangeJson)> {
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some(apex) = self.zones.last()
        {
            let after = self.after.as_ref().filter(|after| after.zone == *apex);
            let start = after.map_or(apex, |after| &after.owner);
            let (old, new) = (&self.old, &self.new);
            let found: Box<dyn Iterator<Item = Difference>> = match (&self.filter.name, &self.filter.under) {
                (Some(name), _) => Box::new(new.differences_at(old, apex, name).into_iter()),
                // A zone below the top is wholly below it.
                (None, Some(top)) if !apex.is_at_or_below(top) => Box::new(new.differences_under(old, apex, top)),
                (None, _) => Box::new(new.differences(old, apex, start)),
            };
            let found = found.filter(|found| {
                let passed = after.is_some_and(|after| (&after.owner, after.key) >= (&found.owner, found.change.key));
                let under = self.filter.under.as_ref();
                !passed
                    && self.filter.wants(found.change.key)
                    && under.is_none_or(|under| found.owner.is_at_or_below(under))
            });
            let before = rows.len();
            rows.extend(found.take(limit - before).map(|found| row(apex, found)));
            if rows.len() < limit {
                self.zones.pop();
            }
        }
        if let Some((place, _)) = rows.last() {
            self.after = Some(place.clone());
        }
        rows
    }
}

fn row(apex: &Name, difference: Difference) -> (Place, json::ChangeJson) {
    let Difference { owner, change, .. } = difference;
    let place = Place { zone: apex.clone(), owner: owner.clone(), key: change.key };
    let delta = Delta { zone: 0, owner, key: change.key, before: change.before, after: change.after };
    (place, json::ChangeJson::new(apex, &delta))
}
