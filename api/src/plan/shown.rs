use conn3ction_schemas::{Delta, Kind, Name, RecordType, SetKey, Token, ZoneChange, json};

use crate::decide::{Envelope, State, soa, warnings::Warning};

/// What a plan tells about its changes: all are counted, the first are shown.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    summary: json::Summary,
    shown: Vec<json::ChangeJson>,
    change_count: u64,
    warnings: Vec<json::Warning>,
    cache_seconds: u32,
}

impl Findings {
    /// Changes shown.
    const SHOWN: usize = 1_000;
    /// Warnings listed.
    const WARNINGS: usize = 1_000;

    /// Takes in one more change of `zone`; `state` is the one before.
    pub fn count<S: State>(&mut self, state: &S, zone: &Name, delta: &Delta) {
        self.summary.count(delta);
        self.change_count += 1;
        if self.shown.len() < Self::SHOWN {
            self.shown.push(json::ChangeJson::new(zone, delta));
        }
        // Of what was not there, resolvers may hold the absence.
        let old = match &delta.before {
            Some(set) => set.ttl().as_secs(),
            None => {
                let soa = state.set(zone, zone, SetKey::of(RecordType::SOA));
                soa.map_or(0, |held| soa::negative_ttl(&held.set))
            }
        };
        self.cache_seconds = self.cache_seconds.max(old);
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: &Warning) {
        self.add(warning.shown());
    }

    /// Adds a warning about a line of a master file.
    pub fn add(&mut self, warning: json::Warning) {
        if self.warnings.len() < Self::WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// The warnings alone.
    pub fn into_warnings(self) -> Vec<json::Warning> {
        self.warnings
    }

    /// The changes counted.
    pub fn change_count(&self) -> u64 {
        self.change_count
    }

    /// The plan that shows them.
    pub fn into_plan(
        self,
        kind: Kind,
        envelope: &Envelope,
        zones: &[ZoneChange],
        decided_at: Token,
        apply: serde_json::Value,
    ) -> json::Plan {
        json::Plan {
            kind: kind.as_str().into(),
            actor: envelope.actor.name.clone(),
            auth: envelope.actor.auth.as_str().into(),
            source: envelope.source.clone(),
            reason: envelope.reason.clone(),
            request_id: envelope.request_id.clone(),
            zones: zones.iter().map(json::EventZone::new).collect(),
            change_count: self.change_count,
            changes: self.shown,
            restores: None,
            reverts: None,
            decided_at: decided_at.to_string(),
            summary: self.summary,
            conflicts: Vec::new(),
            warnings: self.warnings,
            cache_seconds: self.cache_seconds,
            apply,
            // Routes are HTTP's.
            apply_to: None,
        }
    }
}
