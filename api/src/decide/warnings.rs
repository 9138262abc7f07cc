//! What is allowed and yet seldom meant. Plans print it; nothing is refused for it.

use std::collections::BTreeSet;

use conn3ction_schemas::{Name, RecordSet, RecordType, Serial, SetKey, json};

use super::{state::State, work::Work};

/// Names listed of what a new zone hides; the rest is counted.
const MAX_HIDDEN: usize = 100;

/// Something that a plan points out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What kind.
    pub kind: WarningKind,
    /// The name it is about.
    pub name: Name,
    /// In words.
    pub detail: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    /// Data at or below a delegation that is no glue is never served.
    BelowDelegation,
    /// Data below a DNAME is never served.
    BelowDname,
    /// A delegation goes, and the names below it come to light.
    DelegationRemoved,
    /// Record sets younger than the moment that comes back go.
    NewerLost,
    /// A large part of the zone changes.
    LargePart,
    /// A DS without a delegation.
    DsWithoutDelegation,
    /// A new zone hides names of the zone around it.
    NamesHidden,
    /// The serial asked for is not greater than the present one.
    SerialNotGreater,
    /// Lines of one set had several TTLs; the lowest was taken (RFC 2181 section 5.2).
    MixedTtls,
    /// The zone is signed elsewhere: only an import with a greater serial will change it.
    SignedElsewhere,
}

impl WarningKind {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BelowDelegation => "below-delegation",
            Self::BelowDname => "below-dname",
            Self::DelegationRemoved => "delegation-removed",
            Self::NewerLost => "newer-lost",
            Self::LargePart => "large-part",
            Self::DsWithoutDelegation => "ds-without-delegation",
            Self::NamesHidden => "names-hidden",
            Self::SerialNotGreater => "serial-not-greater",
            Self::MixedTtls => "mixed-ttls",
            Self::SignedElsewhere => "signed-elsewhere",
        }
    }
}

impl Warning {
    pub(crate) fn new(kind: WarningKind, name: &Name, detail: impl Into<String>) -> Self {
        Self { kind, name: name.clone(), detail: detail.into() }
    }

    /// As it is shown.
    pub(crate) fn shown(&self) -> json::Warning {
        let kind = self.kind.as_str().into();
        json::Warning { kind, name: Some(self.name.without_dot()), line: None, detail: self.detail.clone() }
    }

    pub(crate) fn serial_not_greater(zone: &Name, asked: Serial, present: Serial, next: Serial) -> Self {
        let detail = format!("serial {asked} is not greater than {present} (RFC 1982); the zone goes on with {next}");
        Self::new(WarningKind::SerialNotGreater, zone, detail)
    }

    pub(crate) fn delegation_removed(owner: &Name) -> Self {
        let detail = format!("{owner} is no longer delegated; the zone itself answers for it again");
        Self::new(WarningKind::DelegationRemoved, owner, detail)
    }
}

/// Warns of what the outcome of a command leaves hidden or lays open.
pub(super) fn outcome<S: State + ?Sized>(work: &Work<'_, S>, warnings: &mut Vec<Warning>) {
    let mut seen = BTreeSet::new();
    for set in work.outcomes() {
        let (zone, owner, rtype) = (&set.id.zone, &set.id.owner, set.id.key.rtype);
        let ends = rtype == RecordType::NS && owner != zone && set.before.is_some() && set.after.is_none();
        // A zone that goes lays nothing open.
        if ends && !work.goes(zone) {
            warnings.push(Warning::delegation_removed(owner));
        }
        if set.after.is_some() && set.before.is_none() {
            let found = hidden(zone, owner, rtype, &|owner, rtype| work.get(&id(zone, owner, rtype)));
            warnings.extend(found.into_iter().filter(|warning| seen.insert((warning.kind, warning.name.clone()))));
        }
    }
}

