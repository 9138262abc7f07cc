//! The contract suite on the ledgers that need nothing but this process. `contract_etcd.rs` runs the same cases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contract/mod.rs"]
mod suite;

use std::sync::Arc;

use conn3ction_ledger::{
    Ledger,
    file::{FileLedger, disk::Directory},
    memory::MemoryLedger,
};
use suite::Backend;

contract_suite!(memory, crate::Memory);
contract_suite!(file, crate::File);
contract_suite!(file_in_short_segments, crate::ShortSegments);

struct Memory(MemoryLedger);

impl Backend for Memory {
    async fn fresh() -> Self {
        Self(MemoryLedger::new())
    }

    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(self.0.clone())
    }

    async fn second(&self, _: &Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        Arc::new(self.0.clone())
    }
}

struct File(tempfile::TempDir);

impl Backend for File {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(FileLedger::open(self.0.path()).unwrap())
    }

    async fn second(&self, first: &Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        Arc::clone(first)
    }
}

/// Segments so short that every case crosses some, packed and plain.
struct ShortSegments(tempfile::TempDir);

impl Backend for ShortSegments {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(FileLedger::open_on(Directory::open(self.0.path()).unwrap(), 4096).unwrap())
    }

    async fn second(&self, first: &Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        Arc::clone(first)
    }
}
