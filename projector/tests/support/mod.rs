//! Histories to fold: an author that knows the state and appends events whose before and after are true.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use conn3ction_ledger::{Batch, Body, Event, Head, Ledger};
use conn3ction_schemas::{
    Actor, Delta, Name, Rdata, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp, Ttl, ZoneChange,
    event::{Auth, Draft, DraftBody, DraftChunks, Hash, Idempotency, Kind, Place, ZoneLife},
};
use uuid::Uuid;

#[path = "../../../tests/src/ports.rs"]
mod ports;
pub mod servers;
pub mod stalling;

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// `["A", "192.0.2.1"]`-like sets: type, TTL, values.
pub fn set(rtype: &str, ttl: u32, values: &[&str]) -> (SetKey, RecordSet) {
    let rtype: RecordType = rtype.parse().expect("a type");
    let rdata = values.iter().map(|value| Rdata::parse(rtype, value, None).expect(value)).collect();
    let set = RecordSet::new(Ttl::from_secs(ttl).expect("a TTL"), rdata).expect("a set");
    (SetKey::of(rtype), set)
}

#[derive(Default, Clone)]
struct Zone {
    alive: bool,
    serial: Option<Serial>,
    sets: BTreeMap<(Name, SetKey), RecordSet>,
}

/// Appends true events to a ledger.
pub struct Author {
    pub ledger: Arc<dyn Ledger>,
    pub head: Head,
    zones: BTreeMap<Name, Zone>,
    random: u64,
    /// Bodies with more chunks' worth of deltas than this are staged.
    pub stage: bool,
}

/// One change: zone, owner, key, what is there after.
pub type Change = (Name, Name, SetKey, Option<RecordSet>);

impl Author {
    pub async fn new(ledger: Arc<dyn Ledger>, seed: u64) -> Self {
        let head = ledger.head().await.expect("a head");
        Self { ledger, head, zones: BTreeMap::new(), random: seed.max(1), stage: false }
    }

