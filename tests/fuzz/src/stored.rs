//! The stored form of events, which comes back from disks and from etcd.

use bytes::Bytes;
use conn3ction_schemas::event::{SealedHeader, chunk::ChunkWriter, chunk::deltas};

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
