//! Origins: the version that put each value of a record set there.

use conn3ction_schemas::{Name, Rdata, RecordType, Serial, SetKey};

use super::{
    Version, View,
    node::StoredSet,
    view::{OwnerView, with_serial},
};

/// A value that holds, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The value; a SOA with the serial that the zone shows.
    pub rdata: Rdata,
    /// The version that put it there. Another TTL or another value beside it does not count; taken away and put back does.
    pub version: Version,
}

impl OwnerView<'_> {
    /// The values of set `key`, in canonical order, each with the version that put it there; none if there is no such set.
    ///
    /// Costs a search for each version of the set since the oldest of its values came; versions of other sets of the owner
    /// are stepped over.
    pub fn origins(&self, key: SetKey) -> Vec<Origin> {
        let Some(set) = self.set(key) else { return Vec::new() };
        let is_apex = self.labels().is_empty();
        let shown = set.rdata().map(|rdata| Rdata::from_stored(&rdata));
        let Some(stored) = self.state().set(key) else { return Vec::new() };
        let mut origins: Vec<(Vec<u8>, Option<Version>, Rdata)> =
            values(&stored, is_apex).into_iter().zip(shown).map(|(value, shown)| (value, None, shown)).collect();
        let mut since = stored.since;
        while origins.iter().any(|(_, version, _)| version.is_none()) {
            let before = self.before(since);
            let before = before.as_ref().and_then(|held| held.state().set(key));
            let mut old = before.as_ref().map(|set| values(set, is_apex)).unwrap_or_default();
            old.sort_unstable();
            for (value, version, _) in origins.iter_mut().filter(|(_, version, _)| version.is_none()) {
                if old.binary_search(value).is_err() {
                    *version = Some(since);
                }
            }
            match before {
                Some(before) => since = before.since,
                None => break,
            }
        }
        let origin = |(_, version, rdata): (_, Option<Version>, _)| Origin { rdata, version: version.unwrap_or(since) };
        origins.into_iter().map(origin).collect()
    }
}

impl View {
    /// The sets that `owner` once had in zone `apex` and has no more, each with the version that took it away last.
    pub fn removals(&self, apex: &Name, owner: &Name) -> Vec<(SetKey, Version)> {
        let mut seen: Vec<SetKey> = Vec::new();
        let mut gone = Vec::new();
        for step in self.steps(apex, owner) {
            for change in step.changes {
                if seen.contains(&change.key) {
                    continue;
                }
                seen.push(change.key);
                if change.after.is_none() {
                    gone.push((change.key, step.version));
                }
            }
        }
        gone.sort_unstable();
        gone
    }
}

