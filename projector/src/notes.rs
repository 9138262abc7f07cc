use std::{
    collections::HashMap,
    io::{self, Write},
    ops::Range,
    sync::Arc,
};

use conn3ction_dns::store::Sealed;
use conn3ction_schemas::{
    Epoch, Revision, Timestamp, Token,
    event::{Fixed, HeaderRef, Kind},
};

/// Who made each event, when and why: what an answer tells of where it comes from.
///
/// Memory: 24 octets an event since the last sealing; equal pairs of actor and reason that come close together are kept
/// once. What was sealed is read from its file.
#[derive(Debug, Default, Clone)]
pub struct Notes {
    /// The revision before the first note.
    base: u64,
    sealed: Option<SealedNotes>,
    entries: Vec<Entry>,
    texts: Vec<Text>,
    recent: HashMap<Text, u32>,
    /// The epochs, each from its first revision on.
    epochs: Vec<(Revision, Epoch)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    committed_at: Timestamp,
    time: Timestamp,
    text: u32,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Text {
    actor: Arc<str>,
    reason: Option<Arc<str>>,
}

/// What is told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its place in the ledger.
    pub token: Token,
    /// When it was stored.
    pub committed_at: Timestamp,
    /// When it took effect.
    pub time: Timestamp,
    /// What kind of intent it was; not known of what older builds sealed.
    pub kind: Option<Kind>,
    /// Who.
    pub actor: Arc<str>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// Notes in the attachment of a sealed file.
///
/// Texts: actor length u32, actor, reason length u32 plus 1 or 0 for none, reason. Entries: committed_at i64, time i64,
/// kind plus 1 u8 or 0 for unknown, place of the text u56. Big-endian.
#[derive(Debug, Clone)]
struct SealedNotes {
    file: Arc<Sealed>,
    texts: Range<usize>,
    entries: Range<usize>,
}

/// Where the notes are in an attachment; see [`Notes::open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(crate) struct NotesForm {
    #[n(0)]
    base: u64,
    #[n(1)]
    texts: u64,
    #[n(2)]
    entries: u64,
}

/// Pairs that are remembered to be shared.
const RECENT: usize = 4096;
/// Octets of a sealed entry.
const ENTRY: usize = 24;
/// Where the kind stands in the last number of a sealed entry.
const KIND_SHIFT: u32 = 56;

impl Notes {
    /// Takes in the next event.
    pub(crate) fn apply(&mut self, header: &HeaderRef<'_>) {
        if self.count() == 0 {
            self.base = header.revision.0.saturating_sub(1);
        }
        if self.epochs.last().is_none_or(|(_, epoch)| *epoch != header.epoch) {
            self.epochs.push((header.revision, header.epoch));
        }
        let last = self.entries.last().map(|entry| entry.text);
        // Most events come from where the one before came from.
        let is_same = |text: &Text| header.is_by(&text.actor, text.reason.as_deref());
        let text = match last.filter(|last| self.texts.get(*last as usize).is_some_and(is_same)) {
            Some(last) => last,
            None => self.text(Text { actor: header.actor().into(), reason: header.reason().map(Arc::from) }),
        };
        let Fixed { committed_at, time, kind, .. } = **header;
        self.entries.push(Entry { committed_at, time, text, kind });
    }

    fn text(&mut self, text: Text) -> u32 {
        if let Some(place) = self.recent.get(&text) {
            return *place;
        }
        if self.recent.len() >= RECENT {
            self.recent.clear();
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.clone());
        self.recent.insert(text, place);
        place
    }

    fn count(&self) -> usize {
        self.sealed_count() + self.entries.len()
    }

    fn sealed_count(&self) -> usize {
        self.sealed.as_ref().map_or(0, |sealed| sealed.entries.len() / ENTRY)
    }

