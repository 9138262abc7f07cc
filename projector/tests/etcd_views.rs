//! The views in a real etcd: checkpoint and keys agree at every moment, however many projectors write.

mod support;

use std::{collections::BTreeMap, sync::Arc};

use conn3ction_ledger::{
    Ledger,
    etcd::{
        Client,
        etcd_client::{GetOptions, Txn, TxnOp, TxnOpResponse},
    },
    memory::MemoryLedger,
};
use conn3ction_projector::{
    Checkpoint, Condition, Config, Content, Digest, EntryHash, EtcdConfig, Handle, KeyView, Mirror, Prefix, Projector,
    ViewName, zone_keys::ZoneKeys,
};
use support::{
    Author, name,
    servers::{Answer, CoreDns, Etcd},
    stalling::Stalling,
};
use tokio_util::sync::CancellationToken;

const ZONES: &str = "/conn3ction/zones";
const RECORDS: &str = "/conn3ction/records";

async fn spawn(ledger: &Arc<dyn Ledger>, etcd: &Etcd, zones: &str) -> (Handle, CancellationToken) {
    let token = CancellationToken::new();
    let config = Config {
        records: None,
        seal: None,
        etcd: Some(EtcdConfig {
            client: etcd.client().await,
            records_prefix: format!("{RECORDS}/"),
            zones_prefix: zones.into(),
            ledger_prefix: "/conn3ction/ledger".into(),
            large_zones: Vec::new(),
        }),
    };
    (Projector::spawn(config, ledger.clone(), token.clone()).await.expect("spawns"), token)
}

/// Keys and checkpoint at one etcd revision.
async fn present(client: &Client, prefix: &str) -> (BTreeMap<String, String>, Option<Checkpoint>) {
    let all = GetOptions::new().with_prefix();
    let both = Txn::new().and_then([
        TxnOp::get(format!("/conn3ction/checkpoints{prefix}"), None),
        TxnOp::get(format!("{prefix}/"), Some(all)),
    ]);
    let answer = client.read_txn(both).await.expect("read");
    let mut responses = answer.op_responses().into_iter();
    let (Some(TxnOpResponse::Get(checkpoint)), Some(TxnOpResponse::Get(keys))) = (responses.next(), responses.next())
    else {
        panic!("two reads");
    };
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("text");
    let keys = keys.kvs().iter().map(|kv| (text(kv.key()), text(kv.value()))).collect();
    (keys, checkpoint.kvs().first().map(|kv| serde_json::from_slice(kv.value()).expect("a checkpoint")))
}

fn fold(view: &dyn KeyView, content: &dyn Content) -> BTreeMap<String, String> {
    let mut names = Vec::new();
    for zone in content.zones() {
        names.push(zone.clone());
        content.names_below(&zone, &zone, &mut |name| names.push(name));
    }
    names.iter().flat_map(|name| view.keys(content, name)).collect()
}

