//! The documented service's contract.

use conn3ction_tests::{Conn3ction, shell};

fn status(server: &Conn3ction, arguments: &str) -> anyhow::Result<String> {
    shell(&format!(
        "curl -s -o /dev/null -w '%{{http_code}}' {}",
        arguments.replace("URL", &format!("http://{}", server.http))
    ))
}

#[test]
fn the_five_documented_routes_answer_as_documented() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    let record = r#"'{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}'"#;
    for (arguments, expected) in [
        ("URL/healthz".to_owned(), "200"),
        ("URL/records".to_owned(), "200"),
        (format!("-d {record} URL/records"), "201"),
        (format!("-d {record} URL/records"), "409"),
        (format!("-X PUT -d {record} URL/records/app.example.local"), "200"),
        (r#"-X PUT -d '{"type":"A","values":["10.1.2.9"]}' URL/records/new.example.local"#.to_owned(), "201"),
        ("-X DELETE URL/records/app.example.local".to_owned(), "204"),
        ("-X DELETE URL/records/app.example.local".to_owned(), "404"),
    ] {
        assert_eq!(status(&server, &arguments)?, expected, "{arguments}");
    }
    Ok(())
}

#[test]
fn a_second_process_on_the_same_directory_is_refused_by_name() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let _first = Conn3ction::start(data.path(), &[])?;
    let error = Conn3ction::start(data.path(), &[]).err().expect("refused").to_string();
    assert!(error.contains("in use"), "{error}");
    Ok(())
}
