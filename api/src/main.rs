//! The `conn3ction` binary.
fn main() {}
