//! The contract suite on the ledgers that need nothing but this process. `contract_etcd.rs` runs the same cases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contract/mod.rs"]
mod suite;

use std::sync::Arc;

use conn3ction_ledger::{Ledger, memory::MemoryLedger};
use suite::Backend;

contract_suite!(memory, crate::Memory);

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
