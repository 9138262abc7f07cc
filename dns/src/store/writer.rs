//! The one that changes the store.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use conn3ction_schemas::{Name, NameRef, RecordSet, RecordSetRef, Serial, SetKey, Timestamp};

use super::{
    Store, Version, Zones, labels,
    node::{Base, Builder, Facts, Node, State},
    order::Order,
    touch,
    zone::{Life, Tick, Zone},
};

/// Places the states of an event, then publishes them at once.
///
/// `begin`, any number of changes, `publish`; the next `begin` is the next event. Many events in a row cost less with
/// [`commit`](Writer::commit) in the place of `publish`, and one `publish` for all. Applying cannot fail: the event has
/// happened. An event at or below the last one that ended is already in the store, and its calls change nothing.
///
/// ```
/// use conn3ction_dns::store::{Store, Version};
/// use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, Serial, SetKey, Timestamp, Ttl};
/// let (store, mut writer) = Store::new();
/// let zone: Name = "example.".parse().unwrap();
/// let owner: Name = "www.example.".parse().unwrap();
/// let set = RecordSet::new(Ttl::from_secs(300).unwrap(), vec![Rdata::from_stored(&[192, 0, 2, 1])]).unwrap();
///
/// writer.begin(Version(1), Timestamp(0));
/// writer.create_zone(&zone);
/// writer.serial(&zone, Serial(1));
/// writer.set(&zone, &owner, SetKey::of(RecordType::A), Some(&set));
/// assert!(store.now().zone(&zone).is_none());
/// writer.publish();
/// assert_eq!(store.now().zone(&zone).unwrap().record_count(), 1);
/// assert!(store.at(Version(0)).zone(&zone).is_none());
/// ```
#[derive(Debug)]
pub struct Writer {
    store: Arc<Store>,
    /// What readers of the store look into.
    shown: Arc<Zones>,
    version: Version,
    time: Timestamp,
    /// The last event that ended, shown or not.
    committed: Version,
    /// The zone that was looked for last: most events are about one.
    last_zone: u32,
    /// By zone number.
    zones: Vec<Working>,
    order: Arc<Order>,
    /// The zones that this event touched.
    touched: Vec<u32>,
    /// The zones that events which are not shown yet touched.
    unshown: Vec<u32>,
    /// Zones and names whose changes [`Writer::expect`] was told of, in their order.
    expected: VecDeque<(u32, u32)>,
    builder: Builder,
}

/// How many owners are looked for together: the next wait for memory goes on while that many others do.
const LOT: usize = 32;

/// What the writer knows of a zone beside what readers see.
#[derive(Debug, Default)]
struct Working {
    life: Option<Life>,
    tick: Tick,
    is_touched: bool,
    is_unshown: bool,
    order: Arc<Order>,
    nsec3: Arc<Order>,
    /// By name number: what is in its slot. Looking there, as if another could have changed it, costs two atomic exchanges.
    newest: Vec<Option<Node>>,
}

/// What is true of the newest state of a name and needs no versions.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct NameNotes(u32);

impl NameNotes {
    pub(super) const IN_NSEC3: u32 = 1 << 31;
    /// They are in the slot; without it they are what was sealed.
    const IN_SLOT: u32 = 1 << 30;

    fn of(zone: &Zone, number: u32) -> Self {
        let slot = zone.slots.get(number).map(|slot| slot.notes.load(Ordering::Relaxed));
        let here = slot.filter(|notes| notes & Self::IN_SLOT != 0);
        Self(here.or_else(|| zone.sealed.as_ref()?.children(number)).unwrap_or_default())
    }

    fn store(self, zone: &Zone, number: u32) {
        zone.slots.place(number).notes.store(self.0 | Self::IN_SLOT, Ordering::Relaxed);
    }

    /// How many existing names stand right below.
    fn children(self) -> u32 {
        self.0 & !(Self::IN_NSEC3 | Self::IN_SLOT)
    }

