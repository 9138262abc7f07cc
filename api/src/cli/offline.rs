//! Proof without a server: a ledger in a directory that no server holds, or in etcd, and the views beside it.

use std::{path::PathBuf, sync::Arc};

use conn3ction_ledger::{
    Ledger, ReadError,
    file::{FileLedger, OpenError},
};
use conn3ction_projector::claims_in;
use conn3ction_schemas::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::client::Failure;
use crate::{
    app,
    config::{LedgerKind, Role, Settings},
    proof::{self, Anchor, Progress},
};

/// Where etcd is and what is ours there. Only a flag names its endpoints: where the environment does so for servers, the
/// verb still asks a server.
#[cfg(feature = "etcd")]
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct EtcdFlags {
    /// Without a server: the ledger in this etcd (or that of --data DIR, if it has one) and the views there.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    etcd_endpoints: Option<Vec<String>>,
    /// Prefix of the records mirror [default: /conn3ction/records].
    #[arg(long, env = "ETCD_PREFIX", value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Prefix of the zone keys that CoreDNS reads [default: /conn3ction/zones].
    #[arg(long, env = "ETCD_ZONES_PREFIX", value_name = "PREFIX")]
    etcd_zones_prefix: Option<String>,
    /// Prefix of the ledger [default: /conn3ction/ledger].
    #[arg(long, env = "ETCD_LEDGER_PREFIX", value_name = "PREFIX")]
    etcd_ledger_prefix: Option<String>,
    /// Zones above 50,000 record sets whose zone keys are written all the same.
    #[arg(long, env = "ETCD_LARGE_ZONES", value_name = "ZONE", value_delimiter = ',')]
    etcd_large_zones: Option<Vec<String>>,
    /// User for etcd.
    #[arg(long, env = "ETCD_USERNAME", value_name = "USER")]
    etcd_username: Option<String>,
    /// File with that user's password.
    #[arg(long, env = "ETCD_PASSWORD_FILE", value_name = "FILE")]
    etcd_password_file: Option<std::path::PathBuf>,
    /// PEM file of the authority that signed etcd's certificate.
    #[arg(long, env = "ETCD_CA", value_name = "FILE")]
    etcd_ca: Option<std::path::PathBuf>,
    /// PEM file of our certificate for etcd.
    #[arg(long, env = "ETCD_CERT", value_name = "FILE")]
    etcd_cert: Option<std::path::PathBuf>,
    /// PEM file of the key of that certificate.
    #[arg(long, env = "ETCD_KEY", value_name = "FILE")]
    etcd_key: Option<std::path::PathBuf>,
}

#[cfg(feature = "etcd")]
impl EtcdFlags {
    pub(super) fn is_given(&self) -> bool {
        self.etcd_endpoints.is_some()
    }

    /// `settings` with these; with none of them unless there are endpoints.
    pub(super) fn or(self, settings: Settings) -> Settings {
        if !self.is_given() {
            return settings;
        }
        Settings {
            etcd_endpoints: self.etcd_endpoints,
            etcd_prefix: self.etcd_prefix,
            etcd_zones_prefix: self.etcd_zones_prefix,
            etcd_ledger_prefix: self.etcd_ledger_prefix,
            etcd_large_zones: self.etcd_large_zones,
            etcd_username: self.etcd_username,
            etcd_password_file: self.etcd_password_file,
            etcd_ca: self.etcd_ca,
            etcd_cert: self.etcd_cert,
            etcd_key: self.etcd_key,
            ..settings
        }
    }
}

/// Opens a ledger that no server holds, to read it.
async fn open(directory: PathBuf) -> Result<FileLedger, Failure> {
    let opened = tokio::task::spawn_blocking(move || FileLedger::open_to_read(&directory)).await;
    opened.map_err(|error| Failure::Serve(error.into()))?.map_err(|error| match error {
        OpenError::Damaged { revision, segment, detail } => {
            Failure::Mismatch(format!("the first bad revision is {revision}, in {segment}: {detail}"))
        }
        OpenError::InUse { .. } | OpenError::Newer { .. } | OpenError::Io(_) => Failure::Serve(error.into()),
    })
}

/// Verifies the ledger that `settings` name and every view that lies beside it.
pub(super) async fn verify(
    settings: Settings,
    anchors: &[Anchor],
    progress: &Progress,
) -> Result<json::VerifyJson, Failure> {
    let directory = settings.data.clone();
    let holds = directory.as_ref().is_some_and(|directory| directory.join("ledger").is_dir());
    let has_etcd = settings.etcd_endpoints.is_some();
    if let Some(directory) = directory.as_ref().filter(|_| !holds && !has_etcd) {
        return Err(Failure::Serve(anyhow::anyhow!("{} holds no ledger", directory.display())));
    }
    // It writes nothing and listens nowhere; in this role it leaves alone what others have staged.
    let ledger = Some(if holds { LedgerKind::File } else { LedgerKind::Etcd });
    let settings = Settings { role: (!holds).then_some(Role::Projector), ledger, zones: Some(Vec::new()), ..settings };
    let faults = |faults: Vec<crate::config::Fault>| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        Failure::Usage(faults.join("; "))
    };
    let config = settings.check().map_err(faults)?;
    let stop = CancellationToken::new();
    let mut torn_bytes = 0;
    let ledger: Arc<dyn Ledger> = if holds {
        let ledger = open(config.data.join("ledger")).await?;
        torn_bytes = ledger.torn_bytes();
        Arc::new(ledger)
    } else {
        let opened = app::open(&config, &TaskTracker::new(), &stop).await;
        opened.map_err(|error| Failure::Unreachable(format!("{error:#}")))?
    };
    #[cfg(feature = "etcd")]
    let etcd = app::etcd_views(&config).await.map_err(|error| Failure::Unreachable(format!("{error:#}")))?;
    let claims = async {
        let views = directory.map(|directory| directory.join("views"));
        let local = tokio::task::spawn_blocking(move || views.map(|views| claims_in(&views)).unwrap_or_default());
        #[cfg_attr(not(feature = "etcd"), expect(unused_mut, reason = "only those in etcd are added"))]
        let mut claims = local.await.unwrap_or_default();
        #[cfg(feature = "etcd")]
        if let Some(etcd) = etcd {
            claims.extend(etcd.claims().await);
        }
        claims
    };
    let verified = proof::verify(&*ledger, anchors, claims, progress).await;
    stop.cancel();
    let verified = verified.map(|report| match torn_bytes {
        1.. if report.bad.is_none() => json::VerifyJson {
            ok: false,
            bad: Some(report.to + 1),
            detail: Some(format!(
                "{torn_bytes} octets of a write that is not whole stand behind r{}; if a crash left them, nobody was told of it, \
                 and a server that starts here cuts them off; if not, events are missing",
                report.to
            )),
            ..report
        },
        _ => report,
    });
    verified.map_err(|error| match error {
        ReadError::Unavailable(_) => Failure::Unreachable(crate::http::writing::chain(&error)),
        ReadError::Damaged { .. } | ReadError::Form { .. } => Failure::Mismatch(crate::http::writing::chain(&error)),
    })
}
