use std::{path::PathBuf, sync::Arc};

#[cfg(feature = "etcd")]
use conn3ction_dns::View;
use conn3ction_dns::{Store, Version};
use conn3ction_ledger::{Ledger, ReadError};
use conn3ction_schemas::Revision;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "etcd")]
use crate::{
    Checked, KeyView, Mirror, NotShown, Prefix, Replay, check_prefixes,
    claim::keys_against,
    etcd_view::{self, EtcdView},
    not_shown,
    zone_keys::ZoneKeys,
};
use crate::{
    Claim, NotReached, PrefixError, Progress, RebuildError, Rebuilt, SharedHead, ViewName, content_digest,
    follow::follow_to,
    progress::{Reporter, Watcher},
    rebuild::{Asker, requests},
    records::RecordsView,
    sealing::{Sealing, Start, Successors, keep_answers},
};

/// Which views this process keeps besides the answers.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where and when answers are sealed, so that a restart need not fold the whole ledger; without it nothing is.
    pub seal: Option<Seal>,
    /// The directory of the local records view; without it there is none. It is a cache: it may be deleted at any time.
    pub records: Option<PathBuf>,
    /// The views in etcd, if this process writes them.
    #[cfg(feature = "etcd")]
    pub etcd: Option<EtcdConfig>,
}

/// Where and when answers are sealed.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The file is a cache: it may be deleted at any time.
    pub directory: PathBuf,
    /// Answers are sealed when this many changes came since, and at least a quarter of what is sealed: so the work stays
    /// in proportion to the changes, and a restart folds no more than that.
    pub changes: u64,
}

/// The views in etcd, and where they are.
#[cfg(feature = "etcd")]
#[derive(Debug, Clone)]
pub struct EtcdConfig {
    /// How etcd is reached.
    pub client: conn3ction_ledger::etcd::Client,
    /// `ETCD_PREFIX`, by default `/conn3ction/records`.
    pub records_prefix: String,
    /// `ETCD_ZONES_PREFIX`, by default `/conn3ction/zones`.
    pub zones_prefix: String,
    /// `ETCD_LEDGER_PREFIX`, which the views must keep out of, by default `/conn3ction/ledger`.
    pub ledger_prefix: String,
    /// Zones whose zone keys are written however large they are.
    pub large_zones: Vec<conn3ction_schemas::Name>,
}

/// The views of one process, and their tasks.
#[derive(Debug, Clone)]
pub struct Handle {
    head: SharedHead,
    views: Arc<[Kept]>,
    ledger: LedgerHandle,
    store: Arc<Store>,
    /// Which zone keys this process writes.
    #[cfg(feature = "etcd")]
    zone_keys: Option<Arc<ZoneKeys>>,
    successors: Successors,
    sealed: watch::Receiver<Revision>,
    tasks: TaskTracker,
}

/// A ledger that prints as nothing.
#[derive(Clone)]
struct LedgerHandle(Arc<dyn Ledger>);

impl std::fmt::Debug for LedgerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

/// A view that this process keeps.
#[derive(Debug)]
struct Kept {
    watcher: Watcher,
    /// `None` for the answers, which are rebuilt beside their task.
    rebuilder: Option<Asker<Rebuilt>>,
    /// Asks the task what its medium holds, where only it may look: the local records.
    looker: Option<Asker<Claim>>,
}

/// Why the views cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Two views in etcd would share keys.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The ledger does not say whether what was sealed is its own.
    #[error("reading the ledger for what was sealed")]
    Ledger(#[from] ReadError),
}

/// Starts the views' tasks.
#[derive(Debug)]
pub struct Projector;

impl Projector {
    /// Folds `ledger` into the answers, and into the views that `config` names, until `token` stops it.
    ///
    /// Only what was sealed is waited for, and for the ledger to say that it is its own: the views catch up in the
    /// background, and [`Handle::reached`] says when.
    ///
    /// # Errors
    ///
    /// [`SpawnError`].
    pub async fn spawn(
        config: Config,
        ledger: Arc<dyn Ledger>,
        token: CancellationToken,
    ) -> Result<Handle, SpawnError> {
        let (handle, answers) = Self::begin(config, ledger, token).await?;
        handle.tasks.spawn(answers);
        Ok(handle)
    }

