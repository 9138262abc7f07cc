use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use conn3ction_dns::{Store, Writer};
use conn3ction_schemas::{
    Delta, Epoch, Name, Revision, Serial, Timestamp,
    event::{EventHeader, Hash, SealedHeader, ZoneLife},
};

use crate::{Digest, EntryHash, Keys, Notes, Projection, progress::Reporter, sealing::Trigger};

/// What deciding needs besides the records: where the fold stands, every zone there ever was, the idempotency keys.
///
/// Memory: a few hundred octets a zone, dead ones included (a zone made again goes on after its last serial), and the
/// bounds of [`Keys`].
#[derive(Debug, Clone)]
pub struct HeadState {
    /// The last event folded.
    pub revision: Revision,
    /// The ledger's life.
    pub epoch: Epoch,
    /// The last event's hash.
    pub hash: Hash,
    /// When the last event was stored.
    pub committed_at: Timestamp,
    /// Every zone there is or was, by apex.
    pub zones: HashMap<Name, ZoneState>,
    /// The idempotency keys of the last day.
    pub keys: Keys,
    /// Who made each event, when and why.
    pub notes: Notes,
}

/// What the headers say of one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneState {
    /// The serial; of a dead zone its last one.
    pub serial: Serial,
    /// Whether the zone exists.
    pub alive: bool,
    /// The last event that touched it.
    pub changed: Revision,
    /// When that was stored.
    pub committed_at: Timestamp,
    /// When that took effect; the zone's next event takes effect later.
    pub time: Timestamp,
}

impl Default for HeadState {
    fn default() -> Self {
        Self {
            revision: Revision::ZERO,
            epoch: Epoch::FIRST,
            hash: Hash::default(),
            committed_at: Timestamp::default(),
            zones: HashMap::new(),
            keys: Keys::default(),
            notes: Notes::default(),
        }
    }
}

impl HeadState {
    /// Takes in the next event.
    pub fn apply(&mut self, header: &EventHeader, hash: Hash) {
        for change in &header.zones {
            let state = ZoneState {
                serial: change.after,
                alive: !matches!(change.life, ZoneLife::Deleted),
                changed: header.revision,
                committed_at: header.committed_at,
                time: header.time,
            };
            match self.zones.get_mut(&change.zone) {
                Some(zone) => *zone = state,
                None => {
                    self.zones.insert(change.zone.clone(), state);
                }
            }
        }
        self.keys.apply(header);
        self.notes.apply(header);
        self.revision = header.revision;
        self.epoch = header.epoch;
        self.hash = hash;
        self.committed_at = header.committed_at;
    }
}

/// How often a fold that was replaced is looked at.
const VIEWERS_EVERY: Duration = Duration::from_millis(100);

/// A [`HeadState`] that the fold writes and deciders read. Locks are brief and never held over an `await`.
#[derive(Debug, Clone, Default)]
pub struct SharedHead(Arc<RwLock<HeadState>>);

impl SharedHead {
    /// The state as it is now.
    pub fn read(&self) -> RwLockReadGuard<'_, HeadState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fold from events to the answer store.
///
/// The writer gets every delta at once, and readers see none of them before [`Projection::commit`] publishes the
/// event's number.
#[derive(Debug)]
pub(crate) struct Answers {
    writer: Writer,
    head: SharedHead,
    digest: Digest,
    reporter: Arc<Reporter>,
    /// Asks for a sealing, if this process seals.
    pub(crate) trigger: Option<Trigger>,
}

impl Answers {
    pub(crate) fn new(writer: Writer, head: SharedHead, reporter: Arc<Reporter>) -> Self {
        Self { writer, head, digest: Digest::default(), reporter, trigger: None }
    }

    /// The fold that goes on where `writer`, `head` and `digest` stand.
    pub(crate) fn going_on(writer: Writer, head: HeadState, digest: Digest, reporter: Arc<Reporter>) -> Self {
        Self { writer, head: SharedHead(Arc::new(RwLock::new(head))), digest, reporter, trigger: None }
    }

    /// The last event folded.
    pub(crate) fn at(&self) -> Revision {
        self.head.read().revision
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn head(&self) -> SharedHead {
        self.head.clone()
    }

    /// Tells where the fold stands, before its first event.
    pub(crate) fn report(&self) {
        self.reporter.reached(self.at(), self.digest);
    }

    /// Shows this fold in `store` and to deciders where `old`, which stands at the same event, did so before. `old`
    /// keeps what nobody asks for any more.
    pub(crate) fn take_over(&mut self, old: &mut Answers, store: &Arc<Store>) {
        self.writer.take_over(store);
        {
            let mut mine = self.head.0.write().unwrap_or_else(PoisonError::into_inner);
            let mut shown = old.head.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *shown, &mut *mine);
        }
        std::mem::swap(&mut self.head, &mut old.head);
        self.reporter = old.reporter.clone();
        if self.trigger.is_none() {
            self.trigger = old.trigger.take();
        }
        self.report();
    }

    /// Frees this fold, which has no place any more, once the last view of it is gone: a million nodes take a while, and
    /// who answers questions must not be the one who frees them. Blocks.
    pub(crate) fn retire(self) {
        while self.writer.viewers() > 0 {
            std::thread::sleep(VIEWERS_EVERY);
        }
    }
}

impl Projection for Answers {
    fn begin(&mut self, header: &SealedHeader) {
        self.writer.begin(header.revision.into(), header.time);
        for change in &header.zones {
            if matches!(change.life, ZoneLife::Created) {
                self.writer.create_zone(&change.zone);
            }
        }
    }

    fn chunk(&mut self, header: &SealedHeader, deltas: &[Delta]) {
        if let Some(trigger) = &mut self.trigger {
            trigger.count(deltas.len());
        }
        for delta in deltas {
            // A delta names its zone by its place in the header; the committer checked that there is one.
            let Some(change) = header.zones.get(delta.zone as usize) else { continue };
            let zone = &change.zone;
            self.writer.set(zone, &delta.owner, delta.key, delta.after.as_ref());
            if let Some(before) = &delta.before {
                self.digest.remove(EntryHash::of_set(zone, &delta.owner, delta.key, before));
            }
            if let Some(after) = &delta.after {
                self.digest.add(EntryHash::of_set(zone, &delta.owner, delta.key, after));
            }
        }
    }

    fn commit(&mut self, header: &SealedHeader) {
        {
            let mut head = self.head.0.write().unwrap_or_else(PoisonError::into_inner);
            for change in &header.zones {
                if let Some(zone) = head.zones.get(&change.zone).filter(|zone| zone.alive) {
                    self.digest.remove(EntryHash::of_zone(&change.zone, zone.serial));
                }
                match change.life {
                    ZoneLife::Stays | ZoneLife::Created => {
                        self.writer.serial(&change.zone, change.after);
                        self.digest.add(EntryHash::of_zone(&change.zone, change.after));
                    }
                    ZoneLife::Deleted => self.writer.delete_zone(&change.zone),
                }
            }
            head.apply(header, header.hash());
        }
        self.writer.publish();
        self.reporter.reached(header.revision, self.digest);
        if let Some(trigger) = &mut self.trigger {
            trigger.ask(&self.head.read(), self.digest);
        }
    }
}
