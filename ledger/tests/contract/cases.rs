//! The cases. Each takes a fresh place and holds one promise of [`conn3ction_ledger::Ledger`] to it.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use conn3ction_ledger::{
    AppendError, Batch, Body, Head, Ledger, ReadError,
    export::{Copier, export},
    memory::MemoryLedger,
    verify::verify,
};
use conn3ction_schemas::{
    Revision, Timestamp,
    event::{BodyDigest, DraftBody},
};
use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::{
    Backend,
    make::{self, all, append, batch, batch_at, draft, hashes},
};

pub(crate) async fn an_empty_log_has_the_empty_head(place: impl Backend) {
    let ledger = place.open().await;
    assert_eq!(ledger.head().await.unwrap(), Head::EMPTY);
    assert!(ledger.read(Revision::ZERO, 1000).await.unwrap().is_empty());
}

pub(crate) async fn revisions_are_dense_from_one(place: impl Backend) {
    let ledger = place.open().await;
    for (size, last) in [(1, 1), (3, 4), (1, 5), (7, 12)] {
        assert_eq!(append(&ledger, size).await.revision, Revision(last));
    }
    let revisions: Vec<u64> = all(&ledger).await.iter().map(|event| event.revision().0).collect();
    assert_eq!(revisions, (1..=12).collect::<Vec<_>>());
}

pub(crate) async fn an_append_at_an_old_head_is_a_conflict_that_names_the_head(place: impl Backend) {
    let first = place.open().await;
    let second = place.second(&first).await;
    let old = first.head().await.unwrap();
    let won = first.append(&old, &batch(&old, 2)).await.unwrap();
    let lost = second.append(&old, &batch(&old, 1)).await;
    let Err(AppendError::Conflict { actual }) = lost else { panic!("{lost:?}") };
    assert_eq!(*actual, won);
    assert_eq!(second.head().await.unwrap(), won);
    assert_eq!(second.append(&won, &batch(&won, 1)).await.unwrap().revision, Revision(3), "losers burn no number");
}

pub(crate) async fn exactly_one_of_many_racers_wins_each_revision(place: impl Backend) {
    const RACERS: u32 = 16;
    const ROUNDS: u64 = 8;
    let first = place.open().await;
    let second = place.second(&first).await;
    for round in 1..=ROUNDS {
        let head = first.head().await.unwrap();
        let racers = (0..RACERS).map(|racer| {
            let ledger = Arc::clone(if racer % 2 == 0 { &first } else { &second });
            let head = head.clone();
            tokio::spawn(async move {
                match ledger.append(&head, &batch_at(&head, &[draft(racer)], Timestamp::now())).await {
                    Ok(now) => Some(now),
                    Err(AppendError::Conflict { .. }) => None,
                    Err(error) => panic!("{error:?}"),
                }
            })
        });
        let outcomes = futures::future::join_all(racers).await;
        let winners: Vec<Head> = outcomes.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(winners[0].revision, Revision(round));
        assert_eq!(first.head().await.unwrap(), winners[0]);
    }
    assert_eq!(all(&second).await.len() as u64, ROUNDS);
}

pub(crate) async fn a_batch_is_stored_whole_or_not_at_all(place: impl Backend) {
    const BATCHES: u64 = 40;
    let ledger = place.open().await;
    let reader = place.second(&ledger).await;
    let watcher = tokio::spawn(async move {
        // Batches have five events, so whatever is seen ends at a multiple of five.
        loop {
            let end = reader.read(Revision::ZERO, usize::MAX).await.unwrap().len() as u64;
            assert_eq!(end % 5, 0, "half a batch was seen");
            assert_eq!(reader.head().await.unwrap().revision.0 % 5, 0, "half a batch was seen");
            if end == 5 * BATCHES {
                return;
            }
        }
    });
    for _ in 0..BATCHES {
        append(&ledger, 5).await;
    }
    watcher.await.unwrap();
    let before = ledger.head().await.unwrap();
    let old = Head { hash: conn3ction_schemas::event::Hash([7; 32]), ..before.clone() };
    assert!(matches!(ledger.append(&old, &batch(&old, 5)).await, Err(AppendError::Conflict { .. })));
    assert_eq!(ledger.head().await.unwrap(), before);
    assert_eq!(all(&ledger).await.len() as u64, 5 * BATCHES);
}

