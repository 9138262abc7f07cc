//! Unbound as a validator in front of our responder.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use conn3ction_schemas::Name;
use tempfile::TempDir;

use super::{peers::wait_until_listening, signed::PUBLIC};
use crate::ports::free_address;

/// A running validator; ended when dropped.
pub(crate) struct Unbound {
    pub(crate) address: SocketAddr,
    home: TempDir,
    child: Child,
}

impl Unbound {
    /// Asks `responder` about `zones`, whose key it trusts, and about nothing else.
    pub(crate) fn start(responder: SocketAddr, zones: &[Name]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let address = free_address();
        let mut config = format!(
            "server:\n  interface: 127.0.0.1@{}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{}\"\n  \
             pidfile: \"\"\n  use-syslog: no\n  verbosity: 1\n  val-log-level: 2\n  module-config: \"validator iterator\"\n  do-not-query-localhost: no\n  \
             qname-minimisation: no\n  aggressive-nsec: no\n  harden-below-nxdomain: no\n  minimal-responses: no\n  msg-cache-size: 0\n  \
             rrset-cache-size: 0\n  local-zone: \"test.\" nodefault\n  num-queries-per-thread: 4096\n",
            address.port(),
            home.path().display()
        );
        for zone in zones {
            let _ = writeln!(config, "  trust-anchor: \"{zone} 300 IN DNSKEY {PUBLIC}\"");
        }
        config.push_str("remote-control:\n  control-enable: no\n");
        for zone in zones {
            let _ = write!(config, "stub-zone:\n  name: \"{zone}\"\n  stub-addr: 127.0.0.1@{}\n", responder.port());
        }
        let file = home.path().join("config");
        fs::write(&file, config).expect("written");
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let log = fs::File::create(home.path().join("log")).expect("created");
        let mut command = Command::new("unbound");
        command.args(["-d", "-c"]).arg(&file).env("PATH", path).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("unbound: {error}; tests/tools/install brings it"));
        let unbound = Self { address, home, child };
        wait_until_listening(address);
        unbound
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            eprintln!("Unbound: {}", log.lines().rev().take(60).collect::<Vec<_>>().join("\n"));
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
