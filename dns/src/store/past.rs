//! What changed: the steps that a name went through, and the record sets in which two moments differ.

use std::cmp::Ordering;

use conn3ction_schemas::{Name, RecordSet, RecordType, Serial, SetKey};

use super::{
    Version, View, Zones, labels,
    node::State,
    view::{OwnerView, ZoneView, record_set, with_serial},
    zone::{Held, Zone},
};

/// A version that changed record sets of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version.
    pub version: Version,
    /// The zone's serial from it on.
    pub serial: Option<Serial>,
    /// The sets that it changed, by key.
    pub changes: Vec<SetChange>,
}

/// One record set before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetChange {
    /// Type and covered type.
    pub key: SetKey,
    /// The set before; `None` if there was none.
    pub before: Option<RecordSet>,
    /// The set after; `None` if there is none any more.
    pub after: Option<RecordSet>,
}

/// A record set that differs between two views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The owner.
    pub owner: Name,
    /// What differs.
    pub change: SetChange,
    /// The version that made the set of the later view; `None` where there is no set.
    pub since: Option<Version>,
}

impl View {
    /// The zones there are or ever were, in canonical order of their apexes, from `apex` on.
    pub fn zones_ever(&self, apex: &Name) -> impl Iterator<Item = &Name> {
        let order = self.zones.order.load_full();
        let compare = &mut |number| match self.zones.get(number) {
            Some(zone) => zone.apex.cmp(apex),
            None => Ordering::Less,
        };
        let numbers = order.iter_from(compare);
        numbers
            .filter_map(|number| self.zones.get(number))
            .filter(|zone| self.last_touch(zone).is_some())
            .map(|zone| &zone.apex)
    }

    /// The last version that touched each zone up to the moment of this view, zones that are gone included.
    pub fn last_changes(&self) -> impl Iterator<Item = Version> {
        (0..).map_while(|number| self.zones.get(number)).filter_map(|zone| self.last_touch(zone))
    }

    /// Whether there is or ever was a zone with this apex.
    pub fn was_zone(&self, apex: &Name) -> bool {
        self.last_change(apex).is_some()
    }

    /// The versions that changed record sets of `owner` in zone `apex`, newest first, in all lives of the zone. Each
    /// costs its own size and the logarithm of how many there are.
    pub fn steps(&self, apex: &Name, owner: &Name) -> impl Iterator<Item = Step> {
        self.states(apex, owner).into_iter().flatten()
    }

    fn states(&self, apex: &Name, owner: &Name) -> Option<Steps<'_>> {
        let (_, zone) = self.zones.find(apex.as_wire())?;
        let below = owner.as_wire().len().checked_sub(apex.as_wire().len())?;
        let (number, newest) = zone.find(owner.is_at_or_below(apex).then(|| &owner.as_wire()[..below])?)?;
        let last = self.last_touch(zone)?;
        let version = if self.time().is_some() { last } else { self.version() };
        Some(Steps { zone, number, next: zone.at(number, newest, version) })
    }

    /// The version in which zone `apex` came or went last; `None` if it never was.
    pub fn zone_turned(&self, apex: &Name) -> Option<Version> {
        let (_, zone) = self.zones.find(apex.as_wire())?;
        let last = self.last_touch(zone)?;
        zone.lives.at(last).map(|(since, _)| since)
    }

    /// The last version that changed a set of `owner` that `wants` asks for, or whether the name exists, with all that it
    /// changed there if it did the latter. States that are not asked for cost a search each.
    pub(crate) fn owner_turned(&self, apex: &Name, owner: &Name, wants: impl Fn(SetKey) -> bool) -> Option<Step> {
        let mut states = self.states(apex, owner)?;
        loop {
            let held = states.next.take()?;
            let state = held.state();
            let before = states.before(state.since);
            let exists = before.as_ref().is_some_and(|before| before.state().facts.exists());
            let turned = exists != state.facts.exists();
            let keys = match state.changed == state.since {
                true => changed_keys(before.as_ref().map(Held::state), state),
                false => Vec::new(),
            };
            if turned || keys.iter().any(|key| wants(*key)) {
                let mut step = states.step(before.as_ref(), state);
                step.changes.retain(|change| turned || wants(change.key));
                return Some(step);
            }
            states.next = before;
        }
    }

    /// The record sets of zone `apex` that are different here from what they are in `before`, from owner `from` on, in
    /// canonical order of owner and key. A zone that does not live then has none. Owners whose state is the same in both
    /// cost one step each and no comparison; a SOA's serial is no difference.
    pub fn differences<'v>(
        &'v self,
        before: &'v View,
        apex: &Name,
        from: &Name,
    ) -> impl Iterator<Item = Difference> + use<'v> {
        let zones = self.all_of(before);
        let from =
            from.is_at_or_below(apex).then(|| from.as_wire()[..from.as_wire().len() - apex.as_wire().len()].to_vec());
        let found = zones.find(apex.as_wire()).map(|(_, zone)| zone);
        found.into_iter().flat_map(move |zone| {
            let (before, after) = (before.living(zone), self.living(zone));
            let start = from.clone().unwrap_or_default();
            let numbers = zone.order.load_full().iter_from(&mut |other| zone.compare(other, &start));
            numbers.flat_map(move |number| at_owner(number, before, after))
        })
    }

    /// [`View::differences`] at `top` and below it.
    pub fn differences_under<'v>(
        &'v self,
        before: &'v View,
        apex: &Name,
        top: &Name,
    ) -> impl Iterator<Item = Difference> + use<'v> {
        let found = self.all_of(before).find(apex.as_wire()).zip(below_apex(apex, top));
        found.into_iter().flat_map(move |((_, zone), top)| {
            let (before, after) = (before.living(zone), self.living(zone));
            let numbers = zone.order.load_full().iter_from(&mut |other| zone.compare(other, &top));
            let below = numbers.take_while(move |number| {
                top.is_empty()
                    || zone.newest(*number).is_none_or(|held| labels::is_at_or_below(held.state().owner(), &top))
            });
            below.flat_map(move |number| at_owner(number, before, after))
        })
    }

    /// [`View::differences`] of one owner alone.
    pub fn differences_at(&self, before: &View, apex: &Name, owner: &Name) -> Vec<Difference> {
        let zone = self.all_of(before).find(apex.as_wire()).map(|(_, zone)| zone);
        let found = zone.zip(below_apex(apex, owner)).and_then(|(zone, owner)| Some((zone, zone.find(&owner)?.0)));
        found.map_or_else(Vec::new, |(zone, number)| at_owner(number, before.living(zone), self.living(zone)))
    }

    /// The zones of two views: the younger one looks into all that either shows.
    fn all_of<'v>(&'v self, other: &'v View) -> &'v Zones {
        if self.version() >= other.version() { &self.zones } else { &other.zones }
    }
}

