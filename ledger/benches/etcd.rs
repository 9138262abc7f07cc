//! Appends through the committer against plain puts of the same octets, both from 64 tasks on the same etcd.
//!
//! `cargo bench -p conn3ction-ledger --bench etcd`. The target is a ratio of at least 0.5.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "../tests/contract/make.rs"]
#[expect(dead_code, reason = "the tests need all of it")]
mod make;
#[path = "../tests/etcd/server.rs"]
#[expect(dead_code, reason = "the tests need all of it")]
mod server;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use conn3ction_ledger::{
    Body, Head, Ledger, ReadError,
    committer::{Committer, Decider, Decision, Next},
    etcd::{ClientConfig, EtcdConfig, EtcdLedger, etcd_client},
};
use conn3ction_schemas::Timestamp;
use futures::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

const TASKS: u64 = 64;
const TIME: Duration = Duration::from_secs(4);

struct Always;

impl Decider for Always {
    type Command = u32;
    type Refusal = Infallible;

    fn at_head<'a>(&'a mut self, _: &'a Head) -> BoxFuture<'a, Result<(), ReadError>> {
        async { Ok(()) }.boxed()
    }

    fn decide(&mut self, command: &u32, _: Next) -> Result<Decision, Infallible> {
        Ok(Decision::Append(make::draft(*command)))
    }
}

#[tokio::main]
async fn main() {
    let server = server::Server::start(server::Release::New, &[]).await;
    let client = ClientConfig { endpoints: vec![server.endpoint().into()], ..ClientConfig::default() };
    let ledger = EtcdLedger::connect(EtcdConfig { client, ..EtcdConfig::default() }).await.unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(ledger);
    let plain = etcd_client::Client::connect([server.endpoint()], None).await.unwrap();

    // The octets of one event, header and body, as one value.
    let batch = make::batch(&Head::EMPTY, 1);
    let event = &batch.events[0];
    let mut value = event.header.octets().to_vec();
    if let Body::Inline(chunks) = &event.body {
        chunks.iter().for_each(|chunk| value.extend_from_slice(chunk));
    }
    println!("{} octets an event, {TASKS} tasks, {TIME:?} each", value.len());

    let mut ratios = Vec::new();
    let (committer, committing) =
        Committer::begin(Arc::clone(&ledger), Always, Timestamp::now, CancellationToken::new());
    let task = tokio::spawn(committing);
    for round in 0..3 {
        let puts = rate(|task, number| {
            let (mut plain, value) = (plain.kv_client(), value.clone());
            async move {
                plain.put(format!("/plain/{round}/{task}/{number}"), value, None).await.unwrap();
            }
        })
        .await;
        let appends = rate(|_, number| {
            let committer = committer.clone();
            async move {
                committer.submit(u32::try_from(number).unwrap()).await.unwrap();
            }
        })
        .await;
        println!("puts {puts:.0}/s, appends {appends:.0}/s, ratio {:.2}", appends / puts);
        ratios.push(appends / puts);
    }
    drop(committer);
    task.await.unwrap();
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[1]);
}

/// How often a second `call` comes to its end, from [`TASKS`] tasks at once.
async fn rate<F: Future<Output = ()> + Send + 'static>(call: impl Fn(u64, u64) -> F + Sync) -> f64 {
    let done = AtomicU64::new(0);
    let begun = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let (call, done) = (&call, &done);
        async move {
            let mut number = 0;
            while begun.elapsed() < TIME {
                // Tasks of their own, so that every core takes part.
                tokio::spawn(call(task, number)).await.unwrap();
                number += 1;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    futures::future::join_all(tasks).await;
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}