    /// xorshift64*: the same seed gives the same history.
    pub fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }

    pub fn revision(&self) -> Revision {
        self.head.revision
    }

    pub async fn create_zone(&mut self, zone: &str) -> Revision {
        let zone = name(zone);
        let soa = set("SOA", 60, &[". . 1 2 3 4 5"]);
        let ns = set("NS", 60, &["localhost."]);
        let changes = [soa, ns].map(|(key, set)| (zone.clone(), zone.clone(), key, Some(set)));
        self.append(&[(zone, ZoneLife::Created)], changes.to_vec()).await
    }

    pub async fn delete_zone(&mut self, zone: &Name) -> Revision {
        let sets = self.zones[zone].sets.keys().cloned().collect::<Vec<_>>();
        let changes = sets.into_iter().map(|(owner, key)| (zone.clone(), owner, key, None)).collect();
        self.append(&[(zone.clone(), ZoneLife::Deleted)], changes).await
    }

    /// Sets one record set; no values take it away.
    pub async fn put(&mut self, zone: &str, owner: &str, rtype: &str, ttl: u32, values: &[&str]) -> Revision {
        let rdata_type: RecordType = rtype.parse().expect("a type");
        let after = (!values.is_empty()).then(|| set(rtype, ttl, values).1);
        self.append(&[], vec![(name(zone), name(owner), SetKey::of(rdata_type), after)]).await
    }

    /// Appends one event. Zones that `lives` does not name stay.
    pub async fn append(&mut self, lives: &[(Name, ZoneLife)], mut changes: Vec<Change>) -> Revision {
        let lives: BTreeMap<&Name, ZoneLife> = lives.iter().map(|(zone, life)| (zone, *life)).collect();
        let touched: BTreeSet<&Name> = lives.keys().copied().chain(changes.iter().map(|change| &change.0)).collect();
        let zones: Vec<ZoneChange> = touched
            .iter()
            .map(|zone| {
                let before = self.zones.get(*zone).and_then(|zone| zone.serial);
                let life = lives.get(zone).copied().unwrap_or(ZoneLife::Stays);
                let after = match (before, life) {
                    (Some(serial), ZoneLife::Deleted) => serial,
                    (Some(serial), _) => serial.next(None),
                    (None, _) => Serial(1),
                };
                ZoneChange { zone: (*zone).clone(), before, after, life }
            })
            .collect();
        changes.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
        let mut deltas = Vec::new();
        for (zone, owner, key, after) in changes {
            let place = zones.iter().position(|change| change.zone == zone).expect("named") as u32;
            let sets = &mut self.zones.entry(zone).or_default().sets;
            let before = match &after {
                Some(set) => sets.insert((owner.clone(), key), set.clone()),
                None => sets.remove(&(owner.clone(), key)),
            };
            if before != after {
                deltas.push(Delta { zone: place, owner, key, before, after });
            }
        }
        for change in &zones {
            let zone = self.zones.entry(change.zone.clone()).or_default();
            zone.serial = Some(change.after);
            zone.alive = !matches!(change.life, ZoneLife::Deleted);
        }
        self.store(zones, deltas).await
    }

    async fn store(&mut self, zones: Vec<ZoneChange>, deltas: Vec<Delta>) -> Revision {
        let mut body = DraftBody::inline(&deltas);
        if self.stage
            && let DraftChunks::Inline(chunks) = &body.chunks
            && !chunks.is_empty()
        {
            let id = Uuid::now_v7();
            let count = chunks.len() as u32;
            for (index, chunk) in chunks.iter().enumerate() {
                self.ledger.stage(id, index as u32, chunk.clone()).await.expect("staged");
            }
            body.chunks = DraftChunks::Staged { id, count };
        }
        let number = self.head.revision.0;
        let draft = Draft {
            id: Uuid::now_v7(),
            kind: Kind::RecordsChanged,
            actor: Actor { name: format!("author {}", number % 5), auth: Auth::None },
            source: "test".into(),
            request_id: String::new(),
            idempotency: number
                .is_multiple_of(4)
                .then(|| Idempotency { key: format!("key {}", number % 40), digest: Hash([number as u8; 32]) }),
            reason: (!number.is_multiple_of(3)).then(|| format!("reason {}", number % 7)),
            zones,
            of: None,
            time: None,
            body,
        };
        let committed_at = self.head.next_committed_at(Timestamp(0));
        let header = draft.seal(Place {
            epoch: self.head.epoch,
            revision: self.head.revision.next(),
            previous_hash: self.head.hash,
            committed_at,
            raw_clock: committed_at,
        });
        let body = match draft.body.chunks {
            DraftChunks::Inline(chunks) => Body::Inline(chunks.into()),
            DraftChunks::Staged { id, count } => Body::Parts { id, count },
        };
        let event = Arc::new(Event { header, salt: draft.body.salt, body });
        let batch = Batch { id: Uuid::now_v7(), events: vec![event], closed: Timestamp(0) };
        self.head = self.ledger.append(&self.head, &batch).await.expect("appended");
        self.head.revision
    }

    /// An event at random: zones come and go, one inside another; names have children, cuts, targets, odd labels.
    pub async fn random_event(&mut self) -> Revision {
        let zones = ["example.local.", "sub.example.local.", "10.in-addr.arpa.", "local."].map(name);
        let zone = zones[self.random(zones.len())].clone();
        let alive = self.zones.get(&zone).is_some_and(|zone| zone.alive);
        if !alive {
            return self.create_zone(&zone.to_string()).await;
        }
        if self.random(25) == 0 {
            return self.delete_zone(&zone).await;
        }
        let mut changes = BTreeMap::new();
        for _ in 0..1 + self.random(4) {
            let owner = self.random_owner(&zone);
            let (key, set) = self.random_set(&owner);
            let cname = SetKey::of(RecordType::CNAME);
            let sets = &self.zones[&zone].sets;
            let others = sets.keys().filter(|(at, other)| *at == owner && *other != key).count();
            let beside_cname = sets.contains_key(&(owner.clone(), cname))
                || changes.keys().any(|(at, other)| *at == owner && *other == cname);
            let beside_new = changes.keys().any(|(at, other)| *at == owner && *other != key);
            if (key == cname && (others > 0 || beside_new)) || (key != cname && beside_cname) {
                continue;
            }
            let after = (self.random(3) > 0).then_some(set);
            changes.insert((owner, key), after);
        }
        let changes = changes.into_iter().map(|((owner, key), after)| (zone.clone(), owner, key, after)).collect();
        self.append(&[(zone, ZoneLife::Stays)], changes).await
    }

    fn random_owner(&mut self, zone: &Name) -> Name {
        let labels: [&[u8]; 12] =
            [b"a", b"b", b"c", b"sub", b"dns", b"ns", b"apex", b"*", b"any", b"x/y", b"x.y", b"\xe9 @"];
        let mut owner = zone.clone();
        for _ in 0..self.random(4) {
            let pick = if self.random(4) > 0 { self.random(4) } else { self.random(labels.len()) };
            owner = owner.child(labels[pick]).expect("short");
        }
        owner
    }

    fn random_set(&mut self, owner: &Name) -> (SetKey, RecordSet) {
        let n = self.random(200).to_string();
        let ttl = [0, 60, 300][self.random(8).min(2)];
        match self.random(if owner.label_count() > 3 { 9 } else { 8 }) {
            0 | 1 => set("A", ttl, &[&format!("192.0.2.{n}"), "192.0.2.7"]),
            2 => set("AAAA", ttl, &[&format!("2001:db8::{n}")]),
            3 => set("TXT", ttl, &[&format!("\"text {n} \\\\ \\233\"")]),
            4 => set("MX", ttl, &[&format!("{n} mail.example.local.")]),
            5 => set("SRV", ttl, &[&format!("10 100 {n} a.example.local.")]),
            6 => set("PTR", ttl, &[&format!("h{n}.example.local.")]),
            7 => set("NS", ttl, &["a.example.local.", &format!("n{n}.example.net.")]),
            _ => set("CNAME", ttl, &[&format!("t{n}.example.local.")]),
        }
    }
}
