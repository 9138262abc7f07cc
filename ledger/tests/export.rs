//! What a copy makes of an export that is not what was exported.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contract/make.rs"]
#[expect(dead_code, reason = "the contract suite needs more of it")]
mod make;

use std::sync::Arc;

use bytes::Bytes;
use conn3ction_ledger::{
    Batch, Head, Ledger,
    export::{Copier, CopyError, export},
    file::{FileLedger, disk::Directory},
    memory::MemoryLedger,
};
use conn3ction_schemas::{Revision, Timestamp};
use futures::TryStreamExt;
use uuid::Uuid;

/// A log of `events` events, the second of them with a staged body, and its export.
async fn exported(events: u32) -> (Arc<dyn Ledger>, Vec<u8>) {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut head = make::append(&ledger, 1).await;
    let id = Uuid::new_v4();
    let (chunks, body) = make::large_body(id, 1);
    ledger.stage(id, 0, chunks[0].slice(..)).await.unwrap();
    head = ledger.append(&head, &make::batch_at(&head, &[make::with_body(2, body)], Timestamp::now())).await.unwrap();
    while head.revision.0 < u64::from(events) {
        head = make::append(&ledger, 1).await;
    }
    let pieces: Vec<Bytes> = export(Arc::clone(&ledger), Revision::ZERO, head.clone()).try_collect().await.unwrap();
    (ledger, pieces.concat())
}

async fn exported_after(ledger: &Arc<dyn Ledger>, after: u64) -> Vec<u8> {
    let head = ledger.head().await.unwrap();
    let pieces: Vec<Bytes> = export(Arc::clone(ledger), Revision(after), head).try_collect().await.unwrap();
    pieces.concat()
}

async fn taken(octets: &[u8], copy: &Arc<dyn Ledger>) -> Result<Head, CopyError> {
    let mut copier = Copier::at_end_of(&**copy).await?;
    copier.take(octets).await?;
    copier.finish().await
}

/// Whatever of an export is lost or changed is noticed, and what the copy holds is a beginning of the original.
#[tokio::test]
async fn an_export_with_any_octet_lost_or_changed_is_refused() {
    let (ledger, octets) = exported(4).await;
    let original = make::hashes(&make::all(&ledger).await);
    let mut refused = 0;
    for at in 0..octets.len() {
        let mut changed = octets.clone();
        changed[at] ^= 1 << (at % 8);
        // Up to when moments are final, the last octet here, is no event's and covered by no hash.
        let changed = if at + 1 < octets.len() { &changed } else { &octets[..at] };
        for broken in [&octets[..at], changed] {
            let copy: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
            assert!(taken(broken, &copy).await.is_err(), "octet {at}");
            let held = make::hashes(&make::all(&copy).await);
            assert_eq!(held, original[..held.len()], "octet {at}");
            refused += 1;
        }
    }
    assert_eq!(refused, 2 * octets.len());
    let copy: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    assert!(matches!(taken(&[&octets[..], &[0x40]].concat(), &copy).await, Err(CopyError::Form { .. })));
}

#[tokio::test]
async fn a_copy_that_broke_off_is_gone_on_with() {
    let (ledger, octets) = exported(30).await;
    let copy: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let broken = taken(&octets[..octets.len() / 2], &copy).await;
    let Err(CopyError::BrokenOff { after }) = broken else { panic!("{broken:?}") };
    assert!(after > Revision(2) && after == copy.head().await.unwrap().revision, "{after}");
    let head = taken(&exported_after(&ledger, after.0 - 1).await, &copy).await.unwrap();
    assert_eq!((head.revision, head.hash), (Revision(30), ledger.head().await.unwrap().hash));
}

#[tokio::test]
async fn an_export_of_another_log_is_refused() {
    let (copy, _) = exported(5).await;
    let (other, octets) = exported(9).await;
    let before = copy.head().await.unwrap();
    let refused = taken(&exported_after(&other, 4).await, &copy).await;
    assert!(matches!(refused, Err(CopyError::Another { revision: Revision(5), .. })), "{refused:?}");
    // From its beginning it is not what the copy asked for.
    let refused = taken(&octets, &copy).await;
    assert!(matches!(refused, Err(CopyError::Damaged(_))), "{refused:?}");
    assert_eq!(copy.head().await.unwrap(), before);
}

/// A copy with more than the original, by one event or by all, is of another ledger, and an end without the head's own event
/// proves nothing.
#[tokio::test]
async fn a_copy_that_is_ahead_is_refused() {
    let (copy, _) = exported(3).await;
    let (behind, _) = exported(2).await;
    let empty: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let forged = [&[0x83, 3, 0x58, 32][..], &[0; 32], &[0]].concat();
    for octets in [exported_after(&behind, 2).await, exported_after(&empty, 0).await, forged] {
        let refused = taken(&octets, &copy).await;
        assert!(matches!(refused, Err(CopyError::Ahead { here: Revision(3), .. })), "{refused:?}");
    }
}

/// Whoever serves a copy promises that moments are final; then the original's events come too late.
#[tokio::test]
async fn a_copy_that_was_served_is_not_gone_on_with() {
    let (ledger, octets) = exported(3).await;
    let copy: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let head = taken(&octets, &copy).await.unwrap();
    let closed = head.committed_at.plus_micros(60_000_000);
    copy.append(&head, &Batch { id: Uuid::new_v4(), events: Vec::new(), closed }).await.unwrap();
    make::append(&ledger, 1).await;
    let refused = taken(&exported_after(&ledger, 2).await, &copy).await;
    assert!(matches!(refused, Err(CopyError::Closed { revision: Revision(4) })), "{refused:?}");
}

/// Damage in the original is told as such, behind all that is whole.
#[tokio::test]
async fn where_the_original_is_damaged_the_export_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Directory::open(directory.path()).unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(FileLedger::open_on(disk, 4096).unwrap());
    for _ in 0..100 {
        make::append(&ledger, 1).await;
    }
    drop(ledger);
    let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let second = files.into_iter().find(|path| path.display().to_string().contains("/00000001-")).unwrap();
    let mut octets = std::fs::read(&second).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&second, octets).unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(FileLedger::open_to_read(directory.path()).unwrap());
    let copy: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    let mut copier = Copier::at_end_of(&*copy).await.unwrap();
    let refused = copier.take(&exported_after(&ledger, 0).await).await;
    let Err(CopyError::Original { after, detail }) = refused else { panic!("{refused:?}") };
    assert!(after > Revision(3) && detail.contains(&format!("damaged at {}", after.next())), "{after}: {detail}");
}

/// The form is what `schemas/event.cddl` says of it.
#[tokio::test]
async fn every_item_of_an_export_is_what_event_cddl_says() {
    const CDDL: &str = include_str!("../../schemas/event.cddl");
    let start = |rule: &str| format!("start = {rule}\n{CDDL}");
    let (_, octets) = exported(3).await;
    let mut d = minicbor::Decoder::new(&octets);
    let mut rules = Vec::new();
    while d.position() < octets.len() {
        let begun = d.position();
        d.skip().unwrap();
        let item = &octets[begun..d.position()];
        let fits = ["exported-event", "exported-chunk", "export-end"]
            .into_iter()
            .filter(|rule| cddl::validate_cbor_from_slice(&start(rule), item, None).is_ok());
        rules.push(fits.collect::<Vec<_>>().join(", "));
    }
    let event = ["exported-event", "exported-chunk"];
    assert_eq!(rules, [&event[..], &event, &event, &["export-end"]].concat());
}
