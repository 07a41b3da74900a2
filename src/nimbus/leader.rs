//! The core that all of Nimbus's services share: state, store, blobs, heartbeats, and how they
//! change.
//!
//! A change is decided on the newest state, committed to the store, and only then seen by anybody.
//! What is decided, and why, stands in the files of each action.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::beats::Beats;
use super::blob_sessions::BlobSessions;
use super::downloads::Downloads;
use super::errors::Errors;
use super::history::History;
use super::news::{News, Topic};
use super::plan::{BlobKeys, Plan};
use super::profiler;
use super::rebalance;
use super::settings::Settings;
use super::state::{Assigned, Controls, State, Topology};
use super::stillness::Stillness;
use super::tokens::Tokens;
use super::transition::{Lifecycle, Pending};
use super::uploads::Uploads;
use crate::auth::Gate;
use crate::auth::door::Key;
use crate::backoff::Backoff;
use crate::blob::{BlobError, LocalBlobs};
use crate::clock;
use crate::cluster::{Batch, ClusterState, StoreError, Stored, StoredKey, StoredTopology};
use crate::conf::Conf;
use crate::id::{NodeId, TopologyId};
use crate::limits;
use crate::wire::WireError;
use crate::wire::messages::RedoRecord;
use crate::wire::storm::{LSTopoHistory, TopologyStatus};

/// What every service and timer of one Nimbus shares.
pub(crate) struct Leader {
    pub settings: Settings,
    /// The daemon's conf.
    pub conf: Conf,
    pub cluster: ClusterState,
    pub blobs: Arc<LocalBlobs>,
    pub uploads: Uploads,
    pub downloads: Downloads,
    pub blob_sessions: BlobSessions,
    pub known_class: fn(&str) -> bool,
    /// Guards every call.
    pub gate: Gate,
    /// Supervisors that get no new work.
    pub blacklisted: ArcSwap<BTreeSet<NodeId>>,
    /// Of workers.
    pub tokens: Tokens,
    /// How Nimbus enters supervisors.
    pub supervisor_key: Key,
    /// When this Nimbus came up, in monotonic milliseconds.
    pub boot_ms: u64,
    /// Names that are being submitted.
    pub submitting: Mutex<BTreeSet<String>>,
    /// Something may be placed now: run a round.
    pub schedule_soon: Notify,
    /// A due time changed.
    pub due_changed: Notify,
    /// The port that clients were told, once it is bound.
    pub thrift_port: std::sync::OnceLock<u16>,
    state: ArcSwap<State>,
    beats: Mutex<Beats>,
    errors: Mutex<Errors>,
    stillness: Mutex<Stillness>,
    history: Mutex<History>,
    pub news: News,
    stop: watch::Sender<bool>,
    writer: tokio::sync::Mutex<()>,
    n_submitted: AtomicU64,
}

/// A change of state: what goes to disk, and what then is so.
#[derive(Default)]
pub(crate) struct Edit {
    pub batch: Batch,
    /// None removes.
    pub topologies: Vec<(TopologyId, Option<Arc<Topology>>)>,
    /// What the batch has for blobs: it is in their files before anybody sees the change.
    pub redo: Vec<(TopologyId, RedoRecord)>,
    /// Entries of `batch` that the history gains.
    pub history: Vec<LSTopoHistory>,
    /// Keys of workers in `batch`: in force before anybody sees the change.
    pub keys: Vec<StoredKey>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] WireError),
}

/// Why a Nimbus could not take up its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// What a leader is made of.
pub(crate) struct Parts {
    pub settings: Settings,
    pub conf: Conf,
    pub cluster: ClusterState,
    pub blobs: LocalBlobs,
    pub uploads: Uploads,
    pub known_class: fn(&str) -> bool,
    pub gate: Gate,
    pub tokens: Tokens,
    pub supervisor_key: Key,
}

// === impl Leader ===

impl Leader {
    /// Takes up where the last leader ended: topologies as stored, everybody counted as heard of
    /// now, half-made submits cleared away.
    pub async fn restore(parts: Parts) -> Result<Arc<Self>, RestoreError> {
        let boot_ms = clock::monotonic_millis();
        let stored = parts.cluster.load().await?;
        clear_half_made(&parts.blobs, &stored)?;
        redo(&parts, &stored).await?;
        parts.tokens.restore(stored.keys);
        let mut topologies = BTreeMap::new();
        let mut beats = Beats::default();
        let mut errors = Errors::default();
        let history = History::restored(stored.history);
        for stored in stored.topologies {
            let id = stored.id.clone();
            errors.restored(&id, stored.errors.clone());
            let topology = restored(stored, &parts, boot_ms);
            if let Some(assigned) = &topology.assigned {
                beats.restored(&id, &assigned.placement, boot_ms);
            }
            topologies.insert(id, Arc::new(topology));
        }
        let version = clock::wall_micros();
        Ok(Arc::new(Leader {
            downloads: Downloads::new(parts.settings.ages.session),
            blob_sessions: BlobSessions::new(parts.settings.blob_session_age),
            settings: parts.settings,
            conf: parts.conf,
            cluster: parts.cluster,
            blobs: Arc::new(parts.blobs),
            uploads: parts.uploads,
            known_class: parts.known_class,
            gate: parts.gate,
            blacklisted: ArcSwap::default(),
            tokens: parts.tokens,
            supervisor_key: parts.supervisor_key,
            boot_ms,
            submitting: Mutex::default(),
            schedule_soon: Notify::new(),
            due_changed: Notify::new(),
            thrift_port: std::sync::OnceLock::new(),
            state: ArcSwap::from_pointee(State::new(topologies, version)),
            beats: Mutex::new(beats),
            errors: Mutex::new(errors),
            stillness: Mutex::default(),
            history: Mutex::new(history),
            news: News::new(version),
            stop: watch::channel(false).0,
            writer: tokio::sync::Mutex::default(),
            n_submitted: AtomicU64::new(0),
        }))
    }

