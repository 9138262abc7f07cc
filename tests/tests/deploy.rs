//! The files that people start from.

use conn3ction_tests::{Conn3ction, binary, root, shell};

#[test]
fn the_example_settings_load() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let config = root().join("deploy/conn3ction.toml");
    let server = Conn3ction::start(data.path(), &["--config", &config.to_string_lossy()])?;
    assert_eq!(shell(&format!("curl -sf http://{}/healthz", server.http))?, r#"{"status":"ok"}"#);
    Ok(())
}

#[test]
fn systemd_finds_nothing_to_say_of_the_unit() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let unit = std::fs::read_to_string(root().join("deploy/conn3ction.service"))?;
    // The path of an installed binary; systemd looks whether it can be run.
    let ours = unit.replace("/usr/local/bin/conn3ction", &binary().canonicalize()?.to_string_lossy());
    assert_ne!(unit, ours);
    let copy = scratch.path().join("conn3ction.service");
    std::fs::write(&copy, ours)?;
    // What it does not know it only warns of.
    assert_eq!(shell(&format!("systemd-analyze verify {} 2>&1", copy.display()))?, "");
    Ok(())
}
