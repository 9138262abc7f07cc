//! The local copy of the records: one with its checkpoint whenever it is cut off, equal to a fold from nothing, dropped
//! when in doubt.

mod support;

use std::{path::Path, sync::Arc};

use conn3ction_ledger::{Ledger, memory::MemoryLedger};
use conn3ction_projector::{Condition, Config, Content, Digest, Handle, Projector, ViewName, read_records};
use conn3ction_schemas::{Revision, json::Record};
use support::{Author, name, set};
use tokio_util::sync::CancellationToken;

struct Kept {
    handle: Handle,
    token: CancellationToken,
}

impl Kept {
    async fn start(ledger: &Arc<dyn Ledger>, directory: &Path) -> Self {
        let token = CancellationToken::new();
        let config = Config { records: Some(directory.join("records")), ..Config::default() };
        let handle = Projector::spawn(config, ledger.clone(), token.clone()).await.expect("spawns");
        Self { handle, token }
    }

    async fn at(&self, revision: Revision) -> Digest {
        self.handle.reached(ViewName::Records, revision).await.expect("reached");
        self.handle.watcher(ViewName::Records).expect("kept").now().digest
    }

    async fn stop(self) {
        self.token.cancel();
        self.handle.stopped().await;
    }
}

fn read(directory: &Path) -> (Revision, Vec<String>) {
    let mut records = Vec::new();
    let mut each = |zone: &str, record: Record| {
        records.push(format!("{zone} {}", serde_json::to_string(&record).expect("JSON")));
    };
    let revision = read_records(&directory.join("records"), &mut each).expect("readable");
    (revision, records)
}

/// What the answers hold at a revision, in the order of zones, owners and types.
fn should(handle: &Handle, revision: Revision) -> Vec<String> {
    let view = handle.store().at(revision.into());
    let mut zones = Content::zones(&view);
    zones.sort();
    let mut records = Vec::new();
    for zone in zones {
        let Some(shown) = view.zone(&zone) else { continue };
        for owner in shown.owners() {
            let owner = owner.name();
            let mut sets = view.sets(&zone, &owner);
            sets.sort_by_key(|(key, _)| *key);
            for (key, set) in sets {
                let record = serde_json::to_string(&Record::new(&owner, key, &set)).expect("JSON");
                records.push(format!("{} {record}", zone.without_dot()));
            }
        }
    }
    records
}

/// Guarantees 12 and 13: cut off anywhere, the copy is what its checkpoint says; built from nothing it is the same.
#[tokio::test(flavor = "multi_thread")]
async fn cut_off_anywhere_the_copy_is_what_its_checkpoint_says_and_what_a_new_one_would_be() {
    for seed in 1..=6 {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let mut author = Author::new(ledger.clone(), seed).await;
        for n in 0..60 {
            author.stage = n % 7 == 0;
            author.random_event().await;
        }
        for _ in 0..8 {
            let kept = Kept::start(&ledger, directory.path()).await;
            let before = author.revision();
            for n in 0..20 {
                author.stage = n % 5 == 0;
                author.random_event().await;
            }
            let wait = before.0 + author.random(20) as u64;
            kept.at(Revision(wait)).await;
            let handle = kept.handle.clone();
            kept.stop().await;
            let (revision, records) = read(directory.path());
            assert!(revision.0 >= wait, "seed {seed}: {revision} was told to be {wait}");
            let all = Kept::start(&ledger, tempfile::tempdir().expect("a directory").path()).await;
            all.handle.reached(ViewName::Answers, revision).await.expect("reached");
            assert_eq!(records, should(&all.handle, revision), "seed {seed} at {revision}");
            all.stop().await;
            drop(handle);
        }
        let kept = Kept::start(&ledger, directory.path()).await;
        let live = kept.at(author.revision()).await;
        let rebuilt = kept.handle.rebuild(ViewName::Records).await.expect("rebuilt");
        assert_eq!((rebuilt.digest, rebuilt.was_right), (live, true), "seed {seed}");
        kept.stop().await;
    }
}

