//! Packed segments: blocks of a fixed length before compression, each alone in zstd, and a table of them.
//!
//! Offsets stay what they were before packing, so whatever names a place in a segment need not know whether it is packed.
//! The file is [`MAGIC`], the blocks, a table frame, and in its last 16 octets where that frame begins, with a checksum.

use std::io::{self, Cursor};

use minicbor::{Decoder, Encoder};
use zstd::bulk::Decompressor;

use super::{
    disk::{Disk, DiskFile},
    frame::{self, FrameHead, HEAD_BYTES, Kind},
    segment::{Segment, UNFINISHED},
};

/// What a packed segment begins with: the format's name and its version.
const MAGIC: [u8; 8] = *b"c3zst\0\x01\0";

/// Reading one event unpacks one block: about half a millisecond.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// What this level packs is a little smaller than what 3 does, and unpacks faster: events hold much that never repeats.
const LEVEL: i32 = 2;
const TRAILER_BYTES: usize = 16;

/// Packs `segment`, which does not change any more, and removes the plain file once the packed one is durable. Stops
/// half-way, leaving the plain one, when `stop` says so.
pub(super) fn pack(disk: &dyn Disk, segment: &Segment, stop: impl Fn() -> bool) -> io::Result<()> {
    let (plain, name) = (disk.open(&segment.plain_name())?, segment.packed_name());
    let unfinished = format!("{name}{UNFINISHED}");
    let packed = disk.create(&unfinished)?;
    let len = plain.len()?;
    let mut end = MAGIC.len() as u64;
    packed.write_at(&MAGIC, 0)?;
    let mut blocks = Vec::new();
    let mut block = vec![0; BLOCK_BYTES];
    for offset in (0..len).step_by(BLOCK_BYTES) {
        if stop() {
            return disk.remove(&unfinished);
        }
        let there = plain.read_at(&mut block, offset)?;
        let small = zstd::bulk::compress(&block[..there], LEVEL)?;
        packed.write_at(&small, end)?;
        blocks.push(Block { offset: end, len: small.len(), crc: crc32fast::hash(&small) });
        end += small.len() as u64;
    }
    let mut tail = Vec::new();
    let pushed = frame::push(&mut tail, Kind::Table, segment.base, |out| encode_table(out, len, &blocks));
    pushed.ok_or_else(|| io::Error::other("the table of a packed segment is too long"))?;
    let trailer = end.to_le_bytes();
    tail.extend_from_slice(&trailer);
    tail.extend_from_slice(&crc32fast::hash(&trailer).to_le_bytes());
    tail.extend_from_slice(b"end\n");
    packed.write_at(&tail, end)?;
    packed.sync()?;
    disk.rename(&unfinished, &name)?;
    disk.sync_names()?;
    segment.set_packed();
    disk.remove(&segment.plain_name())
}

/// A packed segment, open.
pub(super) struct Packed {
    file: Box<dyn DiskFile>,
    len: u64,
    blocks: Vec<Block>,
    /// It takes longer to make one than to unpack a block.
    unpacker: Decompressor<'static>,
    small: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u64,
    len: usize,
    crc: u32,
}

impl Packed {
    /// Reads the table.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if the file is not what was written.
    pub(super) fn open(file: Box<dyn DiskFile>) -> io::Result<Self> {
        let len = file.len()?;
        let tail = exactly(&*file, len.saturating_sub(TRAILER_BYTES as u64), TRAILER_BYTES)?;
        let crc = crc32fast::hash(&tail[..8]).to_le_bytes();
        let magic = exactly(&*file, 0, MAGIC.len())?;
        if magic[..] != MAGIC || tail[8..12] != crc || &tail[12..] != b"end\n" {
            return Err(damaged("this is no packed segment"));
        }
        let table_at = u64::from_le_bytes(tail[..8].try_into().map_err(io::Error::other)?);
        let head = exactly(&*file, table_at, HEAD_BYTES)?;
        let head =
            FrameHead::decode(&head).filter(|head| head.kind == Kind::Table).ok_or_else(|| damaged("no table"))?;
        let payload = exactly(&*file, table_at.saturating_add(HEAD_BYTES as u64), head.padded_bytes())?;
        if !head.fits(&payload) {
            return Err(damaged("its table does not match its checksum"));
        }
        let (len, blocks) = decode_table(&payload).map_err(|error| damaged(&error.to_string()))?;
        if blocks.len() as u64 != len.div_ceil(BLOCK_BYTES as u64) {
            return Err(damaged("its table is not of its length"));
        }
        Ok(Self { file, len, blocks, unpacker: Decompressor::new()?, small: Vec::new() })
    }

    /// The length before packing.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Unpacks whole blocks behind `kept`, which ends where a block begins, at `end` before packing, until there are
    /// `wanted` octets.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if the file is not what was written.
    pub(super) fn read(&mut self, kept: &[u8], end: u64, wanted: usize) -> io::Result<Vec<u8>> {
        let first = usize::try_from(end / BLOCK_BYTES as u64).map_err(io::Error::other)?;
        let more = wanted.saturating_sub(kept.len()).div_ceil(BLOCK_BYTES);
        let mut octets = Vec::with_capacity(kept.len() + more * BLOCK_BYTES);
        octets.extend_from_slice(kept);
        for block in self.blocks.iter().skip(first).take(more) {
            self.small.resize(block.len, 0);
            let there = self.file.read_at(&mut self.small, block.offset)?;
            if there < block.len || crc32fast::hash(&self.small) != block.crc {
                return Err(damaged("a block does not match its checksum"));
            }
            let mut behind = Cursor::new(&mut octets);
            behind.set_position(behind.get_ref().len() as u64);
            let unpacked = self.unpacker.decompress_to_buffer(&self.small, &mut behind);
            unpacked.map_err(|error| damaged(&error.to_string()))?;
        }
        Ok(octets)
    }
}

/// `[length before packing, [offset, length, checksum, …]]`
fn encode_table(out: &mut Vec<u8>, len: u64, blocks: &[Block]) {
    let written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
        let mut e = Encoder::new(out);
        e.array(2)?.u64(len)?.array(3 * blocks.len() as u64)?;
        for block in blocks {
            e.u64(block.offset)?.u64(block.len as u64)?.u32(block.crc)?;
        }
        Ok(())
    })();
    if written.is_err() {
        unreachable!("writing to a vector cannot fail");
    }
}

fn decode_table(payload: &[u8]) -> Result<(u64, Vec<Block>), minicbor::decode::Error> {
    let mut d = Decoder::new(payload);
    d.array()?;
    let len = d.u64()?;
    let mut blocks = Vec::new();
    for _ in 0..d.array()?.unwrap_or_default() / 3 {
        // No block grows much by compression: a longer one would be a way to make us take all memory.
        let (offset, len, crc) = (d.u64()?, d.u32()?, d.u32()?);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > 2 * BLOCK_BYTES {
            return Err(minicbor::decode::Error::message("a block is too long"));
        }
        blocks.push(Block { offset, len, crc });
    }
    Ok((len, blocks))
}

fn exactly(file: &dyn DiskFile, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    if offset.checked_add(count as u64).is_none_or(|end| end > file.len().unwrap_or_default()) {
        return Err(damaged("it ends too early"));
    }
    let mut octets = vec![0; count];
    let there = file.read_at(&mut octets, offset)?;
    if there == count { Ok(octets) } else { Err(damaged("it ends too early")) }
}

fn damaged(detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("packed segment: {detail}"))
}
