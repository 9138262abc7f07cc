//! The same questions to our responder, to Knot and NSD with what we export, and to CoreDNS as our secondary: the same answers.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use conn3ction_tests::{
    Conn3ction,
    corpus::{Message, ask, corpus, differences, questions, zones},
    free_address, root, shell, tool,
};

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a question is asked.
const WAYS: [(&str, &str); 3] =
    [("udp", "+notcp +ignore +noedns"), ("udp-do", "+notcp +ignore +dnssec +bufsize=1232"), ("tcp-do", "+tcp +dnssec")];

/// CoreDNS 1.15 takes no zone that is signed with NSEC3 ("NSEC3 zone is not supported, dropping RR").
fn serves(server: &str, zone: &str) -> bool {
    server != "coredns" || zone != "nsec3.test"
}

/// Takes out of both messages what `server` does its own way on every question, as RFCs let it or by one known flaw.
fn level(server: &str, our: &mut Message, their: &mut Message) {
    match server {
        // Optional addresses are left out, as `minimal-responses` promises.
        "nsd" if !our.answer.is_empty() && their.additional.is_subset(&our.additional) => {
            our.additional.clone_from(&their.additional);
        }
        "coredns" => {
            for message in [our, their] {
                // It adds the zone's NS to the authority section of every positive answer.
                if !message.answer.is_empty() {
                    message
                        .authority
                        .retain(|record| ![" IN NS ", " IN RRSIG NS "].iter().any(|ns| record.contains(ns)));
                }
                // Its negative answers have the SOA's own TTL, not the lower of that and MINIMUM (RFC 2308 section 5).
                let at_lowest = |record: &String| match record.contains(" IN SOA ") || record.contains(" IN RRSIG SOA ")
                {
                    true => record.replacen(" 300 IN ", " 120 IN ", 1),
                    false => record.clone(),
                };
                message.authority = message.authority.iter().map(at_lowest).collect();
            }
        }
        _ => {}
    }
}

/// Compares all answers of `server` with ours; every difference must be listed, and every listed one be there.
fn compare(server: &str, ours: u16, theirs: u16) -> anyhow::Result<()> {
    let questions = questions(|zone| !serves(server, zone))?;
    let known = differences(server)?;
    let (mut unlisted, mut met) = (Vec::new(), BTreeSet::new());
    for (way, options) in WAYS {
        let (our_answers, their_answers) = (ask(ours, &questions, options)?, ask(theirs, &questions, options)?);
        for ((question, mut our), mut their) in questions.iter().zip(our_answers).zip(their_answers) {
            level(server, &mut our, &mut their);
            if our == their {
                continue;
            }
            match known.contains(question) {
                true => drop(met.insert(question.clone())),
                false => unlisted.push(format!("{question} ({way})\nours   {our:#?}\ntheirs {their:#?}")),
            }
        }
    }
    anyhow::ensure!(unlisted.is_empty(), "{} differ from {server}:\n{}", unlisted.len(), unlisted.join("\n"));
    let gone: Vec<_> = known.difference(&met).collect();
    anyhow::ensure!(gone.is_empty(), "no longer different from {server}: {gone:?}");
    Ok(())
}

/// What `server` transfers is what we hold: no record is told otherwise in its messages, whose names it compresses.
fn holds_the_same(server: &str, ours: &Conn3ction, theirs: u16) -> anyhow::Result<()> {
    for zone in zones()?.iter().filter(|zone| serves(server, zone)) {
        let ran = ours.cli(&["diff", "now", &format!("@127.0.0.1:{theirs}"), "--zone", zone, "--exit-code"])?;
        anyhow::ensure!(ran.code == 0 && ran.out == "no difference\n", "{server}, {zone}: {ran:?}");
    }
    Ok(())
}

