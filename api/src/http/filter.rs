//! Which events, and which of their changes, are asked for.

use std::sync::Arc;

use conn3ction_ledger::Event;
use conn3ction_schemas::{
    Delta, Name, RecordType, Revision, Timestamp,
    event::{EventHeader, Kind},
    json,
};
use futures::StreamExt;

use super::{
    Shared,
    events::{IN_LISTS, change},
    problem::{Problem, ProblemKind},
    query::Query,
    reading,
};
use crate::moment::Place;

/// Which events and which of their changes are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) zone: Option<Name>,
    under: Option<Name>,
    pub(super) name: Option<Name>,
    pub(super) rtype: Option<RecordType>,
    covers: Option<RecordType>,
    /// With a name: whatever changed its answer, wherever that was.
    pub(super) answer: bool,
    actor: Option<String>,
    kind: Option<Kind>,
    reason: Option<String>,
    request_id: Option<String>,
    /// Took effect at this time or later, at this time or earlier.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn parse(query: &Query) -> Result<Self, Problem> {
        let kind = match query.text("kind") {
            None => None,
            Some(text) => Some(Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
                let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                Problem::new(ProblemKind::Malformed, format!("kind is one of {}", kinds.join(", ")))
            })?),
        };
        let (name, answer) = (query.name("name")?, query.flag("answer")?);
        if answer && name.is_none() {
            let item = json::ProblemError::parameter("answer", "follows the answer for a name; name is missing");
            return Err(Problem::new(ProblemKind::Malformed, "answer needs a name").with([item]));
        }
        Ok(Self {
            zone: query.name("zone")?,
            under: query.name("under")?,
            name,
            rtype: query.rtype("type")?,
            covers: query.rtype("covers")?,
            answer,
            actor: query.text("actor").map(str::to_owned),
            kind,
            reason: query.text("reason").map(str::to_owned),
            request_id: query.text("request_id").map(str::to_owned),
            since: None,
            until: None,
        })
    }

    /// The revisions that `from` and `to` leave. Points in time are held against when events took effect, which for a
    /// history taken in later is before it was stored; so the first revision is found by a search, but not the last.
    pub(super) async fn span(
        &mut self,
        node: &Shared,
        query: &Query,
        head: Revision,
    ) -> Result<(Revision, Revision), Problem> {
        let (mut from, mut to) = (Revision(1), head);
        for parameter in ["from", "to"] {
            let Some(text) = query.text(parameter) else { continue };
            let place = node.moment(reading::when(parameter, text)?)?.place;
            match (place, parameter) {
                (Place::Now(revision) | Place::Revision(revision), "from") => from = revision,
                (Place::Now(revision) | Place::Revision(revision), _) => to = revision.min(head),
                (Place::Time(time), "from") => {
                    from = node.first_stored_from(time, head).await?;
                    self.since = Some(time);
                }
                (Place::Time(time), _) => self.until = Some(time),
            }
        }
        let is_backward = match (self.since, self.until) {
            (Some(since), Some(until)) => since > until,
            // Where only one of them is a time, what lies between is for the ledger to say.
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => query.text("from").is_some() && query.text("to").is_some() && from > to,
        };
        if is_backward {
            let item = json::ProblemError::parameter("from", "is after `to`");
            return Err(
                Problem::new(ProblemKind::Malformed, "`from` is after `to`, so no event lies between").with([item])
            );
        }
        Ok((from, to))
    }

    /// `from` and `to` as the next page's link names them: neither an age nor the present moves on between two pages.
    pub(super) fn span_as_asked(&self, node: &Shared, from: Revision, to: Revision) -> [(&'static str, String); 2] {
        let named = |time: Option<Timestamp>, revision| match time {
            Some(time) => time.to_string(),
            None => node.token(revision).to_string(),
        };
        [("from", named(self.since, from)), ("to", named(self.until, to))]
    }

    /// The events that are wanted, as lists show them.
    pub(super) async fn rows(&self, node: &Shared, events: Vec<Arc<Event>>) -> Result<Vec<json::EventJson>, Problem> {
        let mut rows = Vec::new();
        for event in events {
            rows.extend(self.row(node, &event, IN_LISTS).await?);
        }
        Ok(rows)
    }

    /// The event with its first `most` matching changes; `None` if it is not wanted.
    pub(super) async fn row(
        &self,
        node: &Shared,
        event: &Arc<Event>,
        most: usize,
    ) -> Result<Option<json::EventJson>, Problem> {
        let header = &event.header;
        if !self.wants_event(header) {
            return Ok(None);
        }
        let narrow = [self.under.is_some(), self.name.is_some(), self.rtype.is_some(), self.covers.is_some()];
        let narrow = narrow.contains(&true) || self.zone.is_some();
        let mut row = json::EventJson::new(header, Vec::new());
        self.changes_into(&mut row, node, event, most).await?;
        Ok((!narrow || !row.changes.is_empty()).then_some(row))
    }

    /// Adds the first `most` changes that are wanted.
    pub(super) async fn changes_into(
        &self,
        row: &mut json::EventJson,
        node: &Shared,
        event: &Arc<Event>,
        most: usize,
    ) -> Result<(), Problem> {
        let header = &event.header;
        let mut pieces = node.deltas(event.clone());
        while row.changes.len() < most
            && let Some(deltas) = pieces.next().await
        {
            let wanted = deltas?.into_iter().filter(|delta| self.wants(header, delta)).take(most - row.changes.len());
            row.changes.extend(wanted.map(|delta| change(header, &delta)));
        }
        Ok(())
    }

    pub(super) fn wants_event(&self, header: &EventHeader) -> bool {
        self.actor.as_ref().is_none_or(|glob| glob_matches(glob.as_bytes(), header.actor.name.as_bytes()))
            && self.kind.is_none_or(|kind| kind == header.kind)
            && self.since.is_none_or(|since| header.time >= since)
            && self.until.is_none_or(|until| header.time <= until)
            && self
                .reason
                .as_ref()
                .is_none_or(|part| header.reason.as_ref().is_some_and(|reason| reason.contains(part)))
            && self.request_id.as_ref().is_none_or(|id| *id == header.request_id)
            && self.zone.as_ref().is_none_or(|zone| header.zones.iter().any(|change| change.zone == *zone))
    }

    pub(super) fn wants(&self, header: &EventHeader, delta: &Delta) -> bool {
        let zone = header.zones.get(delta.zone as usize).map(|change| &change.zone);
        self.name.as_ref().is_none_or(|name| delta.owner == *name)
            && self.rtype.is_none_or(|rtype| rtype == delta.key.rtype)
            && zone.map_or(self.zone.is_none(), |zone| self.wants_set(zone, delta))
    }

    /// As [`Filter::wants`], but for the name and the type: what is on the path of an answer need not have those.
    pub(super) fn wants_set(&self, zone: &Name, delta: &Delta) -> bool {
        self.zone.as_ref().is_none_or(|wanted| wanted == zone)
            && self.under.as_ref().is_none_or(|under| delta.owner.is_at_or_below(under))
            && self.covers.is_none_or(|covers| covers == delta.key.covered)
    }
}

/// `*` stands for any octets; in time proportional to the product of the lengths at most.
pub(crate) fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(octet) if *octet == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (glob, text, matches) in [
            ("ci-*", "ci-deploy", true),
            ("ci-*", "xci-deploy", false),
            ("*", "", true),
            ("a*b*c", "a--b-b-c", true),
            ("a*b", "abc", false),
            ("", "x", false),
        ] {
            assert_eq!(glob_matches(glob.as_bytes(), text.as_bytes()), matches, "{glob} {text}");
        }
    }
}
