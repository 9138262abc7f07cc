//! The committer's loop.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use conn3ction_schemas::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Decider, Outcome, Request, SubmitError,
    batch::{MAX_EVENTS, Open},
};
use crate::{AppendError, Batch, Body, Head, Ledger, ReadError};

/// What the committer's task holds.
pub(super) struct Run<D: Decider, C> {
    ledger: Arc<dyn Ledger>,
    decider: D,
    clock: C,
    queue: mpsc::Receiver<Request<D>>,
    stop: CancellationToken,
    /// The head after our last append. `None` when only the ledger knows: at the start and after an unknown outcome.
    head: Option<Head>,
    /// The most events of the next batch; fewer after the ledger said that it does not take so much.
    max_events: usize,
    commands: VecDeque<Waiting<D>>,
    closes: Vec<Closing<D>>,
}

/// A command that has no answer yet.
struct Waiting<D: Decider> {
    command: D::Command,
    reply: oneshot::Sender<Result<Outcome, SubmitError<D::Refusal>>>,
}

/// A moment to be closed.
struct Closing<D: Decider> {
    moment: Timestamp,
    reply: oneshot::Sender<Result<Head, SubmitError<D::Refusal>>>,
}

/// What the first commands in the queue come to, one for each, if the batch is stored.
type Answers<D> = Vec<Result<Outcome, <D as Decider>::Refusal>>;

/// Whose command it was that failed.
enum Who {
    Everybody,
    /// The commands that were decided.
    These(usize),
    /// The command with this place among those that were decided.
    One(usize),
}

impl<D: Decider, C: Fn() -> Timestamp + Send + 'static> Run<D, C> {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        decider: D,
        clock: C,
        queue: mpsc::Receiver<Request<D>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            ledger,
            decider,
            clock,
            queue,
            stop,
            head: None,
            max_events: MAX_EVENTS,
            commands: VecDeque::new(),
            closes: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while self.take_requests().await {
            let answered = self.attempt().await;
            // Whoever was just answered goes first, and may have the next command ready: it should be in the next batch. One alone
            // waits for nobody.
            if answered > 1 || !self.queue.is_empty() {
                others_first().await;
            }
        }
        self.queue.close();
        while let Ok(request) = self.queue.try_recv() {
            self.take(request);
        }
        self.fail(Who::Everybody, || SubmitError::Stopped);
    }

    /// Takes everything that waits, and waits if nothing does. False when it is time to stop.
    async fn take_requests(&mut self) -> bool {
        if self.commands.is_empty() && self.closes.is_empty() {
            self.decider.rest();
            let request = tokio::select! {
                biased;
                () = self.stop.cancelled() => None,
                request = self.queue.recv() => request,
            };
            match request {
                Some(request) => self.take(request),
                None => return false,
            }
        }
        while self.commands.len() < MAX_EVENTS
            && let Ok(request) = self.queue.try_recv()
        {
            self.take(request);
        }
        !self.stop.is_cancelled()
    }

    fn take(&mut self, request: Request<D>) {
        match request {
            Request::Submit { command, reply } => self.commands.push_back(Waiting { command, reply }),
            Request::Close { moment, reply } => self.closes.push(Closing { moment, reply }),
        }
    }

    /// Decides what waits and appends it once; says how many were answered. Whatever is not then waits for the next attempt.
    async fn attempt(&mut self) -> usize {
        let waiting = self.commands.len() + self.closes.len();
        self.append().await;
        waiting - self.commands.len() - self.closes.len()
    }

    async fn append(&mut self) {
        let head = match self.stand_at_head().await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(error) => {
                let error = Arc::new(error);
                return self.fail(Who::Everybody, || SubmitError::Read(Arc::clone(&error)));
            }
        };
        let (batch, answers) = self.decide(&head);
        match store(&*self.ledger, &head, &batch).await {
            Ok(now) => {
                self.max_events = MAX_EVENTS;
                self.head = Some(now.clone());
                for (waiting, answer) in self.commands.drain(..answers.len()).zip(answers) {
                    // A submitter that went away changes nothing.
                    let _ = waiting.reply.send(answer.map_err(SubmitError::Refused));
                }
                for closing in self.closes.drain(..) {
                    let _ = closing.reply.send(Ok(now.clone()));
                }
            }
            Err(error) => self.mend(head, &batch, &answers, error),
        }
    }

    /// The head, and the decider stands there. `None` when it is time to stop.
    async fn stand_at_head(&mut self) -> Result<Option<Head>, ReadError> {
        let head = match self.head.take() {
            Some(head) => head,
            None => self.ledger.head().await?,
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(None),
            ready = self.decider.at_head(&head) => ready.map(|()| Some(head)),
        }
    }

    fn decide(&mut self, head: &Head) -> (Batch, Answers<D>) {
        let mut open = Open::after(head, self.max_events);
        let mut answers = Vec::new();
        for waiting in &self.commands {
            if open.is_full() {
                break;
            }
            answers.push(open.decide(&mut self.decider, &waiting.command, (self.clock)()));
        }
        let asked = self.closes.iter().map(|closing| closing.moment).max();
        // Not beyond the clock: all later events would be pushed into the future.
        let closed = asked.map_or(head.closed, |moment| moment.min((self.clock)()).max(head.closed));
        (open.seal(closed), answers)
    }

    /// Answers those that `error` concerns, and prepares the next attempt for the others.
    fn mend(&mut self, head: Head, batch: &Batch, answers: &Answers<D>, error: AppendError) {
        let decided = Who::These(answers.len());
        let who = match &error {
            AppendError::Conflict { actual } => {
                self.head = Some(Head::clone(actual));
                return;
            }
            AppendError::TooLarge { .. } if batch.events.len() > 1 => {
                self.head = Some(head);
                self.max_events = batch.events.len() / 2;
                return;
            }
            AppendError::TooLarge { .. } => find(answers, |_| true).map_or(decided, Who::One),
            AppendError::MissingBody { body } => find(answers, |event| names(event, *body)).map_or(decided, Who::One),
            AppendError::Unconfirmed { .. } => decided,
            AppendError::Unavailable(_) | AppendError::Full(_) | AppendError::Poisoned => Who::Everybody,
        };
        if !matches!(error, AppendError::Unconfirmed { .. }) {
            self.head = Some(head);
        }
        let error = Arc::new(error);
        self.fail(who, || SubmitError::Append(Arc::clone(&error)));
    }

    fn fail(&mut self, who: Who, error: impl Fn() -> SubmitError<D::Refusal>) {
        let (commands, closes) = match who {
            Who::Everybody => (0..self.commands.len(), true),
            Who::These(count) => (0..count, true),
            Who::One(place) => (place..place + 1, false),
        };
        for waiting in self.commands.drain(commands) {
            let _ = waiting.reply.send(Err(error()));
        }
        if closes {
            for closing in self.closes.drain(..) {
                let _ = closing.reply.send(Err(error()));
            }
        }
    }
}