    /// As [`Projector::spawn`], but the fold into the answers, which everything else waits for, is left to the caller to run.
    ///
    /// # Errors
    ///
    /// [`SpawnError`].
    pub async fn begin(
        config: Config,
        ledger: Arc<dyn Ledger>,
        token: CancellationToken,
    ) -> Result<(Handle, impl Future<Output = ()> + Send + use<>), SpawnError> {
        let tasks = TaskTracker::new();
        let (reporter, answers) = Reporter::new(ViewName::Answers);
        let reporter = Arc::new(reporter);
        let mut start = Start::open(config.seal.as_ref().map(|seal| &*seal.directory), &*ledger, &reporter).await?;
        let (store, head) = (start.store.clone(), start.fold.head());
        let (successors, prepared) = Successors::new();
        let (tell_sealed, sealed) = watch::channel(start.fold.at());
        if let Some(seal) = config.seal {
            let (ledger, live, answers) = (ledger.clone(), store.clone(), answers.clone());
            let sealing = Sealing { seal, ledger, live, answers, successors: successors.clone(), sealed: tell_sealed };
            let (task, token) = (sealing.begin(&mut start), token.clone());
            tasks.spawn(async move { token.run_until_cancelled(task).await });
        }
        let mut views = vec![Kept { watcher: answers.clone(), rebuilder: None, looker: None }];
        let keeping = keep_answers(start, ledger.clone(), prepared, reporter, token.clone());
        if let Some(directory) = config.records {
            let (reporter, watcher) = Reporter::new(ViewName::Records);
            let ((rebuilder, rebuilds), (looker, looks)) = (requests(), requests());
            let (ledger, answers, on_disk) = (ledger.clone(), answers.clone(), tasks.clone());
            let task = RecordsView { directory, ledger, answers, reporter, rebuilds, looks, tasks: on_disk };
            tasks.spawn(task.run(token.clone()));
            views.push(Kept { watcher, rebuilder: Some(rebuilder), looker: Some(looker) });
        }
        #[cfg(feature = "etcd")]
        let zone_keys = config.etcd.as_ref().map(EtcdConfig::zone_keys).transpose()?.map(Arc::new);
        #[cfg(feature = "etcd")]
        if let Some(etcd) = config.etcd {
            let source = Source { ledger: &ledger, store: &store, answers: &answers, tasks: &tasks, token: &token };
            views.extend(etcd.spawn(&source)?);
        }
        tasks.close();
        let handle = Handle {
            head,
            views: views.into(),
            ledger: LedgerHandle(ledger),
            store,
            #[cfg(feature = "etcd")]
            zone_keys,
            successors,
            sealed,
            tasks,
        };
        Ok((handle, keeping))
    }
}

/// A view and where it is.
#[cfg(feature = "etcd")]
type Placed = (ViewName, Prefix, Box<dyn KeyView>);

/// What views are made from, and who runs them.
#[cfg(feature = "etcd")]
struct Source<'a> {
    ledger: &'a Arc<dyn Ledger>,
    store: &'a Arc<Store>,
    answers: &'a Watcher,
    tasks: &'a TaskTracker,
    token: &'a CancellationToken,
}

#[cfg(feature = "etcd")]
impl EtcdConfig {
    /// The two prefixes, if they are apart from each other and from everything else of ours in etcd.
    fn prefixes(&self) -> Result<(Prefix, Prefix), PrefixError> {
        let records = Prefix::new("ETCD_PREFIX", &self.records_prefix)?;
        let zones = Prefix::new("ETCD_ZONES_PREFIX", &self.zones_prefix)?;
        let ledger = Prefix::new("ETCD_LEDGER_PREFIX", &self.ledger_prefix)?;
        let checkpoints = Prefix::new("the prefix of checkpoints", crate::etcd_view::txn::CHECKPOINTS)?;
        check_prefixes(&[
            ("ETCD_PREFIX", &records),
            ("ETCD_ZONES_PREFIX", &zones),
            ("ETCD_LEDGER_PREFIX", &ledger),
            ("the prefix of checkpoints", &checkpoints),
        ])?;
        Ok((records, zones))
    }

