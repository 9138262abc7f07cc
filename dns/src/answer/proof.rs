//! Proofs of what is not there, from the NSEC or NSEC3 records that a signed zone was imported with
//! ([RFC 4035 section 3.1.3], [RFC 5155 section 7.2]). A zone without them, or without signatures, gets none.
//!
//! [RFC 4035 section 3.1.3]: https://www.rfc-editor.org/rfc/rfc4035#section-3.1.3
//! [RFC 5155 section 7.2]: https://www.rfc-editor.org/rfc/rfc5155#section-7.2

use conn3ction_schemas::{RecordType, SetKey};

use super::{Answer, nsec3::Hashing};
use crate::{
    lookup::Match,
    store::{
        Held, ZoneView,
        labels::{parent, starts},
        node::State,
    },
    wire::{Full, Owner},
};

/// How a zone proves.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack of one answer; a box would allocate")]
enum Chain {
    Nsec,
    Nsec3(Hashing),
}

/// The records of one proof; no more than three are ever needed.
#[derive(Default)]
struct Proof<'v> {
    owners: [Option<Held<'v>>; 3],
}

impl<'v> Proof<'v> {
    fn add(&mut self, found: Option<Held<'v>>) {
        let Some(found) = found else { return };
        let is_there = |other: &Held<'_>| other.state().owner() == found.state().owner();
        if self.owners.iter().flatten().any(is_there) {
            return;
        }
        if let Some(free) = self.owners.iter_mut().find(|owner| owner.is_none()) {
            *free = Some(found);
        }
    }
}

impl Answer<'_, '_> {
    /// No such name, and no wildcard below its closest encloser at depth `encloser`.
    pub(super) fn prove_name_error(&mut self, zone: &ZoneView<'_>, encloser: usize) -> Result<(), Full> {
        let Some(chain) = self.chain(zone) else { return Ok(()) };
        let name = self.below(zone);
        let (name, mut proof) = (name.as_slice(), Proof::default());
        match &chain {
            Chain::Nsec => {
                proof.add(covering(zone, name));
                proof.add(covering(zone, wildcard_below(suffix(name, encloser)).as_slice()));
            }
            Chain::Nsec3(hashing) => {
                // Without NSEC3 is a name that only leads to unsigned delegations of an opt-out span (RFC 5155 section 7.1).
                let provable = (0..=encloser).rev().find_map(|depth| {
                    let found = hashing.matching(zone, suffix(name, depth))?;
                    Some((depth, found))
                });
                let Some((encloser, found)) = provable else { return Ok(()) };
                proof.add(Some(found));
                proof.add(hashing.covering(zone, suffix(name, encloser + 1)));
                proof.add(hashing.covering(zone, wildcard_below(suffix(name, encloser)).as_slice()));
            }
        }
        self.put_proof(zone, &proof, chain.rtype())
    }

    /// The name exists without this type, or a wildcard stands for it and lacks the type.
    pub(super) fn prove_no_data(&mut self, zone: &ZoneView<'_>, found: &Match<'_>) -> Result<(), Full> {
        let Some(chain) = self.chain(zone) else { return Ok(()) };
        let name = self.below(zone);
        let (name, mut proof) = (name.as_slice(), Proof::default());
        let state = found.owner.state();
        match (&chain, found.expanded_at) {
            (Chain::Nsec, expanded) => {
                proof.add(covering(zone, state.owner()));
                if expanded.is_some() {
                    proof.add(covering(zone, name));
                }
            }
            (Chain::Nsec3(hashing), None) => add_no_type(&mut proof, hashing, zone, name),
            (Chain::Nsec3(hashing), Some(encloser)) => {
                proof.add(hashing.matching(zone, suffix(name, encloser)));
                proof.add(hashing.covering(zone, suffix(name, encloser + 1)));
                proof.add(hashing.matching(zone, state.owner()));
            }
        }
        self.put_proof(zone, &proof, chain.rtype())
    }

    /// A wildcard below the closest encloser at this depth stands in for the present name, which does not exist.
    pub(super) fn prove_expansion(&mut self, zone: &ZoneView<'_>, encloser: usize) -> Result<(), Full> {
        let Some(chain) = self.chain(zone) else { return Ok(()) };
        let name = self.below(zone);
        let (name, mut proof) = (name.as_slice(), Proof::default());
        match &chain {
            Chain::Nsec => proof.add(covering(zone, name)),
            Chain::Nsec3(hashing) => proof.add(hashing.covering(zone, suffix(name, encloser + 1))),
        }
        self.put_proof(zone, &proof, chain.rtype())
    }

