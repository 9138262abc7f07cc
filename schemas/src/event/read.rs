//! Reading the stored form where it lies: nothing is copied, and nothing allocated for what is well-formed. Whoever folds a
//! long log looks at a few members of each event, once.

use uuid::Uuid;

use super::{
    Auth, DeltaRef, FORMAT_VERSION, FormError, Hash, HeaderRef, IdempotencyRef, Kind, ZoneChangeRef, ZoneLife,
};
use crate::{Epoch, NameRef, RecordSetRef, RecordType, Revision, Serial, SetKey, Timestamp, Ttl};

/// What is left of some CBOR. Every method takes one item, or gives `None` if another stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reader<'a>(pub(crate) &'a [u8]);

/// The major types of CBOR (RFC 8949 section 3.1).
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
/// The whole item `null`.
const NULL: u8 = 0xf6;

/// What a header ends with: the hash of the event before and the digest of the body, each after its number and its length.
const LINKS_BYTES: usize = 2 * (3 + size_of::<Hash>());

impl<'a> Reader<'a> {
    /// Stands before the first item in `octets`.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The major type and the argument of the next item.
    #[inline(always)]
    fn head(&mut self) -> Option<(u8, u64)> {
        let (first, rest) = self.0.split_first()?;
        let (argument, rest) = match first & 31 {
            small @ 0..=23 => (u64::from(small), rest),
            24 => rest.split_first().map(|(octet, rest)| (u64::from(*octet), rest))?,
            25 => rest.split_first_chunk().map(|(octets, rest)| (u64::from(u16::from_be_bytes(*octets)), rest))?,
            26 => rest.split_first_chunk().map(|(octets, rest)| (u64::from(u32::from_be_bytes(*octets)), rest))?,
            27 => rest.split_first_chunk().map(|(octets, rest)| (u64::from_be_bytes(*octets), rest))?,
            _ => return None,
        };
        self.0 = rest;
        Some((first >> 5, argument))
    }

    #[inline(always)]
    fn of(&mut self, major: u8) -> Option<u64> {
        self.head().and_then(|(found, argument)| (found == major).then_some(argument))
    }

    /// A number that is not negative.
    #[inline(always)]
    pub fn unsigned<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.of(UNSIGNED)?.try_into().ok()
    }

    #[inline]
    fn signed(&mut self) -> Option<i64> {
        match self.head()? {
            (UNSIGNED, argument) => argument.try_into().ok(),
            (NEGATIVE, argument) => i64::try_from(argument).ok().map(|number| -1 - number),
            _ => None,
        }
    }

    #[inline(always)]
    fn octets(&mut self, major: u8) -> Option<&'a [u8]> {
        let len = self.of(major)?.try_into().ok()?;
        let (octets, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(octets)
    }

    /// A string of octets.
    #[inline(always)]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        self.octets(BYTES)
    }

    /// The number of items that follow.
    #[inline]
    pub fn array(&mut self) -> Option<u64> {
        self.of(ARRAY)
    }

    /// The number of pairs that follow.
    fn map(&mut self) -> Option<u64> {
        self.of(MAP)
    }

    /// Takes members 16 and 17 of a header, two digests.
    #[inline]
    fn links(&mut self) -> Option<()> {
        let (links, rest) = self.0.split_first_chunk::<LINKS_BYTES>()?;
        let (first, second) = links.split_at(LINKS_BYTES / 2);
        (first.starts_with(&[16, 0x58, 32]) && second.starts_with(&[17, 0x58, 32])).then(|| self.0 = rest)
    }

    #[inline]
    fn name(&mut self) -> Option<NameRef<'a>> {
        NameRef::from_stored(self.bytes()?)
    }

    #[inline]
    fn timestamp(&mut self) -> Option<Timestamp> {
        self.signed().map(Timestamp)
    }

    /// `[ttl, rdata …]`, or null for no set.
    fn optional_set(&mut self) -> Option<Option<RecordSetRef<'a>>> {
        if let Some((&NULL, rest)) = self.0.split_first() {
            self.0 = rest;
            return Some(None);
        }
        let count = self.array()?.checked_sub(1)?;
        let ttl = Ttl::from_secs(self.unsigned()?).ok()?;
        RecordSetRef::read(ttl, count, self).map(Some)
    }

    /// The next delta of a chunk.
    pub(super) fn delta(&mut self) -> Option<DeltaRef<'a>> {
        if self.array()? != 6 {
            return None;
        }
        let zone = self.unsigned()?;
        let owner = self.name()?;
        let key = SetKey { rtype: RecordType(self.unsigned()?), covered: RecordType(self.unsigned()?) };
        Some(DeltaRef { zone, owner, key, before: self.optional_set()?, after: self.optional_set()? })
    }

    #[inline]
    pub(super) fn zone_change(&mut self) -> Option<ZoneChangeRef<'a>> {
        let mut members = Members::of(self)?;
        let zone = members.must(0)?.name()?;
        let before = members.may(1, |value| value.unsigned().map(Serial))?;
        let after = Serial(members.must(2)?.unsigned()?);
        let life = match members.must(3)?.of(UNSIGNED)? {
            0 => ZoneLife::Stays,
            1 => ZoneLife::Created,
            2 => ZoneLife::Deleted,
            _ => return None,
        };
        members.end()?;
        Some(ZoneChangeRef { zone, before, after, life })
    }
}

