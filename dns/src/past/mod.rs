//! Questions about the past: EDNS option 65353, names under `asof.`, and which version of a zone answers (RFC 9660).
//!
//! Two ways to ask, one way to answer: the moment becomes a [`View`], and the live code answers from it. A name such as
//! `app.example.r42.asof.` is answered as `app.example.` and then rewritten, so that a resolver can follow it.
//!
//! Only those on the list may ask: the past can hold what was meant to be gone. Whoever forwards without knowing of the
//! option caches without it, so with RD set every TTL is 0.

mod asof;
mod options;
mod origin;
mod rewrite;
mod transfer;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use conn3ction_schemas::{RecordType, Timestamp, Token, When};

use crate::{
    answer::{Transport, answer_query, size_limit},
    server::AddressList,
    store::{Version, View, ZoneView, touch::touch},
    wire::{Message, Parsed, Query, Rcode, header_only, parse},
};
use options::{Asked, ExtendedError, Options};

pub(crate) use crate::store::touch::LOT;
pub use asof::{BadSuffix, Suffix};
pub(crate) use rewrite::{Below, TooLong, is_left_out};
pub(crate) use transfer::{Transferred, transferred};

/// Finds moments and says who made an event. The application gives it, for it knows the ledger; neither call may wait.
pub trait Moments: Send + Sync {
    /// The zones as they stood at `when`.
    ///
    /// # Errors
    ///
    /// [`NoMoment`] if it cannot be asked.
    fn find(&self, when: When) -> Result<Moment, NoMoment>;

    /// Who published `version`, when and why; `None` if that is not at hand.
    fn event(&self, version: Version) -> Option<EventNote>;

    /// When `version` took effect, which every answer about the past says.
    fn time(&self, version: Version) -> Option<Timestamp> {
        self.event(version).map(|note| note.time)
    }
}

/// A moment that can be answered for.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The zones at that moment.
    pub view: View,
    /// The version asked for; for a point in time each zone has its own.
    pub version: Option<Version>,
    /// Whether nothing can be added to that moment any more.
    pub is_final: bool,
}

/// Why a moment cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoMoment(pub Cow<'static, str>);

/// An event as an answer tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNote {
    /// Its place in the ledger.
    pub token: Token,
    /// When it took effect.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
}

/// Who may ask about the past, and how.
#[derive(Clone)]
pub struct History {
    /// Finds the moments.
    pub moments: Arc<dyn Moments>,
    /// Who may ask.
    pub allow: AddressList,
    /// The names that carry a moment; `None`: only the option does.
    pub suffix: Option<Suffix>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("allow", &self.allow).field("suffix", &self.suffix).finish_non_exhaustive()
    }
}

/// As [`answer`](crate::answer()) from `live`, but honours questions about the past from those that may ask them.
pub fn answer(
    history: Option<&History>,
    live: &View,
    packet: &[u8],
    peer: IpAddr,
    transport: Transport,
    out: &mut [u8],
) -> Option<usize> {
    Received::read(history, packet, peer).answer(history, live, None, peer, transport, out)
}

/// A message, where its answer goes, and how long that became; `None` asks for silence.
#[derive(Debug, Default)]
pub struct Exchange<'b> {
    /// The message.
    pub packet: &'b [u8],
    /// Who sent it; `None`: nobody who could be answered.
    pub peer: Option<IpAddr>,
    /// Room for the answer.
    pub out: &'b mut [u8],
    /// Octets of the answer.
    pub octets: Option<usize>,
}

/// As [`answer`] for several messages, whose waits for memory overlap.
pub fn answer_all(history: Option<&History>, live: &View, transport: Transport, exchanges: &mut [Exchange<'_>]) {
    for lot in exchanges.chunks_mut(LOT) {
        let mut received = [const { None }; LOT];
        for (received, exchange) in received.iter_mut().zip(lot.iter()) {
            *received = exchange.peer.map(|peer| (Received::read(history, exchange.packet, peer), peer));
        }
        let zones = match lot.len() {
            // Alone it would wait as long here as there.
            1 => [None; LOT],
            _ => touch(&received.each_ref().map(|received| received.as_ref()?.0.looked_up(live))),
        };
        for ((received, zone), exchange) in received.iter().zip(zones).zip(lot) {
            let Some((received, peer)) = received else { continue };
            exchange.octets = received.answer(history, live, zone, *peer, transport, exchange.out);
        }
    }
}

/// A message that was read, and the moment that its option asks for.
struct Received<'q> {
    packet: &'q [u8],
    parsed: Parsed<'q>,
    asked: Asked<'q>,
    moment: Option<Result<Moment, Refusal>>,
}