    fn zone_keys(&self) -> Result<ZoneKeys, PrefixError> {
        let (_, zones) = self.prefixes()?;
        Ok(ZoneKeys::new(zones, self.large_zones.iter().cloned()))
    }

    /// The views, and where they are.
    fn views(&self) -> Result<[Placed; 2], PrefixError> {
        let (records, zones) = self.prefixes()?;
        Ok([
            (ViewName::Mirror, records.clone(), Box::new(Mirror::new(records))),
            (ViewName::ZoneKeys, zones, Box::new(self.zone_keys()?)),
        ])
    }

    /// What the views in etcd say and what they hold, whoever writes them.
    pub async fn claims(&self) -> Vec<Claim> {
        let views = match self.views() {
            Ok(views) => views,
            Err(error) => {
                return [ViewName::Mirror, ViewName::ZoneKeys]
                    .map(|view| Claim::unreadable(view, error.to_string()))
                    .into();
            }
        };
        let mut claims = Vec::new();
        for (name, prefix, view) in views {
            claims.push(etcd_view::claim(&self.client, name, &prefix, view).await);
        }
        claims
    }

    /// Holds the keys that the views in etcd should have right after the last event of `replay` against those that `live`, what
    /// the answers show of it, gives. Blocks as long as it takes to look at every record.
    ///
    /// # Errors
    ///
    /// Two views would share keys.
    pub fn against(&self, replay: &Replay, live: &View) -> Result<Vec<Checked>, PrefixError> {
        let views = self.views()?.into_iter();
        Ok(views.map(|(name, _, view)| keys_against(name, &*view, replay, live)).collect())
    }

    fn spawn(self, source: &Source<'_>) -> Result<[Kept; 2], PrefixError> {
        let views = self.views()?;
        Ok(views.map(|(name, prefix, view)| {
            let (reporter, watcher) = Reporter::new(name);
            let (rebuilder, rebuilds) = requests();
            let task = EtcdView {
                client: self.client.clone(),
                prefix,
                view,
                ledger: source.ledger.clone(),
                store: source.store.clone(),
                answers: source.answers.clone(),
                reporter,
                rebuilds,
            };
            source.tasks.spawn(task.run(source.token.clone()));
            Kept { watcher, rebuilder: Some(rebuilder), looker: None }
        }))
    }
}

impl Handle {
    /// What deciding needs besides the records. It stands at the revision that the answers reached, or is about to.
    pub fn head_state(&self) -> &SharedHead {
        &self.head
    }

    /// The answers.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The revision up to which the answers are sealed; 0 if nothing is.
    pub fn sealed(&self) -> Revision {
        *self.sealed.borrow()
    }

