//! etcd away: writes are refused and say when to try again, reads go on, and everything recovers by itself.

use conn3ction_tests::{Conn3ction, as_root, etcd::Etcd, load::Load, random::Random, shell};

/// Writes are refused with 503; DNS and REST go on with what they know.
fn reads_but_does_not_write(server: &Conn3ction) -> anyhow::Result<()> {
    // A connection that nobody knows to be dead yet takes the write, and then what became of it is not known.
    let write = || server.ask("POST", "/records", r#"{"name":"away.example.local","type":"TXT","values":["\"x\""]}"#);
    let mut refused = write()?;
    for _ in 0..5 {
        if refused.status == 504 {
            refused = write()?;
        }
    }
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "{refused:?}");
    assert_eq!(refused.json()["type"], "/problems/ledger-unavailable");
    let records = server.ask("GET", "/records?type=A", "")?;
    assert_eq!(records.status, 200);
    let records = records.json();
    let of_record = |place: &str| records[0][place].as_str().unwrap_or_default().to_owned();
    let name = of_record("name");
    let answer = shell(&format!("dig @127.0.0.1 -p {} {name} A +short", server.dns.port()))?;
    assert_eq!(answer.trim(), records[0]["values"][0], "{name}");
    assert_eq!(server.ask("GET", "/healthz", "")?.status, 200);
    // How old it may be is said once the ledger was missed.
    while server.ask("GET", "/zones", "")?.header("conn3ction-stale").is_empty() {}
    Ok(())
}

#[test]
fn without_etcd_writes_are_refused_reads_go_on_and_all_recovers_by_itself() -> anyhow::Result<()> {
    let seed = Random::seed();
    let mut etcd = Etcd::start(&[])?;
    let data = [tempfile::tempdir()?, tempfile::tempdir()?];
    let url = etcd.url.clone();
    let server = Conn3ction::start(data[0].path(), &["--etcd-endpoints", &url])?;
    let load = Load::start(seed, 4, &[server.http]);
    load.acknowledged(50)?;

    etcd.kill()?;
    load.denied(20)?;
    reads_but_does_not_write(&server)?;
    let reason = format!("etcd at {url} cannot be reached: Connection refused (os error 111)");
    let refused = server.ask("PUT", "/records/x.example.local/A", r#"{"values":["10.0.0.1"]}"#)?.json();
    assert_eq!(refused["detail"], format!("the ledger is unavailable: {reason}"));
    for (verb, told) in [
        ("log -n 1", "the ledger is unavailable: "),
        ("verify", "the ledger is unavailable: "),
        ("replay --to now", "the ledger is unavailable: "),
        ("rebuild zone-keys", "the ledger is unavailable: "),
        ("rebuild records", "the ledger is unavailable: "),
    ] {
        let ran = server.cli(&verb.split(' ').collect::<Vec<_>>())?;
        assert_eq!((ran.code, ran.err), (4, format!("conn3ction: {told}{reason}\n")), "{verb}");
    }
    // Who made a set, and since when, is known without the ledger; and how old it may be is told.
    for (verb, told) in [("get -o wide --zone example.local", "ACTOR"), ("lookup example.local SOA", "SOA")] {
        let ran = server.cli(&verb.split(' ').collect::<Vec<_>>())?;
        assert!(ran.code == 0 && ran.out.contains(told), "{verb}: {ran:?}");
        assert!(ran.err.contains("the ledger has not answered for "), "{verb}: {ran:?}");
    }
    // One that starts now waits until etcd is there.
    let late = std::thread::spawn(move || Conn3ction::start(data[1].path(), &["--etcd-endpoints", &url]));
    load.denied(20)?;
    assert!(!late.is_finished(), "it has nothing to show yet");
    etcd.run()?;
    load.acknowledged(50)?;
    let late = late.join().expect("a thread that starts a server")?;
    load.aim(&[server.http, late.http]);
    load.acknowledged(50)?;
    let written = load.stop()?;
    written.audit(&server)?;
    written.audit(&late)?;
    while !server.ask("GET", "/zones", "")?.header("conn3ction-stale").is_empty() {}
    written.audit_keys(&etcd)
}

/// A node looks at etcd every second; a rebuild does not go by what it found then.
#[test]
fn a_rebuild_is_refused_only_while_etcd_is_away() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url])?;
    etcd.pause()?;
    while server.ask("GET", "/zones", "")?.header("conn3ction-stale").is_empty() {}
    etcd.go_on()?;
    let rebuilt = server.ask("POST", "/projections/answers/rebuild", "")?;
    assert_eq!(rebuilt.status, 200, "{rebuilt:?}");
    Ok(())
}

