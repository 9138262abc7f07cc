//! Random zones that are full of what responders get wrong.
//!
//! Names come from few labels, so that they meet: cuts with glue below and beside them and data hidden beneath,
//! wildcards, aliases in chains and loops, DNAMEs, empty non-terminals, labels that need escapes.

use std::{collections::BTreeMap, fmt::Write};

use conn3ction_schemas::{
    Name,
    zonefile::{Reader, Zone},
};

use crate::random::Random;

/// A zone as text and as what our reader makes of it.
pub(crate) struct RandomZone {
    pub(crate) apex: Name,
    pub(crate) zone: Zone,
}

/// Labels as they stand in a master file. Those at the front come most often.
const LABELS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "www",
    "*",
    "A",
    "bB",
    "_tcp",
    "x\\.y",
    "sp\\032ace",
    "\\000",
    "\\255\\200",
    "\\\\",
    "\\\"q\\;",
    "\\042",
    "\\@",
    "1",
    LONG,
];
const LONG: &str = "sixty-three-octets-are-the-most-that-a-label-can-have-and-here-";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Alias,
    Dname,
    Cut,
}

/// `count` zones, `nested` of a hundred below others.
pub(crate) fn zones(random: &mut Random, count: usize, nested: usize) -> Vec<RandomZone> {
    let apexes = apexes(random, count, nested);
    zones_at(random, &apexes)
}

/// `count` apexes, `nested` of a hundred below others.
pub(crate) fn apexes(random: &mut Random, count: usize, nested: usize) -> Vec<String> {
    let mut apexes: Vec<String> = Vec::new();
    for number in 0..count {
        let apex = match number {
            1.. if random.chance(nested) => format!("{}.{}", labels(random, 2), random.pick(&strs(&apexes))),
            _ => format!("z{number}.test."),
        };
        let is_new = apexes.iter().all(|other| name(other) != name(&apex));
        apexes.push(if is_new && name(&apex).as_wire().len() < 120 { apex } else { format!("z{number}.test.") });
    }
    apexes
}

/// A zone at each of `apexes`; other ones each time.
pub(crate) fn zones_at(random: &mut Random, apexes: &[String]) -> Vec<RandomZone> {
    apexes.iter().map(|apex| zone(random, apex, apexes)).collect()
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// 1 to `most` labels.
pub(crate) fn labels(random: &mut Random, most: usize) -> String {
    let count = 1 + random.below(most);
    let label = |random: &mut Random| match random.chance(75) {
        true => random.pick(&LABELS[..6]),
        false => random.pick(LABELS),
    };
    (0..count).map(|_| label(random)).collect::<Vec<_>>().join(".")
}

struct Maker<'a> {
    random: &'a mut Random,
    apex: &'a str,
    apexes: &'a [String],
    kinds: BTreeMap<Name, Kind>,
    text: String,
}

fn zone(random: &mut Random, apex: &str, apexes: &[String]) -> RandomZone {
    let mut maker = Maker { random, apex, apexes, kinds: BTreeMap::new(), text: String::new() };
    maker.fill();
    let text = maker.text;
    let apex = name(apex);
    let zone = Zone::assemble(&apex, Reader::new(text.as_bytes(), apex.clone()));
    let zone = zone.unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"));
    RandomZone { apex, zone }
}

