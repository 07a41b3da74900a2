//! The worker's gateway: the port on which components that are processes of their own connect, and
//! what each call of `Gateway` in messages.thrift does.
//!
//! Turns bytes' structs into the words of `component::gateway` and back. Decides nothing.

mod packed;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::auth::door::{Door, DoorError};
use crate::auth::link_tls::LinkTls;
use crate::clock;
use crate::component::gateway::hall::{Answers, Ask, DeskError, Draft, Hall, Visitor};
use crate::component::registry;
use crate::conf::{ConfError, keys};
use crate::id::TaskId;
use crate::limits;
use crate::messaging::fence::Fence;
use crate::rpc::server::{BindError, Endpoint, Limits, Running, Server};
use crate::rpc::{Caller, Close, Dispatch, Failure};
use crate::wire::messages::gateway::{
    self, EmitError, KeepAliveError, LeaveError, OpenError, ReceiveError,
};
use crate::wire::messages::{
    GatewayDelivery, GatewayEmit, GatewayException, GatewayFates, GatewayFault, GatewayForm,
    GatewayOpen, GatewayRange, GatewayReceive, GatewayReport, GatewayRole, GatewaySession,
    GatewayStream, GatewayTls, WorkerLaunch,
};
use crate::wire::storm::{ComponentObject, StormTopology};
use crate::worker::program::Program;

/// A gateway that is open.
pub struct Gateway {
    hall: Arc<Hall>,
    host: String,
    tls: Option<GatewayTls>,
    running: Running,
    ticking: JoinHandle<()>,
}

/// Tells Nimbus where peers connect.
pub struct GatewayReporter {
    hall: Arc<Hall>,
    host: String,
    tls: Option<GatewayTls>,
    address: SocketAddr,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Serves the calls.
struct GatewayService(Arc<Hall>);

struct GatewayPort(gateway::Dispatcher<GatewayService>, Fence);

// === impl Gateway ===

impl Gateway {
    /// Opens the gateway of a worker that has tasks for it. `links` encrypt its links, if they are.
    pub async fn start(
        (hall, fence): (Arc<Hall>, Fence),
        links: Option<Arc<LinkTls>>,
        program: &Program,
        launch: &WorkerLaunch,
    ) -> Result<Option<Self>, GatewayError> {
        if !has_tasks(program, launch) {
            return Ok(None);
        }
        let conf = &program.conf;
        let host = match &launch.bind_address {
            Some(address) => address.clone(),
            None => conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?,
        };
        let ports = conf.ints(keys::STORMWIRE_GATEWAY_PORTS)?;
        let ports = ports
            .into_iter()
            .filter_map(|port| u16::try_from(port).ok());
        let door = Door::gateway(conf, links)?;
        let tls = match &door {
            Door::Open => None,
            Door::LinkTls(links, _) if links.is_issued() => Some(GatewayTls::Issued),
            _ => Some(GatewayTls::Given),
        };
        let server = bind(&host, ports.collect()).await?;
        let service = GatewayService(Arc::clone(&hall));
        let port = GatewayPort(gateway::Dispatcher(Arc::new(service)), fence);
        Ok(Some(Gateway {
            running: server.serve_behind(Arc::new(port), door),
            host: launch.host.clone(),
            tls,
            ticking: tokio::spawn(tick(Arc::clone(&hall))),
            hall,
        }))
    }

    pub fn reporter(&self) -> GatewayReporter {
        GatewayReporter {
            hall: Arc::clone(&self.hall),
            host: self.host.clone(),
            tls: self.tls,
            address: self.running.address(),
        }
    }

    /// Peers are gone from now on. What is parked ends with the process.
    pub fn stop(self) {
        self.ticking.abort();
        drop(self.running);
    }
}

async fn tick(hall: Arc<Hall>) {
    let mut beats = tokio::time::interval(TICK_EVERY);
    loop {
        beats.tick().await;
        hall.tick(clock::monotonic_millis());
    }
}

/// The first port that is free; without any wish, one that the system chooses.
async fn bind(host: &str, ports: Vec<u16>) -> Result<Server, BindError> {
    let mut wanted = ports.into_iter();
    let mut port = wanted.next().unwrap_or(0);
    loop {
        let endpoint = Endpoint {
            service: "gateway",
            host: host.to_owned(),
            port,
            port_key: keys::STORMWIRE_GATEWAY_PORTS,
        };
        match (
            Server::bind(&endpoint, Limits::default()).await,
            wanted.next(),
        ) {
            (Ok(server), _) => return Ok(server),
            (Err(_), Some(next)) => port = next,
            (Err(error), None) => return Err(error),
        }
    }
}

fn has_tasks(program: &Program, launch: &WorkerLaunch) -> bool {
    let mut executors = launch.executors.iter();
    executors.any(|executor| {
        let component = program.component_of(TaskId(executor.task_start));
        component.is_some_and(|component| is_gateway(&program.view.topology, component.as_str()))
    })
}

fn is_gateway(topology: &StormTopology, component: &str) -> bool {
    let spout = topology.spouts.get(component);
    let spout = spout.map(|spout| &spout.spout_object);
    let bolt = topology.bolts.get(component);
    let object = spout.or_else(|| bolt.map(|bolt| &bolt.bolt_object));
    matches!(object, Some(ComponentObject::JavaObject(object)) if registry::is_gateway(object))
}

// === impl GatewayReporter ===

impl GatewayReporter {
    pub fn report(&self) -> GatewayReport {
        let components = self.hall.report().into_iter().map(|(component, tasks)| {
            let tasks = tasks.into_iter().map(|(task, is_held)| (task.0, is_held));
            (component.to_string(), tasks.collect())
        });
        GatewayReport {
            host: self.host.clone(),
            port: self.address.port().into(),
            components: components.collect(),
            tls: self.tls.map(Into::into),
        }
    }
}

// === impl GatewayPort ===

impl Dispatch for GatewayPort {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        let reply = self.0.dispatch(caller, message).await;
        // A call may have been parked while all of this process stood still.
        match self.1.is_open() {
            true => reply,
            false => Err(Close("this worker was away for too long".to_owned())),
        }
    }

