//! The files that people start from.

use std::process::{Child, Command, Stdio};

use conn3ction_tests::{Conn3ction, root, shell};

#[test]
fn the_example_settings_load() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let config = root().join("deploy/conn3ction.toml");
    let server = Conn3ction::start(data.path(), &["--config", &config.to_string_lossy()])?;
    assert_eq!(shell(&format!("curl -sf http://{}/healthz", server.http))?, r#"{"status":"ok"}"#);
    Ok(())
}

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
fn coredns_as_secondary_answers_what_we_answer() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    let http = server.http;
    for record in [
        r#"{"name":"app.example.local","type":"A","values":["10.1.2.3","10.1.2.4"],"ttl":60}"#,
        r#"{"name":"*.wild.example.local","type":"TXT","values":["hello"],"ttl":60}"#,
        r#"{"name":"www.example.local","type":"CNAME","values":["app.example.local."],"ttl":60}"#,
        r#"{"name":"sub.example.local","type":"NS","values":["ns.sub.example.local."],"ttl":60}"#,
        r#"{"name":"ns.sub.example.local","type":"A","values":["10.9.9.9"],"ttl":60}"#,
        r#"{"name":"a.b.example.local","type":"CAA","values":["0 issue \"ca.example\""],"ttl":60}"#,
    ] {
        shell(&format!("curl -sf -d '{record}' http://{http}/records"))?;
    }
    let free = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let tools = std::env::var("CONN3CTION_TOOLS")
        .or_else(|_| std::env::var("HOME").map(|home| home + "/.cache/conn3ction-tools"))?;
    let corefile = data.path().join("Corefile");
    let shipped = std::fs::read_to_string(root().join("deploy/Corefile.secondary"))?;
    let here = shipped.replace(":53 ", &format!(":{free} ")).replace("127.0.0.1:1053", &server.dns.to_string());
    std::fs::write(&corefile, here)?;
    let _coredns = Ends(
        Command::new(format!("{tools}/coredns-1.15.0"))
            .arg("-conf")
            .arg(&corefile)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let dig = |port: u16, question: &str| {
        // Flags, counts and sorted records; order within a set is free, and only AA, RCODE and records count here.
        shell(&format!(
            "dig @127.0.0.1 -p {port} {question} +norec +noedns +tries=1 +time=1 +nocmd +nostats +noquestion | grep -v '^;; Got' \
             | sed -E 's/id: [0-9]+//; s/[[:space:]]+/ /g' | sort"
        ))
    };
    // CoreDNS says SERVFAIL until its first transfer is done.
    shell(&format!(
        "for i in $(seq 300); do dig @127.0.0.1 -p {free} example.local SOA +short +tries=1 +time=1 | grep -q localhost && exit 0; sleep 0.1; done; exit 1"
    ))?;
    for question in [
        "app.example.local A",
        "app.example.local AAAA",
        "x.wild.example.local TXT",
        "wild.example.local TXT",
        "nope.example.local A",
        "b.example.local A",
        "a.b.example.local CAA",
        "www.example.local CNAME",
        "example.local SOA",
    ] {
        let (ours, theirs) = (dig(server.dns.port(), question)?, dig(free, question)?);
        assert!(ours.contains(" aa"), "{question}: {ours}");
        // CoreDNS adds the zone's NS to the authority section of every answer.
        let core = |text: &str| {
            let told = |line: &&str| line.contains("status:") || line.contains(" IN ") && !line.contains(" IN NS ");
            text.lines().filter(told).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(core(&ours), core(&theirs), "{question}");
    }
    Ok(())
}
