//! Which versions changed an answer: those of the owner, and those elsewhere on the path that the answer takes.
//!
//! An answer depends on a few points: the zones at and above the name, the cuts and DNAMEs between, the name itself, the
//! wildcard that stands in for it, and the same for each target of an alias. The newest change at any of them is the newest
//! that can have changed the answer; right before it the path may have been another, so it is found anew there. Walking
//! back so costs the versions of the names on the path and nothing else of the history. What changed a point without
//! changing the answer (another NS above an NS, a zone above the one that answers) is passed over.

use std::collections::HashMap;

use conn3ction_schemas::{Name, RecordType, SetKey};

use crate::{
    Version, View,
    store::{SetChange, Step},
    trace::{self, Found, Traced},
};

/// A version that changed something on the path of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The version.
    pub version: Version,
    /// What it changed there, in no order.
    pub touched: Vec<Touched>,
}

/// What a version changed on the path of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// A zone at or above a name on the path came or went.
    Zone {
        /// Its apex.
        apex: Name,
    },
    /// Record sets of a name on the path.
    Sets {
        /// The zone.
        zone: Name,
        /// The name.
        owner: Name,
        /// What changed.
        changes: Vec<SetChange>,
    },
    /// A name on the path without records came or went with the names below it (an empty non-terminal).
    Existence {
        /// The zone.
        zone: Name,
        /// The name.
        owner: Name,
    },
}

/// The turns of an answer, newest first.
#[derive(Debug)]
pub struct Trail {
    view: View,
    name: Name,
    rtype: Option<RecordType>,
    is_exact: bool,
    /// Where to look next; `None` before the first version.
    next: Option<Version>,
    /// Nothing earlier is looked for.
    since: Version,
    /// The last turn of each point, as long as it is not later than `next`.
    known: HashMap<Point, Option<Step>>,
}

/// Something that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Point {
    Zone(Name),
    /// Zone, owner, and which of its sets matter.
    Owner(Name, Name, Matters),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Matters {
    /// The sets that are asked for, whether the name exists, and whether it is an alias or a cut.
    Asked,
    /// What leads elsewhere: NS and DNAME, and whether the name exists.
    Redirect,
}

impl Trail {
    /// The turns of the answer to `name` and `rtype` up to `view`; without a type, those of all its sets.
    pub fn of_answer(view: &View, name: &Name, rtype: Option<RecordType>) -> Self {
        Self::new(view, name, rtype, false)
    }

    /// The versions that changed record sets of the owner `name` alone, in whichever zones.
    pub fn of_owner(view: &View, name: &Name, rtype: Option<RecordType>) -> Self {
        Self::new(view, name, rtype, true)
    }

    fn new(view: &View, name: &Name, rtype: Option<RecordType>, is_exact: bool) -> Self {
        let (next, known) = (Some(view.version()), HashMap::new());
        Self { view: view.clone(), name: name.clone(), rtype, is_exact, next, since: Version(0), known }
    }

    /// The turns at `version` and later alone.
    #[must_use]
    pub fn since(self, version: Version) -> Self {
        Self { since: version, ..self }
    }

    /// What the answer at `view` depends on.
    fn points(&self, view: &View) -> Vec<Point> {
        let mut points = Vec::new();
        if self.is_exact {
            let owner = |apex| Point::Owner(apex, self.name.clone(), Matters::Asked);
            points.extend(suffixes(&self.name).map(owner));
            return points;
        }
        let zones = |points: &mut Vec<Point>, name: &Name| points.extend(suffixes(name).map(Point::Zone));
        zones(&mut points, &self.name);
        // Any type but CNAME takes the same path.
        for step in trace::steps(view, &self.name, self.rtype.unwrap_or(RecordType::A)) {
            let (zone, name) = (&step.zone, &step.name);
            let mut owner = |owner: Name, matters| points.push(Point::Owner(zone.clone(), owner, matters));
            let (deepest, wildcard) = match &step.found {
                Found::Answer { owner } | Found::Alias { owner, .. } | Found::NoData { owner } => {
                    (name, (owner != name).then(|| owner.clone()))
                }
                Found::NameError { encloser } => (name, encloser.child(b"*").ok()),
                // What is below does not show.
                Found::Dname { owner, .. } => (owner, None),
                Found::Referral { cut } => (cut, None),
            };
            let between = (zone.label_count()..deepest.label_count()).map(|labels| name.suffix(labels));
            between.for_each(|above| owner(above, Matters::Redirect));
            owner(deepest.clone(), if deepest == name { Matters::Asked } else { Matters::Redirect });
            if let Some(wildcard) = wildcard {
                owner(wildcard, Matters::Asked);
            }
            match &step.found {
                Found::Alias { target, .. } | Found::Dname { target, .. } => zones(&mut points, target),
                Found::Answer { .. } | Found::NoData { .. } | Found::Referral { .. } | Found::NameError { .. } => {}
            }
        }
        points
    }

    fn wants(&self, matters: Matters, key: SetKey, is_apex: bool) -> bool {
        // NS of the apex is no cut.
        let redirects = key.rtype == RecordType::DNAME || (key.rtype == RecordType::NS && !is_apex);
        match (matters, self.rtype) {
            (Matters::Redirect, _) => redirects,
            (Matters::Asked, None) => true,
            (Matters::Asked, Some(rtype)) if self.is_exact => key.rtype == rtype,
            (Matters::Asked, Some(rtype)) => key.rtype == rtype || key.rtype == RecordType::CNAME || redirects,
        }
    }