/// The members of a map in the order of their numbers, as this version writes them.
struct Members<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: u64,
}

impl<'r, 'a> Members<'r, 'a> {
    fn of(reader: &'r mut Reader<'a>) -> Option<Self> {
        let left = reader.map()?;
        Some(Self { reader, left })
    }

    /// The value of member `number`, which stands next.
    #[inline(always)]
    fn must(&mut self, number: u8) -> Option<&mut Reader<'a>> {
        self.left = self.left.checked_sub(1)?;
        // No map of ours has a number that takes more than one octet.
        self.reader.0 = self.reader.0.strip_prefix(&[number])?;
        Some(&mut *self.reader)
    }

    /// What `value` makes of member `number`, if that stands next.
    #[inline]
    fn may<T>(&mut self, number: u8, value: impl FnOnce(&mut Reader<'a>) -> Option<T>) -> Option<Option<T>> {
        if self.left == 0 || self.reader.0.first() != Some(&number) {
            return Some(None);
        }
        value(self.must(number)?).map(Some)
    }

    fn end(self) -> Option<()> {
        (self.left == 0).then_some(())
    }
}

/// The changes of zones in a header, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZoneChanges<'a> {
    /// Most events are about one zone.
    first: Option<ZoneChangeRef<'a>>,
    more: usize,
    octets: Reader<'a>,
}

impl<'a> ZoneChanges<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let more = match usize::try_from(reader.array()?).ok()?.checked_sub(1) {
            None => return Some(Self { first: None, more: 0, octets: *reader }),
            Some(more) => more,
        };
        let first = Some(reader.zone_change()?);
        let octets = *reader;
        for _ in 0..more {
            reader.zone_change()?;
        }
        Some(Self { first, more, octets })
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.more + usize::from(self.first.is_some())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Each of them.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = ZoneChangeRef<'a>> + use<'a> {
        let Self { mut first, mut more, mut octets } = *self;
        std::iter::from_fn(move || {
            first.take().or_else(|| {
                more = more.checked_sub(1)?;
                // All of it was read once when the header was.
                octets.zone_change()
            })
        })
    }
}

/// The members of a header that have a fixed size, and where in its octets the others lie. Events are made and moved by the
/// million, so this holds no digest: those stand last and are read where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in EventHeader")]
pub struct Fixed {
    pub format: u8,
    pub revision: Revision,
    pub epoch: Epoch,
    pub id: Uuid,
    pub committed_at: Timestamp,
    pub time: Timestamp,
    pub raw_clock: Timestamp,
    pub kind: Kind,
    pub auth: Auth,
    pub change_count: u64,
    pub of: Option<Revision>,
    actor: Span,
    source: Span,
    request_id: Span,
    idempotency: Option<(Span, Span)>,
    reason: Option<Span>,
    first_zone: Option<FirstZone>,
    more_zones: u32,
    /// Where those lie.
    zones: Span,
}