    fn with_children(self, children: u32) -> Self {
        Self(self.0 & Self::IN_NSEC3 | children)
    }

    fn count_child(zone: &Zone, number: u32, comes: bool) {
        let notes = Self::of(zone, number);
        let children = notes.children();
        notes.with_children(if comes { children + 1 } else { children.saturating_sub(1) }).store(zone, number);
    }
}

impl Writer {
    /// The writer of `store`, which shows `shown` and nothing younger.
    pub(super) fn new(store: Arc<Store>, shown: Arc<Zones>) -> Self {
        let count = (0..).take_while(|number| shown.get(*number).is_some()).count() as u32;
        let zones = (0..count).filter_map(|number| shown.get(number).map(Working::of)).collect();
        let order = Order::of_sorted(0..count);
        shown.order.store(order.clone());
        let version = store.published();
        let (time, expected, builder) = (Timestamp::default(), VecDeque::new(), Builder::default());
        let (committed, last_zone, touched, unshown) = (version, 0, Vec::new(), Vec::new());
        Self { store, shown, version, time, committed, last_zone, zones, order, touched, unshown, expected, builder }
    }

    /// Shows what this writer wrote in the place of what `store` shows; from now on it writes there. It must have written
    /// at least as far as `store` has published.
    pub fn take_over(&mut self, store: &Arc<Store>) {
        debug_assert!(self.store.published() >= store.published());
        store.zones.store(self.shown.clone());
        let published = self.store.published();
        self.store = store.clone();
        if published > store.published() {
            store.publish(published);
        }
        debug_assert!(self.committed == store.published(), "what is not shown is taken over by nobody");
    }

    /// How many views look into what this writer wrote, the store's own not counted.
    pub fn viewers(&self) -> usize {
        let own = usize::from(Arc::ptr_eq(&self.shown, &self.store.zones.load())) + 1;
        Arc::strong_count(&self.shown).saturating_sub(own)
    }

    /// Starts the event `version`, which took effect at `time`.
    pub fn begin(&mut self, version: Version, time: Timestamp) {
        self.version = version;
        self.time = time;
    }

