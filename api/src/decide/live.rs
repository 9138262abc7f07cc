//! The state at the head as this process folds it: the answer store and what the projector keeps beside it.

use conn3ction_dns::{Version, View};
use conn3ction_ledger::{Head, ReadError};
use conn3ction_projector::{Handle, SharedHead, ViewName};
use conn3ction_schemas::{Actor, Name, RecordSet, Revision, Serial, SetKey, event::Hash};
use futures::future::BoxFuture;

use super::{
    decider::StateAtHead,
    state::{Held, Scope, State, ZoneState},
};

/// A view of the answers as a [`State`]; with the projector's head state it knows idempotency keys, too.
#[derive(Debug, Clone)]
pub struct Live {
    view: View,
    head: Option<SharedHead>,
}

impl Live {
    /// For plans: no idempotency keys.
    pub fn new(view: View) -> Self {
        Self { view, head: None }
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }
}

impl StateAtHead for Handle {
    type State = Live;

    fn at_head<'a>(&'a mut self, head: &'a Head) -> BoxFuture<'a, Result<Live, ReadError>> {
        Box::pin(async move {
            self.reached(ViewName::Answers, head.revision)
                .await
                .map_err(|stopped| ReadError::Unavailable(stopped.into()))?;
            let view = self.store().at(head.revision.into());
            Ok(Live { view, head: Some(self.head_state().clone()) })
        })
    }
}

impl State for Live {
    fn revision(&self) -> Revision {
        self.view.version().into()
    }

    fn zone(&self, apex: &Name) -> Option<ZoneState> {
        let zone = self.view.zone(apex)?;
        Some(ZoneState { serial: zone.serial(), since: zone.last_change().into() })
    }

    fn zone_of(&self, name: &Name) -> Option<Name> {
        Some(self.view.zone_of(name)?.apex().clone())
    }

    fn last_serial(&self, apex: &Name) -> Option<Serial> {
        self.view.last_serial(apex)
    }

    fn set(&self, zone: &Name, owner: &Name, key: SetKey) -> Option<Held> {
        let owner = self.view.zone(zone)?.owner(owner)?;
        let set = owner.set(key)?;
        Some(Held { set: set.to_record_set(), since: set.since().into() })
    }

    fn sets(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, Held)> {
        let Some(owner) = self.view.zone(zone).and_then(|zone| zone.owner(owner)) else { return Vec::new() };
        owner.sets().map(|set| (set.key(), Held { set: set.to_record_set(), since: set.since().into() })).collect()
    }

    fn first_sets(&self, zone: &Name, under: &Name, limit: usize) -> Vec<(Name, SetKey, RecordSet)> {
        let Some(zone) = self.view.zone(zone) else { return Vec::new() };
        let mut found = Vec::new();
        for owner in zone.owners_under(under) {
            let name = owner.name();
            for set in owner.sets() {
                if found.len() == limit {
                    return found;
                }
                found.push((name.clone(), set.key(), set.to_record_set()));
            }
        }
        found
    }

    fn changed_since(&self, scope: Scope<'_>, than: Revision) -> Option<Revision> {
        let last = match scope {
            Scope::Zone(zone) => self.view.last_change(zone),
            Scope::Owner(zone, owner) => match self.view.zone(zone) {
                Some(living) => living.name_changed(owner).max(Some(living.since())),
                None => self.view.last_change(zone),
            },
            Scope::Under(zone, top) => match self.view.zone(zone) {
                // It costs the names below, so the zone is asked first.
                Some(living) if living.last_change() <= Version::from(than) => None,
                Some(living) => living.subtree_changed(top).max(Some(living.since())),
                None => self.view.last_change(zone),
            },
            Scope::Set(zone, owner, key) => {
                let changed = self.view.changed_since(zone, owner, key, Version::from(than));
                let zone = changed.then(|| self.view.zone(zone)).flatten();
                match zone {
                    Some(living) => living.name_changed(owner).max(Some(living.since())),
                    None => changed.then(|| self.view.version()),
                }
            }
        };
        last.map(Revision::from).filter(|last| *last > than)
    }

    fn seen(&self, actor: &Actor, key: &str) -> Option<(Hash, Revision)> {
        let head = self.head.as_ref()?.read();
        let seen = head.keys.find(actor, key, head.committed_at)?;
        Some((seen.digest, seen.revision))
    }
}
