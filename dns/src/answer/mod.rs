//! A query to a whole reply ([RFC 1034 section 4.3.2]).
//!
//! Rules that are easy to miss: a set is whole or absent, and if it had to be there TC is set (RFC 2181 section 9). ANY
//! gets one set (RFC 8482). DS is asked of the parent (RFC 4035 section 3.1.4.1). A chain of aliases goes on through all
//! our zones, at most 16 steps. Without DO no DNSSEC record is added.
//!
//! [RFC 1034 section 4.3.2]: https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2

mod additional;
mod nsec3;
mod proof;

use conn3ction_schemas::{RecordType, SetKey};

use crate::{
    lookup::{Match, Outcome, lookup},
    store::{
        Held, View, ZoneView,
        labels::starts,
        node::{State, StoredSet},
    },
    wire::{Full, Message, Owner, Parsed, Placed, Query, Rcode, header_only, parse},
};

/// Aliases followed in one reply. A longer chain is left to the resolver, which asks on from the last target.
pub(crate) const MAX_ALIASES: usize = 16;

/// How a query came and how large a reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By datagram: a reply has at most the lower of `max_size` and what the query offers, 512 octets without EDNS.
    Udp {
        /// The most octets of our datagrams; 1,232 by default (RFC 9715).
        max_size: u16,
    },
    /// By connection: a reply has at most 65,535 octets.
    Tcp,
}

/// Answers `query` from `view` into `out` and gives the length of the reply; `None` asks for silence.
///
/// Nothing is allocated for live answers, and nothing in the query can make this fail. `out` bounds the reply as well;
/// give 65,535 octets over TCP. Transfers (AXFR, IXFR), NOTIFY and UPDATE are the caller's: here they get a refusal.
pub fn answer(view: &View, query: &[u8], transport: Transport, out: &mut [u8]) -> Option<usize> {
    match parse(query) {
        Parsed::Silence => None,
        Parsed::Refused(rcode) => header_only(out, query, rcode),
        Parsed::Query(parsed) => answer_query(view, None, query, &parsed, transport, out),
    }
}

/// As [`answer()`] for the query `packet` that was parsed already, and whose name is in `zone`, if that is known.
pub(crate) fn answer_query(
    view: &View,
    zone: Option<ZoneView<'_>>,
    packet: &[u8],
    query: &Query<'_>,
    transport: Transport,
    out: &mut [u8],
) -> Option<usize> {
    let message = Message::start(out, packet, query, size_limit(transport, query), transport.udp_size())?;
    Some(reply(view, zone, query, message, false))
}

/// As [`answer_query`] over TCP, but as if no owner had a DS set: the parent still speaks at a cut.
pub(crate) fn answer_without_ds(view: &View, packet: &[u8], query: &Query<'_>, out: &mut [u8]) -> Option<usize> {
    let message = Message::start(out, packet, query, out.len(), Transport::Tcp.udp_size())?;
    Some(reply(view, None, query, message, true))
}

/// The most octets that a reply to `query` may have.
pub(crate) fn size_limit(transport: Transport, query: &Query<'_>) -> usize {
    match (transport, query.edns) {
        (Transport::Tcp, _) => 65_535,
        (Transport::Udp { .. }, None) => 512,
        (Transport::Udp { max_size }, Some(edns)) => edns.udp_size.clamp(512, max_size.max(512)).into(),
    }
}

impl Transport {
    /// The size of datagrams that our OPT record names.
    pub(crate) fn udp_size(self) -> u16 {
        match self {
            Self::Udp { max_size } => max_size,
            Self::Tcp => 1232,
        }
    }
}

fn reply<'v>(
    view: &'v View,
    zone: Option<ZoneView<'v>>,
    query: &Query<'_>,
    message: Message<'_>,
    hides_ds: bool,
) -> usize {
    let refusal = match query {
        Query { edns: Some(edns), .. } if edns.version > 0 => Some(Rcode::BadVers),
        Query { opcode: 1.., .. } => Some(Rcode::NotImp),
        Query { qclass, .. } if *qclass != 1 => Some(Rcode::Refused),
        Query { qtype, .. } => refused_type(*qtype),
    };
    if let Some(rcode) = refusal {
        return message.finish(rcode);
    }
    let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
    let mut answer = Answer {
        view,
        zone: zone.filter(|_| query.qtype != RecordType::DS),
        qtype: query.qtype,
        hides_ds,
        dnssec_ok,
        message,
        name: [0; 255],
        name_len: query.name().len(),
        name_at: 12,
        dnames: [0; MAX_ALIASES],
        authority: Authority::None,
        expanded: Expanded::default(),
        proved: [0; MAX_ALIASES + 4],
        targets: None,
    };
    answer.name[..query.name().len()].copy_from_slice(query.name());
    match answer.resolve() {
        Ok(rcode) => answer.message.finish(rcode),
        Err((Full, rcode)) => {
            answer.message.set_truncated();
            answer.message.finish(rcode)
        }
    }
}

