//! One real etcd process.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use conn3ction_ledger::etcd::{Client, ClientConfig};
use tempfile::TempDir;

#[path = "../../../tests/src/ports.rs"]
mod ports;
use ports::free_address;

/// Which etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// 3.7.3, from the tools' directory.
    New,
    /// 3.4.23, Debian's: end of life, with bugs in its watch.
    Debian,
}

impl Release {
    fn binary(self) -> PathBuf {
        match self {
            Release::Debian => "/usr/bin/etcd".into(),
            Release::New => {
                let tools = env::var_os("TESTS_TOOLS").map_or_else(
                    || PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache/conn3ction-tools"),
                    PathBuf::from,
                );
                tools.join("etcd-3.7.3")
            }
        }
    }
}

/// A server with a directory of its own; killed when dropped.
pub(crate) struct Server {
    process: Option<Child>,
    directory: TempDir,
    release: Release,
    endpoint: String,
    arguments: Vec<String>,
}

impl Server {
    /// Starts etcd on free ports and waits until it answers.
    pub(crate) async fn start(release: Release, more: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        Self::start_in(directory, release, "http", more, ClientConfig::default()).await
    }

    /// Starts etcd beside what `directory` holds; `config` says how to reach it, without its endpoint.
    pub(crate) async fn start_in(
        directory: TempDir,
        release: Release,
        scheme: &str,
        more: &[&str],
        config: ClientConfig,
    ) -> Self {
        let (client, peer) = (format!("{scheme}://{}", free_address()), format!("http://{}", free_address()));
        let arguments = [
            "--name=one",
            "--log-level=error",
            &format!("--data-dir={}", directory.path().join("data").display()),
            &format!("--listen-client-urls={client}"),
            &format!("--advertise-client-urls={client}"),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=one={peer}"),
        ];
        let arguments = arguments.iter().chain(more).map(ToString::to_string).collect();
        let mut server = Self { process: None, directory, release, endpoint: client, arguments };
        server.run();
        server.answers(config).await;
        server
    }

    /// Runs the process again after [`Server::kill`]; does not wait until it answers.
    pub(crate) fn run(&mut self) {
        let log =
            fs::File::options().create(true).append(true).open(self.directory.path().join("log")).expect("a log file");
        let process = Command::new(self.release.binary())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.release.binary().display()));
        self.process = Some(process);
    }

    async fn answers(&mut self, config: ClientConfig) {
        let config = ClientConfig { endpoints: vec![self.endpoint.clone()], ..config };
        let client = Client::new(config).await.expect("a good configuration");
        let begun = Instant::now();
        while let Err(error) = client.get("ready?", None).await {
            let ended = self.process.as_mut().expect("it runs").try_wait().expect("its state");
            if ended.is_some() || begun.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                panic!("etcd does not answer ({ended:?}, {error:?}):\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our own process");
            process.wait().expect("our own process");
        }
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
