//! `GET /lookup`: what the responder answers, which events put it there, and the path it took.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use conn3ction_dns::{
    trace::{Found, Step, Traced, TracedRecord, trace},
    trail::bisect,
};
use conn3ction_schemas::{Name, RecordType, Revision, SetKey, json};

use super::{
    Shared, absent,
    bisect::outcome,
    problem::{Problem, ProblemKind},
    query::Query,
    reading::Reading,
};

pub(super) async fn show(State(node): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["name", "type", "at"])?;
    let reading = Reading::of(&node, &query).await?;
    let Some(name) = query.name("name")? else {
        let item = json::ProblemError::parameter("name", "which name to look up".to_owned());
        return Err(Problem::new(ProblemKind::Malformed, "name is needed").with([item]));
    };
    let rtype = query.rtype("type")?.unwrap_or(RecordType::A);
    let traced = trace(reading.view(), &name, rtype);
    let reading = match reading.view().zone_of(&name) {
        Some(zone) => reading.clone().within(&zone),
        None => reading.clone().without_zone(&name),
    };
    let since = since(&node, &reading, &name, rtype, &traced).await?;
    let Traced { rcode, authoritative, sections, steps } = traced;
    let mut shown = Vec::with_capacity(3);
    for section in sections {
        shown.push(sets(&node, section).await?);
    }
    let mut shown = shown.into_iter();
    let mut next = || shown.next().unwrap_or_default();
    let mut trace: Vec<_> = steps.iter().map(said).collect();
    if trace.is_empty() {
        trace.push(absent::zone_of(&node, &reading, &name).await);
    }
    let lookup = json::Lookup {
        rcode: rcode.to_owned(),
        authoritative,
        revision: reading.revision().0,
        moment: reading.asked(),
        since,
        answer: next(),
        authority: next(),
        additional: next(),
        trace,
    };
    Ok(reading.stamp(&node, Json(lookup).into_response()))
}

/// Turns of an answer that are walked back to find since when there is nothing: a part of a second. Only an alias that moved
/// from one missing target to the next so often has more.
const MOST_TURNS: usize = 10_000;

/// The event that made an answer one without such records.
async fn since(
    node: &Shared,
    reading: &Reading,
    name: &Name,
    rtype: RecordType,
    traced: &Traced,
) -> Result<Option<json::EventNote>, Problem> {
    let said = outcome(traced);
    if !["NXDOMAIN", "NODATA", "REFUSED"].contains(&said) {
        return Ok(None);
    }
    let view = reading.view();
    let last = match view.time() {
        None => view.version(),
        // The zones on the path each have their own last version by then.
        Some(_) => {
            let zones = traced.steps.iter().filter_map(|step| view.last_change(&step.zone));
            zones.chain([reading.revision().into()]).max().unwrap_or_default()
        }
    };
    let (view, name) = (view.back_to(last), name.clone());
    let holds = move |traced: &Traced| outcome(traced) == said;
    let found = tokio::task::spawn_blocking(move || bisect(&view, &name, rtype, MOST_TURNS, holds));
    let found = found.await.map_err(|_| Problem::new(ProblemKind::Internal, "walking the history failed"))?;
    match found.turn.filter(|_| found.holds) {
        Some((turn, _)) => Ok(Some(node.note_of(turn.version.into()).await?)),
        None => Ok(None),
    }
}

/// The records of a section as sets, each with the event that put it there.
async fn sets(node: &Shared, section: Vec<TracedRecord>) -> Result<Vec<json::Record>, Problem> {
    let mut sets: Vec<(SetKey, json::Record)> = Vec::new();
    for record in section {
        let key = SetKey::for_rdata(record.rtype, &record.rdata);
        let (name, text) = (record.owner.without_dot(), record.rdata.to_text(record.rtype));
        if let Some((_, set)) = sets.iter_mut().find(|(other, set)| *other == key && set.name == name) {
            set.values.push(text);
            continue;
        }
        let event = match record.since {
            Some(since) => Some(node.note_of(Revision::from(since)).await?),
            None => None,
        };
        let covers = (key.covered != RecordType(0)).then(|| key.covered.to_string());
        let (rtype, values, ttl) = (record.rtype.to_string(), vec![text], record.ttl);
        sets.push((key, json::Record { name, rtype, values, ttl, covers, zone: None, revision: None, event }));
    }
    Ok(sets.into_iter().map(|(_, set)| set).collect())
}

/// A step in words.
fn said(step: &Step) -> String {
    let (zone, name) = (&step.zone, &step.name);
    let stands_in = |owner: &Name| match owner == name {
        true => String::new(),
        false => format!(" from the wildcard {owner}"),
    };
    let found = match &step.found {
        Found::Answer { owner } => format!("the answer{}", stands_in(owner)),
        Found::Alias { owner, target } => format!("an alias of {target}{}", stands_in(owner)),
        Found::Dname { owner, target } => format!("below {owner}, which is renamed to {target} (DNAME)"),
        Found::Referral { cut } => format!("delegated at {cut}"),
        Found::NoData { owner } => format!("exists without this type{}", stands_in(owner)),
        Found::NameError { encloser } => format!("does not exist; {encloser} is the closest that does"),
    };
    format!("zone {zone}: {name}: {found}")
}