impl<'q> Received<'q> {
    fn read(history: Option<&History>, packet: &'q [u8], peer: IpAddr) -> Self {
        let parsed = parse(packet);
        let options = match &parsed {
            Parsed::Query(Query { opcode: 0, edns: Some(edns), .. }) => edns.options,
            _ => &[],
        };
        let asked = if options.is_empty() { Asked::default() } else { Asked::read(options) };
        let text = asked.moment.filter(|text| !text.is_empty());
        let moment = history.zip(text).map(|(history, text)| history.moment(peer, text));
        Self { packet, parsed, asked, moment }
    }

    /// The name that is looked up, and where.
    fn looked_up<'s>(&'s self, live: &'s View) -> Option<(&'s View, &'s [u8])> {
        let Parsed::Query(query) = &self.parsed else { return None };
        match &self.moment {
            None => Some((live, query.name())),
            Some(Ok(moment)) => Some((&moment.view, query.name())),
            Some(Err(_)) => None,
        }
    }

    /// The answer; `zone` is that of the name in the view of [`Received::looked_up`], if it is known.
    fn answer(
        &self,
        history: Option<&History>,
        live: &View,
        zone: Option<ZoneView<'_>>,
        peer: IpAddr,
        transport: Transport,
        out: &mut [u8],
    ) -> Option<usize> {
        let query = match &self.parsed {
            Parsed::Silence => return None,
            Parsed::Refused(rcode) => return header_only(out, self.packet, *rcode),
            Parsed::Query(query) => query,
        };
        let named = history.and_then(|history| history.suffix.as_ref()).and_then(|suffix| suffix.strip(query));
        if query.opcode != 0 || (self.asked.is_nothing() && named.is_none()) {
            return answer_query(live, zone, self.packet, query, transport, out);
        }
        let reply = Reply { packet: self.packet, query, transport, zone };
        match reply.past(history, live, peer, self, named, out) {
            Ok(octets) => octets,
            Err(refused) => reply.refuse(&refused, out),
        }
    }
}

/// A question that gets no answer, with the reason.
#[derive(Debug, Clone)]
struct Refusal {
    rcode: Rcode,
    error: ExtendedError,
}

impl Refusal {
    fn malformed(text: impl Into<Cow<'static, str>>) -> Self {
        Self { rcode: Rcode::FormErr, error: ExtendedError { code: ExtendedError::OTHER, text: text.into() } }
    }

    fn prohibited() -> Self {
        let text = "this address may not ask about the past";
        Self { rcode: Rcode::Refused, error: ExtendedError { code: ExtendedError::PROHIBITED, text: text.into() } }
    }

    fn failed(text: Cow<'static, str>) -> Self {
        Self { rcode: Rcode::ServFail, error: ExtendedError { code: ExtendedError::OTHER, text } }
    }
}

impl Moment {
    /// Its view, and the version that the zone that speaks for `name` shows in it.
    fn settled_at(self, name: &[u8], qtype: RecordType) -> (View, Option<Version>) {
        match self.version {
            Some(version) => (self.view, Some(version)),
            None => self.view.settled_at(name, qtype),
        }
    }
}

impl History {
    /// Says as of which event an answer below the suffix is, and which one gave it.
    fn tell(&self, version: Option<Version>, is_final: bool, cause: Option<Version>, options: &mut Options) {
        let event = |version: Option<Version>| version.and_then(|version| self.moments.event(version));
        if let Some(note) = event(version) {
            options.extended_error(&ExtendedError::of(&note, event(cause).as_ref(), is_final));
        }
    }

    fn moment(&self, peer: IpAddr, text: &[u8]) -> Result<Moment, Refusal> {
        if !self.allow.contains(peer) {
            return Err(Refusal::prohibited());
        }
        let when: When = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Refusal::malformed("not a moment; write r1041, 20261122T101500Z, 40m, 2h, 3d, 1w or now"))?;
        self.moments.find(when).map_err(|NoMoment(why)| Refusal::failed(why))
    }
}

