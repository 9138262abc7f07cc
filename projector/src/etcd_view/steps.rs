//! An event as a sequence of steps, each with the names it affects: first its zones, then its owners in the body's
//! order. The sequence depends on nothing but the event and the records around it, so every projector counts alike.

use std::{collections::BTreeSet, sync::Arc};

use conn3ction_ledger::{Event, Ledger, ReadError};
use conn3ction_schemas::{Delta, Name, SetKey};

use crate::{
    Content,
    follow::Chunks,
    key_view::{KeyView, OwnerStep, ZoneStep},
    progress::Reporter,
};

pub(super) struct Steps<'a> {
    view: &'a dyn KeyView,
    before: &'a dyn Content,
    after: &'a dyn Content,
    event: Arc<Event>,
    /// Zones given so far.
    zones: usize,
    chunks: Chunks,
    deltas: std::iter::Peekable<std::vec::IntoIter<Delta>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        view: &'a dyn KeyView,
        before: &'a dyn Content,
        after: &'a dyn Content,
        event: Arc<Event>,
    ) -> Self {
        let chunks = Chunks::new(event.clone(), 0);
        Self { view, before, after, event, zones: 0, chunks, deltas: Vec::new().into_iter().peekable() }
    }

    /// The names that the next step affects; `None` at the event's end.
    pub(super) async fn next(
        &mut self,
        ledger: &dyn Ledger,
        reporter: &Reporter,
    ) -> Result<Option<BTreeSet<Name>>, ReadError> {
        let (before, after) = (self.before, self.after);
        let mut names = BTreeSet::new();
        let mut each = |name: Name| {
            names.insert(name);
        };
        if let Some(change) = self.event.header.zones.get(self.zones) {
            self.zones += 1;
            let step = ZoneStep { before, after, zone: &change.zone, life: change.life };
            self.view.affected_by_zone(&step, &mut each);
            return Ok(Some(names));
        }
        let Some((zone, owner, keys)) = self.next_owner(ledger, reporter).await? else { return Ok(None) };
        if let Some(change) = self.event.header.zones.get(zone as usize) {
            let step = OwnerStep { before, after, zone: &change.zone, owner: &owner, keys: &keys };
            self.view.affected_by_owner(&step, &mut each);
        }
        Ok(Some(names))
    }

    /// All keys of the next owner, also where they lie in several chunks.
    async fn next_owner(
        &mut self,
        ledger: &dyn Ledger,
        reporter: &Reporter,
    ) -> Result<Option<(u32, Name, Vec<SetKey>)>, ReadError> {
        let mut found: Option<(u32, Name, Vec<SetKey>)> = None;
        loop {
            while let Some(delta) = self.deltas.peek() {
                match &mut found {
                    None => found = Some((delta.zone, delta.owner.clone(), vec![delta.key])),
                    Some((zone, owner, keys)) if *zone == delta.zone && *owner == delta.owner => keys.push(delta.key),
                    Some(_) => return Ok(found),
                }
                self.deltas.next();
            }
            match self.chunks.next(ledger, reporter).await? {
                Some(deltas) => self.deltas = deltas.into_iter().peekable(),
                None => return Ok(found),
            }
        }
    }
}