    /// Starts a life of a zone. A zone that lives goes on living.
    pub fn create_zone<'n>(&mut self, apex: impl Into<NameRef<'n>>) {
        if self.is_new() {
            self.living(apex.into());
        }
    }

    /// Ends the life of a zone with all that is in it.
    pub fn delete_zone<'n>(&mut self, apex: impl Into<NameRef<'n>>) {
        let Some(number) = self.find(apex.into()).filter(|_| self.is_new()) else { return };
        let Some(zone) = self.shown.get(number).filter(|_| self.zones[number as usize].life.is_some()) else { return };
        zone.lives.push(self.version, None);
        let working = &mut self.zones[number as usize];
        working.life = None;
        working.tick.records = 0;
        working.tick.sets = 0;
        let notes = (0..working.newest.len() as u32).map(|name| (name, NameNotes::of(zone, name)));
        let parents = notes.filter(|(_, notes)| notes.children() > 0);
        parents.for_each(|(name, notes)| notes.with_children(0).store(zone, name));
        self.touch(number);
    }

    /// Gives `owner` the record set `records` under `key`, or takes it away. A zone that does not live yet is created.
    ///
    /// An owner that is not at or below the apex changes nothing: no question could reach it in this zone.
    pub fn set(&mut self, apex: &Name, owner: &Name, key: SetKey, records: Option<&RecordSet>) {
        self.put(apex.into(), owner.into(), key, records.map(Into::into));
    }

    /// As [`Writer::set`], of what lies elsewhere.
    pub fn put(&mut self, apex: NameRef<'_>, owner: NameRef<'_>, key: SetKey, records: Option<RecordSetRef<'_>>) {
        if !self.is_new() || !owner.is_at_or_below(apex) || (records.is_none() && !self.lives(apex)) {
            return;
        }
        let below = owner.as_wire().len() - apex.as_wire().len();
        let number = self.living(apex);
        self.touch(number);
        self.place_set(number, &owner.as_wire()[..below], key, records);
    }

    /// Reads what changes of these owners, each given with its zone's apex, will read, so that it is in the cache by then.
    /// They should be the next that change, in this order: then none of them is searched for again.
    pub fn expect(&mut self, owners: &[(NameRef<'_>, NameRef<'_>)]) {
        self.expected.clear();
        if owners.len() == 1 {
            return; // There is no other wait that its own could overlap with.
        }
        for owners in owners.chunks(LOT) {
            let mut lot = [None; LOT];
            for (place, (apex, owner)) in lot.iter_mut().zip(owners) {
                let below = owner.as_wire().len().saturating_sub(apex.as_wire().len());
                *place = self.find(*apex).map(|number| (number, &owner.as_wire()[..below]));
            }
            let with_zones = lot.map(|owner| owner.and_then(|(zone, labels)| Some((self.shown.get(zone)?, labels))));
            let newest = |zone: &Zone, number: u32| self.zones[zone.number as usize].newest(number);
            let numbers = touch::touch_newest(&with_zones, newest);
            self.expected.extend(lot.iter().zip(numbers).filter_map(|(owner, number)| Some(((*owner)?.0, number?))));
        }
    }

    /// Sets the serial that the zone's SOA shows from this event on.
    pub fn serial<'n>(&mut self, apex: impl Into<NameRef<'n>>, serial: Serial) {
        let Some(number) = self.find(apex.into()).filter(|_| self.is_new()) else { return };
        self.zones[number as usize].tick.serial = Some(serial);
        self.touch(number);
    }

    /// Ends the event. Nobody sees it before [`Writer::publish`].
    pub fn commit(&mut self) {
        if !self.is_new() {
            return;
        }
        self.committed = self.version;
        for number in self.touched.drain(..) {
            let working = &mut self.zones[number as usize];
            working.is_touched = false;
            working.tick.time = self.time;
            if !std::mem::replace(&mut working.is_unshown, true) {
                self.unshown.push(number);
            }
            let Some(zone) = self.shown.get(number) else { continue };
            zone.ticks.push(self.version, working.tick);
        }
    }

    /// Ends the event, and shows it and those before it, all whole, to every later view.
    pub fn publish(&mut self) {
        self.commit();
        if self.committed <= self.store.published() {
            return;
        }
        for number in self.unshown.drain(..) {
            let working = &mut self.zones[number as usize];
            working.is_unshown = false;
            let Some(zone) = self.shown.get(number) else { continue };
            show(&zone.order, &working.order);
            show(&zone.nsec3, &working.nsec3);
        }
        show(&self.shown.order, &self.order);
        self.store.publish(self.committed);
    }

    fn is_new(&self) -> bool {
        self.version > self.committed
    }

    fn lives(&mut self, apex: NameRef<'_>) -> bool {
        self.find(apex).is_some_and(|number| self.zones[number as usize].life.is_some())
    }

    /// The number of the zone at `apex`, alive or not.
    fn find(&mut self, apex: NameRef<'_>) -> Option<u32> {
        if self.shown.get(self.last_zone).is_none_or(|zone| zone.apex.as_wire() != apex.as_wire()) {
            self.last_zone = self.shown.find(apex.as_wire())?.0;
        }
        Some(self.last_zone)
    }

    fn touch(&mut self, number: u32) {
        let working = &mut self.zones[number as usize];
        if !working.is_touched {
            working.is_touched = true;
            self.touched.push(number);
        }
    }

    /// The number of the zone at `apex`, which lives from now on if it did not.
    fn living(&mut self, apex: NameRef<'_>) -> u32 {
        let number = match self.find(apex) {
            Some(number) => number,
            None => {
                let number = self.zones.len() as u32;
                let apex = apex.to_name();
                self.shown.add(number, apex.clone(), None);
                self.zones.push(Working::default());
                let zones = &self.shown;
                self.order.insert(number, &mut |other| zones.get(other).map(|zone| &zone.apex).cmp(&Some(&apex)));
                number
            }
        };
        let working = &mut self.zones[number as usize];
        if working.life.is_none() {
            let life = Life { since: self.version, created_at: self.time };
            working.life = Some(life);
            if let Some(zone) = self.shown.get(number) {
                zone.lives.push(self.version, Some(life));
            }
            self.touch(number);
        }
        number
    }

    fn place_set(&mut self, zone_number: u32, owner: &[u8], key: SetKey, records: Option<RecordSetRef<'_>>) {
        let version = self.version;
        let Some(zone) = self.shown.get(zone_number) else { return };
        let working = &mut self.zones[zone_number as usize];
        // Another owner may change than was expected, and a name far from it may have its hash.
        let expected = self.expected.front().filter(|(zone, _)| *zone == zone_number);
        let number = match expected.map(|(_, number)| *number).filter(|number| working.is_at(*number, owner)) {
            Some(number) => {
                self.expected.pop_front();
                Some(number)
            }
            None => working.find(zone, owner),
        };
        let base = working.base(zone, number, version, owner);
        let gone = base.now.and_then(|now| now.set(key));
        if gone.is_none() && records.is_none() {
            return;
        }
        let (had, has) = (gone.is_some(), records.is_some());
        let gone_records = gone.map_or(0, |set| set.split().count() as u32);
        let new_records = records.map_or(0, |set| set.count() as u32);
        let existed = base.now.is_some_and(|now| now.facts.exists());
        let node = self.builder.with_set(&base, version, key, records);
        let exists = State::of(&node).facts.exists();
        working.tick.records = working.tick.records.saturating_sub(gone_records) + new_records;
        working.tick.sets = working.tick.sets.saturating_sub(had.into()) + u32::from(has);
        working.place(zone, owner, number, node);
        if existed != exists {
            self.tell_parents(zone_number, owner, exists);
        }
    }

    /// `owner` came into existence or went: counts it at its parent, and goes on while parents come or go with it.
    fn tell_parents(&mut self, zone_number: u32, owner: &[u8], comes: bool) {
        let version = self.version;
        let Some(zone) = self.shown.get(zone_number) else { return };
        let working = &mut self.zones[zone_number as usize];
        let mut child = owner;
        while let Some(owner) = labels::parent(child) {
            let number = working.find(zone, owner);
            if let Some(number) = number {
                NameNotes::count_child(zone, number, comes);
            }
            let base = working.base(zone, number, version, owner);
            let has_children = number.map_or(comes, |_| base.has_children);
            let before = base.now.map(|now| now.facts).unwrap_or_default();
            let mut facts = before.with(Facts::EMPTY_NON_TERMINAL, has_children && !before.has(Facts::DATA));
            if labels::is_wildcard(child) {
                facts = facts.with(Facts::WILDCARD_CHILD, comes);
            }
            if facts != before {
                let node = self.builder.with_facts(&base, version, facts);
                let placed = working.place(zone, owner, number, node);
                if number.is_none() {
                    NameNotes::count_child(zone, placed, comes);
                }
            }
            if facts.exists() == before.exists() {
                return;
            }
            child = owner;
        }
    }
}