pub(crate) async fn reads_are_bounded_by_bytes_and_give_at_least_one_event(place: impl Backend) {
    let ledger = place.open().await;
    let head = ledger.head().await.unwrap();
    let drafts = [draft(1), make::wide_draft(2, 20_000), draft(3), draft(4), draft(5)];
    ledger.append(&head, &batch_at(&head, &drafts, Timestamp::now())).await.unwrap();
    append(&ledger, 3).await;
    let sizes: Vec<usize> = all(&ledger).await.iter().map(|event| event.size()).collect();
    for after in 0..8 {
        for max_bytes in [0, 1, 600, 1500, 25_000, usize::MAX] {
            let events = ledger.read(Revision(after as u64), max_bytes).await.unwrap();
            assert!(!events.is_empty(), "at least one");
            assert_eq!(events[0].revision(), Revision(after as u64 + 1));
            let total: usize = sizes[after..after + events.len()].iter().sum();
            assert!(events.len() == 1 || total <= max_bytes, "{total} octets after r{after}, not {max_bytes}");
        }
    }
}

pub(crate) async fn a_read_after_the_head_is_empty(place: impl Backend) {
    let ledger = place.open().await;
    append(&ledger, 3).await;
    for after in [3, 4, 1000, u64::MAX] {
        assert!(ledger.read(Revision(after), usize::MAX).await.unwrap().is_empty(), "after r{after}");
    }
}

pub(crate) async fn inline_bodies_come_back_as_they_were(place: impl Backend) {
    let ledger = place.open().await;
    let head = ledger.head().await.unwrap();
    let drafts = [draft(1), make::wide_draft(2, 100_000), make::with_body(3, DraftBody::inline([]))];
    let written = batch_at(&head, &drafts, Timestamp::now());
    ledger.append(&head, &written).await.unwrap();
    let read = all(&place.second(&ledger).await).await;
    for (written, read) in written.events.iter().zip(&read) {
        assert_eq!(written.header, read.header);
        assert_eq!(written.salt, read.salt);
        let (Body::Inline(before), Body::Inline(after)) = (&written.body, &read.body) else { panic!("not inline") };
        assert_eq!(before, after);
        let streamed: Vec<Bytes> = ledger.body(Arc::clone(read)).try_collect().await.unwrap();
        assert_eq!(streamed[..], before[..]);
    }
    let deltas: Vec<_> = read[0].deltas().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(deltas, [make::delta(1)]);
}

pub(crate) async fn staged_bodies_are_streamed_and_verified(place: impl Backend) {
    let ledger = place.open().await;
    append(&ledger, 2).await;
    let (left, right) = (Uuid::new_v4(), Uuid::new_v4());
    let (left_chunks, left_body) = make::large_body(left, 20);
    let (right_chunks, right_body) = make::large_body(right, 7);
    // Two imports at once, chunks out of order, other events between them, one chunk sent twice.
    for index in (0..20).rev() {
        ledger.stage(left, index, left_chunks[index as usize].clone()).await.unwrap();
        if index < 7 {
            ledger.stage(right, index, right_chunks[index as usize].clone()).await.unwrap();
            append(&ledger, 1).await;
        }
    }
    ledger.stage(left, 3, left_chunks[3].clone()).await.unwrap();
    ledger.stage(Uuid::new_v4(), 0, Bytes::from_static(b"an orphan")).await.unwrap();
    let head = ledger.head().await.unwrap();
    let drafts = [draft(1), make::with_body(2, right_body), make::with_body(3, left_body.clone()), draft(4)];
    ledger.append(&head, &batch_at(&head, &drafts, Timestamp::now())).await.unwrap();

    for ledger in [Arc::clone(&ledger), place.second(&ledger).await] {
        let events = ledger.read(head.revision, usize::MAX).await.unwrap();
        assert_eq!(events.len(), 4);
        assert!(matches!(events[1].body, Body::Parts { count: 7, .. }));
        assert!(matches!(events[2].body, Body::Parts { count: 20, .. }));
        for (place, expected) in [(1, &right_chunks), (2, &left_chunks)] {
            let streamed: Vec<Bytes> = ledger.body(Arc::clone(&events[place])).try_collect().await.unwrap();
            assert_eq!(&streamed, expected);
        }
        // A header that promises another body than what is there.
        let mut wrong = conn3ction_ledger::Event::clone(&events[2]);
        wrong.salt.0[0] ^= 1;
        let streamed: Result<Vec<Bytes>, ReadError> = ledger.body(Arc::new(wrong)).try_collect().await;
        assert!(matches!(streamed, Err(ReadError::Damaged { revision, .. }) if revision == events[2].revision()));
    }
    drop(ledger);
    let ledger = place.open().await;
    let events = ledger.read(head.revision, usize::MAX).await.unwrap();
    let mut digest = BodyDigest::new(&events[2].salt);
    let mut chunks = ledger.body(Arc::clone(&events[2]));
    while let Some(chunk) = chunks.next().await {
        digest.chunk(&chunk.unwrap());
    }
    assert_eq!(digest.finish(), left_body.digest);
}

