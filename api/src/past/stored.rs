//! What the ledger has already of a history that comes in: the beginning that an import stored before it broke off.

use std::collections::{HashMap, VecDeque};

use conn3ction_schemas::{EventHeader, Name, Revision, Serial};

/// What stands in an event's `source` before the version that it was made of.
const SOURCE: &str = "import-history:";
/// Octets of a version's id in there.
const MAX_ID: usize = 256;

/// The `source` of the event that the version `id` becomes.
pub fn source(id: &str) -> String {
    format!("{SOURCE}{}", &id[..id.floor_char_boundary(MAX_ID)])
}

/// The events that imports of histories made, by zone, the oldest first.
///
/// A zone that something else changed, too, has none here, so memory is bounded by the histories that nobody went on with.
#[derive(Debug, Default)]
pub struct Stored {
    /// `None`: the zone's past is not a history alone.
    zones: HashMap<Name, Option<VecDeque<Step>>>,
}

/// An event, as one of its zones knows it.
#[derive(Debug)]
struct Step {
    revision: Revision,
    source: Box<str>,
    serial: Serial,
    /// Zones and record sets that the event changed.
    extent: (usize, u64),
}

/// A zone whose past is not the one that comes in.
#[derive(Debug, PartialEq, Eq)]
pub struct Other(pub Name);

impl Stored {
    /// Notes an event. They come in the order of the ledger.
    pub fn note(&mut self, header: &EventHeader) {
        let ours = header.source.starts_with(SOURCE);
        for zone in &header.zones {
            let steps = self.zones.entry(zone.zone.clone()).or_insert_with(|| Some(VecDeque::new()));
            match steps {
                Some(steps) if ours => steps.push_back(Step {
                    revision: header.revision,
                    source: header.source.as_str().into(),
                    serial: zone.after,
                    extent: (header.zones.len(), header.change_count),
                }),
                _ => *steps = None,
            }
        }
    }

    /// Whether the version `id`, which makes `changes` and gives `zones` these serials, is the next event of all of them;
    /// that event is used up. `false`: all that is here of these zones was used up before.
    ///
    /// # Errors
    ///
    /// A zone that has another past.
    pub fn meets(&mut self, id: &str, changes: u64, zones: &[(Name, Serial)]) -> Result<bool, Other> {
        let mut next = Vec::new();
        for (zone, _) in zones {
            match self.zones.get(zone) {
                Some(None) => return Err(Other(zone.clone())),
                Some(Some(steps)) => next.extend(steps.front().map(|step| (zone, step))),
                None => {}
            }
        }
        let Some(&(zone, first)) = next.first() else { return Ok(false) };
        let is_met = *first.source == *source(id)
            && first.extent == (zones.len(), changes)
            && next.len() == zones.len()
            && next
                .iter()
                .zip(zones)
                .all(|((_, step), (_, serial))| (step.revision, step.serial) == (first.revision, *serial));
        if !is_met {
            return Err(Other(zone.clone()));
        }
        for (zone, _) in zones {
            if let Some(Some(steps)) = self.zones.get_mut(zone) {
                steps.pop_front();
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_schemas::{
        Actor, Epoch, Kind, Timestamp, ZoneChange,
        event::{Auth, Hash, ZoneLife},
    };
    use uuid::Uuid;

    use super::*;

    const A: &str = "a.test.";
    const B: &str = "b.test.";

    fn zones(serials: &[(&str, u32)]) -> Vec<(Name, Serial)> {
        serials.iter().map(|(zone, serial)| (zone.parse().expect("a name"), Serial(*serial))).collect()
    }

    fn event(revision: u64, source: &str, serials: &[(&str, u32)]) -> EventHeader {
        let change = |(zone, after)| ZoneChange { zone, before: None, after, life: ZoneLife::Stays };
        EventHeader {
            format: 1,
            revision: Revision(revision),
            epoch: Epoch(1),
            id: Uuid::nil(),
            committed_at: Timestamp(0),
            time: Timestamp(0),
            raw_clock: Timestamp(0),
            kind: Kind::ZoneImported,
            actor: Actor { name: "Ann".into(), auth: Auth::None },
            source: source.into(),
            request_id: String::new(),
            idempotency: None,
            reason: None,
            zones: zones(serials).into_iter().map(change).collect(),
            change_count: 3,
            of: None,
            previous_hash: Hash([0; 32]),
            body_digest: Hash([0; 32]),
        }
    }

    fn stored(more: &[EventHeader]) -> Stored {
        let mut stored = Stored::default();
        let first = [event(1, &source("one"), &[(A, 1), (B, 1)]), event(2, &source("two"), &[(A, 2)])];
        first.iter().chain(more).for_each(|header| stored.note(header));
        stored
    }

    #[test]
    fn versions_that_are_stored_are_met_in_their_order_and_those_behind_them_are_new() {
        let mut stored = stored(&[]);
        assert_eq!(
            stored.meets("zero", 3, &zones(&[("c.test.", 1)])),
            Ok(false),
            "a zone that the ledger does not have"
        );
        assert_eq!(stored.meets("one", 3, &zones(&[(A, 1), (B, 1)])), Ok(true));
        assert_eq!(stored.meets("two", 3, &zones(&[(A, 2)])), Ok(true));
        assert_eq!(stored.meets("three", 3, &zones(&[(A, 3), (B, 2)])), Ok(false));
    }

    #[test]
    fn a_zone_with_another_past_is_named() {
        for (id, changes, serials, named) in [
            ("other", 3, &[(A, 1), (B, 1)][..], A),
            ("one", 4, &[(A, 1), (B, 1)], A),
            ("one", 3, &[(A, 1), (B, 9)], A),
            ("one", 3, &[(A, 1)], A),
            ("one", 3, &[(A, 1), ("c.test.", 1)], A),
            ("one", 3, &[("c.test.", 1), (B, 1)], B),
        ] {
            let other = Other(named.parse().expect("a name"));
            assert_eq!(stored(&[]).meets(id, changes, &zones(serials)), Err(other), "{id} {changes} {serials:?}");
        }
        let mut touched = stored(&[event(3, "http", &[(B, 2)])]);
        assert_eq!(touched.meets("one", 3, &zones(&[(A, 1), (B, 1)])), Err(Other(B.parse().expect("a name"))));
    }
}
