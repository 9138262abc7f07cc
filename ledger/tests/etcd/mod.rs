//! Real etcd servers on free ports, and a proxy before them that loses what it is told to lose.

mod faults;
pub(crate) mod proxy;
mod secure;
pub(crate) mod server;

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use conn3ction_ledger::{
    AppendError, Batch, Head, Ledger,
    etcd::{ClientConfig, EtcdConfig, EtcdLedger},
};
use tokio::sync::OnceCell;

use self::{
    proxy::Proxy,
    server::{Release, Server},
};
use crate::suite::Backend;

/// A fresh prefix on an etcd that the tests of this process share.
pub(crate) struct Place {
    direct: String,
    proxy: Proxy,
    prefix: String,
}

impl Place {
    pub(crate) async fn on(release: Release) -> Self {
        static NEW: OnceCell<String> = OnceCell::const_new();
        static DEBIAN: OnceCell<String> = OnceCell::const_new();
        let shared = match release {
            Release::New => &NEW,
            Release::Debian => &DEBIAN,
        };
        let direct = shared.get_or_init(|| async { shared_server(release).await }).await.clone();
        let proxy = Proxy::before(&direct).await;
        Self { direct, proxy, prefix: format!("/{}/", uuid::Uuid::new_v4()) }
    }
}

/// The address of a server that ends with this process, whatever ends it.
async fn shared_server(release: Release) -> String {
    let server = Server::start(release, &[]).await;
    let script = r#"read _; kill -9 "$0"; rm -rf "$1""#;
    let guard = Command::new("sh")
        .args(["-c", script, &server.pid().to_string()])
        .arg(server.directory())
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh");
    let endpoint = server.endpoint().to_owned();
    // The guard reads until this process is gone.
    std::mem::forget((server, guard));
    endpoint
}

/// A configuration with short deadlines.
pub(crate) fn config(endpoint: &str, prefix: &str) -> EtcdConfig {
    EtcdConfig {
        client: ClientConfig {
            endpoints: vec![endpoint.into()],
            connect_timeout: Duration::from_millis(500),
            call_timeout: Duration::from_secs(1),
            keep_alive: (Duration::from_secs(1), Duration::from_secs(1)),
            ..ClientConfig::default()
        },
        prefix: prefix.into(),
        ..EtcdConfig::default()
    }
}

pub(crate) async fn open(endpoint: &str, prefix: &str) -> Arc<dyn Ledger> {
    Arc::new(EtcdLedger::connect(config(endpoint, prefix)).await.expect("a good configuration"))
}

macro_rules! on {
    ($name:ident, $release:expr) => {
        pub(crate) struct $name(Place);

        impl Backend for $name {
            async fn fresh() -> Self {
                Self(Place::on($release).await)
            }

            async fn open(&self) -> Arc<dyn Ledger> {
                open(self.0.proxy.endpoint(), &self.0.prefix).await
            }

            async fn second(&self, _: &Arc<dyn Ledger>) -> Arc<dyn Ledger> {
                open(&self.0.direct, &self.0.prefix).await
            }

            async fn append_and_lose_the_answer(
                &self,
                ledger: &Arc<dyn Ledger>,
                head: &Head,
                batch: &Batch,
            ) -> Option<Result<Head, AppendError>> {
                let witness = open(&self.0.direct, &self.0.prefix).await;
                self.0.proxy.swallow_answers();
                let applied = async {
                    while witness.head().await.expect("etcd is there") == *head {}
                    self.0.proxy.cut();
                };
                Some(futures::join!(ledger.append(head, batch), applied).0)
            }
        }
    };
}

on!(New, Release::New);
on!(Debian, Release::Debian);
