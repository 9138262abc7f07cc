//! A ledger on its way to another place: a CBOR sequence (RFC 8742) of its events with their bodies.
//!
//! Each event is `[header, salt, number of chunks]`, then its chunks, so nobody holds a whole large body; at the end stands
//! `[revision, hash]` of the last. `schemas/event.cddl` has the form. Whoever takes it in checks every link and every body, and
//! appends an event once the next one, or the end, names its hash.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use conn3ction_schemas::{
    Revision,
    event::{BodyDigest, FormError, Hash, Salt, SealedHeader},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use minicbor::{Decoder, Encoder, data::Type};
use uuid::Uuid;

use crate::{
    AppendError, Batch, Body, Chunks, Event, Head, Ledger, ReadError,
    chain::{self, Chain},
    committer::{FULL_BYTES, MAX_EVENTS},
    verify::missing,
};

/// The media type of an export (RFC 8742 section 6.1).
pub const MEDIA_TYPE: &str = "application/cbor-seq";

/// Octets of events read from the ledger at once.
const READ_BYTES: usize = 1 << 20;
/// How many items that are ready go out together.
const ITEMS_AT_ONCE: usize = 64;
/// A larger item is none of ours: a chunk has 256 KiB, a header names as many zones as fit an append.
const MAX_ITEM_BYTES: usize = 16 << 20;

/// The events after `after` up to `to`, in pieces as they can be sent. Ends with an error where the ledger is damaged, and
/// never leaves an event out.
pub fn export(ledger: Arc<dyn Ledger>, after: Revision, to: Revision) -> BoxStream<'static, Result<Bytes, ReadError>> {
    let reading = Arc::clone(&ledger);
    let begun = stream::once(async move { stand_at(&*reading, after).await.map(|chain| (reading, chain)) });
    let lots = begun.map_ok(move |(ledger, chain)| {
        stream::try_unfold(Some(chain), move |chain| {
            let ledger = Arc::clone(&ledger);
            async move {
                let Some(chain) = chain else { return Ok(None) };
                if chain.revision() < to {
                    let (events, chain) = next(&*ledger, chain, to).await?;
                    return Ok(Some((Lot::Events(events), Some(chain))));
                }
                Ok(Some((Lot::End(chain.revision(), chain.hash().unwrap_or_default()), None)))
            }
        })
    });
    let items = lots.try_flatten().map_ok(move |lot| items(&ledger, lot)).try_flatten();
    items.try_ready_chunks(ITEMS_AT_ONCE).map_ok(|items| Bytes::from(items.concat())).map_err(|error| error.1).boxed()
}

/// The chain right behind the event `after`.
async fn stand_at(ledger: &dyn Ledger, after: Revision) -> Result<Chain, ReadError> {
    let Some(before) = after.0.checked_sub(1) else { return Ok(Chain::at(Revision::ZERO)) };
    Ok(next(ledger, Chain::at(Revision(before)), after).await?.1)
}

/// The next events up to `to`, at least one, and the chain behind them.
async fn next(ledger: &dyn Ledger, mut chain: Chain, to: Revision) -> Result<(Vec<Arc<Event>>, Chain), ReadError> {
    let mut events = ledger.read(chain.revision(), READ_BYTES).await?;
    events.retain(|event| event.revision() <= to);
    if events.is_empty() {
        return Err(missing(chain.revision().next()));
    }
    events.iter().try_for_each(|event| chain.check(event))?;
    Ok((events, chain))
}

enum Lot {
    Events(Vec<Arc<Event>>),
    End(Revision, Hash),
}

fn items(ledger: &Arc<dyn Ledger>, lot: Lot) -> BoxStream<'static, Result<Vec<u8>, ReadError>> {
    match lot {
        Lot::Events(events) => {
            let ledger = Arc::clone(ledger);
            stream::iter(events).flat_map(move |event| items_of(&*ledger, event)).boxed()
        }
        Lot::End(revision, hash) => {
            let end = item(|e| e.array(2)?.u64(revision.0)?.bytes(&hash.0)?.ok());
            stream::iter([Ok(end)]).boxed()
        }
    }
}

/// One event's items.
fn items_of(ledger: &dyn Ledger, event: Arc<Event>) -> BoxStream<'static, Result<Vec<u8>, ReadError>> {
    let (chunks, body) = match &event.body {
        Body::Inline(chunks) => (chunks.len() as u64, stream::iter(chunks.clone().into_iter().map(Ok)).boxed()),
        Body::Parts { count, .. } => (u64::from(*count), ledger.body(Arc::clone(&event))),
    };
    let first = item(|e| e.array(3)?.bytes(event.header.octets())?.bytes(&event.salt.0)?.u64(chunks)?.ok());
    stream::iter([Ok(first)]).chain(body.map_ok(|chunk| item(|e| e.bytes(&chunk)?.ok()))).boxed()
}

fn item(
    write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>,
) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    if write(&mut encoder).is_err() {
        unreachable!("writing to a vector cannot fail");
    }
    encoder.into_writer()
}