pub(crate) async fn an_event_whose_body_is_not_staged_is_not_stored(place: impl Backend) {
    let ledger = place.open().await;
    let before = append(&ledger, 1).await;
    let id = Uuid::new_v4();
    let (chunks, body) = make::large_body(id, 3);
    ledger.stage(id, 0, chunks[0].clone()).await.unwrap();
    ledger.stage(id, 2, chunks[2].clone()).await.unwrap();
    let batch = batch_at(&before, &[draft(1), make::with_body(2, body)], Timestamp::now());
    let refused = ledger.append(&before, &batch).await;
    assert!(matches!(refused, Err(AppendError::MissingBody { body }) if body == id), "{refused:?}");
    assert_eq!(ledger.head().await.unwrap(), before);
    ledger.stage(id, 1, chunks[1].clone()).await.unwrap();
    assert_eq!(ledger.append(&before, &batch).await.unwrap().revision, Revision(3));
}

pub(crate) async fn a_follower_sees_past_and_live_without_gap_while_many_append(place: impl Backend) {
    const WRITERS: u32 = 64;
    const EACH: u32 = 4;
    let first = place.open().await;
    append(&first, 50).await;
    let second = place.second(&first).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let ledger = Arc::clone(if writer % 2 == 0 { &first } else { &second });
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for number in 0..EACH {
                    mine.push(make::append_among_others(&ledger, number).await);
                }
                mine
            })
        })
        .collect();
    let last = u64::from(50 + WRITERS * EACH);
    let followers = [(&first, 0), (&second, 0), (&second, 30), (&first, 49), (&second, 60)].map(|(ledger, after)| {
        let events = ledger.follow(Revision(after));
        tokio::spawn(async move {
            let events: Vec<_> = events.take(usize::try_from(last - after).unwrap()).try_collect().await.unwrap();
            let revisions: Vec<u64> = events.iter().map(|event| event.revision().0).collect();
            assert_eq!(revisions, (after + 1..=last).collect::<Vec<_>>());
            hashes(&events)
        })
    });
    let mut acknowledged = HashSet::new();
    for writer in writers {
        for revision in writer.await.unwrap() {
            assert!(acknowledged.insert(revision), "{revision} was given twice");
        }
    }
    assert_eq!(acknowledged.len() as u64, last - 50);
    let expected = hashes(&all(&first).await);
    for follower in followers {
        let seen = follower.await.unwrap();
        assert_eq!(seen, expected[expected.len() - seen.len()..], "all readers see the same order");
    }
}

pub(crate) async fn a_follower_may_start_anywhere(place: impl Backend) {
    let ledger = place.open().await;
    append(&ledger, 10).await;
    for after in 0..10 {
        let mut follower = ledger.follow(Revision(after));
        assert_eq!(follower.next().await.unwrap().unwrap().revision(), Revision(after + 1));
    }
    let mut follower = ledger.follow(Revision(10));
    append(&ledger, 1).await;
    assert_eq!(follower.next().await.unwrap().unwrap().revision(), Revision(11));
}

pub(crate) async fn reopening_keeps_everything(place: impl Backend) {
    let ledger = place.open().await;
    for size in [1, 9, 3] {
        append(&ledger, size).await;
    }
    let closed = close(&ledger, ledger.head().await.unwrap().committed_at.plus_micros(5_000_000)).await;
    let expected = hashes(&all(&ledger).await);
    drop(ledger);

    let ledger = place.open().await;
    assert_eq!(ledger.head().await.unwrap(), closed);
    assert_eq!(hashes(&all(&ledger).await), expected);
    let after = append(&ledger, 2).await;
    drop(ledger);

    let ledger = place.open().await;
    assert_eq!(ledger.head().await.unwrap(), after);
    assert_eq!(after.closed, closed.closed);
    assert_eq!(hashes(&all(&ledger).await)[..13], expected);
}

pub(crate) async fn every_event_carries_the_hash_of_the_one_before(place: impl Backend) {
    let ledger = place.open().await;
    append(&ledger, 3).await;
    append(&ledger, 3).await;
    let events = all(&ledger).await;
    assert_eq!(events[0].header.previous_hash, Head::EMPTY.hash);
    for pair in events.windows(2) {
        assert_eq!(pair[1].header.previous_hash, pair[0].header.hash());
        assert!(pair[1].header.committed_at > pair[0].header.committed_at);
    }
    assert_eq!(ledger.head().await.unwrap().hash, events[5].header.hash());
}

pub(crate) async fn an_empty_batch_closes_moments_and_makes_no_event(place: impl Backend) {
    let ledger = place.open().await;
    let before = append(&ledger, 2).await;
    let moment = before.committed_at.plus_micros(60_000_000);
    let closed = close(&ledger, moment).await;
    assert_eq!(closed, Head { closed: moment, batch: closed.batch, ..before.clone() });
    assert_eq!(ledger.head().await.unwrap(), closed);
    assert_eq!(all(&ledger).await.len(), 2);
    assert!(ledger.read(before.revision, usize::MAX).await.unwrap().is_empty());

    let earlier = close(&ledger, before.committed_at).await;
    assert_eq!(earlier.closed, moment, "what is closed stays closed");

    let now = append(&ledger, 1).await;
    assert!(now.committed_at > moment, "later events are later than what is closed");
    assert_eq!(now.closed, moment);
}

