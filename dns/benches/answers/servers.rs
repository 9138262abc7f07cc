//! The servers that are measured, each a process of its own pinned on one processor.

use anyhow::{Context, bail, ensure};
use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running server, killed when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
    /// What serves, when the child is only its parent (NSD).
    workers: bool,
}

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    Ours,
    OursPlain,
    Knot,
    Nsd,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Echo => "echo",
            Kind::Ours => "ours",
            Kind::OursPlain => "ours, answers not coalesced",
            Kind::Knot => "knot",
            Kind::Nsd => "nsd",
        }
    }

    /// Starts the server with the master file in `dir` on processor `cpu`, and waits until it answers.
    pub(crate) fn start(self, dir: &Path, master_file: &Path, cpu: usize) -> anyhow::Result<Server> {
        let address = free()?;
        let port = address.port();
        let home = dir.join(format!("{self:?}"));
        fs::create_dir_all(&home)?;
        let file = master_file.display();
        let place = home.display();
        let mut command = Command::new("taskset");
        command.args(["-c", &cpu.to_string()]);
        match self {
            Kind::Echo => command.arg(std::env::current_exe()?).args(["echo", &address.to_string()]),
            Kind::Ours | Kind::OursPlain => {
                let mode = if self == Kind::Ours { "serve" } else { "serve-plain" };
                command.arg(std::env::current_exe()?).args([mode, &address.to_string()]).arg(master_file)
            }
            Kind::Knot => {
                let text = format!(
                    "server:\n  rundir: {place}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
                     background-workers: 1\ndatabase:\n  storage: {place}\nlog:\n  - target: stderr\n    any: warning\n\
                     zone:\n  - domain: bench.example\n    file: {file}\n    zonefile-load: whole\n    journal-content: none\n"
                );
                fs::write(home.join("knot.conf"), text)?;
                command.arg("knotd").arg("-c").arg(home.join("knot.conf"))
            }
            Kind::Nsd => {
                let text = format!(
                    "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
                     zonesdir: \"{place}\"\n  database: \"\"\n  pidfile: \"{place}/nsd.pid\"\n  \
                     xfrdfile: \"{place}/xfrd.state\"\n  zonelistfile: \"{place}/zone.list\"\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n\
                     zone:\n  name: bench.example\n  zonefile: {file}\n"
                );
                fs::write(home.join("nsd.conf"), text)?;
                command.args(["nsd", "-d", "-c"]).arg(home.join("nsd.conf"))
            }
        };
        let log = fs::File::create(home.join("log"))?;
        let child = command.stdout(Stdio::null()).stderr(log).spawn().with_context(|| format!("start {self:?}"))?;
        let mut server = Server { name: self.name(), address, child, workers: self == Kind::Nsd };
        server.wait_until_it_answers().with_context(|| fs::read_to_string(home.join("log")).unwrap_or_default())?;
        Ok(server)
    }
}

/// An address that is free for both transports.
fn free() -> anyhow::Result<SocketAddr> {
    for _ in 0..20 {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free for UDP and TCP")
}

impl Server {
    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let begin = Instant::now();
        let soa = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x05bench\x07example\0\0\x06\0\x01";
        let mut reply = [0; 512];
        while begin.elapsed() < Duration::from_secs(120) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended: {status}", self.name);
            }
            let _ = socket.send(soa);
            if socket.recv(&mut reply).is_ok_and(|octets| octets > 12 && reply[2] & 0x80 != 0 && reply[3] & 15 == 0) {
                return Ok(());
            }
        }
        bail!("{} gave no answer", self.name)
    }

    /// Processor seconds used so far, user and system, of the server and its children.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut ticks = 0;
        for pid in self.pids()? {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            ensure!(fields.len() > 13, "/proc/{pid}/stat is short");
            ticks += fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        }
        Ok(ticks as f64 / 100.0)
    }

    /// Resident octets.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let mut octets = 0;
        for pid in self.pids()? {
            let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
            octets += statm.split_whitespace().nth(1).context("statm")?.parse::<u64>()? * 4096;
        }
        Ok(octets)
    }

    fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let mut pids = vec![self.child.id()];
        if self.workers {
            let mut at = 0;
            while let Some(pid) = pids.get(at) {
                let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
                pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
                at += 1;
            }
        }
        Ok(pids)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // NSD and Knot end their own workers on TERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
