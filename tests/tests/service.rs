//! The documented service's contract, refusals, and what survives a crash.

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
fn what_cannot_be_done_is_refused_with_its_status() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    for (arguments, expected) in [
        ("'URL/records?dryrun=true'", "400"),
        ("-H 'Conn3ction-Acter: x' URL/records", "400"),
        ("-d '{' URL/records", "400"),
        (r#"-d '{"name":"a.example.local","type":"A","values":["1.2.3"]}' URL/records"#, "422"),
        (r#"-d '{"name":"a.example.local","type":"A","values":["1.2.3.4"],"ttl":2147483648}' URL/records"#, "422"),
        (r#"-d '{"name":"a.elsewhere","type":"A","values":["1.2.3.4"]}' URL/records"#, "422"),
        (r#"-d '{"name":"a.example.local","type":"A","values":["1.2.3.4"],"tll":1}' URL/records"#, "400"),
        (r#"-d '{"name":"example.local","type":"CNAME","values":["b.example.local."]}' URL/records"#, "409"),
        ("-X DELETE URL/records/example.local/SOA", "422"),
        ("URL/records/example.local", "409"),
        ("URL/nowhere", "404"),
        ("-X PATCH URL/records", "405"),
        ("-H 'Origin: http://evil.example' -d '{}' URL/records", "403"),
        ("'URL/records?min_revision=999'", "503"),
        ("'URL/events/999'", "404"),
    ] {
        assert_eq!(status(&server, arguments)?, expected, "{arguments}");
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
