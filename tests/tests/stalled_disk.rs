//! A disk that takes a write and does not come back: the write waits for it, and nobody else does.

use std::{fs, path::PathBuf};

use conn3ction_tests::{Conn3ction, as_root, shell};

/// A file system in a file; thawed and unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> anyhow::Result<Self> {
        let disk = Self(tempfile::tempdir()?);
        let (image, mount) = (disk.0.path().join("image"), disk.mount_point());
        fs::create_dir(&mount)?;
        shell(&format!("truncate -s 64M {0} && /sbin/mkfs.ext4 -q {0}", image.display()))?;
        as_root(&format!("mount -o loop {0} {1} && chmod 777 {1}", image.display(), mount.display()))?;
        Ok(disk)
    }

    fn mount_point(&self) -> PathBuf {
        self.0.path().join("disk")
    }

    /// Whatever writes to it waits until the guard is dropped.
    fn freeze(&self) -> anyhow::Result<Frozen> {
        as_root(&format!("/sbin/fsfreeze -f {}", self.mount_point().display()))?;
        Ok(Frozen(self.mount_point()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(as_root(&format!("umount -l {}", self.mount_point().display())));
    }
}

struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(as_root(&format!("/sbin/fsfreeze -u {}", self.0.display())));
    }
}

/// Whether a worker of the server's runtime waits for the disk.
fn a_worker_waits(server: &Conn3ction) -> anyhow::Result<bool> {
    for task in fs::read_dir(format!("/proc/{}/task", server.pid()))? {
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if stat.contains("(tokio-rt-worker)") && stat.contains(") D ") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn while_the_disk_stands_still_reads_go_on_and_the_write_is_answered_afterwards() -> anyhow::Result<()> {
    let disk = Disk::mount()?;
    let server = Conn3ction::start(&disk.mount_point().join("data"), &[])?;
    let put = |name: &str| server.ask("PUT", &format!("/records/{name}.example.local/A"), r#"{"values":["10.0.0.1"]}"#);
    assert_eq!(put("before")?.status, 201);
    let frozen = disk.freeze()?;
    std::thread::scope(|scope| {
        let stuck: Vec<_> = ["a", "b", "c"].into_iter().map(|name| scope.spawn(move || put(name))).collect();
        while !a_worker_waits(&server)? {
            anyhow::ensure!(!stuck.iter().any(|stuck| stuck.is_finished()), "nobody waits for the disk");
            std::thread::yield_now();
        }
        for _ in 0..200 {
            let read = server.ask("GET", "/records/before.example.local/A", "")?;
            assert_eq!(read.status, 200, "{read:?}");
        }
        let answered = shell(&format!("dig @127.0.0.1 -p {} before.example.local A +short", server.dns.port()))?;
        assert_eq!(answered, "10.0.0.1\n");
        assert!(stuck.iter().all(|stuck| !stuck.is_finished()), "nothing is acknowledged that is not on the disk");
        drop(frozen);
        for stuck in stuck {
            assert_eq!(stuck.join().expect("a thread that asks")?.status, 201);
        }
        Ok(())
    })
}

/// Waits until nobody looks out any more because nothing is written.
fn all_is_quiet(server: &Conn3ction) -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    loop {
        anyhow::ensure!(begun.elapsed().as_secs() < 60, "no lookout sleeps");
        for task in fs::read_dir(format!("/proc/{}/task", server.pid()))? {
            let task = task?.path();
            let is_lookout = fs::read_to_string(task.join("comm"))?.trim() == "ledger-lookout";
            if is_lookout && fs::read_to_string(task.join("wchan"))?.contains("futex") {
                return Ok(());
            }
        }
        std::thread::yield_now();
    }
}

#[test] // The worker that waits for the disk may be the one that waits for all requests, and wakes no other by itself.
fn whoever_writes_alone_keeps_nobody_else_waiting() -> anyhow::Result<()> {
    let disk = Disk::mount()?;
    let server = Conn3ction::start(&disk.mount_point().join("data"), &[])?;
    let record = "/records/alone.example.local/A";
    for is_quiet in [false, true] {
        assert_eq!(server.ask("PUT", record, r#"{"values":["10.0.0.1"]}"#)?.status, 201);
        if is_quiet {
            all_is_quiet(&server)?;
        }
        let frozen = disk.freeze()?;
        std::thread::scope(|scope| {
            let stuck = scope.spawn(|| server.ask("DELETE", record, ""));
            while !a_worker_waits(&server)? {
                anyhow::ensure!(!stuck.is_finished(), "nobody waits for the disk");
                std::thread::yield_now();
            }
            for _ in 0..20 {
                assert_eq!(server.ask("GET", record, "")?.status, 200);
            }
            assert!(!stuck.is_finished(), "nothing is acknowledged that is not on the disk");
            drop(frozen);
            assert_eq!(stuck.join().expect("a thread that asks")?.status, 204);
            anyhow::Ok(())
        })?;
    }
    Ok(())
}
