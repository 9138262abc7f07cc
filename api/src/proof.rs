//! Proof: the chain is whole, passes through what somebody kept of it, and every view is what the ledger says. And every
//! view built anew, aside, up to a moment.

use std::{
    collections::BTreeMap,
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

use conn3ction_dns::View;
use conn3ction_ledger::{Ledger, ReadError, verify};
use conn3ction_projector::{Checked, Claim, Replay, make_records};
use conn3ction_schemas::{Revision, When, event::Hash, json};
use tokio::sync::mpsc;

/// Events between two looks at the clock.
const PROGRESS_EVENTS: u64 = 4_096;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// A revision and the hash that somebody kept of it: whose chain passes through the pair has the same history up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    revision: Revision,
    hash: Hash,
}

/// The text is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no pair such as r1041:HASH, with the 64 hexadecimal digits of an event's hash")]
pub struct NoAnchor;

impl FromStr for Anchor {
    type Err = NoAnchor;

    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        let (revision, hash) = text.rsplit_once(':').ok_or(NoAnchor)?;
        // The epoch is part of what the hash covers.
        let Ok(When::Revision(_, revision)) = When::parse_revision(revision) else { return Err(NoAnchor) };
        let mut octets = [0; 32];
        if hash.len() != 64 || !hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoAnchor);
        }
        for (octet, at) in octets.iter_mut().zip((0..64).step_by(2)) {
            *octet = u8::from_str_radix(&hash[at..at + 2], 16).map_err(|_| NoAnchor)?;
        }
        Ok(Self { revision, hash: Hash(octets) })
    }
}

impl Anchor {
    fn check(self, found: Option<Hash>) -> json::AnchorCheck {
        json::AnchorCheck {
            revision: self.revision.0,
            hash: self.hash.to_string(),
            found: found.map(|hash| hash.to_string()),
            ok: found == Some(self.hash),
        }
    }
}

/// Where progress is told; a listener that is slow misses some of it.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<mpsc::Sender<json::CheckProgress>>);

impl Progress {
    /// Progress and where it is read.
    pub fn new() -> (Self, mpsc::Receiver<json::CheckProgress>) {
        let (sender, receiver) = mpsc::channel(4);
        (Self(Some(sender)), receiver)
    }

    fn tell(&self, step: &str, done: Revision, total: Revision) {
        if let Some(listener) = &self.0 {
            let _ = listener.try_send(json::CheckProgress { step: step.into(), done: done.0, total: total.0 });
        }
    }
}

/// Walks the whole chain, then holds what each view says and holds against a fold from nothing.
///
/// `claims` is asked for once the chain is known to be whole.
///
/// # Errors
///
/// The ledger cannot be read now; damage is an answer, not an error.
pub async fn verify(
    ledger: &dyn Ledger,
    anchors: &[Anchor],
    claims: impl Future<Output = Vec<Claim>>,
    progress: &Progress,
) -> Result<json::VerifyJson, ReadError> {
    let (mut kept, mut last, mut proven) = (BTreeMap::new(), Hash::default(), Revision::ZERO);
    let total = ledger.head().await?.revision;
    let mut told = Instant::now();
    let walked = verify::verify(ledger, Revision(1), |header| {
        (last, proven) = (header.hash(), header.revision);
        if anchors.iter().any(|anchor| anchor.revision == header.revision) {
            kept.insert(header.revision, last);
        }
        if header.revision.0.is_multiple_of(PROGRESS_EVENTS) && told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            progress.tell("chain", header.revision, total);
        }
    });
    let walked = match walked.await {
        Ok(walked) => Ok(walked.to),
        Err(ReadError::Damaged { revision, detail }) => Err((revision, detail)),
        Err(error) => return Err(error),
    };
    let anchors: Vec<_> = anchors.iter().map(|anchor| anchor.check(kept.get(&anchor.revision).copied())).collect();
    let report = json::VerifyJson {
        ok: anchors.iter().all(|anchor| anchor.ok),
        from: 1,
        to: 0,
        hash: last.to_string(),
        bad: None,
        detail: None,
        views: Vec::new(),
        anchors,
    };
    let to = match walked {
        Ok(to) => to,
        Err((bad, detail)) => {
            let (to, bad) = (proven.0, Some(bad.0));
            return Ok(json::VerifyJson { ok: false, to, bad, detail: Some(detail), ..report });
        }
    };
    let claims = claims.await;
    // A view may have gone on meanwhile, but not beyond the ledger.
    let shown = claims.iter().map(Claim::revision).max().unwrap_or(to).max(to);
    let goal = if shown > to { shown.min(ledger.head().await?.revision) } else { to };
    let report = json::VerifyJson { to: to.0, ..report };
    let mut replay = Replay::default();
    if let Err(detail) = fold(&mut replay, ledger, goal, progress).await {
        return Ok(json::VerifyJson { ok: false, detail: Some(detail), ..report });
    }
    let mut of_others = Vec::new();
    for claim in &claims {
        of_others.push(claim.revision() <= goal && !claim.belongs(ledger).await?);
    }
    let checks = tokio::task::spawn_blocking(move || {
        let each = claims.iter().zip(of_others);
        each.map(|(claim, other)| check(if other { claim.of_another_ledger() } else { claim.check(&replay) })).collect()
    });
    let views: Vec<json::ViewCheck> = checks.await.map_err(|error| ReadError::Unavailable(error.into()))?;
    Ok(json::VerifyJson { ok: report.ok && views.iter().all(|view| view.ok), views, ..report })
}

