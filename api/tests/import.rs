//! Imports and large commands through committer, memory ledger and the fold into the answers.

use std::{fs::File, path::PathBuf, sync::Arc};

use conn3ction::{
    decide::{
        Command, Envelope, Intent, Live, Refusal, RefusalKind, State,
        command::{Change, NewZone, Op, Values, Which},
        decide,
        decider::Decisions,
        overlay::Overlay,
        planned::{Planned, PlannedContent, PlannedScope, PlannedZone},
    },
    import::{self, Incoming, Mode},
    plan,
};
use conn3ction_dns::Store;
use conn3ction_ledger::{
    Ledger,
    committer::{Committer, Handle, Outcome, SubmitError},
    memory::MemoryLedger,
};
use conn3ction_projector::{Config, Handle as Views, Projector, ViewName};
use conn3ction_schemas::{
    Actor, Epoch, Kind, Name, Rdata, RecordType, Revision, Serial, SetKey, Timestamp,
    event::{Auth, DraftBody, Hash, Idempotency, ZoneLife},
};
use tokio_util::sync::CancellationToken;

struct Node {
    committer: Handle<Decisions<Views>>,
    ledger: Arc<dyn Ledger>,
    store: Arc<Store>,
    views: Views,
}

impl Node {
    async fn new() -> Self {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
        let stop = CancellationToken::new();
        let views = Projector::spawn(Config::default(), ledger.clone(), stop.clone()).await.expect("spawns");
        let store = views.store().clone();
        let (committer, committing) =
            Committer::begin(ledger.clone(), Decisions::new(views.clone()), Timestamp::now, stop);
        tokio::spawn(committing);
        Self { committer, ledger, store, views }
    }

    async fn settle(&self, outcome: &Outcome) -> Revision {
        let revision = match outcome {
            Outcome::Committed(event) => event.revision(),
            Outcome::Unchanged { revision, .. } => *revision,
        };
        self.views.reached(ViewName::Answers, revision).await.expect("the fold goes on");
        revision
    }

