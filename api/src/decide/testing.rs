//! A state that is a plain map, and commands from text, for tests.

use std::collections::{BTreeMap, HashMap};

use conn3ction_schemas::{
    Actor, Delta, Name, RecordSet, RecordType, Revision, Serial, SetKey, Ttl, ZoneChange,
    event::{Auth, Hash, Idempotency, ZoneLife},
};
use uuid::Uuid;

use super::{
    Command, Decided, Envelope, Facts, Intent,
    command::{Change, NewZone, Op},
    decide,
    input::{self, RawChange},
    planned::PlannedContent,
    state::{Held, Scope, State, ZoneState},
};

/// The fold of events as the simplest thing that can be right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MapState {
    pub(crate) revision: Revision,
    pub(crate) zones: BTreeMap<Name, (Serial, bool, Revision)>,
    pub(crate) sets: BTreeMap<(Name, Name, SetKey), (Option<RecordSet>, Revision)>,
    /// When each zone last came or went.
    pub(crate) lives: BTreeMap<Name, Revision>,
    pub(crate) keys: HashMap<(String, String), (Hash, Revision)>,
}

impl MapState {
    /// Folds what was decided for `envelope` as the next event.
    pub(crate) fn fold(&mut self, envelope: &Envelope, decided: &Decided) {
        let planned: Vec<Delta>;
        let (zones, deltas): (&[ZoneChange], &[Delta]) = match decided {
            Decided::Unchanged { .. } => return,
            Decided::Event(facts) => (&facts.zones, &facts.deltas),
            Decided::Planned(zones, plan) => match &plan.content {
                PlannedContent::Deltas(deltas) => (zones, deltas),
                PlannedContent::Zone(_) => {
                    planned = crate::decide::testing::inline_deltas(&plan.body);
                    (zones, &planned)
                }
            },
        };
        self.revision = self.revision.next();
        for delta in deltas {
            let change = &zones[delta.zone as usize];
            let id = (change.zone.clone(), delta.owner.clone(), delta.key);
            let present = self.sets.get(&id).and_then(|(set, _)| set.clone());
            assert!(super::soa::same(delta.key.rtype, present.as_ref(), delta.before.as_ref()), "before: {delta:?}");
            assert_ne!(delta.before, delta.after, "a delta changes something: {delta:?}");
            self.sets.insert(id, (delta.after.clone(), self.revision));
        }
        for change in zones {
            let last = self.zones.get(&change.zone).map(|(serial, ..)| *serial);
            assert_eq!(last, change.before, "serial before of {}", change.zone);
            let exists = change.life != ZoneLife::Deleted;
            if change.life != ZoneLife::Stays {
                self.lives.insert(change.zone.clone(), self.revision);
            }
            self.zones.insert(change.zone.clone(), (change.after, exists, self.revision));
            let left = |sets: &BTreeMap<(Name, Name, SetKey), (Option<RecordSet>, Revision)>| {
                sets.iter().any(|((zone, ..), (set, _))| *zone == change.zone && set.is_some())
            };
            assert_eq!(left(&self.sets), exists, "a zone has data as long as it exists");
        }
        if let Some(idempotency) = &envelope.idempotency {
            let key = (envelope.actor.name.clone(), idempotency.key.clone());
            self.keys.insert(key, (idempotency.digest, self.revision));
        }
    }

    /// Decides and folds.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Decided, super::Refusal> {
        let decided = decide(self, command)?;
        self.fold(&command.envelope, &decided);
        Ok(decided)
    }

    /// The live sets as lines, SOA left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let live = self.sets.iter().filter_map(|(id, (set, _))| Some((id, set.as_ref()?)));
        live.filter(|((_, _, key), _)| key.rtype != RecordType::SOA)
            .flat_map(|((_, owner, key), set)| {
                set.rdata()
                    .iter()
                    .map(move |rdata| format!("{owner} {} {} {}", set.ttl(), key.rtype, rdata.to_text(key.rtype)))
            })
            .collect()
    }
}

impl State for MapState {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn zone(&self, apex: &Name) -> Option<ZoneState> {
        let (serial, exists, since) = *self.zones.get(apex)?;
        exists.then_some(ZoneState { serial, since })
    }

    fn last_serial(&self, apex: &Name) -> Option<Serial> {
        self.zones.get(apex).map(|(serial, ..)| *serial)
    }

    fn set(&self, zone: &Name, owner: &Name, key: SetKey) -> Option<Held> {
        let (set, since) = self.sets.get(&(zone.clone(), owner.clone(), key))?;
        Some(Held { set: set.clone()?, since: *since })
    }

    fn sets(&self, zone: &Name, owner: &Name) -> Vec<(SetKey, Held)> {
        let at = self.sets.keys().filter(|(of, at, _)| of == zone && at == owner);
        at.filter_map(|(_, _, key)| Some((*key, self.set(zone, owner, *key)?))).collect()
    }

