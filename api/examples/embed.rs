//! A node inside another program: a ledger in memory, HTTP and DNS on free loopback ports, until Ctrl-C.
//!
//! `cargo run -p conn3ction --no-default-features --example embed` needs no protoc.

use std::net::SocketAddr;

use conn3ction::{Node, config::LedgerKind};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let stop = CancellationToken::new();
    let node = Node::builder()
        .ledger(LedgerKind::Memory)
        .http_listen(free_port)
        .dns_listen([free_port])
        .zones(["embedded.example."])
        .build(stop.clone())
        .await?;
    println!("HTTP http://{}", node.http_address());
    for address in node.dns_addresses() {
        println!("DNS  {address}");
    }
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    node.stopped().await;
    Ok(())
}