    async fn import(&self, envelope: &Envelope, incoming: Incoming) -> Result<Outcome, Refusal> {
        let incoming = Arc::new(incoming);
        match import::submit(&self.committer, &self.ledger, &self.store, envelope, incoming, &mut Vec::new()).await {
            Ok(outcome) => {
                self.settle(&outcome).await;
                Ok(outcome)
            }
            Err(SubmitError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    async fn submit(&self, intent: Intent) -> Result<Outcome, Refusal> {
        let command = Command { envelope: envelope(), intent };
        match plan::submit(&self.committer, &self.ledger, &self.store, command).await {
            Ok(outcome) => {
                self.settle(&outcome).await;
                Ok(outcome)
            }
            Err(SubmitError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn exported(&self, apex: &Name) -> Vec<u8> {
        let mut out = Vec::new();
        import::export(&self.store.now(), apex, &mut out).expect("memory");
        out
    }
}

fn envelope() -> Envelope {
    Envelope {
        event_id: uuid::Uuid::now_v7(),
        actor: Actor { name: "ann".into(), auth: Auth::None },
        source: "import".into(),
        request_id: "q".into(),
        idempotency: None,
        reason: None,
        expected_revision: None,
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn text(mode: Mode, text: &str) -> Incoming {
    import::read(&name("example."), mode, text.as_bytes()).expect("a good file")
}

fn change_count(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Committed(event) => event.header.change_count,
        Outcome::Unchanged { .. } => 0,
    }
}

const SMALL: &str = "$TTL 60\n@ SOA ns h 5 1 2 3 4\n@ NS ns\nns A 192.0.2.1\na A 192.0.2.2\n";

#[tokio::test]
async fn real_root_zones_import_export_and_replace_by_their_real_difference() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/root-zone"));
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("it").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".zone.gz") && !path.to_string_lossy().contains("signed"));
    files.sort();
    let node = Node::new().await;
    let root = Name::root();
    for (number, path) in files.iter().take(3).enumerate() {
        let open = || File::open(path).expect("the file");
        let incoming = import::read(&root, Mode::Replace, open()).expect("a good file");
        let plan = import::plan(node.store.now(), Epoch::FIRST, &envelope(), &incoming).expect("a plan");
        let done = node.import(&envelope(), incoming).await.expect("imported");
        let Outcome::Committed(event) = &done else { panic!("no event") };
        assert_eq!(event.header.kind, Kind::ZoneImported);
        assert_eq!(plan.change_count, event.header.change_count);
        assert!(number == 0 || (1..2_000).contains(&plan.change_count), "{}", plan.change_count);
        let exported = node.exported(&root);
        let again = import::read(&root, Mode::Replace, &exported[..]).expect("our own file");
        let plan = import::plan(node.store.now(), Epoch::FIRST, &envelope(), &again).expect("a plan");
        assert_eq!((plan.change_count, plan.zones.len()), (0, 0), "the export is what was imported");
        let again = import::read(&root, Mode::Replace, open()).expect("a good file");
        assert!(matches!(node.import(&envelope(), again).await, Ok(Outcome::Unchanged { .. })));
    }
}

#[tokio::test]
async fn a_merge_keeps_what_the_file_does_not_have_and_a_replace_does_not() {
    let node = Node::new().await;
    assert_eq!(change_count(&node.import(&envelope(), text(Mode::Merge, SMALL)).await.expect("new")), 4);
    assert_eq!(node.store.now().zone(&name("example.")).map(|zone| zone.serial()), Some(Serial(5)));
    let merged = node.import(&envelope(), text(Mode::Merge, "$TTL 60\nb A 192.0.2.3\na A 192.0.2.9\n")).await;
    assert_eq!(change_count(&merged.expect("merged")), 2);
    assert_eq!(node.store.now().zone(&name("example.")).map(|zone| zone.serial()), Some(Serial(6)));
    let conflict = node.import(&envelope(), text(Mode::Merge, "$TTL 60\na CNAME b\n")).await.expect_err("refused");
    assert_eq!(conflict.kind, RefusalKind::CnameConflict);
    let replaced = node.import(&envelope(), text(Mode::Replace, SMALL)).await.expect("replaced");
    assert_eq!(change_count(&replaced), 2);
    let Outcome::Committed(event) = replaced else { panic!("no event") };
    assert_eq!(event.header.zones[0].after, Serial(7), "the file's serial is not greater");
}

#[tokio::test]
async fn a_faulty_file_is_refused_with_every_line() {
    let bad = "$TTL 60\n@ SOA ns h 5 1 2 3 4\na A 1.2.3\nb.other. A 192.0.2.1\n";
    let refusal = import::read(&name("example."), Mode::Merge, bad.as_bytes()).expect_err("refused");
    assert_eq!(refusal.items.len(), 2, "{refusal:?}");
}

#[tokio::test]
async fn a_zone_signed_elsewhere_changes_by_a_greater_serial_only() {
    let sig = |serial: u32, a: u8| {
        format!(
            "$TTL 60\n@ SOA ns h {serial} 1 2 3 4\n@ NS ns.test.\na A 192.0.2.{a}\n\
             @ RRSIG SOA 8 1 60 20300101000000 20200101000000 {serial} example. AAAA\n"
        )
    };
    let node = Node::new().await;
    node.import(&envelope(), text(Mode::Replace, &sig(5, 1))).await.expect("imported");
    let lower = node.import(&envelope(), text(Mode::Replace, &sig(4, 2))).await.expect_err("refused");
    assert_eq!(lower.kind, RefusalKind::ZoneRule);
    let unsigned = node.import(&envelope(), text(Mode::Merge, "$TTL 60\nb A 192.0.2.3\n")).await.expect_err("refused");
    assert_eq!(unsigned.kind, RefusalKind::ZoneRule);
    node.import(&envelope(), text(Mode::Replace, &sig(6, 2))).await.expect("imported");
    assert_eq!(node.store.now().zone(&name("example.")).map(|zone| zone.serial()), Some(Serial(6)));
}

#[tokio::test]
async fn an_import_with_a_known_key_replays() {
    let node = Node::new().await;
    let mut once = envelope();
    once.idempotency = Some(Idempotency { key: "k".into(), digest: Hash([1; 32]) });
    node.import(&once, text(Mode::Replace, SMALL)).await.expect("imported");
    let again = node.import(&once, text(Mode::Replace, SMALL)).await.expect("replayed");
    assert!(matches!(again, Outcome::Unchanged { revision: Revision(1), replayed: true }), "{again:?}");
}

#[tokio::test]
async fn a_change_set_too_large_for_the_committer_is_planned_and_staged() {
    let node = Node::new().await;
    let zone = NewZone { name: name("example."), nameservers: vec![], contact: None, ttl: None };
    node.submit(Intent::CreateZone(zone)).await.expect("a zone");
    let value = Rdata::parse(RecordType::A, "192.0.2.1", None).expect("an address");
    let change = |number: usize| Change {
        pointer: format!("/changes/{number}"),
        op: Op::Create,
        zone: None,
        owner: name(&format!("a{number}.example.")),
        which: Which::Type(RecordType::A, None),
        ttl: None,
        values: Values::Parsed(vec![value.clone()]),
    };
    let done = node.submit(Intent::ChangeRecords((0..3_000).map(change).collect())).await.expect("an event");
    assert_eq!(change_count(&done), 3_000);
    assert!(node.store.now().zone(&name("example.")).is_some_and(|zone| zone.set_count() == 3_002));
    let gone = node.submit(Intent::DeleteZone(name("example."))).await.expect("deleted");
    assert_eq!(change_count(&gone), 3_002);
    assert!(node.store.now().zone(&name("example.")).is_none());
}

#[tokio::test]
async fn a_command_behind_an_import_in_the_same_batch_sees_what_came_and_went() {
    let node = Node::new().await;
    node.import(&envelope(), text(Mode::Replace, SMALL)).await.expect("imported");
    for mode in [Mode::Replace, Mode::Merge] {
        let file = "$TTL 60\n@ SOA ns h 9 1 2 3 4\n@ NS ns\nns A 192.0.2.1\nnew A 192.0.2.7\n";
        let incoming = Arc::new(text(mode, file));
        let planned = Arc::new(Planned {
            time: None,
            of: None,
            kind: Kind::ZoneImported,
            planned_at: Revision(1),
            zones: vec![PlannedZone {
                zone: name("example."),
                life: ZoneLife::Stays,
                asked: Some(Serial(9)),
                signed: false,
            }],
            body: DraftBody::inline([]),
            scope: PlannedScope::Zones,
            content: PlannedContent::Zone(incoming),
        });
        let import = Command { envelope: envelope(), intent: Intent::Planned(planned.clone()) };
        let mut overlay = Overlay::new(Live::new(node.store.now()));
        let decided = decide(&overlay, &import).expect("holds");
        overlay.note(&import.envelope, &decided, Revision(2));
        let exists = |owner: &str| overlay.set(&name("example."), &name(owner), SetKey::of(RecordType::A)).is_some();
        assert!(exists("new.example.") && exists("ns.example."));
        assert_eq!(exists("a.example."), mode == Mode::Merge);
        assert_eq!(overlay.zone(&name("example.")).map(|zone| zone.serial), Some(Serial(9)));
        let owners = overlay.first_sets(&name("example."), &name("example."), 100).len();
        assert_eq!(owners, if mode == Mode::Merge { 5 } else { 4 });
        let again = decide(&overlay, &import).expect_err("the zone changed since the plan");
        assert_eq!(again.kind, RefusalKind::ChangedSince);
    }
}
