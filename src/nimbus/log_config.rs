//! Levels of a topology's loggers: what was asked for, merged as Storm does, and until when.
//!
//! A level whose time is over leaves the record too, so that a worker that starts later does not
//! take it up. What a logger's name means is the worker's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::Fault;
use super::leader::{ChangeError, Edit, Leader};
use super::state::{Controls, Topology};
use crate::clock;
use crate::id::TopologyId;
use crate::limits;
use crate::wire::storm::{LogConfig, LogLevel, LogLevelAction};

/// Merges `config` into the levels of a topology; on disk when this returns.
pub(crate) async fn set(
    leader: Arc<Leader>,
    id: TopologyId,
    config: LogConfig,
) -> Result<(), Fault> {
    let now_ms = clock::wall_millis();
    let merge = |state: &super::state::State| {
        let topology = state.topologies.get(&id);
        let topology = topology.ok_or_else(|| Fault::NotAlive(id.to_string()))?;
        let merged = merged(effective(topology, now_ms), config, now_ms)?;
        Ok::<_, Fault>((edit(topology, merged)?, ()))
    };
    leader.change(merge).await?;
    tracing::info!(topology = %id, "levels of loggers changed");
    Ok(())
}

/// The levels of a topology that are in force.
pub(crate) fn effective(topology: &Topology, now_ms: i64) -> LogConfig {
    let mut config = topology.controls.log_config.clone().unwrap_or_default();
    if let Some(levels) = &mut config.named_logger_level {
        levels.retain(|_, level| !is_over(level, now_ms));
    }
    config
}

/// Takes levels whose time is over out of the records.
pub(crate) async fn expire(leader: &Leader) -> Result<(), ChangeError> {
    let now_ms = clock::wall_millis();
    let state = leader.state();
    if !state.topologies.values().any(|t| has_expired(t, now_ms)) {
        return Ok(());
    }
    let decide = |state: &super::state::State| {
        let mut all = Edit::default();
        for topology in state.topologies.values() {
            if has_expired(topology, now_ms) {
                let left = effective(topology, now_ms);
                all.batch.log_config(&topology.id, &left)?;
                all.topologies
                    .push((topology.id.clone(), Some(with(topology, left))));
            }
        }
        Ok::<_, ChangeError>((all, ()))
    };
    leader.change(decide).await
}

/// Section 3.2: what was there is unchanged, unless the new config says otherwise.
fn merged(old: LogConfig, new: LogConfig, now_ms: i64) -> Result<LogConfig, Fault> {
    let mut merged = old;
    for level in merged.named_logger_level.iter_mut().flatten() {
        level.1.action = LogLevelAction::Unchanged.into();
    }
    for (name, mut level) in new.named_logger_level.into_iter().flatten() {
        check_name(&name)?;
        let levels: &mut BTreeMap<String, LogLevel> =
            merged.named_logger_level.get_or_insert_default();
        match level.action.known() {
            Some(LogLevelAction::Update) => {
                level.reset_log_level_timeout_epoch = end_of(&level, now_ms);
                levels.insert(name, level);
            }
            Some(LogLevelAction::Remove) => drop(levels.remove(&name)),
            Some(LogLevelAction::Unchanged) => {}
            None => {
                let text = format!("logger {name}: the action is none of LogLevelAction");
                return Err(Fault::Internal(text));
            }
        }
    }
    let n_loggers = merged.named_logger_level.as_ref().map_or(0, BTreeMap::len);
    if n_loggers > limits::LOGGERS_MAX {
        return Err(Fault::Internal(format!(
            "{n_loggers} loggers are over the limit of {}: remove some",
            limits::LOGGERS_MAX
        )));
    }
    Ok(merged)
}

