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

    /// Whether nothing here may be changed.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Takes the directory for this process until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    fn lock(&self) -> Result<Box<dyn Send + Sync>, LockError>;

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

    /// Cuts the file.
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
pub struct Directory {
    path: PathBuf,
    is_read_only: bool,
}

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
        Ok(Self { path: path.to_owned(), is_read_only: false })
    }

    /// Opens a directory whose files are only read, whatever its medium would allow.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    pub fn open_to_read(path: &Path) -> io::Result<Self> {
        std::fs::read_dir(path)?;
        Ok(Self { path: path.to_owned(), is_read_only: true })
    }

    /// Of a directory that is only read: kept from servers while it is, but for one on a medium without a lock.
    fn lock_to_read(&self) -> Result<Box<dyn Send + Sync>, LockError> {
        let Ok(mut file) = File::open(self.path.join("LOCK")) else { return Ok(Box::new(())) };
        match file.try_lock_shared() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(holder(&mut file))),
        }
    }
}

impl Disk for Directory {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn lock(&self) -> Result<Box<dyn Send + Sync>, LockError> {
        if self.is_read_only {
            return self.lock_to_read();
        }
        let path = self.path.join("LOCK");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(LockError::Io)?;
        Ok(Box::new(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(!self.is_read_only).open(self.path.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path.join(name);
        Ok(Box::new(OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// The number of the process that holds the lock, as it wrote it down.
fn holder(lock: &mut File) -> String {
    let mut holder = String::new();
    // It may not have written its number yet.
    let _ = lock.read_to_string(&mut holder);
    holder.trim().to_owned()
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
