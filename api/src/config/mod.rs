//! Settings: environment = flag = key of one optional TOML file. Every fault is found before a port is bound.

mod check;
mod environment;
mod file;

use std::{borrow::Cow, fmt, net::SocketAddr, path::PathBuf};

use conn3ction_dns::{Suffix, server::AddressList};
use conn3ction_schemas::{Name, When};
use serde::Deserialize;

/// The settings as given, each perhaps absent: by flag, by environment or, with the same names, in a TOML file.
/// A flag wins over the environment, that over the file.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// TOML file with any of these settings as keys.
    #[arg(long, env = "CONN3CTION_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// What this process does: all of it, or one part of a split deployment (which needs etcd).
    #[arg(long, env = "CONN3CTION_ROLE", value_enum)]
    pub role: Option<Role>,

    /// Port of the HTTP API on the loopback address [default: 8080].
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
    /// Address and port of the HTTP API [default: 127.0.0.1:$PORT]. The roles dns and projector have no API: there it has no
    /// default, and what listens shows /healthz, /readyz and /metrics.
    #[arg(long, env = "HTTP_LISTEN", value_name = "ADDR:PORT")]
    pub http_listen: Option<SocketAddr>,
    /// Addresses and ports of the DNS responder, UDP and TCP [default: 127.0.0.1:1053].
    #[arg(long, env = "DNS_LISTEN", value_name = "ADDR:PORT", value_delimiter = ',')]
    pub dns_listen: Option<Vec<SocketAddr>>,
    /// UDP threads of the DNS responder [default: one a core].
    #[arg(long, env = "DNS_THREADS", value_name = "N")]
    pub dns_threads: Option<usize>,
    /// Addresses or networks that may transfer zones by AXFR [default: 127.0.0.0/8, ::1].
    #[arg(long, env = "DNS_ALLOW_TRANSFER", value_name = "NET", value_delimiter = ',')]
    pub dns_allow_transfer: Option<Vec<String>>,
    /// Addresses or networks that may ask about the past: EDNS option 65353 and names under the suffix [default:
    /// 127.0.0.0/8, ::1].
    #[arg(long, env = "DNS_ALLOW_HISTORY", value_name = "NET", value_delimiter = ',')]
    pub dns_allow_history: Option<Vec<String>>,
    /// The name under which names carry a moment, as in app.example.r42.asof; empty for none [default: asof.].
    #[arg(long, env = "DNS_ASOF_SUFFIX", value_name = "NAME")]
    pub dns_asof_suffix: Option<String>,
    /// Secondaries that are notified of every change (RFC 1996) [default: none].
    #[arg(long, env = "DNS_NOTIFY", value_name = "ADDR[:PORT]", value_delimiter = ',')]
    pub dns_notify: Option<Vec<String>>,

    /// Where the ledger lives [default: etcd if etcd endpoints are set, else file].
    #[arg(long, env = "CONN3CTION_LEDGER", value_enum)]
    pub ledger: Option<LedgerKind>,
    /// Directory of the file ledger and of rebuildable local views [default: ./conn3ction-data].
    // A global option of the command line, so not declared here again.
    #[arg(skip)]
    pub data: Option<PathBuf>,
    /// Changes of record sets whose states the answers hold in memory, at least, before these are sealed into a mapped file.
    /// More: fewer and larger sealings, a restart folds more [default: 100000].
    #[arg(long, env = "CONN3CTION_HOT_FLOOR", value_name = "CHANGES")]
    pub hot_floor: Option<u64>,
    /// The moment that the responder answers as of, for ever.
    // A global option of the command line, too.
    #[arg(skip)]
    #[serde(skip)]
    pub at: Option<String>,
    /// Zones created on a first start with an empty ledger; empty for none [default: example.local.].
    #[arg(long, env = "CONN3CTION_ZONES", value_name = "ZONE", value_delimiter = ',')]
    pub zones: Option<Vec<String>>,

    /// etcd endpoints; when set, the records mirror and the zone keys are written there.
    #[arg(long, env = "ETCD_ENDPOINTS", value_name = "URL", value_delimiter = ',')]
    pub etcd_endpoints: Option<Vec<String>>,
    /// Prefix of the records mirror [default: /conn3ction/records].
    #[arg(long, env = "ETCD_PREFIX", value_name = "PREFIX")]
    pub etcd_prefix: Option<String>,
    /// Prefix of the zone keys that CoreDNS reads [default: /conn3ction/zones].
    #[arg(long, env = "ETCD_ZONES_PREFIX", value_name = "PREFIX")]
    pub etcd_zones_prefix: Option<String>,
    /// Prefix of the ledger [default: /conn3ction/ledger].
    #[arg(long, env = "ETCD_LEDGER_PREFIX", value_name = "PREFIX")]
    pub etcd_ledger_prefix: Option<String>,
    /// Zones above 50,000 record sets whose zone keys are written all the same.
    #[arg(long, env = "ETCD_LARGE_ZONES", value_name = "ZONE", value_delimiter = ',')]
    pub etcd_large_zones: Option<Vec<String>>,
    /// User for etcd.
    #[arg(long, env = "ETCD_USERNAME", value_name = "USER")]
    pub etcd_username: Option<String>,
    /// File with that user's password.
    #[arg(long, env = "ETCD_PASSWORD_FILE", value_name = "FILE")]
    pub etcd_password_file: Option<PathBuf>,
    /// PEM file of the authority that signed etcd's certificate.
    #[arg(long, env = "ETCD_CA", value_name = "FILE")]
    pub etcd_ca: Option<PathBuf>,
    /// PEM file of our certificate for etcd.
    #[arg(long, env = "ETCD_CERT", value_name = "FILE")]
    pub etcd_cert: Option<PathBuf>,
    /// PEM file of the key of that certificate.
    #[arg(long, env = "ETCD_KEY", value_name = "FILE")]
    pub etcd_key: Option<PathBuf>,

    /// Token file: a line `SHA256-HEX ACTOR read|write` each. When set, writes need a token.
    #[arg(long, env = "CONN3CTION_TOKENS", value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Listen beyond loopback without tokens: anybody who reaches the port may write. On loopback: take requests for any
    /// host, as a proxy in front may pass them on.
    #[arg(long, env = "CONN3CTION_ALLOW_OPEN", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub allow_open: Option<bool>,
    /// How log lines look [default: text].
    #[arg(long, env = "LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything in one process.
    All,
    /// HTTP and the committer.
    Api,
    /// Zone keys and the records mirror in etcd.
    Projector,
    /// DNS over UDP and TCP.
    Dns,
}

