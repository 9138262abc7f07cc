//! The door: JSON members of a change as text and numbers become a [`Change`], or a list of all that is wrong with them.

use conn3ction_schemas::{Name, Rdata, RecordType, Ttl};

use super::{
    command::{Change, Op, Values, Which},
    refusal::{BadItem, RefusalKind},
};

/// A change as a client writes it.
#[derive(Debug, Clone, Default)]
pub struct RawChange<'a> {
    /// Where it stands in the request: `/changes/2`, or nothing for the request itself.
    pub pointer: String,
    /// `zone`.
    pub zone: Option<&'a str>,
    /// `name`.
    pub name: &'a str,
    /// `type`; absent or empty means the only set there, `ANY` all of them.
    pub rtype: Option<&'a str>,
    /// `covers`, for RRSIG.
    pub covers: Option<&'a str>,
    /// `ttl` in seconds.
    pub ttl: Option<u64>,
    /// `values`.
    pub values: &'a [String],
}

/// Reads a change.
///
/// # Errors
///
/// Every member that is wrong.
pub fn change(op: Op, raw: &RawChange<'_>) -> Result<Change, Vec<BadItem>> {
    let mut items = Vec::new();
    let mut keep = |item: BadItem| items.push(item);
    let at = |member: &str| format!("{}/{member}", raw.pointer);
    let owner = name(&at("name"), raw.name).map_err(&mut keep).ok();
    let zone = raw.zone.map(|text| name(&at("zone"), text)).transpose().map_err(&mut keep).ok().flatten();
    let which = which(raw).map_err(&mut keep).ok();
    let ttl = raw.ttl.map(|secs| ttl(&at("ttl"), secs)).transpose().map_err(&mut keep).ok().flatten();
    let values = match (op, which) {
        (Op::Delete, _) if !raw.values.is_empty() => {
            keep(
                invalid(at("values"), "delete takes no values: it deletes whole sets")
                    .hint("`remove` takes single values out"),
            );
            Values::NONE
        }
        (Op::Delete, _) | (_, None) => Values::NONE,
        (Op::Create, Some(Which::Only)) => {
            keep(invalid(at("type"), "a record set to be made needs a type"));
            Values::NONE
        }
        (_, Some(Which::Every)) => {
            keep(invalid(at("type"), "ANY can only be deleted"));
            Values::NONE
        }
        (_, Some(_)) if raw.values.is_empty() => {
            keep(invalid(at("values"), "a record set has at least one value"));
            Values::NONE
        }
        (_, Some(Which::Only)) => Values::Text(raw.values.to_vec()),
        (_, Some(Which::Type(rtype, _))) => match self::values(&raw.pointer, rtype, raw.values) {
            Ok(rdata) => Values::Parsed(rdata),
            Err(bad) => {
                items.extend(bad);
                Values::NONE
            }
        },
    };
    if raw.ttl.is_some() && matches!(op, Op::Delete | Op::Remove) {
        items.push(invalid(at("ttl"), "there is no TTL to set here").hint("leave it out"));
    }
    match (owner, which) {
        (Some(owner), Some(which)) if items.is_empty() => {
            Ok(Change { pointer: raw.pointer.clone(), op, zone, owner, which, ttl, values })
        }
        _ => Err(items),
    }
}

/// Reads an owner, zone or server name, with or without its last dot.
///
/// # Errors
///
/// The item that says what is wrong.
pub fn name(pointer: &str, text: &str) -> Result<Name, BadItem> {
    Name::parse_absolute(text.as_bytes()).map_err(|error| invalid(pointer, format!("{text:?} is no name: {error}")))
}

/// Reads the name of a server as an NS record has it.
///
/// # Errors
///
/// The item that says what is wrong.
pub fn target(pointer: &str, text: &str) -> Result<Name, BadItem> {
    let server = Rdata::parse(RecordType::NS, text, None).map_err(|error| invalid(pointer, error.to_string()))?;
    server.target(RecordType::NS).ok_or_else(|| invalid(pointer, format!("{text:?} is no name")))
}

/// Reads a TTL.
///
/// # Errors
///
/// The item that says what is wrong.
pub fn ttl(pointer: &str, secs: u64) -> Result<Ttl, BadItem> {
    let ttl = u32::try_from(secs).ok().and_then(|secs| Ttl::from_secs(secs).ok());
    ttl.ok_or_else(|| invalid(pointer, format!("{secs} is above the largest TTL, {}", Ttl::MAX)))
}

