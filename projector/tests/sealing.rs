//! Answers that go on from a sealed file are those of a fold from zero, at every revision, with all that deciders know.

mod support;

use std::{path::Path, sync::Arc, time::Duration};

use conn3ction_ledger::{Batch, Ledger, memory::MemoryLedger};
use conn3ction_projector::{Config, Handle, HeadState, Projector, Seal, ViewName, content_digest};
use conn3ction_schemas::{Actor, Revision, Timestamp, event::Auth};
use support::Author;
use tokio_util::sync::CancellationToken;

struct Running(Handle, CancellationToken);

impl Running {
    async fn new(ledger: &Arc<dyn Ledger>, seal: Option<(&Path, u64)>) -> Self {
        let token = CancellationToken::new();
        let seal = seal.map(|(directory, changes)| Seal { directory: directory.into(), changes });
        let config = Config { seal, ..Config::default() };
        Self(Projector::spawn(config, ledger.clone(), token.clone()).await.expect("spawns"), token)
    }

    async fn stop(self) {
        self.1.cancel();
        self.0.stopped().await;
    }
}

/// What deciders know, in an order of its own.
fn known(head: &HeadState, upto: Revision) -> Vec<String> {
    let mut known: Vec<_> = head.zones.iter().map(|(apex, zone)| format!("{apex} {zone:?}")).collect();
    known.sort();
    known.push(format!("{:?} {:?} {} {:?}", head.revision, head.epoch, head.hash, head.committed_at));
    for number in 0..40 {
        let actors = (0..5).map(|actor| Actor { name: format!("author {actor}"), auth: Auth::None });
        let seen = actors.map(|actor| head.keys.find(&actor, &format!("key {number}"), Timestamp(0)));
        known.push(format!("{:?}", seen.collect::<Vec<_>>()));
    }
    for revision in 0..=upto.0 + 1 {
        let note = head.notes.get(Revision(revision));
        known.push(format!("{revision} {note:?}"));
    }
    known
}

/// Writes some events, and more one by one until what stood before them is sealed.
async fn write_until_sealed(author: &mut Author, ours: &Handle) {
    let before = author.revision();
    for _ in 0..15 {
        author.random_event().await;
    }
    loop {
        let sealed = ours.sealed_at(before.next());
        // Sealing is asked for at the end of an event: another one may be wanted.
        if tokio::time::timeout(Duration::from_millis(50), sealed).await.is_ok() {
            return;
        }
        author.random_event().await;
    }
}

