//! Where our answers differ from those of Knot 3.2 and NSD 4.6 on purpose, each with its reason.
//!
//! An entry explains only what it describes, mostly because the other of the two answers as we do. The test prints how
//! often each did.

use std::collections::BTreeSet;

use conn3ction_schemas::{Name, RecordType};

use super::{
    ask::Question,
    peers::Kind,
    reply::{Record, Reply},
};

/// Two unequal replies to one question.
pub(crate) struct Case<'a> {
    pub(crate) question: &'a Question,
    pub(crate) ours: &'a Reply,
    pub(crate) theirs: &'a Reply,
    /// What the third server said.
    pub(crate) third: &'a Reply,
    /// The apexes of all zones.
    pub(crate) zones: &'a [Name],
}

/// An entry of the list.
pub(crate) struct Difference {
    pub(crate) peers: &'static [Kind],
    pub(crate) what: &'static str,
    #[expect(dead_code, reason = "for the reader of the list")]
    reason: &'static str,
    explains: fn(&Case<'_>) -> bool,
}

/// The list.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        peers: &[Kind::Knot],
        what: "an alias that leads into another zone of the server is not followed",
        reason: "RFC 1034 section 4.3.2 starts again at step 1, in whatever zone is the nearest; NSD does so too",
        explains: |case| case.is_seconded() && case.leaves_its_zone(),
    },
    Difference {
        peers: &[Kind::Knot],
        what: "a question for RRSIG or NSEC does not follow an alias, and gets the signatures of one set",
        reason: "RFC 1034 section 3.6.2 excepts no type; where the alias is signed both give its own RRSIG or NSEC. As NSD",
        explains: |case| {
            let is_excepted = matches!(case.question.rtype, RecordType::RRSIG | RecordType::NSEC);
            is_excepted && case.is_seconded() && case.starts_with(case.theirs)
        },
    },
    Difference {
        peers: &[Kind::Knot, Kind::Nsd],
        what: "an alias that was followed already is repeated",
        reason: "the same record again tells a resolver nothing, and a set stands in a section once (RFC 2181 section 5)",
        explains: |case| {
            let once = case.theirs.without_repeats();
            // For ANY we take another set then.
            once == *case.ours || case.question.rtype == RecordType::ANY && case.starts_with(&once)
        },
    },
    Difference {
        peers: &[Kind::Knot],
        what: "at most five aliases are followed",
        reason: "we follow 16, which saves questions where chains are long; each counts once, so a reply stays small",
        explains: |case| aliases(case.theirs).count() == 5 && case.starts_with(case.theirs),
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "fewer addresses in the additional section, and TC where they do not fit",
        reason: "the price of its `minimal-responses`, without which it adds the zone's NS to every answer; Knot adds them, and \
                 only addresses below the cut are worth a TC (RFC 9471 section 3)",
        explains: |case| case.has_fewer_addresses(case.theirs),
    },
    Difference {
        peers: &[Kind::Knot, Kind::Nsd],
        what: "ANY is answered with another of the sets",
        reason: "any one of them will do (RFC 8482 section 4.1)",
        explains: |case| case.chooses_another_set(case.theirs),
    },
    Difference {
        peers: &[Kind::Knot],
        what: "a wildcard that is an empty non-terminal proves less",
        reason: "without the closest encloser, or the absence of data at the wildcard, the proof is not whole (RFC 4035 section \
                 5.4, RFC 5155 section 7.2.5); NSD mostly does as we do",
        explains: |case| case.proves_less(case.theirs),
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "other NSEC or NSEC3 records prove that there is no wildcard, or none do",
        reason: "it takes the NSEC of the wildcard's parent even where names sort between the two, and leaves some out behind an \
                 alias; Knot does as we do, and Unbound takes ours",
        explains: |case| case.proves_otherwise(case.theirs),
    },
    Difference {
        peers: &[Kind::Knot],
        what: "an NXDOMAIN without SOA, proof and AA in an opt-out zone",
        reason: "it gives up where the closest encloser has no NSEC3 and the wildcard above exists; Unbound takes ours",
        explains: |case| {
            let is_bare = case.theirs.sections.iter().all(Vec::is_empty) && !case.theirs.is_authoritative();
            case.ours.rcode == 3 && case.theirs.rcode == 3 && is_bare
        },
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "NSEC3 owners count as names that others can be below",
        reason: "they are none (RFC 5155 section 7.2.8); as Knot",
        explains: |case| case.is_seconded() && case.is_below_a_hash(),
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "a question for NSEC3 does not follow an alias",
        reason: "RFC 1034 section 3.6.2 excepts no type; as Knot",
        explains: |case| case.stops_at_an_alias_for_nsec3(case.theirs),
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "names of one zone exist in another",
        reason: "it keeps all zones in one tree, so data hidden below a cut makes names in the zone that is served there; Knot \
                 answers as we do",
        explains: |case| case.is_seconded() && case.is_entangled(),
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "aliases are followed until the message is full",
        reason: "two DNAMEs that lead to each other make a name grow; after 16 steps we leave it to the resolver",
        explains: |case| aliases(case.ours).count() == 17 && case.theirs.order.starts_with(&case.ours.order),
    },
    Difference {
        peers: &[Kind::Nsd],
        what: "a DNAME is not used a second time in one reply",
        reason: "a chain may well pass twice; what lets the name grow ends at 16 steps. Knot goes on as well",
        explains: |case| case.stops_at_a_dname(case.theirs),
    },
];

/// The entry that explains why the replies differ.
pub(crate) fn explain(peer: Kind, case: &Case<'_>) -> Option<usize> {
    DIFFERENCES.iter().position(|entry| entry.peers.contains(&peer) && (entry.explains)(case))
}

