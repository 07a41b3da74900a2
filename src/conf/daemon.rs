//! Reads that every daemon needs: directories, ports, spans of time, the name of this machine.
//!
//! What one daemon alone reads, it reads in its own settings.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Conf, ConfError, ConversionError, convert, keys};

impl Conf {
    /// `storm.local.dir`, absolute: a relative path is taken from where we run.
    pub fn local_dir(&self) -> Result<PathBuf, ConfError> {
        let dir = self.text_or(keys::STORM_LOCAL_DIR, "storm-local")?;
        // Making a path absolute fails only without a current directory; then it stays as written.
        Ok(std::path::absolute(&dir).unwrap_or_else(|_| dir.into()))
    }

    /// `storm.log.dir`, or `logs` under the local directory.
    pub fn log_dir(&self) -> Result<PathBuf, ConfError> {
        match self
            .text(keys::STORM_LOG_DIR)?
            .filter(|dir| !dir.is_empty())
        {
            Some(dir) => Ok(std::path::absolute(&dir).unwrap_or_else(|_| dir.into())),
            None => Ok(self.local_dir()?.join("logs")),
        }
    }

    /// A port; absent is 0, the system's choice.
    pub fn port(&self, key: &str) -> Result<u16, ConfError> {
        let port = self.int_or(key, 0)?;
        u16::try_from(port).map_err(|_| ConfError::Value {
            key: key.to_owned(),
            source: ConversionError::WrongType(format!("{port} is no port: 0 to 65535")),
        })
    }

    /// A span of time in whole seconds; absent and negative are zero.
    pub fn secs(&self, key: &str) -> Result<Duration, ConfError> {
        let secs = self.int_or(key, 0)?;
        Ok(Duration::from_secs(u64::try_from(secs).unwrap_or(0)))
    }

    /// How long a client waits for a reply, in milliseconds, by a key of Storm's such as
    /// `storm.thrift.socket.timeout.ms`; 0 is for ever, as it is to Java's sockets.
    pub fn reply_wait(&self, key: &str) -> Result<Duration, ConfError> {
        let ms = u64::try_from(self.int_or(key, 600_000)?).unwrap_or(0);
        Ok(match ms {
            0 => Duration::MAX,
            ms => Duration::from_millis(ms),
        })
    }

    /// A map of texts; values of other kinds are taken as their text.
    pub fn text_map(&self, key: &str) -> Result<BTreeMap<String, String>, ConfError> {
        let entries = self.map(key).into_iter().flatten();
        let read = |(name, value): (&String, &serde_json::Value)| {
            let text = convert::text(value).map_err(|source| ConfError::Value {
                key: key.to_owned(),
                source,
            })?;
            Ok((name.clone(), text))
        };
        entries.map(read).collect()
    }

    /// The name under which others reach this machine: `storm.local.hostname`, else the loopback
    /// name where only loopback is bound, else the machine's own.
    pub fn host_name(&self) -> Result<String, ConfError> {
        if let Some(host) = self
            .text(keys::STORM_LOCAL_HOSTNAME)?
            .filter(|host| !host.is_empty())
        {
            return Ok(host);
        }
        let bind = self.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?;
        let is_loopback = bind == "localhost"
            || bind
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        let own = || nix::unistd::gethostname().ok()?.into_string().ok();
        let localhost = || "localhost".to_owned();
        Ok(if is_loopback {
            localhost()
        } else {
            own().unwrap_or_else(localhost)
        })
    }
}
