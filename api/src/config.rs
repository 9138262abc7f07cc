//! Settings: environment = flag = key of one optional TOML file. Every fault is found before a port is bound.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

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

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {detail}")]
pub struct Fault {
    /// The setting's flag name.
    pub setting: &'static str,
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl Settings {
    /// Fills what is absent from the TOML file that `config` names.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no TOML, or has a key that no setting has.
    pub fn with_file(self) -> Result<Self, Fault> {
        let Some(path) = self.config.clone() else { return Ok(self) };
        let fault = |detail: String| Fault { setting: "config", detail: format!("{}: {detail}", path.display()) };
        let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
        let file: Settings = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
        Ok(self.or(file))
    }

    fn or(self, file: Settings) -> Settings {
        Settings {
            config: self.config,
            role: self.role.or(file.role),
            port: self.port.or(file.port),
            http_listen: self.http_listen.or(file.http_listen),
            dns_listen: self.dns_listen.or(file.dns_listen),
            dns_threads: self.dns_threads.or(file.dns_threads),
            dns_allow_transfer: self.dns_allow_transfer.or(file.dns_allow_transfer),
            dns_allow_history: self.dns_allow_history.or(file.dns_allow_history),
            dns_asof_suffix: self.dns_asof_suffix.or(file.dns_asof_suffix),
            dns_notify: self.dns_notify.or(file.dns_notify),
            ledger: self.ledger.or(file.ledger),
            data: self.data.or(file.data),
            at: self.at.or(file.at),
            zones: self.zones.or(file.zones),
            etcd_endpoints: self.etcd_endpoints.or(file.etcd_endpoints),
            etcd_prefix: self.etcd_prefix.or(file.etcd_prefix),
            etcd_zones_prefix: self.etcd_zones_prefix.or(file.etcd_zones_prefix),
            etcd_ledger_prefix: self.etcd_ledger_prefix.or(file.etcd_ledger_prefix),
            etcd_large_zones: self.etcd_large_zones.or(file.etcd_large_zones),
            etcd_username: self.etcd_username.or(file.etcd_username),
            etcd_password_file: self.etcd_password_file.or(file.etcd_password_file),
            etcd_ca: self.etcd_ca.or(file.etcd_ca),
            etcd_cert: self.etcd_cert.or(file.etcd_cert),
            etcd_key: self.etcd_key.or(file.etcd_key),
            tokens: self.tokens.or(file.tokens),
            allow_open: self.allow_open.or(file.allow_open),
            log_format: self.log_format.or(file.log_format),
        }
    }

    /// Checks all settings together and reads the small files that they name.
    ///
    /// # Errors
    ///
    /// Every fault, not the first.
    pub fn check(self) -> Result<Config, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |setting, detail: String| faults.push(Fault { setting, detail });

        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let role = self.role.unwrap_or(Role::All);
        let has_api = matches!(role, Role::All | Role::Api);
        let http_listen = match self.http_listen {
            None if has_api => Some(loopback(self.port.unwrap_or(8080))),
            listen => listen,
        };
        let allow_open = self.allow_open.unwrap_or(false);
        let open = http_listen.filter(|address| !address.ip().is_loopback());
        if let (Some(open), true, None, false) = (open, has_api, &self.tokens, allow_open) {
            let detail = format!(
                "{open} can be reached from elsewhere and no tokens are set, so anybody could write; set tokens, or allow-open to do it all the same"
            );
            fault("http-listen", detail);
        }
        let zones = names("zones", self.zones.unwrap_or_else(|| vec!["example.local.".into()]), &mut fault);
        let large_zones = names("etcd-large-zones", self.etcd_large_zones.unwrap_or_default(), &mut fault);
        let mut addresses = |setting, list: &Option<Vec<String>>| match list {
            None => AddressList::loopback(),
            Some(list) => list.join(",").parse().unwrap_or_else(|error| {
                fault(setting, format!("{error}"));
                AddressList::default()
            }),
        };
        let dns_allow_transfer = addresses("dns-allow-transfer", &self.dns_allow_transfer);
        let dns_allow_history = addresses("dns-allow-history", &self.dns_allow_history);
        let dns_asof_suffix = match self.dns_asof_suffix.as_deref() {
            None => Some(Suffix::default()),
            Some("") => None,
            Some(text) => text.parse().map_err(|error| fault("dns-asof-suffix", format!("{error}"))).ok(),
        };
        let dns_notify = self
            .dns_notify
            .unwrap_or_default()
            .iter()
            .filter(|text| !text.is_empty())
            .filter_map(|text| {
                let peer = text.parse().ok().or_else(|| text.parse().ok().map(|ip: IpAddr| SocketAddr::from((ip, 53))));
                if peer.is_none() {
                    fault("dns-notify", format!("{text:?} is neither an address nor address:port"));
                }
                peer
            })
            .collect();

        let endpoints: Vec<String> =
            self.etcd_endpoints.unwrap_or_default().into_iter().filter(|text| !text.is_empty()).collect();
        let mut read = |setting, path: Option<&Path>| {
            let path = path?;
            match std::fs::read(path) {
                Ok(octets) => Some(octets),
                Err(error) => {
                    fault(setting, format!("{}: {error}", path.display()));
                    None
                }
            }
        };
        let password = read("etcd-password-file", self.etcd_password_file.as_deref());
        // Read here too, so that a file that is missing is found before a port is bound.
        read("etcd-ca", self.etcd_ca.as_deref());
        read("etcd-cert", self.etcd_cert.as_deref());
        read("etcd-key", self.etcd_key.as_deref());
        if self.etcd_cert.is_some() != self.etcd_key.is_some() {
            fault("etcd-cert", "a certificate and its key come together: set etcd-cert and etcd-key".into());
        }
        if self.etcd_username.is_some() != self.etcd_password_file.is_some() {
            fault(
                "etcd-username",
                "a user and a password come together: set etcd-username and etcd-password-file".into(),
            );
        }
        let prefix = |given: Option<String>, default: &str| {
            let given = given.unwrap_or_else(|| default.into());
            format!("/{}", given.trim_matches('/'))
        };
        let records_prefix = prefix(self.etcd_prefix, "/conn3ction/records");
        let zones_prefix = prefix(self.etcd_zones_prefix, "/conn3ction/zones");
        let ledger_prefix = prefix(self.etcd_ledger_prefix, "/conn3ction/ledger");
        let named = [
            ("etcd-prefix", &records_prefix),
            ("etcd-zones-prefix", &zones_prefix),
            ("etcd-ledger-prefix", &ledger_prefix),
        ];
        for (at, (setting, one)) in named.iter().enumerate() {
            if one.as_str() == "/" {
                fault(setting, "the prefix is empty; the whole of etcd is not ours".into());
            }
            for (other_setting, other) in &named[at + 1..] {
                if nested(one, other) {
                    fault(setting, format!("{one} and {other} ({other_setting}) must not be equal or nested"));
                }
            }
        }
        let ledger = self.ledger.unwrap_or(if endpoints.is_empty() { LedgerKind::File } else { LedgerKind::Etcd });
        if ledger == LedgerKind::Etcd && endpoints.is_empty() {
            fault("ledger", "a ledger in etcd needs etcd-endpoints".into());
        }
        let at = self.at.and_then(|text| text.parse().map_err(|error| fault("at", format!("{text:?}: {error}"))).ok());
        // A responder that stays in the past shares the ledger with nobody.
        if role != Role::All && ledger != LedgerKind::Etcd && !(role == Role::Dns && at.is_some()) {
            fault("role", "split roles share a ledger in etcd; set ledger=etcd and etcd-endpoints".into());
        }
        #[cfg(not(feature = "etcd"))]
        if !endpoints.is_empty() {
            fault("etcd-endpoints", "this build has no etcd support".into());
        }
        let user = self.etcd_username.zip(password).map(|(name, password)| {
            (name, String::from_utf8_lossy(&password).trim_end_matches(['\r', '\n']).to_owned())
        });
        let etcd = (!endpoints.is_empty()).then_some(Etcd {
            endpoints,
            records_prefix,
            zones_prefix,
            ledger_prefix,
            large_zones,
            user,
            ca: self.etcd_ca,
            identity: self.etcd_cert.zip(self.etcd_key),
        });
        let dns_threads =
            self.dns_threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        if dns_threads == 0 {
            fault("dns-threads", "at least one thread".into());
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Config {
            role,
            http_listen,
            dns_listen: self.dns_listen.unwrap_or_else(|| vec![loopback(1053)]),
            dns_threads,
            dns_allow_transfer,
            dns_allow_history,
            dns_asof_suffix,
            at,
            dns_notify,
            ledger,
            data: self.data.unwrap_or_else(|| "conn3ction-data".into()),
            zones,
            etcd,
            tokens: self.tokens,
            any_host: allow_open || open.is_some(),
            log_format: self.log_format.unwrap_or(LogFormat::Text),
        })
    }
}