/// A worker's turn that comes after its other tasks had theirs.
struct Turn {
    came: AtomicBool,
    task: Waker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.came.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

/// Lets the worker's other tasks go first. Tokio's own ends with the next poll, whatever that came from: the node polls the
/// committer together with the fold, which has work after each append.
async fn others_first() {
    let mut asked = None;
    poll_fn(|context| {
        let turn = asked.get_or_insert_with(|| {
            let turn = Arc::new(Turn { came: AtomicBool::new(false), task: context.waker().clone() });
            // Its first poll is what asks for the turn.
            let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&turn))));
            turn
        });
        if turn.came.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Appends `batch`. If nothing is to be stored, the answers still need the ledger's word that the head is where they
/// were decided: another writer may have made them wrong.
async fn store(ledger: &dyn Ledger, head: &Head, batch: &Batch) -> Result<Head, AppendError> {
    if !batch.events.is_empty() || batch.closed > head.closed {
        return ledger.append(head, batch).await;
    }
    match ledger.head().await {
        Ok(now) if now == *head => Ok(now),
        Ok(now) => Err(AppendError::Conflict { actual: Box::new(now) }),
        Err(error) => Err(AppendError::Unavailable(error.into())),
    }
}

/// The place of the first command whose event is such.
fn find<R>(answers: &[Result<Outcome, R>], such: impl Fn(&Body) -> bool) -> Option<usize> {
    answers.iter().position(|answer| match answer {
        Ok(Outcome::Committed(event)) => such(&event.body),
        Ok(Outcome::Unchanged { .. }) | Err(_) => false,
    })
}

fn names(body: &Body, staged: Uuid) -> bool {
    match body {
        Body::Inline(_) => false,
        Body::Parts { id, .. } => *id == staged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_comes_after_the_others_and_not_with_any_other_wake() {
        let mut turn = pin!(others_first());
        poll_fn(|context| {
            for _ in 0..3 {
                assert!(turn.as_mut().poll(context).is_pending(), "nobody else has had a turn yet");
            }
            Poll::Ready(())
        })
        .await;
        turn.await;
    }
}
