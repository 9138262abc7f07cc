use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use conn3ction_dns::{Store, Writer};
use conn3ction_schemas::{
    Epoch, Name, NameRef, Revision, Serial, Timestamp,
    event::{DeltaRef, Hash, HeaderRef, ZoneChangeRef, ZoneLife},
};

use crate::{Digest, EntryHash, Keys, Notes, Projection, digest::SetEntry, progress::Reporter, sealing::Trigger};

/// What deciding needs besides the records: where the fold stands, every zone there ever was, the idempotency keys.
///
/// Where it stands is what answers show. Zones, keys and notes may know of some events more, which are shown next.
///
/// Memory: a few hundred octets a zone, dead ones included (a zone made again goes on after its last serial), and the
/// bounds of [`Keys`].
#[derive(Debug, Clone)]
pub struct HeadState {
    /// The last event shown.
    pub revision: Revision,
    /// The ledger's life then.
    pub epoch: Epoch,
    /// That event's hash.
    pub hash: Hash,
    /// When that event was stored.
    pub committed_at: Timestamp,
    /// Every zone there is or was, by apex.
    pub zones: HashMap<Name, ZoneState, foldhash::quality::RandomState>,
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
            zones: HashMap::default(),
            keys: Keys::default(),
            notes: Notes::default(),
        }
    }
}

impl HeadState {
    /// Takes in the next event, but for where the fold stands; `each` is called with each zone that it touched and what was
    /// known of that before.
    fn apply(&mut self, header: &HeaderRef<'_>, mut each: impl FnMut(&ZoneChangeRef<'_>, Option<ZoneState>)) {
        for change in header.zones.iter() {
            let state = ZoneState {
                serial: change.after,
                alive: !matches!(change.life, ZoneLife::Deleted),
                changed: header.revision,
                committed_at: header.committed_at,
                time: header.time,
            };
            let before = match self.zones.get_mut(change.zone.as_wire()) {
                Some(zone) => Some(std::mem::replace(zone, state)),
                None => self.zones.insert(change.zone.to_name(), state),
            };
            each(&change, before);
        }
        self.keys.apply(header);
        self.notes.apply(header);
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
/// The writer gets every delta at once, and readers see none of them before [`Projection::show`] publishes the number of
/// the last event that ended.
#[derive(Debug)]
pub(crate) struct Answers {
    writer: Writer,
    head: SharedHead,
    /// Of what was shown last, but for the record sets: they are those of the last event.
    digest: Digest,
    /// An entry of it, as it is hashed.
    entry: Vec<u8>,
    /// The zones touched since, each with the serial that the digest still has of it.
    serials: Vec<(Name, Option<Serial>)>,
    /// The event shown last.
    shown: Revision,
    /// The last that ended since: revision, epoch, hash, and when it was stored.
    ended: Option<(Revision, Epoch, Hash, Timestamp)>,
    reporter: Arc<Reporter>,
    /// Asks for a sealing, if this process seals.
    pub(crate) trigger: Option<Trigger>,
}

impl Answers {
    pub(crate) fn new(writer: Writer, head: SharedHead, reporter: Arc<Reporter>) -> Self {
        let (digest, shown) = (Digest::default(), head.read().revision);
        Self {
            writer,
            head,
            digest,
            entry: Vec::new(),
            serials: Vec::new(),
            shown,
            ended: None,
            reporter,
            trigger: None,
        }
    }

    /// The fold that goes on where `writer`, `head` and `digest` stand.
    pub(crate) fn going_on(writer: Writer, head: HeadState, digest: Digest, reporter: Arc<Reporter>) -> Self {
        Self { digest, ..Self::new(writer, SharedHead(Arc::new(RwLock::new(head))), reporter) }
    }

    /// The last event folded.
    pub(crate) fn at(&self) -> Revision {
        self.head.read().revision
    }

    /// The digest of what is shown.
    pub(crate) fn digest(&self) -> Digest {
        debug_assert!(self.serials.is_empty(), "between two events nothing is left to show");
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
    fn expect(&mut self, owners: &[(NameRef<'_>, NameRef<'_>)]) {
        self.writer.expect(owners);
    }

    fn begin(&mut self, header: &HeaderRef<'_>) {
        self.writer.begin(header.revision.into(), header.time);
        for change in header.zones.iter() {
            if matches!(change.life, ZoneLife::Created) {
                self.writer.create_zone(change.zone);
            }
        }
    }

    fn chunk(&mut self, header: &HeaderRef<'_>, deltas: &[DeltaRef<'_>]) {
        if let Some(trigger) = &mut self.trigger {
            trigger.count(deltas.len());
        }
        // A delta names its zone by its place in the header, and places rise with the deltas.
        let first = || (0..).zip(header.zones.iter());
        let mut zones = first();
        let mut next = zones.next();
        for delta in deltas {
            if next.is_none_or(|(place, _)| place > delta.zone) {
                zones = first();
                next = zones.next();
            }
            while next.is_some_and(|(place, _)| place < delta.zone) {
                next = zones.next();
            }
            // The committer checked that there is one.
            let Some((_, change)) = next else { continue };
            let zone = change.zone;
            self.writer.put(zone, delta.owner, delta.key, delta.after);
            let (digest, octets) = (&mut self.digest, &mut self.entry);
            let mut entry = SetEntry::new(octets, zone, delta.owner, delta.key);
            if let Some(before) = delta.before {
                digest.remove(entry.hash(before));
            }
            if let Some(after) = delta.after {
                digest.add(entry.hash(after));
            }
        }
    }

    fn commit(&mut self, header: &HeaderRef<'_>, hash: Hash) {
        let (writer, serials, shown) = (&mut self.writer, &mut self.serials, self.shown);
        let mut head = self.head.0.write().unwrap_or_else(PoisonError::into_inner);
        head.apply(header, |change, before| {
            match change.life {
                ZoneLife::Stays | ZoneLife::Created => writer.serial(change.zone, change.after),
                ZoneLife::Deleted => writer.delete_zone(change.zone),
            }
            // Touched for the first time since.
            if before.is_none_or(|before| before.changed <= shown) {
                let serial = before.filter(|before| before.alive).map(|before| before.serial);
                serials.push((change.zone.to_name(), serial));
            }
        });
        drop(head);
        self.writer.commit();
        self.ended = Some((header.revision, header.epoch, hash, header.committed_at));
    }

    fn show(&mut self) {
        let Some((revision, epoch, hash, committed_at)) = self.ended.take() else { return };
        self.shown = revision;
        let mut head = self.head.0.write().unwrap_or_else(PoisonError::into_inner);
        for (zone, before) in self.serials.drain(..) {
            if let Some(serial) = before {
                self.digest.remove(EntryHash::of_zone(&zone, serial));
            }
            if let Some(now) = head.zones.get(&zone).filter(|now| now.alive) {
                self.digest.add(EntryHash::of_zone(&zone, now.serial));
            }
        }
        // Both at once: nobody who sees where the head stands finds less in the store.
        self.writer.publish();
        (head.revision, head.epoch, head.hash, head.committed_at) = (revision, epoch, hash, committed_at);
        drop(head);
        self.reporter.reached(self.shown, self.digest);
        if let Some(trigger) = &mut self.trigger {
            trigger.ask(&self.head, self.digest);
        }
    }
}