fn check_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        let text = "Named loggers need a valid name. Use ROOT for the root logger";
        return Err(Fault::Internal(text.to_owned()));
    }
    if name.len() > limits::TOPOLOGY_ID_BYTES_MAX {
        let n_bytes = name.len();
        return Err(Fault::Internal(format!(
            "a logger's name of {n_bytes} bytes is over the limit of {}",
            limits::TOPOLOGY_ID_BYTES_MAX
        )));
    }
    Ok(())
}

/// Wall milliseconds at which the level is to be reset.
fn end_of(level: &LogLevel, now_ms: i64) -> Option<i64> {
    let secs = level
        .reset_log_level_timeout_secs
        .filter(|secs| *secs > 0)?;
    Some(now_ms.saturating_add(i64::from(secs) * 1000))
}

fn is_over(level: &LogLevel, now_ms: i64) -> bool {
    level
        .reset_log_level_timeout_epoch
        .is_some_and(|end_ms| end_ms <= now_ms)
}

fn has_expired(topology: &Topology, now_ms: i64) -> bool {
    let config = topology.controls.log_config.iter();
    let mut levels = config.flat_map(|config| config.named_logger_level.iter().flatten());
    levels.any(|(_, level)| is_over(level, now_ms))
}

fn edit(topology: &Topology, config: LogConfig) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    edit.batch.log_config(&topology.id, &config)?;
    edit.topologies
        .push((topology.id.clone(), Some(with(topology, config))));
    Ok(edit)
}

fn with(topology: &Topology, config: LogConfig) -> Arc<Topology> {
    topology.with_controls(Controls {
        log_config: Some(config),
        ..topology.controls.as_ref().clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(action: LogLevelAction, timeout_secs: Option<i32>) -> LogLevel {
        LogLevel {
            action: action.into(),
            target_log_level: Some("DEBUG".to_owned()),
            reset_log_level_timeout_secs: timeout_secs,
            // Whatever a client claims.
            reset_log_level_timeout_epoch: Some(1),
            ..LogLevel::default()
        }
    }

    fn config(levels: &[(&str, LogLevel)]) -> LogConfig {
        let levels = levels
            .iter()
            .map(|(name, level)| ((*name).to_owned(), level.clone()));
        LogConfig {
            named_logger_level: Some(levels.collect()),
        }
    }

    #[test]
    fn a_new_config_is_merged_into_the_old_one() {
        use LogLevelAction::{Remove, Unchanged, Update};
        let first = config(&[
            ("ROOT", level(Update, Some(30))),
            ("a.b", level(Update, None)),
        ]);
        let stored = merged(LogConfig::default(), first, 1000).expect("valid");
        let levels = stored.named_logger_level.clone().expect("set");
        assert_eq!(levels["ROOT"].reset_log_level_timeout_epoch, Some(31_000));
        assert_eq!(levels["a.b"].reset_log_level_timeout_epoch, None);
        assert_eq!(levels["a.b"].action.known(), Some(Update));

        let second = config(&[
            ("a.b", level(Remove, None)),
            ("c.d", level(Unchanged, None)),
        ]);
        let stored = merged(stored, second, 2000).expect("valid");
        let levels = stored.named_logger_level.expect("set");
        assert_eq!(levels.keys().collect::<Vec<_>>(), ["ROOT"]);
        assert_eq!(levels["ROOT"].action.known(), Some(Unchanged));
    }

    #[test]
    fn bad_names_and_too_many_loggers_are_refused() {
        use LogLevelAction::Update;
        let update = || level(Update, None);
        for name in ["", &"x".repeat(limits::TOPOLOGY_ID_BYTES_MAX + 1)] {
            let refused = merged(LogConfig::default(), config(&[(name, update())]), 0);
            assert!(refused.is_err(), "{} bytes", name.len());
        }
        let names: Vec<String> = (0..=limits::LOGGERS_MAX).map(|n| n.to_string()).collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), update())).collect();
        assert!(merged(LogConfig::default(), config(&all), 0).is_err());
        assert!(merged(LogConfig::default(), config(&all[1..]), 0).is_ok());
    }
}
