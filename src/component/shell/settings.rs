//! What a topology's configuration says about its shell children.

use std::time::Duration;

use crate::component::multilang::{BytesPolicy, Encoder, Serializer};
use crate::component::{ComponentFailure, Result};
use crate::conf::{Conf, keys};
use crate::wire::storm::ShellComponent;

/// Settings of one task's children.
#[derive(Debug, Clone)]
pub struct Settings {
    pub encoder: Encoder,
    pub handshake_timeout: Duration,
    /// How long a child may be silent.
    pub silence_timeout: Duration,
    /// Between asking a child to end and ending it.
    pub shutdown_timeout: Duration,
    /// Tuples that wait for a child's standard input.
    pub n_pending_max: usize,
    pub message_bytes_max: usize,
    pub n_restarts_max: usize,
    pub restart_window: Duration,
    pub exhausted: Exhausted,
    pub lifecycle: Lifecycle,
    pub acking: Acking,
    /// How long a bolt's tuples can matter to their spouts; none: for ever.
    pub message_timeout: Option<Duration>,
}

/// What becomes of a task whose child dies again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    Stop,
    /// The worker ends, as Storm's does.
    ExitWorker,
}

/// Whether spouts' children hear `activate` and `deactivate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    Told,
    Suppressed,
}

/// Whether the topology tracks tuples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acking {
    On,
    Off,
}

// === impl Settings ===

impl Settings {
    pub fn read(conf: &Conf, component: &ShellComponent) -> Result<Self> {
        let exhausted = conf.text_or(keys::STORMWIRE_SHELL_RESTART_EXHAUSTED, "stop")?;
        let bytes = match conf.flag(keys::STORMWIRE_SHELL_BYTES_BASE64)? {
            Some(true) => BytesPolicy::Base64,
            _ => BytesPolicy::Refuse,
        };
        let worker_timeout = secs(conf, keys::SUPERVISOR_WORKER_TIMEOUT_SECS, 30)?;
        let silence_timeout = match conf.int(keys::TOPOLOGY_SUBPROCESS_TIMEOUT_SECS)? {
            Some(timeout) => Duration::from_secs(u64::try_from(timeout).unwrap_or(0)),
            None => worker_timeout,
        };
        Ok(Settings {
            encoder: Encoder {
                serializer: serializer(conf, component)?,
                bytes,
            },
            handshake_timeout: secs(conf, keys::STORMWIRE_SHELL_HANDSHAKE_TIMEOUT_SECS, 120)?,
            silence_timeout,
            shutdown_timeout: secs(conf, keys::SUPERVISOR_WORKER_SHUTDOWN_SLEEP_SECS, 3)?,
            n_pending_max: count(conf, keys::TOPOLOGY_SHELLBOLT_MAX_PENDING, 100)?.max(1),
            message_bytes_max: count(conf, keys::STORMWIRE_SHELL_MESSAGE_BYTES_MAX, 1 << 26)?,
            n_restarts_max: count(conf, keys::STORMWIRE_SHELL_RESTART_MAX, 10)?,
            restart_window: secs(conf, keys::STORMWIRE_SHELL_RESTART_WINDOW_SECS, 60)?,
            exhausted: match exhausted.as_str() {
                "exit" => Exhausted::ExitWorker,
                _ => Exhausted::Stop,
            },
            lifecycle: match conf.flag(keys::STORMWIRE_SHELL_SUPPRESS_LIFECYCLE)? {
                Some(true) => Lifecycle::Suppressed,
                _ => Lifecycle::Told,
            },
            acking: match conf.int(keys::TOPOLOGY_ACKER_EXECUTORS)? {
                Some(0) => Acking::Off,
                _ => Acking::On,
            },
            message_timeout: conf.message_timeout()?,
        })
    }
}

/// How a component's children are written to. Fails on a class that stands for no serializer of
/// ours: submit asks too.
pub fn serializer(conf: &Conf, component: &ShellComponent) -> Result<Serializer> {
    let class = conf.text(keys::TOPOLOGY_MULTILANG_SERIALIZER)?;
    let configured = match class {
        Some(class) => Serializer::from_class(&class)?,
        None => Serializer::default(),
    };
    Ok(configured.for_script(component.script.as_deref().unwrap_or_default()))
}

fn secs(conf: &Conf, key: &str, default: i64) -> Result<Duration> {
    let secs = conf.int_or(key, default)?;
    let negative = || ComponentFailure::new(format!("{key} is {secs}: it cannot be negative"));
    u64::try_from(secs)
        .map(Duration::from_secs)
        .map_err(|_| negative())
}

fn count(conf: &Conf, key: &str, default: i64) -> Result<usize> {
    let count = conf.int_or(key, default)?;
    let negative = || ComponentFailure::new(format!("{key} is {count}: it cannot be negative"));
    usize::try_from(count).map_err(|_| negative())
}