/// Our server with the corpus in it.
fn served(data: &Path) -> anyhow::Result<Conn3ction> {
    let server = Conn3ction::start(data, &["--ledger", "memory", "--zones", ""])?;
    for zone in zones()? {
        let answer = server.ask("POST", &format!("/zones/{zone}/import"), &corpus(&format!("{zone}.zone"))?)?;
        anyhow::ensure!(answer.status == 201, "{zone}: {answer:?}");
    }
    Ok(server)
}

/// The zones as our server exports them, as files in `directory`.
fn exported(server: &Conn3ction, directory: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let export = |zone: String| {
        let file = directory.join(format!("{zone}.zone"));
        std::fs::write(&file, server.ask("GET", &format!("/zones/{zone}/zonefile"), "")?.body)?;
        Ok((zone, file))
    };
    zones()?.into_iter().map(export).collect()
}

/// Starts a peer that is silent and ends with the test; returns once it answers for every zone.
fn start(server: &str, command: &mut Command, port: u16) -> anyhow::Result<Ends> {
    let peer = Ends(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    for zone in zones()?.iter().filter(|zone| serves(server, zone)) {
        let ask = format!("dig @127.0.0.1 -p {port} {zone} SOA +short +tries=1 +time=1");
        shell(&format!("for i in $(seq 300); do {ask} | grep -q 2026 && exit 0; sleep 0.1; done; exit 1"))?;
    }
    Ok(peer)
}

#[test]
fn knot_answers_the_same_from_what_we_export() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = served(data.path())?;
    let (port, here) = (free_address().port(), data.path().display());
    let mut config = format!(
        "server:\n  rundir: {here}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: {here}/knot\nacl:\n  - id: us\n    address: 127.0.0.0/8\n    action: transfer\nzone:\n"
    );
    for (zone, file) in exported(&server, data.path())? {
        config.push_str(&format!(
            "  - domain: {zone}\n    file: {}\n    semantic-checks: off\n    acl: us\n",
            file.display()
        ));
    }
    let path = data.path().join("knot.conf");
    std::fs::write(&path, config)?;
    let _knot = start("knot", Command::new("/usr/sbin/knotd").arg("-c").arg(&path), port)?;
    compare("knot", server.dns.port(), port)?;
    holds_the_same("knot", &server, port)
}

#[test]
fn nsd_answers_the_same_from_what_we_export() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = served(data.path())?;
    let (port, here) = (free_address().port(), data.path().display());
    let mut config = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  database: \"\"\n  username: \"\"\n  zonesdir: {here}\n  \
         pidfile: \"\"\n  xfrdfile: {here}/xfrd\n  xfrdir: {here}\n  zonelistfile: {here}/zones\n  minimal-responses: yes\n\
         remote-control:\n  control-enable: no\n"
    );
    for (zone, file) in exported(&server, data.path())? {
        config.push_str(&format!(
            "zone:\n  name: {zone}\n  zonefile: {}\n  provide-xfr: 127.0.0.1 NOKEY\n",
            file.display()
        ));
    }
    let path = data.path().join("nsd.conf");
    std::fs::write(&path, config)?;
    let _nsd = start("nsd", Command::new("/usr/sbin/nsd").arg("-d").arg("-c").arg(&path), port)?;
    compare("nsd", server.dns.port(), port)?;
    holds_the_same("nsd", &server, port)
}

#[test]
fn coredns_as_secondary_answers_the_same() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = served(data.path())?;
    let port = free_address().port();
    let shipped = std::fs::read_to_string(root().join("deploy/Corefile.secondary"))?;
    let here = shipped.replace(":53 ", &format!(":{port} ")).replace("127.0.0.1:1053", &server.dns.to_string());
    let zones = zones()?.into_iter().filter(|zone| serves("coredns", zone));
    let blocks: Vec<_> = zones.map(|zone| here.replace("example.local", &zone)).collect();
    let corefile = data.path().join("Corefile");
    std::fs::write(&corefile, blocks.join("\n"))?;
    let _coredns = start("coredns", Command::new(tool("coredns-1.15.0")?).arg("-conf").arg(&corefile), port)?;
    compare("coredns", server.dns.port(), port)
}