fn names(setting: &'static str, texts: Vec<String>, fault: &mut impl FnMut(&'static str, String)) -> Vec<Name> {
    let mut names = Vec::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(name) => names.push(name),
            Err(error) => fault(setting, format!("{text:?}: {error}")),
        }
    }
    names
}

/// Whether one prefix is the other or lies below it.
fn nested(one: &str, other: &str) -> bool {
    let below = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    below(one, other) || below(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_reported_together() {
        let settings = Settings {
            http_listen: "0.0.0.0:80".parse().ok(),
            zones: Some(vec!["a..b".into()]),
            role: Some(Role::Api),
            etcd_prefix: Some("/x/".into()),
            etcd_zones_prefix: Some("/x/y".into()),
            ..Settings::default()
        };
        let faults = settings.check().expect_err("faulty");
        let settings: Vec<_> = faults.iter().map(|fault| fault.setting).collect();
        assert_eq!(settings, ["http-listen", "zones", "etcd-prefix", "role"]);
    }

    #[test]
    fn the_example_file_explains_every_setting_and_no_other() {
        let example = include_str!("../../deploy/conn3ction.toml");
        let is_key = |text: &&str| text.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let lines = example.lines().map(|line| line.strip_prefix("# ").filter(is_key).unwrap_or(line));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        toml::from_str::<Settings>(&text).expect("every key with a value that it takes");
        let table: toml::Table = toml::from_str(&text).expect("a table");
        let explained: std::collections::BTreeSet<_> = table.keys().map(String::as_str).collect();
        let command = <Settings as clap::Args>::augment_args(clap::Command::new("serve"));
        let flags = command.get_arguments().filter_map(clap::Arg::get_long).filter(|flag| *flag != "config");
        // A global option of the command line that is a setting all the same.
        assert_eq!(explained, flags.chain(["data"]).collect());
    }

    #[test]
    fn a_bare_port_stays_on_loopback_and_slashes_of_a_prefix_do_not_matter() {
        let settings = Settings {
            port: Some(9000),
            etcd_endpoints: Some(vec!["http://127.0.0.1:2379".into()]),
            etcd_prefix: Some("records/".into()),
            ..Settings::default()
        };
        let config = settings.check().expect("fine");
        assert_eq!(config.http_listen, "127.0.0.1:9000".parse().ok());
        assert_eq!(config.ledger, LedgerKind::Etcd);
        assert_eq!(config.etcd.expect("etcd").records_prefix, "/records");
    }

    #[test]
    fn a_role_without_an_api_listens_over_http_only_where_it_is_told_to() {
        for role in [Role::Dns, Role::Projector] {
            let settings = |http_listen| Settings {
                role: Some(role),
                port: Some(9000),
                http_listen,
                etcd_endpoints: Some(vec!["http://127.0.0.1:2379".into()]),
                ..Settings::default()
            };
            assert_eq!(settings(None).check().expect("fine").http_listen, None);
            let everywhere = "0.0.0.0:9100".parse().ok();
            // Nobody can write there, so it takes no token.
            assert_eq!(settings(everywhere).check().expect("fine").http_listen, everywhere);
        }
    }

    #[test]
    fn unknown_keys_of_the_file_are_refused_by_name() {
        let error = toml::from_str::<Settings>("prot = 80").expect_err("unknown");
        assert!(error.to_string().contains("prot"), "{error}");
    }
}
