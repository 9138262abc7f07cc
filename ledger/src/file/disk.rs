//! The few file operations that the log needs, so that a test can lose power in the middle of them.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// One directory. Every call blocks.
pub trait Disk: Send + Sync + 'static {
    /// What to call it in errors.
    fn name(&self) -> String;

    /// Takes the directory for this process until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    fn lock(&self) -> Result<Box<dyn Send>, LockError>;

    /// The names of all files.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that is there.
    ///
    /// # Errors
    ///
    /// As the medium says; [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Makes an empty file; one of this name is emptied.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file; one of the new name is replaced.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes earlier `create`, `rename` and `remove` durable.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file. Every call blocks.
pub trait DiskFile: Send + Sync {
    /// The length in octets.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no octets.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset` on as far as the file goes; gives how far.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `octets` at `offset`. After an error any part of them may be there.
    ///
    /// # Errors
    ///
    /// As the medium says.
    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or makes it longer: what is added reads as zeros and takes no room on the medium until it is written.
    ///
    /// # Errors
    ///
    /// As the medium says; the length is as before.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes earlier writes and lengths durable (`fdatasync`).
    ///
    /// # Errors
    ///
    /// As the medium says. What was written may be lost then, whatever a later `sync` says.
    fn sync(&self) -> io::Result<()>;
}

/// Why a directory could not be taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; this is what it wrote down as its number.
    Held(String),
    /// The medium failed.
    Io(io::Error),
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Opens the directory, made if it is not there.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            std::fs::create_dir_all(path)?;
            if let Some(parent) = path.canonicalize()?.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self(path.to_owned()))
    }
}

impl Disk for Directory {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn lock(&self) -> Result<Box<dyn Send>, LockError> {
        let path = self.0.join("LOCK");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // It may not have written its number yet.
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held(holder.trim().to_owned()));
            }
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(LockError::Io)?;
        Ok(Box::new(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.0)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.0.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.0.join(name);
        Ok(Box::new(OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(octets, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
