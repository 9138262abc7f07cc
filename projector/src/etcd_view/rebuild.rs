//! Starting, and bringing the keys that are there to what they should be.

use std::collections::BTreeSet;

use conn3ction_ledger::etcd::etcd_client::GetOptions;
use conn3ction_schemas::{Revision, event::Hash};

use super::{
    EtcdView, FORMAT, Fault,
    changes::Changes,
    look::{self, Present},
    txn::Base,
};
use crate::{
    Checkpoint, Condition, Content, Digest, EntryHash, Part,
    checkpoint::belongs,
    content::every_name,
    follow::chain,
    rebuild::{RebuildError, Rebuilt},
};

/// Keys read with one request.
const PAGE: i64 = 1_000;

/// How often a rebuild begins again because other projectors moved the checkpoint meanwhile.
const MOST_TRIES: u32 = 20;

impl EtcdView {
    /// The checkpoint to go on from; without one, the keys are brought to the present state first.
    pub(super) async fn start(&self) -> Result<Base, Fault> {
        loop {
            let base = self.load().await?;
            let is_known = base.modified != 0 && !base.checkpoint.rebuilding;
            if is_known && !belongs(&*self.ledger, &base.checkpoint).await? {
                return Err(Fault::Held(format!(
                    "the keys under {} were made from another ledger (at {}:{}); rebuild the view to replace them",
                    self.prefix, base.checkpoint.epoch, base.checkpoint.revision,
                )));
            }
            if !is_known || base.checkpoint.format < FORMAT {
                self.answers.reached(self.ledger.head().await?.revision).await?;
                match self.reconcile(false).await {
                    Err(Fault::Lost(_)) => {
                        tokio::time::sleep(super::give_way()).await;
                        continue;
                    }
                    Err(fault) => return Err(fault),
                    Ok((base, _)) => return Ok(base),
                }
            }
            return Ok(base);
        }
    }

    /// Compares the keys with what they should be and mends the difference. `take_over`: also if they were made from
    /// another ledger.
    pub(super) async fn rebuild(&self, take_over: bool) -> Result<Rebuilt, RebuildError> {
        self.reporter.condition(Condition::Rebuilding);
        let failed = |text: String| Err(RebuildError::Failed(text));
        let mut was_right = true;
        for _ in 0..MOST_TRIES {
            match self.reconcile(take_over).await {
                Ok((base, right)) => {
                    self.report(&base);
                    self.reporter.condition(Condition::Following);
                    let (revision, digest) = (base.checkpoint.at(), base.checkpoint.digest);
                    return Ok(Rebuilt { revision, digest, was_right: was_right && right });
                }
                Err(Fault::Lost(_) | Fault::Moved) => was_right = false,
                Err(Fault::Etcd(error)) => return failed(chain(&error)),
                Err(Fault::Ledger(error)) => return failed(chain(&error)),
                Err(Fault::Answers(error)) => return failed(chain(&error)),
                Err(Fault::Held(text)) => return failed(text),
            }
            tokio::time::sleep(super::give_way()).await;
        }
        failed("other projectors kept moving the checkpoint".into())
    }

    /// Brings the keys to the fold at their checkpoint; where that is missing, unfinished, of an older form or another
    /// ledger's, to the present. Every transaction compares the checkpoint, so that no other projector is overtaken.
    async fn reconcile(&self, take_over: bool) -> Result<(Base, bool), Fault> {
        let Present { mut base, mut keys } = look::present(&self.client, &self.prefix).await?;
        let is_known = base.modified != 0 && !base.checkpoint.rebuilding;
        let belongs = is_known && belongs(&*self.ledger, &base.checkpoint).await?;
        if is_known && !belongs && !take_over {
            return Err(Fault::Moved);
        }
        let ours = belongs && base.checkpoint.format == FORMAT;
        let target = if ours { base.checkpoint.at() } else { self.answers.now().revision };
        self.answers.reached(target).await?;
        let content = self.store.at(target.into());
        if base.modified == 0 && !take_over {
            let glued = self.glued().await?;
            self.refuse_foreign(&content, keys.keys().chain(&glued))?;
        }
        let present_digest = keys.values().fold(Digest::default(), |mut digest, entry| {
            digest.add(*entry);
            digest
        });
        let goal = Goal { revision: target, ours };
        if !base.checkpoint.part.is_start() && ours {
            // In the middle of an event neither state before nor after it is the right one: let it be finished.
            return Err(Fault::Moved);
        }
        let mut was_right = ours && present_digest == base.checkpoint.digest;
        let mut digest = present_digest;
        let mut wanted = Digest::default();
        let mut changes = Changes::default();
        let mut seen = BTreeSet::new();
        let mut names = Vec::new();
        every_name(&content, &mut |name| names.push(name));
        names.sort_unstable();
        names.dedup();
        for name in names {
            for (key, value) in self.view.keys(&content, &name) {
                let entry = EntryHash::of_pair(key.as_bytes(), value.as_bytes());
                wanted.add(entry);
                let present = keys.remove(&key);
                if present == Some(entry) {
                    continue;
                }
                let mut one = Changes::default();
                one.put(key.clone(), None, Some(value));
                if !changes.fits(&one) {
                    self.mend(&mut base, &std::mem::take(&mut changes), digest, &goal).await?;
                }
                if let Some(present) = present {
                    digest.remove(present);
                }
                digest.add(entry);
                changes.append(one);
                seen.insert(key);
            }
        }
        was_right &= seen.is_empty() && keys.is_empty();
        for (key, entry) in keys {
            let mut one = Changes::default();
            one.put(key, Some(String::new()), None);
            if !changes.fits(&one) {
                self.mend(&mut base, &std::mem::take(&mut changes), digest, &goal).await?;
            }
            digest.remove(entry);
            changes.append(one);
        }
        debug_assert_eq!(digest, wanted);
        if !was_right {
            let checkpoint = Checkpoint { rebuilding: false, ..self.checkpoint_of(&base, digest, &goal).await? };
            self.write(&mut base, &changes, checkpoint).await?;
        }
        Ok((base, was_right))
    }