impl Maker<'_> {
    fn fill(&mut self) {
        let (apex, minimum) = (self.apex.to_owned(), self.random.below(4) * 100);
        let soa = self.target();
        self.record(&apex, &format!("SOA {soa} host\\.master.{apex} 7 3600 600 86400 {minimum}"));
        self.kinds.insert(name(&apex), Kind::Data);
        self.name_servers(&apex);
        if self.kinds.len() == 1 && self.may_redirect(&name(&apex)) && self.random.chance(15) {
            let target = self.target();
            self.kinds.insert(name(&apex), Kind::Dname);
            self.record(&apex, &format!("DNAME {target}"));
            return;
        }
        self.data(&apex);
        for _ in 0..3 + self.random.below(25) {
            let owner = format!("{}.{apex}", labels(self.random, 4));
            self.owner(&owner);
        }
    }

    /// Gives `owner` something if it has nothing yet and may have something.
    fn owner(&mut self, owner: &str) {
        let Ok(at) = owner.parse::<Name>() else { return };
        let is_below_dname =
            self.kinds.iter().any(|(other, kind)| *kind == Kind::Dname && at != *other && at.is_at_or_below(other));
        if is_below_dname || self.kinds.contains_key(&at) {
            return;
        }
        let has_descendants = self.kinds.keys().any(|other| other.is_at_or_below(&at));
        let kind = match self.random.below(100) {
            0..45 => Kind::Data,
            45..70 => Kind::Alias,
            70..78 if !has_descendants && !at.is_wildcard() && self.may_redirect(&at) => Kind::Dname,
            // What NS at a wildcard means is undefined (RFC 4592 section 4.2).
            78..100 if !at.is_wildcard() => Kind::Cut,
            _ => Kind::Data,
        };
        self.kinds.insert(at, kind);
        match kind {
            Kind::Data => self.data(owner),
            Kind::Alias => {
                let target = self.target();
                self.record(owner, &format!("CNAME {target}"));
            }
            Kind::Dname => {
                let target = self.target();
                self.record(owner, &format!("DNAME {target}"));
                if self.random.chance(50) {
                    self.data(owner);
                }
            }
            Kind::Cut => {
                self.name_servers(owner);
                if self.random.chance(30) {
                    self.record(owner, "DS 1 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
                }
                if self.random.chance(30) {
                    let hidden = format!("{}.{owner}", labels(self.random, 2));
                    self.owner(&hidden);
                }
            }
        }
    }

    /// Whether a DNAME may stand at `at`: NSD keeps all zones in one tree, and takes none that has anything below the
    /// DNAME of another.
    fn may_redirect(&self, at: &Name) -> bool {
        let zone = name(self.apex);
        let is_apart = |other: &Name| {
            let is_kin = other.is_at_or_below(at) || at.is_at_or_below(other) || zone.is_at_or_below(other);
            *other == zone || !is_kin
        };
        self.apexes.iter().all(|other| is_apart(&name(other)))
    }

    /// NS records, with addresses for some of the targets in the zone.
    fn name_servers(&mut self, owner: &str) {
        for _ in 0..1 + self.random.below(3) {
            let target = match self.random.below(3) {
                0 => self.target(),
                _ => format!("{}.{owner}", labels(self.random, 1)),
            };
            let Ok(host) = target.parse::<Name>() else { continue };
            self.record(owner, &format!("NS {target}"));
            if host.is_at_or_below(&name(self.apex)) && self.random.chance(70) && !self.kinds.contains_key(&host) {
                self.owner_with_addresses(&target, host);
            }
        }
    }

    fn owner_with_addresses(&mut self, text: &str, host: Name) {
        let is_hidden = self.kinds.iter().any(|(other, kind)| *kind == Kind::Dname && host.is_at_or_below(other));
        if !is_hidden {
            self.kinds.insert(host, Kind::Data);
            self.addresses(text);
        }
    }

    fn addresses(&mut self, owner: &str) {
        let last = 1 + self.random.below(250);
        if self.random.chance(80) {
            self.record(owner, &format!("A 192.0.2.{last}"));
        }
        if self.random.chance(40) {
            self.record(owner, &format!("AAAA 2001:db8::{last:x}"));
        }
    }

    fn data(&mut self, owner: &str) {
        for _ in 0..1 + self.random.below(3) {
            match self.random.below(12) {
                0..4 => self.addresses(owner),
                4 => self.record(owner, "TXT \"some text\" \"with \\\"quotes\\\" and \\000\\255\""),
                5 | 6 => {
                    let target = self.target();
                    self.record(owner, &format!("MX 10 {target}"));
                }
                7 => {
                    let target = self.target();
                    self.record(owner, &format!("SRV 1 2 443 {target}"));
                }
                8 => {
                    let target = self.target();
                    self.record(owner, &format!("PTR {target}"));
                }
                9 => self.record(owner, "TYPE65280 \\# 3 000102"),
                10 => self.record(owner, "CAA 0 issue \"ca.example\""),
                // More than a datagram takes.
                _ if self.random.chance(20) => {
                    for number in 0..20 + self.random.below(100) {
                        self.record(owner, &format!("A 198.51.100.{number}"));
                    }
                }
                _ => {}
            }
        }
    }

    /// A name to point at: mostly of this zone, existing or not.
    fn target(&mut self) -> String {
        let target = self.any_target();
        if target.parse::<Name>().is_ok() { target } else { "too.long.example.".to_owned() }
    }

    fn any_target(&mut self) -> String {
        match self.random.below(100) {
            0..45 => {
                let known: Vec<Name> = self.kinds.keys().cloned().collect();
                match known.is_empty() {
                    true => format!("ns.{}", self.apex),
                    false => known[self.random.below(known.len())].to_string(),
                }
            }
            45..75 => format!("{}.{}", labels(self.random, 3), self.apex),
            75..85 => {
                let other = &self.apexes[self.random.below(self.apexes.len())];
                format!("{}.{other}", labels(self.random, 2))
            }
            85..97 => "host.elsewhere.example.".to_owned(),
            // With what a DNAME keeps, too long a name (RFC 6672 section 2.2).
            _ => format!("{LONG}.{LONG}.{LONG}.x."),
        }
    }

    /// One record. Within a set the TTL is that of the first one.
    fn record(&mut self, owner: &str, rest: &str) {
        let rtype = rest.split(' ').next().unwrap_or_default();
        let ttl = 60 * (1 + (owner.len() + rtype.len()) % 7);
        let _ = writeln!(self.text, "{owner} {ttl} IN {rest}");
    }
}
