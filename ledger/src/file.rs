//! A log in append-only segment files, the embedded default.
