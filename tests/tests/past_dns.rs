//! The past, asked with any DNS client.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use conn3ction_tests::{Conn3ction, free_address, shell};

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> anyhow::Result<Ends> {
    Ok(Ends(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
}

/// A server whose `api.example.local.` moved from 192.0.2.10 to 192.0.2.77, and the revisions of both.
fn moved(data: &Path, arguments: &[&str]) -> anyhow::Result<(Conn3ction, u64, u64)> {
    let server = Conn3ction::start(data, arguments)?;
    let http = server.http;
    let revision = |line: String| -> anyhow::Result<u64> {
        let printed = shell(&line)?;
        Ok(printed.trim().split(':').nth(1).unwrap_or_default().trim_end().parse()?)
    };
    let head = "-D - -o /dev/null | tr -d '\\r' | sed -n 's/^conn3ction-revision: //ip'";
    let first = revision(format!(
        "curl -sf http://{http}/records -d '{{\"name\":\"api.example.local\",\"type\":\"A\",\"values\":[\"192.0.2.10\"],\"ttl\":300}}' {head}"
    ))?;
    shell(&format!(
        "curl -sf http://{http}/records -d '{{\"name\":\"www.example.local\",\"type\":\"CNAME\",\"values\":[\"api.example.local.\"]}}'"
    ))?;
    let second = revision(format!(
        "curl -sf -X PUT http://{http}/records/api.example.local -H 'Conn3ction-Actor: ci-deploy' -H 'Conn3ction-Reason: CHG-881 move api' \
         -d '{{\"type\":\"A\",\"values\":[\"192.0.2.77\"],\"ttl\":300}}' {head}"
    ))?;
    Ok((server, first, second))
}

fn port(server: &Conn3ction) -> u16 {
    server.dns.port()
}

#[test]
fn dig_and_kdig_ask_the_past_by_option_and_by_name() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (server, first, second) = moved(data.path(), &["--ledger", "memory"])?;
    let dns = port(&server);
    let dig = |question: &str| shell(&format!("dig @127.0.0.1 -p {dns} +norec +tries=2 +time=5 {question}"));
    let option = |when: &str| format!("+ednsopt=65353:$(printf %s '{when}' | xxd -p)");
    for transport in ["+notcp", "+tcp"] {
        let was = dig(&format!("{transport} api.example.local {}", option(&format!("r{first}"))))?;
        assert!(was.contains("192.0.2.10") && !was.contains("192.0.2.77"), "{was}");
        assert!(was.contains(&format!("(\"r{first} 20")), "dig prints the moment: {was}");
        let now = dig(&format!("{transport} api.example.local {}", option("now")))?;
        assert!(now.contains("192.0.2.77") && now.contains("not-final"), "{now}");
    }
    let told = dig("api.example.local +ednsopt=65353")?;
    assert!(told.contains("192.0.2.77") && told.contains("ci-deploy: CHG-881 move api"), "{told}");
    let then = first + 1;
    let named = dig(&format!("www.example.local.r{then}.asof"))?;
    assert!(named.contains(&format!("api.example.local.r{then}.asof. 0\tIN\tA\t192.0.2.10")), "{named}");
    assert!(named.contains(&format!("as of r{then} 20")), "{named}");
    let said = shell(&format!("kdig @127.0.0.1 -p {dns} +edns api.example.local.r{second}.asof"))?;
    assert!(said.contains("192.0.2.77") && said.contains("ci-deploy: CHG-881 move api"), "{said}");
    let later = dig(&format!("api.example.local {}", option("r999")))?;
    assert!(later.contains("SERVFAIL") && later.contains("r999 is yet to come"), "{later}");
    // By time: the moment that the first change was made.
    let time = shell(&format!("curl -sf http://{}/events/{first} | jq -r .time", server.http))?;
    let was = dig(&format!("+short api.example.local {}", option(time.trim())))?;
    assert_eq!(was.trim(), "192.0.2.10");
    let whole = dig(&format!("+tcp +onesoa AXFR example.local {}", option(&format!("r{first}"))))?;
    assert!(whole.contains("192.0.2.10") && !whole.contains("www.example.local"), "{whole}");
    let whole = dig(&format!("+tcp +onesoa +comments AXFR example.local.r{then}.asof"))?;
    for line in [
        format!("api.example.local.r{then}.asof. 0\tIN\tA\t192.0.2.10"),
        format!("www.example.local.r{then}.asof. 0\tIN\tCNAME\tapi.example.local.r{then}.asof."),
    ] {
        assert!(whole.contains(&line), "{line}: {whole}");
    }
    assert!(whole.contains(&format!("as of r{then} 20")), "the first message says so: {whole}");
    let foreign = dig(&format!("google.com.r{then}.asof"))?;
    assert!(foreign.contains("NXDOMAIN") && !foreign.contains("EDE"), "nobody's event made it so: {foreign}");
    let cut = dig(&format!("DS example.local.r{then}.asof"))?;
    assert!(cut.contains("NOERROR") && cut.contains("ANSWER: 0, AUTHORITY: 1"), "{cut}");
    Ok(())
}

#[test]
fn who_is_not_on_the_list_is_refused() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (server, first, _) = moved(data.path(), &["--ledger", "memory", "--dns-allow-history", "192.0.2.1"])?;
    let asked = shell(&format!("dig @127.0.0.1 -p {} api.example.local.r{first}.asof", port(&server)))?;
    assert!(asked.contains("REFUSED") && asked.contains("EDE: 18"), "{asked}");
    let live = shell(&format!("dig @127.0.0.1 -p {} +short api.example.local", port(&server)))?;
    assert_eq!(live.trim(), "192.0.2.77");
    Ok(())
}

