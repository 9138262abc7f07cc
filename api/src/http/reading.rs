//! What every read does: wait for a revision, choose the state that it speaks for, say which that was.

use axum::{
    http::{HeaderMap, HeaderValue},
    response::Response,
};
use conn3ction_dns::{View, ZoneView};
use conn3ction_schemas::{Name, Revision, Timestamp, When, WhenError, json::ProblemError};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::Query,
};
use crate::moment::{Moment, NoMoment, Place};

/// Waits for `min_revision` at most as long as `wait` says.
///
/// # Errors
///
/// [`ProblemKind::NotCaughtUp`] after that; the errors of [`revision`].
pub(crate) async fn wait(node: &Shared, query: &Query) -> Result<(), Problem> {
    let limit = query.wait()?;
    let Some(text) = query.text("min_revision") else { return Ok(()) };
    let wanted = revision(node, text)?;
    if node.reached(wanted, limit).await {
        return Ok(());
    }
    let now = node.token(node.revision());
    Err(Problem::new(
        ProblemKind::NotCaughtUp,
        format!("{} is not shown yet; the views stand at {now}", node.token(wanted)),
    ))
}

/// The moment that a read speaks for, and what the answer says of it.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    moment: Moment,
    /// What is named as the state that answered.
    revision: Revision,
    time: Option<Timestamp>,
}

impl Reading {
    /// The present, or with `at` any moment before.
    ///
    /// # Errors
    ///
    /// Those of [`wait`] and [`moment`].
    pub(crate) async fn of(node: &Shared, query: &Query) -> Result<Self, Problem> {
        wait(node, query).await?;
        Self::at(node, "at", query.text("at").unwrap_or("now")).await
    }

    /// The moment that `text`, the value of `parameter`, names.
    ///
    /// # Errors
    ///
    /// Those of [`moment`].
    pub(crate) async fn at(node: &Shared, parameter: &str, text: &str) -> Result<Self, Problem> {
        let moment = moment(node, parameter, text).await?;
        let (revision, time) = match moment.place {
            Place::Now(revision) => (revision, Some(Timestamp::now())),
            // Before the first event there is no time; and what was read stays right if its time cannot be.
            Place::Revision(revision) => (revision, node.header(revision).await.ok().map(|header| header.time)),
            Place::Time(time) => (moment.view.version().into(), Some(time)),
        };
        Ok(Self { moment, revision, time })
    }

    /// The moment as it was asked for, `r1041` or a time; none of the present.
    pub(crate) fn asked(&self) -> Option<String> {
        match self.moment.place {
            Place::Now(_) => None,
            place @ (Place::Revision(_) | Place::Time(_)) => Some(place.to_string()),
        }
    }

    /// The moment in words that follow what is said of it, ` as of r1041`; nothing of the present.
    pub(crate) fn as_of(&self) -> String {
        self.asked().map(|asked| format!(" as of {asked}")).unwrap_or_default()
    }

    /// Whether it speaks for a point in time, at which each zone has a revision of its own.
    pub(crate) fn is_by_time(&self) -> bool {
        matches!(self.moment.place, Place::Time(_))
    }

    /// The state that is named as the one that answered.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The zones as they stood at that moment.
    pub(crate) fn view(&self) -> &View {
        &self.moment.view
    }

    /// The answer speaks of one zone alone: at a point in time its own last revision by then is what answers.
    #[must_use]
    pub(crate) fn within(mut self, zone: &ZoneView<'_>) -> Self {
        if let Place::Time(_) = self.moment.place {
            self.revision = zone.last_change().into();
        }
        self
    }

    /// The answer is that no zone holds `name`: at a point in time the event that took the zone away is what answers, or
    /// that there was none yet.
    #[must_use]
    pub(crate) fn without_zone(mut self, name: &Name) -> Self {
        if let Place::Time(_) = self.moment.place {
            let above = std::iter::successors(Some(name.clone()), Name::parent);
            let last = above.filter_map(|apex| self.moment.view.last_change(&apex)).max();
            self.revision = last.map_or(Revision(0), Revision::from);
        }
        self
    }