    fn first_sets(&self, zone: &Name, under: &Name, limit: usize) -> Vec<(Name, SetKey, RecordSet)> {
        let below = self.sets.iter().filter(|((of, owner, _), _)| of == zone && owner.is_at_or_below(under));
        below.filter_map(|((_, owner, key), (set, _))| Some((owner.clone(), *key, set.clone()?))).take(limit).collect()
    }

    fn changed_since(&self, scope: Scope<'_>, than: Revision) -> Option<Revision> {
        let sets = |meant: &dyn Fn(&(Name, Name, SetKey)) -> bool| {
            self.sets.iter().filter(|(id, _)| meant(id)).map(|(_, (_, since))| *since).max()
        };
        let last = match scope {
            Scope::Set(zone, owner, key) => {
                sets(&|id| *id == (zone.clone(), owner.clone(), key)).max(self.lives.get(zone).copied())
            }
            Scope::Owner(zone, owner) => sets(&|id| (&id.0, &id.1) == (zone, owner)).max(self.lives.get(zone).copied()),
            Scope::Under(zone, top) => {
                sets(&|id| id.0 == *zone && id.1.is_at_or_below(top)).max(self.lives.get(zone).copied())
            }
            Scope::Zone(zone) => self.zones.get(zone).map(|(_, _, since)| *since),
        };
        last.filter(|last| *last > than)
    }

    fn seen(&self, actor: &Actor, key: &str) -> Option<(Hash, Revision)> {
        self.keys.get(&(actor.name.clone(), key.to_owned())).copied()
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        event_id: Uuid::nil(),
        actor: Actor { name: "ann".into(), auth: Auth::None },
        source: "rest".into(),
        request_id: "q".into(),
        idempotency: None,
        reason: None,
        expected_revision: None,
    }
}

pub(crate) fn command(intent: Intent) -> Command {
    Command { envelope: envelope(), intent }
}

pub(crate) fn keyed(intent: Intent, key: &str, digest: u8) -> Command {
    let mut command = command(intent);
    command.envelope.idempotency = Some(Idempotency { key: key.into(), digest: Hash([digest; 32]) });
    command
}

pub(crate) fn expecting(intent: Intent, revision: u64) -> Command {
    let mut command = command(intent);
    command.envelope.expected_revision = Some(Revision(revision));
    command
}

pub(crate) fn new_zone(zone: &str) -> Intent {
    Intent::CreateZone(NewZone { name: name(zone), nameservers: vec![], contact: None, ttl: None })
}

/// Lines of `op name [TTL] type value | value`; type `-` is none; `op zone/name …` names the zone.
pub(crate) fn changes(lines: &[&str]) -> Intent {
    let change = |(number, line): (usize, &&str)| change(&format!("/changes/{number}"), line);
    Intent::ChangeRecords(lines.iter().enumerate().map(change).collect())
}

pub(crate) fn change(pointer: &str, line: &str) -> Change {
    let mut words = line.splitn(3, ' ');
    let op = Op::ALL.into_iter().find(|op| Some(op.as_str()) == words.clone().next()).expect("an op");
    words.next();
    let owner = words.next().expect("a name");
    let (zone, owner) = owner.split_once('/').map_or((None, owner), |(zone, owner)| (Some(zone), owner));
    let rest = words.next().unwrap_or("-");
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let (ttl, rest) = first.parse().map_or((None, rest), |ttl| (Some(ttl), after));
    let (rtype, values) = rest.split_once(' ').unwrap_or((rest, ""));
    let values: Vec<String> = values.split(" | ").filter(|value| !value.is_empty()).map(str::to_owned).collect();
    let (rtype, covers) = rtype.split_once(':').map_or((rtype, None), |(rtype, covers)| (rtype, Some(covers)));
    let raw = RawChange {
        pointer: pointer.into(),
        zone,
        name: owner,
        rtype: (rtype != "-").then_some(rtype),
        covers,
        ttl,
        values: &values,
    };
    input::change(op, &raw).expect("a valid change")
}

/// A state with zone `example.` (serial 1 at r1) and the records of `lines` (r2).
pub(crate) fn example(lines: &[&str]) -> MapState {
    let mut state = MapState::default();
    state.run(&command(new_zone("example."))).expect("a zone");
    if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(|line| format!("set {line}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        state.run(&command(changes(&lines))).expect("records");
    }
    state
}

pub(crate) fn facts(decided: Decided) -> Facts {
    match decided {
        Decided::Event(facts) => facts,
        other => panic!("no event: {other:?}"),
    }
}

pub(crate) fn ttl(secs: u32) -> Ttl {
    Ttl::from_secs(secs).expect("a TTL")
}

pub(crate) fn inline_deltas(body: &conn3ction_schemas::event::DraftBody) -> Vec<Delta> {
    match &body.chunks {
        conn3ction_schemas::event::DraftChunks::Inline(chunks) => chunks
            .iter()
            .flat_map(|chunk| conn3ction_schemas::event::chunk::deltas(chunk).collect::<Vec<_>>())
            .map(|delta| delta.expect("our own chunk"))
            .collect(),
        staged => panic!("staged: {staged:?}"),
    }
}
