//! The versions of a git repository: the commits of its first-parent line, the oldest first.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use conn3ction_schemas::Timestamp;

use super::{Blob, Blobs, Move, Version, origins::Followed};

/// Octets that stand between the parts of what `git log` prints, and in no file name that we could use.
const COMMIT: u8 = 0x01;
const FIELD: char = '\x02';
const END: u8 = 0x03;
const FORMAT: &str = "--format=%x01%H%x02%ct%x02%an <%ae>%x02%B%x03";

/// Whether `path` is the top of a git repository, or a bare one; a folder somewhere in a repository is just a folder.
pub fn is_repository(path: &Path) -> bool {
    let out = git(path).args(["rev-parse", "--show-prefix"]).output();
    out.is_ok_and(|out| out.status.success() && out.stdout.trim_ascii().is_empty())
}

fn git(path: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(path).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How many commits the first-parent line has.
///
/// # Errors
///
/// What git says.
pub fn count(path: &Path) -> io::Result<u64> {
    let out = git(path).args(["rev-list", "--first-parent", "--count", "HEAD"]).output()?;
    if !out.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    String::from_utf8_lossy(&out.stdout).trim().parse().map_err(io::Error::other)
}

/// The commits, read as git prints them.
pub struct Commits {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Read beyond the commit before.
    ahead: Vec<u8>,
}

impl Commits {
    /// Starts at the first commit of `HEAD`'s line.
    ///
    /// # Errors
    ///
    /// git cannot be run.
    pub fn new(path: &Path) -> io::Result<Self> {
        let mut child = git(path)
            .args(["-c", "log.showRoot=true", "-c", "log.showSignature=false", "log", "--first-parent", "--reverse"])
            .args(["-m", "--raw", "-z", "--no-abbrev", "--find-renames", "--no-color", "--encoding=UTF-8", FORMAT])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut commits = Self { child, out: BufReader::with_capacity(1 << 16, out), ahead: Vec::new() };
        commits.ahead = commits.piece()?;
        Ok(commits)
    }

    /// Up to the next mark of a commit, which may stand in a message, too.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        self.out.read_until(COMMIT, &mut piece)?;
        Ok(piece)
    }

    fn commit(&mut self) -> io::Result<Option<Version>> {
        let mut text = self.piece()?;
        if text.is_empty() {
            let status = self.child.wait()?;
            return if status.success() { Ok(None) } else { Err(io::Error::other(format!("git log: {status}"))) };
        }
        while !text.contains(&END) && text.last() == Some(&COMMIT) {
            text.extend(self.piece()?);
        }
        if text.last() == Some(&COMMIT) {
            text.pop();
        }
        version(&text).map(Some).ok_or_else(|| io::Error::other("git log prints what we do not understand"))
    }
}

impl Iterator for Commits {
    type Item = io::Result<Version>;

