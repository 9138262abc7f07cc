//! A ledger on its way to another place: a CBOR sequence (RFC 8742) of its events with their bodies.
//!
//! Each event is `[header, salt, number of chunks]`, then its chunks, so nobody holds a whole large body; at the end stands
//! `[revision, hash, closed]` of the last, or a text that says why there is no more. `schemas/event.cddl` has the form. Whoever takes it in checks every link and every body, and
//! appends an event once the next one, or the end, names its hash.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use conn3ction_schemas::{
    Revision, Timestamp,
    event::{BodyDigest, FormError, Hash, Salt, SealedHeader, chunk::MAX_OCTETS},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream, TryReadyChunksError},
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
/// How many items that are ready go out together: at most 2 MiB.
const ITEMS_AT_ONCE: usize = 8;
/// A larger item is none of ours: a chunk has 256 KiB, a header names as many zones as fit an append.
const MAX_ITEM_BYTES: usize = 16 << 20;
/// Chunks in hand before a body is staged.
const MAX_CHUNKS: usize = 64;

/// The events after `after` up to the end of `head`, in pieces as they can be sent. Where the ledger is damaged it says so and
/// ends; it never leaves an event out.
pub fn export(ledger: Arc<dyn Ledger>, after: Revision, head: Head) -> BoxStream<'static, Result<Bytes, ReadError>> {
    let begun = stream::once(async move {
        let chain = stand_at(&*ledger, after).await?;
        Ok((ledger, head, Some(chain)))
    });
    let lots = begun.map_ok(|begun| {
        stream::try_unfold(begun, |(ledger, head, chain)| async move {
            let Some(chain) = chain else { return Ok(None) };
            if chain.revision() >= head.revision {
                let hash = chain.hash().unwrap_or_default();
                let end = item(|e| e.array(3)?.u64(chain.revision().0)?.bytes(&hash.0)?.i64(head.closed.0)?.ok());
                return Ok(Some((stream::iter([Ok(end)]).boxed(), (ledger, head, None))));
            }
            let (events, chain) = next(&*ledger, chain, head.revision, READ_BYTES).await?;
            let reading = Arc::clone(&ledger);
            let items = stream::iter(events).flat_map(move |event| items_of(&*reading, event)).boxed();
            Ok(Some((items, (ledger, head, Some(chain)))))
        })
    });
    let pieces = lots.try_flatten().try_flatten().try_ready_chunks(ITEMS_AT_ONCE).flat_map(|ready| {
        let (items, fault) = match ready {
            Ok(items) => (items, None),
            Err(TryReadyChunksError(items, error)) => (items, Some(error)),
        };
        let fault = fault.map(|error| match error {
            ReadError::Unavailable(_) => Err(error),
            ReadError::Damaged { .. } | ReadError::Form { .. } => Ok(item(|e| e.str(&error.to_string())?.ok()).into()),
        });
        stream::iter([Ok(Bytes::from(items.concat()))].into_iter().chain(fault))
    });
    pieces.boxed()
}

/// The chain right behind the event `after`.
async fn stand_at(ledger: &dyn Ledger, after: Revision) -> Result<Chain, ReadError> {
    let Some(before) = after.0.checked_sub(1) else { return Ok(Chain::at(Revision::ZERO)) };
    Ok(next(ledger, Chain::at(Revision(before)), after, 1).await?.1)
}

