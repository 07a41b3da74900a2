//! The functions of storm-starter's DRPC topologies: an argument with exclamation marks.

use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::Tuple;
use crate::values;

/// `BasicDRPCTopology$ExclaimBolt`, for linear topologies: (request, args) in, (request, args!)
/// out.
pub struct ExclaimBolt;

/// `ManualDRPC$ExclamationBolt`, between spout and `ReturnResults`: (args, return info) in,
/// (args!!!, return info) out.
pub struct ManualExclaimBolt;

// === impl ExclaimBolt ===

impl Bolt for ExclaimBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let text = format!("{}!", tuple.str(1)?);
        out.emit(tuple, values![tuple.value(0)?, text.as_str()])?;
        out.ack(tuple);
        Ok(())
    }
}

// === impl ManualExclaimBolt ===

impl Bolt for ManualExclaimBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let text = format!("{}!!!", tuple.str(0)?);
        out.emit(tuple, values![text.as_str(), tuple.value(1)?])?;
        out.ack(tuple);
        Ok(())
    }
}
