//! A client that knows what became of its calls.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use etcd_client::{
    Error, GetOptions, GetResponse, KvClient, StatusResponse, Txn, TxnResponse, WatchClient, WatchOptions, WatchStream,
};
use tokio::{sync::OnceCell, time::timeout};

use super::{
    call::{CallError, Said},
    config::{ClientConfig, ConfigError},
};

/// The largest answer that is taken. Whoever reads asks for less; the library's own limit of 4 MB is met by three
/// batches of the largest size.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A client of an etcd cluster. Cloning shares its connections.
///
/// It has one channel per member and uses one member at a time: the library's balancer would keep sending a share of
/// the calls to a dead member. A call that fails moves everybody on to the next member. Every call has a deadline.
/// Reads are tried again on the next member; a write is sent once, unless it is certain that it reached nobody.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    members: Vec<Member>,
    preferred: AtomicUsize,
    config: ClientConfig,
}

struct Member {
    endpoint: String,
    client: etcd_client::Client,
    kv: KvClient,
    watch: WatchClient,
    signed_in: OnceCell<()>,
}

impl Client {
    /// Prepares a client; connections come about with the first call.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub async fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        if config.endpoints.is_empty() {
            return Err(ConfigError::NoEndpoint);
        }
        let options = config.options()?;
        let mut members = Vec::with_capacity(config.endpoints.len());
        for endpoint in &config.endpoints {
            let client = etcd_client::Client::connect([endpoint], Some(options.clone()))
                .await
                .map_err(|source| ConfigError::Endpoint { endpoint: endpoint.clone(), source })?;
            members.push(Member {
                endpoint: endpoint.clone(),
                kv: client.kv_client().max_decoding_message_size(MAX_ANSWER_BYTES),
                watch: client.watch_client().max_decoding_message_size(MAX_ANSWER_BYTES),
                client,
                signed_in: OnceCell::new(),
            });
        }
        Ok(Self { inner: Arc::new(Inner { members, preferred: AtomicUsize::new(0), config }) })
    }

    /// Reads a key or a range; linearizable unless the options say otherwise.
    ///
    /// # Errors
    ///
    /// [`CallError`], when no member answers.
    pub async fn get(&self, key: impl Into<Vec<u8>>, options: Option<GetOptions>) -> Result<GetResponse, CallError> {
        let key = key.into();
        self.read(|member| {
            let (mut kv, key, options) = (member.kv.clone(), key.clone(), options.clone());
            async move { kv.get(key, options).await }
        })
        .await
    }

    /// Runs a transaction of reads only: one state of several keys and ranges.
    ///
    /// # Errors
    ///
    /// [`CallError`], when no member answers.
    pub async fn read_txn(&self, txn: Txn) -> Result<TxnResponse, CallError> {
        self.read(|member| {
            let (mut kv, txn) = (member.kv.clone(), txn.clone());
            async move { kv.txn(txn).await }
        })
        .await
    }

    /// Runs a transaction that writes. It is sent once: what a caller does after [`CallError::Unknown`] (send the
    /// identical transaction again, whose compares let at most one of them pass) only the caller can know.
    ///
    /// # Errors
    ///
    /// [`CallError`]; [`CallError::nothing_was_done`] says what is certain.
    pub async fn txn(&self, txn: Txn) -> Result<TxnResponse, CallError> {
        let mut left = self.inner.members.len();
        loop {
            let (index, member) = self.preferred();
            let (mut kv, request) = (member.kv.clone(), txn.clone());
            match self.attempt(member, async move { kv.txn(request).await }).await {
                Ok(response) => return Ok(response),
                Err(error) => {
                    self.move_on(index, &error);
                    left -= 1;
                    if left == 0 || !matches!(error, CallError::NotSent { .. } | CallError::Busy(_)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Opens a watch. It is a doorbell: the stream may end, repeat itself, or leave something out.
    ///
    /// # Errors
    ///
    /// [`CallError`], when no member answers.
    pub async fn watch(&self, key: impl Into<Vec<u8>>, options: WatchOptions) -> Result<WatchStream, CallError> {
        let key = key.into();
        self.read(|member| {
            let (mut watch, key, options) = (member.watch.clone(), key.clone(), options.clone());
            async move { watch.watch(key, Some(options)).await }
        })
        .await
    }

    /// The state of the member that is asked now.
    ///
    /// # Errors
    ///
    /// [`CallError`], when no member answers.
    pub async fn status(&self) -> Result<StatusResponse, CallError> {
        self.read(|member| {
            let mut client = member.client.clone();
            async move { client.status().await }
        })
        .await
    }

    async fn read<'a, T, F>(&'a self, call: impl Fn(&'a Member) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let members = self.inner.members.len();
        let mut tried = 0;
        loop {
            let (index, member) = self.preferred();
            match self.attempt(member, call(member)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.move_on(index, &error);
                    tried += 1;
                    // One more try than there are members, because a member that came back is met with a broken
                    // connection first; but nobody waits for a silent member twice.
                    let silent = matches!(error, CallError::Unknown { source: None, .. });
                    if !error.may_pass() || tried > members || (silent && tried == members) {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn attempt<T>(&self, member: &Member, call: impl Future<Output = Result<T, Error>>) -> Result<T, CallError> {
        let endpoint = &member.endpoint;
        // The channel's own deadline begins only when the channel is ready.
        let deadline = self.inner.config.call_timeout;
        match timeout(deadline, self.sign_in(member)).await {
            Ok(Ok(())) => {}
            Ok(Err(source)) => return Err(CallError::NotSent { endpoint: endpoint.clone(), source: source.into() }),
            Err(_) => {
                let source = Said::new("signing in took too long");
                return Err(CallError::NotSent { endpoint: endpoint.clone(), source });
            }
        }
        match timeout(deadline, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let error = CallError::of(endpoint, error);
                if error.wants_new_token()
                    && let Ok(Err(error)) = timeout(deadline, member.client.refresh_token()).await
                {
                    tracing::warn!(endpoint, error = &error as &dyn std::error::Error, "cannot sign in to etcd again");
                }
                Err(error)
            }
            Err(_) => Err(CallError::Unknown { endpoint: endpoint.clone(), source: None }),
        }
    }

    async fn sign_in(&self, member: &Member) -> Result<(), Error> {
        let Some((name, password)) = &self.inner.config.user else {
            return Ok(());
        };
        let sign_in = async || {
            let user = Some((name.clone(), password.reveal().to_owned()));
            member.client.clone().update_user(user).await
        };
        member.signed_in.get_or_try_init(sign_in).await.copied()
    }

    fn preferred(&self) -> (usize, &Member) {
        let index = self.inner.preferred.load(Ordering::Relaxed);
        (index, &self.inner.members[index])
    }

    fn move_on(&self, from: usize, error: &CallError) {
        if error.may_pass() {
            let next = (from + 1) % self.inner.members.len();
            // Another call may have moved on already; then this one follows it.
            let _ = self.inner.preferred.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
