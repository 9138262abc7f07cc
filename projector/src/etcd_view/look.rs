//! Reading a view in etcd as it is.

use std::collections::HashMap;

use conn3ction_ledger::etcd::{
    Client,
    etcd_client::{GetOptions, Txn, TxnOp, TxnOpResponse},
};

use super::{
    FORMAT, Fault,
    txn::{Base, base_of, checkpoint_key},
};
use crate::{Claim, EntryHash, KeyView, Prefix, ViewName, follow::chain};

/// Keys read with one request.
const PAGE: i64 = 1_000;

/// How often a view that is not begun yet, or stands inside an event, is looked at again: a few seconds.
const MOST_LOOKS: u32 = 100;

/// What the view under `prefix` says and what it holds, at one etcd revision and, if it gets there soon, between two events.
pub(crate) async fn claim(client: &Client, name: ViewName, prefix: &Prefix, view: Box<dyn KeyView>) -> Claim {
    let (mut is_new, mut is_older) = (false, false);
    for _ in 0..MOST_LOOKS {
        let Present { base, keys } = match present(client, prefix).await {
            Ok(present) => present,
            Err(Fault::Etcd(error)) => return Claim::unreadable(name, chain(&error)),
            Err(Fault::Held(text)) => return Claim::unreadable(name, text),
            Err(Fault::Ledger(_) | Fault::Answers(_) | Fault::Lost(_) | Fault::Moved) => continue,
        };
        is_new = base.modified == 0;
        is_older = base.checkpoint.format < FORMAT;
        if !is_new && !is_older && base.checkpoint.part.is_start() && !base.checkpoint.rebuilding {
            return Claim::keys(name, base.checkpoint, keys, view);
        }
        tokio::time::sleep(super::give_way()).await;
    }
    Claim::unreadable(
        name,
        if is_new {
            format!("no projector has written under {prefix} yet")
        } else if is_older {
            format!("what is under {prefix} was written by an older version, and no projector builds it anew")
        } else {
            format!("what is under {prefix} stands inside an event, and no projector goes on")
        },
    )
}

/// The keys as they were at one etcd revision, with the checkpoint of that moment.
pub(super) struct Present {
    pub(super) base: Base,
    pub(super) keys: HashMap<String, EntryHash>,
}

/// All keys and the checkpoint at one etcd revision.
pub(super) async fn present(client: &Client, prefix: &Prefix) -> Result<Present, Fault> {
    let first = prefix.with_slash();
    let end = prefix.after();
    let range = |from: &str| {
        let options = GetOptions::new().with_range(end.as_str()).with_limit(PAGE);
        (from.to_owned(), options)
    };
    let (from, options) = range(&first);
    let key = checkpoint_key(prefix);
    let both = Txn::new().and_then([TxnOp::get(key, None), TxnOp::get(from, Some(options))]);
    let answer = client.read_txn(both).await?;
    let at = answer.header().map_or(0, |header| header.revision());
    let mut responses = answer.op_responses().into_iter();
    let (Some(TxnOpResponse::Get(checkpoint)), Some(TxnOpResponse::Get(page))) = (responses.next(), responses.next())
    else {
        return Err(Fault::Moved);
    };
    let base = base_of(prefix, checkpoint.kvs().first())?;
    let mut keys = HashMap::new();
    let mut page = page;
    loop {
        let mut last = None;
        for kv in page.kvs() {
            let entry = EntryHash::of_pair(kv.key(), kv.value());
            let key = String::from_utf8_lossy(kv.key()).into_owned();
            last = Some(key.clone());
            keys.insert(key, entry);
        }
        let Some(last) = last.filter(|_| page.more()) else { break };
        let (from, options) = range(&(last + "\0"));
        page = client.get(from, Some(options.with_revision(at))).await?;
    }
    Ok(Present { base, keys })
}
