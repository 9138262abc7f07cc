//! The documented layout: `{prefix}/{zone}/{host}/{type}`, one line per value.
//!
//! The apex is `@`. A zone of one label keeps its last dot, so that the first segment always holds a bare dot, which no
//! label of CoreDNS's layout does: the two layouts never meet. In labels `/` is `\047`, a dot `\.`, `@` is `\@`.

use std::{collections::BTreeMap, fmt::Write};

use conn3ction_schemas::{Name, RecordSet, SetKey};

use crate::prefix::Prefix;

/// Adds the keys of `owner` in `zone`. Signatures of several covered types share the key of their type.
pub(super) fn keys(
    prefix: &Prefix,
    zone: &Name,
    owner: &Name,
    sets: &[(SetKey, RecordSet)],
    keys: &mut BTreeMap<String, String>,
) {
    if sets.is_empty() {
        return;
    }
    let place = format!("{prefix}/{}/{}/", zone_segment(zone), host_segment(zone, owner));
    for (key, set) in sets {
        let value = keys.entry(format!("{place}{}", key.rtype)).or_default();
        for rdata in set.rdata() {
            if !value.is_empty() {
                value.push('\n');
            }
            let _ = write!(value, "{}", rdata.to_text(key.rtype));
        }
    }
}

/// The owner that a key of this layout stands for.
pub(super) fn name_of(prefix: &Prefix, key: &str) -> Option<Name> {
    let mut segments = prefix.strip(key)?.split('/');
    let (zone, host, _, None) = (segments.next()?, segments.next()?, segments.next()?, segments.next()) else {
        return None;
    };
    let zone: Name = zone.parse().ok()?;
    Name::parse_relative(host.as_bytes(), &zone).ok()
}

fn zone_segment(zone: &Name) -> String {
    let text = if zone.label_count() == 1 { zone.to_string() } else { zone.without_dot() };
    text.replace('/', "\\047")
}

fn host_segment(zone: &Name, owner: &Name) -> String {
    if owner == zone {
        return "@".into();
    }
    let text = owner.to_string();
    let zone_text = zone.to_string();
    text[..text.len() - zone_text.len() - 1].replace('/', "\\047")
}
