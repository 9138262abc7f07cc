//! Taking over what an old service or a plain CoreDNS stored in etcd: keys and values become zones and change sets, and
//! whatever cannot be taken is named by its key with the reason.
//!
//! Pure: reading etcd and submitting are the caller's. The changes' pointers are the keys they came from, so that a
//! refusal names the key, too.

mod file;
mod records;
mod skydns;

use std::collections::BTreeMap;

use conn3ction_schemas::{Name, Rdata, RecordType, SetKey, Ttl};

pub use file::{ZoneFile, zone_file};

use crate::decide::{
    BadItem, Place, RefusalKind,
    command::{Change, Op, Values, Which},
};

/// How the old keys are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{prefix}/{fqdn}` (or glued together) holds one JSON record or an array of them.
    Records,
    /// What CoreDNS's etcd plugin reads: reversed labels and JSON services.
    Skydns,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// For each zone its change set; a zone that does not exist yet is to be made with it, by [`zone_file`].
    pub zones: BTreeMap<Name, Vec<Change>>,
    /// What cannot be taken: each has its key as place.
    pub left: Vec<BadItem>,
    /// What was taken with a change worth telling: key and what.
    pub notes: Vec<(String, String)>,
}

/// One record set as far as the keys read so far told it.
struct Gathered {
    key: String,
    ttl: Option<Ttl>,
    values: Vec<Rdata>,
}

/// Sets gathered from keys in their order.
#[derive(Default)]
struct Gathering {
    sets: BTreeMap<(Name, SetKey), Gathered>,
    left: Vec<BadItem>,
    notes: Vec<(String, String)>,
}

/// Plans the migration of `entries`, keys with `prefix` and their values. `zone_of` names the zone of a name where one is
/// known (ours, or those that the user listed); other names go to a zone of their last two labels.
pub fn plan<'a>(
    format: Format,
    prefix: &str,
    entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    zone_of: impl Fn(&Name) -> Option<Name>,
) -> Migration {
    let mut gathering = Gathering::default();
    let mut services = Vec::new();
    for (key, value) in entries {
        let Ok(text) = std::str::from_utf8(key) else {
            gathering.leave(&String::from_utf8_lossy(key), "the key is no text");
            continue;
        };
        let rest = text.strip_prefix(prefix.trim_end_matches('/')).unwrap_or(text).trim_start_matches('/');
        match format {
            Format::Records => records::take(&mut gathering, text, rest, value),
            Format::Skydns => services.push((text, rest, value)),
        }
    }
    skydns::take(&mut gathering, &services);
    gathering.finish(zone_of)
}

impl Gathering {
    fn leave(&mut self, key: &str, detail: impl Into<String>) {
        let (kind, place) = (RefusalKind::InvalidRecord, Place::Key(key.into()));
        self.left.push(BadItem { kind, place, detail: detail.into(), hint: None });
    }

    /// Adds values to a set; equal ones merge, and of several TTLs the lowest holds (RFC 2181 section 5.2).
    fn add(&mut self, key: &str, owner: Name, rtype: RecordType, ttl: Option<Ttl>, values: Vec<Rdata>) {
        let Some(first) = values.first() else { return self.leave(key, "no values") };
        let id = (owner, SetKey::for_rdata(rtype, first));
        match self.sets.get_mut(&id) {
            None => {
                self.sets.insert(id, Gathered { key: key.into(), ttl, values });
            }
            Some(set) => {
                if set.ttl != ttl {
                    let note = format!("{} {rtype} has several TTLs; the lowest holds", id.0);
                    self.notes.push((key.into(), note));
                    set.ttl = match (set.ttl, ttl) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
                set.values.extend(values);
            }
        }
    }

    fn finish(self, zone_of: impl Fn(&Name) -> Option<Name>) -> Migration {
        let mut zones: BTreeMap<Name, Vec<Change>> = BTreeMap::new();
        for ((owner, key), set) in self.sets {
            let zone = zone_of(&owner).unwrap_or_else(|| derived(&owner));
            let covers = (key.rtype == RecordType::RRSIG).then_some(key.covered);
            zones.entry(zone.clone()).or_default().push(Change {
                pointer: set.key,
                op: Op::Set,
                zone: Some(zone),
                owner,
                which: Which::Type(key.rtype, covers),
                ttl: set.ttl,
                values: Values::Parsed(set.values),
            });
        }
        Migration { zones, left: self.left, notes: self.notes }
    }
}

/// The last two labels; of reverse names one label below `in-addr.arpa.` or `ip6.arpa.`
fn derived(owner: &Name) -> Name {
    let two = owner.suffix(2);
    let reverse = matches!(two.as_wire(), b"\x07in-addr\x04arpa\0" | b"\x03ip6\x04arpa\0");
    if reverse { owner.suffix(3) } else { two }
}
