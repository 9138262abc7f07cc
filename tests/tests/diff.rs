//! What we hold against a master file and against other servers.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use conn3ction_tests::{Conn3ction, Ran, binary, free_address, shell};

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_or_another_server_is_held_against_any_moment() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    let place = |name: &str| data.path().join(name).display().to_string();
    let run = |arguments: &[&str]| {
        let ran = server.cli(arguments)?;
        anyhow::ensure!(ran.code == 0, "{arguments:?}: {ran:?}");
        Ok(ran.out)
    };
    // More than one message of a transfer has room for, and names that other servers compress.
    let many: String = (0..3_000).map(|host| format!("host{host} 60 MX 10 mail.host{host}\n")).collect();
    let zone =
        format!("$TTL 300\n@ SOA ns.example.test. h 5 60 60 60 60\n@ NS ns\nns A 192.0.2.53\nWWW A 192.0.2.1\n{many}");
    std::fs::write(place("example.test.zone"), &zone)?;
    run(&["import", "example.test", &place("example.test.zone")])?; // r2
    run(&["set", "www.example.test", "A", "192.0.2.2"])?; // r3
    run(&["delete", "host7.example.test", "ANY"])?; // r4
    let _packed = shell(&format!("gzip -k {}", place("example.test.zone")))?;

    let port = free_address().port();
    std::fs::write(
        place("named.conf"),
        format!(
            "options {{ directory \"{0}\"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; recursion no; }};\ncontrols {{ }};\n\
             zone \"example.test\" {{ type primary; file \"{0}/example.test.zone\"; allow-transfer {{ any; }}; }};\n\
             zone \"closed.test\" {{ type primary; file \"{0}/closed\"; allow-transfer {{ none; }}; }};\n",
            data.path().display()
        ),
    )?;
    std::fs::write(place("closed"), "$TTL 300\n@ SOA ns h 5 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n")?;
    let mut named = Command::new("/usr/sbin/named");
    let named = named.args(["-f", "-c", &place("named.conf")]).stdout(Stdio::null()).stderr(Stdio::null());
    let _named = Ends(named.spawn()?);
    let ask = format!("dig @127.0.0.1 -p {port} +short +tries=1 +time=1 closed.test SOA");
    shell(&format!("for i in $(seq 300); do {ask} | grep -q . && exit 0; sleep 0.1; done; exit 1"))?;

    let bind = format!("@127.0.0.1:{port}");
    let here = format!("@{}", server.dns);
    let (file, packed) = (place("example.test.zone"), place("example.test.zone.gz"));
    let www = "~ www.example.test.  300  A\n-   192.0.2.1\n+   192.0.2.2\n";
    let host = "- host7.example.test.  60  MX\n-   10 mail.host7.example.test.\n";
    let both = format!("{host}{www}");
    for (words, printed) in [
        (&["r2", &file][..], "no difference\n"),
        (&[&packed, "r2"], "no difference\n"),
        (&[&file, "r3"], www),
        (&[&file], &both),
        (&[&file, "www.example.test"], www),
        (&[&file, "now", "www.example.test", "AAAA"], "no difference\n"),
        (&[&file, "--under", "host7.example.test"], host),
        (&[&bind, "now", "--zone", "example.test"], &both),
        (&[&bind, "r2", "--zone", "example.test"], "no difference\n"),
        (&[&bind, "now", "host7.example.test", "MX"], host),
        (&[&bind, &here, "www.example.test"], www),
        (&[&bind, &file], "no difference\n"),
        (&[&here, "now", "--zone", "example.test"], "no difference\n"),
    ] {
        let ran = server.cli(&[&["diff", "--exit-code"], words].concat())?;
        assert_eq!((&*ran.out, ran.code), (printed, i32::from(printed != "no difference\n")), "{words:?}: {ran:?}");
        assert!(ran.err.contains("example.test. "), "which zone, and the serials: {ran:?}");
    }
    let ran = Ran::new(
        Command::new(binary()).args(["--server", &format!("http://{}", server.http), "diff", "-", "r2"]),
        &zone.replacen("@ SOA", "example.test. SOA", 1).replacen("$TTL", "$ORIGIN example.test.\n$TTL", 1),
    )?;
    assert_eq!((ran.code, &*ran.out), (0, "no difference\n"), "{ran:?}");
    let rows = run(&["diff", &file, "--json"])?;
    let first: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap_or_default())?;
    assert_eq!(
        (&first["zone"], &first["type"], &first["after"]),
        (&"example.test".into(), &"MX".into(), &serde_json::Value::Null)
    );
    assert_eq!(rows, run(&["diff", "r2", "--json"])?, "as two moments are");
    assert_eq!(run(&["diff", &file, "-o", "csv"])?, run(&["diff", "r2", "-o", "csv"])?);

    // A SOA counts if more than its serial differs.
    std::fs::write(place("soa.zone"), zone.replacen(" 5 60 60", " 9 60 61", 1))?;
    let ran = server.cli(&["diff", "r2", &place("soa.zone"), "--zone", "example.test"])?;
    assert!(ran.out.starts_with("~ example.test.  300  SOA\n-   ns.example.test. h.example.test. "), "{ran:?}");
    std::fs::write(place("soa.zone"), zone.replacen(" 5 60 60", " 9 60 60", 1))?;
    assert_eq!(run(&["diff", "r2", &place("soa.zone"), "--zone", "example.test"])?, "no difference\n");

    std::fs::write(place("bad.zone"), "$TTL 5\nwww A x\nwww A 192.0.2.1 y\n")?;
    let bad = place("bad.zone");
    std::fs::write(place("absolute.zone"), "example.test. 5 IN SOA ns h 1 2 3 4 5\n")?;
    let nowhere = format!("@127.0.0.1:{}", free_address().port());
    for (words, code, told) in [
        (&[&*bad, "now", "--zone", "example.test"][..], 2, "bad.zone: line 2, column 7: A: address: `x`"),
        (&["/nowhere/zone", "now"], 2, "/nowhere/zone: No such file or directory"),
        (
            &[&place("absolute.zone"), "now", "--zone", "other.test"],
            2,
            "a SOA of example.test., but the zone is other.test.",
        ),
        (&[&place("soa.zone"), "now"], 2, "which zone? --zone ZONE says it"),
        (&[&bind, "now"], 2, "which zone? --zone ZONE says it"),
        (&[&file, "now", "www.other.test"], 2, "www.other.test. is not in the zone example.test."),
        (&["@", "now"], 2, "write @HOST or @HOST:PORT"),
        (&["r2", &bind, "--zone", "closed.test"], 1, "No such zone: no zone closed.test, now or before"),
        (&[&bind, &here, "--zone", "closed.test"], 4, "refuses it (REFUSED); it must allow transfers to this address"),
        (&[&here, &file, "--zone", "other.test"], 4, "does not serve other.test., or not to us (NOTAUTH)"),
        (&[&bind, "now", "www.nowhere.test"], 4, "serves no zone that holds www.nowhere.test., or not to us (REFUSED)"),
        (&[&nowhere, &file], 4, "Connection refused"),
        (&[&file, "r99"], 1, "r99 is yet to come"),
    ] {
        let ran = server.cli(&[&["diff", "--exit-code"], words].concat())?;
        assert!(ran.code == code && ran.err.contains(told), "{words:?}: {ran:?}");
    }
    Ok(())
}

