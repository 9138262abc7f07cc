//! What changed at a name: every version of its record sets.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use conn3ction_dns::{Version, View, store::Step};
use conn3ction_schemas::{Delta, Kind, Name, Revision, json};

use super::{
    Shared,
    list::{self, Format},
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    records::path_name,
    sets::Filter,
};

/// `GET /records/{name}/history`, newest first. It costs the versions of the name, not those of the ledger, of which only
/// the headers of rare kinds of events are read.
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
    let filter = Filter { rtype, covers, ..Filter::default() };
    let zones = match query.name("zone")? {
        Some(zone) => vec![zone],
        None => std::iter::successors(Some(name.clone()), Name::parent).collect(),
    };
    let view = reading.view();
    if !zones.iter().any(|zone| view.steps(zone, &name).next().is_some()) {
        let detail = format!("{} never had a record set here", name.without_dot());
        return Err(Problem::new(ProblemKind::RecordNotFound, detail));
    }
    let mut walk = Walk::new(view, name, zones, after);
    let format = Format::accepted(&headers);
    let Some(limit) = limit else {
        let state = (node.clone(), walk, filter);
        let pages = futures::stream::unfold(state, |(node, mut walk, filter)| async move {
            let steps: Vec<_> = walk.by_ref().take(PIECE).collect();
            if steps.is_empty() {
                return None;
            }
            let rows = rows(&node, &walk.name, steps, &filter).await;
            // Lets other work in between two pieces of a long list.
            tokio::task::yield_now().await;
            Some((rows, (node, walk, filter)))
        });
        return Ok(reading.stamp(&node, list::begun(format, pages).await?));
    };
    let mut page: Vec<json::HistoryEntry> = Vec::new();
    let mut next = None;
    while let Some((zone, step)) = walk.next() {
        // Pages end between two events.
        if page.len() >= limit {
            next = page.last().map(|last| last.revision.to_string());
            break;
        }
        let name = walk.name.clone();
        page.extend(rows(&node, &name, vec![(zone, step)], &filter).await?);
    }
    let response = reading.stamp(&node, list::whole(format, &page));
    Ok(match next {
        Some(after) => list::next_page(response, &uri, &[("at", reading.link(&node)), ("after", after)]),
        None => response,
    })
}

/// Steps in one piece of a streamed list.
const PIECE: usize = 256;

/// The steps of a name in several zones, newest first, each looked for when it is asked for.
struct Walk {
    view: View,
    name: Name,
    /// The next step in each zone that has one.
    heads: Vec<(Name, Step)>,
}

impl Walk {
    fn new(view: &View, name: Name, zones: Vec<Name>, after: Option<Revision>) -> Self {
        let first = |zone: Name| {
            let step = view.steps(&zone, &name).next()?;
            match after.filter(|after| Revision::from(step.version) >= *after) {
                Some(after) => before(view, &zone, &name, after.into()).map(|step| (zone, step)),
                None => Some((zone, step)),
            }
        };
        let heads = zones.into_iter().filter_map(first).collect();
        Self { view: view.clone(), name, heads }
    }
}

impl Iterator for Walk {
    type Item = (Name, Step);

    fn next(&mut self) -> Option<(Name, Step)> {
        let at = (0..self.heads.len()).max_by_key(|at| self.heads[*at].1.version)?;
        let zone = &self.heads[at].0;
        match before(&self.view, zone, &self.name, self.heads[at].1.version) {
            Some(step) => {
                let zone = zone.clone();
                Some((zone, std::mem::replace(&mut self.heads[at].1, step)))
            }
            None => Some(self.heads.swap_remove(at)),
        }
    }
}

/// The last step before `version`.
fn before(view: &View, zone: &Name, name: &Name, version: Version) -> Option<Step> {
    view.back_to(Version(version.0.checked_sub(1)?)).steps(zone, name).next()
}

fn may_end_a_zone(kind: Kind) -> bool {
    match kind {
        Kind::RecordsChanged | Kind::ZoneCreated | Kind::ZoneImported => false,
        Kind::ZoneDeleted | Kind::Restored | Kind::Reverted => true,
    }
}

async fn rows(
    node: &Shared,
    name: &Name,
    steps: Vec<(Name, Step)>,
    filter: &Filter,
) -> Result<Vec<json::HistoryEntry>, Problem> {
    let mut rows = Vec::with_capacity(steps.len());
    for (zone, step) in steps {
        if !step.changes.iter().any(|change| filter.wants(change.key)) {
            continue;
        }
        let revision = Revision::from(step.version);
        let (note, kind, serial) = match (node.noted(revision), step.serial) {
            // The answers know the serial that a zone which stays has from then on.
            (Some((note, Some(kind))), Some(serial)) if !may_end_a_zone(kind) => (note, kind, serial),
            _ => {
                let header = node.header(revision).await?;
                let Some(change) = header.zones.iter().find(|change| change.zone == zone) else { continue };
                (node.note_of(revision).await?, header.kind, change.after)
            }
        };
        for change in step.changes.into_iter().filter(|change| filter.wants(change.key)) {
            let (owner, key) = (name.clone(), change.key);
            let delta = Delta { zone: 0, owner, key, before: change.before, after: change.after };
            let json::ChangeJson { zone, name, rtype, covers, before, after } = json::ChangeJson::new(&zone, &delta);
            rows.push(json::HistoryEntry {
                revision: note.revision,
                time: note.time.clone(),
                actor: note.actor.clone(),
                reason: note.reason.clone(),
                kind: kind.as_str().into(),
                zone,
                serial: serial.0,
                name,
                rtype,
                covers,
                before,
                after,
            });
        }
    }
    Ok(rows)
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