    /// Whether the answer is another one from `turn` on. Without a type: that for any type that it touched, or for all.
    fn changes_answer(&self, turn: &Turn) -> bool {
        let sets = turn.touched.iter().filter_map(|touched| match touched {
            Touched::Sets { changes, .. } => Some(changes.iter().map(|change| change.key.rtype)),
            Touched::Zone { .. } | Touched::Existence { .. } => None,
        });
        let asked: Vec<RecordType> = match self.rtype {
            Some(rtype) => vec![rtype],
            None => std::iter::once(RecordType::A).chain(sets.flatten()).collect(),
        };
        let before = self.view.back_to(Version(turn.version.0.saturating_sub(1)));
        let after = self.view.back_to(turn.version);
        asked.into_iter().any(|rtype| told(&before, &self.name, rtype) != told(&after, &self.name, rtype))
    }

    /// The next version that changed a point of the answer, and so perhaps the answer.
    fn candidate(&mut self) -> Option<Turn> {
        let view = self.view.back_to(self.next.take()?);
        let mut points = self.points(&view);
        self.look(&view, &points);
        let version = points.iter().filter_map(|point| Some(self.known_turn(point)?.version)).max()?;
        self.next = version.0.checked_sub(1).map(Version);
        // What lay on the path right before belongs to it, too: a target that went with its zone.
        if let Some(before) = self.next {
            points.extend(self.points(&self.view.back_to(before)));
            self.look(&self.view.back_to(version), &points);
        }
        points.retain(|point| self.known_turn(point).is_some_and(|last| last.version == version));
        let mut touched: Vec<Touched> = Vec::with_capacity(points.len());
        for point in points {
            let changes = self.known_turn(&point).map(|step| step.changes.clone()).unwrap_or_default();
            let what = match point {
                Point::Zone(apex) => Touched::Zone { apex },
                Point::Owner(zone, owner, _) if changes.is_empty() => Touched::Existence { zone, owner },
                Point::Owner(zone, owner, _) => Touched::Sets { zone, owner, changes },
            };
            if !touched.contains(&what) {
                touched.push(what);
            }
        }
        Some(Turn { version, touched })
    }

    /// Finds the last turn of `points` up to `view`, as far as they are not known.
    fn look(&mut self, view: &View, points: &[Point]) {
        for point in points {
            let is_known = self
                .known
                .get(point)
                .is_some_and(|last| last.as_ref().is_none_or(|last| last.version <= view.version()));
            if !is_known {
                let last = self.last_turn(view, point);
                self.known.insert(point.clone(), last);
            }
        }
    }

    fn known_turn(&self, point: &Point) -> Option<&Step> {
        self.known.get(point)?.as_ref()
    }

    /// The last turn of `point` up to `view`.
    fn last_turn(&self, view: &View, point: &Point) -> Option<Step> {
        match point {
            Point::Zone(apex) => {
                view.zone_turned(apex).map(|version| Step { version, serial: None, changes: Vec::new() })
            }
            Point::Owner(zone, owner, _) if self.is_exact => {
                let mut steps = view.steps(zone, owner);
                steps.find_map(|mut step| {
                    step.changes.retain(|change| self.wants(Matters::Asked, change.key, owner == zone));
                    (!step.changes.is_empty()).then_some(step)
                })
            }
            Point::Owner(zone, owner, matters) => {
                view.owner_turned(zone, owner, |key| self.wants(*matters, key, owner == zone))
            }
        }
    }
}

impl Iterator for Trail {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        loop {
            let turn = self.candidate().filter(|turn| turn.version >= self.since)?;
            if self.is_exact || self.changes_answer(&turn) {
                return Some(turn);
            }
        }
    }
}

/// What [`bisect`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bisected {
    /// Whether it holds in the view.
    pub holds: bool,
    /// The last turn at which that changed, with the answer right before it; `None` if it never did.
    pub turn: Option<(Turn, Traced)>,
    /// The answer from that turn on; without one, the answer in the view.
    pub after: Traced,
}

/// Finds the last turn of an answer at which `holds` began or ceased to be true of it.
///
/// What holds may come and go any number of times, so halving the history could miss that turn. Walking the turns back
/// cannot, and there are few of them however long the history is. Who cannot wait where there are many all the same walks
/// at most `most` of them, and is told as if there were no more.
pub fn bisect(view: &View, name: &Name, rtype: RecordType, most: usize, holds: impl Fn(&Traced) -> bool) -> Bisected {
    let now = trace::trace(view, name, rtype);
    let holds_now = holds(&now);
    let mut after = now.clone();
    let mut trail = Trail::of_answer(view, name, Some(rtype));
    // What holds is looked at anyway, so who did not change the answer need not be told apart before.
    for turn in std::iter::from_fn(|| trail.candidate()).take(most) {
        // Between two turns the answer does not change, so one look a turn is enough.
        let before = trace::trace(&view.back_to(Version(turn.version.0.saturating_sub(1))), name, rtype);
        if holds(&before) != holds_now {
            return Bisected { holds: holds_now, turn: Some((turn, before)), after };
        }
        after = before;
    }
    Bisected { holds: holds_now, turn: None, after: now }
}

/// What a resolver is told: the code, AA, the answer, and in the authority section where it is referred to. The SOA there has
/// a new serial with every change of the zone.
fn told(view: &View, name: &Name, rtype: RecordType) -> impl PartialEq {
    let Traced { rcode, authoritative, sections: [answer, authority, _], .. } = trace::trace(view, name, rtype);
    let authority = authority.into_iter().filter(|record| record.rtype != RecordType::SOA);
    let records =
        answer.into_iter().chain(authority).map(|record| (record.owner, record.rtype, record.ttl, record.rdata));
    (rcode, authoritative, records.collect::<Vec<_>>())
}

/// `name` and all names above it, the root first.
fn suffixes(name: &Name) -> impl Iterator<Item = Name> {
    (0..=name.label_count()).map(|labels| name.suffix(labels))
}

#[cfg(test)]
mod tests;
