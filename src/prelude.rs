//! What a topology's program names most: `use stormwire::prelude::*`.

pub use crate::builder::{Topology, TopologyBuilder, built_in, shell};
pub use crate::component::native::timer::Pace;
pub use crate::component::window::{Count, Window, WindowCollector, WindowConfig, WindowedBolt};
pub use crate::component::{
    Bolt, Collector, ComponentFailure, Emit, Result, Spout, SpoutCollector, SpoutEmit, TaskContext,
};
pub use crate::conf::keys;
pub use crate::grouping::{Choice, CustomGrouping, GroupedStream};
pub use crate::id::{ComponentId, StreamId, TaskId};
pub use crate::tuple::{HeldTuple, Tuple, Value, ValueRef};
pub use crate::values;
