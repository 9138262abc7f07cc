//! Names that carry a moment: `app.example.r42.asof.` is `app.example.` as of r42.

use std::{net::IpAddr, str::FromStr};

use conn3ction_schemas::{Name, RecordType};

use crate::{
    answer::{answer_without_ds, size_limit},
    store::{View, labels},
    wire::{Message, Owner, Parsed, Query, Rcode, parse},
};

use super::{
    History, Refusal, Reply,
    options::Options,
    origin,
    rewrite::{self, Below},
};

/// The name under which names carry moments, `asof.` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix(Name);

/// The name cannot be a suffix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no name for moments: {0:?}; write one of at least one label, such as `asof.`")]
pub struct BadSuffix(String);

/// A question below the suffix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stripped {
    /// Where the label of the moment starts; where the suffix does if there is none.
    pub(super) moment_at: usize,
    pub(super) suffix_at: usize,
}

/// Why an answer cannot be given.
pub(super) const NO_ROOM: &str = "a name of the answer has no room for the moment";

/// A type that no zone can hold: it asks for an owner's aliases and existence alone.
const NO_TYPE: RecordType = RecordType(65535);

impl FromStr for Suffix {
    type Err = BadSuffix;

    fn from_str(text: &str) -> Result<Self, BadSuffix> {
        let name: Option<Name> = text.parse().ok();
        // The root as a suffix would take every name.
        name.filter(|name| name.label_count() > 0).map(Self).ok_or_else(|| BadSuffix(text.to_owned()))
    }
}

impl Default for Suffix {
    fn default() -> Self {
        const ASOF: &[u8] = b"\x04asof\x00";
        match Name::from_wire(ASOF) {
            Ok(name) => Self(name),
            Err(error) => unreachable!("a sound name: {error}"),
        }
    }
}

impl Suffix {
    /// Where the moment stands in the name of `query`, if that is at or below the suffix.
    pub(super) fn strip(&self, query: &Query<'_>) -> Option<Stripped> {
        let (name, suffix) = (query.name(), self.0.as_wire());
        if !name.ends_with(suffix) {
            return None;
        }
        let suffix_at = name.len() - suffix.len();
        let (starts, count) = labels::starts(&name[..name.len() - 1]);
        // The octets of the suffix might also end a longer label.
        let nth = starts[..count].iter().position(|start| usize::from(*start) == suffix_at)?;
        let moment_at = nth.checked_sub(1).map_or(suffix_at, |before| starts[before].into());
        Some(Stripped { moment_at, suffix_at })
    }
}

impl Stripped {
    /// The text of the moment in `name`, the name asked for; `None` at the suffix itself.
    pub(super) fn moment<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        name.get(self.moment_at + 1..self.suffix_at)
    }

    /// `name` without moment and suffix.
    pub(super) fn inner(&self, name: &[u8]) -> Vec<u8> {
        [&name[..self.moment_at], &[0]].concat()
    }
}

/// Answers a question below the suffix.
pub(super) fn answer(
    history: &History,
    peer: IpAddr,
    reply: &Reply<'_>,
    named: &Stripped,
    out: &mut [u8],
) -> Result<Option<usize>, Refusal> {
    let name = reply.query.name();
    if !history.allow.contains(peer) {
        return Err(Refusal::prohibited());
    }
    let Some(text) = named.moment(name) else {
        return Ok(empty(reply, named, Rcode::NoError, &Options::default(), out));
    };
    let moment = history.moment(peer, text)?;
    let inner = named.inner(name);
    let is_final = moment.is_final;
    let (view, version) = moment.settled_at(&inner, reply.query.qtype);
    // A name above one of our zones exists (RFC 8020), for a resolver may come label by label (RFC 9156), whatever a shorter
    // zone without a delegation there says of it. Nobody's event made it so.
    let exists = || inner.len() == 1 || view.has_zone_below(&inner);
    if view.zone_of_wire(&inner).is_none() {
        let exists = exists();
        let rcode = if exists { Rcode::NoError } else { Rcode::NxDomain };
        return Ok(empty(reply, named, rcode, &Options::default(), out));
    }
    let mut options = Options::default();
    if reply.query.edns.is_some() {
        let cause = origin::of(&view, version.unwrap_or(view.version()), &inner, reply.query.qtype);
        history.tell(version, is_final, cause, &mut options);
    }
    let answered = live(&view, reply, &inner);
    let is_name_error = answered.get(3).is_some_and(|flags| Rcode::from_header(*flags) == Rcode::NxDomain);
    if is_name_error && exists() {
        return Ok(empty(reply, named, Rcode::NoError, &options, out));
    }
    let Some(short) = limit(reply, &options, out) else { return Ok(None) };
    let Some(message) = Message::start(short, reply.packet, reply.query, usize::MAX, reply.transport.udp_size()) else {
        return Ok(None);
    };
    let below = Below { view: &view, moment: &name[named.moment_at..] };
    match rewrite::rewrite(&answered, message, &below, reply.query) {
        Ok(octets) => Ok(Some(options.append(out, octets))),
        Err(rewrite::TooLong) => Err(Refusal::failed(NO_ROOM.into())),
    }
}

/// The answer for `inner` from `view`, whole.
fn live(view: &View, reply: &Reply<'_>, inner: &[u8]) -> Vec<u8> {
    let mut packet = reply.packet[..12].to_vec();
    packet[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(inner);
    let qtype = match reply.query.qtype {
        // The parent speaks for it.
        RecordType::DS => RecordType::DS,
        qtype if rewrite::is_left_out(qtype) => NO_TYPE,
        qtype => qtype,
    };
    packet.extend_from_slice(&qtype.0.to_be_bytes());
    packet.extend_from_slice(&reply.query.qclass.to_be_bytes());
    let mut out = vec![0; 65_535];
    let octets = match parse(&packet) {
        Parsed::Query(query) => answer_without_ds(view, &packet, &query, &mut out),
        Parsed::Silence | Parsed::Refused(_) => None,
    };
    out.truncate(octets.unwrap_or(0));
    out
}

/// An answer without records but the SOA of the suffix.
fn empty(reply: &Reply<'_>, named: &Stripped, rcode: Rcode, options: &Options, out: &mut [u8]) -> Option<usize> {
    let short = limit(reply, options, out)?;
    let mut message = Message::start(short, reply.packet, reply.query, usize::MAX, reply.transport.udp_size())?;
    message.set_authoritative(true);
    let owner = Owner::At(12 + named.suffix_at);
    let is_apex = named.suffix_at == 0;
    let written = match reply.query.qtype {
        RecordType::NS if is_apex => {
            message.section(Message::ANSWER);
            message.put_record(owner, RecordType::NS, 0, &[LOCALHOST])
        }
        qtype => {
            message.section(if is_apex && qtype == RecordType::SOA { Message::ANSWER } else { Message::AUTHORITY });
            message.put_record(owner, RecordType::SOA, 0, &[LOCALHOST, b"\x0ahostmaster", LOCALHOST, &[0; 20]])
        }
    };
    if written.is_err() {
        message.set_truncated();
    }
    let octets = message.finish(rcode);
    Some(options.append(out, octets))
}

/// Nobody else answers for the suffix; the name is a default of ours (`localhost.`, RFC 6761).
const LOCALHOST: &[u8] = b"\x09localhost\x00";

fn limit<'o>(reply: &Reply<'_>, options: &Options, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
    let limit = size_limit(reply.transport, reply.query).min(out.len());
    out.get_mut(..limit.checked_sub(options.len())?)
}
