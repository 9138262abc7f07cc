//! No room left: writes are refused with 507 and store nothing, reads go on, and with room again all goes on by itself.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use conn3ction_tests::{Conn3ction, as_root, audit, etcd::Etcd, load::Load, random::Random, shell};

/// A small file system in memory; unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(size: &str) -> anyhow::Result<Self> {
        let small = Self(tempfile::tempdir()?);
        as_root(&format!("mount -t tmpfs -o size={size} tmpfs {}", small.path().display()))?;
        Ok(small)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left, to the last octet.
    fn fill(&self) -> anyhow::Result<PathBuf> {
        let path = self.path().join("ballast");
        let mut file = fs::File::options().create(true).append(true).open(&path)?;
        let mut size = 1 << 20;
        while size > 0 {
            if file.write(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
        Ok(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(as_root(&format!("umount -l {}", self.path().display())));
    }
}

/// Reads of every kind answer, and a write is refused.
fn reads_but_does_not_write(server: &Conn3ction) -> anyhow::Result<()> {
    let records = server.ask("GET", "/records?type=A", "")?;
    assert_eq!(records.status, 200);
    let first = &records.json()[0];
    let (name, address) = (first["name"].as_str().unwrap_or_default(), first["values"][0].as_str().unwrap_or_default());
    let answer = shell(&format!("dig @127.0.0.1 -p {} {name} A +short", server.dns.port()))?;
    assert_eq!(answer.trim(), address, "{name}");
    let proof = server.ask("GET", "/verify", "")?.json();
    // The copy of the records on a full disk may be away; it says so. What is kept and what is answered holds.
    assert_eq!(proof["bad"], serde_json::Value::Null, "{proof}");
    for view in proof["views"].as_array().into_iter().flatten() {
        let away = view["view"] == "records" && view["detail"].as_str().unwrap_or_default().contains("no medium");
        assert!(view["ok"] == true || away, "{proof}");
    }
    assert!(audit::events(server)?.len() > 10);

    // Larger than what may be left of the last page of a file.
    let texts: Vec<String> = (0..40).map(|number| format!("{number:0>240}")).collect();
    let record = serde_json::json!({"name": "full.example.local", "type": "TXT", "values": texts});
    let zone: String = (0..400).map(|number| format!("full{number} 60 IN A 10.0.0.1\n")).collect();
    for (method, target, body) in
        [("POST", "/records", record.to_string()), ("POST", "/zones/example.local/import", zone)]
    {
        let refused = server.ask(method, target, &body)?;
        assert_eq!(refused.status, 507, "{method} {target}: {refused:?}");
        assert_eq!(refused.json()["type"], "/problems/storage-full");
    }
    assert_eq!(server.ask("GET", "/records/full.example.local/TXT", "")?.status, 404);
    Ok(())
}

#[test]
fn a_full_disk_refuses_writes_goes_on_reading_and_recovers_by_itself() -> anyhow::Result<()> {
    let seed = Random::seed();
    let disk = Small::mount("6m")?;
    let data = disk.path().join("data");
    let mut server = Conn3ction::start(&data, &[])?;
    let load = Load::start(seed, 4, &[server.http]);
    load.acknowledged(50)?;
    let ballast = disk.fill()?;
    load.denied(20)?;
    reads_but_does_not_write(&server)?;
    fs::remove_file(ballast)?;
    load.acknowledged(50)?;

    let ballast = disk.fill()?;
    load.denied(20)?;
    server.kill()?;
    server = Conn3ction::start(&data, &[])?;
    load.aim(&[server.http]);
    load.denied(20)?;
    reads_but_does_not_write(&server)?;
    fs::remove_file(ballast)?;
    load.acknowledged(50)?;
    let written = load.stop()?;
    written.audit(&server)?;
    server.kill()?;
    written.audit(&Conn3ction::start(&data, &[])?)
}

#[test]
fn a_full_etcd_refuses_writes_goes_on_reading_and_recovers_by_itself() -> anyhow::Result<()> {
    let seed = Random::seed();
    let mut etcd = Etcd::start(&["--quota-backend-bytes=16777216"])?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url])?;
    let load = Load::start(seed, 4, &[server.http]);
    load.acknowledged(50)?;
    // Others fill it, to the point where etcd itself takes nothing any more.
    let fill = |etcd: &Etcd| {
        let octets = "x".repeat(1_000_000);
        let full = (0..20).find(|number| etcd.ctl_with(&["put", &format!("/others/{number}")], &octets).is_err());
        assert!(full.is_some(), "20 MB fit into 16 MiB");
    };
    fill(&etcd);
    load.denied(20)?;
    reads_but_does_not_write(&server)?;

    etcd.ctl(&["del", "--prefix", "/others/"])?;
    let status: serde_json::Value = serde_json::from_str(&etcd.ctl(&["endpoint", "status", "-w", "json"])?)?;
    etcd.ctl(&["compact", &status[0]["Status"]["header"]["revision"].to_string()])?;
    etcd.ctl(&["defrag"])?;
    etcd.ctl(&["alarm", "disarm"])?;
    load.acknowledged(50)?;

    fill(&etcd);
    load.denied(20)?;
    etcd.kill()?;
    etcd.run_with(&["--quota-backend-bytes=67108864"])?;
    etcd.answers()?;
    etcd.ctl(&["alarm", "disarm"])?;
    load.acknowledged(50)?;
    let written = load.stop()?;
    written.audit(&server)?;
    written.audit_keys(&etcd)
}

#[test]
fn parts_of_a_body_that_never_came_to_an_event_are_swept() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    // A part as the ledger writes it: the form's number, when it was staged (in 1970), the chunk.
    let part = "/conn3ction/ledger/parts/00000000-0000-4000-8000-000000000001/00000000";
    etcd.ctl_with(&["put", part], "\u{1}\0\0\0\0\0\0\0\0chunk")?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url])?;
    let log = server.logged_until("swept a large body");
    assert!(log.contains("swept a large body"), "{log}");
    assert_eq!(etcd.ctl(&["get", part])?, "");
    Ok(())
}
