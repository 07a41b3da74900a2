//! `org.apache.storm.drpc.JoinResult`: brings a result and the return info of its request together.
//!
//! What stays alone goes when its tuple tree is over anyway; Storm keeps it for ever.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::RequestKey;
use crate::clock;
use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Emit, Result, TaskContext};
use crate::conf::keys;
use crate::tuple::{HeldTuple, Tuple};
use crate::values;

/// Takes (request, return info) from one component and (request, result) from others. Emits (result
/// as text, return info).
pub struct JoinResultBolt {
    return_component: String,
    alone: HashMap<RequestKey, Half>,
    /// In the order they came; some are joined already.
    ages: VecDeque<(u64, RequestKey)>,
    kept_ms: u64,
}

struct Half {
    tuple: HeldTuple,
    side: Side,
    came_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Return,
    Result,
}

// === impl JoinResultBolt ===

impl JoinResultBolt {
    /// `return_component` is the one whose tuples are return infos.
    pub fn new(return_component: String) -> Self {
        JoinResultBolt {
            return_component,
            alone: HashMap::new(),
            ages: VecDeque::new(),
            kept_ms: 0,
        }
    }

    fn drop_old(&mut self, now_ms: u64, out: &mut Collector<'_>) {
        while let Some((came_ms, key)) = self.ages.front() {
            let is_old = now_ms.saturating_sub(*came_ms) >= self.kept_ms;
            if !is_old && self.ages.len() <= HALVES_MAX {
                break;
            }
            if self
                .alone
                .get(key)
                .is_some_and(|half| half.came_ms == *came_ms)
                && let Some(half) = self.alone.remove(key)
            {
                out.fail(&half.tuple.view());
            }
            self.ages.pop_front();
        }
    }
}

impl Bolt for JoinResultBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let timeout = context.conf().secs(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS)?;
        // Time-outs come up to half as late again.
        let kept = timeout.max(Duration::from_secs(1)) * 2;
        self.kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let side = match tuple.source_component().as_str() == self.return_component {
            true => Side::Return,
            false => Side::Result,
        };
        let key = RequestKey::from(tuple.value(0)?);
        let now_ms = clock::monotonic_millis();
        let other = self.alone.remove(&key);
        let Some(other) = other.filter(|other| other.side != side) else {
            // A second one of the same side takes the place of the first, as in Storm.
            let half = Half {
                tuple: tuple.hold(),
                side,
                came_ms: now_ms,
            };
            self.alone.insert(key.clone(), half);
            self.ages.push_back((now_ms, key));
            self.drop_old(now_ms, out);
            return Ok(());
        };
        let other = other.tuple.view();
        let (result, info) = match side {
            Side::Return => (other, *tuple),
            Side::Result => (*tuple, other),
        };
        let text = result.value(1)?.to_string();
        let emit = Emit {
            anchors: &[result, info],
            ..Emit::default()
        };
        out.emit_with(emit, values![text.as_str(), info.value(1)?])?;
        out.ack(&result);
        out.ack(&info);
        Ok(())
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        if !self.ages.is_empty() {
            self.drop_old(clock::monotonic_millis(), out);
            out.wake_after(LOOK_EVERY);
        }
        Ok(())
    }
}

/// Halves, and memories of those that were joined, that one task keeps.
const HALVES_MAX: usize = 65_536;
const LOOK_EVERY: Duration = Duration::from_secs(1);
