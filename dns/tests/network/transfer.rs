//! Zone transfer as real clients pull it: dig, and Knot, NSD and CoreDNS as secondaries that NOTIFY wakes.

use crate::{
    differential::access,
    ports::free_address,
    responder::{Responder, dig, name, wait_for},
};
use conn3ction_dns::{
    Store,
    server::Config,
    transfer::{Limits, PullError, apex_of, pull},
};
use conn3ction_schemas::{RecordType, zonefile};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
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

/// A responder that may be asked about the past.
fn with_history() -> Responder {
    let (store, writer) = Store::new();
    let config = Config { history: Some(access(&store)), ..Config::default() };
    Responder::start_on((store, writer), config)
}

#[test]
fn a_zone_of_the_past_arrives_under_its_moment_or_with_the_option_that_names_it() {
    let mut responder = with_history();
    responder.publish_example(2_000);
    let digest = format!("1 8 2 {}", "ab".repeat(32));
    responder.publish(
        "example.",
        2,
        &[
            ("host0.example.", RecordType::A, &[]),
            ("sub.example.", RecordType::DS, &[&digest]),
            ("out.example.", RecordType::CNAME, &["host1.elsewhere."]),
        ],
    );
    let lines = |arguments: &[&str]| {
        let text = dig(responder.address, &[arguments, &["+nostats", "+nocmd", "+nocomments", "+onesoa"]].concat());
        let one_blank = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).map(one_blank);
        lines.collect::<Vec<_>>()
    };
    for moment in ["r1", "r2"] {
        let option =
            format!("+ednsopt=65353:{}", moment.bytes().map(|octet| format!("{octet:02x}")).collect::<String>());
        let by_option = lines(&["example.", "AXFR", &option]);
        let by_name = lines(&[&format!("eXample.{moment}.asof."), "AXFR"]);
        // What comes by the name is what comes by the option, moved and without DNSSEC.
        let moved: Vec<_> = by_option
            .iter()
            .filter(|line| !line.contains(" DS "))
            .map(|line| {
                let below = |word: &str| match word.strip_suffix("example.") {
                    Some(rest) => format!("{rest}example.{moment}.asof."),
                    None => word.to_owned(),
                };
                let words: Vec<_> = line.split(' ').map(below).collect();
                [&words[..1], &["0".to_owned()], &words[2..]].concat().join(" ")
            })
            .collect();
        assert_eq!(by_name, moved);
        let has = |start: &str| by_name.iter().any(|line| line.starts_with(start));
        assert_eq!(has(&format!("host0.example.{moment}.asof. ")), moment == "r1");
        assert_eq!(has(&format!("out.example.{moment}.asof. 0 IN CNAME host1.elsewhere.")), moment == "r2");
        let told = dig(responder.address, &["example.", "AXFR", &option, "+comments"]);
        assert!(told.contains(&format!("(\"{moment} 20")), "the first message carries the option: {}", &told[..1000]);
    }
    let told = dig(responder.address, &["example.r1.asof.", "AXFR", "+edns", "+comments"]);
    assert!(told.contains("as of r1 20"), "{}", told.lines().take(20).collect::<Vec<_>>().join("\n"));
    let told = dig(responder.address, &["example.", "AXFR", "+ednsopt=65353", "+comments"]);
    assert!(told.contains("(\"r2 20") && told.contains("as of r2 "), "which event made it what it is");
    for (zone, status) in [
        ("example.yesterday.asof.", "FORMERR"),
        ("elsewhere.r1.asof.", "NOTAUTH"),
        ("host1.example.r1.asof.", "NOTAUTH"),
        ("r1.asof.", "NOTAUTH"),
    ] {
        let text = dig(responder.address, &[zone, "AXFR", "+all"]);
        assert!(text.contains(status) || text.contains("Transfer failed"), "{zone}: {text}");
    }
    let serial = lines(&["example.r2.asof.", "IXFR=2"]);
    assert_eq!((serial.len(), serial[0].starts_with("example.r2.asof. 0 IN SOA ")), (1, true), "{serial:?}");
    // A name without room below the moment ends the transfer, and is said.
    let long = format!("{0}.{0}.{0}.{1}.example.", "l".repeat(60), "m".repeat(55));
    responder.publish("example.", 3, &[(&long, RecordType::A, &["192.0.2.1"])]);
    let text = dig(responder.address, &["example.r3.asof.", "AXFR", "+all", "+edns"]);
    assert!(text.contains("Transfer failed") || text.contains("SERVFAIL"), "{text}");
    let text = dig(responder.address, &["example.r2.asof.", "AXFR", "+all"]);
    assert!(text.contains("XFR size"), "{text}");
}

#[test]
fn a_zone_is_pulled_from_us_as_it_is_exported_and_a_refusal_is_told_in_words() {
    let mut responder = Responder::start(Config::default());
    responder.publish_example(20_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let limits = Limits { message: Duration::from_secs(20), whole: Duration::from_secs(60), octets: 1 << 30 };
    let pulled = |zone: &str, limits| runtime.block_on(pull(responder.address, &name(zone), limits));
    let zone = |records: Vec<zonefile::Record>| {
        zonefile::Zone::assemble(&name("example."), records.into_iter().map(Ok)).expect("a zone")
    };
    let text = responder.export(&name("example."));
    let exported = zonefile::Reader::new(text.as_bytes(), name("example.")).map(|record| record.expect("a record"));
    assert_eq!(zone(pulled("example.", limits).expect("pulled")), zone(exported.collect()));
    let apex = |asked: &str| runtime.block_on(apex_of(responder.address, &name(asked), limits));
    assert_eq!(apex("a.b.host7.example.").expect("told"), name("example."));
    assert_eq!(apex("example.").expect("told"), name("example."));
    for (error, words) in [
        (pulled("host7.example.", limits).err(), "does not serve host7.example., or not to us (NOTAUTH)"),
        (pulled("example.", Limits { octets: 50_000, ..limits }).err(), "sends more than 50000 octets"),
        (pulled("example.", Limits { whole: Duration::ZERO, ..limits }).err(), "is not done after 0 s"),
        (apex("elsewhere.").err(), "serves no zone that holds elsewhere., or not to us (REFUSED)"),
    ] {
        let told = error.expect("no zone").to_string();
        assert!(told.starts_with(words), "{told}");
    }
    // Nobody listens there, and one who listens never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let soon = Limits { message: Duration::from_millis(50), ..limits };
    for address in [free_address(), silent.local_addr().expect("an address")] {
        let error = runtime.block_on(pull(address, &name("example."), soon));
        assert!(matches!(error, Err(PullError::Connection(_))), "{error:?}");
    }
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
    let tools = std::env::var_os("TESTS_TOOLS").map(PathBuf::from);
    let tools = tools.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/conn3ction-tools")));
    let program = tools.expect("a directory of tools").join("coredns-1.15.0");
    coredns.start(&program, &["-conf"], &config);
    coredns.follows(&mut responder);
}
