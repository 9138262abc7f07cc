//! etcd's watch as a doorbell.

use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::{
    follow::{Medium, Ring},
    keys::Keys,
    store::{Fetched, Pace, Store, unavailable},
};
use crate::{ReadError, chain::Chain};

impl Medium for Store {
    fn fetch<'a>(&'a self, chain: &'a mut Chain, pace: &'a mut Pace) -> BoxFuture<'a, Result<Fetched, ReadError>> {
        Store::fetch(self, chain, pace).boxed()
    }

    fn bell(&self, seen_at: i64) -> BoxFuture<'_, Result<BoxStream<'static, Ring>, ReadError>> {
        async move {
            // Fragments: after a pause etcd sends up to a thousand revisions in one message otherwise.
            let options = WatchOptions::new()
                .with_range(self.keys.log_end())
                .with_start_revision(seen_at.saturating_add(1))
                .with_fragment();
            let watch = self.client.watch(self.keys.log(), options).await.map_err(unavailable)?;
            Ok(rings(watch, self.keys.clone()))
        }
        .boxed()
    }
}

fn rings(watch: WatchStream, keys: Keys) -> BoxStream<'static, Ring> {
    let answers = stream::unfold(watch, |mut watch| async move {
        match watch.message().await {
            Ok(Some(answer)) if !answer.canceled() => Some((answer, watch)),
            // Compacted away, cut off, silent beyond the keep-alive: reading the range mends all of them.
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a watch on the ledger ended");
                None
            }
        }
    });
    answers.flat_map(move |answer| stream::iter(read(&answer, &keys))).boxed()
}

fn read(answer: &WatchResponse, keys: &Keys) -> Vec<Ring> {
    let ring = |event: &etcd_client::Event| match (event.event_type(), event.kv()) {
        (EventType::Put, Some(kv)) => match keys.last_of(kv.key()) {
            Some(last) => Ring::Batch { last, value: kv.value().to_vec() },
            None => Ring::Other,
        },
        (EventType::Put | EventType::Delete, _) => Ring::Other,
    };
    answer.events().iter().map(ring).collect()
}