/// An event over several batches: whole again wherever it was cut off, and never shown in half.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_goes_in_parts_and_is_gone_on_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut author = Author::new(ledger.clone(), 1).await;
    let zone = name("example.local.");
    author.create_zone("example.local.").await;
    author.stage = true;
    for round in 0..2 {
        let changes = (0..9_000).map(|n| {
            let (key, set) = set("A", 60, &[&format!("192.0.2.{}", (n + round) % 250)]);
            (zone.clone(), name(&format!("h{n}.example.local.")), key, Some(set))
        });
        author.append(&[], changes.collect()).await;
    }
    // Stopped after random work: each start must go on, in the middle of an event, too.
    for steps in 0..20 {
        let kept = Kept::start(&ledger, directory.path()).await;
        let watcher = kept.handle.watcher(ViewName::Records).expect("kept").clone();
        for _ in 0..=steps * 20 {
            if watcher.now().revision == author.revision() {
                break;
            }
            tokio::task::yield_now().await;
        }
        kept.stop().await;
    }
    let kept = Kept::start(&ledger, directory.path()).await;
    kept.at(author.revision()).await;
    assert!(kept.handle.rebuild(ViewName::Records).await.expect("rebuilt").was_right);
    let handle = kept.handle.clone();
    handle.reached(ViewName::Answers, author.revision()).await.expect("reached");
    kept.stop().await;
    let (revision, records) = read(directory.path());
    assert_eq!(revision, author.revision());
    assert!(records == should(&handle, revision));
}

/// Octets changed or cut away, another ledger's copy, a copy of nothing that sled knows: dropped, and made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_doubt_is_dropped_and_made_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let records = directory.path().join("records");
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut author = Author::new(ledger.clone(), 5).await;
    for _ in 0..80 {
        author.random_event().await;
    }
    let kept = Kept::start(&ledger, directory.path()).await;
    let right = kept.at(author.revision()).await;
    kept.stop().await;
    let files: Vec<_> = std::fs::read_dir(&records)
        .expect("files")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.is_file())
        .collect();
    assert!(!files.is_empty());
    let mut damages: Vec<Box<dyn Fn()>> = Vec::new();
    for file in files {
        let octets = std::fs::read(&file).expect("octets");
        for part in 1..4 {
            let (file, mut octets) = (file.clone(), octets.clone());
            let at = octets.len() * part / 4;
            damages.push(Box::new({
                let (file, octets) = (file.clone(), octets.clone());
                move || std::fs::write(&file, &octets[..at]).expect("cut")
            }));
            octets[at] ^= 0x55;
            damages.push(Box::new(move || std::fs::write(&file, &octets).expect("changed")));
        }
    }
    let other: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut stranger = Author::new(other.clone(), 6).await;
    for _ in 0..90 {
        stranger.random_event().await;
    }
    for (n, damage) in damages.iter().enumerate() {
        damage();
        let kept = Kept::start(&ledger, directory.path()).await;
        assert_eq!(kept.at(author.revision()).await, right, "damage {n}");
        assert!(kept.handle.rebuild(ViewName::Records).await.expect("rebuilt").was_right, "damage {n}");
        kept.stop().await;
    }
    let kept = Kept::start(&other, directory.path()).await;
    let theirs = kept.at(stranger.revision()).await;
    assert_ne!(theirs, right);
    kept.stop().await;
    let kept = Kept::start(&ledger, directory.path()).await;
    assert_eq!(kept.at(author.revision()).await, right);
    kept.stop().await;
}

/// What another process has open is waited for, and not touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_use_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut author = Author::new(ledger.clone(), 1).await;
    author.create_zone("example.local.").await;
    let first = Kept::start(&ledger, directory.path()).await;
    first.at(author.revision()).await;
    let second = Kept::start(&ledger, directory.path()).await;
    let watcher = second.handle.watcher(ViewName::Records).expect("kept").clone();
    while !matches!(watcher.now().condition, Condition::Unavailable(_)) {
        tokio::task::yield_now().await;
    }
    assert!(read_records(&directory.path().join("records"), &mut |_, _| {}).is_err());
    author.put("example.local.", "a.example.local.", "A", 60, &["192.0.2.1"]).await;
    first.at(author.revision()).await;
    first.stop().await;
    second.at(author.revision()).await;
    second.stop().await;
    let (_, records) = read(directory.path());
    assert_eq!(records.len(), 3);
    assert!(records.iter().any(|record| record.contains("\". . 2 2 3 4 5\"")), "{records:?}");
}
