//! `/events` of one name: which events those are is known from the versions of the names, so the ledger is not searched.

use conn3ction_dns::{
    View,
    trail::{Touched, Trail, Turn},
};
use conn3ction_schemas::{Delta, Name, Revision, json};
use futures::{Stream, StreamExt};

use super::{
    Shared,
    events::{IN_LISTS, change},
    filter::Filter,
    problem::Problem,
};

/// Turns that are looked for before other work is let in between.
const PIECE: usize = 64;

/// The events `from ..= to` that changed record sets of `name`, or with [`Filter::answer`] anything on the path of its
/// answer; newest first or oldest first, each as a list shows it.
pub(super) fn pages(
    node: Shared,
    filter: Filter,
    name: &Name,
    (from, to): (Revision, Revision),
    is_descending: bool,
) -> impl Stream<Item = Result<Vec<json::EventJson>, Problem>> + Send + use<> {
    let view = node.store.at(to.into());
    let mut trail = trail(&view, name, &filter).since(from.into());
    // Oldest first they have to be known before the first is given out: revisions only, what changed is found again.
    let turns: Box<dyn Iterator<Item = Turn> + Send> = if is_descending {
        Box::new(trail)
    } else {
        let mut versions: Vec<_> = trail.by_ref().map(|turn| turn.version).collect();
        versions.reverse();
        let (name, again) = (name.clone(), filter.clone());
        let turn = move |version| self::trail(&view.back_to(version), &name, &again).next();
        Box::new(versions.into_iter().filter_map(turn))
    };
    futures::stream::unfold((turns, node, filter), |(mut turns, node, filter)| async move {
        let mut rows = Vec::new();
        let mut looked_at = 0;
        // Rows are given out as soon as there is one: who asked for a few does not wait for many.
        while rows.is_empty() && looked_at < PIECE {
            let turn = turns.next()?;
            looked_at += 1;
            match row(&node, &filter, turn).await {
                Ok(row) => rows.extend(row),
                Err(problem) => return Some((Err(problem), (turns, node, filter))),
            }
        }
        tokio::task::yield_now().await;
        Some((Ok(rows), (turns, node, filter)))
    })
}

fn trail(view: &View, name: &Name, filter: &Filter) -> Trail {
    match filter.answer {
        true => Trail::of_answer(view, name, filter.rtype),
        false => Trail::of_owner(view, name, filter.rtype),
    }
}

/// The event at `revision` if it changed anything on the path of the answer; it must be shown.
///
/// # Errors
///
/// The ledger cannot be read.
pub(super) async fn at(
    node: &Shared,
    filter: &Filter,
    name: &Name,
    revision: Revision,
) -> Result<Option<json::EventJson>, Problem> {
    match trail(&node.store.at(revision.into()), name, filter).since(revision.into()).next() {
        Some(turn) => row(node, filter, turn).await,
        None => Ok(None),
    }
}

/// The event of a turn with what it changed on the path.
///
/// # Errors
///
/// The ledger cannot be read.
pub(super) async fn event(node: &Shared, turn: Turn) -> Result<json::EventJson, Problem> {
    let revision = turn.version.into();
    match row(node, &Filter::default(), turn).await? {
        Some(event) => Ok(event),
        None => Ok(json::EventJson::new(&*node.header(revision).await?, Vec::new())),
    }
}

/// The event of a turn with what it changed on the path; `None` if it is not wanted.
async fn row(node: &Shared, filter: &Filter, turn: Turn) -> Result<Option<json::EventJson>, Problem> {
    let header = node.header(turn.version.into()).await?;
    if !filter.wants_event(&header) {
        return Ok(None);
    }
    let mut row = json::EventJson::new(&header, Vec::new());
    let mut came_or_went = false;
    for touched in turn.touched {
        match touched {
            Touched::Zone { .. } => came_or_went = true,
            Touched::Sets { zone, owner, changes } => {
                for change in changes {
                    let (owner, key) = (owner.clone(), change.key);
                    let delta = Delta { zone: 0, owner, key, before: change.before, after: change.after };
                    if filter.wants_set(&zone, &delta) && row.changes.len() < IN_LISTS {
                        row.changes.push(json::ChangeJson::new(&zone, &delta));
                    }
                }
            }
            // It came or went with the names below it: those are shown.
            Touched::Existence { zone, owner } => {
                let mut pieces = node.deltas(node.event(header.revision).await?);
                while row.changes.len() < IN_LISTS
                    && let Some(deltas) = pieces.next().await
                {
                    let is_below = |delta: &&Delta| {
                        let of = header.zones.get(delta.zone as usize).map(|change| &change.zone);
                        of == Some(&zone) && delta.owner.is_at_or_below(&owner)
                    };
                    let deltas = deltas?;
                    let below = deltas.iter().filter(is_below).take(IN_LISTS - row.changes.len());
                    row.changes.extend(below.map(|delta| change(&header, delta)));
                }
            }
        }
    }
    row.changes.sort_by(|a, b| (&a.zone, &a.name, &a.rtype).cmp(&(&b.zone, &b.name, &b.rtype)));
    row.changes.dedup();
    Ok((came_or_went || !row.changes.is_empty()).then_some(row))
}