#[test]
fn resolvers_follow_names_of_the_past() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (server, first, second) = moved(data.path(), &["--ledger", "memory"])?;
    let dns = port(&server);
    let (unbound_port, named_port) = (free_address().port(), free_address().port());
    let directory = data.path().display();
    std::fs::write(
        data.path().join("unbound.conf"),
        format!(
            "server:\n interface: 127.0.0.1@{unbound_port}\n do-not-query-localhost: no\n chroot: \"\"\n username: \"\"\n \
             directory: \"{directory}\"\n pidfile: \"{directory}/unbound.pid\"\n use-syslog: no\n module-config: \"iterator\"\n \
             qname-minimisation: yes\n qname-minimisation-strict: yes\n use-caps-for-id: yes\n\
             remote-control:\n control-enable: no\nstub-zone:\n name: \"asof.\"\n stub-addr: 127.0.0.1@{dns}\n"
        ),
    )?;
    std::fs::write(
        data.path().join("named.conf"),
        format!(
            "options {{ directory \"{directory}\"; pid-file none; session-keyfile none; listen-on port {named_port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; recursion yes; dnssec-validation no; empty-zones-enable no; }};\ncontrols {{ }};\n\
             zone \"asof\" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {dns}; }}; }};\n"
        ),
    )?;
    let _unbound = spawn(Command::new("unbound").args(["-d", "-c"]).arg(data.path().join("unbound.conf")))?;
    let _named = spawn(Command::new("named").args(["-f", "-c"]).arg(data.path().join("named.conf")))?;
    for resolver in [unbound_port, named_port] {
        for (revision, address) in [(first + 1, "192.0.2.10"), (second, "192.0.2.77"), (first + 1, "192.0.2.10")] {
            // The resolver is not there at once; dig asks again until it is.
            let asked = format!(
                "for i in $(seq 300); do out=$(dig @127.0.0.1 -p {resolver} +tries=1 +time=1 +short www.example.local.r{revision}.asof) \
                 && [ -n \"$out\" ] && break; sleep 0.1; done; echo \"$out\""
            );
            let answer = shell(&asked)?;
            assert_eq!(answer, format!("api.example.local.r{revision}.asof.\n{address}\n"), "resolver {resolver}");
        }
    }
    Ok(())
}

#[test]
fn a_forwarding_cache_with_our_rule_never_serves_the_past_as_the_present() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (server, first, _) = moved(data.path(), &["--ledger", "memory"])?;
    let free = free_address().port();
    let tools = std::env::var("TESTS_TOOLS")
        .or_else(|_| std::env::var("HOME").map(|home| home + "/.cache/conn3ction-tools"))?;
    let shipped = std::fs::read_to_string(conn3ction_tests::root().join("deploy/Corefile.secondary"))?;
    let rule = shipped.lines().find(|line| line.contains("0xff49")).expect("the shipped rule");
    let corefile = data.path().join("Corefile");
    std::fs::write(
        &corefile,
        format!(".:{free} {{\n bind 127.0.0.1\n{rule}\n forward . {}\n cache 30\n}}\n", server.dns),
    )?;
    let _coredns = spawn(Command::new(format!("{tools}/coredns-1.15.0")).arg("-conf").arg(&corefile))?;
    let asked = |option: &str| {
        shell(&format!(
            "for i in $(seq 300); do out=$(dig @127.0.0.1 -p {free} +tries=1 +time=1 +short api.example.local {option}) \
             && [ -n \"$out\" ] && break; sleep 0.1; done; echo \"$out\""
        ))
    };
    assert_eq!(asked(&format!("+ednsopt=65353:$(printf r{first} | xxd -p)"))?, "192.0.2.77\n");
    assert_eq!(asked("")?, "192.0.2.77\n");
    Ok(())
}

#[test]
fn a_server_started_at_a_moment_stays_there() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (server, first, _) = moved(data.path(), &[])?;
    drop(server);
    let server = Conn3ction::start(data.path(), &["--at", &format!("r{first}")])?;
    let ask = || shell(&format!("dig @127.0.0.1 -p {} +short api.example.local", server.dns.port()));
    assert_eq!(ask()?.trim(), "192.0.2.10");
    let written = server.cli(&["set", "api.example.local", "A", "192.0.2.99"])?;
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(ask()?.trim(), "192.0.2.10", "what is written later is not shown");
    let status = server.cli(&["status"])?;
    assert!(status.out.contains(&format!("DNS at {} as of r{first}", server.dns)), "{status:?}");
    let then = server.cli(&["get", "api.example.local", "--at", &format!("r{first}"), "--json"])?;
    assert!(then.out.contains("192.0.2.10"), "{then:?}");
    assert_eq!(server.cli(&["set", "api.example.local", "A", "192.0.2.1", "--at", "r1"])?.code, 2);
    drop(server);
    // An age is one at the start.
    let server = Conn3ction::start(data.path(), &["--at", "0s"])?;
    let status = server.cli(&["status"])?;
    assert!(status.out.contains(&format!("DNS at {} as of 20", server.dns)), "{status:?}");
    Ok(())
}
