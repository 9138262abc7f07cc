//! What changed: every version of a name, and the record sets in which two moments differ.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use conn3ction_dns::{View, store::Step};
use conn3ction_schemas::{Delta, Name, Revision, SetKey, json};

use super::{
    Shared,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    records::path_name,
};

/// `GET /records/{name}/history`, newest first. It costs the versions of the name, not those of the ledger.
pub(super) async fn history(
    State(node): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["zone", "type", "covers", "at", "limit", "after"])?;
    let reading = Reading::of(&node, &query).await?;
    let name = path_name(&name)?;
    let (rtype, covers, limit) = (query.rtype("type")?, query.rtype("covers")?, query.limit()?);
    let after = query.text("after").map(|text| reading::revision(&node, text)).transpose()?;
    let is_asked =
        |key: SetKey| rtype.is_none_or(|rtype| key.rtype == rtype) && covers.is_none_or(|covers| key.covered == covers);
    let zones = match query.name("zone")? {
        Some(zone) => vec![zone],
        None => std::iter::successors(Some(name.clone()), Name::parent).collect(),
    };
    let steps = steps(reading.view(), &name, &zones);
    if steps.is_empty() {
        let detail = format!("{} never had a record set here", name.without_dot());
        return Err(Problem::new(ProblemKind::RecordNotFound, detail));
    }
    let mut rows = Vec::new();
    let mut next = None;
    for (zone, step) in steps {
        let revision = Revision::from(step.version);
        if after.is_some_and(|after| revision >= after) {
            continue;
        }
        // Pages end between two events.
        if limit.is_some_and(|limit| rows.len() >= limit) {
            next = rows.last().map(|last: &json::HistoryEntry| last.revision.to_string());
            break;
        }
        let header = node.header(revision).await?;
        let Some(place) = header.zones.iter().position(|change| change.zone == zone) else { continue };
        for change in step.changes.into_iter().filter(|change| is_asked(change.key)) {
            let (owner, key) = (name.clone(), change.key);
            let delta = Delta { zone: place as u32, owner, key, before: change.before, after: change.after };
            rows.extend(json::HistoryEntry::new(&header, &delta));
        }
    }
    let response = reading.stamp(&node, list::whole(Format::accepted(&headers), &rows));
    Ok(match next {
        Some(after) => list::next_page(response, &uri, &[("at", reading.link(&node)), ("after", after)]),
        None => response,
    })
}

/// The steps of `name` in `zones`, newest first.
fn steps(view: &View, name: &Name, zones: &[Name]) -> Vec<(Name, Step)> {
    let of_zone = |zone: &Name| view.steps(zone, name).map(|step| (zone.clone(), step)).collect::<Vec<_>>();
    let mut steps: Vec<_> = zones.iter().filter(|zone| view.was_zone(zone)).flat_map(of_zone).collect();
    steps.sort_by_key(|(_, step)| std::cmp::Reverse(step.version));
    steps
}

/// `GET /diff?from=&to=`: in canonical order of zone, owner and type. A SOA that differs in its serial alone is no
/// difference; owners that did not change cost next to nothing.
pub(super) async fn diff(State(node): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["from", "to", "zone", "under", "name", "type"])?;
    reading::wait(&node, &query).await?;
    let Some(from) = query.text("from") else {
        let item = json::ProblemError::parameter("from", "the moment to compare with");
        return Err(Problem::new(ProblemKind::Malformed, "from is needed").with([item]));
    };
    let before = Reading::at(&node, "from", from).await?;
    let after = Reading::at(&node, "to", query.text("to").unwrap_or("now")).await?;
    let (zone, under, name) = (query.name("zone")?, query.name("under")?, query.name("name")?);
    let rtype = query.rtype("type")?;
    let (old, new) = (before.view().clone(), after.view().clone());
    let rows = tokio::task::spawn_blocking(move || {
        let all = if new.version() >= old.version() { &new } else { &old };
        let zones: Vec<Name> = all.zones_ever(&Name::root()).cloned().collect();
        let mut rows = Vec::new();
        for apex in zones.iter().filter(|apex| zone.as_ref().is_none_or(|zone| zone == *apex)) {
            let from = name.as_ref().or(under.as_ref()).filter(|from| from.is_at_or_below(apex)).unwrap_or(apex);
            for difference in new.differences(&old, apex, from) {
                let owner = &difference.owner;
                if (name.is_some() || under.is_some()) && !owner.is_at_or_below(from) {
                    break;
                }
                let is_asked = name.as_ref().is_none_or(|name| name == owner)
                    && under.as_ref().is_none_or(|under| owner.is_at_or_below(under))
                    && rtype.is_none_or(|rtype| rtype == difference.change.key.rtype);
                if is_asked {
                    let change = difference.change;
                    let (owner, key) = (difference.owner, change.key);
                    let delta = Delta { zone: 0, owner, key, before: change.before, after: change.after };
                    rows.push(json::ChangeJson::new(apex, &delta));
                }
            }
        }
        rows
    });
    let rows = rows.await.map_err(|_| Problem::new(ProblemKind::Internal, "comparing failed"))?;
    Ok(after.stamp(&node, list::whole(Format::accepted(&headers), &rows)))
}

impl list::Row for json::HistoryEntry {
    const COLUMNS: &[&str] =
        &["revision", "time", "actor", "reason", "kind", "zone", "serial", "name", "type", "covers", "before", "after"];

    fn cells(&self) -> Vec<String> {
        let set = |set: &Option<json::SetJson>| {
            set.as_ref().map(|set| format!("{} {}", set.ttl, set.values.join("\n"))).unwrap_or_default()
        };
        vec![
            self.revision.to_string(),
            self.time.clone(),
            self.actor.clone(),
            self.reason.clone().unwrap_or_default(),
            self.kind.clone(),
            self.zone.clone(),
            self.serial.to_string(),
            self.name.clone(),
            self.rtype.clone(),
            self.covers.clone().unwrap_or_default(),
            set(&self.before),
            set(&self.after),
        ]
    }
}
