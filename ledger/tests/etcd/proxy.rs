//! A TCP proxy before a server: passes on, swallows answers, cuts connections.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

/// Ends with its last connection when dropped.
pub(crate) struct Proxy {
    endpoint: String,
    mode: watch::Sender<Mode>,
    accept: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mode {
    swallow: bool,
    hold: bool,
    /// Connections end when it rises.
    cuts: u64,
}

impl Proxy {
    /// A proxy before the server at `http://address`.
    pub(crate) async fn before(endpoint: &str) -> Self {
        let target = endpoint.strip_prefix("http://").expect("plain HTTP").to_owned();
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", socket.local_addr().expect("bound"));
        let mode = watch::Sender::new(Mode::default());
        let current = mode.subscribe();
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = socket.accept().await {
                let (target, current) = (target.clone(), current.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass(client, server, current).await;
                    }
                });
            }
        });
        Self { endpoint, mode, accept }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// From now on requests arrive and answers do not.
    pub(crate) fn swallow_answers(&self) {
        self.mode.send_modify(|mode| mode.swallow = true);
    }

    /// From now on requests wait in the proxy; [`Proxy::release`] lets them go on.
    pub(crate) fn hold_requests(&self) {
        self.mode.send_modify(|mode| mode.hold = true);
    }

    /// Lets the requests go on that were held.
    pub(crate) fn release(&self) {
        self.mode.send_modify(|mode| mode.hold = false);
    }

    /// Ends all connections; new ones work again.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| *mode = Mode { cuts: mode.cuts + 1, ..Mode::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn pass(client: TcpStream, server: TcpStream, mut mode: watch::Receiver<Mode>) {
    let cuts = mode.borrow().cuts;
    let answers = mode.clone();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, answers.clone(), Way::Request) => {}
        () = copy(from_server, to_client, answers, Way::Answer) => {}
        _ = mode.wait_for(|mode| mode.cuts != cuts) => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>, way: Way) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if way == Way::Answer && mode.borrow().swallow {
            continue;
        }
        if way == Way::Request && mode.wait_for(|mode| !mode.hold).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
