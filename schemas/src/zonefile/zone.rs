use super::{Fault, Record};
use crate::{Name, Rdata, RecordSet, RecordType, SetKey, Soa, Ttl};

/// One record set of a zone.
#[derive(Debug, Clone)]
pub struct ZoneSet {
    /// The owner.
    pub owner: Name,
    /// Type and covered type.
    pub key: SetKey,
    /// The records.
    pub set: RecordSet,
    /// Line and column of the first of them; no part of what the set is.
    pub place: (u32, u32),
}

/// The same records are the same set wherever they were written.
impl PartialEq for ZoneSet {
    fn eq(&self, other: &Self) -> bool {
        (&self.owner, self.key, &self.set) == (&other.owner, other.key, &other.set)
    }
}

impl Eq for ZoneSet {}

/// The records of a master file as the sets of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The SOA, if the file has one; a file that is merged into a zone may do without.
    pub soa: Option<Soa>,
    /// The sets in canonical order of owners, then by type; the SOA is among them.
    pub sets: Vec<ZoneSet>,
    /// What was mended, with its line.
    pub warnings: Vec<Fault>,
}

/// A record waiting for its set.
struct Row {
    owner: u32,
    key: SetKey,
    line: u32,
    column: u32,
    ttl: Option<Ttl>,
    rdata: Rdata,
}

impl Zone {
    /// The most types at one name; more would be a way to make answers slow (CVE-2024-1737).
    pub const MAX_TYPES: usize = 100;
    const MAX_WARNINGS: usize = 1000;

    /// Assembles the zone at `apex`.
    ///
    /// Equal records merge. An equal second SOA ends the zone, as `dig AXFR` prints it. Records of one set with several
    /// TTLs get the lowest, with a warning ([RFC 2181 section 5.2]); signatures over different types are different sets.
    ///
    /// # Errors
    ///
    /// Every fault of `records`, and: a record outside the zone, a SOA elsewhere than at the apex or another SOA, records
    /// after the second SOA, a CNAME beside other data, two CNAMEs or DNAMEs at a name, a set or a name over its limits.
    ///
    /// [RFC 2181 section 5.2]: https://www.rfc-editor.org/rfc/rfc2181#section-5.2
    pub fn assemble(apex: &Name, records: impl IntoIterator<Item = Result<Record, Fault>>) -> Result<Self, Vec<Fault>> {
        let mut builder =
            Builder { apex, owners: Vec::new(), rows: Vec::new(), soa: None, faults: Vec::new(), ended: None };
        for record in records {
            match record {
                Ok(record) => builder.take(record),
                Err(fault) => builder.faults.push(fault),
            }
            if builder.faults.len() >= super::Reader::MAX_FAULTS {
                break;
            }
        }
        builder.finish()
    }
}

struct Builder<'a> {
    apex: &'a Name,
    owners: Vec<Name>,
    rows: Vec<Row>,
    soa: Option<Rdata>,
    faults: Vec<Fault>,
    /// The line of the second SOA.
    ended: Option<u64>,
}