impl Working {
    /// What is known of a zone that was sealed.
    fn of(zone: &Zone) -> Self {
        let Some(sealed) = &zone.sealed else { return Self::default() };
        let order = Order::of_sorted(0..sealed.len());
        let nsec3 = Order::of_sorted(sealed.nsec3());
        zone.order.store(order.clone());
        zone.nsec3.store(nsec3.clone());
        let life = zone.lives.at(Version(u64::MAX)).and_then(|(_, life)| life);
        let tick = zone.ticks.newest().map(|(_, tick)| tick).unwrap_or_default();
        let newest = (0..sealed.len()).map(|_| None).collect();
        Self { life, tick, is_touched: false, is_unshown: false, order, nsec3, newest }
    }

    /// The newest state of name `number`, if it came since the zone was sealed.
    fn newest(&self, number: u32) -> Option<&Node> {
        self.newest.get(number as usize)?.as_ref()
    }

    /// Whether `owner` has this number, and a state that came since the zone was sealed.
    fn is_at(&self, number: u32, owner: &[u8]) -> bool {
        self.newest(number).is_some_and(|node| State::of(node).owner() == owner)
    }

    /// The number of `owner`.
    fn find(&self, zone: &Zone, owner: &[u8]) -> Option<u32> {
        let sealed = zone.sealed.as_ref().and_then(|sealed| sealed.find(owner));
        sealed.or_else(|| zone.index.find(zone.hash(owner), |number| self.is_at(number, owner)))
    }