    fn hung_up(&self, caller: &Caller) {
        if let Some(connection) = caller.peer {
            self.0.0.0.hung_up(connection);
        }
    }
}

// === impl GatewayService ===

impl gateway::Service for GatewayService {
    async fn open(
        &self,
        caller: &Caller,
        request: Option<GatewayOpen>,
    ) -> Result<GatewaySession, OpenError> {
        let request = request.ok_or_else(|| absent("request"))?;
        let role = request.role.known().ok_or_else(|| absent("role"))?;
        let ask = ask(&request, caller)?;
        let subject = (request.component.as_str(), role);
        let opened = self.0.open(
            subject,
            request.token.as_deref(),
            &visitor(caller),
            ask.clone(),
        );
        let opened = opened.map_err(wire_form)?;
        let profile = &opened.desk.profile;
        tracing::info!(
            component = %profile.component, peer = ask.peer, session = opened.number,
            "a gateway session began"
        );
        let packing = opened.desk.lock().packing(opened.number);
        let outputs = profile.outputs.iter().map(|stream| GatewayStream {
            component: profile.component.to_string(),
            stream: stream.name.clone(),
            fields: stream.fields.clone(),
            is_direct: stream.is_direct,
        });
        Ok(GatewaySession {
            topology_id: profile.topology_id.clone(),
            tasks: tasks(opened.desk.lock().held(opened.number)),
            outputs: outputs.collect(),
            inputs: profile.inputs.clone(),
            conf: profile.conf.clone(),
            lease_ms: i32::try_from(ask.lease_ms).unwrap_or(i32::MAX),
            credit: wire_count(ask.credit),
            tuples_max: wire_count(limits::GATEWAY_TUPLES_MAX),
            tuple_bytes_max: wire_count(limits::GATEWAY_TUPLE_BYTES_MAX),
            session: opened.secret,
            codec: packing.map(|packing| packing.codec.to_wire().into()),
            pack_above: packing.map(|packing| wire_count(packing.above)),
        })
    }

    async fn emit(
        &self,
        caller: &Caller,
        request: Option<GatewayEmit>,
    ) -> Result<GatewayFates, EmitError> {
        let request = request.ok_or_else(|| absent("request"))?;
        let emitted = async {
            let call = self.0.enter(&request.session, &visitor(caller))?;
            let profile = &call.desk.profile;
            profile.expect(GatewayRole::Spout)?;
            let plain = (request.messages, request.columns);
            let (messages, columns) =
                packed::emitted(call.packing(), plain, request.packed).await?;
            let drafts = Draft::all(&profile.outputs, messages, columns)?;
            if drafts.iter().any(Draft::is_anchored) {
                let text = "a spout's tuples have no anchors".to_owned();
                return Err(DeskError::BadRequest(text));
            }
            call.report(request.errors.unwrap_or_default());
            let default = if drafts.is_empty() { 0 } else { WAIT_MS };
            let wait = wait(request.wait_ms, default);
            call.emit(request.task.map(TaskId), drafts, wait).await
        };
        let reply = emitted.await.map_err(wire_form)?;
        Ok(GatewayFates {
            acked: reply.fates.acked,
            failed: reply.fates.failed,
            credit: wire_count(reply.credit),
            tasks: tasks(reply.tasks),
            is_active: reply.is_active,
        })
    }