impl Case<'_> {
    /// Whether the third server answers as we do, as far as it can.
    fn is_seconded(&self) -> bool {
        self.third.without_repeats() == *self.ours
            || self.chooses_another_set(self.third)
            || self.proves_otherwise(self.third)
            || self.stops_at_an_alias_for_nsec3(self.third)
            || self.has_fewer_addresses(self.third)
            || self.stops_at_a_dname(self.third)
            || self.is_entangled()
            || self.is_below_a_hash()
    }

    /// Whether `reply` has the alias's own proof where ours follows it.
    fn stops_at_an_alias_for_nsec3(&self, reply: &Reply) -> bool {
        let is_aliased = aliases(self.ours).any(|alias| alias.owner.eq_ignore_ascii_case(&self.question.name));
        self.question.rtype == RecordType::NSEC3 && is_aliased && self.starts_with(reply)
    }

    /// Whether `reply` is ours but for addresses that it lacks.
    fn has_fewer_addresses(&self, reply: &Reply) -> bool {
        let same = Reply { sections: self.ours.sections.clone(), flags: self.ours.flags, ..reply.clone() };
        let is_less = reply.sections[2].iter().all(|record| self.ours.sections[2].contains(record));
        same == *self.ours && reply.sections[..2] == self.ours.sections[..2] && is_less
    }

    /// Whether ANY is answered with another set of the same owner. Ours may be too large for a datagram.
    fn chooses_another_set(&self, reply: &Reply) -> bool {
        let owners =
            |reply: &Reply| reply.sections[0].iter().map(|record| record.owner.clone()).collect::<BTreeSet<_>>();
        let is_same = self.ours.head() == reply.head() && owners(self.ours) == owners(reply);
        let is_alike = is_same && self.ours.sections[1] == reply.sections[1];
        self.question.rtype == RecordType::ANY && (is_alike || self.ours.is_truncated() && reply.sections[1].is_empty())
    }

    /// Whether `reply` is ours but for the proofs of what is not there.
    fn proves_otherwise(&self, reply: &Reply) -> bool {
        let without_proofs = |reply: &Reply| {
            let mut bare = reply.clone();
            bare.sections[1].retain(|record| {
                let is_proof = |rtype| matches!(rtype, RecordType::NSEC | RecordType::NSEC3);
                !is_proof(record.rtype) && !record.covered().is_some_and(is_proof)
            });
            bare
        };
        *self.ours != *reply && without_proofs(self.ours) == without_proofs(reply)
    }

    /// Whether every record of the authority section of `reply` is in ours.
    fn proves_less(&self, reply: &Reply) -> bool {
        self.proves_otherwise(reply) && reply.sections[1].iter().all(|record| self.ours.sections[1].contains(record))
    }

    /// Whether our answer begins with that of `reply`.
    fn starts_with(&self, reply: &Reply) -> bool {
        let is_ours = |record| self.ours.sections[0].contains(record);
        self.ours.order.starts_with(&reply.order) && reply.sections[0].iter().all(is_ours)
    }

    fn zone_of(&self, name: &[u8]) -> Option<&Name> {
        let mut name = Name::from_wire(name).ok()?;
        if self.question.rtype == RecordType::DS && self.zones.contains(&name) {
            name = name.parent()?;
        }
        self.zones.iter().filter(|zone| name.is_at_or_below(zone)).max_by_key(|zone| zone.label_count())
    }

    /// Whether an alias of both answers stands in one zone and its target belongs into another.
    fn leaves_its_zone(&self) -> bool {
        let leaves = |alias: &&Record| self.zone_of(&alias.owner) != self.zone_of(&alias.rdata);
        aliases(self.ours).filter(leaves).any(|alias| self.theirs.sections[0].contains(alias))
    }

    /// Whether a name of the question or answer is in a zone that has another one above or below it.
    fn is_entangled(&self) -> bool {
        let question = self.question.name.to_ascii_lowercase();
        let names = std::iter::once(&question).chain(aliases(self.ours).map(|alias| &alias.rdata));
        names.filter_map(|name| self.zone_of(name)).any(|zone| {
            let is_kin = |other: &Name| other.is_at_or_below(zone) || zone.is_at_or_below(other);
            self.zones.iter().any(|other| other != zone && is_kin(other))
        })
    }

    /// Whether a name of the question or answer has a label like the owner of an NSEC3 set.
    fn is_below_a_hash(&self) -> bool {
        let is_hash = |name: &Vec<u8>| {
            let labels = Name::from_wire(&name.to_ascii_lowercase()).ok();
            labels.is_some_and(|name| name.labels().any(|label| label.len() == 32))
        };
        is_hash(&self.question.name) || aliases(self.ours).any(|alias| is_hash(&alias.rdata))
    }

    /// Whether `reply` is ours up to an alias that leads below a DNAME which it already has.
    fn stops_at_a_dname(&self, reply: &Reply) -> bool {
        let name = |wire: &[u8]| Name::from_wire(wire).ok();
        let dnames = reply.sections[0].iter().filter(|record| record.rtype == RecordType::DNAME);
        let mut dnames = dnames.filter_map(|record| name(&record.owner));
        let is_last = |target: &&[u8]| aliases(reply).all(|alias| alias.owner != **target);
        let last = aliases(reply).map(|alias| &alias.rdata[..]).find(is_last).and_then(name);
        let Some(last) = last.filter(|_| self.starts_with(reply)) else { return false };
        dnames.any(|dname| last.is_at_or_below(&dname) && last != dname)
    }
}

fn aliases(reply: &Reply) -> impl Iterator<Item = &Record> {
    reply.sections[0].iter().filter(|record| record.rtype == RecordType::CNAME)
}