    fn next(&mut self) -> Option<Self::Item> {
        self.commit().transpose()
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        // It has ended already, or nobody reads on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version(text: &[u8]) -> Option<Version> {
    let end = text.iter().position(|octet| *octet == END)?;
    let head = String::from_utf8_lossy(&text[..end]);
    let mut fields = head.splitn(4, FIELD);
    let id = fields.next()?.to_owned();
    let seconds: i64 = fields.next()?.parse().ok()?;
    let (actor, reason) = (fields.next()?.to_owned(), fields.next()?.trim().to_owned());
    let (mut files, mut moved) = (Vec::new(), Vec::new());
    let mut words =
        text[end + 1..].split(|octet| *octet == 0).map(<[u8]>::trim_ascii_start).filter(|it| !it.is_empty());
    while let Some(word) = words.next() {
        // `:OLD-MODE NEW-MODE OLD-ID NEW-ID STATUS`, then the path; with status R the old path, then the new one.
        let word = std::str::from_utf8(word).ok()?.strip_prefix(':')?;
        let mut parts = word.split(' ').skip(1);
        let (mode, old, id, status) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let mut path = String::from_utf8_lossy(words.next()?).into_owned();
        if status.starts_with('R') {
            let from = std::mem::replace(&mut path, String::from_utf8_lossy(words.next()?).into_owned());
            moved.push(Move { from: from.clone(), to: path.clone(), whole: old == id });
            files.push((from, None));
        }
        match mode {
            "160000" => {}
            "000000" => files.push((path, None)),
            _ => files.push((path, Some(Blob { id: id.into(), link: mode == "120000" }))),
        }
    }
    let time = Timestamp(seconds.saturating_mul(1_000_000));
    Some(Version {
        id,
        time,
        actor: Some(actor),
        reason: Some(reason).filter(|it| !it.is_empty()),
        files,
        moved,
        beside: Vec::new(),
    })
}

/// The names that a file had: it is called `file` at last, or was at some time. `None`: no commit has it.
///
/// # Errors
///
/// What git says.
pub fn follow(path: &Path, file: &str) -> io::Result<Option<Followed>> {
    let mut moves: Vec<(String, Vec<Move>)> = Vec::new();
    let (mut exists, mut last) = (false, None);
    for version in Commits::new(path)? {
        let version = version?;
        for (path, blob) in &version.files {
            if path == file {
                exists = blob.is_some();
            }
        }
        if exists {
            last = Some(moves.len());
        }
        moves.push((version.id, version.moved));
    }
    Ok(last.map(|last| {
        let (before, after) = moves.split_at(last + 1);
        let mut renamed = BTreeMap::new();
        let mut name = file;
        for (id, moves) in before.iter().rev() {
            if let Some(it) = moves.iter().find(|it| it.to == name) {
                renamed.insert(id.clone(), it.to.clone());
                name = &it.from;
            }
        }
        let first = name.to_owned();
        name = file;
        for (id, moves) in after {
            if let Some(it) = moves.iter().find(|it| it.from == name) {
                renamed.insert(id.clone(), it.to.clone());
                name = &it.to;
            }
        }
        Followed::new(first, renamed)
    }))
}

/// A running `git cat-file --batch`.
pub struct Objects {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Objects {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// git cannot be run.
    pub fn new(path: &Path) -> io::Result<Self> {
        let mut child = git(path)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let (ask, answer) = (child.stdin.take(), child.stdout.take());
        match (ask, answer) {
            (Some(ask), Some(answer)) => Ok(Self { child, ask, answer: BufReader::with_capacity(1 << 16, answer) }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Blobs for Objects {
    fn read(&mut self, blob: &Blob) -> io::Result<Vec<u8>> {
        writeln!(self.ask, "{}", blob.id)?;
        self.ask.flush()?;
        let mut line = String::new();
        self.answer.read_line(&mut line)?;
        let size = line.trim_end().rsplit_once(" blob ").or(line.trim_end().split_once(" blob "));
        let size: usize = size
            .and_then(|(_, size)| size.parse().ok())
            .ok_or_else(|| io::Error::other(format!("git cat-file {}: {}", blob.id, line.trim_end())))?;
        let mut octets = vec![0; size];
        self.answer.read_exact(&mut octets)?;
        self.answer.read_exact(&mut [0])?;
        Ok(octets)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_log_prints_is_read_with_files_that_come_change_move_and_go() {
        let text = "0a1b\x021500000000\x02Ann <ann@example>\x02Move api\n\nCHG-1 \x01 odd\n\x03\0\
            :100644 100644 11 22 M\0zones/a.zone\0:100644 000000 33 00 D\0b\0:000000 120000 00 44 A\0c\0\
            :000000 160000 00 55 A\0sub\0:100644 100644 66 66 R100\0old\0new\0:100644 100644 77 78 R090\0d\0e\0";
        let version = version(text.as_bytes()).expect("a version");
        assert_eq!((version.id.as_str(), version.time), ("0a1b", Timestamp(1_500_000_000_000_000)));
        assert_eq!(version.reason.as_deref(), Some("Move api\n\nCHG-1 \x01 odd"));
        let blob = |id: &str, link| Some(Blob { id: id.into(), link });
        let files = [
            ("zones/a.zone", blob("22", false)),
            ("b", None),
            ("c", blob("44", true)),
            ("old", None),
            ("new", blob("66", false)),
            ("d", None),
            ("e", blob("78", false)),
        ];
        assert_eq!(version.files, files.map(|(path, blob)| (path.to_owned(), blob)));
        let moved = |from: &str, to: &str, whole| Move { from: from.into(), to: to.into(), whole };
        assert_eq!(version.moved, [moved("old", "new", true), moved("d", "e", false)]);
    }
}