/// The next events up to `to`, at least one, and the chain behind them.
async fn next(
    ledger: &dyn Ledger,
    mut chain: Chain,
    to: Revision,
    max_bytes: usize,
) -> Result<(Vec<Arc<Event>>, Chain), ReadError> {
    let mut events = ledger.read(chain.revision(), max_bytes).await?;
    events.retain(|event| event.revision() <= to);
    if events.is_empty() {
        return Err(missing(chain.revision().next()));
    }
    events.iter().try_for_each(|event| chain.check(event))?;
    Ok((events, chain))
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
    /// All came; this is the last event's hash, and up to when moments are final.
    End(Revision, Hash, Timestamp),
    /// There is more, but it cannot be read.
    Fault(String),
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
        Type::Bytes => match d.bytes()? {
            chunk if (1..=MAX_OCTETS).contains(&chunk.len()) => Ok(Item::Chunk(Bytes::copy_from_slice(chunk))),
            _ => Err(malformed("a chunk has at least one octet and at most 256 KiB")),
        },
        Type::Array => {
            if d.array()? != Some(3) {
                return Err(malformed("an array of an export has three members"));
            }
            if d.datatype()? == Type::Bytes {
                let (header, salt, chunks) = (d.bytes()?, d.bytes()?, d.u32()?);
                let salt = salt.try_into().map_err(|_| malformed("a salt has 16 octets"))?;
                let header = SealedHeader::decode(Bytes::copy_from_slice(header)).map_err(Fault::Form)?;
                return Ok(Item::Event(Box::new(header), Salt(salt), chunks));
            }
            let (revision, hash, closed) = (d.u64()?, d.bytes()?, d.i64()?);
            let hash = hash.try_into().map_err(|_| malformed("a hash has 32 octets"))?;
            Ok(Item::End(Revision(revision), Hash(hash), Timestamp(closed)))
        }
        Type::String => Ok(Item::Fault(d.str()?.to_owned())),
        _ => Err(malformed("an item of an export is an array, a byte string or a text")),
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
    /// The copy has more than the ledger that was exported.
    #[error("the copy has events up to {here}, and the ledger only up to {there}")]
    Ahead {
        /// The last revision of the copy.
        here: Revision,
        /// The last revision of the ledger.
        there: Revision,
    },
    /// The copy was served, and has promised since that no event would come so early.
    #[error(
        "{revision} was stored before moments that the copy has called final since: it was served, and cannot be gone on with"
    )]
    Closed {
        /// The next event.
        revision: Revision,
    },
    /// The ledger that was exported cannot be read any further.
    #[error("the export ends after {after}: {detail}")]
    Original {
        /// The last event that came whole.
        after: Revision,
        /// What it says of itself.
        detail: String,
    },
    /// What came is no export.
    #[error("what follows {after} cannot be read as an export of a ledger")]
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
    Append(#[from] AppendError),
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
    /// Up to when moments are final, once the end has come.
    ended: Option<Timestamp>,
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
        Ok(Self { ledger, head, chain, items, coming: None, waiting, waiting_bytes: 0, ended: None })
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
                (Item::Event(header, salt, missing), None) if self.ended.is_none() => {
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
                    if coming.bytes > FULL_BYTES || coming.chunks.len() >= MAX_CHUNKS {
                        if coming.staged == 0 {
                            self.append_confirmed().await?;
                        }
                        coming.stage(self.ledger).await?;
                    }
                    self.coming = Some(coming);
                }
                (Item::End(revision, hash, closed), None) if self.ended.is_none() => {
                    self.end(revision, hash, closed)?
                }
                (Item::Fault(detail), _) if self.ended.is_none() => {
                    return Err(CopyError::Original { after: self.chain.revision(), detail });
                }
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
        let Some(closed) = self.ended else {
            self.append_confirmed().await?;
            return Err(CopyError::BrokenOff { after: self.head.revision });
        };
        if !self.waiting.is_empty() || closed > self.head.closed {
            self.append(closed).await?;
        }
        if self.items.0.is_empty() {
            return Ok(self.head);
        }
        Err(self.malformed(FormError::Malformed("something follows the end".into())))
    }

    fn end(&mut self, revision: Revision, hash: Hash, closed: Timestamp) -> Result<(), CopyError> {
        let at = self.chain.revision();
        if at < self.head.revision {
            return Err(CopyError::Ahead { here: self.head.revision, there: revision });
        }
        if at != revision || self.chain.hash() != Some(hash) {
            let detail = "it is not the event that the export ends with".into();
            return Err(CopyError::Damaged(ReadError::Damaged { revision: at, detail }));
        }
        self.ended = Some(closed);
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
        if coming.digest.finish() != event.header.read().body_digest() {
            return Err(CopyError::Damaged(chain::wrong_body(revision)));
        }
        self.chain.link(&event).map_err(CopyError::Damaged)?;
        if revision <= self.head.revision {
            let (here, there) = (self.head.hash, event.header.hash());
            return if here == there { Ok(()) } else { Err(CopyError::Another { revision, here, there }) };
        }
        if event.header.fixed().committed_at <= self.head.closed {
            return Err(CopyError::Closed { revision });
        }
        if self.waiting.len() >= MAX_EVENTS || self.waiting_bytes >= FULL_BYTES {
            self.append(self.head.closed).await?;
        }
        self.waiting_bytes += event.size();
        self.waiting.push(Arc::new(event));
        Ok(())
    }

    /// Appends what waits but its last, which may not be the event that was exported.
    async fn append_confirmed(&mut self) -> Result<(), CopyError> {
        let last = self.waiting.pop();
        if !self.waiting.is_empty() {
            self.append(self.head.closed).await?;
        }
        self.waiting.extend(last);
        Ok(())
    }

    async fn append(&mut self, closed: Timestamp) -> Result<(), CopyError> {
        let events = std::mem::take(&mut self.waiting);
        let batch = Batch { id: Uuid::new_v4(), events, closed };
        self.head = self.ledger.append(&self.head, &batch).await?;
        self.waiting_bytes = 0;
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