/// Warns of the record sets of `made` (zone, owner and type) that are never served, on the state that they stand in.
pub(crate) fn never_served<'a, S: State + ?Sized>(
    state: &S,
    made: impl Iterator<Item = (&'a Name, &'a Name, RecordType)>,
) -> Vec<Warning> {
    let found = made.filter_map(|(zone, owner, rtype)| {
        let get = |owner: &Name, rtype| state.set(zone, owner, SetKey::of(rtype)).map(|held| held.set);
        hidden(zone, owner, rtype, &get)
    });
    let mut seen = BTreeSet::new();
    found.filter(|warning| seen.insert((warning.kind, warning.name.clone()))).collect()
}

fn hidden(
    zone: &Name,
    owner: &Name,
    rtype: RecordType,
    get: &dyn Fn(&Name, RecordType) -> Option<RecordSet>,
) -> Option<Warning> {
    let is_address = matches!(rtype, RecordType::A | RecordType::AAAA);
    let at_cut = matches!(rtype, RecordType::NS | RecordType::DS | RecordType::NSEC | RecordType::RRSIG);
    let servers = |cut: &Name| if cut == zone { None } else { get(cut, RecordType::NS) };
    let is_glue = |servers: &RecordSet| {
        let mut targets = servers.rdata().iter().filter_map(|rdata| rdata.target(RecordType::NS));
        is_address && targets.any(|target| target == *owner)
    };
    let delegated = servers(owner);
    if rtype == RecordType::DS && delegated.is_none() {
        let detail = "a DS stands beside the NS of a delegation, and there is none here";
        return Some(Warning::new(WarningKind::DsWithoutDelegation, owner, detail));
    }
    if delegated.is_some_and(|servers| !is_glue(&servers)) && !at_cut {
        let detail = format!("{owner} is delegated, so its {rtype} is never served from {zone}");
        return Some(Warning::new(WarningKind::BelowDelegation, owner, detail));
    }
    for above in between(zone, owner) {
        if get(&above, RecordType::DNAME).is_some() {
            let detail = format!("{above} is a DNAME, so {owner} is never served");
            return Some(Warning::new(WarningKind::BelowDname, owner, detail));
        }
        if servers(&above).is_some_and(|servers| !is_glue(&servers)) {
            let detail = match is_address {
                // Whose glue else it may be would have to be searched for.
                true => format!(
                    "{above} is delegated and {owner} is none of its servers, so this {rtype} is at most glue of another delegation"
                ),
                false => format!("{above} is delegated, so {owner} {rtype} is never served from {zone}"),
            };
            return Some(Warning::new(WarningKind::BelowDelegation, owner, detail));
        }
    }
    None
}

/// The names strictly above `owner` down from its parent to the apex.
pub(super) fn between<'a>(zone: &'a Name, owner: &Name) -> impl Iterator<Item = Name> + use<'a> {
    let mut next = if owner == zone { None } else { owner.parent() };
    std::iter::from_fn(move || {
        let name = next.take()?;
        next = if &name == zone { None } else { name.parent() };
        Some(name)
    })
}

/// Warns of the names of the zone around it that a new zone hides.
pub(crate) fn names_hidden<S: State + ?Sized>(state: &S, zone: &Name, warnings: &mut Vec<Warning>) {
    let Some(around) = zone.parent().and_then(|parent| state.zone_of(&parent)) else { return };
    let found = state.first_sets(&around, zone, MAX_HIDDEN + 1);
    let delegation = |owner: &Name, key: &SetKey| owner == zone && matches!(key.rtype, RecordType::NS | RecordType::DS);
    let mut names: Vec<String> =
        found.iter().filter(|(owner, key, _)| !delegation(owner, key)).map(|(owner, ..)| owner.to_string()).collect();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let more = if found.len() > MAX_HIDDEN { " and more" } else { "" };
    let detail = format!("data of {around} is no longer served at {}{more}", names.join(", "));
    warnings.push(Warning::new(WarningKind::NamesHidden, zone, detail));
}

fn id(zone: &Name, owner: &Name, rtype: RecordType) -> super::work::SetId {
    super::work::SetId { zone: zone.clone(), owner: owner.clone(), key: SetKey::of(rtype) }
}
