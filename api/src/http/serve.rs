//! Connections: bounded in number, header size and time; drained when the node stops.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::at_once::at_once;

/// Connections at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a client may take for the headers of a request, and how long a connection may idle before them.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Octets of headers that are read at most; more is 431.
const MAX_HEADER_OCTETS: usize = 64 * 1024;
/// How long requests in flight may go on after the stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves `router` until `stop`, then lets requests in flight end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEADER_OCTETS);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(MAX_HEADER_OCTETS as u32);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, say: the next try would fail at once, too.
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Without it the last piece of an answer can wait for the peer's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "setting TCP_NODELAY");
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = super::request::logging(at_once(connection)).await {
                tracing::debug!(error = %super::writing::chain(&*error), "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight when the grace period ended");
    }
}