impl Role {
    /// As settings write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Projector => "projector",
            Self::Dns => "dns",
        }
    }
}

/// Where the ledger lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerKind {
    /// Append-only segment files in the data directory.
    File,
    /// etcd.
    Etcd,
    /// Memory: gone with the process.
    Memory,
}

impl LedgerKind {
    /// As settings write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Etcd => "etcd",
            Self::Memory => "memory",
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this process does.
    pub role: Role,
    /// Where HTTP listens, if it does: roles without an API only when they are told to.
    pub http_listen: Option<SocketAddr>,
    /// Where DNS listens.
    pub dns_listen: Vec<SocketAddr>,
    /// UDP threads.
    pub dns_threads: usize,
    /// Who may transfer zones.
    pub dns_allow_transfer: AddressList,
    /// Who may ask the responder about the past.
    pub dns_allow_history: AddressList,
    /// The name under which names carry a moment.
    pub dns_asof_suffix: Option<Suffix>,
    /// The moment that the responder answers as of; the present if there is none.
    pub at: Option<When>,
    /// Who is notified of changes.
    pub dns_notify: Vec<SocketAddr>,
    /// Where the ledger lives.
    pub ledger: LedgerKind,
    /// Ledger files and local views.
    pub data: PathBuf,
    /// Answers are sealed after so many changes.
    pub hot_floor: u64,
    /// Zones of a first start.
    pub zones: Vec<Name>,
    /// etcd, if endpoints are set.
    pub etcd: Option<Etcd>,
    /// Token file.
    pub tokens: Option<PathBuf>,
    /// Whether requests may name any host.
    pub any_host: bool,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How etcd is reached and which prefixes are ours there.
#[derive(Clone)]
pub struct Etcd {
    /// URLs.
    pub endpoints: Vec<String>,
    /// Records mirror; no last slash.
    pub records_prefix: String,
    /// Zone keys; no last slash.
    pub zones_prefix: String,
    /// Ledger; no last slash.
    pub ledger_prefix: String,
    /// Zones whose keys are written whatever their size.
    pub large_zones: Vec<Name>,
    /// User and password.
    pub user: Option<(String, String)>,
    /// PEM file of the authority.
    pub ca: Option<PathBuf>,
    /// PEM files of certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

#[cfg(feature = "etcd")]
impl Etcd {
    /// The same for the ledger's and the views' client.
    pub fn client(&self) -> conn3ction_ledger::etcd::ClientConfig {
        let password = conn3ction_ledger::etcd::Password::new;

        conn3ction_ledger::etcd::ClientConfig {
            endpoints: self.endpoints.clone(),
            user: self.user.as_ref().map(|(name, text)| (name.clone(), password(text.clone()))),
            ca: self.ca.clone(),
            identity: self.identity.clone(),
            ..conn3ction_ledger::etcd::ClientConfig::default()
        }
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("endpoints", &self.endpoints)
            .field("records_prefix", &self.records_prefix)
            .field("zones_prefix", &self.zones_prefix)
            .field("ledger_prefix", &self.ledger_prefix)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish_non_exhaustive()
    }
}

/// What is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `FILE, line 3`, where the setting stands in a file.
    pub place: Option<String>,
    /// The setting's flag name; empty for a line that cannot be read.
    pub setting: Cow<'static, str>,
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.place.as_deref(), Some(&*self.setting), Some(&*self.detail)];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join(": "))
    }
}

impl std::error::Error for Fault {}

/// The faults of this process's environment: variables that look like settings and are none.
pub fn faults_of_environment() -> Vec<Fault> {
    environment::faults(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}