async fn close(ledger: &Arc<dyn Ledger>, moment: Timestamp) -> Head {
    let head = ledger.head().await.unwrap();
    ledger.append(&head, &Batch { id: Uuid::new_v4(), events: Vec::new(), closed: moment }).await.unwrap()
}

pub(crate) async fn a_lost_answer_is_resolved_truthfully(place: impl Backend) {
    let ledger = place.open().await;
    let head = append(&ledger, 1).await;
    let batch = batch(&head, 2);
    let Some(outcome) = place.append_and_lose_the_answer(&ledger, &head, &batch).await else { return };
    match outcome {
        Ok(now) => assert_eq!(now, head.after(&batch), "what was won is what was sent"),
        Err(AppendError::Unconfirmed { batch: id, .. }) => assert_eq!(id, batch.id),
        Err(error) => panic!("the batch is stored, so this is a lie: {error:?}"),
    }
    assert_eq!(hashes(&all(&ledger).await).len(), 3, "stored once");
    assert_eq!(ledger.head().await.unwrap(), head.after(&batch));
}

pub(crate) async fn verify_walks_the_whole_log(place: impl Backend) {
    let ledger = place.open().await;
    let id = Uuid::new_v4();
    let (chunks, body) = make::large_body(id, 5);
    for (index, chunk) in chunks.into_iter().enumerate() {
        ledger.stage(id, u32::try_from(index).unwrap(), chunk).await.unwrap();
    }
    append(&ledger, 20).await;
    let head = ledger.head().await.unwrap();
    ledger.append(&head, &batch_at(&head, &[make::with_body(1, body)], Timestamp::now())).await.unwrap();
    append(&ledger, 20).await;
    let head = ledger.head().await.unwrap();
    for from in [0, 1, 2, 20, 21, 22, 41] {
        let mut seen = Vec::new();
        let verified = verify(&*ledger, Revision(from), |header| seen.push(header.revision)).await.unwrap();
        assert_eq!((verified.to, verified.hash), (head.revision, head.hash));
        assert_eq!(seen.last(), Some(&Revision(41)));
    }
}

/// Takes all of `from` that `to` lacks over, in pieces that respect no item.
async fn copied(from: &Arc<dyn Ledger>, to: &Arc<dyn Ledger>) -> Head {
    let mut copier = Copier::at_end_of(&**to).await.unwrap();
    let head = from.head().await.unwrap();
    let mut pieces = export(Arc::clone(from), copier.after(), head);
    while let Some(piece) = pieces.try_next().await.unwrap() {
        for part in piece.chunks(997) {
            copier.take(part).await.unwrap();
        }
    }
    copier.finish().await.unwrap()
}

pub(crate) async fn an_export_is_the_same_log_elsewhere<B: Backend>(place: B) {
    let (ledger, other) = (place.open().await, B::fresh().await);
    let memory: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let copy = other.open().await;
    assert_eq!(copied(&ledger, &memory).await, Head::EMPTY);
    let closed = Timestamp::now();
    let batch = Batch { id: Uuid::new_v4(), events: Vec::new(), closed };
    ledger.append(&Head::EMPTY, &batch).await.unwrap();
    for round in 1..=3u32 {
        append(&ledger, 520).await;
        let id = Uuid::new_v4();
        let (chunks, body) = make::large_body(id, if round == 1 { 66 } else { round });
        for (index, chunk) in (0u32..).zip(&chunks) {
            ledger.stage(id, index, chunk.clone()).await.unwrap();
        }
        let head = ledger.head().await.unwrap();
        let wide = make::wide_draft(7, 1000);
        ledger.append(&head, &batch_at(&head, &[make::with_body(1, body), wide], Timestamp::now())).await.unwrap();
        // Out of this backend and, from there, into it.
        for (from, to) in [(&ledger, &memory), (&memory, &copy)] {
            let head = copied(from, to).await;
            let original = ledger.head().await.unwrap();
            assert_eq!((head.revision, head.hash), (original.revision, original.hash));
            assert_eq!(head.closed, closed, "what was final stays final");
        }
    }
    assert_eq!(hashes(&all(&copy).await), hashes(&all(&ledger).await));
    verify(&*copy, Revision(1), |_| {}).await.unwrap();
    // Nothing new is nothing to do.
    assert_eq!(copied(&ledger, &copy).await, copy.head().await.unwrap());
}