    /// What is known of the event at `revision`.
    pub fn get(&self, revision: Revision) -> Option<Note> {
        let at = usize::try_from(revision.0.checked_sub(self.base)?.checked_sub(1)?).ok()?;
        let (committed_at, time, kind, text) = match at.checked_sub(self.sealed_count()) {
            None => self.sealed.as_ref()?.get(at)?,
            Some(at) => {
                let entry = self.entries.get(at)?;
                let text = self.texts.get(entry.text as usize)?.clone();
                (entry.committed_at, entry.time, Some(entry.kind), text)
            }
        };
        let epoch = self.epochs.iter().rev().find(|(first, _)| *first <= revision)?.1;
        let token = Token { epoch, revision };
        Some(Note { token, committed_at, time, kind, actor: text.actor, reason: text.reason })
    }

    /// When the event at `revision` took effect.
    pub fn time(&self, revision: Revision) -> Option<Timestamp> {
        let at = usize::try_from(revision.0.checked_sub(self.base)?.checked_sub(1)?).ok()?;
        match at.checked_sub(self.sealed_count()) {
            None => self.sealed.as_ref()?.time(at),
            Some(at) => self.entries.get(at).map(|entry| entry.time),
        }
    }

    /// The epochs, each with its first revision.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = (u64, u32)> {
        self.epochs.iter().map(|(first, epoch)| (first.0, epoch.0))
    }

    /// Where [`Notes::write`] puts what.
    pub(crate) fn form(&self) -> NotesForm {
        let sealed = self.sealed.as_ref().map_or(0, |sealed| sealed.texts.len());
        let texts = sealed + self.texts.iter().map(Text::sealed_len).sum::<usize>();
        NotesForm { base: self.base, texts: texts as u64, entries: (self.count() * ENTRY) as u64 }
    }

    /// Writes texts and entries.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let attached = |range: Option<&Range<usize>>| match (&self.sealed, range) {
            (Some(sealed), Some(range)) => sealed.file.attachment().get(range.clone()).unwrap_or_default(),
            _ => &[],
        };
        let before = attached(self.sealed.as_ref().map(|sealed| &sealed.texts));
        out.write_all(before)?;
        let (mut places, mut at) = (Vec::with_capacity(self.texts.len()), before.len());
        for text in &self.texts {
            places.push(at as u64);
            at += text.sealed_len();
            text.write(out)?;
        }
        out.write_all(attached(self.sealed.as_ref().map(|sealed| &sealed.entries)))?;
        for entry in &self.entries {
            out.write_all(&entry.committed_at.0.to_be_bytes())?;
            out.write_all(&entry.time.0.to_be_bytes())?;
            let kind = Kind::ALL.iter().position(|kind| *kind == entry.kind).map_or(0, |place| place as u64 + 1);
            out.write_all(&(kind << KIND_SHIFT | places[entry.text as usize]).to_be_bytes())?;
        }
        Ok(())
    }

    /// The notes that start at `at` in the attachment of `file`; `None` if they are not all there.
    pub(crate) fn open(
        file: &Arc<Sealed>,
        at: usize,
        form: NotesForm,
        epochs: impl Iterator<Item = (u64, u32)>,
    ) -> Option<Self> {
        let entries_at = at.checked_add(form.texts as usize)?;
        let end = entries_at.checked_add(form.entries as usize)?;
        if end > file.attachment().len() {
            return None;
        }
        let sealed = SealedNotes { file: file.clone(), texts: at..entries_at, entries: entries_at..end };
        let epochs = epochs.map(|(first, epoch)| (Revision(first), Epoch(epoch))).collect();
        Some(Self { base: form.base, sealed: Some(sealed), epochs, ..Self::default() })
    }
}

impl Text {
    fn sealed_len(&self) -> usize {
        8 + self.actor.len() + self.reason.as_ref().map_or(0, |reason| reason.len())
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&(self.actor.len() as u32).to_be_bytes())?;
        out.write_all(self.actor.as_bytes())?;
        out.write_all(&self.reason.as_ref().map_or(0, |reason| reason.len() as u32 + 1).to_be_bytes())?;
        out.write_all(self.reason.as_deref().unwrap_or_default().as_bytes())
    }
}

