//! Zone transfer as real clients pull it: dig, and Knot, NSD and CoreDNS as secondaries that NOTIFY wakes.

use crate::responder::{Responder, dig, free_address, wait_for};
use conn3ction_dns::server::Config;
use conn3ction_schemas::RecordType;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

fn axfr(server: SocketAddr) -> Vec<String> {
    let text = dig(server, &["example.", "AXFR", "+nostats", "+nocmd", "+nocomments"]);
    let one_blank = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).map(one_blank).collect()
}

fn sorted_without_last_soa(mut records: Vec<String>) -> Vec<String> {
    assert_eq!(records.first(), records.last(), "a transfer begins and ends with the SOA");
    records.pop();
    records.sort();
    records
}

#[test] // RFC 5936 sections 2.2 and 3
fn a_zone_of_many_messages_arrives_whole_soa_first_and_last() {
    let mut responder = Responder::start(Config::default());
    responder.publish_example(20_000);
    let records = axfr(responder.address);
    assert_eq!(records.len(), 8 + 1 + 40_000);
    assert!(records[0].contains("SOA ns1.example. hostmaster.example. 1 "), "{}", records[0]);
    for line in [
        "occluded.sub.example. 300 IN A 192.0.2.54",
        "ns.sub.example. 300 IN A 192.0.2.53",
        "*.wild.example. 300 IN TXT \"of two\"",
        "host19999.example. 300 IN A 192.0.2.2",
    ] {
        assert!(records.iter().any(|record| record == line), "{line}");
    }
    let records = sorted_without_last_soa(records);
    assert!(records.windows(2).all(|two| two[0] != two[1]), "every record once");
    let comments = responder.dig(&["example.", "AXFR", "+noanswer"]);
    assert!(comments.contains("messages"), "{comments}");
}

#[test]
fn transfers_are_refused_to_strangers_before_they_learn_whether_there_is_a_zone() {
    let stranger = Config { allow_transfer: "192.0.2.1".parse().expect("a list"), ..Config::default() };
    let mut responder = Responder::start(stranger);
    responder.publish_example(1);
    for arguments in [
        &["example.", "AXFR", "+all"][..],
        &["host0.example.", "AXFR", "+all"],
        &["nowhere.", "AXFR", "+all"],
        &["example.", "IXFR=0", "+all"],
        &["example.", "IXFR=0", "+notcp", "+all"],
    ] {
        let text = responder.dig(arguments);
        let refused = text.contains("status: REFUSED") || text.contains("Transfer failed");
        assert!(refused && !text.contains("192.0.2"), "{arguments:?}: {text}");
    }
    assert!(responder.counters.snapshot().transfers_refused >= 4);
}

#[test] // RFC 5936 section 2.2.1, RFC 1995 sections 2 and 4
fn a_transfer_of_no_zone_of_ours_is_notauth_and_ixfr_gives_the_soa_to_who_is_up_to_date() {
    let mut responder = Responder::start(Config::default());
    responder.publish_example(3);
    responder.publish("gone.", 1, &[("gone.", RecordType::SOA, &["ns.gone. h.gone. 1 1 1 1 1"])]);
    responder.delete_zone("gone.");
    let failed = |zone: &str| responder.dig(&[zone, "AXFR", "+all"]);
    for zone in ["gone.", "host0.example.", "nowhere."] {
        assert!(failed(zone).contains("Transfer failed"), "{zone}");
    }
    let ixfr = |serial: u32, transport: &str| {
        let text = responder.dig(&["example.", &format!("IXFR={serial}"), transport, "+noall", "+answer"]);
        text.lines().filter(|line| line.contains("IN")).count()
    };
    assert_eq!(ixfr(1, "+tcp"), 1, "up to date");
    assert_eq!(ixfr(9, "+tcp"), 1, "ahead");
    assert_eq!(ixfr(0, "+tcp"), 8 + 1 + 6, "the whole zone");
    assert_eq!(ixfr(0, "+notcp"), 1, "the SOA tells to come again over TCP");
}

/// A secondary of another make, killed when dropped.
struct Secondary {
    address: SocketAddr,
    home: tempfile::TempDir,
    child: Option<Child>,
}

impl Secondary {
    fn prepare() -> Self {
        Self { address: free_address(), home: tempfile::tempdir().expect("a directory"), child: None }
    }

