//! `org.apache.storm.drpc.DRPCSpout`: the requests of one function, from the servers that
//! `drpc.servers` names (data-plane 10.2).
//!
//! Nothing is asked again and again: servers of ours hold the question until there is an answer.

use std::sync::Arc;

use super::access::Access;
use super::answer::{Answer, Answering, Told, Word};
use super::fetch::{Fetching, Subject};
use super::{ReturnInfo, runtime};
use crate::component::{ComponentFailure, Result, Spout, SpoutCollector, TaskContext};
use crate::conf::keys;
use crate::rpc::client::Address;
use crate::tuple::Value;
use crate::values;

/// Emits (arguments, return info as JSON), tracked. A tuple that fails fails its request.
pub struct DrpcSpout {
    function: String,
    servers: Vec<Server>,
    told: Option<Arc<Told>>,
}

struct Server {
    fetching: Fetching,
    answering: Answering,
}

// === impl DrpcSpout ===

impl DrpcSpout {
    pub fn new(function: String) -> Self {
        DrpcSpout {
            function,
            servers: Vec::new(),
            told: None,
        }
    }

    fn fail_request(&self, index: usize, id: &str) {
        let Some(server) = self.servers.get(index) else {
            return;
        };
        let answer = Answer {
            number: 0,
            id: id.to_owned(),
            word: Word::Failed,
        };
        if !server.answering.say(answer) {
            // The server fails it when its time is over.
            tracing::warn!(
                id,
                "too many requests failed at once to tell the DRPC server of each"
            );
        }
    }
}

impl Spout for DrpcSpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        let runtime = runtime(context)?;
        let told = Told::new(context.waker());
        let access = Access::new(context);
        let session = format!(
            "{}/{}/{:016x}",
            context.topology_id(),
            context.task(),
            fastrand::u64(..)
        );
        self.servers = own_servers(context)?
            .into_iter()
            .map(|server| {
                let subject = Subject {
                    server: server.clone(),
                    function: self.function.clone(),
                    session: session.clone(),
                };
                Server {
                    fetching: Fetching::start(&runtime, subject, access.clone(), context.waker()),
                    answering: Answering::start(
                        &runtime,
                        server,
                        access.clone(),
                        Arc::clone(&told),
                    ),
                }
            })
            .collect();
        self.told = Some(told);
        Ok(())
    }

    /// At most one request a call, of the first server that has one.
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let mut servers = self.servers.iter().enumerate();
        let taken = servers.find_map(|(index, server)| {
            let request = server.fetching.take()?;
            Some((index, server.fetching.server().clone(), request))
        });
        let Some((index, server, request)) = taken else {
            return Ok(());
        };
        let id = request.request_id;
        let info = ReturnInfo {
            id: id.clone(),
            server,
        };
        let info = info.to_json();
        let message_id = message_id(&id, index);
        let values = values![request.func_args.as_str(), info.as_str()];
        let emitted = out.emit_reliable(values, message_id);
        if emitted.is_err() {
            self.fail_request(index, &id);
        }
        emitted
    }

    fn ready(&self) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|server| server.fetching.has_arrived())
    }

    fn fail(&mut self, id: &Value) {
        if let Some((id, index)) = parse_message_id(id) {
            self.fail_request(index, id);
        }
    }

    fn poll(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        for server in &self.servers {
            if let Some(trouble) = server.fetching.take_trouble() {
                let text = format!("cannot fetch DRPC requests of {}: {trouble}", self.function);
                out.report_error(&ComponentFailure::new(text));
            }
        }
        let told = self.told.as_ref().map(|told| told.take());
        for (_, outcome) in told.into_iter().flatten() {
            if let Err(reason) = outcome {
                let text = format!("cannot tell a DRPC server that a request failed: {reason}");
                out.report_error(&ComponentFailure::new(text));
            }
        }
        Ok(())
    }

    fn activate(&mut self) -> Result<()> {
        self.servers
            .iter()
            .for_each(|server| server.fetching.set_active(true));
        Ok(())
    }

    fn deactivate(&mut self) -> Result<()> {
        self.servers
            .iter()
            .for_each(|server| server.fetching.set_active(false));
        Ok(())
    }

    fn close(&mut self) {
        self.servers.clear();
    }
}

/// All servers when there are fewer tasks than servers, else one for each task in turn.
fn own_servers(context: &TaskContext) -> Result<Vec<Address>> {
    let conf = context.conf();
    let hosts = conf.texts(keys::DRPC_SERVERS)?;
    let port = conf.port(keys::DRPC_INVOCATIONS_PORT)?;
    let missing = "No DRPC servers configured for topology: set drpc.servers";
    if hosts.is_empty() {
        return Err(ComponentFailure::new(missing));
    }
    let n_tasks = context.tasks_of(context.component().as_str()).count();
    let chosen = choose(hosts, n_tasks, context.task_index());
    Ok(chosen
        .into_iter()
        .map(|host| Address::new(host, port))
        .collect())
}

pub(super) fn choose(mut hosts: Vec<String>, n_tasks: usize, index: usize) -> Vec<String> {
    match n_tasks < hosts.len() {
        true => hosts,
        false => vec![hosts.swap_remove(index % hosts.len())],
    }
}

fn message_id(id: &str, index: usize) -> Value {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    Value::List(vec![Value::Str(id.into()), Value::Long(index)])
}

fn parse_message_id(id: &Value) -> Option<(&str, usize)> {
    let Value::List(parts) = id else { return None };
    match parts.as_slice() {
        [Value::Str(id), Value::Long(index)] => Some((id, usize::try_from(*index).ok()?)),
        _ => None,
    }
}
