//! The server's plans of a migration, one for each event that it would make.

use std::collections::{BTreeMap, BTreeSet};

use conn3ction_schemas::{
    Name,
    json::{self, ChangeJson},
};
use futures::{StreamExt, TryStreamExt};
use reqwest::{Method, header::HeaderMap};

use crate::{
    cli::{
        client::{Client, Failure},
        lines::each_fault,
        records::dotted,
        zones::send_file,
    },
    decide::command::{Change, Values, Which},
    migrate::{Migration, zone_file},
};

/// Record sets in one event of a zone that is here: as many as a plan lists, so that none is replaced unseen.
const SETS: usize = 1_000;
/// Names that the server is asked about at once.
const ASKED: usize = 16;

/// What becomes one event.
pub(super) struct Part<'m> {
    pub(super) zone: &'m Name,
    /// The record sets that etcd has of it.
    pub(super) sets: u64,
    /// The master file that makes a new zone.
    pub(super) file: Option<Vec<u8>>,
    pub(super) plan: json::Plan,
}

impl Part<'_> {
    pub(super) fn is_new(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn is_due(&self) -> bool {
        self.plan.change_count > 0
    }

    /// How many of the sets are not here as they are in etcd. A new zone has sets of its own besides.
    pub(super) fn taken(&self) -> u64 {
        if self.is_new() { self.sets } else { self.plan.change_count }
    }
}

/// The plans, and what the server refuses, all in one.
pub(super) struct Plans<'m> {
    pub(super) parts: Vec<Part<'m>>,
    pub(super) refused: Option<json::Problem>,
}

impl<'m> Plans<'m> {
    /// Asks for the plan of each event, under the headers of the write itself.
    ///
    /// # Errors
    ///
    /// The server's, but for refusals of what was found in etcd.
    pub(super) async fn ask(
        client: &Client,
        headers: &HeaderMap,
        migration: &'m Migration,
        existing: &BTreeSet<Name>,
    ) -> Result<Self, Failure> {
        let (mut parts, mut refused) = (Vec::new(), Vec::new());
        let mut edits = Edits { client, sources: BTreeMap::new() };
        for (zone, changes) in &migration.zones {
            let is_here = existing.contains(zone);
            for changes in if is_here { cut(changes) } else { vec![&changes[..]] } {
                let planned = match is_here {
                    true => change(client, headers, changes).await.map(|plan| (plan, None)),
                    false => create(client, headers, zone, changes).await.map(|(plan, file)| (plan, Some(file))),
                };
                match planned {
                    Ok((mut plan, file)) => {
                        edits.warn(&mut plan).await?;
                        // A zone that was taken over before may be large, and nothing of it is sent again.
                        if plan.change_count == 0 {
                            (plan.apply, plan.apply_to) = (serde_json::Value::Null, None);
                        }
                        parts.push(Part { zone, sets: changes.len() as u64, file, plan });
                    }
                    Err(Failure::Refused(problem)) if matches!(problem.status, 409 | 422) => refused.push(*problem),
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(Self { parts, refused: together(refused) })
    }
}

/// Cuts a zone's sets into those of one event each. What stands at one name stays together, for it may not be able to.
fn cut(changes: &[Change]) -> Vec<&[Change]> {
    let (mut parts, mut start, mut end) = (Vec::new(), 0, 0);
    for name in changes.chunk_by(|a, b| a.owner == b.owner) {
        if end > start && end + name.len() - start > SETS {
            parts.push(&changes[start..end]);
            start = end;
        }
        end += name.len();
    }
    parts.push(&changes[start..end]);
    parts
}

/// The plan of sets in a zone that is here.
async fn change(client: &Client, headers: &HeaderMap, changes: &[Change]) -> Result<json::Plan, Failure> {
    let inputs = changes.iter().map(input).collect();
    let set = json::ChangeSet { reason: None, expected_revision: None, changes: inputs };
    let keys: Vec<&str> = changes.iter().map(|change| &*change.pointer).collect();
    ask(client, headers, "changes", &set).await.map_err(|failure| keyed(failure, &keys))
}

/// The plan of a new zone with its sets, and the master file that it is about.
async fn create(
    client: &Client,
    headers: &HeaderMap,
    zone: &Name,
    changes: &[Change],
) -> Result<(json::Plan, Vec<u8>), Failure> {
    let (nameservers, contact, ttl, reason, expected_revision) = (None, None, None, None, None);
    let input = json::ZoneInput { name: zone.to_string(), nameservers, contact, ttl, reason, expected_revision };
    let made = ask(client, headers, "zones", &input).await?;
    let file = zone_file(&made.changes, changes);
    let keys: Vec<&str> = file.keys.iter().map(String::as_str).collect();
    let octets = file.text.into_bytes();
    let url = client.url(&["zones", &zone.without_dot(), "import"], &[("dry_run", Some("true"))]);
    let response = send_file(client, headers, url, octets.clone()).await.map_err(|failure| keyed(failure, &keys))?;
    Ok((client.decode(response).await?, octets))
}

async fn ask(
    client: &Client,
    headers: &HeaderMap,
    route: &str,
    body: &impl serde::Serialize,
) -> Result<json::Plan, Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Failure::Usage(error.to_string()))?;
    let url = client.url(&[route], &[("dry_run", Some("true"))]);
    client.decode(client.write_with(headers, Method::POST, url, Some(body)).await?).await
}

fn input(change: &Change) -> json::ChangeInput {
    let (rtype, covers) = match change.which {
        Which::Type(rtype, covers) => (Some(rtype), covers),
        Which::Every | Which::Only => (None, None),
    };
    let values = match (&change.values, rtype) {
        (Values::Parsed(values), Some(rtype)) => values.iter().map(|value| value.to_text(rtype)).collect(),
        _ => Vec::new(),
    };
    json::ChangeInput {
        op: json::Op::Set,
        name: change.owner.to_string(),
        rtype: rtype.map(|rtype| rtype.to_string()),
        values: Some(values),
        ttl: change.ttl.map(|ttl| ttl.as_secs()),
        zone: change.zone.as_ref().map(ToString::to_string),
        covers: covers.map(|covers| covers.to_string()),
    }
}

/// Faults named by the keys, in which people can look: the server counts changes, or lines of a file that nobody has.
fn keyed(mut failure: Failure, keys: &[&str]) -> Failure {
    if let Failure::Refused(problem) = &mut failure {
        for error in &mut problem.errors {
            error.column = None;
            if let Some(line) = error.line.take() {
                error.pointer = Some(format!("/changes/{}", line.saturating_sub(1)));
            }
        }
    }
    each_fault(failure, |error, at| {
        if let Some(key) = keys.get(at).filter(|key| !key.is_empty()) {
            error.detail = format!("{key}: {}", error.detail);
        }
    })
}

/// Several refusals as one, with the faults of all.
fn together(mut refused: Vec<json::Problem>) -> Option<json::Problem> {
    let errors: Vec<_> = refused.iter_mut().flat_map(|problem| std::mem::take(&mut problem.errors)).collect();
    let mut first = refused.into_iter().next()?;
    if let [error, _, ..] = &errors[..] {
        first.detail = format!("{} (and {} more)", error.detail, errors.len() - 1);
    }
    first.errors = errors;
    Some(first)
}

/// What people, or whatever else is no migration, did to sets that a migration is about to change.
struct Edits<'c> {
    client: &'c Client,
    /// Of events by revision: through which door they came.
    sources: BTreeMap<u64, String>,
}

