//! A component's page: all windows, and in one of them its streams and executors; its errors, and
//! where its events are logged.

use std::borrow::Cow;

use super::{Wanted, beats};
use crate::grouping;
use crate::id::{ComponentId, TaskId};
use crate::nimbus::fault::Fault;
use crate::nimbus::info::{Info, Placed};
use crate::nimbus::plan::Plan;
use crate::scheduler::resources::Resources;
use crate::stats::aggregate;
use crate::topology::{self, Component, ComponentKind};
use crate::tuple::ValueRef;
use crate::wire::storm::{ComponentPageInfo, ComponentType};

impl Info<'_> {
    /// `component` is URL-encoded, as Storm's UI sends it.
    pub fn component_page(
        &self,
        (id, component): (Option<&str>, Option<&str>),
        wanted: &Wanted,
    ) -> Result<ComponentPageInfo, Fault> {
        let topology = self.by_id(id)?;
        let plan = self.plan(id)?;
        let component = find(plan, component)?;
        let component_id = ComponentId::from(component.id);
        let kind = match component.kind {
            ComponentKind::Bolt => ComponentType::Bolt,
            ComponentKind::Spout | ComponentKind::StateSpout => ComponentType::Spout,
        };
        let mut placed = self.placed(topology);
        let event_log = event_log(plan, &placed, component.id);
        let event_log = event_log.map(|(host, port)| (host.to_owned(), port));
        placed.retain(|placed| placed.component == component.id);
        let sums = aggregate::component(beats(&placed), kind, wanted.view());
        let errors = self.leader.errors();
        let errors = errors.of(&topology.id, &component_id).to_vec();
        Ok(ComponentPageInfo {
            component_id: component.id.to_owned(),
            component_type: kind.into(),
            topology_id: Some(topology.id.as_str().to_owned()),
            topology_name: Some(topology.name().to_owned()),
            num_executors: Some(sums.n_executors),
            num_tasks: Some(sums.n_tasks),
            window_to_stats: Some(sums.windows),
            gsid_to_input_stats: (kind == ComponentType::Bolt).then_some(sums.inputs),
            sid_to_output_stats: Some(sums.outputs),
            exec_stats: Some(sums.executors),
            errors: Some(errors),
            eventlog_port: event_log.as_ref().map(|(_, port)| *port),
            eventlog_host: event_log.map(|(host, _)| host),
            debug_options: self.debug_of(topology, component.id),
            topology_status: Some(topology.status().name().to_owned()),
            resources_map: plan.request(&component_id).map(Resources::by_name),
        })
    }
}

/// Decoded, or else as it came: not everybody encodes.
fn find<'a>(plan: &'a Plan, asked: Option<&str>) -> Result<Component<'a>, Fault> {
    let asked = asked.ok_or_else(|| Fault::Internal("the component's id is null".to_owned()))?;
    let decoded = decode(asked);
    let decoded = decoded.as_deref().unwrap_or(asked);
    let found = topology::component(&plan.system, decoded)
        .or_else(|| topology::component(&plan.system, asked));
    found.ok_or_else(|| Fault::Internal(format!("there is no component {decoded}")))
}

/// Reads `%XX` and `+` as in the query of a URL; none when a `%` stands before no number.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        rest = others;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, others) = rest.split_at_checked(2)?;
                rest = others;
                let digit = |at: usize| char::from(digits[at]).to_digit(16);
                u8::try_from(digit(0)? * 16 + digit(1)?).ok()?
            }
            other => other,
        });
    }
    Some(Cow::Owned(String::from_utf8_lossy(&decoded).into_owned()))
}

/// Host and port of the event logger that gets a component's events, if it runs.
fn event_log<'a>(plan: &Plan, placed: &[Placed<'a>], component: &str) -> Option<(&'a str, i32)> {
    let is_logger = |entry: &(&TaskId, &ComponentId)| entry.1.as_str() == topology::EVENT_LOGGER;
    let tasks: Vec<TaskId> = plan
        .tasks
        .iter()
        .filter(is_logger)
        .map(|(task, _)| *task)
        .collect();
    let n_tasks = i32::try_from(tasks.len()).ok().filter(|n| *n > 0)?;
    // Events are grouped by the id of their component.
    let index = grouping::deep_hash([ValueRef::Str(component)]).rem_euclid(n_tasks);
    let task = *tasks.get(usize::try_from(index).ok()?)?;
    let found = placed
        .iter()
        .find(|placed| placed.executor.contains(task))?;
    Some((found.host, i32::from(found.slot.port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_as_java_does() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        };
        check("plain-id", Some("plain-id"));
        check("a+b%20c", Some("a b c"));
        check("%C3%A4", Some("ä"));
        check("%2B%2b", Some("++"));
        check("%ff", Some("\u{fffd}"));
        for broken in ["%", "a%2", "%zz", "%+1"] {
            check(broken, None);
        }
    }
}