/// Reads the type of records that can stand in a zone.
///
/// # Errors
///
/// The item that says what is wrong.
pub fn record_type(pointer: &str, text: &str) -> Result<RecordType, BadItem> {
    let rtype: RecordType = text.parse().map_err(|_| {
        invalid(pointer, format!("{text:?} is no record type")).hint("a mnemonic such as AAAA, or TYPE and a number")
    })?;
    if rtype.is_data() { Ok(rtype) } else { Err(invalid(pointer, format!("{rtype} records cannot stand in a zone"))) }
}

/// Reads values of `rtype` as `dig +short` prints them; `pointer` is that of the change.
///
/// # Errors
///
/// Every value that is wrong.
pub fn values(pointer: &str, rtype: RecordType, texts: &[String]) -> Result<Vec<Rdata>, Vec<BadItem>> {
    let mut items = Vec::new();
    let mut values = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        match Rdata::parse(rtype, text, None) {
            Ok(rdata) => values.push(rdata),
            Err(error) => items.push(invalid(format!("{pointer}/values/{place}"), error.detail)),
        }
    }
    if items.is_empty() { Ok(values) } else { Err(items) }
}

fn which(raw: &RawChange<'_>) -> Result<Which, BadItem> {
    let pointer = format!("{}/type", raw.pointer);
    let covers_at = format!("{}/covers", raw.pointer);
    let covers = raw.covers.map(|text| record_type(&covers_at, text)).transpose()?;
    let which = match raw.rtype.filter(|text| !text.is_empty()) {
        None => Which::Only,
        Some(text) if text.eq_ignore_ascii_case("ANY") => Which::Every,
        Some(text) => Which::Type(record_type(&pointer, text)?, covers),
    };
    match which {
        Which::Type(RecordType::RRSIG, _) => Ok(which),
        Which::Only if covers.is_some() => Ok(Which::Type(RecordType::RRSIG, covers)),
        _ if covers.is_some() => Err(invalid(covers_at, "only RRSIG records cover a type")),
        _ => Ok(which),
    }
}

fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> BadItem {
    BadItem::at(RefusalKind::InvalidRecord, pointer, detail)
}

#[cfg(test)]
mod tests {
    use super::{super::refusal::Place, *};

    /// The pointers of what is wrong with `NAME TYPE[:COVERS] TTL`, each of which `-` leaves out, and its values.
    fn faults(op: Op, text: &str, values: &[&str]) -> Vec<String> {
        let part = |at: usize| text.split(' ').nth(at).filter(|text| *text != "-");
        let (rtype, covers) = match part(1).and_then(|text| text.split_once(':')) {
            Some((rtype, covers)) => (Some(rtype), Some(covers)),
            None => (part(1), None),
        };
        let values: Vec<String> = values.iter().map(|text| (*text).to_owned()).collect();
        let raw = RawChange {
            pointer: "/changes/3".into(),
            zone: None,
            name: part(0).unwrap_or_default(),
            rtype,
            covers,
            ttl: part(2).map(|secs| secs.parse().expect("a number")),
            values: &values,
        };
        let items = change(op, &raw).err().unwrap_or_default();
        let place = |item: BadItem| match item.place {
            Place::Pointer(pointer) => pointer.strip_prefix("/changes/3/").expect("the change's own").to_owned(),
            other => panic!("{other:?}"),
        };
        items.into_iter().map(place).collect()
    }

    #[test]
    fn everything_wrong_is_listed_with_its_pointer() {
        let found = faults(Op::Set, "a..b A 2147483648", &["10.1.2", "10.1.2.3", "x"]);
        assert_eq!(found, ["name", "ttl", "values/0", "values/2"]);
    }

    #[test]
    fn each_op_takes_its_own_members() {
        for (op, text, values, expected) in [
            (Op::Set, "a.example A -", &[][..], &["values"][..]),
            (Op::Delete, "a.example A -", &["10.0.0.1"], &["values"]),
            (Op::Remove, "a.example A 5", &["10.0.0.1"], &["ttl"]),
            (Op::Delete, "a.example A 5", &[], &["ttl"]),
            (Op::Create, "a.example - -", &["10.0.0.1"], &["type"]),
            (Op::Set, "a.example ANY -", &["10.0.0.1"], &["type"]),
            (Op::Set, "a.example OPT -", &["\\# 0"], &["type"]),
            (Op::Set, "a.example A:MX -", &["10.0.0.1"], &["covers"]),
            (Op::Set, "a.example RRSIG:OPT -", &["x"], &["covers"]),
            (Op::Delete, "a.example ANY -", &[], &[]),
            (Op::Delete, "a.example - -", &[], &[]),
            (Op::Add, "a.example - -", &["10.0.0.1"], &[]),
            (Op::Add, "*.a.example. txt 5", &["some text"], &[]),
        ] {
            assert_eq!(faults(op, text, values), expected, "{op:?} {text}");
        }
    }
}