/// Types that ask for no records of a zone.
fn refused_type(qtype: RecordType) -> Option<Rcode> {
    match qtype {
        RecordType::AXFR | RecordType::IXFR => Some(Rcode::Refused),
        RecordType::OPT | RecordType::TKEY | RecordType::TSIG | RecordType(0) => Some(Rcode::FormErr),
        _ => None,
    }
}

struct Answer<'v, 'b> {
    view: &'v View,
    /// The zone that speaks for the name of the question, until it is asked for.
    zone: Option<ZoneView<'v>>,
    qtype: RecordType,
    /// A DS set that is found is passed over.
    hides_ds: bool,
    dnssec_ok: bool,
    message: Message<'b>,
    /// The name that is looked up now: the question's, or an alias's target; lower case.
    name: [u8; 255],
    name_len: usize,
    /// Where that name stands in the message.
    name_at: usize,
    /// Where the owners of the DNAMEs stand that are in the answer already; 0 for none.
    dnames: [usize; MAX_ALIASES],
    authority: Authority<'v>,
    expanded: Expanded,
    /// Where the owners of the proofs stand that are in the authority section already; 0 for none.
    proved: [usize; MAX_ALIASES + 4],
    /// A set whose targets' addresses help: its zone, owner and place.
    targets: Option<Targets<'v>>,
}

struct Targets<'v> {
    zone: ZoneView<'v>,
    owner: Held<'v>,
    rtype: RecordType,
    placed: Placed,
    /// The owner is a cut: addresses below it are needed to reach the child at all.
    is_referral: bool,
}

/// What goes into the authority section once the answer section is whole.
enum Authority<'v> {
    None,
    Referral(ZoneView<'v>, Held<'v>, usize),
    NoData(ZoneView<'v>, Match<'v>),
    NameError(ZoneView<'v>, usize),
}

/// The names that a wildcard stood in for: where each stands in the message, and the depth of its closest encloser. Each
/// needs proof that it does not exist itself (RFC 4035 section 3.1.3.3).
#[derive(Default)]
struct Expanded {
    names: [(usize, usize); MAX_ALIASES + 1],
    count: usize,
}

impl Expanded {
    fn add(&mut self, name_at: usize, encloser: usize) {
        if let Some(free) = self.names.get_mut(self.count) {
            *free = (name_at, encloser);
            self.count += 1;
        }
    }
}

/// The message is full; the reply goes out with TC and this code.
type Cut = (Full, Rcode);

