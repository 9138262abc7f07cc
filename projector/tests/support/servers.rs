//! Real servers on free loopback ports. They die with their value.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use conn3ction_ledger::etcd::{Client, ClientConfig};
use tempfile::TempDir;

use super::ports::free_address;

fn tool(name: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/conn3ction-tools");
    let path = std::env::var_os("TESTS_TOOLS").map_or_else(home, PathBuf::from).join(name);
    assert!(path.exists(), "{} is missing; tests/run installs it", path.display());
    path
}

pub struct Etcd {
    pub url: String,
    child: Child,
    _dir: TempDir,
}

impl Etcd {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let [url, peer] = [(); 2].map(|()| format!("http://{}", free_address()));
        let child = Command::new(tool("etcd-3.7.3"))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url, "--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("default={peer}")])
            .args(["--log-level", "error", "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        let etcd = Self { url, child, _dir: dir };
        let client = etcd.client().await;
        while client.get("ready", None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        etcd
    }

    pub async fn client(&self) -> Client {
        let config = ClientConfig { endpoints: vec![self.url.clone()], ..ClientConfig::default() };
        Client::new(config).await.expect("a client")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct CoreDns {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl CoreDns {
    /// Serves `zones` from the keys under `path`.
    pub async fn start(etcd: &Etcd, path: &str, zones: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_address().port();
        let corefile =
            format!(".:{port} {{\n bind 127.0.0.1\n etcd {zones} {{\n path {path}\n endpoint {}\n }}\n}}\n", etcd.url);
        let file = dir.path().join("Corefile");
        std::fs::write(&file, corefile).expect("written");
        let child = Command::new(tool("coredns-1.15.0"))
            .arg("-conf")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("CoreDNS starts");
        let coredns = Self { port, child, _dir: dir };
        while coredns.ask("ready.invalid.", "A").status.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        coredns
    }

    /// The rcode and the answers, sorted, as `dig` prints them with TTLs: `owner ttl type rdata`.
    pub fn ask(&self, name: &str, rtype: &str) -> Answer {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &self.port.to_string(), "+tries=1", "+time=3", "+noall", "+comments", "+answer"])
            .args(["-q", name, "-t", rtype])
            .output()
            .expect("dig runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty());
        let mut answers: Vec<String> = lines
            .map(|line| {
                let fields: Vec<&str> = line.split_whitespace().filter(|field| *field != "IN").collect();
                fields.join(" ")
            })
            .collect();
        answers.sort();
        Answer { status: status.into(), answers }
    }
}

impl Drop for CoreDns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: String,
    pub answers: Vec<String>,
}

impl Answer {
    pub fn of(status: &str, answers: &[&str]) -> Self {
        Self { status: status.into(), answers: answers.iter().map(|text| (*text).into()).collect() }
    }
}