/// What an answer says of where it comes from.
struct Told {
    version: Option<Version>,
    time: Option<Timestamp>,
    is_final: bool,
    /// The event whose text goes along.
    note: Option<EventNote>,
}

struct Reply<'q> {
    packet: &'q [u8],
    query: &'q Query<'q>,
    transport: Transport,
    /// The zone of the name in the view that is answered from, if it is known.
    zone: Option<ZoneView<'q>>,
}

impl Reply<'_> {
    fn past(
        &self,
        history: Option<&History>,
        live: &View,
        peer: IpAddr,
        received: &Received<'_>,
        named: Option<asof::Stripped>,
        out: &mut [u8],
    ) -> Result<Option<usize>, Refusal> {
        let asked = &received.asked;
        if asked.zone_version.is_some_and(|value| !value.is_empty()) {
            return Err(Refusal::malformed("ZONEVERSION in a query is empty (RFC 9660 section 3)"));
        }
        if asked.is_torn {
            return Err(Refusal::malformed("two moments in one question"));
        }
        let Some(history) = history else {
            return match asked.moment {
                Some([]) | None => Ok(self.plain(live, asked, None, out)),
                Some(_) => Err(Refusal::prohibited()),
            };
        };
        if let Some(named) = named {
            if asked.moment.is_some_and(|moment| !moment.is_empty()) {
                return Err(Refusal::malformed("two moments: one in the name, one in the option"));
            }
            return asof::answer(history, peer, self, &named, out);
        }
        match asked.moment {
            None => Ok(self.plain(live, asked, None, out)),
            Some([]) if !history.allow.contains(peer) => Err(Refusal::prohibited()),
            Some([]) => {
                let origin = origin::of(live, live.version(), self.query.name(), self.query.qtype);
                let note = origin.and_then(|version| history.moments.event(version));
                let time = note.as_ref().map(|note| note.time);
                let told = Told { version: origin, time, is_final: true, note };
                Ok(self.plain(live, asked, Some(told), out))
            }
            Some(_) => {
                let Some(moment) = &received.moment else { return Err(Refusal::prohibited()) };
                let moment = moment.as_ref().map_err(Refusal::clone)?;
                let settled;
                let (view, version) = match (moment.version, self.zone) {
                    (Some(version), _) => (&moment.view, Some(version)),
                    (None, Some(zone)) if self.query.qtype != RecordType::DS => (&moment.view, Some(zone.version())),
                    (None, _) => {
                        settled = moment.view.clone().settled_at(self.query.name(), self.query.qtype);
                        (&settled.0, settled.1)
                    }
                };
                let time = version.and_then(|version| history.moments.time(version));
                let told = Told { version, time, is_final: moment.is_final, note: None };
                Ok(self.plain(view, asked, Some(told), out))
            }
        }
    }

    /// The answer from `view`, with the options that were asked for.
    fn plain(&self, view: &View, asked: &Asked<'_>, told: Option<Told>, out: &mut [u8]) -> Option<usize> {
        let mut options = Options::default();
        let is_past = asked.moment.is_some_and(|moment| !moment.is_empty());
        if let Some(told) = told {
            options.moment(told.version, told.time, told.is_final);
            if let Some(note) = &told.note {
                options.extended_error(&ExtendedError::of(note, None, told.is_final));
            }
        }
        if asked.zone_version.is_some() {
            options.zone_version(view, self.query.name());
        }
        let limit = size_limit(self.transport, self.query).min(out.len());
        let octets = answer_query(
            view,
            self.zone,
            self.packet,
            self.query,
            self.transport,
            out.get_mut(..limit.checked_sub(options.len())?)?,
        )?;
        if is_past && self.packet[2] & 1 != 0 {
            rewrite::zero_ttls(&mut out[..octets]);
        }
        Some(options.append(out, octets))
    }

    /// Header, question and reason.
    fn refuse(&self, refusal: &Refusal, out: &mut [u8]) -> Option<usize> {
        let limit = size_limit(self.transport, self.query).min(out.len());
        let mut options = Options::default();
        if self.query.edns.is_some() {
            options.extended_error(&refusal.error);
        }
        let short = out.get_mut(..limit.checked_sub(options.len())?)?;
        let octets =
            Message::start(short, self.packet, self.query, limit, self.transport.udp_size())?.finish(refusal.rcode);
        Some(options.append(out, octets))
    }
}

#[cfg(test)]
mod tests;
