//! A zone and a question to what the zone says ([RFC 1034 section 4.3.2] step 3, [RFC 4592], [RFC 6672]); pure.
//!
//! [RFC 1034 section 4.3.2]: https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2
//! [RFC 4592]: https://www.rfc-editor.org/rfc/rfc4592
//! [RFC 6672]: https://www.rfc-editor.org/rfc/rfc6672

use conn3ction_schemas::{RecordType, SetKey};

use crate::store::{
    Held, ZoneView,
    labels::{is_wildcard, starts},
    node::{Facts, State},
};

/// What a zone says to a question. Depths count the labels below the apex.
#[derive(Debug)]
pub(crate) enum Outcome<'v> {
    /// The owner has what is asked for.
    Answer(Match<'v>),
    /// The owner is an alias.
    Alias(Match<'v>),
    /// A DNAME above the name, at this depth.
    Dname(Held<'v>, usize),
    /// The name is at or below a zone cut at this depth.
    Referral(Held<'v>, usize),
    /// The name exists, this type does not.
    NoData(Match<'v>),
    /// No such name; its closest encloser has this depth.
    NameError(usize),
}

/// The owner that answers.
#[derive(Debug)]
pub(crate) struct Match<'v> {
    pub(crate) owner: Held<'v>,
    /// If `owner` is a wildcard that stands in for the name: the depth of the closest encloser.
    pub(crate) expanded_at: Option<usize>,
}

/// Looks up `name`, given as its lower-case labels below the apex of `zone`.
pub(crate) fn lookup<'v>(zone: &ZoneView<'v>, name: &[u8], qtype: RecordType) -> Outcome<'v> {
    let (starts, depth) = starts(name);
    let suffix = |labels: usize| if labels == 0 { &[] } else { &name[starts[depth - labels] as usize..] };
    if zone.redirects() {
        for above in (0..depth).filter(|above| zone.redirects_at(*above)) {
            let Some(found) = zone.find(suffix(above)) else { continue };
            let facts = found.state().facts;
            if facts.has(Facts::CUT) {
                return Outcome::Referral(found, above);
            }
            if facts.has(Facts::DNAME) {
                return Outcome::Dname(found, above);
            }
        }
    }
    if let Some(owner) = existing(zone, name) {
        // At the cut itself the parent still speaks for DS (RFC 4035 section 3.1.4.1).
        if owner.state().facts.has(Facts::CUT) && qtype != RecordType::DS {
            return Outcome::Referral(owner, depth);
        }
        return judge(Match { owner, expanded_at: None }, qtype);
    }
    for above in (0..depth).rev().filter(|above| zone.names_at(*above)) {
        let Some(encloser) = existing(zone, suffix(above)) else { continue };
        if encloser.state().facts.has(Facts::WILDCARD_CHILD)
            && let Some(owner) = wildcard_below(zone, suffix(above))
        {
            return judge(Match { owner, expanded_at: Some(above) }, qtype);
        }
        return Outcome::NameError(above);
    }
    Outcome::NameError(0)
}

/// The owner whose addresses go into the additional section for `name`: itself or the wildcard that stands in for it,
/// below cuts too, for that is where glue is.
pub(crate) fn find_target<'v>(zone: &ZoneView<'v>, name: &[u8]) -> Option<Held<'v>> {
    if let Some(owner) = existing(zone, name) {
        return Some(owner);
    }
    let (starts, depth) = starts(name);
    for above in (0..depth).rev().filter(|above| zone.names_at(*above)) {
        let suffix = if above == 0 { &[] } else { &name[starts[depth - above] as usize..] };
        let Some(encloser) = existing(zone, suffix) else { continue };
        let has_wildcard = encloser.state().facts.has(Facts::WILDCARD_CHILD);
        return if has_wildcard { wildcard_below(zone, suffix) } else { None };
    }
    None
}

fn existing<'v>(zone: &ZoneView<'v>, name: &[u8]) -> Option<Held<'v>> {
    zone.find(name).filter(|held| held.state().facts.exists())
}

/// `*` below `encloser`.
fn wildcard_below<'v>(zone: &ZoneView<'v>, encloser: &[u8]) -> Option<Held<'v>> {
    let mut wildcard = [0; 256];
    wildcard[..2].copy_from_slice(b"\x01*");
    let name = wildcard.get_mut(..2 + encloser.len())?;
    name[2..].copy_from_slice(encloser);
    debug_assert!(is_wildcard(name));
    existing(zone, name)
}

fn judge(found: Match<'_>, qtype: RecordType) -> Outcome<'_> {
    let state = found.owner.state();
    if has(&state, qtype) {
        Outcome::Answer(found)
    } else if state.facts.has(Facts::CNAME) {
        Outcome::Alias(found)
    } else {
        Outcome::NoData(found)
    }
}

fn has(state: &State<'_>, qtype: RecordType) -> bool {
    match qtype {
        RecordType::ANY => state.sets().any(|set| !set.key.rtype.is_dnssec()),
        RecordType::RRSIG => state.sets().any(|set| set.key.rtype == RecordType::RRSIG),
        _ => state.set(SetKey::of(qtype)).is_some(),
    }
}
