//! What Nimbus does by the clock beside scheduling: saves reported errors, ends silent sessions,
//! empties the inbox.
//!
//! Steps of topologies that are due are in `steer`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::history;
use super::leader::{ChangeError, Edit, Leader};
use super::{log_config, profiler, tokens};
use crate::clock;
use crate::id::{ComponentId, TopologyId};
use crate::limits;
use crate::wire::storm::ErrorInfo;

/// Runs until Nimbus stops, then saves what is left.
pub(crate) async fn run(leader: Arc<Leader>) {
    let mut stop = leader.stopping();
    let mut cleaned_ms = clock::monotonic_millis();
    let mut purged_ms = None;
    clean_inbox(&leader).await;
    let renew_ms = u64::try_from(leader.settings.renew_period.as_millis()).unwrap_or(u64::MAX);
    let mut renewed_ms = clock::monotonic_millis();
    tokens::renew(&leader).await;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => break,
            () = tokio::time::sleep(PERIOD) => {}
        }
        save_errors(&leader).await;
        expire_controls(&leader).await;
        let now_ms = clock::monotonic_millis();
        leader.uploads.expire_sessions(now_ms);
        leader.downloads.expire(now_ms);
        expire_blob_sessions(&leader, now_ms).await;
        leader.beats().forget_supervisors(FORGET_MS, now_ms);
        forget_news(&leader);
        purged_ms = clean_history(&leader, purged_ms, now_ms).await;
        if now_ms.saturating_sub(renewed_ms) >= renew_ms {
            renewed_ms = now_ms;
            tokens::renew(&leader).await;
        }
        if now_ms.saturating_sub(cleaned_ms) >= period_ms(&leader) {
            cleaned_ms = now_ms;
            clean_inbox(&leader).await;
        }
    }
    save_errors(&leader).await;
}

/// Levels of loggers whose time is over, requests that nobody carried out.
async fn expire_controls(leader: &Leader) {
    for expired in [
        log_config::expire(leader).await,
        profiler::expire(leader).await,
    ] {
        if let Err(error) = expired {
            tracing::warn!(%error, "what is over stays on record until the next attempt");
        }
    }
}

/// Nobody asks for news of what is gone. A supervisor that is heard of again hears everything.
fn forget_news(leader: &Leader) {
    let state = leader.state();
    let beats = leader.beats();
    leader.news.retain(
        |id| state.topologies.contains_key(id),
        |node| beats.has_supervisor(node),
    );
}

/// Forgets old topologies, each interval and at the start, and surplus ones; gives when it last
/// forgot old ones.
async fn clean_history(leader: &Leader, purged_ms: Option<u64>, now_ms: u64) -> Option<u64> {
    let mut cleaned = history::bound(leader).await;
    let mut purged_ms = purged_ms;
    if let Some(expiry) = leader.settings.history_expiry {
        let interval_ms = expiry.interval_secs.unsigned_abs().saturating_mul(1000);
        if purged_ms.is_none_or(|purged_ms| now_ms.saturating_sub(purged_ms) >= interval_ms) {
            purged_ms = Some(now_ms);
            cleaned = cleaned.and(history::purge(leader, expiry).await);
        }
    }
    if let Err(error) = cleaned {
        tracing::warn!(%error, "old entries of the history stay");
    }
    purged_ms
}

async fn save_errors(leader: &Leader) {
    let unsaved = leader.errors().take_unsaved();
    // Together they might exceed what one commit takes, and would be due for ever.
    for some in unsaved.chunks(limits::ERRORS_SAVED_TOGETHER_MAX) {
        save_some(leader, some).await;
    }
}

async fn save_some(leader: &Leader, unsaved: &[(TopologyId, ComponentId, Vec<ErrorInfo>)]) {
    let names: Vec<_> = unsaved
        .iter()
        .map(|(id, component, _)| (id.clone(), component.clone()))
        .collect();
    let saved = leader.change(|state| {
        let known = unsaved
            .iter()
            .filter(|(id, ..)| state.topologies.contains_key(id))
            .cloned();
        Ok::<_, ChangeError>((edit(known)?, ()))
    });
    if let Err(error) = saved.await {
        tracing::warn!(%error, "reported errors could not be saved and are kept in memory");
        leader.errors().put_back(names.into_iter());
    }
}

fn edit(
    errors: impl Iterator<Item = (TopologyId, ComponentId, Vec<ErrorInfo>)>,
) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    for (id, component, errors) in errors {
        edit.batch.errors(&id, &component, errors)?;
    }
    Ok(edit)
}

/// What thousands of sessions left takes a while to remove.
async fn expire_blob_sessions(leader: &Arc<Leader>, now_ms: u64) {
    let leader = Arc::clone(leader);
    let expired = tokio::task::spawn_blocking(move || leader.blob_sessions.expire(now_ms));
    if let Err(error) = expired.await {
        tracing::error!(%error, "sessions of blobs could not be ended");
    }
}

async fn clean_inbox(leader: &Arc<Leader>) {
    let leader = Arc::clone(leader);
    let cleaned =
        tokio::task::spawn_blocking(move || leader.uploads.clean_inbox(SystemTime::now()));
    if let Err(error) = cleaned.await {
        tracing::error!(%error, "the inbox could not be cleaned");
    }
}

fn period_ms(leader: &Leader) -> u64 {
    let period = leader.settings.clean_inbox_period;
    u64::try_from(period.as_millis()).unwrap_or(u64::MAX)
}

const PERIOD: Duration = Duration::from_secs(1);
/// Long after a silent supervisor stopped counting as alive.
const FORGET_MS: u64 = 3_600_000;