impl Builder<'_> {
    fn take(&mut self, record: Record) {
        if let Some(line) = self.ended {
            let detail = format!("a record follows the second SOA (line {line}), which ends the print of a transfer");
            self.fault(record.line, record.column, detail);
            return;
        }
        if record.rtype == RecordType::SOA {
            if record.owner != *self.apex {
                let detail = format!("a SOA of {}, but the zone is {}", record.owner, self.apex);
                return self.fault(record.line, record.column, detail);
            }
            match &self.soa {
                None => self.soa = Some(record.rdata.clone()),
                Some(first) if *first == record.rdata => {
                    self.ended = Some(record.line);
                    return;
                }
                Some(_) => {
                    return self.fault(record.line, record.column, "a second SOA that differs from the first".into());
                }
            }
        }
        if self.owners.last() != Some(&record.owner) {
            if !record.owner.is_at_or_below(self.apex) {
                let detail = format!("{} is outside the zone {}", record.owner, self.apex);
                return self.fault(record.line, record.column, detail);
            }
            self.owners.push(record.owner);
        }
        self.rows.push(Row {
            owner: self.owners.len() as u32 - 1,
            key: SetKey::for_rdata(record.rtype, &record.rdata),
            line: u32::try_from(record.line).unwrap_or(u32::MAX),
            column: u32::try_from(record.column).unwrap_or(u32::MAX),
            ttl: record.ttl,
            rdata: record.rdata,
        });
    }

    fn finish(mut self) -> Result<Zone, Vec<Fault>> {
        let soa = self.soa.as_ref().and_then(Rdata::soa);
        let minimum = soa.as_ref().and_then(|soa| Ttl::from_secs(soa.minimum).ok());
        let mut rows = self.sorted_rows();
        let mut zone = Zone { soa, sets: Vec::new(), warnings: Vec::new() };
        let mut name_starts = 0;
        let mut alias_at = None;
        let mut rest = rows.drain(..).peekable();
        while let Some(first) = rest.next() {
            let (owner, key, line, column) = (first.owner, first.key, first.line, first.column);
            let mut ttls = (first.ttl.or(minimum), first.ttl.or(minimum));
            let mut rdata = vec![first.rdata];
            while let Some(row) = rest.next_if(|row| row.owner == owner && row.key == key) {
                let ttl = row.ttl.or(minimum);
                ttls = (ttls.0.min(ttl), ttls.1.max(ttl));
                rdata.push(row.rdata);
            }
            if key.rtype == RecordType::CNAME {
                alias_at = Some((line, column));
            }
            let name = &self.owners[owner as usize];
            let mut fault = |detail: String| self.faults.push(at(line, column, detail));
            let (Some(lowest), Some(highest)) = ttls else {
                fault("no TTL here, none before, no $TTL and no SOA".into());
                continue;
            };
            if lowest != highest && zone.warnings.len() < Zone::MAX_WARNINGS {
                let detail =
                    format!("{name} {}: several TTLs, from {lowest} to {highest}; the lowest holds", key.rtype);
                zone.warnings.push(at(line, column, detail));
            }
            match RecordSet::new(lowest, rdata) {
                Ok(set) if set.rdata().len() > 1 && matches!(key.rtype, RecordType::CNAME | RecordType::DNAME) => {
                    fault(format!("{name} has more than one {}", key.rtype));
                }
                Ok(set) => zone.sets.push(ZoneSet { owner: name.clone(), key, set, place: (line, column) }),
                Err(error) => fault(format!("{name} {}: {error}", key.rtype)),
            }
            if rest.peek().is_none_or(|row| row.owner != owner) {
                if let Some(detail) = name_fault(&zone.sets[name_starts..]) {
                    let (line, column) = alias_at.unwrap_or((line, column));
                    self.faults.push(at(line, column, format!("{name} {detail}")));
                }
                name_starts = zone.sets.len();
                alias_at = None;
            }
        }
        drop(rest);
        if self.faults.is_empty() {
            return Ok(zone);
        }
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults.truncate(super::Reader::MAX_FAULTS);
        Err(self.faults)
    }

    /// The rows by owner, key and rdata; [`Row::owner`] becomes the place among the owners, which are then sorted and
    /// stand once each.
    fn sorted_rows(&mut self) -> Vec<Row> {
        let owners = std::mem::take(&mut self.owners);
        let mut order: Vec<u32> = (0..owners.len() as u32).collect();
        order.sort_by(|a, b| owners[*a as usize].cmp(&owners[*b as usize]));
        let mut ranks = vec![0; owners.len()];
        let mut owners: Vec<_> = owners.into_iter().map(Some).collect();
        for index in order {
            let owner = owners[index as usize].take();
            if self.owners.last() != owner.as_ref() {
                self.owners.extend(owner);
            }
            ranks[index as usize] = self.owners.len() as u32 - 1;
        }
        let mut rows = std::mem::take(&mut self.rows);
        for row in &mut rows {
            row.owner = ranks[row.owner as usize];
        }
        rows.sort_by_key(|row| (row.owner, row.key));
        rows
    }

    fn fault(&mut self, line: u64, column: u64, detail: String) {
        self.faults.push(Fault { file: None, line, column, detail });
    }
}

fn at(line: u32, column: u32, detail: String) -> Fault {
    Fault { file: None, line: u64::from(line), column: u64::from(column), detail }
}

/// What is wrong with the sets of one name together.
fn name_fault(sets: &[ZoneSet]) -> Option<String> {
    /// KEY stands beside CNAME like the DNSSEC types (RFC 2535 section 5.3.5).
    const KEY: RecordType = RecordType(25);
    let beside = |rtype| matches!(rtype, RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC | KEY);
    if sets.len() > Zone::MAX_TYPES {
        return Some(format!("has more than {} record sets", Zone::MAX_TYPES));
    }
    let alias = sets.iter().any(|set| set.key.rtype == RecordType::CNAME);
    let other = sets.iter().find(|set| !beside(set.key.rtype)).filter(|_| alias)?;
    Some(format!("has a CNAME, so no {} can stand beside it", other.key.rtype))
}