    async fn receive(
        &self,
        caller: &Caller,
        request: Option<GatewayReceive>,
    ) -> Result<GatewayDelivery, ReceiveError> {
        let request = request.ok_or_else(|| absent("request"))?;
        let received = async {
            let call = self.0.enter(&request.session, &visitor(caller))?;
            let profile = &call.desk.profile;
            profile.expect(GatewayRole::Bolt)?;
            let plain = (request.messages, request.columns);
            let (messages, columns) =
                packed::emitted(call.packing(), plain, request.packed).await?;
            let drafts = Draft::all(&profile.outputs, messages, columns)?;
            if drafts.iter().any(Draft::is_tracked) {
                let text = "a bolt's tuples have no ids: they have anchors".to_owned();
                return Err(DeskError::BadRequest(text));
            }
            let answers = Answers {
                drafts,
                acks: request.acks.unwrap_or_default(),
                ack_ranges: ranges(request.ack_ranges.unwrap_or_default())?,
                fails: request.fails.unwrap_or_default(),
                task: request.task.map(TaskId),
            };
            call.report(request.errors.unwrap_or_default());
            let tuples_max = request.tuples_max.unwrap_or(TUPLES);
            let tuples_max = usize::try_from(tuples_max).unwrap_or(0);
            let tuples_max = tuples_max.min(limits::GATEWAY_TUPLES_MAX);
            let wait = wait(request.wait_ms, WAIT_MS);
            call.receive(answers, tuples_max, wait).await
        };
        let reply = received.await.map_err(wire_form)?;
        Ok(packed::delivery(reply).await)
    }

    async fn keep_alive(
        &self,
        caller: &Caller,
        session: Option<String>,
    ) -> Result<(), KeepAliveError> {
        let call = self.0.enter(&session.unwrap_or_default(), &visitor(caller));
        call.map(drop).map_err(|error| wire_form(error).into())
    }

    async fn leave(&self, caller: &Caller, session: Option<String>) -> Result<(), LeaveError> {
        let left = self.0.leave(&session.unwrap_or_default(), &visitor(caller));
        left.map_err(|error| wire_form(error).into())
    }
}

/// What a peer asks for, within bounds.
fn ask(request: &GatewayOpen, caller: &Caller) -> Result<Ask, GatewayException> {
    let peer = request.peer.clone().unwrap_or_else(|| match caller.peer {
        Some(address) => address.to_string(),
        None => "unnamed".to_owned(),
    });
    if peer.len() > limits::GATEWAY_PEER_BYTES_MAX {
        let n_max = limits::GATEWAY_PEER_BYTES_MAX;
        let text = format!("a peer's name has at most {n_max} bytes");
        return Err(wire_form(DeskError::Refused(text)));
    }
    let (lease_min, lease_max) = limits::GATEWAY_LEASE_MS;
    let lease_ms = request.lease_ms.unwrap_or(LEASE_MS);
    let credit = request.credit.unwrap_or(CREDIT);
    let tasks_max = request.tasks_max.map(|n| usize::try_from(n).unwrap_or(0));
    Ok(Ask {
        peer,
        connection: caller.peer,
        tasks_max: tasks_max.unwrap_or(usize::MAX),
        lease_ms: u64::from(lease_ms.clamp(lease_min, lease_max).unsigned_abs()),
        credit: usize::try_from(credit.clamp(1, limits::GATEWAY_CREDIT_MAX)).unwrap_or(1),
        form: request
            .form
            .and_then(|form| form.known())
            .unwrap_or(GatewayForm::Tuples),
        codecs: { request.codecs.iter().flatten().copied() }
            .take(limits::GATEWAY_CODECS_MAX)
            .collect(),
    })
}

/// Handles of ranges, no more than a peer can have.
fn ranges(ranges: Vec<GatewayRange>) -> Result<Vec<Range<i64>>, DeskError> {
    let mut n_handles = 0_i64;
    let range = |range: &GatewayRange| {
        n_handles += i64::from(range.count.max(0));
        let end = range.first.checked_add(range.count.max(0).into());
        end.filter(|_| n_handles <= i64::from(limits::GATEWAY_CREDIT_MAX))
            .map(|end| range.first..end)
    };
    let ranges: Option<Vec<_>> = ranges.iter().map(range).collect();
    let wrong = || DeskError::BadRequest("ranges of handles that nobody was given".to_owned());
    ranges.ok_or_else(wrong)
}

fn visitor(caller: &Caller) -> Visitor {
    Visitor {
        connection: caller.peer,
        principal: caller.principal.clone(),
    }
}

fn wait(asked_ms: Option<i32>, default_ms: i32) -> Duration {
    let asked_ms = asked_ms.unwrap_or(default_ms);
    let asked = Duration::from_millis(u64::try_from(asked_ms).unwrap_or(0));
    asked.min(limits::GATEWAY_PARK_MAX)
}

fn tasks(tasks: Vec<TaskId>) -> Vec<i32> {
    tasks.into_iter().map(|task| task.0).collect()
}

fn wire_count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn absent(argument: &str) -> Failure {
    Failure::Internal(format!("`{argument}` is absent"))
}

fn wire_form(error: DeskError) -> GatewayException {
    let kind = match &error {
        DeskError::Refused(_) => GatewayFault::Refused,
        DeskError::NoSession => GatewayFault::NoSession,
        DeskError::BadRequest(_) => GatewayFault::BadRequest,
        DeskError::Full(_) => GatewayFault::Busy,
    };
    GatewayException {
        kind: kind.into(),
        text: error.to_string(),
    }
}

/// Between looks for silent peers: a small part of the shortest lease.
const TICK_EVERY: Duration = Duration::from_millis(250);
/// What a peer gets that asks for nothing else.
const LEASE_MS: i32 = 30_000;
const CREDIT: i32 = 8192;
const TUPLES: i32 = 4096;
const WAIT_MS: i32 = 5000;
