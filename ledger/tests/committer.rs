//! The committer on a memory ledger, with a decider that counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the suite's helpers are shared with other tests")]

#[path = "contract/mod.rs"]
mod suite;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use conn3ction_ledger::{
    Head, Ledger, ReadError,
    committer::{Committer, Decider, Decision, Handle, Next, Outcome, SubmitError},
    memory::MemoryLedger,
};
use conn3ction_schemas::{Revision, Timestamp};
use futures::{FutureExt, future::BoxFuture};
use suite::make;
use tokio_util::sync::CancellationToken;

/// Each number is taken once; a number over 1000 is refused.
struct Once {
    ledger: Arc<dyn Ledger>,
    taken: HashMap<u32, Revision>,
    heads: Arc<AtomicUsize>,
}

impl Decider for Once {
    type Command = u32;
    type Refusal = &'static str;

    fn at_head<'a>(&'a mut self, head: &'a Head) -> BoxFuture<'a, Result<(), ReadError>> {
        async move {
            self.heads.fetch_add(1, Ordering::Relaxed);
            let events = self.ledger.read(Revision::ZERO, usize::MAX).await?;
            let numbers = events.iter().filter(|event| event.revision() <= head.revision).map(|event| {
                (event.header.request_id.trim_start_matches("request-").parse().unwrap(), event.revision())
            });
            self.taken = numbers.collect();
            Ok(())
        }
        .boxed()
    }

    fn decide(&mut self, command: &u32, next: Next) -> Result<Decision, &'static str> {
        if *command > 1000 {
            return Err("too high");
        }
        if let Some(&revision) = self.taken.get(command) {
            return Ok(Decision::Unchanged { revision, replayed: false });
        }
        self.taken.insert(*command, next.revision);
        Ok(Decision::Append(make::draft(*command)))
    }
}

fn start(
    ledger: &Arc<dyn Ledger>,
    clock: impl Fn() -> Timestamp + Send + 'static,
) -> (Handle<Once>, Arc<AtomicUsize>, CancellationToken, tokio::task::JoinHandle<()>) {
    let (heads, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let decider = Once { ledger: Arc::clone(ledger), taken: HashMap::new(), heads: Arc::clone(&heads) };
    let (handle, committing) = Committer::begin(Arc::clone(ledger), decider, clock, stop.clone());
    (handle, heads, stop, tokio::spawn(committing))
}

#[tokio::test]
async fn what_waits_together_is_one_batch_and_each_command_sees_those_before_it() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let (handle, heads, stop, task) = start(&ledger, Timestamp::now);
    let commands = [1, 2, 1, 2000, 3].map(|command| handle.submit(command));
    let outcomes = futures::future::join_all(commands).await;
    assert!(matches!(&outcomes[1], Ok(Outcome::Committed(event)) if event.revision() == Revision(2)));
    assert!(matches!(&outcomes[2], Ok(Outcome::Unchanged { revision: Revision(1), .. })));
    assert!(matches!(&outcomes[3], Err(SubmitError::Refused("too high"))));
    assert!(matches!(&outcomes[4], Ok(Outcome::Committed(event)) if event.revision() == Revision(3)));
    assert_eq!(heads.load(Ordering::Relaxed), 1, "one batch");
    stop.cancel();
    task.await.unwrap();
    assert!(matches!(handle.submit(4).await, Err(SubmitError::Stopped)));
}

#[tokio::test]
async fn two_committers_on_one_log_take_each_number_once() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let (left, ..) = start(&ledger, Timestamp::now);
    let (right, ..) = start(&ledger, Timestamp::now);
    let both = (0..400).map(|number| if number % 2 == 0 { left.submit(number / 2) } else { right.submit(number / 2) });
    let outcomes = futures::future::join_all(both).await;
    let committed = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Committed(_)))).count();
    assert_eq!(committed, 200);
    assert_eq!(make::all(&ledger).await.len(), 200);
}

#[tokio::test]
async fn a_jumping_clock_never_reorders() {
    const YEAR: i64 = 365 * 86_400 * 1_000_000;
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let calls = AtomicUsize::new(0);
    let clock = move || {
        let now = 1_700_000_000_000_000 + YEAR * [0, 1, -1, -1, 2][calls.fetch_add(1, Ordering::Relaxed) % 5];
        Timestamp(now)
    };
    let (handle, ..) = start(&ledger, clock);
    for number in 0..50 {
        handle.submit(number).await.unwrap();
    }
    let events = make::all(&ledger).await;
    assert!(events.windows(2).all(|pair| pair[0].header.committed_at < pair[1].header.committed_at));
    let head = handle.close(Timestamp(1_700_000_000_000_000 - 2 * YEAR)).await.unwrap();
    assert_eq!(head.revision, Revision(50));
    assert_eq!(head.closed, Timestamp(1_700_000_000_000_000 - 2 * YEAR));
}
