//! What changed at a name: every version of its record sets.

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