impl Edits<'_> {
    /// Adds a warning for each change that would undo such an edit.
    async fn warn(&mut self, plan: &mut json::Plan) -> Result<(), Failure> {
        // Of a new zone only its SOA can tell: that it was here, and who took it away.
        let is_new = plan.zones.iter().any(|zone| zone.created);
        let asked = plan.changes.iter().filter(|change| !is_new || change.rtype == "SOA");
        let client = self.client;
        let last =
            futures::stream::iter(asked.cloned().map(|change| async move { last_version(client, &change).await }));
        let last: Vec<_> = last.buffered(ASKED).try_collect().await?;
        for version in last.into_iter().flatten() {
            if self.source(version.revision).await?.starts_with("migrate:") {
                continue;
            }
            let json::HistoryEntry { revision, actor, reason, name, rtype, after, .. } = version;
            let what = if after.is_some() { "changed" } else { "deleted" };
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let detail = format!("{} {rtype} was {what} at r{revision} by {actor}{reason}", dotted(&name));
            plan.warnings.push(json::Warning { kind: "edited-here".into(), name: Some(name), line: None, detail });
        }
        Ok(())
    }

    async fn source(&mut self, revision: u64) -> Result<&str, Failure> {
        if !self.sources.contains_key(&revision) {
            let event: json::EventJson =
                self.client.get(self.client.url(&["events", &revision.to_string()], &[])).await?;
            self.sources.insert(revision, event.source);
        }
        Ok(&self.sources[&revision])
    }
}

/// The last version of the set that `change` is about; none if it never was.
async fn last_version(client: &Client, change: &ChangeJson) -> Result<Option<json::HistoryEntry>, Failure> {
    let query = [
        ("zone", Some(&*change.zone)),
        ("type", Some(&*change.rtype)),
        ("covers", change.covers.as_deref()),
        ("limit", Some("1")),
    ];
    let found = client.get::<Vec<json::HistoryEntry>>(client.url(&["records", &change.name, "history"], &query)).await;
    match found {
        Ok(found) => Ok(found.into_iter().next()),
        Err(Failure::Refused(problem)) if problem.status == 404 => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::{Format, plan};

    #[test]
    fn what_stands_at_one_name_is_planned_together() {
        let two = r#"[{"type":"A","values":["192.0.2.1"]},{"type":"TXT","values":["x"]}]"#;
        let one = r#"{"type":"A","values":["192.0.2.1"]}"#;
        let keys: Vec<String> = (0..=SETS).map(|number| format!("/old/h{number:05}.new.test")).collect();
        let value = |at| if at == SETS - 1 { two } else { one };
        let entries = keys.iter().enumerate().map(|(at, key)| (key.as_bytes(), value(at).as_bytes()));
        let migration = plan(Format::Records, "/old", entries, |_| None);
        let changes = migration.zones.values().next().expect("a zone");
        assert_eq!(cut(changes).iter().map(|part| part.len()).collect::<Vec<_>>(), [SETS - 1, 3]);
        assert_eq!(cut(&changes[..3]).len(), 1);
    }
}
