//! Giving zones a past: the versions that a team kept in git, or in a folder of dated files, become events.
//!
//! The command line reads the versions ([`git`], [`dated`]), finds the zones in each ([`tree`], [`origins`]) and sends
//! one line of JSON for each that changes something ([`wire`]). The server takes the lines one by one: [`take::Past`] is
//! pure and makes a planned event of each, [`stored::Stored`] knows those that are there since an import broke off, and
//! [`Importing`] keeps everybody else's hands off these zones meanwhile.

pub mod dated;
pub mod git;
pub mod origins;
pub mod stored;
pub mod take;
pub mod tree;
pub mod wire;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use conn3ction_schemas::{Name, Timestamp};

/// One version of a set of files: what a commit changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The commit, or the file's name.
    pub id: String,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it; `None`: nobody knows.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The files that it changed, each with its new content; `None`: the file is gone.
    pub files: Vec<(String, Option<Blob>)>,
    /// Those of them that only got another path.
    pub moved: Vec<Move>,
    /// Files that are there, too, to be included, without being this version's own.
    pub beside: Vec<(String, Blob)>,
}

/// A file that has another path now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The path before.
    pub from: String,
    /// The path from now on.
    pub to: String,
    /// Its content is the same to the octet.
    pub whole: bool,
}

/// The content of a file, by what finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The object's id, or the path on disk.
    pub id: String,
    /// It is a symbolic link: its content is a path.
    pub link: bool,
}

/// Gives the octets of a [`Blob`].
pub trait Blobs {
    /// Reads it whole.
    ///
    /// # Errors
    ///
    /// The system's, or git's.
    fn read(&mut self, blob: &Blob) -> std::io::Result<Vec<u8>>;
}

/// The zones whose past is being taken in: nothing else may write to them until that ends.
#[derive(Debug, Clone, Default)]
pub struct Importing(Arc<Mutex<BTreeSet<Name>>>);

impl Importing {
    /// Whether `zone` is among them.
    pub fn holds(&self, zone: &Name) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(zone)
    }

    /// Takes `zone`; false if another import has it.
    fn take(&self, zone: &Name) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone())
    }

    fn release(&self, zones: impl Iterator<Item = Name>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for zone in zones {
            held.remove(&zone);
        }
    }
}
