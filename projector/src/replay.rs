//! The answers folded from nothing, aside from any view that is kept.

use std::sync::Arc;

use conn3ction_dns::{Store, View};
use conn3ction_ledger::Ledger;
use conn3ction_schemas::Revision;

use crate::{
    Answers, Checked, Digest, ViewName, Watcher, content_digest, follow::follow_to, progress::Reporter, records,
    sealing::Start,
};

/// The whole ledger, or its beginning, folded once more. Every view is a pure function of what this shows.
///
/// It takes the memory of an answers view that is not sealed, for as long as it is held.
#[derive(Debug)]
pub struct Replay {
    store: Arc<Store>,
    fold: Answers,
    reporter: Arc<Reporter>,
    watcher: Watcher,
}

impl Default for Replay {
    /// Stands before the first event.
    fn default() -> Self {
        let (reporter, watcher) = Start::aside();
        let Start { store, fold, .. } = Start::empty(&reporter);
        Self { store, fold, reporter, watcher }
    }
}

impl Replay {
    /// Folds the events up to `upto`, which the ledger has. A ledger that is away is waited for.
    ///
    /// # Errors
    ///
    /// What an operator must look at, in words.
    pub async fn fold_to(&mut self, ledger: &dyn Ledger, upto: Revision) -> Result<(), String> {
        follow_to(ledger, self.at(), upto, &mut self.fold, &self.reporter).await
    }

    /// The last event folded.
    pub fn at(&self) -> Revision {
        self.fold.at()
    }

    /// Tells how far a fold under way is.
    pub fn watcher(&self) -> Watcher {
        self.watcher.clone()
    }

    /// The records right after an event that was folded.
    pub fn content(&self, at: Revision) -> View {
        self.store.at(at.into())
    }

    /// Holds what was shown of the last event folded against the replay: `live` is what the answers show of it, `made` the
    /// digest of a copy of the records made anew. Blocks as long as it takes to look at every record.
    pub fn against(&self, live: &View, made: Digest) -> Vec<Checked> {
        let at = self.at();
        let shown = [(ViewName::Answers, content_digest(live)), (ViewName::Records, records::digest_of(live))];
        let views = shown.into_iter().map(|(view, shown)| {
            let digest = self.digest(view, at);
            let made = if view == ViewName::Records { made } else { content_digest(&self.content(at)) };
            let fault = [(made, "what was made anew has"), (shown, "what is shown of that moment has")];
            let fault = fault.into_iter().find(|(other, _)| *other != digest);
            let fault = fault.map(|(other, which)| format!("{which} the digest {other}"));
            Checked { view, revision: at, digest, fault }
        });
        views.collect()
    }

    /// The digest that a view without keys of its own in etcd has right after an event that was folded. Blocks as long as it
    /// takes to look at every record.
    pub(crate) fn digest(&self, view: ViewName, at: Revision) -> Digest {
        let content = self.content(at);
        match view {
            ViewName::Records => records::digest_of(&content),
            // The fold keeps it along the way; what it keeps and what the store then shows are the same, or a test fails.
            ViewName::Answers if at == self.at() => self.fold.digest(),
            ViewName::Answers | ViewName::Mirror | ViewName::ZoneKeys => content_digest(&content),
        }
    }
}
