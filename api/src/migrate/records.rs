use conn3ction_schemas::Name;
use serde_json::Value;

use super::Gathering;
use crate::decide::{
    BadItem, Place,
    command::{Op, Values, Which},
    input::{self, RawChange},
};

/// Takes the record or records that `value` holds; `rest` is the key without the prefix: the name.
pub(super) fn take(gathering: &mut Gathering, key: &str, rest: &str, value: &[u8]) {
    match serde_json::from_slice::<Value>(value) {
        Err(error) => gathering.leave(key, format!("the value is no JSON: {error}")),
        Ok(Value::Array(records)) => records.iter().for_each(|record| one(gathering, key, rest, record)),
        Ok(record) => one(gathering, key, rest, &record),
    }
}

fn one(gathering: &mut Gathering, key: &str, rest: &str, record: &Value) {
    let Some(members) = record.as_object() else {
        return gathering.leave(key, "the value is no JSON object");
    };
    let text = |member: &str| members.get(member).and_then(Value::as_str);
    let name = text("name").unwrap_or(rest);
    if let (Ok(of_key), Ok(of_value)) = (rest.parse::<Name>(), name.parse::<Name>())
        && of_key != of_value
    {
        return gathering.leave(key, format!("the key is of {of_key}, but the record is of {of_value}"));
    }
    let values: Option<Vec<String>> = match members.get("values").or(members.get("value")) {
        Some(Value::Array(values)) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        Some(Value::String(value)) => Some(vec![value.clone()]),
        _ => None,
    };
    let Some(values) = values else { return gathering.leave(key, "`values` is no list of texts") };
    let ttl = match members.get("ttl") {
        None | Some(Value::Null) => None,
        Some(ttl) => match ttl.as_u64() {
            Some(secs) => Some(secs),
            None => return gathering.leave(key, "`ttl` is no whole number of seconds"),
        },
    };
    let raw =
        RawChange { name, rtype: text("type"), ttl, values: &values, covers: text("covers"), ..RawChange::default() };
    if raw.rtype.is_none() {
        return gathering.leave(key, "`type` is missing");
    }
    match input::change(Op::Set, &raw) {
        Ok(change) => match (change.which, change.values) {
            (Which::Type(rtype, _), Values::Parsed(values)) => {
                gathering.add(key, change.owner, rtype, change.ttl, values);
            }
            _ => gathering.leave(key, "the record has no type"),
        },
        Err(items) => gathering.left.extend(items.into_iter().map(|item| BadItem {
            detail: match &item.place {
                Place::Pointer(pointer) => format!("{}: {}", pointer.trim_start_matches('/'), item.detail),
                Place::Line { .. } | Place::Key(_) => item.detail,
            },
            place: Place::Key(key.into()),
            ..item
        })),
    }
}
