//! How etcd is reached.

use std::{fmt, fs, io, path::PathBuf, time::Duration};

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

/// A ledger in etcd.
#[derive(Debug, Clone)]
pub struct EtcdConfig {
    /// How etcd is reached.
    pub client: ClientConfig,
    /// Before every key; a missing or an extra last slash means the same.
    pub prefix: String,
    /// The quota of members that do not tell theirs (before 3.6). Appends stop at 80 % of the quota.
    pub quota_bytes: u64,
    /// How long an append whose outcome is not known is asked after.
    pub append_timeout: Duration,
}

impl Default for EtcdConfig {
    fn default() -> Self {
        Self {
            client: ClientConfig::default(),
            prefix: "/conn3ction/ledger/".into(),
            quota_bytes: 2 << 30,
            append_timeout: Duration::from_secs(10),
        }
    }
}

/// How etcd is reached, for the ledger and for the views that are written to it.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `http://host:port` or `https://host:port`, one for each member. Without a scheme: https if a CA or a client
    /// certificate is given, else http.
    pub endpoints: Vec<String>,
    /// User and password, if etcd has authentication on.
    pub user: Option<(String, Password)>,
    /// The CA that signed the members' certificates, PEM; without it the system's roots count.
    pub ca: Option<PathBuf>,
    /// Our certificate chain and its private key, PEM, if etcd asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// After how much silence the server is asked whether it lives, and how long it may take to say so. Without it a
    /// frozen server would leave a watch silent for ever.
    pub keep_alive: (Duration, Duration),
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            endpoints: vec!["http://127.0.0.1:2379".into()],
            user: None,
            ca: None,
            identity: None,
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(3),
            keep_alive: (Duration::from_secs(2), Duration::from_secs(2)),
        }
    }
}

/// A password; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes the password as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a configuration cannot be used. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is nobody to talk to.
    #[error("no etcd endpoint is given")]
    NoEndpoint,
    /// Not a URL, or TLS settings beside `http://`.
    #[error("cannot use the etcd endpoint {endpoint}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: etcd_client::Error,
    },
    /// A PEM file cannot be read.
    #[error("reading {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ClientConfig {
    /// The library's options, without the user: signing in needs the network and is done with the first call.
    pub(super) fn options(&self) -> Result<ConnectOptions, ConfigError> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(self.connect_timeout)
            .with_timeout(self.call_timeout)
            .with_keep_alive(self.keep_alive.0, self.keep_alive.1)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        let secure = self.endpoints.iter().any(|endpoint| endpoint.starts_with("https://"));
        if secure || self.ca.is_some() || self.identity.is_some() {
            let mut tls = TlsOptions::new();
            tls = match &self.ca {
                Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
                None => tls.with_enabled_roots(),
            };
            if let Some((certificate, key)) = &self.identity {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            options = options.with_tls(tls);
        }
        Ok(options)
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let config =
            ClientConfig { user: Some(("conn3ction".into(), Password::new("hunter2"))), ..ClientConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let config = ClientConfig { ca: Some("/nowhere/ca.pem".into()), ..ClientConfig::default() };
        let error = config.options().expect_err("there is no such file");
        assert_eq!(error.to_string(), "reading /nowhere/ca.pem");
    }
}