/// The labels of `name` below `apex`; `None` if it is not in the zone.
fn below_apex(apex: &Name, name: &Name) -> Option<Vec<u8>> {
    let below = name.as_wire().len().checked_sub(apex.as_wire().len())?;
    name.is_at_or_below(apex).then(|| name.as_wire()[..below].to_vec())
}

/// The states of one owner, newest first.
struct Steps<'v> {
    zone: &'v Zone,
    number: u32,
    next: Option<Held<'v>>,
}

impl<'v> Steps<'v> {
    fn before(&self, version: Version) -> Option<Held<'v>> {
        self.zone.at(self.number, self.zone.newest(self.number)?, Version(version.0.checked_sub(1)?))
    }

    fn step(&self, before: Option<&Held<'_>>, state: State<'_>) -> Step {
        let serial = |version: Version| self.zone.ticks.serial(version);
        let serials = (serial(Version(state.since.0.saturating_sub(1))), serial(state.since));
        let changes = changes(before.map(Held::state), state, serials);
        Step { version: state.since, serial: serials.1, changes }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let held = self.next.take()?;
            let state = held.state();
            let before = self.before(state.since);
            let step = (state.changed == state.since).then(|| self.step(before.as_ref(), state));
            self.next = before;
            if let Some(step) = step.filter(|step| !step.changes.is_empty()) {
                return Some(step);
            }
        }
    }
}

fn changes(before: Option<State<'_>>, after: State<'_>, serials: (Option<Serial>, Option<Serial>)) -> Vec<SetChange> {
    let is_apex = after.owner().is_empty();
    let set = |state: Option<State<'_>>, key: SetKey, serial: Option<Serial>| {
        let serial = serial.filter(|_| is_apex && key.rtype == RecordType::SOA);
        state.and_then(|state| state.set(key)).map(|set| record_set(set, serial))
    };
    let change = |key| SetChange { key, before: set(before, key, serials.0), after: set(Some(after), key, serials.1) };
    changed_keys(before, after).into_iter().map(change).collect()
}

/// The sets that `after` changed.
fn changed_keys(before: Option<State<'_>>, after: State<'_>) -> Vec<SetKey> {
    let now = after.sets().filter(|set| set.since == after.since).map(|set| set.key);
    let gone = before.iter().flat_map(State::sets).map(|set| set.key).filter(|key| after.set(*key).is_none());
    let mut keys: Vec<SetKey> = now.chain(gone).collect();
    keys.sort_unstable();
    keys
}

fn at_owner(number: u32, before: Option<ZoneView<'_>>, after: Option<ZoneView<'_>>) -> Vec<Difference> {
    let held = |view: Option<ZoneView<'_>>| view.and_then(|view| view.state_since(number));
    if held(before) == held(after) {
        // The same state, or none in either.
        return Vec::new();
    }
    let (before, after) = [before, after].map(|view| view.and_then(|view| view.numbered(number))).into();
    let Some(name) = after.as_ref().or(before.as_ref()).map(OwnerView::name) else { return Vec::new() };
    let keys = |owner: &Option<OwnerView<'_>>| -> Vec<SetKey> {
        owner.iter().flat_map(|owner| owner.sets().map(|set| set.key()).collect::<Vec<_>>()).collect()
    };
    let mut all = keys(&before);
    all.extend(keys(&after));
    all.sort_unstable();
    all.dedup();
    let set =
        |owner: &Option<OwnerView<'_>>, key| owner.as_ref()?.set(key).map(|set| (set.to_record_set(), set.since()));
    let differences = all.into_iter().filter_map(|key| {
        let (before, after) = (set(&before, key), set(&after, key));
        let since = after.as_ref().map(|(_, since)| *since);
        let (before, after) = (before.map(|(set, _)| set), after.map(|(set, _)| set));
        let same = match (&before, &after) {
            (Some(before), Some(after)) if key.rtype == RecordType::SOA => same_soa(before, after),
            (before, after) => before == after,
        };
        (!same).then(|| Difference { owner: name.clone(), change: SetChange { key, before, after }, since })
    });
    differences.collect()
}

/// Whether two SOA sets are the same but for the serial.
fn same_soa(a: &RecordSet, b: &RecordSet) -> bool {
    let plain = |set: &RecordSet| -> Vec<Vec<u8>> {
        set.rdata().iter().map(|rdata| with_serial(rdata.as_wire(), Serial(0))).collect()
    };
    a.ttl() == b.ttl() && plain(a) == plain(b)
}