    async fn mend(&self, base: &mut Base, changes: &Changes, digest: Digest, goal: &Goal) -> Result<(), Fault> {
        let checkpoint = self.checkpoint_of(base, digest, goal).await?;
        self.write(base, changes, checkpoint).await
    }

    async fn checkpoint_of(&self, base: &Base, digest: Digest, goal: &Goal) -> Result<Checkpoint, Fault> {
        if goal.ours {
            return Ok(Checkpoint { digest, ..base.checkpoint.clone() });
        }
        let start = Checkpoint::start(FORMAT);
        if goal.revision == Revision::ZERO {
            return Ok(Checkpoint { digest, rebuilding: true, ..start });
        }
        let events = self.ledger.read(Revision(goal.revision.0 - 1), 1).await?;
        let (epoch, hash) = events.first().map_or((conn3ction_schemas::Epoch::FIRST, Hash::default()), |event| {
            (event.header.epoch, event.header.hash())
        });
        Ok(Checkpoint { part: Part::default(), rebuilding: true, ..start.after(epoch, goal.revision, hash, digest) })
    }

    /// Without a checkpoint the keys that are there may be all that is left of another service: none that the ledger
    /// does not know is touched.
    fn refuse_foreign<'a>(&self, content: &dyn Content, keys: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
        let known = |key: &&String| {
            self.view.name_of(key).is_some_and(|name| self.view.keys(content, &name).contains_key(*key))
        };
        let (count, records, are) = match keys.filter(|key| !known(key)).count() {
            0 => return Ok(()),
            1 => (1, "record", "is"),
            count => (count, "records", "are"),
        };
        Err(Fault::Held(format!(
            "{count} {records} {are} not in the ledger: conn3ction migrate --from {0}, or rebuild the view to replace what \
             is under {0}",
            self.prefix
        )))
    }

    /// Records that the service before us stored with prefix and name glued together, as the keys they should have had.
    async fn glued(&self) -> Result<Vec<String>, Fault> {
        let prefix = self.prefix.as_str();
        let mut behind = prefix.as_bytes().to_vec();
        if let Some(last) = behind.last_mut() {
            *last = last.saturating_add(1);
        }
        let mut found = Vec::new();
        for (from, end) in
            [(prefix.as_bytes().to_vec(), self.prefix.with_slash().into_bytes()), (self.prefix.after().into(), behind)]
        {
            let mut next = Some(from);
            while let Some(from) = next.take() {
                let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
                let page = self.client.get(from, Some(options)).await?;
                for kv in page.kvs() {
                    let name =
                        kv.key_str().ok().and_then(|key| key.strip_prefix(prefix)).filter(|name| !name.is_empty());
                    // Other keys may begin like this, our own under another prefix among them.
                    found.extend(name.filter(|name| is_record_of(kv.value(), name)).map(|name| self.prefix.key(name)));
                }
                let last = page.kvs().last().filter(|_| page.more());
                next = last.map(|kv| [kv.key(), &[0]].concat());
            }
        }
        Ok(found)
    }
}

/// Whether `value` is a record as the service before us wrote it, of `name`.
fn is_record_of(value: &[u8], name: &str) -> bool {
    let record = serde_json::from_slice::<serde_json::Value>(value).unwrap_or_default();
    let record = record.get(0).unwrap_or(&record);
    record.get("name").and_then(|text| text.as_str()).is_some_and(|text| text.trim_end_matches('.') == name)
}

/// What a rebuild brings the keys to.
struct Goal {
    revision: Revision,
    /// The checkpoint says so already, and only the keys may be wrong.
    ours: bool,
}