/// Builds every view anew up to the event `to`, in memory and below `scratch`, and holds what comes out against `live`, what the
/// answers show of that moment; `keys` does so for the views in etcd, if there are any.
///
/// # Errors
///
/// In words: the ledger cannot be read, or the scratch directory not be written.
pub async fn replay(
    ledger: &dyn Ledger,
    to: Revision,
    scratch: &Path,
    live: View,
    keys: impl FnOnce(&Replay, &View) -> Vec<Checked> + Send + 'static,
    progress: &Progress,
) -> Result<json::ReplayJson, String> {
    let begun = Instant::now();
    let mut replay = Replay::default();
    fold(&mut replay, ledger, to, progress).await?;
    let elapsed = begun.elapsed();
    let made = make_records(scratch, ledger, to).await?;
    let checks = tokio::task::spawn_blocking(move || {
        let mut checks = replay.against(&live, made);
        checks.extend(keys(&replay, &live));
        checks.into_iter().map(check).collect()
    });
    let views: Vec<json::ViewCheck> = checks.await.map_err(|error| error.to_string())?;
    Ok(json::ReplayJson {
        ok: views.iter().all(|view| view.ok),
        to: to.0,
        events: to.0,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        events_per_second: (to.0 as f64 / elapsed.as_secs_f64().max(1e-6)) as u64,
        views,
    })
}

/// Folds up to `upto` and tells how far it is.
async fn fold(replay: &mut Replay, ledger: &dyn Ledger, upto: Revision, progress: &Progress) -> Result<(), String> {
    let watcher = replay.watcher();
    let mut folding = std::pin::pin!(replay.fold_to(ledger, upto));
    loop {
        tokio::select! {
            folded = &mut folding => return folded,
            () = tokio::time::sleep(PROGRESS_EVERY) => progress.tell("fold", watcher.now().revision, upto),
        }
    }
}

fn check(checked: Checked) -> json::ViewCheck {
    json::ViewCheck {
        view: checked.view.as_str().into(),
        revision: checked.revision.0,
        digest: checked.digest.to_string(),
        ok: checked.fault.is_none(),
        detail: checked.fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_a_revision_and_the_whole_hash() {
        let hash = "9f2c".repeat(16);
        for text in ["r7", "7", "1:7"] {
            let anchor: Anchor = format!("{text}:{hash}").parse().expect("an anchor");
            assert_eq!((anchor.revision, anchor.hash.to_string()), (Revision(7), hash.clone()));
        }
        for text in ["", "r7", "r7:", "r7:9f2c", &format!("3d:{hash}"), &format!("r7:{}é", &hash[..62])] {
            assert_eq!(text.parse::<Anchor>(), Err(NoAnchor), "{text}");
        }
    }
}