/// A network of its own, joined to ours by one cable.
struct Apart(String);

impl Apart {
    fn new() -> anyhow::Result<Self> {
        let name = format!("c3n{}", std::process::id());
        let apart = Self(name.clone());
        let host = name.replace("c3n", "c3h");
        as_root(&format!(
            "ip netns add {name} && ip link add {host} type veth peer name {name} netns {name} \
             && ip addr add {} dev {host} && ip link set {host} up && ip -n {name} link set lo up \
             && ip -n {name} addr add {} dev {name} && ip -n {name} link set {name} up",
            apart.address(1) + "/30",
            apart.address(2) + "/30",
        ))?;
        Ok(apart)
    }

    /// An address on the cable: 1 is ours, 2 theirs. The range is for tests between networks (RFC 2544).
    fn address(&self, host: u32) -> String {
        let number = std::process::id() % 16_384 * 4 + host;
        format!("198.18.{}.{}", number / 256, number % 256)
    }

    /// Pulls the cable, or plugs it in again.
    fn cable(&self, state: &str) -> anyhow::Result<String> {
        as_root(&format!("ip -n {0} link set {0} {state}", self.0))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        drop(as_root(&format!("ip netns pids {0} | xargs -r kill -9; ip netns del {0}", self.0)));
    }
}

#[test]
fn a_network_that_parts_and_joins_again_costs_nothing_that_was_acknowledged() -> anyhow::Result<()> {
    let seed = Random::seed();
    let apart = Apart::new()?;
    let root = if shell("id -u")?.trim() == "0" { "exec" } else { "exec sudo -n" };
    let [client, peer] = [2379, 2380].map(|port| format!("{}:{port}", apart.address(2)));
    let etcd = Etcd::start_by(&format!("{root} ip netns exec {}", apart.0), &client, &peer, &[])?;
    let data = [tempfile::tempdir()?, tempfile::tempdir()?];
    let start = |place: usize| Conn3ction::start(data[place].path(), &["--etcd-endpoints", &etcd.url]);
    let servers = [start(0)?, start(1)?];
    let load = Load::start(seed, 4, &servers.each_ref().map(|server| server.http));
    load.acknowledged(50)?;
    apart.cable("down")?;
    // Slow, since silence is told from slowness only after seconds: an append is asked after for ten of them. More
    // are refused while the servers are asked below.
    load.denied(1)?;
    for server in &servers {
        reads_but_does_not_write(server)?;
    }
    apart.cable("up")?;
    load.acknowledged(50)?;
    let written = load.stop()?;
    for server in &servers {
        written.audit(server)?;
    }
    written.audit_keys(&etcd)
}

/// Whoever reloads a node that still waits for etcd does not end it.
#[test]
fn a_node_that_is_told_to_hang_up_while_it_starts_goes_on() -> anyhow::Result<()> {
    let mut etcd = Etcd::start(&[])?;
    etcd.kill()?;
    let data = tempfile::tempdir()?;
    let (path, tokens, url) = (data.path().to_owned(), data.path().join("tokens"), etcd.url.clone());
    std::fs::write(&tokens, format!("{} ann write\n", "ab".repeat(32)))?;
    let tokens = tokens.display().to_string();
    let late = {
        let path = path.clone();
        std::thread::spawn(move || Conn3ction::start(&path, &["--etcd-endpoints", &url, "--tokens", &tokens]))
    };
    // It takes the signal before it has anything to show: bit 0 of the signals that a process catches.
    let catches = format!(
        "for i in $(seq 600); do p=$(pgrep -f -- '[-]-data {}' | head -1); \
         c=$(sed -n 's/^SigCgt:.*\\(.\\)$/\\1/p' /proc/$p/status 2>/dev/null); \
         case $c in 1|3|5|7|9|b|d|f) kill -HUP $p; exit 0;; esac; sleep 0.05; done; exit 1",
        path.display()
    );
    shell(&catches)?;
    assert!(!late.is_finished(), "it waits for etcd");
    etcd.run()?;
    let server = late.join().map_err(|_| anyhow::anyhow!("the starting thread failed"))??;
    let told = "the token file was read again";
    assert!(server.logged_until(told).contains(told));
    Ok(())
}
