use std::fmt;

use conn3ction_schemas::Revision;
use tokio::sync::watch;

use crate::Digest;

/// The views that are made from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViewName {
    /// The responder's store.
    Answers,
    /// Record sets as JSON, in the local store.
    Records,
    /// Record sets as JSON, in etcd.
    Mirror,
    /// What CoreDNS reads, in etcd.
    ZoneKeys,
}

impl ViewName {
    /// Every view.
    pub const ALL: [ViewName; 4] = [Self::Answers, Self::Records, Self::Mirror, Self::ZoneKeys];

    /// The name in URLs, JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Records => "records",
            Self::Mirror => "mirror",
            Self::ZoneKeys => "zone-keys",
        }
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far a view is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The last event that the view shows as a whole.
    pub revision: Revision,
    /// How many deltas of the event after `revision` are in the view already. Not 0 only in stored views, where a
    /// large event takes several transactions.
    pub partial_changes: u64,
    /// The digest of the view as it stands.
    pub digest: Digest,
    /// What the view is doing.
    pub condition: Condition,
}

/// What a view is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// It follows the ledger.
    #[default]
    Following,
    /// It is being built anew; readers see the state before.
    Rebuilding,
    /// Its medium does not answer; it goes on by itself as soon as that is back.
    Unavailable(String),
    /// It writes nothing until an operator acts, as the text says.
    Held(String),
    /// The ledger or the view's medium cannot be read; the last good state stays. An operator must look.
    Damaged(String),
    /// It was told to stop.
    Stopped,
}

impl Condition {
    /// The name in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Following => "following",
            Self::Rebuilding => "rebuilding",
            Self::Unavailable(_) => "unavailable",
            Self::Held(_) => "held",
            Self::Damaged(_) => "damaged",
            Self::Stopped => "stopped",
        }
    }

    /// Why, where that needs words.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Unavailable(detail) | Self::Held(detail) | Self::Damaged(detail) => Some(detail),
            Self::Following | Self::Rebuilding | Self::Stopped => None,
        }
    }

    /// Whether the view will not move again in this process.
    const fn is_final(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Stopped)
    }
}

/// The view will not reach the revision: it stopped before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the view {view} stands at {} and is {}{}", .at.revision, .at.condition.as_str(), .at.condition.detail().map(|text| format!(": {text}")).unwrap_or_default())]
pub struct NotReached {
    /// Which view.
    pub view: ViewName,
    /// How far it came.
    pub at: Progress,
}

/// Where a view's task tells its progress.
#[derive(Debug)]
pub(crate) struct Reporter {
    view: ViewName,
    progress: watch::Sender<Progress>,
}

impl Reporter {
    pub(crate) fn new(view: ViewName) -> (Self, Watcher) {
        let (progress, receiver) = watch::channel(Progress::default());
        (Self { view, progress }, Watcher { view, progress: receiver })
    }

    /// The view shows the event `revision` as a whole, and follows.
    pub(crate) fn reached(&self, revision: Revision, digest: Digest) {
        self.progress.send_modify(|progress| {
            progress.revision = revision;
            progress.partial_changes = 0;
            progress.digest = digest;
            if !matches!(progress.condition, Condition::Rebuilding) {
                progress.condition = Condition::Following;
            }
        });
    }

    /// The view stands inside the event after `revision`.
    pub(crate) fn within(&self, revision: Revision, partial_changes: u64, digest: Digest) {
        self.progress.send_modify(|progress| {
            progress.revision = revision;
            progress.partial_changes = partial_changes;
            progress.digest = digest;
        });
    }

    /// The view is in `condition`. Logged when it changes.
    pub(crate) fn condition(&self, condition: Condition) {
        self.progress.send_if_modified(|progress| {
            if progress.condition == condition {
                return false;
            }
            let (name, detail) = (condition.as_str(), condition.detail().unwrap_or_default());
            match condition {
                Condition::Damaged(_) => tracing::error!(view = %self.view, condition = name, detail, "view"),
                Condition::Held(_) | Condition::Unavailable(_) => {
                    tracing::warn!(view = %self.view, condition = name, detail, "view");
                }
                Condition::Following | Condition::Rebuilding | Condition::Stopped => {
                    tracing::info!(view = %self.view, condition = name, "view");
                }
            }
            progress.condition = condition;
            true
        });
    }
}

/// Watches the progress of one view.
#[derive(Debug, Clone)]
pub struct Watcher {
    view: ViewName,
    progress: watch::Receiver<Progress>,
}

impl Watcher {
    /// Which view.
    pub fn view(&self) -> ViewName {
        self.view
    }

    /// How far it is now.
    pub fn now(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until the view shows `revision`. Callers bound the wait themselves.
    ///
    /// # Errors
    ///
    /// [`NotReached`] if the view stopped before.
    pub async fn reached(&self, revision: Revision) -> Result<Progress, NotReached> {
        let mut receiver = self.progress.clone();
        let ended = |at: Progress| NotReached { view: self.view, at };
        let seen = receiver.wait_for(|now| now.revision >= revision || now.condition.is_final()).await;
        match seen {
            Ok(now) if now.revision >= revision => Ok(now.clone()),
            Ok(now) => Err(ended(now.clone())),
            Err(_) => Err(ended(Progress { condition: Condition::Stopped, ..self.now() })),
        }
    }
}