    /// The moment as the next page's link names it, so that all pages are one snapshot.
    pub(crate) fn link(&self, node: &Shared) -> String {
        match self.moment.place {
            Place::Now(revision) | Place::Revision(revision) => node.token(revision).to_string(),
            Place::Time(time) => time.to_string(),
        }
    }

    /// Adds the headers that say which state answered.
    pub(crate) fn stamp(&self, node: &Shared, mut response: Response) -> Response {
        let headers = response.headers_mut();
        put(headers, "conn3ction-revision", &node.token(self.revision).to_string());
        if let Some(time) = self.time {
            put(headers, "conn3ction-time", &time.to_string());
        }
        if !self.moment.is_final {
            put(headers, "conn3ction-final", "false");
            stale(node, headers);
        }
        response
    }
}

/// The moment that `text`, the value of `parameter`, names.
///
/// # Errors
///
/// [`ProblemKind::BadWhen`], [`ProblemKind::MomentNotYet`], [`ProblemKind::EpochEnded`].
pub(crate) async fn moment(node: &Shared, parameter: &str, text: &str) -> Result<Moment, Problem> {
    let when = when(parameter, text)?;
    node.settled(when).await.map_err(Problem::from)
}

/// What `text`, the value of `parameter`, names.
///
/// # Errors
///
/// [`ProblemKind::BadWhen`].
pub(crate) fn when(parameter: &str, text: &str) -> Result<When, Problem> {
    text.parse().map_err(|error: WhenError| {
        let item = ProblemError::parameter(parameter, format!("{text:?} is {error}"));
        Problem::new(ProblemKind::BadWhen, format!("{text:?} is {error}")).with([item])
    })
}

impl From<NoMoment> for Problem {
    fn from(error: NoMoment) -> Self {
        let kind = match error {
            NoMoment::NotYet { .. } => ProblemKind::MomentNotYet,
            NoMoment::EpochEnded { .. } => ProblemKind::EpochEnded,
        };
        Problem::new(kind, error.to_string())
    }
}

/// A revision as people write it, of this ledger's epoch.
///
/// # Errors
///
/// [`ProblemKind::BadWhen`], [`ProblemKind::EpochEnded`].
pub(crate) fn revision(node: &Shared, text: &str) -> Result<Revision, Problem> {
    match When::parse_revision(text) {
        Ok(When::Revision(Some(epoch), _)) if epoch != node.epoch() => {
            let is_past = epoch < node.epoch();
            let kind = if is_past { ProblemKind::EpochEnded } else { ProblemKind::MomentNotYet };
            Err(Problem::new(kind, format!("this ledger is in epoch {}", node.epoch().0)))
        }
        Ok(When::Revision(_, revision)) => Ok(revision),
        _ => Err(Problem::new(ProblemKind::BadWhen, format!("{text:?} is no revision such as r1041 or 1:1041"))),
    }
}

/// Adds the headers of an answer about the ledger as far as `head`.
pub(crate) fn stamp(node: &Shared, head: Revision, mut response: Response) -> Response {
    put(response.headers_mut(), "conn3ction-revision", &node.token(head).to_string());
    stale(node, response.headers_mut());
    response
}

/// Says for how many seconds the ledger has not answered, if it does not.
pub(super) fn stale(node: &Shared, headers: &mut HeaderMap) {
    if let Some(since) = node.stale() {
        put(headers, "conn3ction-stale", &since.as_secs().to_string());
    }
}

/// The last change of what was asked for, as an `ETag`.
pub(crate) fn tag(node: &Shared, since: Revision, mut response: Response) -> Response {
    put(response.headers_mut(), "etag", &format!("\"{}\"", node.token(since)));
    response
}

pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
