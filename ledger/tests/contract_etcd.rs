//! The contract suite on real etcd servers: the newest release and Debian's. Needs both programs.

#![cfg(feature = "etcd")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contract/mod.rs"]
mod suite;

mod etcd;

contract_suite!(etcd_new, crate::etcd::New);
contract_suite!(etcd_debian, crate::etcd::Debian);