/// The first [`ZoneChangeRef`] of a header; its name lies in the octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstZone {
    zone: Span,
    before: Option<Serial>,
    after: Serial,
    life: ZoneLife,
}

/// From one octet to before another.
type Span = (u32, u32);

/// The octets of a header, to tell where its members lie while they are read.
#[derive(Clone, Copy)]
struct Spans<'a>(&'a [u8]);

impl Spans<'_> {
    /// Where `part` lies, which was taken from the octets.
    #[inline]
    fn of(self, part: &[u8]) -> Span {
        let from = part.as_ptr().addr() - self.0.as_ptr().addr();
        (from as u32, (from + part.len()) as u32)
    }

    /// Where the text that comes next lies; whether it is UTF-8 is looked at later.
    #[inline]
    fn text(self, reader: &mut Reader<'_>) -> Option<Span> {
        Some(self.of(reader.octets(TEXT)?))
    }

    /// Whether these are UTF-8, in the order in which they lie.
    fn are_texts(self, spans: &[Span]) -> bool {
        let (Some((from, _)), Some((_, end))) = (spans.first(), spans.last()) else { return true };
        let octets = |(from, end): Span| self.0.get(from as usize..end as usize).unwrap_or_default();
        // Heads of texts and numbers of members are plain, too, so that most often one look is enough.
        octets((*from, *end)).is_ascii() || spans.iter().all(|span| std::str::from_utf8(octets(*span)).is_ok())
    }
}

impl Fixed {
    /// Reads a stored header; all of it is checked.
    ///
    /// # Errors
    ///
    /// [`FormError`].
    #[inline]
    pub(super) fn read(octets: &[u8]) -> Result<Self, FormError> {
        // The format stands first in every version, and what follows in a newer one is not known.
        let mut reader = Reader(octets);
        let format = reader.map().and_then(|_| reader.of(UNSIGNED)).filter(|number| *number == 0);
        match format.and_then(|_| reader.unsigned::<u8>()) {
            None => return Err(FormError::Malformed("a header begins with its format number".into())),
            Some(newer) if newer > FORMAT_VERSION => return Err(FormError::Newer(newer)),
            Some(_) => {}
        }
        if u32::try_from(octets.len()).is_err() {
            return Err(FormError::Malformed("a header of more than 4 GiB".into()));
        }
        let mut reader = Reader(octets);
        let fixed = Self::members(&mut reader);
        let read = octets.len() - reader.0.len();
        match fixed {
            Some(fixed) if reader.0.is_empty() => Ok(fixed),
            Some(_) => Err(FormError::Malformed("octets after the header".into())),
            None => Err(FormError::Malformed(format!("no header of ours beyond octet {read}"))),
        }
    }

