//! `org.apache.storm.drpc.ReturnResults`: brings (result, return info) to the server that waits for
//! it, and acks when it has it.
//!
//! Many results may be on their way; none holds up the executor.

use std::collections::HashMap;
use std::sync::Arc;

use super::access::Access;
use super::answer::{ANSWERS_MAX, Answer, Answering, Told, Word};
use super::{ReturnInfo, runtime};
use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, ComponentFailure, Result, TaskContext};
use crate::limits;
use crate::rpc::client::Address;
use crate::tuple::{HeldTuple, Tuple, ValueRef};

/// Takes (result, return info). A null result is one: the client is told that there is none.
#[derive(Default)]
pub struct ReturnResultsBolt {
    running: Option<Running>,
}

struct Running {
    runtime: tokio::runtime::Handle,
    servers: HashMap<Address, Answering>,
    access: Access,
    told: Arc<Told>,
    held: HashMap<u64, HeldTuple>,
    n_drawn: u64,
}

// === impl ReturnResultsBolt ===

impl Bolt for ReturnResultsBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.running = Some(Running {
            runtime: runtime(context)?,
            servers: HashMap::new(),
            access: Access::new(context),
            told: Told::new(context.waker()),
            held: HashMap::new(),
            n_drawn: 0,
        });
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        match &mut self.running {
            Some(running) => running.send(tuple),
            None => Ok(()),
        }
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        for (number, outcome) in running.told.take() {
            let Some(held) = running.held.remove(&number) else {
                continue;
            };
            match outcome {
                Ok(()) => out.ack(&held.view()),
                Err(reason) => {
                    out.fail(&held.view());
                    let text = format!("cannot return the result of a DRPC request: {reason}");
                    out.report_error(&ComponentFailure::new(text));
                }
            }
        }
        Ok(())
    }

    fn room(&self) -> usize {
        let n_held = self
            .running
            .as_ref()
            .map_or(0, |running| running.held.len());
        ANSWERS_MAX.saturating_sub(n_held)
    }

    fn cleanup(&mut self) {
        self.running = None;
    }
}

// === impl Running ===

impl Running {
    /// Fails the tuple at once when it cannot be returned whatever the server does.
    fn send(&mut self, tuple: &Tuple<'_>) -> Result<()> {
        let result = match tuple.value(0)? {
            ValueRef::Null => None,
            ValueRef::Str(text) => Some(text.to_owned()),
            // A shell component may return a number where Storm insists on a text.
            other => Some(other.to_string()),
        };
        let n_bytes = result.as_ref().map_or(0, String::len);
        if n_bytes > RESULT_BYTES_MAX {
            let text = format!("a result of {n_bytes} bytes is larger than a server takes");
            return Err(ComponentFailure::new(text));
        }
        let info = ReturnInfo::parse(tuple.str(1)?)?;
        let n_servers = self.servers.len();
        if n_servers >= SERVERS_MAX && !self.servers.contains_key(&info.server) {
            let text = format!(
                "results for more than {SERVERS_MAX} DRPC servers: check what \
                                the bolts make of return infos"
            );
            return Err(ComponentFailure::new(text));
        }
        let (runtime, access, told) = (&self.runtime, &self.access, &self.told);
        let server = self
            .servers
            .entry(info.server)
            .or_insert_with_key(|server| {
                Answering::start(runtime, server.clone(), access.clone(), Arc::clone(told))
            });
        self.n_drawn += 1;
        let answer = Answer {
            number: self.n_drawn,
            id: info.id,
            word: Word::Result(result),
        };
        if !server.say(answer) {
            return Err(ComponentFailure::new(
                "too many results wait for their DRPC server",
            ));
        }
        self.held.insert(self.n_drawn, tuple.hold());
        Ok(())
    }
}

/// Servers that one task returns results to.
const SERVERS_MAX: usize = 1024;
/// With room for the id and the envelope.
const RESULT_BYTES_MAX: usize = limits::FRAME_BYTES_MAX - 4096;
