//! What several parts read of a topology's conf.

use std::time::Duration;

use super::{Conf, ConfError, keys};

impl Conf {
    /// How long a tuple can matter to its spout; none: for ever, since time-outs are off.
    pub fn message_timeout(&self) -> Result<Option<Duration>, ConfError> {
        if self.flag(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS)? == Some(false) {
            return Ok(None);
        }
        let secs = self.int_or(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 30)?;
        let secs = u64::try_from(secs).unwrap_or(0);
        Ok(Some(Duration::from_secs(secs.max(1))))
    }
}
