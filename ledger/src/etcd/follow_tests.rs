//! A doorbell that loses, repeats, reorders and spoils what it brings must never show in what a follower yields.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use conn3ction_schemas::{
    Revision, Timestamp,
    event::{Actor, Auth, Draft, DraftBody, DraftChunks, Kind, Place},
};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use uuid::Uuid;

use super::{
    container,
    follow::{Medium, Ring, follow},
    store::{Fetched, Pace, open_batch},
};
use crate::{Batch, Body, Event, Head, ReadError, chain::Chain};

/// The key range of a log that grows.
type Range = Arc<Mutex<Vec<(Revision, Vec<u8>)>>>;

struct Faulty {
    range: Range,
    random: Arc<Mutex<Random>>,
}

impl Medium for Faulty {
    fn fetch<'a>(&'a self, chain: &'a mut Chain, _: &'a mut Pace) -> BoxFuture<'a, Result<Fetched, ReadError>> {
        async move {
            tokio::task::yield_now().await;
            if self.random.lock().unwrap_or_else(PoisonError::into_inner).below(8) == 0 {
                return Err(ReadError::Unavailable("away".into()));
            }
            let range = self.range.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let next = range.iter().find(|(last, _)| *last > chain.revision());
            let events = next.map_or(Ok(Vec::new()), |(last, value)| open_batch(Some(*last), value, chain))?;
            Ok(Fetched { events, seen_at: 0 })
        }
        .boxed()
    }

    fn bell(&self, _: i64) -> BoxFuture<'_, Result<BoxStream<'static, Ring>, ReadError>> {
        let (range, random) = (Arc::clone(&self.range), Arc::clone(&self.random));
        let rings = stream::unfold(6, move |left| {
            let (range, random) = (Arc::clone(&range), Arc::clone(&random));
            async move {
                tokio::task::yield_now().await;
                let range = range.lock().unwrap_or_else(PoisonError::into_inner);
                let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
                // Ends at last, so that a bell that never rings right does not make the test wait.
                (left > 0).then(|| (ring(&range, &mut random), left - 1))
            }
        });
        async move { Ok(rings.boxed()) }.boxed()
    }
}

fn ring(range: &[(Revision, Vec<u8>)], random: &mut Random) -> Ring {
    if range.is_empty() {
        return Ring::Other;
    }
    // Any batch: old, next, or ahead.
    let (last, mut value) = range[random.below(range.len())].clone();
    match random.below(5) {
        0 => {
            let place = random.below(value.len());
            value[place] ^= 1 << random.below(8);
            Ring::Batch { last, value }
        }
        1 => Ring::Batch { last: last.next(), value },
        2 => Ring::Other,
        _ => Ring::Batch { last, value },
    }
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a usize")
    }
}

fn batch(head: &Head, count: u64) -> Batch {
    let mut end = head.clone();
    let mut events = Vec::new();
    for _ in 0..count {
        let committed_at = end.next_committed_at(Timestamp(1));
        let draft = Draft {
            id: Uuid::new_v4(),
            kind: Kind::RecordsChanged,
            actor: Actor { name: "tester".into(), auth: Auth::None },
            source: "rest".into(),
            request_id: "request".into(),
            idempotency: None,
            reason: None,
            zones: Vec::new(),
            of: None,
            time: None,
            body: DraftBody::inline([]),
        };
        let place = Place {
            epoch: end.epoch,
            revision: end.revision.next(),
            previous_hash: end.hash,
            committed_at,
            raw_clock: Timestamp(1),
        };
        let header = draft.seal(place);
        (end.revision, end.hash, end.committed_at) = (header.revision, header.hash(), committed_at);
        let DraftChunks::Inline(chunks) = draft.body.chunks else { unreachable!("made inline") };
        events.push(Arc::new(Event { header, salt: draft.body.salt, body: Body::Inline(chunks.into()) }));
    }
    Batch { id: Uuid::new_v4(), events, closed: Timestamp(0) }
}

#[tokio::test]
async fn a_faulty_doorbell_never_shows_in_what_a_follower_yields() {
    for seed in 1..=20 {
        println!("seed {seed}");
        let range = Range::default();
        let random = Arc::new(Mutex::new(Random(seed)));
        let follower = follow(Faulty { range: Arc::clone(&range), random }, Revision::ZERO);
        let grow = async {
            let mut sizes = Random(seed);
            let mut head = Head::EMPTY;
            while head.revision < Revision(60) {
                let batch = batch(&head, 1 + sizes.below(4) as u64);
                head = head.after(&batch);
                let stored = (head.revision, container::encode_batch(&batch));
                range.lock().expect("no panic").push(stored);
                for _ in 0..sizes.below(6) {
                    tokio::task::yield_now().await;
                }
            }
        };
        let check = async {
            let mut chain = Chain::at(Revision::ZERO);
            let mut events = follower.take(60);
            while let Some(event) = events.next().await {
                chain.check(&event.expect("the range is whole")).expect("each once, in order");
            }
            assert_eq!(chain.revision(), Revision(60));
        };
        futures::join!(check, grow);
    }
}

#[test]
fn each_changed_octet_of_a_stored_batch_is_noticed() {
    let batch = batch(&Head::EMPTY, 3);
    let value = container::encode_batch(&batch);
    let open = |value: &[u8]| open_batch(Some(Revision(3)), value, &mut Chain::at(Revision::ZERO));
    assert_eq!(open(&value).expect("whole").len(), 3);
    assert_eq!(container::batch_id(&value), Some(batch.id));
    for place in 0..value.len() {
        let mut spoilt = value.clone();
        spoilt[place] ^= 0x40;
        let same = |events: Vec<Arc<Event>>| {
            events.iter().zip(&batch.events).all(|(read, written)| read.header == written.header)
        };
        assert!(!open(&spoilt).is_ok_and(same), "octet {place}");
    }
    for length in 0..value.len() {
        assert!(open(&value[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn a_body_that_its_header_does_not_name_is_damage() {
    let mut batch = batch(&Head::EMPTY, 3);
    let event = Event::clone(&batch.events[1]);
    batch.events[1] = Arc::new(Event { body: Body::Inline(vec![Bytes::from_static(b"another body")].into()), ..event });
    let value = container::encode_batch(&batch);
    let opened = open_batch(Some(Revision(3)), &value, &mut Chain::at(Revision::ZERO));
    assert!(matches!(opened, Err(ReadError::Damaged { revision: Revision(2), .. })), "{opened:?}");
}

#[test]
fn a_part_comes_back_with_its_time_and_never_unpacks_beyond_its_bound() {
    let chunk = vec![7; 100_000];
    let part = container::encode_part(&chunk, Timestamp(42));
    assert_eq!(container::staged_at(&part), Some(Timestamp(42)));
    assert_eq!(container::decode_part(&part, chunk.len()).expect("at the bound"), Bytes::from(chunk));
    assert!(container::decode_part(&part, 99_999).is_err());
}
