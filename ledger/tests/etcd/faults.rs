//! etcd away, frozen, compacted, full; answers lost and requests late.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use conn3ction_ledger::{
    AppendError, Event, Ledger, ReadError,
    etcd::{EtcdConfig, EtcdLedger, etcd_client},
    verify::verify,
};
use conn3ction_schemas::{Revision, Timestamp};
use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::{
    Place, config, open,
    server::{Release, Server},
};
use crate::suite::make::{all, append, batch, batch_at, hashes, large_body, with_body};

macro_rules! on_both {
    ($($case:ident)*) => {
        $(
            mod $case {
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_the_newest_release() {
                    super::$case(super::Release::New).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_debians_release() {
                    super::$case(super::Release::Debian).await;
                }
            }
        )*
    };
}

on_both!(
    a_follower_rides_out_kills_freezes_and_compactions
    no_outcome_is_a_lie_while_answers_are_lost
    an_outcome_that_stays_unknown_is_called_unknown
    a_transaction_that_comes_late_never_forks_the_log
    what_no_event_names_is_swept_and_nothing_else
    a_full_etcd_refuses_appends_before_its_quota_and_goes_on_reading
    a_log_that_lost_a_batch_is_damaged_and_not_waited_for
    a_swapped_or_changed_batch_is_named_by_its_first_revision
);

async fn a_follower_rides_out_kills_freezes_and_compactions(release: Release) {
    let mut server = Server::start(release, &[]).await;
    let ledger = open(server.endpoint(), "/faults").await;
    let reader = open(server.endpoint(), "/faults").await;
    let follower = tokio::spawn(async move {
        let events: Vec<Arc<Event>> = reader.follow(Revision::ZERO).take(60).try_collect().await.unwrap();
        hashes(&events)
    });
    append(&ledger, 5).await;
    let mut admin = etcd_client::Client::connect([server.endpoint()], None).await.unwrap();

    server.kill();
    let away = ledger.head().await;
    assert!(away.is_err(), "{away:?}");
    server.run();
    append_until(&ledger, 15).await;

    for revision in [20, 25] {
        let seen = admin.get("x", None).await.unwrap().header().unwrap().revision();
        admin.compact(seen, None).await.unwrap();
        append_until(&ledger, revision).await;
    }

    let head = ledger.head().await.unwrap();
    server.signal("STOP");
    let frozen = ledger.append(&head, &batch(&head, 1)).await;
    assert!(
        matches!(frozen, Err(AppendError::Unavailable(_) | AppendError::Unconfirmed { .. })),
        "no answer is neither success nor conflict: {frozen:?}"
    );
    server.signal("CONT");
    append_until(&ledger, 60).await;
    let seen = follower.await.unwrap();
    assert_eq!(seen, hashes(&all(&ledger).await)[..60]);
}

/// Appends single events until the head is at `revision` at least, whatever fails on the way.
async fn append_until(ledger: &Arc<dyn Ledger>, revision: u64) {
    loop {
        match ledger.head().await {
            Ok(head) if head.revision >= Revision(revision) => return,
            Ok(head) => drop(ledger.append(&head, &batch(&head, 1)).await),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn no_outcome_is_a_lie_while_answers_are_lost(release: Release) {
    let place = Place::on(release).await;
    let faulty = open(place.proxy.endpoint(), &place.prefix).await;
    let rival = open(&place.direct, &place.prefix).await;
    let (mut promised, mut denied) = (HashSet::new(), HashSet::new());
    for round in 0..24 {
        let head = rival.head().await.unwrap();
        let ours = batch(&head, 2);
        let fault = async {
            if round % 2 == 0 {
                return;
            }
            place.proxy.swallow_answers();
            // Others may come right after us, so that the head no longer shows that we won.
            let mut now = rival.head().await.unwrap();
            for _ in 0..50 {
                if now != head {
                    break;
                }
                now = rival.head().await.unwrap();
            }
            if round % 4 == 1 {
                drop(rival.append(&now, &batch(&now, 1)).await);
            }
            place.proxy.cut();
        };
        let (outcome, ()) = futures::join!(faulty.append(&head, &ours), fault);
        let ids = ours.events.iter().map(|event| event.header.id);
        match outcome {
            Ok(now) => {
                assert_eq!(now, head.after(&ours));
                promised.extend(ids);
            }
            Err(AppendError::Conflict { .. } | AppendError::Unavailable(_)) => denied.extend(ids),
            Err(AppendError::Unconfirmed { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let stored: Vec<Uuid> = all(&rival).await.iter().map(|event| event.header.id).collect();
    let stored: HashSet<Uuid> = HashSet::from_iter(stored);
    assert!(promised.len() >= 24, "half of the rounds have no fault");
    assert!(promised.is_subset(&stored), "an \"ok\" that was not stored");
    assert!(denied.is_disjoint(&stored), "a \"failed\" that was stored");
}

async fn an_outcome_that_stays_unknown_is_called_unknown(release: Release) {
    let place = Place::on(release).await;
    let short = EtcdConfig { append_timeout: Duration::ZERO, ..config(place.proxy.endpoint(), &place.prefix) };
    let deaf: Arc<dyn Ledger> = Arc::new(EtcdLedger::connect(short).await.unwrap());
    let head = append(&deaf, 1).await;
    let ours = batch(&head, 2);
    place.proxy.swallow_answers();
    let outcome = deaf.append(&head, &ours).await;
    assert!(matches!(&outcome, Err(AppendError::Unconfirmed { batch, .. }) if *batch == ours.id), "{outcome:?}");
    let witness = open(&place.direct, &place.prefix).await;
    assert_eq!(witness.head().await.unwrap(), head.after(&ours), "it was stored");
}

async fn a_transaction_that_comes_late_never_forks_the_log(release: Release) {
    let place = Place::on(release).await;
    let short = EtcdConfig { append_timeout: Duration::ZERO, ..config(place.proxy.endpoint(), &place.prefix) };
    let deposed: Arc<dyn Ledger> = Arc::new(EtcdLedger::connect(short).await.unwrap());
    let rival = open(&place.direct, &place.prefix).await;
    let head = append(&deposed, 3).await;
    let late = batch(&head, 2);
    place.proxy.hold_requests();
    let outcome = deposed.append(&head, &late).await;
    assert!(matches!(outcome, Err(AppendError::Unconfirmed { .. } | AppendError::Unavailable(_))), "{outcome:?}");
    let won = append(&rival, 4).await;
    place.proxy.release();
    let answered = deposed.append(&head, &late).await;
    assert!(matches!(&answered, Err(AppendError::Conflict { actual }) if **actual == won), "{answered:?}");
    assert_eq!(rival.head().await.unwrap(), won);
    assert_eq!(all(&deposed).await.len(), 7, "one history");
    let follower: Vec<Arc<Event>> = deposed.follow(Revision::ZERO).take(7).try_collect().await.unwrap();
    assert_eq!(hashes(&follower), hashes(&all(&rival).await));
}

async fn what_no_event_names_is_swept_and_nothing_else(release: Release) {
    let place = Place::on(release).await;
    let ledger = EtcdLedger::connect(config(&place.direct, &place.prefix)).await.unwrap();
    let shared: Arc<dyn Ledger> = Arc::new(ledger.clone());
    let (named, orphan) = (Uuid::new_v4(), Uuid::new_v4());
    let (chunks, body) = large_body(named, 12);
    for (index, chunk) in chunks.iter().enumerate() {
        let index = u32::try_from(index).unwrap();
        shared.stage(named, index, chunk.clone()).await.unwrap();
        if index < 5 {
            shared.stage(orphan, index, chunk.clone()).await.unwrap();
        }
    }
    let head = shared.head().await.unwrap();
    shared.append(&head, &batch_at(&head, &[with_body(1, body)], Timestamp::now())).await.unwrap();

    let now = Timestamp::now();
    let early = ledger.sweep(now.plus_micros(-3_600_000_000)).await.unwrap();
    assert_eq!((early.bodies, early.chunks), (0, 0), "younger than an hour");
    let late = ledger.sweep(now.plus_micros(1_000_000)).await.unwrap();
    assert_eq!((late.bodies, late.chunks), (1, 5));
    let again = ledger.sweep(now.plus_micros(1_000_000)).await.unwrap();
    assert_eq!((again.bodies, again.chunks), (0, 0));

    let event = all(&shared).await.remove(0);
    let streamed: Vec<Bytes> = shared.body(event).try_collect().await.unwrap();
    assert_eq!(streamed, chunks);
    // A chunk that comes after its event changes nothing.
    shared.stage(named, 0, Bytes::from_static(b"other octets")).await.unwrap();
    let event = all(&shared).await.remove(0);
    let streamed: Vec<Bytes> = shared.body(event).try_collect().await.unwrap();
    assert_eq!(streamed, chunks);
}

async fn a_full_etcd_refuses_appends_before_its_quota_and_goes_on_reading(release: Release) {
    const QUOTA: u64 = 64 << 20;
    let server = Server::start(release, &[&format!("--quota-backend-bytes={QUOTA}")]).await;
    let config = EtcdConfig { quota_bytes: QUOTA, ..config(server.endpoint(), "/full") };
    let ledger: Arc<dyn Ledger> = Arc::new(EtcdLedger::connect(config).await.unwrap());
    let head = append(&ledger, 10).await;
    let mut refused = None;
    for index in 0..1000 {
        // Random octets do not pack.
        let chunk: Vec<u8> = (0..12_000).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
        if let Err(error) = ledger.stage(Uuid::from_u128(7), index, chunk.into()).await {
            refused = Some((index, error));
            break;
        }
    }
    let (staged, error) = refused.expect("64 MiB are full before 192 MB are written");
    assert!(matches!(error, AppendError::Full(_)), "{error:?}");
    assert!(staged > 100, "not at the first doubt: {staged}");
    let appended = ledger.append(&head, &batch(&head, 1)).await;
    assert!(matches!(appended, Err(AppendError::Full(_))), "{appended:?}");
    assert_eq!(ledger.head().await.unwrap(), head);
    assert_eq!(all(&ledger).await.len(), 10);
    let mut admin = etcd_client::Client::connect([server.endpoint()], None).await.unwrap();
    let alarms = admin.alarm(etcd_client::AlarmAction::Get, etcd_client::AlarmType::Nospace, None).await.unwrap();
    assert!(alarms.alarms().is_empty(), "etcd itself never was full");
}

async fn a_log_that_lost_a_batch_is_damaged_and_not_waited_for(release: Release) {
    let place = Place::on(release).await;
    let ledger = open(&place.direct, &place.prefix).await;
    for _ in 0..4 {
        append(&ledger, 2).await;
    }
    let mut admin = etcd_client::Client::connect([&place.direct], None).await.unwrap();
    let at = |revision: u64| format!("{}log/{revision:016x}", place.prefix);
    for (lost, first_bad) in [(8, 7), (4, 3)] {
        assert_eq!(admin.delete(at(lost), None).await.unwrap().deleted(), 1);
        let seen: Vec<_> = ledger.follow(Revision::ZERO).collect().await;
        assert_eq!(seen.len(), first_bad, "all before the gap, then the error, then the end");
        let last = seen.into_iter().last().unwrap();
        let expected = Revision(first_bad as u64);
        assert!(matches!(&last, Err(ReadError::Damaged { revision, .. }) if *revision == expected), "{last:?}");
    }
}

async fn a_swapped_or_changed_batch_is_named_by_its_first_revision(release: Release) {
    let place = Place::on(release).await;
    let ledger = open(&place.direct, &place.prefix).await;
    for _ in 0..3 {
        append(&ledger, 2).await;
    }
    let mut admin = etcd_client::Client::connect([&place.direct], None).await.unwrap();
    let at = |revision: u64| format!("{}log/{revision:016x}", place.prefix);
    let mut values = Vec::new();
    for last in [2, 4, 6] {
        values.push(admin.get(at(last), None).await.unwrap().kvs()[0].value().to_vec());
    }
    // Of another history, with the same revisions.
    let other = format!("{}other/", place.prefix);
    let fork = open(&place.direct, &other).await;
    append(&fork, 2).await;
    append(&fork, 2).await;
    let forked = admin.get(format!("{other}log/{:016x}", 4), None).await.unwrap().kvs()[0].value().to_vec();
    let mut spoilt = vec![(4, forked), (4, values[2].clone()), (4, values[0].clone()), (4, Vec::new())];
    // The first octet is the form's number.
    for octet in (1..values[1].len()).step_by(7) {
        let mut changed = values[1].clone();
        changed[octet] ^= 0x10;
        spoilt.push((4, changed));
    }
    let whole = hashes(&all(&ledger).await);
    for (key, value) in spoilt {
        admin.put(at(key), value.clone(), None).await.unwrap();
        match verify(&*ledger, Revision(1), |_| {}).await {
            Err(ReadError::Damaged { revision, .. }) => assert_eq!(revision, Revision(3), "{value:x?}"),
            // What names the batch or packs it differently may change; what it says may not.
            Ok(_) => assert_eq!(hashes(&all(&ledger).await), whole, "{value:x?}"),
            Err(other) => panic!("{other:?} for {value:x?}"),
        }
    }
}