/// An item of an export.
#[derive(Debug)]
pub enum Item {
    /// An event begins; so many chunks follow.
    Event(Box<SealedHeader>, Salt, u32),
    /// The next chunk of its body.
    Chunk(Bytes),
    /// All came; this is the last event's hash.
    End(Revision, Hash),
}

/// Takes the items out of octets that come in pieces.
#[derive(Debug, Default)]
pub struct Items(BytesMut);

impl Items {
    /// Adds the next piece.
    pub fn push(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// The next item, if it is there whole.
    ///
    /// # Errors
    ///
    /// What came is no item of an export.
    pub fn take(&mut self) -> Result<Option<Item>, FormError> {
        let mut d = Decoder::new(&self.0);
        match read(&mut d) {
            Ok(item) => {
                let taken = d.position();
                self.0.advance(taken);
                Ok(Some(item))
            }
            Err(Fault::Short) if self.0.len() < MAX_ITEM_BYTES => Ok(None),
            Err(Fault::Short) => Err(FormError::Malformed("an item is longer than any of ours".into())),
            Err(Fault::Form(error)) => Err(error),
        }
    }
}

enum Fault {
    /// The rest is yet to come.
    Short,
    Form(FormError),
}

impl From<minicbor::decode::Error> for Fault {
    fn from(error: minicbor::decode::Error) -> Self {
        if error.is_end_of_input() { Self::Short } else { Self::Form(error.into()) }
    }
}

fn read(d: &mut Decoder<'_>) -> Result<Item, Fault> {
    let malformed = |detail: &str| Fault::Form(FormError::Malformed(detail.into()));
    match d.datatype()? {
        Type::Bytes => Ok(Item::Chunk(Bytes::copy_from_slice(d.bytes()?))),
        Type::Array => match d.array()? {
            Some(3) => {
                let (header, salt, chunks) = (d.bytes()?, d.bytes()?, d.u32()?);
                let salt = salt.try_into().map_err(|_| malformed("a salt has 16 octets"))?;
                let header = SealedHeader::decode(Bytes::copy_from_slice(header)).map_err(Fault::Form)?;
                Ok(Item::Event(Box::new(header), Salt(salt), chunks))
            }
            Some(2) => {
                let (revision, hash) = (d.u64()?, d.bytes()?);
                let hash = hash.try_into().map_err(|_| malformed("a hash has 32 octets"))?;
                Ok(Item::End(Revision(revision), Hash(hash)))
            }
            _ => Err(malformed("an array of an export has three members, or two at its end")),
        },
        _ => Err(malformed("an item of an export is an array or a byte string")),
    }
}

/// Why an export was not taken in, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is the export of another ledger than the one that it was to go on.
    #[error("{revision} has the hash {here} here and {there} there: these are two ledgers")]
    Another {
        /// The last revision of the copy.
        revision: Revision,
        /// Its hash in the copy.
        here: Hash,
        /// Its hash in the export.
        there: Hash,
    },
    /// What came is no export.
    #[error("what follows {after} is no export of a ledger")]
    Form {
        /// The last event that came whole.
        after: Revision,
        /// Why.
        #[source]
        source: FormError,
    },
    /// An event is not the next one, or its body not the one that its header names.
    #[error(transparent)]
    Damaged(ReadError),
    /// It ended before its end.
    #[error("the export broke off after {after}")]
    BrokenOff {
        /// The copy's last event.
        after: Revision,
    },
    /// The copy cannot be read.
    #[error("reading the copy")]
    Read(#[source] ReadError),
    /// The copy cannot be written.
    #[error("writing the copy")]
    Append(#[source] AppendError),
}

impl From<AppendError> for CopyError {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

/// Takes an export in at the end of a ledger that nobody else writes.
///
/// What was appended stays, whatever becomes of the rest; another copier goes on from there.
pub struct Copier<'l> {
    ledger: &'l dyn Ledger,
    /// What is appended.
    head: Head,
    /// Where the export stands; at first right before the head's own event, which must come again.
    chain: Chain,
    items: Items,
    coming: Option<Coming>,
    /// Whole events; the last of them is not yet known to be what was exported.
    waiting: Vec<Arc<Event>>,
    waiting_bytes: usize,
    has_ended: bool,
}

/// An event whose chunks are not all here.
struct Coming {
    header: SealedHeader,
    salt: Salt,
    digest: BodyDigest,
    /// Chunks yet to come.
    missing: u32,
    /// Those that are neither staged nor given away.
    chunks: Chunks,
    bytes: usize,
    id: Uuid,
    staged: u32,
}

impl<'l> Copier<'l> {
    /// Stands at the end of `ledger`.
    ///
    /// # Errors
    ///
    /// [`CopyError::Read`].
    pub async fn at_end_of(ledger: &'l dyn Ledger) -> Result<Self, CopyError> {
        let head = ledger.head().await.map_err(CopyError::Read)?;
        let chain = Chain::at(Revision(head.revision.0.saturating_sub(1)));
        let (items, waiting) = (Items::default(), Vec::new());
        Ok(Self { ledger, head, chain, items, coming: None, waiting, waiting_bytes: 0, has_ended: false })
    }

    /// What the export must begin after: the head's own event comes again, so that nothing goes on another ledger.
    pub fn after(&self) -> Revision {
        self.chain.revision()
    }

    /// The copy's end; what still waits is not in it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Takes the next octets.
    ///
    /// # Errors
    ///
    /// [`CopyError`]. The copy ends with the last event that was appended.
    pub async fn take(&mut self, octets: &[u8]) -> Result<(), CopyError> {
        self.items.push(octets);
        while let Some(item) = self.items.take().map_err(|source| self.malformed(source))? {
            match (item, self.coming.take()) {
                (Item::Event(header, salt, missing), None) if !self.has_ended => {
                    let (digest, id) = (BodyDigest::new(&salt), Uuid::new_v4());
                    let header = *header;
                    self.coming =
                        Some(Coming { header, salt, digest, missing, chunks: Chunks::new(), bytes: 0, id, staged: 0 });
                }
                (Item::Chunk(chunk), Some(mut coming)) if coming.missing > 0 => {
                    coming.missing -= 1;
                    coming.digest.chunk(&chunk);
                    coming.bytes += chunk.len();
                    coming.chunks.push(chunk);
                    if coming.bytes > FULL_BYTES || coming.chunks.len() >= ITEMS_AT_ONCE {
                        coming.stage(self.ledger).await?;
                    }
                    self.coming = Some(coming);
                }
                (Item::End(revision, hash), None) if !self.has_ended => self.end(revision, hash)?,
                _ => return Err(self.malformed(FormError::Malformed("an item out of turn".into()))),
            }
            if let Some(whole) = self.coming.take_if(|coming| coming.missing == 0) {
                self.add(whole).await?;
            }
        }
        Ok(())
    }

    /// Appends what still waits; the export has ended.
    ///
    /// # Errors
    ///
    /// [`CopyError`].
    pub async fn finish(mut self) -> Result<Head, CopyError> {
        if !self.has_ended {
            // It may not be the event that was exported.
            self.waiting.pop();
        }
        self.append().await?;
        match self.has_ended {
            false => Err(CopyError::BrokenOff { after: self.head.revision }),
            true if self.items.0.is_empty() => Ok(self.head),
            true => Err(self.malformed(FormError::Malformed("something follows the end".into()))),
        }
    }

    fn end(&mut self, revision: Revision, hash: Hash) -> Result<(), CopyError> {
        if self.chain.revision() != revision || self.chain.hash().unwrap_or_default() != hash {
            let revision = self.chain.revision();
            let detail = "it is not the event that the export ends with".into();
            return Err(CopyError::Damaged(ReadError::Damaged { revision, detail }));
        }
        self.has_ended = true;
        Ok(())
    }

    async fn add(&mut self, mut coming: Coming) -> Result<(), CopyError> {
        if coming.staged > 0 {
            coming.stage(self.ledger).await?;
        }
        let body = match coming.staged {
            0 => Body::Inline(coming.chunks),
            count => Body::Parts { id: coming.id, count },
        };
        let event = Event { header: coming.header, salt: coming.salt, body };
        let revision = self.chain.revision().next();
        if coming.digest.finish() != event.header.fixed().body_digest {
            return Err(CopyError::Damaged(chain::wrong_body(revision)));
        }
        self.chain.link(&event).map_err(CopyError::Damaged)?;
        if revision <= self.head.revision {
            let (here, there) = (self.head.hash, event.header.hash());
            return if here == there { Ok(()) } else { Err(CopyError::Another { revision, here, there }) };
        }
        if self.waiting.len() >= MAX_EVENTS || self.waiting_bytes >= FULL_BYTES {
            self.append().await?;
        }
        self.waiting_bytes += event.size();
        self.waiting.push(Arc::new(event));
        Ok(())
    }

    async fn append(&mut self) -> Result<(), CopyError> {
        if !self.waiting.is_empty() {
            let events = std::mem::take(&mut self.waiting);
            let batch = Batch { id: Uuid::new_v4(), events, closed: self.head.closed };
            self.head = self.ledger.append(&self.head, &batch).await?;
            self.waiting_bytes = 0;
        }
        Ok(())
    }

    fn malformed(&self, source: FormError) -> CopyError {
        CopyError::Form { after: self.chain.revision(), source }
    }
}

impl Coming {
    /// Gives the chunks in hand to the ledger.
    async fn stage(&mut self, ledger: &dyn Ledger) -> Result<(), AppendError> {
        for chunk in std::mem::take(&mut self.chunks) {
            ledger.stage(self.id, self.staged, chunk).await?;
            self.staged += 1;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Copier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copier").field("head", &self.head).field("chain", &self.chain).finish_non_exhaustive()
    }
}
