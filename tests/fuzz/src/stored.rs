//! The stored form of events, which comes back from disks and from etcd, and exports of ledgers.

use std::sync::Arc;

use bytes::Bytes;
use conn3ction_ledger::{
    Batch, Body, Event, Head, Ledger,
    export::{Copier, export},
    memory::MemoryLedger,
    verify::verify,
};
use conn3ction_schemas::{
    Actor, Kind, Revision, Timestamp,
    event::{
        Auth, Draft, DraftBody, DraftChunks, Place, SealedHeader,
        chunk::{ChunkWriter, deltas},
    },
};
use futures::TryStreamExt;
use uuid::Uuid;

/// The header of an event.
///
/// # Panics
///
/// If a header that was read does not come back from what it is written as.
pub fn event_header(octets: &[u8]) {
    if let Ok(sealed) = SealedHeader::decode(Bytes::copy_from_slice(octets)) {
        let again = SealedHeader::decode(SealedHeader::seal((*sealed).clone()).octets().clone());
        assert_eq!(**again.as_ref().expect("what we wrote"), *sealed);
    }
}

/// A chunk of deltas.
///
/// # Panics
///
/// As [`event_header`].
pub fn event_chunk(octets: &[u8]) {
    let Ok(read) = deltas(octets).collect::<Result<Vec<_>, _>>() else { return };
    let mut writer = ChunkWriter::default();
    let mut chunks: Vec<Bytes> = read.iter().filter_map(|delta| writer.push(delta)).collect();
    chunks.extend(writer.finish());
    let again: Result<Vec<_>, _> = chunks.iter().flat_map(|chunk| deltas(chunk)).collect();
    assert_eq!(again.expect("what we wrote"), read);
}

/// An export of a ledger, which a copy takes in.
///
/// # Panics
///
/// If what a copy took is not a ledger that verifies.
pub fn ledger_export(octets: &[u8]) {
    block_on(async {
        let copy = MemoryLedger::new();
        let mut copier = Copier::at_end_of(&copy).await.expect("an empty ledger");
        for piece in octets.chunks(61) {
            if copier.take(piece).await.is_err() {
                break;
            }
        }
        let ended = copier.finish().await;
        let held = verify(&copy, Revision(1), |_| {}).await.expect("a copy holds only what links");
        if let Ok(head) = ended {
            assert_eq!((head.revision, head.hash), (held.to, held.hash));
        }
    });
}

/// The export of a ledger of two events to start from.
pub fn exports() -> Vec<Vec<u8>> {
    let deltas: Result<Vec<_>, _> =
        chunks().iter().flat_map(|chunk| deltas(chunk).collect::<Vec<_>>()).take(3).collect();
    let mut head = Head::EMPTY;
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    block_on(async {
        for of in deltas.expect("golden deltas").chunks(2) {
            let body = DraftBody::inline(of);
            let DraftChunks::Inline(chunks) = body.chunks.clone() else { unreachable!("a small body") };
            let draft = Draft {
                id: Uuid::now_v7(),
                kind: Kind::RecordsChanged,
                actor: Actor { name: "ann".into(), auth: Auth::None },
                source: "rest".into(),
                request_id: "1".into(),
                idempotency: None,
                reason: None,
                zones: Vec::new(),
                of: None,
                time: None,
                body,
            };
            let committed_at = head.next_committed_at(Timestamp(1));
            let header = draft.seal(Place {
                epoch: head.epoch,
                revision: head.revision.next(),
                previous_hash: head.hash,
                committed_at,
                raw_clock: committed_at,
            });
            let event = Event { header, salt: draft.body.salt, body: Body::Inline(chunks.into_iter().collect()) };
            let batch = Batch { id: Uuid::nil(), events: vec![Arc::new(event)], closed: Timestamp(0) };
            head = ledger.append(&head, &batch).await.expect("in memory");
        }
        let pieces: Vec<Bytes> = export(ledger, Revision::ZERO, head).try_collect().await.expect("in memory");
        vec![pieces.concat()]
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

/// The golden files: first the header, then the chunk, in hexadecimal.
const GOLDEN: &[&str] = &[
    include_str!("../../../schemas/golden/records-changed.txt"),
    include_str!("../../../schemas/golden/restored.txt"),
    include_str!("../../../schemas/golden/zone-created.txt"),
    include_str!("../../../schemas/golden/zone-deleted.txt"),
];

/// Headers to start from.
pub fn headers() -> Vec<Vec<u8>> {
    GOLDEN.iter().map(|text| hex(text, "header:")).collect()
}

/// Chunks to start from.
pub fn chunks() -> Vec<Vec<u8>> {
    GOLDEN.iter().map(|text| hex(text, "body chunk:")).collect()
}

/// The lines of hexadecimal digits below `title`.
fn hex(text: &str, title: &str) -> Vec<u8> {
    let lines = text.lines().skip_while(|line| *line != title).skip(1).map_while(|line| line.strip_prefix("  "));
    data_encoding::HEXLOWER.decode(lines.collect::<String>().as_bytes()).expect("a golden file")
}
