//! The responder's own answer, taken apart, with the path that it took: for people who ask why.

use conn3ction_schemas::{Name, Rdata, RecordType, SetKey};

use crate::{
    Transport, Version, View, answer,
    lookup::{Match, Outcome, lookup},
};

/// An answer and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The reply's response code, as dig prints it.
    pub rcode: &'static str,
    /// Whether AA is set.
    pub authoritative: bool,
    /// Answer, authority and additional section, without OPT.
    pub sections: [Vec<TracedRecord>; 3],
    /// Where the lookup went, in order.
    pub steps: Vec<Step>,
}

/// A record of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedRecord {
    /// Its owner as the reply names it.
    pub owner: Name,
    /// Its type.
    pub rtype: RecordType,
    /// Seconds.
    pub ttl: u32,
    /// Its data.
    pub rdata: Rdata,
    /// Which event put its set there; none for a CNAME that a DNAME made.
    pub since: Option<Version>,
}

/// One step of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The zone that was asked.
    pub zone: Name,
    /// The name that was looked up.
    pub name: Name,
    /// What the zone said.
    pub found: Found,
}

/// What a zone said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The records, or with [`Step::name`] unlike this owner, those of the wildcard that stands in for it.
    Answer {
        /// The owner.
        owner: Name,
    },
    /// An alias.
    Alias {
        /// The owner, perhaps a wildcard.
        owner: Name,
        /// What it leads to.
        target: Name,
    },
    /// A DNAME above the name.
    Dname {
        /// Its owner.
        owner: Name,
        /// What it leads to.
        target: Name,
    },
    /// A zone cut at or above the name.
    Referral {
        /// Where.
        cut: Name,
    },
    /// The name exists, the type does not.
    NoData {
        /// The owner, perhaps a wildcard.
        owner: Name,
    },
    /// No such name.
    NameError {
        /// The longest existing name above it.
        encloser: Name,
    },
}

/// How many steps are told.
const MOST: usize = 16;

/// Answers a question as the responder would over TCP, and tells how.
pub fn trace(view: &View, name: &Name, qtype: RecordType) -> Traced {
    let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&qtype.0.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    let mut reply = vec![0; 65_535];
    let len = answer(view, &query, Transport::Tcp, &mut reply).unwrap_or_default();
    reply.truncate(len);
    let flags = reply.get(2..4).map_or(0, |flags| u16::from_be_bytes([flags[0], flags[1]]));
    let sections = sections(&reply, query.len()).map(|mut section| {
        for record in &mut section {
            record.since = since(view, record);
        }
        section
    });
    let rcode = match flags & 15 {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        _ => "OTHER",
    };
    Traced { rcode, authoritative: flags & 0x400 != 0, sections, steps: steps(view, name, qtype) }
}

/// The event that put a record's set there.
fn since(view: &View, record: &TracedRecord) -> Option<Version> {
    let covers = SetKey::for_rdata(record.rtype, &record.rdata);
    // The set may be of the parent zone (NS and glue at a cut, DS): any zone of ours at or above the name that holds it.
    let mut above = Some(record.owner.clone());
    while let Some(name) = above {
        let zone = view.zone_of(&name)?;
        let held = |owner: &Name| zone.owner(owner).and_then(|owner| owner.set(covers).map(|set| set.since()));
        let found = held(&record.owner).or_else(|| {
            let wildcards = std::iter::successors(record.owner.parent(), Name::parent);
            let mut wildcards = wildcards.take_while(|name| name.is_at_or_below(zone.apex()));
            wildcards.find_map(|name| held(&name.child(b"*").ok()?))
        });
        if found.is_some() {
            return found;
        }
        above = zone.apex().parent();
    }
    None
}

