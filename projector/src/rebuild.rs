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
    /// A rebuild, or a look at all of the view, runs already.
    #[error("a rebuild of the view, or a look at all of it, is under way")]
    UnderWay,
    /// Its medium or the ledger gave no answer, or no longer what was built on; the view is as before.
    #[error("rebuilding the view: {0}")]
    Failed(String),
}

pub(crate) type Answer<T> = Result<T, RebuildError>;

/// Asks a view's task for something that it alone can do: a rebuild, or to say what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Asker<T>(mpsc::Sender<oneshot::Sender<Answer<T>>>);

/// The requests that a view's task gets.
#[derive(Debug)]
pub(crate) struct Requests<T>(mpsc::Receiver<oneshot::Sender<Answer<T>>>);

/// Somebody who waits for an answer.
pub(crate) struct Request<T>(oneshot::Sender<Answer<T>>);

pub(crate) fn requests<T>() -> (Asker<T>, Requests<T>) {
    let (sender, receiver) = mpsc::channel(1);
    (Asker(sender), Requests(receiver))
}

impl<T> Asker<T> {
    pub(crate) async fn ask(&self) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        self.0.try_send(sender).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RebuildError::UnderWay,
            mpsc::error::TrySendError::Closed(_) => RebuildError::Stopped,
        })?;
        receiver.await.unwrap_or(Err(RebuildError::Stopped))
    }
}

impl<T> Requests<T> {
    /// The next request; waits for ever if nobody can ask any more.
    pub(crate) async fn next(&mut self) -> Request<T> {
        match self.0.recv().await {
            Some(sender) => Request(sender),
            None => std::future::pending().await,
        }
    }
}

impl<T> Request<T> {
    pub(crate) fn answer(self, answer: Answer<T>) {
        // Whoever asked may have gone away meanwhile.
        let _ = self.0.send(answer);
    }
}
