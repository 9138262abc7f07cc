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
    past::{Below, TooLong, Transferred, is_left_out},
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
    ServFail = 2,
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

    /// Answers `request` from `peer` over TCP with what `of` shows.
    pub(crate) async fn serve(
        &self,
        request: &Request,
        peer: IpAddr,
        of: &Transferred,
        counters: &Counters,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        match self.reply(request, peer, of.view(), of.zone()) {
            Reply::Refusal(rcode) => {
                counters.transfers_refused.fetch_add(1, Relaxed);
                tracing::info!(%peer, ?rcode, "zone transfer refused");
                let message = refusal(request, rcode);
                sink.send(&[&(message.len() as u16).to_be_bytes(), &message[..]].concat()).await
            }
            Reply::Soa(soa) => match Stream::new(request, of, sink).last(&soa).await {
                Err(Ended::NoRoom) => no_room(request, sink).await,
                Err(Ended::Broken(error)) => Err(error),
                Ok(()) => Ok(()),
            },
            Reply::Whole(zone, soa) => {
                let Ok(_turn) = self.quota.acquire().await else { return Ok(()) };
                match Stream::new(request, of, sink).whole(&zone, &soa).await {
                    Err(Ended::NoRoom) => return no_room(request, sink).await,
                    Err(Ended::Broken(error)) => return Err(error),
                    Ok(()) => {}
                }
                counters.transfers.fetch_add(1, Relaxed);
                tracing::info!(%peer, zone = %zone.apex(), serial = %zone.serial(), "zone transferred");
                Ok(())
            }
        }
    }

    /// Answers `request` from `peer` over UDP: an IXFR with our SOA, from which the asker sees whether to come again
    /// over TCP (RFC 1995 section 2); AXFR is not defined there (RFC 5936 section 4.2).
    pub(crate) fn serve_udp(&self, request: &Request, peer: IpAddr, view: &View, out: &mut [u8]) -> Option<usize> {
        let message = match (self.reply(request, peer, view, None), &request.asked) {
            (Reply::Soa(soa) | Reply::Whole(_, soa), Asked::Ixfr(..)) => {
                let mut packer = Packer::new(request);
                packer.push(soa.apex.as_wire(), RecordType::SOA, soa.ttl, &soa.rdata);
                packer.take(request.edns.then_some(&[])).split_off(2)
            }
            (Reply::Soa(_) | Reply::Whole(..), Asked::Axfr(_) | Asked::Malformed | Asked::OtherClass) => {
                refusal(request, Rcode::Refused)
            }
            (Reply::Refusal(rcode), _) => refusal(request, rcode),
        };
        out.get_mut(..message.len())?.copy_from_slice(&message);
        Some(message.len())
    }

    /// `zone`: the one that is meant, if it is not that of the question.
    fn reply<'a>(&self, request: &Request, peer: IpAddr, view: &'a View, zone: Option<&Name>) -> Reply<'a> {
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
        let zone = view.zone(zone.unwrap_or(name)).and_then(|zone| Some((zone, Soa::of(&zone)?)));
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

/// Why a transfer ends before its last SOA.
enum Ended {
    /// A name has no room below the moment's.
    NoRoom,
    /// The client left or was too slow.
    Broken(io::Error),
}

impl From<TooLong> for Ended {
    fn from(TooLong: TooLong) -> Self {
        Self::NoRoom
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// The records of an answer on their way into messages, moved below a moment's name if the question was.
struct Stream<'a, 's> {
    packer: Packer,
    below: Option<Below<'a>>,
    /// The options of the OPT record that the next message carries.
    opt: Option<&'a [u8]>,
    sink: &'a mut Sink<'s>,
}

impl<'a, 's> Stream<'a, 's> {
    fn new(request: &Request, of: &'a Transferred, sink: &'a mut Sink<'s>) -> Self {
        let opt = request.edns.then(|| of.options());
        Self { packer: Packer::new(request), below: of.below(), opt, sink }
    }

    /// The SOA, which ends what is sent.
    async fn last(mut self, soa: &Soa<'_>) -> Result<(), Ended> {
        self.push(soa.apex, RecordType::SOA, soa.ttl, &soa.rdata).await?;
        Ok(self.send().await?)
    }

    /// The whole zone: SOA, everything else (glue and occluded records too, RFC 5936 section 3), SOA.
    async fn whole(mut self, zone: &ZoneView<'_>, soa: &Soa<'_>) -> Result<(), Ended> {
        self.push(soa.apex, RecordType::SOA, soa.ttl, &soa.rdata).await?;
        for owner in zone.owners() {
            let name = owner.name();
            for set in owner.sets() {
                let rtype = set.key().rtype;
                if rtype == RecordType::SOA || (self.below.is_some() && is_left_out(rtype)) {
                    continue;
                }
                for rdata in set.rdata() {
                    self.push(&name, rtype, set.ttl(), &rdata).await?;
                }
            }
        }
        self.last(soa).await
    }

    async fn push(&mut self, owner: &Name, rtype: RecordType, ttl: Ttl, rdata: &[u8]) -> Result<(), Ended> {
        match &self.below {
            None => self.pack(owner.as_wire(), rtype, ttl, rdata).await?,
            Some(below) => {
                let (owner, rdata) = (below.owner(owner.as_wire())?, below.rdata(rtype, rdata)?);
                self.pack(&owner, rtype, Ttl::ZERO, &rdata).await?;
            }
        }
        Ok(())
    }

    async fn pack(&mut self, owner: &[u8], rtype: RecordType, ttl: Ttl, rdata: &[u8]) -> io::Result<()> {
        if self.packer.is_full_for(owner, rdata) {
            self.send().await?;
        }
        self.packer.push(owner, rtype, ttl, rdata);
        Ok(())
    }

    async fn send(&mut self) -> io::Result<()> {
        let framed = self.packer.take(self.opt.take());
        self.sink.send(&framed).await
    }
}

/// Ends a transfer: a name has no room below the moment's.
async fn no_room(request: &Request, sink: &mut Sink<'_>) -> io::Result<()> {
    let options = Transferred::no_room();
    let mut framed = Packer::new(request).take(request.edns.then(|| options.octets()));
    framed[2 + 3] |= Rcode::ServFail as u8;
    sink.send(&framed).await
}

impl<'a> Soa<'a> {
    /// The SOA as the zone shows it now.
    fn of(zone: &ZoneView<'a>) -> Option<Self> {
        let owner = zone.owner(zone.apex())?;
        let set = owner.set(SetKey::of(RecordType::SOA))?;
        let rdata = set.rdata().next()?.into_owned();
        Some(Self { apex: zone.apex(), ttl: set.ttl(), rdata })
    }
}

/// A reply of header and question only.
fn refusal(request: &Request, rcode: Rcode) -> Vec<u8> {
    let [id_high, id_low, flags, _] = request.header;
    let mut message = vec![id_high, id_low, 0x80 | flags & 1, rcode as u8, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&request.question);
    message
}
