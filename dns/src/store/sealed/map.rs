//! Maps a sealed file into memory: one of the two modules with `unsafe`.
#![expect(unsafe_code, reason = "a mapping is sound only while nobody changes the file, which no type can say")]

use std::{fs::File, io};

/// The octets of `file`, read when they are looked at.
///
/// # Errors
///
/// The system's.
pub(super) fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: a sealed file is never written again: it is made under another name, synced, and renamed when it is whole;
    // a later one takes its name, not its place. The directory belongs to one process, which holds its lock.
    unsafe { memmap2::MmapOptions::new().map(file) }
}
