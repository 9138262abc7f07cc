//! Being built.
pub mod decide;
pub mod plan;
