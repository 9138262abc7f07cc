use std::{collections::HashMap, sync::Arc};

use conn3ction_schemas::{Epoch, Revision, Timestamp, Token, event::EventHeader};

/// Who made each event, when and why: what an answer tells of where it comes from.
///
/// Memory: 24 octets an event; equal pairs of actor and reason that come close together are kept once.
#[derive(Debug, Default)]
pub struct Notes {
    /// The revision before the first entry.
    base: u64,
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
    /// Who.
    pub actor: Arc<str>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// Pairs that are remembered to be shared.
const RECENT: usize = 4096;

impl Notes {
    /// Takes in the next event.
    pub(crate) fn apply(&mut self, header: &EventHeader) {
        if self.entries.is_empty() {
            self.base = header.revision.0.saturating_sub(1);
        }
        if self.epochs.last().is_none_or(|(_, epoch)| *epoch != header.epoch) {
            self.epochs.push((header.revision, header.epoch));
        }
        let text = Text {
            actor: header.actor.name.as_str().into(),
            reason: header.reason.as_ref().map(|reason| reason.as_str().into()),
        };
        let text = self.text(text);
        self.entries.push(Entry { committed_at: header.committed_at, time: header.time, text });
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

    /// What is known of the event at `revision`.
    pub fn get(&self, revision: Revision) -> Option<Note> {
        let at = revision.0.checked_sub(self.base)?.checked_sub(1)?;
        let entry = self.entries.get(usize::try_from(at).ok()?)?;
        let text = self.texts.get(entry.text as usize)?;
        let epoch = self.epochs.iter().rev().find(|(first, _)| *first <= revision)?.1;
        Some(Note {
            token: Token { epoch, revision },
            committed_at: entry.committed_at,
            time: entry.time,
            actor: text.actor.clone(),
            reason: text.reason.clone(),
        })
    }

    /// The last event that was stored at or before `moment`; revision 0 if none was.
    pub fn last_committed(&self, moment: Timestamp) -> Revision {
        let before = self.entries.partition_point(|entry| entry.committed_at <= moment);
        Revision(if before == 0 { 0 } else { self.base + before as u64 })
    }
}
