//! What this cluster can run, and what Storm accepts only to fail on it later.

use std::collections::BTreeSet;

use crate::conf::keys;
use crate::wire::storm::{ComponentObject, Grouping, StormTopology};

use super::super::{
    Component, ComponentKind, InvalidTopology, PROGRAM, components, conf, custom_grouping,
};
use super::{amount, refuse};

/// Whether this cluster can run the user's topology. `is_native` knows the class names of built-in
/// components.
///
/// Refuses code that needs a JVM, choices left empty, and values that Storm accepts and later fails
/// on.
pub fn runnable(
    topology: &StormTopology,
    is_native: &dyn Fn(&str) -> bool,
) -> Result<(), InvalidTopology> {
    for component in components(topology) {
        has_code(&component, is_native)?;
        has_groupings(&component)?;
        resources(&component)?;
    }
    if topology
        .worker_hooks
        .as_ref()
        .is_some_and(|hooks| !hooks.is_empty())
    {
        return refuse(
            "Topology has worker hooks, which are serialized Java objects: they need a worker on \
             a JVM, which is not there yet"
                .to_owned(),
        );
    }
    shared_memory(topology)
}

fn has_code(
    component: &Component<'_>,
    is_native: &dyn Fn(&str) -> bool,
) -> Result<(), InvalidTopology> {
    let id = component.id;
    if component.kind == ComponentKind::StateSpout {
        return refuse(format!(
            "Component: [{id}] is a state spout, which nothing can run"
        ));
    }
    match component.object {
        ComponentObject::Unset => refuse(format!(
            "Component: [{id}] has no code: its object sets none of serialized_java, shell and \
             java_object"
        )),
        ComponentObject::SerializedJava(_) => refuse(format!(
            "Component: [{id}] is a serialized Java object: it needs a worker on a JVM, which is \
             not there yet. Use a shell component or the class name of a built-in one"
        )),
        // Whether the jar has the program is asked when the jar is open.
        ComponentObject::JavaObject(object) if object.full_class_name == PROGRAM => Ok(()),
        ComponentObject::JavaObject(object) if !is_native(&object.full_class_name) => {
            refuse(format!(
                "Component: [{id}] names the class [{}], which is not one of the built-in \
                 components; other classes need a worker on a JVM, which is not there yet",
                object.full_class_name
            ))
        }
        ComponentObject::JavaObject(_) | ComponentObject::Shell(_) => Ok(()),
    }
}

fn has_groupings(component: &Component<'_>) -> Result<(), InvalidTopology> {
    for (input, grouping) in &component.common.inputs {
        let reason = match grouping {
            Grouping::Unset => "without a grouping: none of its choices is set".to_owned(),
            Grouping::CustomSerialized(_) => "with a serialized Java grouping: it needs a worker \
                                              on a JVM, which is not there yet"
                .to_owned(),
            Grouping::CustomObject(object) if custom_grouping(object).is_none() => format!(
                "with a grouping of the class [{}], which is not built in; other classes need a \
                 worker on a JVM, which is not there yet",
                object.full_class_name
            ),
            _ => continue,
        };
        return refuse(format!(
            "Component: [{}] subscribes from stream: [{}] of component [{}] {reason}",
            component.id, input.stream_id, input.component_id
        ));
    }
    Ok(())
}

fn resources(component: &Component<'_>) -> Result<(), InvalidTopology> {
    let own = conf::json_conf(component)?;
    for key in RESOURCE_KEYS {
        let amount = amount(&own, key).map_err(|error| {
            InvalidTopology::refused(format!("Component: [{}] {key}: {error}", component.id))
        })?;
        if let Some(amount) = amount.filter(|amount| !is_amount(*amount)) {
            let id = component.id;
            return refuse(format!("Component: [{id}] asks for {amount} of {key}"));
        }
    }
    Ok(())
}

fn shared_memory(topology: &StormTopology) -> Result<(), InvalidTopology> {
    let declared = topology.shared_memory.iter().flatten();
    for (name, memory) in declared.clone() {
        let amounts = [memory.on_heap, memory.off_heap_worker, memory.off_heap_node];
        if let Some(amount) = amounts
            .into_iter()
            .flatten()
            .find(|amount| !is_amount(*amount))
        {
            return refuse(format!("Shared memory [{name}] asks for {amount} MB"));
        }
    }
    let declared: BTreeSet<&String> = declared.map(|(name, _)| name).collect();
    for (component, names) in topology.component_to_shared_memory.iter().flatten() {
        // Storm accepts this, and its first scheduling round then ends Nimbus.
        if let Some(name) = names.iter().find(|name| !declared.contains(name)) {
            return refuse(format!(
                "Component: [{component}] uses the shared memory [{name}], which the topology does \
                 not declare"
            ));
        }
    }
    Ok(())
}

fn is_amount(amount: f64) -> bool {
    amount.is_finite() && amount >= 0.0
}

/// What a component may ask a scheduler for.
pub(super) const RESOURCE_KEYS: [&str; 3] = [
    keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT,
];