    fn start(&mut self, program: &Path, arguments: &[&str], config: &str) {
        let file = self.home.path().join("config");
        fs::write(&file, config).expect("written");
        let log = fs::File::create(self.home.path().join("log")).expect("created");
        let errors = log.try_clone().expect("cloned");
        let mut command = Command::new(program);
        command.args(arguments).arg(&file).current_dir(self.home.path()).stdout(log).stderr(errors);
        self.child = Some(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{program:?}: {error}")));
    }

    fn serial(&self) -> Option<u32> {
        let text = dig(self.address, &["example.", "SOA", "+short", "+time=1"]);
        text.split_whitespace().nth(2)?.parse().ok()
    }

    /// Waits for the first transfer, changes the zone, and waits until NOTIFY has brought the change: the timers of
    /// the SOA are an hour and ten minutes, so nothing else can have.
    fn follows(&self, responder: &mut Responder) {
        wait_for("the first transfer", || self.serial().filter(|serial| *serial == 1));
        responder.publish(
            "example.",
            2,
            &[("new.example.", RecordType::A, &["192.0.2.200"]), ("host1.example.", RecordType::A, &[])],
        );
        wait_for("the change", || self.serial().filter(|serial| *serial == 2));
        assert_eq!(dig(self.address, &["new.example.", "A", "+short"]).trim(), "192.0.2.200");
        assert!(dig(self.address, &["host1.example.", "A"]).contains("NXDOMAIN"));
        // What it hands on is what we hand out.
        assert_eq!(sorted_without_last_soa(axfr(self.address)), sorted_without_last_soa(axfr(responder.address)),);
    }

    fn responder(&self) -> Responder {
        let mut responder = Responder::start(Config { notify: vec![self.address], ..Config::default() });
        responder.publish_example(2_000);
        responder
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.home.path().join("log")).unwrap_or_default());
        }
        if let Some(child) = &mut self.child {
            // TERM, so that NSD ends its workers too.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

#[test]
fn knot_follows_as_a_secondary() {
    let mut knot = Secondary::prepare();
    let mut responder = knot.responder();
    let (home, port) = (knot.home.path().display(), knot.address.port());
    let config = format!(
        "server:\n  rundir: {home}\n  listen: 127.0.0.1@{port}\ndatabase:\n  storage: {home}\n\
         log:\n  - target: stderr\n    any: info\nremote:\n  - id: primary\n    address: 127.0.0.1@{}\n\
         acl:\n  - id: us\n    address: 127.0.0.0/8\n    action: [notify, transfer]\n\
         zone:\n  - domain: example\n    storage: {home}\n    master: primary\n    acl: us\n",
        responder.address.port()
    );
    knot.start(Path::new("knotd"), &["-c"], &config);
    knot.follows(&mut responder);
    let counts = wait_for("the confirmation", || {
        Some(responder.counters.snapshot()).filter(|counts| counts.notifies_confirmed > 0)
    });
    assert!(counts.transfers > 0);
}

#[test]
fn nsd_follows_as_a_secondary() {
    let mut nsd = Secondary::prepare();
    let mut responder = nsd.responder();
    let (home, port) = (nsd.home.path().display(), nsd.address.port());
    let config = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: \"{home}\"\n  database: \"\"\n  pidfile: \"{home}/pid\"\n  xfrdfile: \"{home}/xfrd\"\n  \
         xfrdir: \"{home}\"\n  zonelistfile: \"{home}/list\"\n  xfrd-reload-timeout: 0\nremote-control:\n  \
         control-enable: no\nzone:\n  name: example\n  request-xfr: 127.0.0.1@{} NOKEY\n  \
         allow-notify: 127.0.0.1 NOKEY\n  provide-xfr: 127.0.0.1 NOKEY\n",
        responder.address.port()
    );
    nsd.start(Path::new("nsd"), &["-d", "-c"], &config);
    nsd.follows(&mut responder);
}

#[test]
fn coredns_follows_as_a_secondary() {
    let mut coredns = Secondary::prepare();
    let mut responder = coredns.responder();
    let config = format!(
        "example.:{} {{\n  bind 127.0.0.1\n  secondary {{\n    transfer from 127.0.0.1:{}\n  }}\n  \
         transfer {{\n    to *\n  }}\n  errors\n  log\n}}\n",
        coredns.address.port(),
        responder.address.port()
    );
    let tools = std::env::var_os("CONN3CTION_TOOLS").map(PathBuf::from);
    let tools = tools.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/conn3ction-tools")));
    let program = tools.expect("a directory of tools").join("coredns-1.15.0");
    coredns.start(&program, &["-conf"], &config);
    coredns.follows(&mut responder);
}