    /// Waits until the answers are sealed at `revision` or later; for ever if this process does not seal.
    pub async fn sealed_at(&self, revision: Revision) {
        if self.sealed.clone().wait_for(|sealed| *sealed >= revision).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How far each view is, the answers first. The lag is the distance to the ledger's head.
    pub fn status(&self) -> Vec<(ViewName, Progress)> {
        self.views.iter().map(|kept| (kept.watcher.view(), kept.watcher.now())).collect()
    }

    /// Calls `each` with everything that `view` does not show as it is, at the revision that it stands at. Blocks as long as
    /// it takes to look at every set of the zones that the view shows.
    #[cfg(feature = "etcd")]
    pub fn not_shown(&self, view: ViewName, each: &mut dyn FnMut(NotShown)) {
        if let (Some(kept), Some(keys)) = (self.kept(view), &self.zone_keys) {
            not_shown::all(view, keys, &self.store.at(kept.watcher.now().revision.into()), each);
        }
    }

    /// The views of this process that do not show a record set as it is, and why.
    #[cfg(feature = "etcd")]
    pub fn not_shown_of(
        &self,
        content: &conn3ction_dns::View,
        zone: &conn3ction_schemas::Name,
        owner: &conn3ction_schemas::Name,
        set: (conn3ction_schemas::SetKey, &conn3ction_schemas::RecordSet),
    ) -> Vec<(ViewName, crate::zone_keys::Reason)> {
        let Some(keys) = &self.zone_keys else { return Vec::new() };
        let views = self.views.iter().map(|kept| kept.watcher.view());
        views.filter_map(|view| Some((view, not_shown::reason(view, keys, content, zone, owner, set)?))).collect()
    }

    /// Watches one view; `None` if this process does not keep it.
    pub fn watcher(&self, view: ViewName) -> Option<&Watcher> {
        self.kept(view).map(|kept| &kept.watcher)
    }

    /// Waits until `view` shows `revision`; a view that this process does not keep is not waited for. Callers bound the
    /// wait themselves.
    ///
    /// # Errors
    ///
    /// [`NotReached`] if the view stopped before.
    pub async fn reached(&self, view: ViewName, revision: Revision) -> Result<(), NotReached> {
        match self.kept(view) {
            Some(kept) => kept.watcher.reached(revision).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Builds `view` anew from the ledger, compares, and puts the new one in the place of the old if they differ.
    ///
    /// # Errors
    ///
    /// [`RebuildError`]; the view is as before.
    pub async fn rebuild(&self, view: ViewName) -> Result<Rebuilt, RebuildError> {
        let kept = self.kept(view).ok_or(RebuildError::NotKept)?;
        match &kept.rebuilder {
            Some(rebuilder) => rebuilder.ask().await,
            None => self.rebuild_answers(&kept.watcher).await,
        }
    }

    /// Folds the whole ledger into a store aside, which takes the place of the live one if they differ.
    async fn rebuild_answers(&self, live: &Watcher) -> Result<Rebuilt, RebuildError> {
        let revision = live.now().revision;
        let (reporter, _) = Start::aside();
        let Start { store, mut fold, .. } = Start::empty(&reporter);
        let folded = follow_to(&*self.ledger.0, Revision::ZERO, revision, &mut fold, &reporter).await;
        folded.map_err(RebuildError::Failed)?;
        let at = Version::from(revision);
        let digest = crate::content::digest(&store.at(at));
        let was_right = digest == fold.digest() && digest == crate::content::digest(&self.store.at(at));
        if !was_right {
            self.successors.put(fold).await;
        }
        Ok(Rebuilt { revision, digest, was_right })
    }

    /// What the views of this process say and what they hold, those in etcd excepted ([`EtcdConfig::claims`]).
    pub async fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for kept in &*self.views {
            let (name, now) = (kept.watcher.view(), kept.watcher.now());
            match (name, &kept.looker) {
                (ViewName::Answers, _) => {
                    let store = self.store.clone();
                    let look = move || content_digest(&store.at(now.revision.into()));
                    claims.push(match tokio::task::spawn_blocking(look).await {
                        Ok(held) => Claim::live(name, now.revision, now.digest, held),
                        Err(error) => Claim::unreadable(name, error.to_string()),
                    });
                }
                (_, Some(looker)) => {
                    let claim = looker.ask().await;
                    claims.push(claim.unwrap_or_else(|error| Claim::unreadable(name, error.to_string())));
                }
                (ViewName::Records | ViewName::Mirror | ViewName::ZoneKeys, None) => {}
            }
        }
        claims
    }

    /// Waits until all tasks have ended, after the token stopped them.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }

    fn kept(&self, view: ViewName) -> Option<&Kept> {
        self.views.iter().find(|kept| kept.watcher.view() == view)
    }
}
