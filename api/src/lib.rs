//! Being built.
pub mod decide;
