//! What end-to-end tests share: our binary on free ports and a scratch directory, ended by its process id.

pub mod audit;
pub mod corpus;
pub mod etcd;
pub mod http;
pub mod load;
mod ports;
pub mod random;

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
};

pub use ports::free_address;

/// Where Debian has the library (`LD_PRELOAD`) that gives a process another clock (`FAKETIME`).
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// A running `conn3ction serve`; killed when dropped.
pub struct Conn3ction {
    child: Child,
    log: Arc<(Mutex<String>, Condvar)>,
    /// Where HTTP listens; port 0 in a role without.
    pub http: SocketAddr,
    /// Where DNS listens; port 0 in a role without.
    pub dns: SocketAddr,
}

impl Conn3ction {
    /// Starts a server on `data` with further `arguments`; returns when it says that it runs.
    ///
    /// # Errors
    ///
    /// It ended before; what it printed is the error.
    pub fn start(data: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(&[], data, arguments)
    }

    /// Starts it with these variables in its environment.
    ///
    /// # Errors
    ///
    /// Those of [`Conn3ction::start`].
    pub fn start_in(environment: &[(&str, &str)], data: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let own = [("--http-listen", "127.0.0.1:0"), ("--dns-listen", "127.0.0.1:0"), ("--log-format", "json")];
        let own = own.iter().filter(|(flag, _)| !arguments.contains(flag)).flat_map(|(flag, value)| [flag, value]);
        let mut child = Command::new(binary())
            .envs(environment.iter().copied())
            .arg("serve")
            .args(own)
            .arg("--data")
            .arg(data)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()?;
        let Some(stderr) = child.stderr.take() else { anyhow::bail!("no standard error") };
        let mut lines = BufReader::new(stderr).lines();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut http, mut dns, mut printed) = (nowhere, nowhere, String::new());
        for line in lines.by_ref() {
            let line = line?;
            let address = line.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok());
            match address {
                Some(address) if line.contains("HTTP listens") => http = address,
                Some(address) if line.contains("DNS listens") => dns = address,
                _ => {}
            }
            printed.push_str(&line);
            printed.push('\n');
            if line.contains("\"the node runs\"") {
                // Reads on, so that the server never waits for a full pipe.
                let log = Arc::new((Mutex::new(printed), Condvar::new()));
                let more = log.clone();
                std::thread::spawn(move || {
                    for line in lines.map_while(Result::ok) {
                        let mut log = more.0.lock().expect("the log");
                        log.push_str(&line);
                        log.push('\n');
                        more.1.notify_all();
                    }
                });
                return Ok(Self { child, log, http, dns });
            }
        }
        let status = child.wait()?;
        anyhow::bail!("conn3ction ended with {status}:\n{printed}")
    }

    /// What the server has logged so far.
    pub fn logged(&self) -> String {
        self.log.0.lock().expect("the log").clone()
    }

    /// What the server has logged, as soon as `text` is in it; at most a minute is waited for that.
    pub fn logged_until(&self, text: &str) -> String {
        let log = self.log.0.lock().expect("the log");
        let limit = std::time::Duration::from_secs(60);
        let waited = self.log.1.wait_timeout_while(log, limit, |log| !log.contains(text)).expect("the log");
        waited.0.clone()
    }

    /// Sends a request without further headers.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub fn ask(&self, method: &str, target: &str, body: &str) -> anyhow::Result<http::Answer> {
        http::request(self.http, method, target, &[], body)
    }

    /// Runs our command line against this server.
    ///
    /// # Errors
    ///
    /// The system's; what the command made of it is in the outcome.
    pub fn cli(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        Ran::new(Command::new(binary()).args(["--server", &format!("http://{}", self.http)]).args(arguments), "")
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process at once, as a crash would (SIGKILL).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Conn3ction {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A killed process under libfaketime leaves these, and a later process of the same number would not start.
        for shared in ["faketime_shm_", "sem.faketime_sem_"] {
            let _ = std::fs::remove_file(format!("/dev/shm/{shared}{}", self.child.id()));
        }
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Runs `command` with `input` as its standard input, to its end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(command: &mut Command, input: &str) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("USER", "tester")
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may be gone by now.
            drop(stdin.write_all(input.as_bytes()));
        }
        let out = child.wait_with_output()?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Ok(Self { code: out.status.code().unwrap_or(-1), out: text(&out.stdout), err: text(&out.stderr) })
    }
}

/// Our binary: `$TESTS_BIN`, else the one built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TESTS_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let directory = test.parent().and_then(Path::parent).expect("target/debug/deps/test");
    directory.join("conn3ction")
}

/// A server that `tests/tools/install` built, by its name.
///
/// # Errors
///
/// It is not there.
pub fn tool(name: &str) -> anyhow::Result<PathBuf> {
    let tools = std::env::var_os("TESTS_TOOLS").map(PathBuf::from);
    let tools = tools.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/conn3ction-tools")));
    let path = tools.unwrap_or_default().join(name);
    anyhow::ensure!(path.exists(), "{} is missing: run tests/tools/install", path.display());
    Ok(path)
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a shell line in the repository's root and gives what it printed.
///
/// # Errors
///
/// It ended with another status than 0.
pub fn shell(line: &str) -> anyhow::Result<String> {
    let run = || Command::new("bash").args(["-c", line]).current_dir(root()).output();
    let text = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();
    let mut out = run()?;
    // dig shares its port as our responder does, so the kernel may give it the very port that it asks: there it hears itself.
    if text(&out).contains(";; Warning: query response not set") {
        out = run()?;
    }
    let printed = text(&out);
    anyhow::ensure!(out.status.success(), "{line}: {}\n{printed}{}", out.status, String::from_utf8_lossy(&out.stderr));
    Ok(printed)
}

/// Runs a shell line as root (mounts and name spaces need it), with sudo if we are not.
///
/// # Errors
///
/// Those of [`shell`].
pub fn as_root(line: &str) -> anyhow::Result<String> {
    shell(&format!("if [ $(id -u) = 0 ]; then {line}; else sudo -n bash -c '{line}'; fi"))
}
