//! The documented service's contract, and what survives a crash.

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
fn a_killed_server_has_everything_that_it_acknowledged() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let address = server.http;
    let writer = std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        for number in 0..10_000 {
            let line = format!(
                r#"curl -sf -d '{{"name":"n{number}.example.local","type":"A","values":["10.0.0.1"]}}' http://{address}/records"#
            );
            match shell(&line) {
                Ok(_) => acknowledged.push(number),
                Err(_) => break,
            }
        }
        acknowledged
    });
    // Lets some writes through first: the thirtieth revision is waited for, then the crash comes in the midst of others.
    shell(&format!("curl -sf 'http://{address}/records?min_revision=30&wait=60s'"))?;
    server.kill()?;
    let acknowledged = writer.join().expect("the writer");
    assert!(acknowledged.len() >= 20, "{}", acknowledged.len());
    let server = Conn3ction::start(data.path(), &[])?;
    for number in acknowledged {
        let answer = shell(&format!("dig @127.0.0.1 -p {} n{number}.example.local A +short", server.dns.port()))?;
        assert_eq!(answer, "10.0.0.1\n", "n{number}");
    }
    assert!(shell(&format!("curl -sf http://{}/verify", server.http))?.starts_with(r#"{"ok":true"#));
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
