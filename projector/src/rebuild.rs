use conn3ction_schemas::Revision;
use tokio::sync::{mpsc, oneshot};

use crate::Digest;

/// What a rebuild came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The revision at which the view and its rebuild were compared.
    pub revision: Revision,
    /// The digest of what was built anew.
    pub digest: Digest,
    /// Whether the view was already so. If not, it is now (the answers: after a restart).
    pub was_right: bool,
}

/// Why a view was not rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// This process does not keep the view.
    #[error("this process does not keep the view")]
    NotKept,
    /// The view's task has stopped.
    #[error("the view has stopped")]
    Stopped,
    /// A rebuild runs already.
    #[error("a rebuild of the view is under way")]
    UnderWay,
    /// Its medium or the ledger gave no answer, or no longer what was built on; the view is as before.
    #[error("rebuilding the view: {0}")]
    Failed(String),
}

pub(crate) type Answer = Result<Rebuilt, RebuildError>;

/// Asks a view's task for a rebuild.
#[derive(Debug, Clone)]
pub(crate) struct Rebuilder(mpsc::Sender<oneshot::Sender<Answer>>);

/// The requests that a view's task gets.
#[derive(Debug)]
pub(crate) struct RebuildRequests(mpsc::Receiver<oneshot::Sender<Answer>>);

/// Somebody who waits for a rebuild.
pub(crate) struct Request(oneshot::Sender<Answer>);

pub(crate) fn rebuilds() -> (Rebuilder, RebuildRequests) {
    let (sender, receiver) = mpsc::channel(1);
    (Rebuilder(sender), RebuildRequests(receiver))
}

impl Rebuilder {
    pub(crate) async fn rebuild(&self) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.0.try_send(sender).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RebuildError::UnderWay,
            mpsc::error::TrySendError::Closed(_) => RebuildError::Stopped,
        })?;
        receiver.await.unwrap_or(Err(RebuildError::Stopped))
    }
}

impl RebuildRequests {
    /// The next request; waits for ever if nobody can ask any more.
    pub(crate) async fn next(&mut self) -> Request {
        match self.0.recv().await {
            Some(sender) => Request(sender),
            None => std::future::pending().await,
        }
    }
}

impl Request {
    pub(crate) fn answer(self, answer: Answer) {
        // Whoever asked may have gone away meanwhile.
        let _ = self.0.send(answer);
    }
}
