//! Zone transfer (RFC 5936): out, by address list; in by [`pull`].
//!
//! A transfer streams from one [`View`]: however long it takes, the receiver gets one version of the zone. IXFR is
//! answered as RFC 1995 section 4 allows to who has no differences at hand: the whole zone, or only the SOA record if the
//! asker is up to date.

mod incoming;
mod packer;
mod pull;
mod request;

use crate::{
    server::{access::AddressList, counters::Counters},
    store::{View, ZoneView},
};
use conn3ction_schemas::{Name, RecordType, Serial, SetKey, Ttl};
pub use incoming::{BadAnswer, Incoming};
use packer::Packer;
pub use pull::{Limits, PullError, apex_of, pull};
use request::Asked;
pub(crate) use request::Request;
use std::{io, net::IpAddr, sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore, time::timeout};

/// Transfers under way at once; more wait their turn. Refusals never wait.
const AT_ONCE: usize = 32;

/// Who may pull zones, and how many at once.
pub(crate) struct Transfers {
    allow: AddressList,
    quota: Semaphore,
}

/// The client of a transfer over TCP.
pub(crate) struct Sink<'a> {
    pub(crate) stream: &'a mut TcpStream,
    /// How long the client may take for one message.
    pub(crate) limit: Duration,
    /// Called after every message that the client took.
    pub(crate) moved: &'a (dyn Fn() + Send + Sync),
}

/// What a request gets.
enum Reply<'a> {
    Refusal(Rcode),
    /// The asker is up to date.
    Soa(Soa<'a>),
    Whole(ZoneView<'a>, Soa<'a>),
}

/// The record that a transfer begins and ends with.
struct Soa<'a> {
    apex: &'a Name,
    ttl: Ttl,
    rdata: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Rcode {
    FormErr = 1,
    Refused = 5,
    NotAuth = 9,
}

/// Whether `message` asks for a whole zone, or for what is new in it.
pub fn asks_for_transfer(message: &[u8]) -> bool {
    Request::parse(message).is_some()
}

impl Transfers {
    pub(crate) fn new(allow: AddressList) -> Self {
        Self { allow, quota: Semaphore::new(AT_ONCE) }
    }

    /// Answers `request` from `peer` over TCP with what `view` shows.
    pub(crate) async fn serve(
        &self,
        request: &Request,
        peer: IpAddr,
        view: &View,
        counters: &Counters,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        match self.reply(request, peer, view) {
            Reply::Refusal(rcode) => {
                counters.transfers_refused.fetch_add(1, Relaxed);
                tracing::info!(%peer, ?rcode, "zone transfer refused");
                let message = refusal(request, rcode);
                sink.send(&[&(message.len() as u16).to_be_bytes(), &message[..]].concat()).await
            }
            Reply::Soa(soa) => {
                let mut packer = Packer::new(request);
                soa.push(&mut packer);
                sink.send(&packer.take(request.edns)).await
            }
            Reply::Whole(zone, soa) => {
                let Ok(_turn) = self.quota.acquire().await else { return Ok(()) };
                stream(request, &zone, &soa, sink).await?;
                counters.transfers.fetch_add(1, Relaxed);
                tracing::info!(%peer, zone = %zone.apex(), serial = %zone.serial(), "zone transferred");
                Ok(())
            }
        }
    }

    /// Answers `request` from `peer` over UDP: an IXFR with our SOA, from which the asker sees whether to come again
    /// over TCP (RFC 1995 section 2); AXFR is not defined there (RFC 5936 section 4.2).
    pub(crate) fn serve_udp(&self, request: &Request, peer: IpAddr, view: &View, out: &mut [u8]) -> Option<usize> {
        let message = match (self.reply(request, peer, view), &request.asked) {
            (Reply::Soa(soa) | Reply::Whole(_, soa), Asked::Ixfr(..)) => {
                let mut packer = Packer::new(request);
                soa.push(&mut packer);
                packer.take(request.edns).split_off(2)
            }
            (Reply::Soa(_) | Reply::Whole(..), Asked::Axfr(_) | Asked::Malformed | Asked::OtherClass) => {
                refusal(request, Rcode::Refused)
            }
            (Reply::Refusal(rcode), _) => refusal(request, rcode),
        };
        out.get_mut(..message.len())?.copy_from_slice(&message);
        Some(message.len())
    }

    fn reply<'a>(&self, request: &Request, peer: IpAddr, view: &'a View) -> Reply<'a> {
        // Strangers learn nothing, not even which zones there are.
        if !self.allow.contains(peer) {
            return Reply::Refusal(Rcode::Refused);
        }
        let (name, known) = match &request.asked {
            Asked::Axfr(name) => (name, None),
            Asked::Ixfr(name, serial) => (name, Some(*serial)),
            Asked::Malformed => return Reply::Refusal(Rcode::FormErr),
            Asked::OtherClass => return Reply::Refusal(Rcode::NotAuth),
        };
        // No command leaves a zone without a SOA; if one is, there is nothing to begin a transfer with.
        let zone = view.zone(name).and_then(|zone| Some((zone, Soa::of(&zone)?)));
        match zone {
            None => Reply::Refusal(Rcode::NotAuth),
            Some((zone, soa)) if known.is_some_and(|known: Serial| known >= zone.serial()) => Reply::Soa(soa),
            Some((zone, soa)) => Reply::Whole(zone, soa),
        }
    }
}

impl Sink<'_> {
    async fn send(&mut self, framed: &[u8]) -> io::Result<()> {
        timeout(self.limit, self.stream.write_all(framed)).await??;
        (self.moved)();
        Ok(())
    }
}

/// The whole zone: SOA, everything else (glue and occluded records too, RFC 5936 section 3), SOA.
async fn stream(request: &Request, zone: &ZoneView<'_>, soa: &Soa<'_>, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut packer = Packer::new(request);
    let mut opt = request.edns;
    soa.push(&mut packer);
    for owner in zone.owners() {
        let name = owner.name();
        for set in owner.sets() {
            if set.key().rtype == RecordType::SOA {
                continue;
            }
            for rdata in set.rdata() {
                if packer.is_full_for(name.as_wire(), &rdata) {
                    sink.send(&packer.take(opt)).await?;
                    opt = false;
                }
                packer.push(name.as_wire(), set.key().rtype, set.ttl(), &rdata);
            }
        }
    }
    soa.push(&mut packer);
    sink.send(&packer.take(opt)).await
}

impl<'a> Soa<'a> {
    /// The SOA as the zone shows it now.
    fn of(zone: &ZoneView<'a>) -> Option<Self> {
        let owner = zone.owner(zone.apex())?;
        let set = owner.set(SetKey::of(RecordType::SOA))?;
        let rdata = set.rdata().next()?.into_owned();
        Some(Self { apex: zone.apex(), ttl: set.ttl(), rdata })
    }

    fn push(&self, packer: &mut Packer) {
        packer.push(self.apex.as_wire(), RecordType::SOA, self.ttl, &self.rdata);
    }
}

/// A reply of header and question only.
fn refusal(request: &Request, rcode: Rcode) -> Vec<u8> {
    let [id_high, id_low, flags, _] = request.header;
    let mut message = vec![id_high, id_low, 0x80 | flags & 1, rcode as u8, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&request.question);
    message
}
