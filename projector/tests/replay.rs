//! Replay from nothing: random histories, folded live by projectors that stall at random, come out as every view shows them.

mod support;

use std::{path::Path, sync::Arc};

use conn3ction_ledger::{Ledger, memory::MemoryLedger};
use conn3ction_projector::{
    Claim, Config, EtcdConfig, Handle, Projector, Replay, Seal, ViewName, content_digest, make_records,
};
use conn3ction_schemas::Revision;
use support::{Author, servers::Etcd, stalling::Stalling};
use tokio_util::sync::CancellationToken;

struct Running {
    handle: Handle,
    token: CancellationToken,
}

impl Running {
    async fn start(ledger: Arc<dyn Ledger>, directory: &Path, etcd: &EtcdConfig) -> Self {
        let token = CancellationToken::new();
        let config = Config {
            records: Some(directory.join("records")),
            seal: Some(Seal { directory: directory.to_owned(), changes: 25 }),
            etcd: Some(etcd.clone()),
        };
        Self { handle: Projector::spawn(config, ledger, token.clone()).await.expect("spawns"), token }
    }

    async fn stop(self) {
        self.token.cancel();
        self.handle.stopped().await;
    }
}

/// Every claim is what a fold from nothing comes to, at the revision where its view stands.
async fn hold(claims: &[Claim], ledger: &Arc<dyn Ledger>, context: &str) {
    let upto = claims.iter().map(Claim::revision).max().unwrap_or_default();
    let mut replay = Replay::default();
    replay.fold_to(&**ledger, upto).await.expect("folded");
    for claim in claims {
        assert!(claim.belongs(&**ledger).await.expect("readable"), "{context}: {claim:?}");
        assert_eq!(claim.check(&replay).fault, None, "{context}: {claim:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_come_out_of_nothing_as_every_view_shows_them() {
    let fresh = u64::from(uuid::Uuid::new_v4().as_fields().0);
    for seed in [1, fresh] {
        println!("seed {seed}");
        let etcd = Etcd::start().await;
        let views = EtcdConfig {
            client: etcd.client().await,
            records_prefix: "/conn3ction/records".into(),
            zones_prefix: "/conn3ction/zones".into(),
            ledger_prefix: "/conn3ction/ledger".into(),
            large_zones: Vec::new(),
        };
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let mut author = Author::new(ledger.clone(), seed).await;
        author.create_zone("example.local.").await;
        let directories = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")];
        let mut running = Vec::new();
        for directory in &directories {
            running.push(Running::start(Stalling::over(&ledger, seed), directory.path(), &views).await);
        }
        for round in 0..6 {
            for n in 0..25 {
                author.stage = n % 5 == 0;
                author.random_event().await;
            }
            // In the midst of it: nobody waits for anybody.
            let context = format!("seed {seed}, round {round}");
            for one in &running {
                hold(&one.handle.claims().await, &ledger, &context).await;
            }
            hold(&views.claims().await, &ledger, &context).await;
            if round % 2 == 1 {
                let at = author.random(2);
                running.remove(at).stop().await;
                let again = Running::start(Stalling::over(&ledger, seed ^ round), directories[at].path(), &views).await;
                running.insert(at, again);
            }
        }
        let head = author.revision();
        for one in &running {
            for view in ViewName::ALL {
                one.handle.reached(view, head).await.expect("reached");
            }
            hold(&one.handle.claims().await, &ledger, &format!("seed {seed}, at the end")).await;
        }
        let end = views.claims().await;
        assert!(end.iter().all(|claim| claim.revision() == head), "seed {seed}: {end:?}");
        hold(&end, &ledger, &format!("seed {seed}, at the end")).await;
        for _ in 0..4 {
            let to = Revision(1 + author.random(head.0 as usize) as u64);
            let scratch = tempfile::tempdir().expect("a directory");
            let mut replay = Replay::default();
            replay.fold_to(&*ledger, to).await.expect("folded");
            let made = make_records(&scratch.path().join("records"), &*ledger, to).await.expect("made");
            for one in &running {
                let live = one.handle.store().at(to.into());
                let mut checks = replay.against(&live, made);
                checks.extend(views.against(&replay, &live).expect("apart"));
                assert_eq!(checks.len(), 4);
                for check in checks {
                    assert_eq!(check.fault, None, "seed {seed}, to {to}: {check:?}");
                }
                assert_eq!(content_digest(&live), content_digest(&replay.content(to)), "seed {seed}, to {to}");
            }
        }
        for one in running {
            one.stop().await;
        }
    }
}
