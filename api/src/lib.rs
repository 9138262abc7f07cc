//! Being built.
pub mod decide;
pub mod import;
pub mod migrate;
pub mod plan;
