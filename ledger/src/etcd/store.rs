//! Reading the key range: the truth that everything else is checked against.

use std::sync::Arc;

use conn3ction_schemas::Revision;
use etcd_client::{GetOptions, GetResponse, KeyValue, Txn, TxnOp, TxnOpResponse};

use super::{call::CallError, client::Client, container, head::Known, keys::Keys};
use crate::{Event, ReadError, chain::Chain};

/// The most batches that one request asks for.
const MAX_BATCHES: i64 = 512;

/// Below this a request may ask for more batches, above twice this for fewer.
const GOOD_ANSWER_BYTES: usize = 512 << 10;

/// One ledger's part of etcd.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) keys: Keys,
}

/// How many batches to ask for: their size is known only afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    batches: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batches: 8 }
    }
}

impl Pace {
    fn adapt(&mut self, answer_bytes: usize) {
        if answer_bytes < GOOD_ANSWER_BYTES {
            self.batches = MAX_BATCHES.min(self.batches * 4);
        } else if answer_bytes > 2 * GOOD_ANSWER_BYTES {
            self.batches = (self.batches / 4).max(1);
        }
    }
}

/// Events as they stand in the log, and etcd's revision that showed them.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) events: Vec<Arc<Event>>,
    pub(super) seen_at: i64,
}

impl Store {
    /// The head as etcd says now.
    pub(super) async fn known_head(&self) -> Result<Known, ReadError> {
        let response = self.client.get(self.keys.head(), None).await.map_err(unavailable)?;
        head_in(response.kvs())
    }

    /// The next events after `chain`, which steps onto them; none at the log's end. Head and range are of one moment, so
    /// events that the head promises and the range lacks are damage.
    pub(super) async fn fetch(&self, chain: &mut Chain, pace: &mut Pace) -> Result<Fetched, ReadError> {
        let Some(next) = chain.revision().0.checked_add(1).map(Revision) else {
            return Ok(Fetched::default());
        };
        let (head, batches, seen_at) = loop {
            let range = GetOptions::new().with_range(self.keys.log_end()).with_limit(pace.batches);
            let txn = Txn::new()
                .and_then([TxnOp::get(self.keys.head(), None), TxnOp::get(self.keys.batch(next), Some(range))]);
            match self.client.read_txn(txn).await {
                Ok(response) => {
                    let seen_at = response.header().map_or(0, etcd_client::ResponseHeader::revision);
                    let [head, batches] = two_gets(response.op_responses())?;
                    break (head_in(head.kvs())?.head, batches, seen_at);
                }
                Err(CallError::AnswerTooLarge(_)) if pace.batches > 1 => pace.batches = (pace.batches / 8).max(1),
                Err(error) => return Err(unavailable(error)),
            }
        };
        pace.adapt(batches.kvs().iter().map(|batch| batch.value().len()).sum());
        let mut events = Vec::new();
        for batch in batches.kvs() {
            let mut stepped = chain.clone();
            match self.open(batch, &mut stepped) {
                Ok(mut more) => events.append(&mut more),
                // What is good before the damage is given; who asks for what follows gets the error.
                Err(_) if !events.is_empty() => return Ok(Fetched { events, seen_at }),
                Err(error) => return Err(error),
            }
            *chain = stepped;
        }
        let missing = |detail: String| Err(ReadError::Damaged { revision: chain.revision().next(), detail });
        if chain.revision() > head.revision && !events.is_empty() {
            return missing("the log goes on after its head".into());
        }
        if events.is_empty() && chain.revision() < head.revision {
            return missing(format!("it is missing, though the head is at {}", head.revision));
        }
        // Only who has read an event can say that it should still be there.
        if let Some(hash) = chain.hash() {
            if head.revision < chain.revision() {
                let detail = format!("it was read, but now the log ends at {}", head.revision);
                return Err(ReadError::Damaged { revision: head.revision.next(), detail });
            }
            if head.revision == chain.revision() && head.hash != hash {
                let detail = "it was read, but the head names another event there".into();
                return Err(ReadError::Damaged { revision: head.revision, detail });
            }
        }
        Ok(Fetched { events, seen_at })
    }

    /// The events of a stored batch after `chain`, which steps onto them.
    fn open(&self, batch: &KeyValue, chain: &mut Chain) -> Result<Vec<Arc<Event>>, ReadError> {
        open_batch(self.keys.last_of(batch.key()), batch.value(), chain)
    }
}

/// The events after `chain` of the batch that is stored as `value` under a key that names `last`; `chain` steps onto
/// them. A batch may begin before `chain`, because a reader may start anywhere.
pub(super) fn open_batch(
    last: Option<Revision>,
    value: &[u8],
    chain: &mut Chain,
) -> Result<Vec<Arc<Event>>, ReadError> {
    let expected = chain.revision().next();
    let damaged = |detail: &str| Err(ReadError::Damaged { revision: expected, detail: detail.into() });
    let events = container::decode_batch(value, expected)?;
    let (Some(first), Some(end)) = (events.first(), events.last()) else {
        return damaged("its batch is empty");
    };
    if Some(end.revision()) != last {
        return damaged("its batch does not end at the revision in its key");
    }
    if first.revision() > expected {
        return damaged("it is missing");
    }
    // What comes before is skipped, but only after it was checked.
    let mut earlier = Chain::at(Revision(first.revision().0.saturating_sub(1)));
    let mut rest = Vec::new();
    for event in events {
        if event.revision() <= chain.revision() {
            earlier.check(&event)?;
            if earlier.revision() == chain.revision() && chain.hash().is_none() {
                *chain = earlier.clone();
            }
        } else {
            chain.check(&event)?;
            rest.push(event);
        }
    }
    Ok(rest)
}

fn head_in(found: &[KeyValue]) -> Result<Known, ReadError> {
    found.first().map_or(Ok(Known::EMPTY), |head| Known::read(head.value(), head.mod_revision()))
}

pub(super) fn two_gets(answers: Vec<TxnOpResponse>) -> Result<[GetResponse; 2], ReadError> {
    let gets: Vec<GetResponse> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            TxnOpResponse::Get(get) => Some(get),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        })
        .collect();
    <[GetResponse; 2]>::try_from(gets)
        .map_err(|_| ReadError::Unavailable("etcd answered another question than the one asked".into()))
}

pub(super) fn unavailable(error: CallError) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}
