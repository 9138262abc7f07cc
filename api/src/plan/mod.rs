//! Plans: what a command would do, shown without doing it; and large commands, planned outside the committer.

mod large;
mod shown;
mod stage;

use conn3ction_schemas::{Epoch, Token, json};

pub use large::{staged, submit, submit_planned};
pub use shown::Findings;
pub use stage::{Staged, stage};

use crate::decide::{self, Command, Envelope, Facts, Intent, Live, Refusal, State, command::Op};

/// The dry run of `command` on `state`: the event that it would append, and the body that appends exactly this.
///
/// # Errors
///
/// The refusal that the command would meet.
pub fn plan(state: &Live, epoch: Epoch, command: &Command) -> Result<json::Plan, Refusal> {
    if let Some(expected) = command.envelope.expected_revision {
        decide::check_unchanged(state, &command.intent, expected)?;
    }
    let mut warnings = Vec::new();
    let facts = decide::outcome(state, &command.intent, &mut warnings)?;
    let mut findings = Findings::default();
    warnings.iter().for_each(|warning| findings.warn(warning));
    let kind = facts.as_ref().map_or(conn3ction_schemas::Kind::RecordsChanged, |facts| facts.kind);
    let Facts { zones, deltas, .. } = facts.unwrap_or(Facts { kind, zones: Vec::new(), deltas: Vec::new() });
    for delta in &deltas {
        findings.count(state, &zones[delta.zone as usize].zone, delta);
    }
    let decided_at = Token { epoch, revision: state.revision() };
    let apply = apply(&command.intent, &command.envelope, decided_at);
    Ok(findings.into_plan(kind, &command.envelope, &zones, decided_at, apply))
}

/// The exact body to post: a change set for `POST /changes`, a zone for `POST /zones`; nothing for `DELETE /zones/…`,
/// whose guard is `If-Match`.
fn apply(intent: &Intent, envelope: &Envelope, decided_at: Token) -> serde_json::Value {
    let expected_revision = Some(decided_at.to_string());
    let reason = envelope.reason.clone();
    let body = match intent {
        Intent::ChangeRecords(changes) => {
            let changes = changes.iter().map(change).collect();
            serde_json::to_value(json::ChangeSet { reason, expected_revision, changes })
        }
        Intent::CreateZone(new) => serde_json::to_value(json::ZoneInput {
            name: new.name.without_dot(),
            nameservers: Some(new.nameservers.iter().map(ToString::to_string).collect()),
            contact: new.contact.as_ref().map(ToString::to_string),
            ttl: new.ttl.map(|ttl| ttl.as_secs()),
            reason,
            expected_revision,
        }),
        Intent::DeleteZone(_) | Intent::Planned(_) => Ok(serde_json::Value::Null),
    };
    body.unwrap_or_default()
}

fn change(change: &decide::command::Change) -> json::ChangeInput {
    use decide::command::{Values, Which};
    let (rtype, covers) = match change.which {
        Which::Only => (None, None),
        Which::Every => (Some("ANY".to_owned()), None),
        Which::Type(rtype, covers) => (Some(rtype.to_string()), covers.map(|covers| covers.to_string())),
    };
    let values = match (&change.values, change.which) {
        _ if change.op == Op::Delete => None,
        (Values::Text(texts), _) => Some(texts.clone()),
        (Values::Parsed(values), Which::Type(rtype, _)) => {
            Some(values.iter().map(|value| value.to_text(rtype)).collect())
        }
        (Values::Parsed(_), Which::Only | Which::Every) => None,
    };
    json::ChangeInput {
        op: match change.op {
            Op::Create => json::Op::Create,
            Op::Set => json::Op::Set,
            Op::Delete => json::Op::Delete,
            Op::Add => json::Op::Add,
            Op::Remove => json::Op::Remove,
        },
        name: change.owner.without_dot(),
        rtype,
        values,
        ttl: change.ttl.map(|ttl| ttl.as_secs()),
        covers,
        zone: change.zone.as_ref().map(conn3ction_schemas::Name::without_dot),
    }
}