fn digest(keys: &BTreeMap<String, String>) -> Digest {
    let mut digest = Digest::default();
    keys.iter().for_each(|(key, value)| digest.add(EntryHash::of_pair(key.as_bytes(), value.as_bytes())));
    digest
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_projectors_keep_keys_and_checkpoint_equal_to_the_fold() {
    for seed in 7..10 {
        race(seed).await;
    }
}

async fn race(seed: u64) {
    let etcd = Etcd::start().await;
    let client = etcd.client().await;
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut author = Author::new(ledger.clone(), seed).await;
    author.create_zone("example.local.").await;
    let mut racers = Vec::new();
    for _ in 0..3 {
        racers.push(spawn(&Stalling::over(&ledger, seed), &etcd, ZONES).await);
    }
    let views: [(&str, ViewName, Box<dyn KeyView>); 2] = [
        (ZONES, ViewName::ZoneKeys, Box::new(ZoneKeys::new(Prefix::new("Z", ZONES).expect("a prefix"), []))),
        (RECORDS, ViewName::Mirror, Box::new(Mirror::new(Prefix::new("R", RECORDS).expect("a prefix")))),
    ];
    for n in 0..90 {
        author.stage = n % 5 == 0;
        author.random_event().await;
        for (prefix, _, view) in &views {
            let (keys, Some(checkpoint)) = present(&client, prefix).await else { continue };
            if checkpoint.part.is_start() && !checkpoint.rebuilding {
                racers[0].0.reached(ViewName::Answers, checkpoint.at()).await.expect("reached");
                let should = fold(&**view, &racers[0].0.store().at(checkpoint.at().into()));
                let all = keys.keys().chain(should.keys());
                let wrong: Vec<_> = all
                    .filter(|key| keys.get(*key) != should.get(*key))
                    .map(|key| (key, keys.get(key), should.get(key)))
                    .collect();
                assert!(wrong.is_empty(), "seed {seed} at {}: {wrong:#?}", checkpoint.revision);
            }
            assert_eq!(digest(&keys), checkpoint.digest, "seed {seed}: {prefix} at {}", checkpoint.revision);
            let at = checkpoint.at();
            racers[0].0.reached(ViewName::Answers, at).await.expect("reached");
            if checkpoint.part.is_start() && !checkpoint.rebuilding {
                let content = racers[0].0.store().at(at.into());
                assert_eq!(keys, fold(&**view, &content), "seed {seed}: {prefix} at {at}");
            }
        }
    }
    for (prefix, view_name, view) in &views {
        for (racer, _) in &racers {
            racer.reached(*view_name, author.revision()).await.expect("reached");
        }
        let (keys, checkpoint) = present(&client, prefix).await;
        assert_eq!(checkpoint.expect("a checkpoint").at(), author.revision());
        assert_eq!(keys, fold(&**view, &racers[0].0.store().now()));
    }
    for (racer, token) in racers {
        token.cancel();
        racer.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_older_form_are_built_anew_and_those_of_a_newer_one_left_alone() {
    let etcd = Etcd::start().await;
    let client = etcd.client().await;
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let (handle, token) = spawn(&ledger, &etcd, ZONES).await;
    let mut author = Author::new(ledger.clone(), 1).await;
    author.create_zone("example.local.").await;
    let last = author.put("example.local.", "app.example.local.", "A", 60, &["10.1.2.3"]).await;
    handle.reached(ViewName::ZoneKeys, last).await.expect("reached");
    let (right, checkpoint) = present(&client, ZONES).await;
    let checkpoint = checkpoint.expect("a checkpoint");
    token.cancel();
    handle.stopped().await;

    // As the form before may have had it: a key more, one less, and a digest that fits.
    let mut older = right.clone();
    let (gone, _) = older.pop_first().expect("keys");
    let stray = format!("{ZONES}/local/example/stray/x");
    older.insert(stray.clone(), "{}".into());
    let stored = |checkpoint: Checkpoint| {
        let value = serde_json::to_string(&checkpoint).expect("JSON");
        TxnOp::put(format!("/conn3ction/checkpoints{ZONES}"), value, None)
    };
    let before = Checkpoint { format: checkpoint.format - 1, digest: digest(&older), ..checkpoint.clone() };
    let write = Txn::new().and_then([TxnOp::put(stray, "{}", None), TxnOp::delete(gone, None), stored(before)]);
    client.txn(write).await.expect("written");
    let (handle, token) = spawn(&ledger, &etcd, ZONES).await;
    handle.reached(ViewName::ZoneKeys, last).await.expect("reached");
    assert_eq!(present(&client, ZONES).await, (right.clone(), Some(checkpoint.clone())));
    token.cancel();
    handle.stopped().await;

    let newer = Checkpoint { format: checkpoint.format + 1, ..checkpoint };
    client.txn(Txn::new().and_then([stored(newer.clone())])).await.expect("written");
    let (handle, token) = spawn(&ledger, &etcd, ZONES).await;
    let last = author.put("example.local.", "app.example.local.", "A", 60, &["10.1.2.4"]).await;
    handle.reached(ViewName::Mirror, last).await.expect("the other view goes on");
    let held = async {
        while !handle.status().iter().any(|(_, progress)| matches!(progress.condition, Condition::Held(_))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), held).await.expect("held");
    assert_eq!(present(&client, ZONES).await, (right, Some(newer)));
    token.cancel();
    handle.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coredns_answers_what_was_written() {
    for zones in [ZONES, "/conn3ction-zones"] {
        let etcd = Etcd::start().await;
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let (handle, token) = spawn(&ledger, &etcd, zones).await;
        let mut author = Author::new(ledger.clone(), 1).await;
        author.create_zone("example.local.").await;
        author.create_zone("10.in-addr.arpa.").await;
        for (owner, rtype, values) in [
            ("app.example.local.", "A", &["10.1.2.3", "10.1.2.4"][..]),
            ("app.example.local.", "AAAA", &["2001:db8::1"]),
            ("www.example.local.", "CNAME", &["app.example.local."]),
            ("txt.example.local.", "TXT", &["\"v=1 a\\\\b\""]),
            ("x.ent.example.local.", "A", &["10.1.2.9"]),
            ("example.local.", "A", &["10.1.2.5"]),
        ] {
            author.put("example.local.", owner, rtype, 60, values).await;
        }
        author.put("10.in-addr.arpa.", "3.2.1.10.in-addr.arpa.", "PTR", 60, &["app.example.local."]).await;
        handle.reached(ViewName::ZoneKeys, author.revision()).await.expect("reached");
        let coredns = CoreDns::start(&etcd, zones, "example.local 10.in-addr.arpa").await;
        let ok = |lines: &[&str]| Answer::of("NOERROR", lines);
        let a = "app.example.local. 60 A 10.1.2.3";
        let b = "app.example.local. 60 A 10.1.2.4";
        for (asked, rtype, answer) in [
            ("app.example.local.", "A", ok(&[a, b])),
            ("app.example.local.", "AAAA", ok(&["app.example.local. 60 AAAA 2001:db8::1"])),
            ("app.example.local.", "TXT", ok(&[])),
            ("www.example.local.", "CNAME", ok(&["www.example.local. 60 CNAME app.example.local."])),
            ("www.example.local.", "A", ok(&[a, b, "www.example.local. 60 CNAME app.example.local."])),
            ("txt.example.local.", "TXT", ok(&["txt.example.local. 60 TXT \"v=1 a\\\\b\""])),
            ("txt.example.local.", "A", ok(&[])),
            ("ent.example.local.", "A", ok(&[])),
            ("x.ent.example.local.", "A", ok(&["x.ent.example.local. 60 A 10.1.2.9"])),
            ("example.local.", "A", ok(&["example.local. 60 A 10.1.2.5"])),
            ("example.local.", "AAAA", ok(&[])),
            ("3.2.1.10.in-addr.arpa.", "PTR", ok(&["3.2.1.10.in-addr.arpa. 60 PTR app.example.local."])),
            ("none.example.local.", "A", Answer::of("NXDOMAIN", &[])),
        ] {
            assert_eq!(coredns.ask(asked, rtype), answer, "{asked} {rtype} under {zones}");
        }
        author.put("example.local.", "x.ent.example.local.", "A", 60, &[]).await;
        let last = author.put("example.local.", "app.example.local.", "A", 60, &["10.1.2.4"]).await;
        handle.reached(ViewName::ZoneKeys, last).await.expect("reached");
        assert_eq!(coredns.ask("app.example.local.", "A"), ok(&[b]));
        assert_eq!(coredns.ask("ent.example.local.", "A").status, "NXDOMAIN");
        assert!(handle.store().now().zone(&name("example.local.")).is_some());
        token.cancel();
        handle.stopped().await;
    }
}
