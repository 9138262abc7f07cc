//! What only segment files promise: damage is named, a torn last write is cut off, one process at a time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the suite's helpers are shared with other tests")]

#[path = "contract/mod.rs"]
mod suite;

use std::{fs, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use conn3ction_ledger::{
    Body, Ledger, ReadError,
    file::{
        FileLedger, OpenError,
        disk::Directory,
        frame::{FrameHead, HEAD_BYTES, push},
    },
    verify::verify,
};
use conn3ction_schemas::{Revision, Timestamp};
use proptest::prelude::*;
use suite::make::{all, append, batch_at, draft, hashes, wide_draft};

async fn opened(directory: &tempfile::TempDir) -> Arc<dyn Ledger> {
    Arc::new(FileLedger::open(directory.path()).unwrap())
}

fn segment(directory: &tempfile::TempDir) -> PathBuf {
    let mut files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|kind| kind == "seg")).unwrap()
}

/// Where the last frame of a segment ends that has room behind it: at a multiple of 8, and no batch ends with 8 zeros.
fn written(segment: &std::path::Path) -> usize {
    let octets = fs::read(segment).unwrap();
    octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| (last + 1).next_multiple_of(8))
}

/// Six events in three batches; the octets of the segment and where each batch ends.
async fn small_log(directory: &tempfile::TempDir) -> (Vec<u8>, Vec<(usize, u64)>, Vec<String>) {
    let ledger = opened(directory).await;
    let mut ends = Vec::new();
    for count in [2, 1, 3] {
        let head = append(&ledger, count).await;
        ends.push((written(&segment(directory)), head.revision.0));
    }
    let events = hashes(&all(&ledger).await);
    drop(ledger);
    (fs::read(segment(directory)).unwrap(), ends, events)
}

/// The revisions that may be named as the first bad one for each octet of a segment that is changed: that of the event it is in;
/// of what stands around the events of a batch, any of them.
async fn suspects(directory: &tempfile::TempDir, ends: &[(usize, u64)]) -> Vec<RangeInclusive<u64>> {
    let octets = fs::read(segment(directory)).unwrap();
    let mut suspects = Vec::new();
    let mut before = 0;
    for (end, last) in ends {
        suspects.resize(*end, before + 1..=*last);
        before = *last;
    }
    suspects.resize(octets.len(), before + 1..=before + 1);
    for event in all(&opened(directory).await).await {
        let Body::Inline(chunks) = &event.body else { unreachable!("these bodies are small") };
        for part in [&event.header.octets()[..], &event.salt.0].into_iter().chain(chunks.iter().map(|chunk| &chunk[..]))
        {
            let at = octets.windows(part.len()).position(|window| window == part).unwrap();
            suspects[at..at + part.len()].fill(event.revision().0..=event.revision().0);
        }
    }
    suspects
}

fn assert_suspected(suspects: &[RangeInclusive<u64>], place: usize, named: Revision) {
    assert!(suspects[place].contains(&named.0), "octet {place}: {named}, not {:?}", suspects[place]);
}

