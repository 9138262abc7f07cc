//! What a copy makes of an export that is not what was exported.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contract/make.rs"]
#[expect(dead_code, reason = "the contract suite needs more of it")]
mod make;

use std::sync::Arc;

use bytes::Bytes;
use conn3ction_ledger::{
    Head, Ledger,
    export::{Copier, CopyError, export},
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
    let pieces: Vec<Bytes> = export(Arc::clone(&ledger), Revision::ZERO, head.revision).try_collect().await.unwrap();
    (ledger, pieces.concat())
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
        for broken in [&octets[..at], &changed] {
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
    let pieces =
        export(Arc::clone(&ledger), Revision(after.0 - 1), Revision(30)).try_collect::<Vec<_>>().await.unwrap();
    let head = taken(&pieces.concat(), &copy).await.unwrap();
    assert_eq!((head.revision, head.hash), (Revision(30), ledger.head().await.unwrap().hash));
}

#[tokio::test]
async fn an_export_of_another_log_is_refused() {
    let (copy, _) = exported(5).await;
    let (other, octets) = exported(9).await;
    let before = copy.head().await.unwrap();
    let pieces: Vec<Bytes> = export(Arc::clone(&other), Revision(4), Revision(9)).try_collect().await.unwrap();
    let refused = taken(&pieces.concat(), &copy).await;
    assert!(matches!(refused, Err(CopyError::Another { revision: Revision(5), .. })), "{refused:?}");
    // From its beginning it is not what the copy asked for.
    let refused = taken(&octets, &copy).await;
    assert!(matches!(refused, Err(CopyError::Damaged(_))), "{refused:?}");
    assert_eq!(copy.head().await.unwrap(), before);
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
