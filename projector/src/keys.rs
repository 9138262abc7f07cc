use std::collections::{HashMap, VecDeque};

use conn3ction_schemas::{
    Actor, Revision, Timestamp,
    event::{Auth, Hash, HeaderRef},
};
use sha2::{Digest as _, Sha256};

use crate::attached::KeyForm;

/// The idempotency keys of the last day: which event each made. One name space per actor.
///
/// Bounded: keys older than [`Keys::KEPT_MICROS`] before the latest event go, and beyond [`Keys::MOST`] the oldest go
/// first. Age is measured between events, so a replay forgets what the live fold forgot.
#[derive(Debug, Default, Clone)]
pub struct Keys {
    seen: HashMap<Id, Seen>,
    /// In the order of events; an entry whose key was used again since is stale and only skipped.
    order: VecDeque<(Id, Revision)>,
}

/// What a key was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The event that the key's command became.
    pub revision: Revision,
    /// The digest of the request.
    pub digest: Hash,
    committed_at: Timestamp,
}

/// The first half of SHA-256 over actor and key: 16 octets are far beyond chance, and a million of them stay small.
type Id = [u8; 16];

impl Keys {
    /// How long a key is remembered: 24 hours.
    pub const KEPT_MICROS: i64 = 24 * 3_600 * 1_000_000;
    /// The most keys remembered.
    pub const MOST: usize = 1_000_000;

    /// What `actor` used `key` for, if that is remembered at `now`.
    pub fn find(&self, actor: &Actor, key: &str, now: Timestamp) -> Option<Seen> {
        let seen = self.seen.get(&id(&actor.name, actor.auth, key))?;
        (seen.committed_at.plus_micros(Self::KEPT_MICROS) > now).then_some(*seen)
    }

    /// Takes in the next event.
    pub fn apply(&mut self, header: &HeaderRef<'_>) {
        if let Some(idempotency) = header.idempotency() {
            let id = id(header.actor(), header.auth, idempotency.key);
            let seen =
                Seen { revision: header.revision, digest: idempotency.digest, committed_at: header.committed_at };
            self.seen.insert(id, seen);
            self.order.push_back((id, header.revision));
        }
        self.forget(header.committed_at, Self::MOST);
    }

    fn forget(&mut self, now: Timestamp, most: usize) {
        while let Some((id, revision)) = self.order.front() {
            let current = self.seen.get(id).filter(|seen| seen.revision == *revision);
            let expired = current.is_none_or(|seen| seen.committed_at.plus_micros(Self::KEPT_MICROS) <= now);
            if !expired && self.order.len() <= most {
                break;
            }
            if current.is_some() {
                self.seen.remove(id);
            }
            self.order.pop_front();
        }
    }

    /// The keys in the order of their events, for a sealed file.
    pub(crate) fn forms(&self) -> impl Iterator<Item = KeyForm> {
        let current = |id: &Id, revision: Revision| self.seen.get(id).filter(|seen| seen.revision == revision);
        self.order.iter().filter_map(move |(id, revision)| {
            let seen = current(id, *revision)?;
            let (revision, digest) = (seen.revision.0, seen.digest.0);
            Some(KeyForm { id: *id, revision, digest, committed_at: seen.committed_at.0 })
        })
    }

    /// The keys of [`Keys::forms`].
    pub(crate) fn of_forms(forms: Vec<KeyForm>) -> Self {
        let mut keys = Self::default();
        for form in forms {
            let (revision, digest, committed_at) =
                (Revision(form.revision), Hash(form.digest), Timestamp(form.committed_at));
            keys.seen.insert(form.id, Seen { revision, digest, committed_at });
            keys.order.push_back((form.id, revision));
        }
        keys
    }

    /// The number of keys remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

fn id(actor: &str, auth: Auth, key: &str) -> Id {
    let hash: [u8; 32] = Sha256::new()
        .chain_update((actor.len() as u64).to_be_bytes())
        .chain_update(actor)
        .chain_update([auth as u8])
        .chain_update(key)
        .finalize()
        .into();
    let mut id = Id::default();
    id.copy_from_slice(&hash[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use conn3ction_schemas::{
        Epoch,
        event::{Auth, EventHeader, FORMAT_VERSION, Idempotency, Kind, SealedHeader},
    };

    fn actor(name: &str) -> Actor {
        Actor { name: name.into(), auth: Auth::None }
    }

    fn header(revision: u64, committed_at: i64, who: &str, key: &str) -> SealedHeader {
        SealedHeader::seal(EventHeader {
            format: FORMAT_VERSION,
            revision: Revision(revision),
            epoch: Epoch::FIRST,
            id: Default::default(),
            committed_at: Timestamp(committed_at),
            time: Timestamp(committed_at),
            raw_clock: Timestamp(committed_at),
            kind: Kind::RecordsChanged,
            actor: actor(who),
            source: "rest".into(),
            request_id: String::new(),
            idempotency: Some(Idempotency { key: key.into(), digest: Hash([revision as u8; 32]) }),
            reason: None,
            zones: vec![],
            change_count: 0,
            of: None,
            previous_hash: Hash::default(),
            body_digest: Hash::default(),
        })
    }

    #[test]
    fn a_key_belongs_to_its_actor_and_is_forgotten_after_a_day() {
        let mut keys = Keys::default();
        keys.apply(&header(1, 10, "ann", "k").read());
        assert_eq!(keys.find(&actor("ann"), "k", Timestamp(11)).map(|seen| seen.revision), Some(Revision(1)));
        assert_eq!(keys.find(&actor("bob"), "k", Timestamp(11)), None);
        assert_eq!(keys.find(&actor("ann"), "k", Timestamp(10 + Keys::KEPT_MICROS)), None);
        keys.apply(&header(2, 10 + Keys::KEPT_MICROS, "bob", "other").read());
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_key_used_again_lives_from_its_last_use() {
        let mut keys = Keys::default();
        keys.apply(&header(1, 10, "ann", "k").read());
        keys.apply(&header(2, 10 + Keys::KEPT_MICROS, "ann", "k").read());
        keys.apply(&header(3, 11 + Keys::KEPT_MICROS, "ann", "l").read());
        assert_eq!(
            keys.find(&actor("ann"), "k", Timestamp(11 + Keys::KEPT_MICROS)).map(|s| s.revision),
            Some(Revision(2))
        );
    }

    #[test]
    fn beyond_the_bound_the_oldest_go_first() {
        let mut keys = Keys::default();
        for n in 1..=10 {
            keys.apply(&header(n, n as i64, "ann", &n.to_string()).read());
        }
        keys.forget(Timestamp(10), 4);
        assert_eq!(keys.len(), 4);
        assert!(keys.find(&actor("ann"), "6", Timestamp(10)).is_none());
        assert!(keys.find(&actor("ann"), "7", Timestamp(10)).is_some());
    }
}
