//! Master files ([RFC 1035 section 5], [RFC 2308 section 4]): read record by record, assembled to a zone, written.
//!
//! [`Reader`] turns lines into records and goes on after an error, so that a user sees all of them. [`Zone`] applies what
//! holds for a zone as a whole. [`write_zone`] prints what both read back.
//!
//! [RFC 1035 section 5]: https://www.rfc-editor.org/rfc/rfc1035#section-5
//! [RFC 2308 section 4]: https://www.rfc-editor.org/rfc/rfc2308#section-4

mod generate;
mod lexer;
mod reader;
mod writer;
mod zone;

use std::{fmt, sync::Arc};

pub use reader::{Include, Reader, Record};
pub use writer::{write_set, write_zone};
pub use zone::{Zone, ZoneSet};

/// Something wrong in a master file, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The included file; `None` for the file itself.
    pub file: Option<Arc<str>>,
    /// The line, from 1.
    pub line: u64,
    /// The octet in that line, from 1.
    pub column: u64,
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        write!(f, "line {}, column {}: {}", self.line, self.column, self.detail)
    }
}

impl std::error::Error for Fault {}
