//! Events to append: real deltas in real headers, so that what is stored has the shape it has in production.

use std::sync::Arc;

use bytes::Bytes;
use conn3ction_ledger::{AppendError, Batch, Body, Event, Head, Ledger, chain::Chain};
use conn3ction_schemas::{
    Delta, Name, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp, Ttl, ZoneChange,
    event::{Actor, Auth, BodyDigest, Draft, DraftBody, DraftChunks, Kind, Place, Salt, ZoneLife},
    rdata::Rdata,
};
use uuid::Uuid;

/// An A record set that differs with `number`.
pub(crate) fn delta(number: u32) -> Delta {
    let set = RecordSet::new(Ttl::from_secs(60).unwrap(), vec![Rdata::from_stored(&number.to_be_bytes())]).unwrap();
    Delta {
        zone: 0,
        owner: Name::parse_absolute(format!("host-{number}.example.local.").as_bytes()).unwrap(),
        key: SetKey::of(RecordType::A),
        before: None,
        after: Some(set),
    }
}

/// One change.
pub(crate) fn draft(number: u32) -> Draft {
    with_body(number, DraftBody::inline([&delta(number)]))
}

/// One event with a body of about `octets` octets that comes along.
pub(crate) fn wide_draft(number: u32, octets: usize) -> Draft {
    let deltas: Vec<Delta> = (0..u32::try_from(octets / 40).unwrap().max(1)).map(delta).collect();
    with_body(number, DraftBody::inline(&deltas))
}

pub(crate) fn with_body(number: u32, body: DraftBody) -> Draft {
    Draft {
        id: Uuid::now_v7(),
        kind: Kind::RecordsChanged,
        actor: Actor { name: "tester".into(), auth: Auth::None },
        source: "rest".into(),
        request_id: format!("request-{number}"),
        idempotency: None,
        reason: Some("CHG-881".into()),
        zones: vec![ZoneChange {
            zone: Name::parse_absolute(b"example.local.").unwrap(),
            before: Some(Serial(number)),
            after: Serial(number.wrapping_add(1)),
            life: ZoneLife::Stays,
        }],
        of: None,
        time: None,
        body,
    }
}

/// Chunks as an import makes them, and the draft that names them once they are staged under `id`.
pub(crate) fn large_body(id: Uuid, chunks: u32) -> (Vec<Bytes>, DraftBody) {
    let salt = Salt::random();
    let mut digest = BodyDigest::new(&salt);
    let mut all = Vec::new();
    let mut change_count = 0;
    for index in 0..chunks {
        let deltas: Vec<Delta> = (0..100).map(|number| delta(index * 100 + number)).collect();
        let body = DraftBody::inline(&deltas);
        let DraftChunks::Inline(mut inline) = body.chunks else { unreachable!() };
        assert_eq!(inline.len(), 1);
        digest.chunk(&inline[0]);
        all.append(&mut inline);
        change_count += body.change_count;
    }
    let body =
        DraftBody { salt, digest: digest.finish(), change_count, chunks: DraftChunks::Staged { id, count: chunks } };
    (all, body)
}

/// `drafts` sealed right after `head`, on a clock that shows `clock`.
pub(crate) fn batch_at(head: &Head, drafts: &[Draft], clock: Timestamp) -> Batch {
    let mut end = head.clone();
    let mut events = Vec::new();
    for draft in drafts {
        let committed_at = end.next_committed_at(clock);
        let place = Place {
            epoch: end.epoch,
            revision: end.revision.next(),
            previous_hash: end.hash,
            committed_at,
            raw_clock: clock,
        };
        let header = draft.seal(place);
        end.revision = place.revision;
        end.hash = header.hash();
        end.committed_at = committed_at;
        let body = match &draft.body.chunks {
            DraftChunks::Inline(chunks) => Body::Inline(chunks.iter().cloned().collect()),
            DraftChunks::Staged { id, count } => Body::Parts { id: *id, count: *count },
        };
        events.push(Arc::new(Event { header, salt: draft.body.salt, body }));
    }
    Batch { id: Uuid::new_v4(), events, closed: Timestamp(0) }
}

/// `count` single changes after `head`.
pub(crate) fn batch(head: &Head, count: u32) -> Batch {
    let first = u32::try_from(head.revision.0).unwrap();
    let drafts: Vec<Draft> = (0..count).map(|number| draft(first + number)).collect();
    batch_at(head, &drafts, Timestamp::now())
}

/// Appends `count` single changes in one batch at the head.
pub(crate) async fn append(ledger: &Arc<dyn Ledger>, count: u32) -> Head {
    let head = ledger.head().await.unwrap();
    ledger.append(&head, &batch(&head, count)).await.unwrap()
}

/// Appends one event, trying again as long as others come first; gives its revision.
pub(crate) async fn append_among_others(ledger: &Arc<dyn Ledger>, number: u32) -> Revision {
    let mut head = ledger.head().await.unwrap();
    loop {
        let batch = batch_at(&head, &[draft(number)], Timestamp::now());
        match ledger.append(&head, &batch).await {
            Ok(now) => return now.revision,
            Err(AppendError::Conflict { actual }) => head = *actual,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Every event of the log, checked.
pub(crate) async fn all(ledger: &Arc<dyn Ledger>) -> Vec<Arc<Event>> {
    let mut chain = Chain::at(Revision::ZERO);
    let mut all = Vec::new();
    loop {
        let events = ledger.read(chain.revision(), 64 * 1024).await.unwrap();
        if events.is_empty() {
            return all;
        }
        for event in events {
            chain.check(&event).unwrap();
            all.push(event);
        }
    }
}

/// What tells two logs apart.
pub(crate) fn hashes(events: &[Arc<Event>]) -> Vec<String> {
    events.iter().map(|event| event.header.hash().to_string()).collect()
}
