//! Holding views against the ledger: what each says and holds, and what a fold from nothing comes to there.

use std::path::Path;
#[cfg(feature = "etcd")]
use std::{collections::BTreeMap, collections::HashMap};

#[cfg(feature = "etcd")]
use conn3ction_dns::View;
use conn3ction_ledger::{Ledger, ReadError};
use conn3ction_schemas::Revision;

use crate::{Checkpoint, Digest, Replay, ViewName, checkpoint::belongs, records, sealing};
#[cfg(feature = "etcd")]
use crate::{EntryHash, KeyView, content::every_name};

/// What a view says that it shows, and what it was found to hold, read from its medium.
pub struct Claim {
    view: ViewName,
    /// The last event that it says it shows.
    revision: Revision,
    /// The digest that it says it has.
    told: Digest,
    held: Held,
    /// Of a stored view: what must be this ledger's.
    stored: Option<Checkpoint>,
}

/// What a view holds.
enum Held {
    Entries(Digest),
    #[cfg(feature = "etcd")]
    Keys(HashMap<String, EntryHash>, Box<dyn KeyView>),
    /// It cannot be read, and why.
    Unreadable(String),
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("view", &self.view).field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// A view that was held against the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which view.
    pub view: ViewName,
    /// The last event that it says it shows.
    pub revision: Revision,
    /// The digest of what it was found to hold.
    pub digest: Digest,
    /// How it differs from the ledger; `None` if it does not.
    pub fault: Option<String>,
}

/// What the local views in `directory` say and hold while no process keeps them: the sealed answers and the records, each if
/// it is there. Blocks.
pub fn claims_in(directory: &Path) -> Vec<Claim> {
    [sealing::claim_in(directory), records::claim_in(&directory.join("records"))].into_iter().flatten().collect()
}

impl Claim {
    pub(crate) fn live(view: ViewName, revision: Revision, told: Digest, held: Digest) -> Self {
        Self { view, revision, told, held: Held::Entries(held), stored: None }
    }

    pub(crate) fn stored(view: ViewName, checkpoint: Checkpoint, held: Digest) -> Self {
        Self { stored: Some(checkpoint.clone()), ..Self::live(view, checkpoint.at(), checkpoint.digest, held) }
    }

    #[cfg(feature = "etcd")]
    pub(crate) fn keys(
        name: ViewName,
        checkpoint: Checkpoint,
        keys: HashMap<String, EntryHash>,
        view: Box<dyn KeyView>,
    ) -> Self {
        Self { held: Held::Keys(keys, view), ..Self::stored(name, checkpoint, Digest::default()) }
    }

    pub(crate) fn unreadable(view: ViewName, text: String) -> Self {
        let held = Held::Unreadable(text);
        Self { held, ..Self::live(view, Revision::ZERO, Digest::default(), Digest::default()) }
    }

    /// Which view.
    pub fn view(&self) -> ViewName {
        self.view
    }

    /// The last event that the view says it shows.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether it was made from `ledger`, as far as it says from which.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn belongs(&self, ledger: &dyn Ledger) -> Result<bool, ReadError> {
        match &self.stored {
            Some(checkpoint) => belongs(ledger, checkpoint).await,
            None => Ok(true),
        }
    }

    /// The verdict over a view that was made from another ledger.
    pub fn of_another_ledger(&self) -> Checked {
        self.verdict(self.told, Some("it was made from another ledger".into()))
    }

    /// Holds the view against `replay`, which has come at least to the view's revision, unless the ledger ends before. Blocks as
    /// long as it takes to look at every record.
    pub fn check(&self, replay: &Replay) -> Checked {
        let at = self.revision;
        if at > replay.at() && !matches!(self.held, Held::Unreadable(_)) {
            return self.verdict(self.told, Some(format!("it shows {at}, and the ledger ends at {}", replay.at())));
        }
        match &self.held {
            Held::Unreadable(text) => self.verdict(self.told, Some(text.clone())),
            Held::Entries(held) => {
                let fault =
                    (*held != replay.digest(self.view, at)).then(|| "it holds other records than the ledger".into());
                self.verdict(*held, fault)
            }
            #[cfg(feature = "etcd")]
            Held::Keys(keys, view) => {
                self.verdict(sum(keys.values()), difference(keys, &wanted(&**view, &replay.content(at))))
            }
        }
    }

    /// What it says must be what it holds, too.
    fn verdict(&self, held: Digest, fault: Option<String>) -> Checked {
        let says = || (held != self.told).then(|| format!("it says that its digest is {}", self.told));
        Checked { view: self.view, revision: self.revision, digest: held, fault: fault.or_else(says) }
    }
}

/// The keys that `content` wants.
#[cfg(feature = "etcd")]
fn wanted(view: &dyn KeyView, content: &View) -> BTreeMap<String, EntryHash> {
    let mut keys = BTreeMap::new();
    every_name(content, &mut |name| {
        let of_name = view.keys(content, &name);
        keys.extend(of_name.into_iter().map(|(key, value)| {
            let entry = EntryHash::of_pair(key.as_bytes(), value.as_bytes());
            (key, entry)
        }));
    });
    keys
}

/// Holds the keys that the replay wants right after the last event folded against those that `live`, what the answers show of
/// it, wants.
#[cfg(feature = "etcd")]
pub(crate) fn keys_against(name: ViewName, view: &dyn KeyView, replay: &Replay, live: &View) -> Checked {
    let made = wanted(view, &replay.content(replay.at()));
    let shown = wanted(view, live).into_iter().collect();
    Checked { view: name, revision: replay.at(), digest: sum(made.values()), fault: difference(&shown, &made) }
}

#[cfg(feature = "etcd")]
fn sum<'a>(entries: impl Iterator<Item = &'a EntryHash>) -> Digest {
    entries.fold(Digest::default(), |mut digest, entry| {
        digest.add(*entry);
        digest
    })
}

/// How many keys differ, and the first of them.
#[cfg(feature = "etcd")]
fn difference(present: &HashMap<String, EntryHash>, wanted: &BTreeMap<String, EntryHash>) -> Option<String> {
    let missing = wanted.keys().filter(|key| !present.contains_key(*key)).map(|key| (key, "missing"));
    let others = present.iter().filter_map(|(key, entry)| match wanted.get(key) {
        None => Some((key, "not in the ledger")),
        Some(should) => (should != entry).then_some((key, "of another value")),
    });
    let (mut count, mut first) = (0_u64, None);
    for found in missing.chain(others) {
        count += 1;
        first = Some(first.map_or(found, |first: (&String, &str)| first.min(found)));
    }
    let (key, how) = first?;
    let (keys, differ) = if count == 1 { ("key", "differs") } else { ("keys", "differ") };
    Some(format!("{count} {keys} {differ}, the first is {key}, {how}"))
}
