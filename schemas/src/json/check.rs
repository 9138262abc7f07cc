use super::ProblemError;
use crate::{Name, Rdata, RecordSet, RecordType, SetKey, Ttl};

/// What a request says about one record set, with its texts read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The zone, if the request named one.
    pub zone: Option<Name>,
    /// The owner.
    pub owner: Name,
    /// Type and covered type; `None` if the request left the type out. [`RecordType::ANY`] stands for every set and
    /// never has values.
    pub key: Option<SetKey>,
    /// The values in the order given; empty if there were none.
    pub values: Vec<Rdata>,
    /// The TTL, if the request gave one.
    pub ttl: Option<Ttl>,
}

/// The members that name and fill a record set, as texts; `at` is where they stand.
pub(super) struct Parts<'a> {
    pub(super) at: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) rtype: Option<&'a str>,
    pub(super) covers: Option<&'a str>,
    pub(super) zone: Option<&'a str>,
    pub(super) values: Option<&'a [String]>,
    pub(super) ttl: Option<u32>,
}

impl Parts<'_> {
    pub(super) fn check(&self) -> Result<Checked, Vec<ProblemError>> {
        let mut errors = Vec::new();
        let owner = match self.name {
            Some(name) => self.read_name("name", name, &mut errors),
            None => {
                errors.push(self.error("name", "missing"));
                None
            }
        };
        let zone = self.zone.and_then(|zone| self.read_name("zone", zone, &mut errors));
        let ttl = self.ttl.and_then(|secs| {
            Ttl::from_secs(secs).map_err(|error| errors.push(self.error("ttl", error.to_string()))).ok()
        });
        let rtype = self.rtype.and_then(|text| self.read_type("type", text, &mut errors));
        let covers = self.covers.and_then(|text| self.read_type("covers", text, &mut errors));
        let values = self.read_values(rtype, &mut errors);
        let key = rtype.map(|rtype| match values.first() {
            Some(first) => SetKey::for_rdata(rtype, first),
            None => SetKey { rtype, covered: covers.unwrap_or(RecordType(0)) },
        });
        if let Some(key) = key {
            self.check_covers(key, covers, &values, &mut errors);
        }
        match owner {
            Some(owner) if errors.is_empty() => Ok(Checked { zone, owner, key, values, ttl }),
            _ => Err(errors),
        }
    }

    fn read_name(&self, member: &str, text: &str, errors: &mut Vec<ProblemError>) -> Option<Name> {
        text.parse()
            .map_err(|error| errors.push(self.error(member, format!("`{}` is no domain name: {error}", cut(text)))))
            .ok()
    }

    fn read_type(&self, member: &str, text: &str, errors: &mut Vec<ProblemError>) -> Option<RecordType> {
        let Ok(rtype) = text.parse::<RecordType>() else {
            errors.push(
                self.error(member, format!("`{}` is no record type", cut(text)))
                    .hint("a mnemonic such as AAAA, or TYPE123"),
            );
            return None;
        };
        let everything = rtype == RecordType::ANY && self.values.is_none() && member == "type";
        if !rtype.is_data() && !everything {
            errors.push(self.error(member, format!("no zone holds records of type {rtype}")));
            return None;
        }
        Some(rtype)
    }

    fn read_values(&self, rtype: Option<RecordType>, errors: &mut Vec<ProblemError>) -> Vec<Rdata> {
        let Some(texts) = self.values else { return Vec::new() };
        if texts.is_empty() {
            errors.push(self.error("values", "empty; a record set has at least one value"));
        }
        if texts.len() > RecordSet::MAX_VALUES {
            errors.push(self.error("values", format!("{} values, the most is {}", texts.len(), RecordSet::MAX_VALUES)));
            return Vec::new();
        }
        let Some(rtype) = rtype else {
            if self.rtype.is_none() {
                errors.push(self.error("type", "missing").hint("say which type the values have"));
            }
            return Vec::new();
        };
        let mut values = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match Rdata::parse(rtype, text, None) {
                Ok(value) => values.push(value),
                Err(error) => errors.push(self.error(&format!("values/{index}"), error.detail)),
            }
        }
        values
    }

    /// Only RRSIG covers, and all values of one set cover the same type.
    fn check_covers(&self, key: SetKey, covers: Option<RecordType>, values: &[Rdata], errors: &mut Vec<ProblemError>) {
        if covers.is_some() && key.rtype != RecordType::RRSIG {
            errors.push(self.error("covers", "belongs to RRSIG only").hint("leave it out"));
            return;
        }
        let covered = covers.unwrap_or(key.covered);
        for (index, value) in values.iter().enumerate() {
            let other = SetKey::for_rdata(key.rtype, value).covered;
            if other != covered && key.rtype == RecordType::RRSIG {
                let detail = format!("covers {other}, but this set covers {covered}");
                errors.push(self.error(&format!("values/{index}"), detail));
            }
        }
    }

    fn error(&self, member: &str, detail: impl Into<String>) -> ProblemError {
        ProblemError::pointer(format!("{}/{member}", self.at), detail)
    }
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(80).map_or(text, |(at, _)| &text[..at])
}