/// The rdata of a set as it is compared: the serial of a SOA moves with every event and is no value.
fn values(set: &StoredSet<'_>, is_apex: bool) -> Vec<Vec<u8>> {
    let is_soa = is_apex && set.key.rtype == RecordType::SOA;
    let plain = |rdata: &[u8]| if is_soa { with_serial(rdata, Serial(0)) } else { rdata.to_vec() };
    set.split().map(|(_, rdata)| plain(rdata)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use conn3ction_schemas::{RecordSet, Timestamp, Ttl};

    use super::*;
    use crate::store::{Store, Writer};

    const A: SetKey = SetKey::of(RecordType::A);
    const TXT: SetKey = SetKey::of(RecordType::TXT);

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn set(ttl: u32, last: &[u8]) -> RecordSet {
        let rdata = last.iter().map(|last| Rdata::from_stored(&[192, 0, 2, *last])).collect();
        RecordSet::new(Ttl::from_secs(ttl).expect("a TTL"), rdata).expect("a set")
    }

    fn event(writer: &mut Writer, version: u64, key: SetKey, set: Option<&RecordSet>) {
        writer.begin(Version(version), Timestamp(version as i64));
        writer.create_zone(&name("example."));
        writer.set(&name("example."), &name("www.example."), key, set);
        writer.publish();
    }

    fn told(store: &Arc<Store>, version: u64) -> Vec<(u8, u64)> {
        let view = store.at(Version(version));
        let zone = view.zone(&name("example.")).expect("the zone");
        let Some(owner) = zone.owner(&name("www.example.")) else { return Vec::new() };
        owner.origins(A).iter().map(|origin| (origin.rdata.as_wire()[3], origin.version.0)).collect()
    }

    #[test]
    fn a_value_stems_from_the_event_that_put_it_there_and_not_from_one_that_moved_its_neighbours() {
        let (store, mut writer) = Store::new();
        event(&mut writer, 1, A, Some(&set(60, &[1, 2])));
        event(&mut writer, 2, TXT, Some(&set(60, &[9])));
        event(&mut writer, 3, A, Some(&set(300, &[1, 2])));
        event(&mut writer, 4, A, Some(&set(300, &[1, 3])));
        event(&mut writer, 5, TXT, None);
        event(&mut writer, 6, A, Some(&set(300, &[1, 2, 3])));
        assert_eq!(told(&store, 2), [(1, 1), (2, 1)]);
        assert_eq!(told(&store, 3), [(1, 1), (2, 1)], "a TTL is no value");
        assert_eq!(told(&store, 5), [(1, 1), (3, 4)]);
        assert_eq!(told(&store, 6), [(1, 1), (2, 6), (3, 4)], "put back is put there anew");
        let removals = |version| store.at(Version(version)).removals(&name("example."), &name("www.example."));
        assert_eq!(removals(4), []);
        assert_eq!(removals(6), [(TXT, Version(5))]);
    }

    #[test]
    fn origins_are_what_walking_every_version_finds() {
        let (store, mut writer) = Store::new();
        let mut sets: Vec<Vec<u8>> = vec![Vec::new()];
        let mut random = 0x2545_f491_4f6c_dd1du64;
        for version in 1..=200 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let values: Vec<u8> = (0..4).filter(|bit| random >> (20 + bit) & 1 == 1).collect();
            if random >> 30 & 3 == 0 {
                event(&mut writer, version, TXT, Some(&set(60, &[version as u8])));
                sets.push(sets[version as usize - 1].clone());
            } else {
                event(&mut writer, version, A, (!values.is_empty()).then(|| set(60, &values)).as_ref());
                sets.push(values);
            }
        }
        for version in 1..=200 {
            let came = |value: &u8| (1..=version).rev().find(|at| !sets[at - 1].contains(value)).unwrap_or(1) as u64;
            let expected: Vec<_> = sets[version].iter().map(|value| (*value, came(value))).collect();
            assert_eq!(told(&store, version as u64), expected, "at {version}");
        }
    }

    #[test]
    fn nothing_stems_from_an_earlier_life_of_the_zone() {
        let (store, mut writer) = Store::new();
        event(&mut writer, 1, A, Some(&set(60, &[1])));
        writer.begin(Version(2), Timestamp(2));
        writer.set(&name("example."), &name("www.example."), A, None);
        writer.delete_zone(&name("example."));
        writer.publish();
        assert_eq!(store.now().removals(&name("example."), &name("www.example.")), [(A, Version(2))]);
        event(&mut writer, 3, A, Some(&set(60, &[1])));
        assert_eq!(told(&store, 3), [(1, 3)]);
    }

    #[test]
    fn a_serial_is_no_value_of_the_soa() {
        let (store, mut writer) = Store::new();
        let apex = name("example.");
        let soa = |serial: u32| {
            let mut rdata = [&b"\x02ns\0"[..], b"\x01h\0"].concat();
            for number in [serial, 1, 2, 3, 4] {
                rdata.extend_from_slice(&number.to_be_bytes());
            }
            RecordSet::new(Ttl::from_secs(60).expect("a TTL"), vec![Rdata::from_stored(&rdata)]).expect("a set")
        };
        for version in 1..=3 {
            writer.begin(Version(version), Timestamp(0));
            writer.create_zone(&apex);
            writer.set(&apex, &apex, SetKey::of(RecordType::SOA), Some(&soa(version as u32)));
            writer.serial(&apex, Serial(version as u32));
            writer.publish();
        }
        let view = store.now();
        let owner = view.zone(&apex).expect("the zone").owner(&apex).expect("the apex");
        let origins = owner.origins(SetKey::of(RecordType::SOA));
        assert_eq!(origins.iter().map(|origin| origin.version).collect::<Vec<_>>(), [Version(1)]);
        assert_eq!(origins[0].rdata, soa(3).rdata()[0]);
    }
}
