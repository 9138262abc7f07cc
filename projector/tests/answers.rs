//! The fold from events to answers: the same whatever way it is fed.

mod support;

use std::sync::Arc;

use conn3ction_ledger::{Ledger, memory::MemoryLedger};
use conn3ction_projector::{Config, Handle, Progress, Projector, ViewName, content_digest};
use conn3ction_schemas::{RecordType, Revision, SetKey};
use support::{Author, name};
use tokio_util::sync::CancellationToken;

async fn spawn(ledger: &Arc<dyn Ledger>) -> (Handle, CancellationToken) {
    let token = CancellationToken::new();
    let handle = Projector::spawn(Config::default(), ledger.clone(), token.clone()).await;
    (handle.expect("spawns"), token)
}

async fn answers_at(handle: &Handle, revision: Revision) -> Progress {
    handle.reached(ViewName::Answers, revision).await.expect("reached");
    handle.watcher(ViewName::Answers).expect("kept").now()
}

#[tokio::test]
async fn an_event_is_answered_and_known_to_deciders_at_the_same_revision() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let (handle, token) = spawn(&ledger).await;
    let mut author = Author::new(ledger, 1).await;
    author.create_zone("example.local.").await;
    let revision = author.put("example.local.", "app.example.local.", "A", 60, &["192.0.2.1"]).await;
    answers_at(&handle, revision).await;
    let view = handle.store().now();
    let zone = view.zone(&name("example.local.")).expect("a zone");
    let set = zone.owner(&name("app.example.local.")).expect("an owner").set(SetKey::of(RecordType::A)).is_some();
    assert!(set);
    {
        let head = handle.head_state().read();
        assert_eq!(head.revision, revision);
        assert_eq!(head.hash, author.head.hash);
        let state = head.zones[&name("example.local.")];
        assert_eq!((state.serial, state.alive, state.changed), (zone.serial(), true, revision));
    }
    let revision = author.delete_zone(&name("example.local.")).await;
    let progress = answers_at(&handle, revision).await;
    assert_eq!(progress.digest, Default::default(), "nothing is left in the view");
    assert!(!handle.head_state().read().zones[&name("example.local.")].alive);
    token.cancel();
    handle.stopped().await;
    assert!(handle.reached(ViewName::Answers, Revision(1_000)).await.is_err(), "a stopped view says so");
}

#[tokio::test]
async fn live_and_replayed_histories_come_to_the_same_digest_however_they_are_fed() {
    for seed in 1..=30 {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let (live, token) = spawn(&ledger).await;
        let mut author = Author::new(ledger.clone(), seed).await;
        for n in 0..60 {
            author.stage = n % 3 == 0;
            author.random_event().await;
        }
        let live_progress = answers_at(&live, author.revision()).await;
        let (replayed, other) = spawn(&ledger).await;
        let replayed_progress = answers_at(&replayed, author.revision()).await;
        assert_eq!(live_progress, replayed_progress, "seed {seed}");
        assert_eq!(content_digest(&live.store().now()), live_progress.digest, "seed {seed}");
        for revision in [20, 40] {
            let [a, b] = [&live, &replayed].map(|handle| content_digest(&handle.store().at(Revision(revision).into())));
            assert_eq!(a, b, "seed {seed} at {revision}");
        }
        let rebuilt = live.rebuild(ViewName::Answers).await.expect("rebuilt");
        assert!(rebuilt.was_right && rebuilt.digest == live_progress.digest, "seed {seed}: {rebuilt:?}");
        token.cancel();
        other.cancel();
        live.stopped().await;
        replayed.stopped().await;
    }
}
