//! Makes the components of a topology: shell children and what is built in.

use crate::component::registry;
use crate::component::shell::{ShellBolt, ShellSpout};
use crate::component::{Blueprint, ComponentFailure, Factory, Instance, Result};
use crate::id::ComponentId;
use crate::wire::storm::ComponentObject;

/// Everything that this program can run without code from elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltIn;

// === impl BuiltIn ===

impl Factory for BuiltIn {
    fn create(&self, component: &ComponentId, blueprint: Blueprint<'_>) -> Result<Instance> {
        let made = match blueprint {
            Blueprint::Spout(spec) => match &spec.spout_object {
                ComponentObject::Shell(shell) => {
                    Instance::Spout(Box::new(ShellSpout::new(shell.clone())))
                }
                ComponentObject::JavaObject(object) => Instance::Spout(registry::spout(object)?),
                other => return Err(unknown(component, other)),
            },
            Blueprint::Bolt(bolt) => match &bolt.bolt_object {
                ComponentObject::Shell(shell) => {
                    Instance::Bolt(Box::new(ShellBolt::new(shell.clone())))
                }
                ComponentObject::JavaObject(object) => Instance::Bolt(registry::bolt(object)?),
                other => return Err(unknown(component, other)),
            },
        };
        Ok(made)
    }
}

fn unknown(component: &ComponentId, object: &ComponentObject) -> ComponentFailure {
    let reason = match object {
        ComponentObject::SerializedJava(_) => {
            "is a serialized Java object, which only a JVM can bring to life"
        }
        _ => "has no object that we know",
    };
    ComponentFailure::new(format!("component {component} {reason}"))
}