async fn same(ours: &Handle, ledger: &Arc<dyn Ledger>, upto: Revision, context: &str) {
    let folded = Running::new(ledger, None).await;
    for handle in [ours, &folded.0] {
        handle.reached(ViewName::Answers, upto).await.expect("reached");
    }
    let progress = |handle: &Handle| handle.watcher(ViewName::Answers).expect("kept").now();
    assert_eq!(progress(ours), progress(&folded.0), "{context}");
    // The latest, and about thirty more.
    let step = (upto.0 / 30).max(1) as usize;
    for revision in (0..=upto.0).step_by(step).chain(upto.0.saturating_sub(4)..=upto.0) {
        let [ours, zero] =
            [ours, &folded.0].map(|handle| content_digest(&handle.store().at(Revision(revision).into())));
        assert_eq!(ours, zero, "{context}, at {revision}");
    }
    let [ours, zero] = [ours, &folded.0].map(|handle| known(&handle.head_state().read(), upto));
    assert_eq!(ours, zero, "{context}");
    folded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_answers_go_on_while_they_are_written_and_after_a_restart() {
    for seed in 1..=4 {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let running = Running::new(&ledger, Some((directory.path(), 10))).await;
        let mut author = Author::new(ledger.clone(), seed).await;
        for round in 1..=3 {
            write_until_sealed(&mut author, &running.0).await;
            same(&running.0, &ledger, author.revision(), &format!("seed {seed}, round {round}")).await;
        }
        let sealed = running.0.sealed();
        running.stop().await;
        for _ in 0..5 {
            author.random_event().await;
        }
        let again = Running::new(&ledger, Some((directory.path(), u64::MAX))).await;
        assert_eq!(again.0.sealed(), sealed, "seed {seed}: nothing before is folded again");
        same(&again.0, &ledger, author.revision(), &format!("seed {seed}, restarted")).await;
        let rebuilt = again.0.rebuild(ViewName::Answers).await.expect("rebuilt");
        assert!(rebuilt.was_right, "seed {seed}");
        again.stop().await;
    }
}

/// A ledger that ends at `upto`.
async fn cut(ledger: &Arc<dyn Ledger>, upto: Revision) -> Arc<dyn Ledger> {
    let shorter: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut head = shorter.head().await.expect("a head");
    while head.revision < upto {
        let events = ledger.read(head.revision, 1).await.expect("read");
        let batch = Batch { id: uuid::Uuid::now_v7(), events: events[..1].to_vec(), closed: Timestamp(0) };
        head = shorter.append(&head, &batch).await.expect("appended");
    }
    shorter
}

/// Guarantee 15: whatever was sealed at any time, and the events after it up to any cut, are the full replay.
#[tokio::test(flavor = "multi_thread")]
async fn every_snapshot_with_the_events_after_it_is_the_full_replay_at_any_cut() {
    let fresh = u64::from(uuid::Uuid::new_v4().as_fields().0);
    for seed in [1, 2, fresh] {
        println!("seed {seed}");
        let directory = tempfile::tempdir().expect("a directory");
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let running = Running::new(&ledger, Some((directory.path(), 10))).await;
        let mut author = Author::new(ledger.clone(), seed).await;
        let mut snapshots = Vec::new();
        while snapshots.len() < 5 {
            author.random_event().await;
            running.0.reached(ViewName::Answers, author.revision()).await.expect("reached");
            let sealed = running.0.sealed();
            if snapshots.last().is_none_or(|(last, _)| *last < sealed) && sealed > Revision::ZERO {
                let kept = tempfile::tempdir().expect("a directory");
                let file = "answers.sealed";
                std::fs::copy(directory.path().join(file), kept.path().join(file)).expect("copied");
                snapshots.push((sealed, kept));
            }
        }
        running.stop().await;
        let head = author.revision().0;
        for (noted, kept) in snapshots {
            // What is copied while the next one takes its place may be that one already.
            let whole = Running::new(&ledger, Some((kept.path(), u64::MAX))).await;
            let sealed = whole.0.sealed();
            assert!(sealed >= noted, "seed {seed}: what was sealed at {noted} is not used");
            whole.stop().await;
            for at in [sealed.0 + 1, sealed.0 + author.random((head - sealed.0 + 1) as usize) as u64] {
                let shorter = cut(&ledger, Revision(at.min(head))).await;
                let ours = Running::new(&shorter, Some((kept.path(), u64::MAX))).await;
                assert_eq!(ours.0.sealed(), sealed, "seed {seed}: what was sealed is not used");
                same(&ours.0, &shorter, Revision(at.min(head)), &format!("seed {seed}, {sealed} cut at {at}")).await;
                ours.stop().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_of_another_ledger_is_not_used() {
    let directory = tempfile::tempdir().expect("a directory");
    for seed in 1..=2 {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let mut author = Author::new(ledger.clone(), seed).await;
        for _ in 0..20 {
            author.random_event().await;
        }
        let running = Running::new(&ledger, Some((directory.path(), 10))).await;
        assert!(running.0.sealed() == Revision::ZERO, "seed {seed}");
        same(&running.0, &ledger, author.revision(), &format!("seed {seed}")).await;
        write_until_sealed(&mut author, &running.0).await;
        running.stop().await;
    }
}