    /// What the state of `owner`, which has this number, at `version` grows from; a state of an earlier life counts for
    /// nothing.
    fn base<'a>(&'a self, zone: &'a Zone, number: Option<u32>, version: Version, owner: &'a [u8]) -> Base<'a> {
        let born = self.life.map_or(version, |life| life.since);
        let newest = number.and_then(|number| self.newest(number));
        // A sealed state is found without a link to it.
        let now = newest.map(State::of).or_else(|| zone.sealed.as_ref()?.newest(number?));
        Base {
            now: now.filter(|state| state.since >= born),
            newest,
            owner,
            has_children: number.is_some_and(|number| NameNotes::of(zone, number).children() > 0),
        }
    }

    /// Puts `node` into its slot; a new name gets a number and its place in the order.
    fn place(&mut self, zone: &Zone, owner: &[u8], number: Option<u32>, node: Node) -> u32 {
        let facts = State::of(&node).facts;
        let depth = labels::count(owner);
        if facts.has(Facts::CUT) {
            zone.cuts_at.add(depth);
        }
        if facts.has(Facts::DNAME) {
            zone.dnames_at.add(depth);
        }
        let number = match number {
            Some(number) => {
                zone.slots.place(number).newest.store(Some(node.clone()));
                self.newest[number as usize] = Some(node);
                number
            }
            None => {
                let number = self.newest.len() as u32;
                zone.slots.place(number).newest.store(Some(node.clone()));
                self.newest.push(Some(node));
                zone.names_at.add(depth);
                zone.index.add(zone.hash(owner), number);
                Self::order(&mut self.order, &self.newest, zone, number, owner);
                number
            }
        };
        let NameNotes(notes) = if facts.has(Facts::NSEC3) { NameNotes::of(zone, number) } else { return number };
        if notes & NameNotes::IN_NSEC3 == 0 {
            NameNotes(notes | NameNotes::IN_NSEC3).store(zone, number);
            Self::order(&mut self.nsec3, &self.newest, zone, number, owner);
        }
        number
    }

    /// Puts name `number`, which is `owner`, in its place in `order`.
    fn order(order: &mut Arc<Order>, newest: &[Option<Node>], zone: &Zone, number: u32, owner: &[u8]) {
        order.insert(number, &mut |other| {
            let node = newest.get(other as usize).and_then(|node| node.as_ref());
            let sealed = || zone.sealed.as_ref()?.owner(other);
            let other = node.map(|node| State::of(node).owner()).or_else(sealed);
            other.map_or(std::cmp::Ordering::Less, |other| labels::compare(other, owner))
        });
    }
}

fn show(shown: &arc_swap::ArcSwap<Order>, working: &Arc<Order>) {
    if !Arc::ptr_eq(&shown.load(), working) {
        shown.store(working.clone());
    }
}
