//! A node inside another program.

use std::{net::SocketAddr, path::PathBuf};

use tokio_util::sync::CancellationToken;

use crate::{
    app::Node,
    config::{LedgerKind, Settings},
};

/// Builds a [`Node`], which runs as tasks of the caller's tokio runtime until its token is cancelled.
///
/// What is not set is as in `conn3ction serve`, but the environment is not read. `api/examples/embed.rs` is a whole
/// program.
///
/// ```no_run
/// # async fn run() -> anyhow::Result<()> {
/// let stop = tokio_util::sync::CancellationToken::new();
/// let node = conn3ction::Node::builder().ledger(conn3ction::config::LedgerKind::Memory).build(stop.clone()).await?;
/// println!("http://{}", node.http_address());
/// stop.cancel();
/// node.stopped().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    settings: Settings,
}

impl Node {
    /// A node with settings of the caller's.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Every setting at once, for those that have no method here.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Where the ledger lives.
    pub fn ledger(mut self, ledger: LedgerKind) -> Self {
        self.settings.ledger = Some(ledger);
        self
    }

    /// Directory of the file ledger and of local views.
    pub fn data(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.data = Some(directory.into());
        self
    }

    /// Where HTTP listens; port 0 takes a free one.
    pub fn http_listen(mut self, address: SocketAddr) -> Self {
        self.settings.http_listen = Some(address);
        self
    }

    /// Where DNS listens, over UDP and TCP; nothing in it for no responder.
    pub fn dns_listen(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.settings.dns_listen = Some(addresses.into_iter().collect());
        self
    }

    /// Zones that are created while the ledger is empty.
    pub fn zones(mut self, zones: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.zones = Some(zones.into_iter().map(Into::into).collect());
        self
    }

    /// Checks the settings and starts the node; it runs until `stop`.
    ///
    /// # Errors
    ///
    /// Every fault of the settings together; those of [`Node::start`].
    pub async fn build(self, stop: CancellationToken) -> anyhow::Result<Node> {
        let config = self.settings.check().map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the settings are faulty: {}", faults.join("; "))
        })?;
        Node::start(config, stop).await
    }
}
