//! The UI as a client of Nimbus: a few connections, each to whichever leads, lent for a request.
//!
//! Repeats no call. Calls carry the UI's own name; what a visitor may is decided before.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::trouble::Trouble;
use crate::auth::door::{Key, Service};
use crate::conf::{Conf, keys};
use crate::http::StartError;
use crate::limits;
use crate::rpc::Failure;
use crate::rpc::client::{ClientOptions, Retries};
use crate::rpc::leader::{Following, LeaderOptions};
use crate::wire::messages::TaskMetric;
use crate::wire::messages::metric_reader::{self, GetTaskMetricsError};
use crate::wire::storm::nimbus::Client;

/// The connections.
pub(super) struct Pool {
    options: LeaderOptions,
    seats: Semaphore,
    idle: Mutex<Vec<Client<Following>>>,
}

/// A client, until it is dropped.
pub(super) struct Lent<'a> {
    client: Client<Following>,
    pool: &'a Pool,
    _seat: SemaphorePermit<'a>,
}

// === impl Pool ===

impl Pool {
    /// Connects with the first call.
    pub fn new(conf: &Conf) -> Result<Self, StartError> {
        let call_wait = conf.reply_wait(keys::STORM_THRIFT_SOCKET_TIMEOUT_MS)?;
        let options = LeaderOptions {
            seeds: conf.texts(keys::NIMBUS_SEEDS)?,
            port: conf.port(keys::NIMBUS_THRIFT_PORT)?,
            tls_port: conf.port(keys::NIMBUS_THRIFT_TLS_PORT)?,
            client: ClientOptions {
                key: Key::new(conf, Service::Nimbus)?,
                // Somebody sits before a browser.
                call_wait_max: call_wait.min(limits::UI_CALL_WAIT_MAX),
                ..ClientOptions::default()
            },
            retries: Retries::NONE,
        };
        Ok(Pool {
            options,
            seats: Semaphore::new(limits::UI_NIMBUS_CONNECTIONS_MAX),
            idle: Mutex::default(),
        })
    }

    /// A client that nobody else has, when there is one.
    pub async fn lend(&self) -> Result<Lent<'_>, Trouble> {
        let seat = timeout(limits::UI_CALL_WAIT_MAX, self.seats.acquire()).await;
        // Nobody closes the semaphore.
        let seat = seat.ok().and_then(Result::ok).ok_or(Trouble::Busy)?;
        let client = self.idle().pop();
        let client = client.unwrap_or_else(|| Client::new(Following::new(self.options.clone())));
        Ok(Lent {
            client,
            pool: self,
            _seat: seat,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Client<Following>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lent ===

impl Lent<'_> {
    /// What a component's tasks report of themselves in numbers. A Nimbus that is not ours has no
    /// such call, and so no metrics.
    pub async fn task_metrics(
        &mut self,
        topology: Option<&str>,
        component: &str,
    ) -> Result<Vec<TaskMetric>, Trouble> {
        let mut reader = metric_reader::Client::new(self.channel());
        let metrics = reader.get_task_metrics(topology, Some(component)).await;
        self.client = Client::new(reader.into_channel());
        match metrics {
            Ok(metrics) => Ok(metrics),
            Err(GetTaskMetricsError::Failure(Failure::UnknownMethod(_))) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The connection; in its place is one that opens with the next call.
    fn channel(&mut self) -> Following {
        let fresh = Client::new(Following::new(self.pool.options.clone()));
        std::mem::replace(&mut self.client, fresh).into_channel()
    }
}

impl Deref for Lent<'_> {
    type Target = Client<Following>;

    fn deref(&self) -> &Client<Following> {
        &self.client
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Client<Following> {
        &mut self.client
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A call that was dropped half-way took its connection with it: the next one opens another.
        let used = Client::new(self.channel());
        self.pool.idle().push(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bound_of_the_conf_is_no_wait_of_nothing() {
        let conf = Conf::defaults().with(keys::STORM_THRIFT_SOCKET_TIMEOUT_MS, 0);
        let pool = Pool::new(&conf).expect("a pool");
        assert_eq!(pool.options.client.call_wait_max, limits::UI_CALL_WAIT_MAX);
    }
}
