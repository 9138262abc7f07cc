//! Taking away the parts of large bodies that never came to an event: their writer crashed, or was refused.

use std::time::Duration;

use conn3ction_ledger::etcd::{EtcdLedger, SWEEP_AGE};
use conn3ction_schemas::Timestamp;

use crate::http::writing::chain;

/// How often. Parts are kept for [`SWEEP_AGE`], so sooner would find little.
const EVERY: Duration = Duration::from_secs(600);

/// Sweeps now and then, for ever. Any number of processes may.
pub(crate) async fn sweep(ledger: EtcdLedger) {
    loop {
        let age = i64::try_from(SWEEP_AGE.as_micros()).unwrap_or(i64::MAX);
        // What is swept is logged where it is done.
        if let Err(error) = ledger.sweep(Timestamp::now().plus_micros(-age)).await {
            tracing::warn!(error = %chain(&error), "sweeping parts of large bodies; tried again later");
        }
        tokio::time::sleep(EVERY).await;
    }
}
