//! What a later version wrote is refused at the start, by its number; it is never taken for damage nor waited for.

use std::fs;

use conn3ction_tests::{Conn3ction, etcd::Etcd};

const RECORD: &str = r#"{"name":"app.example.local","type":"A","values":["10.0.0.1"]}"#;

#[test]
fn a_newer_segment_is_refused_at_the_start() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    assert_eq!(server.ask("POST", "/records", RECORD)?.status, 201);
    server.kill()?;
    let segment = data.path().join("ledger/00000000-0000000000000000.seg");
    let mut octets = fs::read(&segment)?;
    // After six octets of name, the form's number, little-endian.
    octets[6] += 1;
    fs::write(&segment, octets)?;
    let refused = Conn3ction::start(data.path(), &[]).err().expect("refused").to_string();
    assert!(refused.contains("has format 2, which is newer than this build reads"), "{refused}");
    Ok(())
}

#[test]
fn a_newer_head_or_batch_in_etcd_is_refused_at_the_start() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let data = tempfile::tempdir()?;
    let start = || Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url]);
    let server = start()?;
    assert_eq!(server.ask("POST", "/records", RECORD)?.status, 201);
    server.kill()?;
    let head = etcd.ctl(&["get", "--print-value-only", "/conn3ction/ledger/head"])?;
    let newer = head.trim().replace(r#""format":1"#, r#""format":2"#);
    assert_ne!(newer, head.trim());
    etcd.ctl_with(&["put", "/conn3ction/ledger/head"], &newer)?;
    let refused = start().err().expect("refused").to_string();
    assert!(refused.contains("event format 2 is newer than this build reads"), "{refused}");

    etcd.ctl_with(&["put", "/conn3ction/ledger/head"], head.trim())?;
    etcd.ctl_with(&["put", "/conn3ction/ledger/log/0000000000000002"], "\u{2} of another form")?;
    let refused = start().err().expect("refused").to_string();
    assert!(refused.contains("newer than this build reads"), "{refused}");
    Ok(())
}