impl<'v> Answer<'v, '_> {
    fn resolve(&mut self) -> Result<Rcode, Cut> {
        let rcode = self.follow().map_err(|Full| (Full, Rcode::NoError))?;
        self.message.section(Message::AUTHORITY);
        self.put_authority().map_err(|Full| (Full, rcode))?;
        self.message.section(Message::ADDITIONAL);
        self.put_additional().map_err(|Full| (Full, rcode))?;
        Ok(rcode)
    }

    /// Fills the answer section.
    fn follow(&mut self) -> Result<Rcode, Full> {
        let mut seen = [0; MAX_ALIASES];
        for step in 0..=MAX_ALIASES {
            let Some(zone) = self.zone.take().or_else(|| self.zone_for_name()) else {
                return Ok(if step == 0 { Rcode::Refused } else { Rcode::NoError });
            };
            let below_len = self.name_len - zone.apex().as_wire().len();
            let outcome = lookup(&zone, &self.name[..below_len], self.qtype);
            if step == 0 {
                self.message.set_authoritative(!matches!(outcome, Outcome::Referral(..)));
            }
            let is_done = match outcome {
                Outcome::Answer(found) if !(self.hides_ds && self.qtype == RecordType::DS) => {
                    self.put_answer(zone, found)?;
                    return Ok(Rcode::NoError);
                }
                Outcome::Answer(found) | Outcome::NoData(found) => {
                    self.authority = Authority::NoData(zone, found);
                    return Ok(Rcode::NoError);
                }
                Outcome::NameError(encloser) => {
                    self.authority = Authority::NameError(zone, encloser);
                    return Ok(Rcode::NxDomain);
                }
                Outcome::Referral(cut, depth) => {
                    self.authority = Authority::Referral(zone, cut, depth);
                    return Ok(Rcode::NoError);
                }
                Outcome::Alias(found) => self.put_alias(&found)?,
                Outcome::Dname(owner, depth) => match self.put_dname(&owner, below_len, depth)? {
                    Some(is_done) => is_done,
                    None => return Ok(Rcode::YxDomain),
                },
            };
            if is_done || step == MAX_ALIASES || self.is_seen(&seen[..=step]) {
                return Ok(Rcode::NoError);
            }
            if let Some(next) = seen.get_mut(step + 1) {
                *next = self.name_at;
            }
        }
        Ok(Rcode::NoError)
    }

    /// The zone that speaks for the name.
    fn zone_for_name(&self) -> Option<ZoneView<'v>> {
        self.view.zone_that_speaks(&self.name[..self.name_len], self.qtype)
    }

    /// Whether the name now looked up was looked up before: `seen` holds where such names stand, 0 for the question's.
    fn is_seen(&self, seen: &[usize]) -> bool {
        seen.iter().any(|at| self.stands_at((*at).max(12), &self.name[..self.name_len]))
    }

    /// Whether the DNAME of `owner` is in the answer.
    fn has_dname(&self, owner: &[u8]) -> bool {
        self.dnames.iter().any(|at| *at > 0 && self.stands_at(*at, owner))
    }

    /// Whether `name` stands at this offset of the message, without compression.
    fn stands_at(&self, at: usize, name: &[u8]) -> bool {
        let there = self.message.written().get(at..at + name.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(name))
    }

    fn put_answer(&mut self, zone: ZoneView<'v>, found: Match<'v>) -> Result<(), Full> {
        let state = found.owner.state();
        let is_asked = |set: &StoredSet<'_>| match self.qtype {
            RecordType::ANY => !set.key.rtype.is_dnssec(),
            qtype => set.key.rtype == qtype,
        };
        let mut last = None;
        // A DNAME that led here is in the answer already.
        let has_dname = self.has_dname(&self.name[..self.name_len]);
        let is_new = |set: &StoredSet<'_>| !(has_dname && set.key.rtype == RecordType::DNAME);
        for set in state.sets().filter(is_asked).filter(is_new) {
            let serial = if set.key.rtype == RecordType::SOA { zone.set_serial() } else { None };
            last = Some((set.key.rtype, self.message.put_set(Owner::At(self.name_at), &set, None, serial)?));
            if self.qtype != RecordType::RRSIG {
                self.put_signatures(&state, Owner::At(self.name_at), set.key.rtype, None)?;
                break;
            }
        }
        if let Some(encloser) = found.expanded_at {
            self.expanded.add(self.name_at, encloser);
        }
        if let Some((rtype, placed)) = last.filter(|(rtype, _)| additional::has_targets(*rtype)) {
            self.targets = Some(Targets { zone, owner: found.owner, rtype, placed, is_referral: false });
        }
        Ok(())
    }

    /// Adds a CNAME and goes to its target; whether that ends the answer.
    fn put_alias(&mut self, found: &Match<'_>) -> Result<bool, Full> {
        let state = found.owner.state();
        let Some(set) = state.set(SetKey::of(RecordType::CNAME)) else { return Ok(true) };
        let placed = self.message.put_set(Owner::At(self.name_at), &set, None, None)?;
        self.put_signatures(&state, Owner::At(self.name_at), RecordType::CNAME, None)?;
        if let Some(encloser) = found.expanded_at {
            self.expanded.add(self.name_at, encloser);
        }
        let Some((at, target)) = placed.rdata_offsets(&set).next() else { return Ok(true) };
        let Some(name) = self.name.get_mut(..target.len()) else { return Ok(true) };
        name.copy_from_slice(target);
        name.make_ascii_lowercase();
        self.name_len = target.len();
        self.name_at = at;
        Ok(false)
    }

    /// Adds a DNAME and the CNAME that it makes for the name (RFC 6672 section 3.1), and goes to that one's target;
    /// whether this ends the answer, or `None` if the target would be too long.
    fn put_dname(&mut self, owner: &Held<'v>, below_len: usize, depth: usize) -> Result<Option<bool>, Full> {
        let state = owner.state();
        let Some(set) = state.set(SetKey::of(RecordType::DNAME)) else { return Ok(Some(true)) };
        let (starts, labels) = starts(&self.name[..below_len]);
        let prefix_len = if depth == 0 { below_len } else { starts[labels - depth] as usize };
        let owner_at = Owner::At(self.name_at + prefix_len);
        // A chain may pass here again, but a set stands in a section once.
        if !self.has_dname(&self.name[prefix_len..self.name_len]) {
            self.message.put_set(owner_at, &set, None, None)?;
            self.put_signatures(&state, owner_at, RecordType::DNAME, None)?;
            if let Some(free) = self.dnames.iter_mut().find(|at| **at == 0) {
                *free = self.name_at + prefix_len;
            }
        }
        let Some((_, target)) = set.split().next() else { return Ok(Some(true)) };
        let len = prefix_len + target.len();
        if len > 255 {
            return Ok(None);
        }
        let mut name = self.name;
        name[prefix_len..len].copy_from_slice(target);
        name[prefix_len..len].make_ascii_lowercase();
        let at = self.message.put_record(Owner::At(self.name_at), RecordType::CNAME, set.ttl(), &[&name[..len]])?;
        self.name = name;
        self.name_len = len;
        self.name_at = at;
        Ok(Some(self.qtype == RecordType::CNAME))
    }

    fn put_signatures(
        &mut self,
        state: &State<'_>,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        match state.set(SetKey::rrsig(rtype)).filter(|_| self.dnssec_ok) {
            Some(set) => self.message.put_set(owner, &set, ttl, None).map(drop),
            None => Ok(()),
        }
    }

    fn put_authority(&mut self) -> Result<(), Full> {
        match std::mem::replace(&mut self.authority, Authority::None) {
            Authority::None => {}
            Authority::Referral(zone, cut, depth) => self.put_referral(zone, cut, depth)?,
            Authority::NoData(zone, found) => {
                self.put_soa(&zone)?;
                self.prove_no_data(&zone, &found)?;
            }
            Authority::NameError(zone, encloser) => {
                self.put_soa(&zone)?;
                self.prove_name_error(&zone, encloser)?;
            }
        }
        if !self.dnssec_ok {
            return Ok(());
        }
        for place in 0..self.expanded.count {
            let (at, encloser) = self.expanded.names[place];
            self.go_back_to(at);
            if let Some(zone) = self.zone_for_name() {
                self.prove_expansion(&zone, encloser)?;
            }
        }
        Ok(())
    }

    /// Makes the name that stands at this offset, without compression, the present one.
    fn go_back_to(&mut self, at: usize) {
        let written = self.message.written();
        let mut end = at;
        while let Some(len @ 1..) = written.get(end).copied() {
            end += 1 + usize::from(len);
        }
        let Some(name) = written.get(at..=end) else { return };
        let Some(place) = self.name.get_mut(..name.len()) else { return };
        place.copy_from_slice(name);
        place.make_ascii_lowercase();
        self.name_len = name.len();
        self.name_at = at;
    }

    /// The SOA with the time for which a negative answer holds (RFC 2308 section 5).
    fn put_soa(&mut self, zone: &ZoneView<'_>) -> Result<(), Full> {
        let Some(apex) = zone.find(&[]) else { return Ok(()) };
        let state = apex.state();
        let Some(soa) = state.set(SetKey::of(RecordType::SOA)) else { return Ok(()) };
        let owner = Owner::At(self.apex_at(zone));
        let minimum = soa.records.last_chunk().map_or(0, |minimum| u32::from_be_bytes(*minimum));
        let ttl = Some(soa.ttl().min(minimum));
        self.message.put_set(owner, &soa, ttl, zone.set_serial())?;
        self.put_signatures(&state, owner, RecordType::SOA, ttl)
    }

    fn put_referral(&mut self, zone: ZoneView<'v>, cut: Held<'v>, depth: usize) -> Result<(), Full> {
        let below_len = self.name_len - zone.apex().as_wire().len();
        let (starts, labels) = starts(&self.name[..below_len]);
        let owner_at = self.name_at + starts[labels - depth] as usize;
        let state = cut.state();
        let Some(ns) = state.set(SetKey::of(RecordType::NS)) else { return Ok(()) };
        let placed = self.message.put_set(Owner::At(owner_at), &ns, None, None)?;
        if self.dnssec_ok {
            let is_signed = state.set(SetKey::rrsig(RecordType::DS)).is_some();
            match state.set(SetKey::of(RecordType::DS)) {
                Some(ds) if is_signed => {
                    self.message.put_set(Owner::At(owner_at), &ds, None, None)?;
                    self.put_signatures(&state, Owner::At(owner_at), RecordType::DS, None)?;
                }
                // Only a signed zone adds it unasked (RFC 4035 section 3.1.4).
                Some(_) => {}
                None => self.prove_no_ds(&zone, &state)?,
            }
        }
        self.targets = Some(Targets { zone, owner: cut, rtype: RecordType::NS, placed, is_referral: true });
        Ok(())
    }

    /// Where the apex of `zone`, in which the present name is, stands in the message.
    fn apex_at(&self, zone: &ZoneView<'_>) -> usize {
        self.name_at + self.name_len - zone.apex().as_wire().len()
    }
}