pub(crate) fn steps(view: &View, name: &Name, qtype: RecordType) -> Vec<Step> {
    let (mut steps, mut name) = (Vec::new(), name.clone());
    while steps.len() < MOST {
        let at_parent = (qtype == RecordType::DS).then(|| name.parent()).flatten();
        let longest = view.zone_of(&name);
        let is_apex = longest.as_ref().is_some_and(|zone| *zone.apex() == name);
        let zone = at_parent.filter(|_| is_apex).and_then(|parent| view.zone_of(&parent)).or(longest);
        let Some(zone) = zone else { break };
        let apex = zone.apex().clone();
        let below = &name.as_wire()[..name.as_wire().len() - apex.as_wire().len()];
        let named =
            |labels: &[u8]| Name::from_wire(&[labels, apex.as_wire()].concat()).unwrap_or_else(|_| apex.clone());
        let owner = |found: &Match<'_>| named(found.owner.state().owner());
        let (found, next) = match lookup(&zone, below, qtype) {
            Outcome::Answer(found) => (Found::Answer { owner: owner(&found) }, None),
            Outcome::NoData(found) => (Found::NoData { owner: owner(&found) }, None),
            Outcome::Referral(held, _) => (Found::Referral { cut: named(held.state().owner()) }, None),
            Outcome::NameError(depth) => (Found::NameError { encloser: name.suffix(apex.label_count() + depth) }, None),
            Outcome::Alias(found) => {
                let target = found.owner.state().set(SetKey::of(RecordType::CNAME)).and_then(|set| target(&set));
                let Some(target) = target else { break };
                (Found::Alias { owner: owner(&found), target: target.clone() }, Some(target))
            }
            Outcome::Dname(held, _) => {
                let target = held.state().set(SetKey::of(RecordType::DNAME)).and_then(|set| target(&set));
                let Some(target) = target else { break };
                let owner = named(held.state().owner());
                let prefix = &name.as_wire()[..name.as_wire().len() - owner.as_wire().len()];
                let next = Name::from_wire(&[prefix, target.as_wire()].concat()).ok();
                (Found::Dname { owner, target }, next)
            }
        };
        steps.push(Step { zone: apex.clone(), name: name.clone(), found });
        match next {
            Some(next) if steps.iter().all(|step| step.name != next) => name = next,
            _ => break,
        }
    }
    steps
}

fn target(set: &crate::store::node::StoredSet<'_>) -> Option<Name> {
    let (_, rdata) = set.split().next()?;
    Name::from_wire(rdata).ok()
}

/// The records of a reply of ours whose question ends at `at`.
fn sections(reply: &[u8], mut at: usize) -> [Vec<TracedRecord>; 3] {
    [6, 8, 10].map(|count| {
        let count = reply.get(count..count + 2).map_or(0, |count| u16::from_be_bytes([count[0], count[1]]));
        let records = (0..count).map_while(|_| record(reply, &mut at));
        records.filter(|record| record.rtype != RecordType::OPT).collect()
    })
}

fn record(reply: &[u8], at: &mut usize) -> Option<TracedRecord> {
    let owner = name(reply, at)?;
    let fixed = reply.get(*at..*at + 10)?;
    let rtype = RecordType(u16::from_be_bytes([fixed[0], fixed[1]]));
    let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let len = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    let start = *at + 10;
    *at = start + len;
    // Our replies have no compression in rdata.
    Some(TracedRecord { owner, rtype, ttl, rdata: Rdata::from_stored(reply.get(start..*at)?), since: None })
}

/// A name with compression (RFC 1035 section 4.1.4); pointers lead backwards only, so it ends.
fn name(reply: &[u8], at: &mut usize) -> Option<Name> {
    let (mut wire, mut from, mut behind) = (Vec::new(), *at, None);
    loop {
        let len = usize::from(*reply.get(from)?);
        if len >= 0xc0 {
            behind.get_or_insert(from + 2);
            let to = (len & 0x3f) << 8 | usize::from(*reply.get(from + 1)?);
            if to >= from {
                return None;
            }
            from = to;
            continue;
        }
        wire.extend_from_slice(reply.get(from..=from + len)?);
        from += 1 + len;
        if len == 0 {
            *at = behind.unwrap_or(from);
            return Name::from_wire(&wire).ok();
        }
    }
}
