//! A real etcd with a directory of its own, which tests may kill and start again.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Ran, free_address, shell, tool};

/// A running etcd; killed when dropped.
pub struct Etcd {
    child: Option<Child>,
    directory: TempDir,
    /// Where clients reach it.
    pub url: String,
    launcher: String,
    arguments: Vec<String>,
}

impl Etcd {
    /// Starts etcd 3.7.3 with further `arguments` on free loopback ports; returns when it answers.
    ///
    /// # Errors
    ///
    /// It is not installed or does not answer; what it printed is the error.
    pub fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start_by("exec", &free_address().to_string(), &free_address().to_string(), arguments)
    }

    /// Starts it by the shell words `launcher`, which must end in an `exec` of what follows, listening on `client` and
    /// `peer`.
    ///
    /// # Errors
    ///
    /// Those of [`Etcd::start`].
    pub fn start_by(launcher: &str, client: &str, peer: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (url, peer) = (format!("http://{client}"), format!("http://{peer}"));
        let data = directory.path().join("data");
        let mut all: Vec<String> = vec!["--name=one".into(), "--log-level=error".into()];
        all.push(format!("--data-dir={}", data.display()));
        for (names, value) in [
            (["listen-client-urls", "advertise-client-urls"], &url),
            (["listen-peer-urls", "initial-advertise-peer-urls"], &peer),
        ] {
            all.extend(names.map(|name| format!("--{name}={value}")));
        }
        all.push(format!("--initial-cluster=one={peer}"));
        all.extend(arguments.iter().map(ToString::to_string));
        let mut etcd = Self { child: None, directory, url, launcher: launcher.into(), arguments: all };
        etcd.run()?;
        etcd.answers()?;
        Ok(etcd)
    }

    /// Runs it again after [`Etcd::kill`]; does not wait until it answers.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn run(&mut self) -> anyhow::Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log"))?;
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{} \"$0\" \"$@\"", self.launcher)]).arg(tool("etcd-3.7.3")?);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Runs it again with further arguments, which win over earlier ones of the same name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn run_with(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self.run()
    }

    /// Stops the process where it is (SIGSTOP): it takes connections and says nothing, until it [goes on](Etcd::go_on).
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP")
    }

    /// Lets the process go on after [`Etcd::pause`].
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let child = self.child.as_ref().ok_or_else(|| anyhow::anyhow!("etcd does not run"))?;
        shell(&format!("kill -{signal} {}", child.id())).map(drop)
    }

    /// Ends the process at once (SIGKILL).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Runs `etcdctl` on it and gives what that printed.
    ///
    /// # Errors
    ///
    /// It ended with another status than 0.
    pub fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.ctl_with(arguments, "")
    }

    /// Runs `etcdctl` with `input`, where `put` takes the value from if it is not an argument.
    ///
    /// # Errors
    ///
    /// It ended with another status than 0.
    pub fn ctl_with(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let mut command = Command::new(tool("etcdctl-3.7.3")?);
        let ran = Ran::new(command.args(["--endpoints", &self.url]).args(arguments), input)?;
        anyhow::ensure!(ran.code == 0, "etcdctl {arguments:?}: {}", ran.err);
        Ok(ran.out)
    }

    /// Keys and values under `prefix`.
    ///
    /// # Errors
    ///
    /// Those of [`Etcd::ctl`]; a value of several lines.
    pub fn pairs(&self, prefix: &str) -> anyhow::Result<Vec<(String, String)>> {
        let printed = self.ctl(&["get", "--prefix", prefix])?;
        let lines: Vec<&str> = printed.lines().collect();
        let pair = |pair: &[&str]| match pair {
            [key, value] if key.starts_with(prefix) => Ok(((*key).to_owned(), (*value).to_owned())),
            other => anyhow::bail!("not a key and a line: {other:?}"),
        };
        lines.chunks(2).map(pair).collect()
    }

    /// Waits until it answers.
    ///
    /// # Errors
    ///
    /// It ended, or does not for half a minute; what it printed is the error.
    pub fn answers(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.ctl(&["get", "any key"]).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || begun.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.directory.path().join("log"))?;
                anyhow::bail!("etcd does not answer ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}
