//! What flows from this worker, and where it is held up, for people to see.
//!
//! Reads meters that others keep; nothing here slows a tuple down.

use crate::clock;
use crate::messaging::client::Peer;
use crate::wire::messages::{ExecutorFlow, LinkFlow, WorkerFlow, WorkerLaunch};
use crate::wire::storm::ExecutorInfo;
use crate::worker::shared::{ExecutorHandle, Shared};

/// Since the worker started, or each link began.
pub fn of_worker(shared: &Shared, launch: &WorkerLaunch, uptime_secs: i32) -> WorkerFlow {
    let now_us = clock::monotonic_micros();
    let routes = shared.routes.load();
    let peers = routes.peers().iter();
    // Many workers get nothing from this one, ever.
    let peers = peers.filter(|peer| peer.counters().n_connects() > 0);
    let executors = shared.executors.iter();
    WorkerFlow {
        host: launch.host.clone(),
        port: launch.port,
        uptime_secs,
        links: peers.map(|peer| link(peer, now_us)).collect(),
        executors: executors
            .filter_map(|handle| executor(handle, now_us))
            .collect(),
    }
}

fn link(peer: &Peer, now_us: u64) -> LinkFlow {
    let counters = peer.counters();
    let (face, (n_plain, n_sent)) = (counters.face(), counters.bytes());
    LinkFlow {
        to: peer.address.clone(),
        codec: face.codec.map(str::to_owned),
        cipher: face.cipher.map(str::to_owned),
        plain_bytes: wire(n_plain),
        sent_bytes: wire(n_sent),
        waited_ms: wire(counters.waits.total_us(now_us) / 1000),
    }
}

/// None for one that never waited.
fn executor(handle: &ExecutorHandle, now_us: u64) -> Option<ExecutorFlow> {
    let waited_ms = wire(handle.waits.total_us(now_us) / 1000);
    (waited_ms > 0).then_some(ExecutorFlow {
        executor: ExecutorInfo {
            task_start: handle.id.first.0,
            task_end: handle.id.last.0,
        },
        waited_ms,
    })
}

fn wire(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