    #[inline(always)]
    fn members(reader: &mut Reader<'_>) -> Option<Self> {
        let spans = Spans(reader.0);
        let mut members = Members::of(reader)?;
        let format = members.must(0)?.unsigned()?;
        let revision = Revision(members.must(1)?.unsigned()?);
        let epoch = Epoch(members.must(2)?.unsigned()?);
        let id = Uuid::from_slice(members.must(3)?.bytes()?).ok()?;
        let committed_at = members.must(4)?.timestamp()?;
        let time = members.must(5)?.timestamp()?;
        let raw_clock = members.must(6)?.timestamp()?;
        let kind = *Kind::ALL.get(members.must(7)?.unsigned::<usize>()?)?;
        let mut of_actor = Members::of(members.must(8)?)?;
        let actor = spans.text(of_actor.must(0)?)?;
        let auth = match of_actor.must(1)?.of(UNSIGNED)? {
            0 => Auth::None,
            1 => Auth::Token,
            _ => return None,
        };
        of_actor.end()?;
        let source = spans.text(members.must(9)?)?;
        let request_id = spans.text(members.must(10)?)?;
        if !spans.are_texts(&[actor, source, request_id]) {
            return None;
        }
        let idempotency = members.may(11, |value| {
            let mut members = Members::of(value)?;
            let key = spans.text(members.must(0)?).filter(|key| spans.are_texts(&[*key]))?;
            let digest = members.must(1)?.bytes().filter(|digest| digest.len() == size_of::<Hash>())?;
            members.end()?;
            Some((key, spans.of(digest)))
        })?;
        let reason = members.may(12, |value| spans.text(value).filter(|reason| spans.are_texts(&[*reason])))?;
        let reader = members.must(13)?;
        let ZoneChanges { first, more: more_zones, octets } = ZoneChanges::read(reader)?;
        let first_zone = first.map(|ZoneChangeRef { zone, before, after, life }| FirstZone {
            zone: spans.of(zone.as_wire()),
            before,
            after,
            life,
        });
        let zones = spans.of(&octets.0[..octets.0.len() - reader.0.len()]);
        let change_count = members.must(14)?.unsigned()?;
        let of = members.may(15, |value| value.unsigned().map(Revision))?;
        (members.left == 2).then(|| members.reader.links())??;
        Some(Self {
            format,
            revision,
            epoch,
            id,
            committed_at,
            time,
            raw_clock,
            kind,
            auth,
            change_count,
            of,
            actor,
            source,
            request_id,
            idempotency,
            reason,
            first_zone,
            more_zones: more_zones as u32,
            zones,
        })
    }
}

// All spans were found, and the texts looked at, when the octets were read.
impl<'a> HeaderRef<'a> {
    /// The header in `octets`, of which `fixed` was read.
    #[inline]
    pub(super) fn new(octets: &'a [u8], fixed: &'a Fixed) -> Self {
        let header = Self { octets, fixed, zones: ZoneChanges::default() };
        let first = fixed.first_zone.map(|FirstZone { zone, before, after, life }| ZoneChangeRef {
            zone: NameRef::known(header.octets(zone)),
            before,
            after,
            life,
        });
        Self {
            zones: ZoneChanges { first, more: fixed.more_zones as usize, octets: Reader(header.octets(fixed.zones)) },
            ..header
        }
    }

    /// Who did it.
    pub fn actor(self) -> &'a str {
        self.text(self.fixed.actor)
    }

    /// Through which door.
    pub fn source(self) -> &'a str {
        self.text(self.fixed.source)
    }

    /// The correlation id of the request.
    pub fn request_id(self) -> &'a str {
        self.text(self.fixed.request_id)
    }

    /// The client's idempotency key and the digest of its request.
    pub fn idempotency(self) -> Option<IdempotencyRef<'a>> {
        let (key, digest) = self.fixed.idempotency?;
        Some(IdempotencyRef { key: self.text(key), digest: Hash(self.octets(digest).try_into().ok()?) })
    }

    /// Whether this actor did it and gave this reason.
    pub fn is_by(self, actor: &str, reason: Option<&str>) -> bool {
        let given = self.fixed.reason.map(|span| self.octets(span));
        self.octets(self.fixed.actor) == actor.as_bytes() && given == reason.map(str::as_bytes)
    }

    /// Why.
    pub fn reason(self) -> Option<&'a str> {
        self.fixed.reason.map(|span| self.text(span))
    }

    /// The hash of the event before; zeros for the first.
    #[inline]
    pub fn previous_hash(self) -> Hash {
        self.link(LINKS_BYTES - 3)
    }

    /// SHA-256(salt ‖ chunk digests).
    #[inline]
    pub fn body_digest(self) -> Hash {
        self.link(size_of::<Hash>())
    }

    /// The digest that begins so many octets before the end.
    #[inline]
    fn link(self, before_end: usize) -> Hash {
        let at = self.octets.len().saturating_sub(before_end);
        self.octets[at..].first_chunk().copied().map(Hash).unwrap_or_default()
    }

    fn text(self, span: Span) -> &'a str {
        std::str::from_utf8(self.octets(span)).unwrap_or_default()
    }

    #[inline]
    fn octets(self, (from, end): Span) -> &'a [u8] {
        self.octets.get(from as usize..end as usize).unwrap_or_default()
    }
}
