//! The files that people start from.

use conn3ction_tests::{Conn3ction, root, shell};

#[test]
fn the_example_settings_load() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let config = root().join("deploy/conn3ction.toml");
    let server = Conn3ction::start(data.path(), &["--config", &config.to_string_lossy()])?;
    assert_eq!(shell(&format!("curl -sf http://{}/healthz", server.http))?, r#"{"status":"ok"}"#);
    Ok(())
}
