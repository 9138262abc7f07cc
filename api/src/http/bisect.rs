//! `GET /bisect`: the event at which an answer became, or ceased to be, what is asked for.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use conn3ction_dns::{
    trace::{Found, Traced},
    trail::bisect,
};
use conn3ction_schemas::{Rdata, RecordType, json};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::Query,
    reading::Reading,
    trail,
};

/// Walks the turns of the answer back from the moment asked for to the first that made a difference. A value may come and
/// go any number of times, so halving the history could miss that turn; walking the turns of one answer cannot, and there
/// are few of them however long the ledger is.
pub(super) async fn show(State(node): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["name", "type", "answer", "at"])?;
    let reading = Reading::of(&node, &query).await?;
    let (Some(name), Some(rtype), Some(text)) = (query.name("name")?, query.rtype("type")?, query.text("answer"))
    else {
        let missing = ["name", "type", "answer"].into_iter().filter(|parameter| query.text(parameter).is_none());
        let items = missing.map(|parameter| json::ProblemError::parameter(parameter, "is needed"));
        return Err(Problem::new(ProblemKind::Malformed, "name, type and answer are needed").with(items));
    };
    let wanted = Wanted::parse(rtype, text)?;
    let reading = match reading.view().zone_of(&name) {
        Some(zone) => reading.clone().within(&zone),
        None => reading,
    };
    let view = reading.view().back_to(reading.revision().into());
    let asked = name.clone();
    let found = tokio::task::spawn_blocking(move || bisect(&view, &asked, rtype, |traced| wanted.holds(traced)));
    let found = found.await.map_err(|_| Problem::new(ProblemKind::Internal, "walking the history failed"))?;
    let (event, before) = match found.turn {
        Some((turn, before)) => (Some(trail::event(&node, turn).await?), Some(short(&before))),
        None => (None, None),
    };
    let answer = json::Bisect {
        name: name.without_dot(),
        rtype: rtype.to_string(),
        answer: text.to_owned(),
        holds: found.holds,
        event,
        before,
        after: short(&found.after),
    };
    Ok(reading.stamp(&node, Json(answer).into_response()))
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
fn outcome(traced: &Traced) -> &'static str {
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
