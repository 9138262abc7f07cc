//! Settings of flags, environment and file together, and whether they can be had.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use conn3ction_dns::{Suffix, server::AddressList};
use conn3ction_schemas::Name;

use super::{Config, Etcd, Fault, LedgerKind, LogFormat, Role, Settings, file::File};
use crate::auth::TokenFile;

impl Settings {
    /// Fills what is absent from the TOML file that `config` names, and checks all together.
    ///
    /// # Errors
    ///
    /// Every fault: of the file with its lines, and of what could be read of it.
    pub fn resolve(self) -> Result<Config, Vec<Fault>> {
        let Some(path) = self.config.clone() else { return self.check() };
        let File { settings, places, mut faults } = File::read(&path);
        let mut of_file = Vec::new();
        let merged = self.or(settings, |name| of_file.push(name.replace('_', "-")));
        match merged.check() {
            Ok(config) if faults.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(found) => faults.extend(found.into_iter().map(|fault| {
                let place = places.get(&*fault.setting).filter(|_| of_file.iter().any(|name| *name == fault.setting));
                Fault { place: place.cloned(), ..fault }
            })),
        }
        Err(faults)
    }

    /// These, and of `file` what is absent here; `taken` is told the field of each setting that is the file's.
    pub(super) fn or(self, file: Settings, mut taken: impl FnMut(&'static str)) -> Settings {
        macro_rules! filled {
            ($($field:ident)*) => {
                Settings {
                    config: self.config,
                    $($field: match (self.$field, file.$field) {
                        (None, Some(value)) => {
                            taken(stringify!($field));
                            Some(value)
                        }
                        (own, _) => own,
                    },)*
                }
            };
        }
        filled! {
            role port http_listen dns_listen dns_threads dns_allow_transfer dns_allow_history dns_asof_suffix dns_notify ledger data hot_floor at zones etcd_endpoints etcd_prefix etcd_zones_prefix etcd_ledger_prefix etcd_large_zones etcd_username etcd_password_file etcd_ca etcd_cert etcd_key tokens allow_open log_format
        }
    }

    /// Checks all settings together and reads the small files that they name.
    ///
    /// # Errors
    ///
    /// Every fault, not the first.
    pub fn check(self) -> Result<Config, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &'static str, detail: String| faults.push(Fault { place: None, setting: setting.into(), detail });

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
        if let Some(fault_of_file) = self.tokens.as_deref().and_then(|path| TokenFile::open(path).err()) {
            fault("tokens", fault_of_file);
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
        for text in &endpoints {
            let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
            let port = rest.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                fault("etcd-endpoints", format!("{text:?} is no URL with a port, such as http://127.0.0.1:2379"));
            }
        }
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
        // What a restart has to fold then takes well under a second.
        let hot_floor = self.hot_floor.unwrap_or(100_000);
        if hot_floor == 0 {
            fault("hot-floor", "at least one change".into());
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
            hot_floor,
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
        let settings: Vec<_> = faults.iter().map(|fault| &*fault.setting).collect();
        assert_eq!(settings, ["http-listen", "zones", "etcd-prefix", "role"]);
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
}
