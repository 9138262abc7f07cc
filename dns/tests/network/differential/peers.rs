//! Knot and NSD with many zones each, on free ports of loopback.

use conn3ction_schemas::{Name, RecordType};
use std::{
    fmt::Write,
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

use super::ask::{Question, ask_all};
use crate::{ports::free_address, responder::wait_for};

/// The other servers, asked for the right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Knot,
    Nsd,
}

/// A running server; ended when dropped.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    home: TempDir,
    child: Child,
}

impl Peer {
    /// Serves each master file under its apex, and returns when all zones are answered for.
    pub(crate) fn start(kind: Kind, zones: &[(Name, String)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let address = free_address();
        for (number, (_, text)) in zones.iter().enumerate() {
            fs::write(home.path().join(format!("{number}.zone")), text).expect("written");
        }
        let (place, port) = (home.path().display(), address.port());
        let mut config = match kind {
            Kind::Knot => format!(
                "server:\n  rundir: {place}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
                 background-workers: 2\ndatabase:\n  storage: {place}\nlog:\n  - target: stderr\n    any: warning\n\
                 template:\n  - id: default\n    storage: {place}\n    zonefile-load: whole\n    journal-content: none\n\
                 zone:\n"
            ),
            Kind::Nsd => format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
                 zonesdir: \"{place}\"\n  database: \"\"\n  pidfile: \"{place}/pid\"\n  xfrdfile: \"{place}/xfrd\"\n  \
                 xfrdir: \"{place}\"\n  zonelistfile: \"{place}/list\"\n  rrl-ratelimit: 0\n  refuse-any: no\n  minimal-responses: yes\n\
                 remote-control:\n  control-enable: no\n"
            ),
        };
        for (number, (apex, _)) in zones.iter().enumerate() {
            // Neither knows an escaped quote within quotes.
            let apex = apex.to_string().replace("\\\\", "\\092").replace("\\\"", "\\034");
            let _ = match kind {
                Kind::Knot => write!(config, "  - domain: \"{apex}\"\n    file: \"{number}.zone\"\n"),
                Kind::Nsd => write!(config, "zone:\n  name: \"{apex}\"\n  zonefile: \"{number}.zone\"\n"),
            };
        }
        let file = home.path().join("config");
        fs::write(&file, config).expect("written");
        let (program, arguments): (_, &[&str]) = match kind {
            Kind::Knot => ("knotd", &["-c"]),
            Kind::Nsd => ("nsd", &["-d", "-c"]),
        };
        let child = start(program, arguments, &file, home.path());
        let peer = Self { kind, address, home, child };
        peer.wait_for(zones);
        peer
    }

    fn wait_for(&self, zones: &[(Name, String)]) {
        let soa = |apex: &Name| Question {
            name: apex.as_wire().to_vec(),
            rtype: RecordType::SOA,
            flags: 0,
            edns: None,
            moment: None,
        };
        let questions: Vec<_> = zones.iter().map(|(apex, _)| soa(apex)).collect();
        wait_until_listening(self.address);
        wait_for("all zones to be served", || {
            let replies = ask_all(self.address, &questions);
            replies.iter().all(|reply| reply.rcode == 0).then_some(())
        });
    }
}

/// Returns when the server at `address` answers at all.
pub(crate) fn wait_until_listening(address: SocketAddr) {
    let question = Question { name: vec![0], rtype: RecordType::SOA, flags: 0, edns: None, moment: None };
    wait_for("the server to listen", || {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.connect(address).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        socket.send(&question.to_wire(1)).ok()?;
        socket.recv(&mut [0; 512]).ok()
    });
}

fn start(program: &str, arguments: &[&str], config: &Path, home: &Path) -> Child {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let log = fs::File::create(home.join("log")).expect("created");
    let mut command = Command::new(program);
    command.args(arguments).arg(config).env("PATH", path).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; tests/tools/install brings it"))
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            eprintln!("{:?}: {}", self.kind, log.chars().take(4000).collect::<String>());
        }
        // TERM, so that they end their workers too.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
