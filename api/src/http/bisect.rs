//! `GET /bisect`: the event at which an answer became, or ceased to be, what is asked for.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use conn3ction_dns::{
    trace::{Found, Traced, trace},
    trail::bisect,
};
use conn3ction_schemas::{Rdata, RecordType, Timestamp, json};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    trail,
};
use crate::moment::Place;

/// Walks the turns of the answer back from the moment asked for to the first that made a difference. A value may come and
/// go any number of times, so halving the history could miss that turn; walking the turns of one answer cannot, and there
/// are few of them however long the ledger is.
pub(super) async fn show(State(node): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["name", "type", "answer", "from", "at"])?;
    let reading = Reading::of(&node, &query).await?;
    let (Some(name), Some(rtype), Some(text)) = (query.name("name")?, query.rtype("type")?, query.text("answer"))
    else {
        let missing = ["name", "type", "answer"].into_iter().filter(|parameter| query.text(parameter).is_none());
        let items = missing.map(|parameter| json::ProblemError::parameter(parameter, "is needed"));
        return Err(Problem::new(ProblemKind::Malformed, "name, type and answer are needed").with(items));
    };
    let wanted = Wanted::parse(rtype, text)?;
    let from = match query.text("from") {
        Some(text) => Some(reading::moment(&node, "from", text).await?.place),
        None => None,
    };
    let reading = match reading.view().zone_of(&name) {
        Some(zone) => reading.clone().within(&zone),
        None => reading,
    };
    let view = reading.view().back_to(reading.revision().into());
    let asked = name.clone();
    let found =
        tokio::task::spawn_blocking(move || bisect(&view, &asked, rtype, usize::MAX, |traced| wanted.holds(traced)));
    let found = found.await.map_err(|_| Problem::new(ProblemKind::Internal, "walking the history failed"))?;
    let turn = match found.turn {
        Some((turn, before)) => Some((trail::event(&node, turn).await?, before)),
        None => None,
    };
    // Turns are walked from the newest on: what turned before the span did not turn within it.
    let turn = turn.filter(|(event, _)| from.is_none_or(|from| is_since(from, event)));
    let (event, before, after) = match turn {
        Some((event, before)) => (Some(event), Some(short(&before)), found.after),
        None => (None, None, trace(reading.view(), &name, rtype)),
    };
    let answer = json::Bisect {
        name: name.without_dot(),
        rtype: rtype.to_string(),
        answer: text.to_owned(),
        holds: found.holds,
        event,
        before,
        after: short(&after),
    };
    Ok(reading.stamp(&node, Json(answer).into_response()))
}

/// Whether an event took effect at this place or later.
fn is_since(from: Place, event: &json::EventJson) -> bool {
    match from {
        Place::Now(revision) | Place::Revision(revision) => event.revision >= revision.0,
        Place::Time(time) => Timestamp::parse(&event.time).is_ok_and(|took_effect| took_effect >= time),
    }
}

/// What an answer is held against.
enum Wanted {
    /// A record of this type with this value.
    Value(RecordType, Rdata),
    /// What there is instead of values.
    Outcome(String),
}

impl Wanted {
    fn parse(rtype: RecordType, text: &str) -> Result<Self, Problem> {
        if !rtype.is_data() {
            let item = json::ProblemError::parameter("type", format!("{rtype} is no type that records have"));
            return Err(Problem::new(ProblemKind::Malformed, "answers of one type are compared").with([item]));
        }
        let outcome = text.to_ascii_uppercase();
        if ["NXDOMAIN", "NODATA", "REFERRAL", "REFUSED", "SERVFAIL", "YXDOMAIN"].contains(&outcome.as_str()) {
            return Ok(Self::Outcome(outcome));
        }
        Rdata::parse(rtype, text, None).map(|rdata| Self::Value(rtype, rdata)).map_err(|error| {
            let hint = "or NXDOMAIN, NODATA, REFERRAL, REFUSED".to_owned();
            let item = json::ProblemError::parameter("answer", error.to_string());
            let item = json::ProblemError { hint: Some(hint), ..item };
            Problem::new(ProblemKind::Malformed, format!("{text:?} is no value of type {rtype}")).with([item])
        })
    }

    fn holds(&self, traced: &Traced) -> bool {
        match self {
            Self::Value(rtype, rdata) => {
                traced.sections[0].iter().any(|record| record.rtype == *rtype && record.rdata == *rdata)
            }
            Self::Outcome(wanted) => outcome(traced) == wanted,
        }
    }
}

/// The response code, and for answers without values what they say instead.
pub(super) fn outcome(traced: &Traced) -> &'static str {
    if traced.rcode != "NOERROR" {
        return traced.rcode;
    }
    match traced.steps.last().map(|step| &step.found) {
        Some(Found::NoData { .. }) => "NODATA",
        Some(Found::Referral { .. }) => "REFERRAL",
        Some(Found::Answer { .. } | Found::Alias { .. } | Found::Dname { .. } | Found::NameError { .. }) | None => {
            "NOERROR"
        }
    }
}

fn short(traced: &Traced) -> json::ShortAnswer {
    let values = traced.sections[0].iter().map(|record| record.rdata.to_text(record.rtype)).collect();
    json::ShortAnswer { outcome: outcome(traced).to_owned(), values }
}