    /// The newest state.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Never held across an await.
    pub fn beats(&self) -> MutexGuard<'_, Beats> {
        lock(&self.beats)
    }

    /// Never held across an await.
    pub fn stillness(&self) -> MutexGuard<'_, Stillness> {
        lock(&self.stillness)
    }

    /// Never held across an await.
    pub fn errors(&self) -> MutexGuard<'_, Errors> {
        lock(&self.errors)
    }

    /// Never held across an await.
    pub fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// Decides on the newest state, makes it durable, then shows it. `decide` may refuse, and may
    /// find that nothing is to be done (an empty edit).
    ///
    /// Must run to its end once begun: callers whose own task may be dropped spawn it (`detached`).
    pub async fn change<T, E: From<ChangeError>>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Edit, T), E>,
    ) -> Result<T, E> {
        let _writer = self.writer.lock().await;
        let state = self.state();
        let (edit, outcome) = decide(&state)?;
        if edit.batch.is_empty() && edit.topologies.is_empty() {
            return Ok(outcome);
        }
        if !edit.batch.is_empty() {
            let committed = self.cluster.commit(edit.batch).await;
            committed.map_err(ChangeError::Store)?;
        }
        self.tokens.take_up(edit.keys);
        if !edit.redo.is_empty() {
            self.redo(edit.redo).await;
        }
        self.history().extend(edit.history);
        if !edit.topologies.is_empty() {
            self.show(&state, edit.topologies);
        }
        Ok(outcome)
    }

    /// Brings contents of blobs that were just committed into their files, before anybody sees the
    /// change. What fails is tried again, and at last done at the next start: until then
    /// supervisors get what was there before.
    async fn redo(&self, mut redo: Vec<(TopologyId, RedoRecord)>) {
        let mut batch = Batch::default();
        let mut backoff = Backoff::new(REDO_PAUSE_MIN, REDO_PAUSE_MAX);
        for attempt in 1..=limits::REDO_ATTEMPTS_MAX {
            let blobs = Arc::clone(&self.blobs);
            let done = tokio::task::spawn_blocking(move || {
                let written = |(id, redo): (TopologyId, RedoRecord)| match rebalance::redo(
                    &blobs, &id, &redo,
                ) {
                    Ok(()) => Ok(id),
                    Err(error) => {
                        tracing::error!(topology = %id, attempt, %error, "blobs are not written");
                        Err((id, redo))
                    }
                };
                redo.into_iter().map(written).collect::<Vec<_>>()
            });
            let outcomes = match done.await {
                Ok(outcomes) => outcomes,
                Err(error) => return tracing::error!(%error, "blobs are old until a restart"),
            };
            redo = Vec::new();
            for outcome in outcomes {
                match outcome {
                    Ok(id) => batch.remove_redo(&id),
                    Err(failed) => redo.push(failed),
                }
            }
            if redo.is_empty() || attempt == limits::REDO_ATTEMPTS_MAX {
                break;
            }
            tokio::time::sleep(backoff.next_delay(fastrand::f64())).await;
        }
        let forgotten = self.cluster.commit(batch).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "blobs are written again at the next start");
        }
    }

    /// Returns when something changed about a topic since the version `known`, when the time is
    /// over, or when Nimbus stops.
    pub async fn wait_for_news(&self, topic: Topic<'_>, known: i64, wait_max: Duration) {
        let mut stop = self.stop.subscribe();
        let now = self.state.load().version;
        let changed = self.news.wait(topic, known, now);
        let stopped = async {
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        tokio::select! {
            () = changed => {}
            () = stopped => {}
            () = tokio::time::sleep(wait_max) => {}
        }
    }

    /// Whether a topology of that id lives or is being submitted.
    pub fn is_live(&self, id: &TopologyId) -> bool {
        let is_of = |name: &String| {
            let rest = id.as_str().strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        self.state().topologies.contains_key(id) || lock(&self.submitting).iter().any(is_of)
    }

    /// Storm's counter in topology ids, from 1 in each run.
    pub fn next_submit(&self) -> u64 {
        self.n_submitted.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Ends all waits and timers.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Becomes true when Nimbus stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    fn show(&self, state: &State, changed: Vec<(TopologyId, Option<Arc<Topology>>)>) {
        let mut topologies = state.topologies.clone();
        let now_ms = clock::monotonic_millis();
        let mut nodes = BTreeSet::new();
        let (mut ids, mut gone) = (Vec::new(), Vec::new());
        for (id, topology) in changed {
            let old = topologies.get(&id).cloned();
            for side in old.iter().chain(&topology) {
                nodes.extend(side.slots().map(|slot| slot.node.clone()));
            }
            match topology {
                Some(new) => {
                    self.note_placement(old.as_deref(), &new, now_ms);
                    topologies.insert(id.clone(), new);
                    ids.push(id);
                }
                None => {
                    self.beats().removed(&id);
                    self.stillness().removed(&id);
                    self.errors().removed(&id);
                    self.tokens.removed(&id);
                    topologies.remove(&id);
                    gone.push(id);
                }
            }
        }
        let version = state.version + 1;
        self.state.store(Arc::new(State::new(topologies, version)));
        // Whoever hears of it finds it done.
        let topics = ids.iter().map(Topic::Topology);
        self.news
            .tell(topics.chain(nodes.iter().map(Topic::Node)), version);
        gone.iter().for_each(|id| self.news.forget_topology(id));
        self.due_changed.notify_one();
    }

    fn note_placement(&self, old: Option<&Topology>, new: &Topology, now_ms: u64) {
        let old = old.and_then(|topology| topology.assigned.as_ref());
        let Some(assigned) = &new.assigned else {
            return;
        };
        if old.is_some_and(|old| Arc::ptr_eq(old, assigned)) {
            return;
        }
        let none = BTreeMap::new();
        let before = old.map_or(&none, |old| &old.placement);
        self.beats()
            .assigned(&new.id, before, &assigned.placement, now_ms);
        self.stillness().assigned(&new.id, &new.slots().collect());
    }
}

fn restored(stored: StoredTopology, parts: &Parts, now_ms: u64) -> Topology {
    let StoredTopology {
        id,
        base,
        assignment,
        deadline,
        log_config,
        credentials,
        profiles,
        redo: _,
        errors: _,
    } = stored;
    let plan = match Plan::load(&parts.blobs, &id, &parts.conf) {
        Ok(plan) => Some(Arc::new(plan)),
        Err(error) => {
            tracing::error!(topology = %id, %error, "a topology's blobs are damaged: it stays as \
                it is and can only be killed");
            None
        }
    };
    let executors = match (&plan, &base.component_executors) {
        (Some(plan), Some(hints)) => plan.executors(hints),
        _ => BTreeMap::new(),
    };
    let pending = deadline.map(|deadline| Pending {
        left: millis(deadline.due_ms.saturating_sub(clock::wall_millis())),
        delay: millis(deadline.delay_ms),
    });
    // A status that only a newer version knows must not make spouts run.
    let status = base.status.known().unwrap_or(TopologyStatus::Inactive);
    let previous = base.prev_status.and_then(|previous| previous.known());
    Topology {
        id,
        base,
        lifecycle: Lifecycle::resumed(status, previous, pending, now_ms),
        plan,
        executors: Arc::new(executors),
        assigned: assignment.map(|record| Arc::new(Assigned::new(record, now_ms))),
        sched_status: None,
        controls: Arc::new(Controls {
            log_config,
            credentials,
            profiles: profiler::by_key(profiles),
        }),
    }
}

/// Finishes changes that had been committed when the last leader ended.
async fn redo(parts: &Parts, stored: &Stored) -> Result<(), RestoreError> {
    let mut batch = Batch::default();
    for topology in &stored.topologies {
        if let Some(redo) = &topology.redo {
            tracing::info!(topology = %topology.id, "a change of its blobs is finished");
            rebalance::redo(&parts.blobs, &topology.id, redo)?;
            batch.remove_redo(&topology.id);
        }
    }
    Ok(parts.cluster.commit(batch).await?)
}

/// Removes blobs of topologies that never came to be, or whose removal was cut short.
fn clear_half_made(blobs: &LocalBlobs, stored: &Stored) -> Result<(), BlobError> {
    let known = stored.topologies.iter().map(|topology| &topology.id);
    let known: BTreeSet<&TopologyId> = known.chain(&stored.damaged).collect();
    for key in blobs.list() {
        if BlobKeys::owner(&key).is_some_and(|owner| !known.contains(&owner)) {
            tracing::info!(%key, "removing a blob that no topology has");
            blobs.delete(&key)?;
        }
    }
    Ok(())
}

/// Runs to its end even when the caller's own task is dropped, as happens when its peer is gone.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::spawn(work).await
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between attempts to write blobs: all changes wait meanwhile.
const REDO_PAUSE_MIN: Duration = Duration::from_millis(50);
const REDO_PAUSE_MAX: Duration = Duration::from_secs(1);