#[test]
fn a_server_that_answers_too_slowly_or_breaks_off_is_given_up() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("example.test.zone");
    std::fs::write(&file, "$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n")?;
    let file = file.display().to_string();
    let diff = |server: std::net::SocketAddr| {
        Ran::new(Command::new(binary()).args(["diff", &file, &format!("@{server}"), "--timeout", "1"]), "")
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let ran = diff(silent.local_addr()?)?;
    assert!(ran.code == 4 && ran.err.contains("no answer from @127.0.0.1:"), "{ran:?}");
    // One that closes the connection after the first message, which has the SOA alone.
    let short = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = short.local_addr()?;
    let answered = std::thread::spawn(move || -> anyhow::Result<()> {
        use std::io::{Read, Write};
        let (mut stream, _) = short.accept()?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut question = vec![0; 2 + 12 + 14 + 4];
        stream.read_exact(&mut question)?;
        let mut reply = question.split_off(2);
        (reply[2], reply[7]) = (0x84, 1);
        reply.extend_from_slice(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x05\x00\x16\x00\x00");
        reply.extend_from_slice(&[0; 20]);
        stream.write_all(&[&(reply.len() as u16).to_be_bytes(), &reply[..]].concat())?;
        Ok(())
    });
    let ran = diff(address)?;
    answered.join().expect("a thread")?;
    assert!(ran.code == 4 && ran.err.contains("breaks off after 1 records"), "{ran:?}");
    Ok(())
}