impl SealedNotes {
    fn number(&self, at: usize) -> Option<u64> {
        Some(u64::from_be_bytes(self.file.attachment().get(at..at + 8)?.try_into().ok()?))
    }

    fn committed_at(&self, place: usize) -> Option<Timestamp> {
        Some(Timestamp(self.number(self.entries.start + place * ENTRY)? as i64))
    }

    fn time(&self, place: usize) -> Option<Timestamp> {
        Some(Timestamp(self.number(self.entries.start + place * ENTRY + 8)? as i64))
    }

    fn get(&self, place: usize) -> Option<(Timestamp, Timestamp, Option<Kind>, Text)> {
        let (at, time) = (self.entries.start + place * ENTRY, self.time(place)?);
        let number = self.number(at + 16)?;
        let kind = (number >> KIND_SHIFT).checked_sub(1).and_then(|place| Kind::ALL.get(place as usize).copied());
        let text_at = (number & ((1 << KIND_SHIFT) - 1)) as usize;
        let mut text = self.file.attachment().get(self.texts.clone())?.get(text_at..)?;
        let mut take = |less: u32| {
            let (len, rest) = text.split_first_chunk::<4>()?;
            let len = u32::from_be_bytes(*len).checked_sub(less);
            let (taken, rest) = rest.split_at_checked(len.unwrap_or_default() as usize)?;
            text = rest;
            Some(len.and_then(|_| std::str::from_utf8(taken).ok()).map(Arc::from))
        };
        let actor = take(0)??;
        let reason = take(1)?;
        Some((self.committed_at(place)?, time, kind, Text { actor, reason }))
    }
}

#[cfg(test)]
mod tests {
    use conn3ction_dns::{Store, Version};
    use conn3ction_schemas::event::{Actor, Auth, EventHeader, FORMAT_VERSION, Hash, SealedHeader};

    use super::*;

    fn header(revision: u64, kind: Kind) -> SealedHeader {
        SealedHeader::seal(EventHeader {
            format: FORMAT_VERSION,
            revision: Revision(revision),
            epoch: Epoch::FIRST,
            id: Default::default(),
            committed_at: Timestamp(revision as i64),
            time: Timestamp(revision as i64 - 1),
            raw_clock: Timestamp(0),
            kind,
            of: None,
            actor: Actor { name: format!("actor {}", revision % 3), auth: Auth::None },
            reason: revision.is_multiple_of(2).then(|| format!("reason {revision}")),
            source: "rest".into(),
            request_id: "r".into(),
            idempotency: None,
            zones: Vec::new(),
            change_count: 0,
            previous_hash: Hash::default(),
            body_digest: Hash::default(),
        })
    }

    #[test]
    fn what_is_sealed_tells_what_memory_told_kinds_included() {
        let mut notes = Notes::default();
        for (revision, kind) in (1..).zip(Kind::ALL) {
            notes.apply(&header(revision, kind).read());
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sealed");
        let (store, _writer) = Store::new();
        store.seal(Version(0), &path, |out| notes.write(out)).expect("seals");
        let file = Sealed::open(&path).expect("opens");
        let mut sealed = Notes::open(&file, 0, notes.form(), notes.epochs()).expect("is whole");
        let next = Kind::ALL.len() as u64 + 1;
        for notes in [&mut notes, &mut sealed] {
            notes.apply(&header(next, Kind::Reverted).read());
        }
        for revision in 0..=next + 1 {
            assert_eq!(sealed.get(Revision(revision)), notes.get(Revision(revision)), "{revision}");
        }
        assert_eq!(sealed.get(Revision(3)).and_then(|note| note.kind), Some(Kind::ZoneDeleted));
    }
}