#[tokio::test]
async fn each_changed_octet_is_found_and_the_first_bad_revision_named() {
    let directory = tempfile::tempdir().unwrap();
    let (octets, ends, _) = small_log(&directory).await;
    let suspects = suspects(&directory, &ends).await;
    // As it was closed, and as a crash leaves it: with room behind.
    for (place, room) in (0..octets.len()).flat_map(|place| [(place, 0), (place, 8192)]) {
        let mut changed = octets.clone();
        changed[place] ^= 1 << (place % 8);
        changed.resize(octets.len() + room, 0);
        fs::write(segment(&directory), &changed).unwrap();
        match FileLedger::open(directory.path()) {
            Err(OpenError::Damaged { revision, .. }) => {
                assert_suspected(&suspects, place, revision);
            }
            // The format's number in the first octets.
            Err(OpenError::Newer { .. }) => assert!((6..8).contains(&place), "octet {place}"),
            other => panic!("octet {place} was changed and nobody noticed: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_dropped_or_swapped_batch_is_found_and_the_first_bad_revision_named() {
    let directory = tempfile::tempdir().unwrap();
    let (octets, ends, _) = small_log(&directory).await;
    let (other, other_ends, _) = small_log(&tempfile::tempdir().unwrap()).await;
    let foreign = &other[other_ends[1].0..];
    let (first, second, third) = (&octets[..ends[0].0], &octets[ends[0].0..ends[1].0], &octets[ends[1].0..]);
    for (what, spoilt) in [
        ("dropped", [first, third].concat()),
        ("swapped", [first, third, second].concat()),
        ("repeated", [first, second, second, third].concat()),
        ("taken from another history", [first, second, foreign].concat()),
    ] {
        fs::write(segment(&directory), spoilt).unwrap();
        let bad = if matches!(what, "dropped" | "swapped") { 3 } else { 4 };
        // Opening looks at octets and order, links are for who reads.
        let found = match FileLedger::open(directory.path()) {
            Err(OpenError::Damaged { revision, .. }) => revision,
            Ok(ledger) => match verify(&ledger, Revision(1), |_| {}).await {
                Err(ReadError::Damaged { revision, .. }) => revision,
                other => panic!("a batch was {what} and nobody noticed: {other:?}"),
            },
            Err(other) => panic!("a batch was {what}: {other:?}"),
        };
        assert_eq!(found.0, bad, "{what}");
    }
}

#[tokio::test]
async fn damage_behind_an_open_ledger_is_found_by_verify() {
    let directory = tempfile::tempdir().unwrap();
    let (octets, ends, _) = small_log(&directory).await;
    let suspects = suspects(&directory, &ends).await;
    let ledger = opened(&directory).await;
    for place in ends[0].0..octets.len() {
        let mut changed = octets.clone();
        changed[place] ^= 0x40;
        fs::write(segment(&directory), &changed).unwrap();
        match verify(&*ledger, Revision(1), |_| {}).await {
            Err(ReadError::Damaged { revision, .. }) => {
                assert_suspected(&suspects, place, revision);
            }
            other => panic!("octet {place} was changed and nobody noticed: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_event_that_was_changed_with_the_checksum_of_its_batch_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (octets, ends, _) = small_log(&directory).await;
    let suspects = suspects(&directory, &ends).await;
    let ledger = opened(&directory).await;
    let (start, end) = (ends[1].0, ends[2].0);
    let frame = FrameHead::decode(&octets[start..]).unwrap();
    for place in start + HEAD_BYTES..start + HEAD_BYTES + frame.payload_bytes as usize {
        let mut payload = octets[start + HEAD_BYTES..][..frame.payload_bytes as usize].to_vec();
        payload[place - start - HEAD_BYTES] ^= 0x01;
        let mut changed = octets[..start].to_vec();
        push(&mut changed, frame.kind, frame.revision, |out| out.extend_from_slice(&payload)).unwrap();
        assert_eq!(changed.len(), end);
        fs::write(segment(&directory), &changed).unwrap();
        match verify(&*ledger, Revision(1), |_| {}).await {
            Err(ReadError::Damaged { revision, .. } | ReadError::Form { revision, .. }) => {
                assert_suspected(&suspects, place, revision);
            }
            // What no hash covers: the head's times and batch, and that there are no places.
            Ok(_) if suspects[place].start() < suspects[place].end() => {}
            other => panic!("octet {place}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_torn_last_write_is_cut_back_to_the_last_whole_batch() {
    let directory = tempfile::tempdir().unwrap();
    let (octets, ends, events) = small_log(&directory).await;
    let (whole, last) = (ends[1].0, octets.len());
    for cut in whole..last {
        let mut zeroed = octets[..cut].to_vec();
        zeroed.resize(last.next_multiple_of(512) + 4096, 0);
        for torn in [&octets[..cut], &zeroed] {
            // Zeros up to the frame's end leave no whole zero sector if little is missing: that is not a torn write.
            if torn.len() > cut && last - cut < 1024 && cut > whole {
                continue;
            }
            fs::write(segment(&directory), torn).unwrap();
            let ledger = opened(&directory).await;
            assert_eq!(hashes(&all(&ledger).await), events[..3], "cut at {cut}");
            append(&ledger, 1).await;
            drop(ledger);
            assert_eq!(all(&opened(&directory).await).await.len(), 4);
        }
    }
}

#[tokio::test]
async fn room_that_was_made_for_more_is_no_torn_write_and_goes_when_the_log_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let (octets, ends, events) = small_log(&directory).await;
    assert_eq!(octets.len(), ends[2].0);
    let mut roomy = octets.clone();
    roomy.resize(octets.len() + 100_000, 0);
    fs::write(segment(&directory), roomy).unwrap();
    let ledger = opened(&directory).await;
    assert_eq!(hashes(&all(&ledger).await), events);
    append(&ledger, 1).await;
    let end = written(&segment(&directory));
    assert!(fs::metadata(segment(&directory)).unwrap().len() > end as u64);
    drop(ledger);
    assert_eq!(fs::metadata(segment(&directory)).unwrap().len(), end as u64);
    assert_eq!(all(&opened(&directory).await).await.len(), 7);
}

#[tokio::test]
async fn a_second_opener_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let first = opened(&directory).await;
    let refused = FileLedger::open(directory.path()).unwrap_err().to_string();
    let (path, process) = (directory.path().display(), std::process::id());
    assert_eq!(refused, format!("the ledger in {path} is in use by process {process}"));
    drop(first);
    opened(&directory).await;
}

proptest! {
    #[test]
    fn a_frame_head_of_arbitrary_octets_is_refused_or_read_without_panic(octets: Vec<u8>) {
        let _ = FrameHead::decode(&octets).map(|head| head.fits(&octets));
    }

    #[test]
    fn a_segment_of_arbitrary_octets_is_refused_or_opened_without_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..2000),
        at in 0usize..400,
    ) {
        let directory = tempfile::tempdir().unwrap();
        drop(FileLedger::open(directory.path()).unwrap());
        let path = segment(&directory);
        let mut segment = fs::read(&path).unwrap();
        segment.truncate(at);
        segment.extend_from_slice(&octets);
        fs::write(&path, &segment).unwrap();
        let _ = FileLedger::open(directory.path());
    }
}

#[tokio::test]
async fn events_are_read_from_wherever_they_begin_and_across_the_blocks_of_a_packed_segment() {
    let directory = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Ledger> {
        Arc::new(FileLedger::open_on(Directory::open(directory.path()).unwrap(), 2 << 20).unwrap())
    };
    let ledger = open();
    // A block has 256 KiB: some of these end in the next one, some span several, some share one.
    for (number, octets) in
        [90_000, 700_000, 100, 100, 200_000, 300_000, 1_000_000, 50_000, 700_000, 100].into_iter().enumerate()
    {
        let drafts = [wide_draft(number as u32, octets), draft(number as u32)];
        let head = ledger.head().await.unwrap();
        ledger.append(&head, &batch_at(&head, &drafts, Timestamp::now())).await.unwrap();
    }
    let appended = hashes(&all(&ledger).await);
    let is_packed = || {
        let mut files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        files.any(|path| path.extension().is_some_and(|kind| kind == "zst"))
    };
    for _ in 0..20_000 {
        if is_packed() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(is_packed());
    // Nothing is in memory any more.
    drop(ledger);
    let ledger = open();
    // Forwards each read goes on where the last one stopped; backwards none can.
    let places = || appended.iter().enumerate();
    for (before, hash) in places().chain(places().rev()) {
        let read = ledger.read(Revision(before as u64), 1).await.unwrap();
        assert_eq!(hashes(&read[..1]).first(), Some(hash));
    }
    assert_eq!(hashes(&all(&ledger).await), appended);
}

/// A directory as the first release wrote it: one packed segment with an event of 1,200 changes in chunks, one plain one.
#[tokio::test]
async fn a_ledger_of_the_first_form_opens_for_ever() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1");
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    let ledger = opened(&directory).await;
    let verified = verify(&*ledger, Revision(1), |_| {}).await.unwrap();
    assert_eq!(verified.to, Revision(8));
    let hash = "8a96802f95b34c33660ed6a9388bb907053dab98547a418f8f05b8ed824b5f3c";
    assert_eq!(verified.hash.to_string(), hash);
    let changes: Vec<u64> = all(&ledger).await.iter().map(|event| event.header.change_count).collect();
    assert_eq!(changes, [2, 1, 1, 1200, 1, 1, 1, 1]);
    append(&ledger, 1).await;
    drop(ledger);
    assert_eq!(all(&opened(&directory).await).await.len(), 9);
}
