//! What Nimbus reads of its configuration, once, at its start.
//!
//! Keys that concern one submission are read there, from the same conf.

use std::path::PathBuf;
use std::time::Duration;

use super::history::Expiry;
use super::resources::Useful;
use super::uploads::Ages;
use crate::conf::{Conf, ConfError, keys};
use crate::wire::storm::SupervisorInfo;

/// Typed settings. Durations in milliseconds are monotonic.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Absolute.
    pub local_dir: PathBuf,
    /// `blobs` under `blobstore.dir`, which is `storm.local.dir` where it is unset.
    pub blobs_dir: PathBuf,
    pub bind_address: String,
    pub thrift_port: u16,
    pub coordination_port: u16,
    /// 0: no TLS.
    pub tls_port: u16,
    /// What clients are told to connect to.
    pub host: String,
    /// Storm's version that clients see.
    pub version: String,
    pub monitor_period: Duration,
    pub task_timeout_ms: u64,
    pub task_launch_ms: u64,
    /// Silence after which a supervisor counts as lost.
    pub supervisor_timeout_ms: u64,
    /// What is left of a supervisor below this is a fragment.
    pub useful: Useful,
    /// What a worker takes at least, in percent of a core.
    pub worker_cpu_min: f64,
    pub ages: Ages,
    pub clean_inbox_period: Duration,
    /// Of the tokens of workers.
    pub renew_period: Duration,
    pub upload_path_allow: Vec<String>,
    pub download_chunk_bytes: usize,
    /// Whether the scheduler is Storm's resource-aware one, with which clients are told more.
    pub is_resource_aware: bool,
    /// Silence after which a session of a blob is over.
    pub blob_session_age: Duration,
    /// Whether access lists of blobs are held where callers have no names.
    pub is_blob_acl_held: bool,
    /// None: nothing is forgotten for its age.
    pub history_expiry: Option<Expiry>,
}

// === impl Settings ===

impl Settings {
    pub fn read(conf: &Conf) -> Result<Self, ConfError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let session_ms = conf.int_or(keys::STORM_ZOOKEEPER_SESSION_TIMEOUT, 20_000)?;
        let chunk = conf.int_or(keys::STORM_BLOBSTORE_INPUTSTREAM_BUFFER_SIZE_BYTES, 65_536)?;
        let second = Duration::from_secs(1);
        Ok(Settings {
            local_dir: conf.local_dir()?,
            blobs_dir: blobs_dir(conf)?,
            thrift_port: conf.port(keys::NIMBUS_THRIFT_PORT)?,
            coordination_port: conf.port(keys::STORMWIRE_COORDINATION_PORT)?,
            tls_port: conf.port(keys::NIMBUS_THRIFT_TLS_PORT)?,
            host: conf.host_name()?,
            bind_address: conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?,
            version: conf.text_or(keys::STORMWIRE_VERSION_REPORTED, "3.0.0")?,
            monitor_period: conf.secs(keys::NIMBUS_MONITOR_FREQ_SECS)?.max(second),
            task_timeout_ms: millis(conf.secs(keys::NIMBUS_TASK_TIMEOUT_SECS)?),
            task_launch_ms: millis(conf.secs(keys::NIMBUS_TASK_LAUNCH_SECS)?),
            supervisor_timeout_ms: u64::try_from(session_ms).unwrap_or(20_000),
            useful: Useful::read(conf)?,
            worker_cpu_min: conf.float_or(keys::STORM_WORKER_MIN_CPU_PCORE_PERCENT, 0.0)?,
            ages: Ages {
                session: conf.secs(keys::NIMBUS_FILE_COPY_EXPIRATION_SECS)?,
                jar: conf.secs(keys::NIMBUS_INBOX_JAR_EXPIRATION_SECS)?,
            },
            clean_inbox_period: conf.secs(keys::NIMBUS_CLEANUP_INBOX_FREQ_SECS)?.max(second),
            renew_period: conf
                .secs(keys::NIMBUS_CREDENTIAL_RENEW_FREQ_SECS)?
                .max(second),
            upload_path_allow: conf.texts(keys::STORMWIRE_UPLOAD_PATH_ALLOW)?,
            download_chunk_bytes: usize::try_from(chunk).unwrap_or(65_536).max(1),
            history_expiry: Expiry::read(conf)?,
            is_resource_aware: conf
                .text(keys::STORM_SCHEDULER)?
                .is_some_and(|class| class.ends_with(".ResourceAwareScheduler")),
            blob_session_age: conf.secs(keys::NIMBUS_BLOBSTORE_EXPIRATION_SECS)?,
            is_blob_acl_held: conf
                .flag(keys::STORM_BLOBSTORE_ACL_VALIDATION_ENABLED)?
                .unwrap_or(false),
        })
    }

    /// How long after its start Nimbus leaves running topologies as they are, in milliseconds,
    /// while their supervisors have not all reported: by then dead executors are known to be dead
    /// anyway.
    pub fn recovery_ms(&self) -> u64 {
        self.task_timeout_ms.max(self.supervisor_timeout_ms)
    }
}

/// Ports of a supervisor that may carry workers.
pub(crate) fn ports(info: &SupervisorInfo) -> impl Iterator<Item = u16> {
    let ports = info.meta.iter().flatten();
    ports.filter_map(|port| u16::try_from(*port).ok())
}

fn blobs_dir(conf: &Conf) -> Result<PathBuf, ConfError> {
    let chosen = conf.text(keys::BLOBSTORE_DIR)?;
    let base = match chosen.filter(|dir| !dir.is_empty()) {
        Some(dir) => std::path::absolute(&dir).unwrap_or_else(|_| dir.into()),
        None => conf.local_dir()?,
    };
    Ok(base.join("blobs"))
}
