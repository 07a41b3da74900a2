//! What a task's context says about its component's peers.

use std::sync::Arc;

use super::desk::Profile;
use super::emission::OutStream;
use super::hall::{Hall, OpenDesk};
use crate::component::{Result, TaskContext};
use crate::conf::{keys, redact};
use crate::messaging::packing::Packing;
use crate::wire::messages::{GatewayRole, GatewayStream};

/// The desk of a task's component in this worker.
pub fn desk(context: &TaskContext, role: GatewayRole) -> Result<Arc<OpenDesk>> {
    let hall: &Arc<Hall> = &context.place().gateway;
    Ok(hall.desk(profile(context, role)?))
}

fn profile(context: &TaskContext, role: GatewayRole) -> Result<Profile> {
    let conf = context.conf();
    let token = conf.text(keys::STORMWIRE_GATEWAY_TOKEN)?;
    let outputs = context.streams().into_iter().map(|(id, info)| OutStream {
        name: id.to_string(),
        fields: info.output_fields,
        is_direct: info.direct,
    });
    let inputs = context.sources().into_keys().map(|(component, stream)| {
        let declared = context.streams_of(component.as_str()).remove(&stream);
        let declared = declared.unwrap_or_default();
        GatewayStream {
            component: component.to_string(),
            stream: stream.to_string(),
            fields: declared.output_fields,
            is_direct: declared.direct,
        }
    });
    Ok(Profile {
        component: context.component().clone(),
        role,
        token: token.filter(|token| !token.is_empty()),
        outputs: outputs.collect(),
        inputs: inputs.collect(),
        conf: redact::conf(conf).to_json(),
        topology_id: context.topology_id().to_string(),
        is_acking: conf.int(keys::TOPOLOGY_ACKER_EXECUTORS)? != Some(0),
        packing: Packing::of(conf)?,
    })
}
