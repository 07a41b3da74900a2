//! `org.apache.storm.drpc.PrepareRequest`: splits what a DRPC spout emits into arguments, return
//! info and id, under a request id of the topology's own (data-plane 10.3).

use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Emit, Result, TaskContext};
use crate::tuple::Tuple;
use crate::values;

/// Takes (arguments, return info). Emits (request, arguments), on `ret` (request, return info) and
/// on `id` (request).
#[derive(Default)]
pub struct PrepareRequestBolt;

// === impl PrepareRequestBolt ===

impl Bolt for PrepareRequestBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let (args, info) = (tuple.value(0)?, tuple.value(1)?);
        let request = fastrand::i64(REQUEST_MIN..REQUEST_END);
        let to = |stream| Emit {
            stream,
            anchors: std::slice::from_ref(tuple),
            ..Emit::default()
        };
        out.emit_with(to("default"), values![request, args])?;
        out.emit_with(to("ret"), values![request, info])?;
        out.emit_with(to("id"), values![request])?;
        out.ack(tuple);
        Ok(())
    }
}

/// Storm draws from all longs. Ours go through every language's JSON unharmed, where a number is a
/// double: 53 bits; and none fits an int, whose hash would send it to another task.
const REQUEST_MIN: i64 = 1 << 32;
const REQUEST_END: i64 = 1 << 53;
