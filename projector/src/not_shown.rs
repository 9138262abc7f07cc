//! What views in etcd do not show, set by set.

use conn3ction_dns::View;
use conn3ction_schemas::{Name, RecordSet, SetKey};

use crate::{
    Mirror, ViewName,
    zone_keys::{Reason, ZoneKeys},
};

/// Something that a view does not show as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotShown {
    /// The zone.
    pub zone: Name,
    /// The record set that is not shown; `None` if nothing of the zone is.
    pub set: Option<(Name, SetKey)>,
    /// Why.
    pub reason: Reason,
}

/// Why `view` does not show a record set as it is; `None` if it does.
pub(crate) fn reason(
    view: ViewName,
    zone_keys: &ZoneKeys,
    content: &View,
    zone: &Name,
    owner: &Name,
    (key, set): (SetKey, &RecordSet),
) -> Option<Reason> {
    match view {
        ViewName::Answers | ViewName::Records => None,
        ViewName::Mirror => Mirror::is_too_large(content, owner).then_some(Reason::TooLarge),
        ViewName::ZoneKeys => zone_keys.not_representable(content, zone, owner, key, set),
    }
}

/// Calls `each` with everything that `view` does not show, in the order of zones and owners.
pub(crate) fn all(view: ViewName, zone_keys: &ZoneKeys, content: &View, each: &mut dyn FnMut(NotShown)) {
    if matches!(view, ViewName::Answers | ViewName::Records) {
        return;
    }
    let mut zones: Vec<_> = content.zones().collect();
    zones.sort_unstable_by(|a, b| a.apex().cmp(b.apex()));
    for zone in zones {
        let apex = zone.apex();
        if view == ViewName::ZoneKeys
            && let Some(reason) = zone_keys.zone_not_written(content, apex)
        {
            each(NotShown { zone: apex.clone(), set: None, reason });
            continue;
        }
        for owner in zone.owners() {
            if view == ViewName::Mirror && !Mirror::may_be_too_large(&owner) {
                continue;
            }
            let name = owner.name();
            for set in owner.sets() {
                let key = set.key();
                if let Some(reason) = reason(view, zone_keys, content, apex, &name, (key, &set.to_record_set())) {
                    each(NotShown { zone: apex.clone(), set: Some((name.clone(), key)), reason });
                }
            }
        }
    }
}
