//! The code that a topology names: what makes its components and groupings, by their ids.
//!
//! Every worker of the topology runs the same program and builds the same parts; what is not code
//! of the program, shell and built-in components, comes from [`BuiltIn`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::component::factory::BuiltIn;
use crate::component::{Blueprint, Bolt, ComponentFailure, Factory, Instance, Result, Spout};
use crate::grouping::CustomGrouping;
use crate::id::ComponentId;
use crate::topology;
use crate::wire::storm::{ComponentObject, GlobalStreamId};

/// Makes the components of one topology.
#[derive(Clone, Default)]
pub struct Parts {
    pub(super) makes: BTreeMap<String, Make>,
    /// By subscriber and stream.
    pub(super) groupings: BTreeMap<(String, GlobalStreamId), MakeGrouping>,
    /// Why there are none, where the program failed to build its topology in a worker.
    broken: Option<String>,
}

/// Makes one component, again and again.
#[derive(Clone)]
pub(super) enum Make {
    Spout(Arc<dyn Fn() -> Box<dyn Spout> + Send + Sync>),
    Bolt(Arc<dyn Fn() -> Box<dyn Bolt> + Send + Sync>),
}

pub(super) type MakeGrouping = Arc<dyn Fn() -> Box<dyn CustomGrouping> + Send + Sync>;

// === impl Parts ===

impl Parts {
    /// No parts, and why: what each component of the program's own then reports.
    pub fn broken(reason: impl ToString) -> Self {
        Parts {
            broken: Some(reason.to_string()),
            ..Parts::default()
        }
    }

    fn absent(&self, what: &str) -> ComponentFailure {
        match &self.broken {
            Some(reason) => ComponentFailure::new(reason.as_str())
                .context(format!("this program cannot build its topology for {what}")),
            None => ComponentFailure::new(format!(
                "this program has no {what}: does it build the same topology in each process?"
            )),
        }
    }
}

impl Factory for Parts {
    fn create(&self, component: &ComponentId, blueprint: Blueprint<'_>) -> Result<Instance> {
        let object = match blueprint {
            Blueprint::Spout(spout) => &spout.spout_object,
            Blueprint::Bolt(bolt) => &bolt.bolt_object,
        };
        match object {
            ComponentObject::JavaObject(object) if object.full_class_name == topology::PROGRAM => {}
            _ => return BuiltIn.create(component, blueprint),
        }
        match (self.makes.get(component.as_str()), blueprint) {
            (Some(Make::Spout(make)), Blueprint::Spout(_)) => Ok(Instance::Spout(make())),
            (Some(Make::Bolt(make)), Blueprint::Bolt(_)) => Ok(Instance::Bolt(make())),
            (_, Blueprint::Spout(_)) => Err(self.absent(&format!("spout {component}"))),
            (_, Blueprint::Bolt(_)) => Err(self.absent(&format!("bolt {component}"))),
        }
    }

    fn grouping(
        &self,
        subscriber: &ComponentId,
        stream: &GlobalStreamId,
    ) -> Result<Box<dyn CustomGrouping>> {
        let edge = (subscriber.as_str().to_owned(), stream.clone());
        match self.groupings.get(&edge) {
            Some(make) => Ok(make()),
            None => Err(self.absent(&format!("grouping of {subscriber}"))),
        }
    }
}