    /// The delegation at `cut` is not signed.
    pub(super) fn prove_no_ds(&mut self, zone: &ZoneView<'_>, cut: &State<'_>) -> Result<(), Full> {
        let Some(chain) = self.chain(zone) else { return Ok(()) };
        let mut proof = Proof::default();
        match &chain {
            Chain::Nsec => proof.add(covering(zone, cut.owner())),
            Chain::Nsec3(hashing) => add_no_type(&mut proof, hashing, zone, cut.owner()),
        }
        self.put_proof(zone, &proof, chain.rtype())
    }

    fn put_proof(&mut self, zone: &ZoneView<'_>, proof: &Proof<'_>, rtype: RecordType) -> Result<(), Full> {
        for held in proof.owners.iter().flatten() {
            let state = held.state();
            // One record may prove several things.
            if self.proved.iter().any(|at| *at > 0 && self.stands_below(*at, state.owner(), zone)) {
                continue;
            }
            let owner = Owner::Below(state.owner(), self.apex_at(zone));
            if let Some(set) = state.set(SetKey::of(rtype)) {
                let placed = self.message.put_set(owner, &set, None, None)?;
                self.put_signatures(&state, owner, rtype, None)?;
                if let Some(free) = self.proved.iter_mut().find(|at| **at == 0) {
                    *free = placed.at;
                }
            }
        }
        Ok(())
    }

    /// Whether the name at this offset of the message is made of `labels` and the apex of `zone`.
    fn stands_below(&self, at: usize, labels: &[u8], zone: &ZoneView<'_>) -> bool {
        let written = self.message.written();
        let rest = at + labels.len();
        let apex_at = match written.get(rest..rest + 2) {
            Some(&[high, low]) if high >= 0xc0 => usize::from(high & 0x3f) << 8 | usize::from(low),
            _ => rest,
        };
        written.get(at..rest) == Some(labels) && self.stands_at(apex_at, zone.apex().as_wire())
    }

    fn chain(&self, zone: &ZoneView<'_>) -> Option<Chain> {
        if !self.dnssec_ok {
            return None;
        }
        let apex = zone.find(&[])?;
        let state = apex.state();
        // Records that prove prove nothing in a zone whose signatures were taken out.
        state.set(SetKey::rrsig(RecordType::SOA))?;
        if let Some(parameters) = state.set(SetKey::of(RecordType::NSEC3PARAM)) {
            return Hashing::from_parameters(&parameters).map(Chain::Nsec3);
        }
        state.set(SetKey::of(RecordType::NSEC)).map(|_| Chain::Nsec)
    }

    /// The present name's labels below the apex.
    fn below(&self, zone: &ZoneView<'_>) -> Labels {
        let mut labels = Labels::default();
        labels.push(&self.name[..self.name_len - zone.apex().as_wire().len()]);
        labels
    }
}

impl Chain {
    fn rtype(&self) -> RecordType {
        match self {
            Chain::Nsec => RecordType::NSEC,
            Chain::Nsec3(_) => RecordType::NSEC3,
        }
    }
}

/// `name` is there and lacks a type, or is an unsigned delegation in an opt-out span (RFC 5155 section 7.2.4).
fn add_no_type<'v>(proof: &mut Proof<'v>, hashing: &Hashing, zone: &ZoneView<'v>, name: &[u8]) {
    if let Some(found) = hashing.matching(zone, name) {
        return proof.add(Some(found));
    }
    let mut next_closer = name;
    while let Some(encloser) = parent(next_closer) {
        if let Some(found) = hashing.matching(zone, encloser) {
            proof.add(Some(found));
            return proof.add(hashing.covering(zone, next_closer));
        }
        next_closer = encloser;
    }
}

/// The NSEC at `name`, or the one whose span holds it.
fn covering<'v>(zone: &ZoneView<'v>, name: &[u8]) -> Option<Held<'v>> {
    zone.last_before(name, |state| state.set(SetKey::of(RecordType::NSEC)).is_some())
}

/// The last `depth` labels of `name`.
fn suffix(name: &[u8], depth: usize) -> &[u8] {
    let (starts, labels) = starts(name);
    match labels.checked_sub(depth) {
        Some(skip) if depth > 0 => &name[starts[skip] as usize..],
        Some(_) => &[],
        None => name,
    }
}

/// `*` below `encloser`.
fn wildcard_below(encloser: &[u8]) -> Labels {
    let mut wildcard = Labels::default();
    wildcard.push(b"\x01*");
    wildcard.push(encloser);
    wildcard
}

/// A name's labels in a buffer of their own.
struct Labels {
    octets: [u8; 257],
    len: usize,
}

impl Default for Labels {
    fn default() -> Self {
        Self { octets: [0; 257], len: 0 }
    }
}

impl Labels {
    fn push(&mut self, labels: &[u8]) {
        if let Some(free) = self.octets.get_mut(self.len..self.len + labels.len()) {
            free.copy_from_slice(labels);
            self.len += labels.len();
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}
