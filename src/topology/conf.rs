//! The configuration that one component brings along: its `json_conf`, read and written, and what
//! of it holds at runtime (control-plane 4.4).
//!
//! What the keys mean and which values they take is `crate::conf`'s matter.

use crate::conf::{Conf, ConfError, keys};

use super::{Component, InvalidTopology, cut};

/// What is wrong with a `json_conf`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentConfError {
    #[error("json_conf is not a JSON object: {0}")]
    Json(String),
    /// A value that is not what its key needs; the reason is in Storm's words.
    #[error("{key}: {reason}")]
    Value { key: String, reason: String },
}

/// The `json_conf` of a component; absent reads as empty.
///
/// Errors when it is there and is no JSON object: text that is empty, `null` or a list included.
pub fn json_conf(component: &Component<'_>) -> Result<Conf, InvalidTopology> {
    let Some(text) = &component.common.json_conf else {
        return Ok(Conf::new());
    };
    let failure = |reason| InvalidTopology::ComponentConf {
        component: component.id.to_owned(),
        cause: ComponentConfError::Json(reason),
    };
    // A topology's conf may be blank, a component's may not.
    if text.trim().is_empty() {
        return Err(failure("it is empty".to_owned()));
    }
    Conf::from_json(text).map_err(|error| failure(error.to_string()))
}

/// An integer of a component's conf, which may be the text of one. `None`: absent or null.
pub fn component_int(
    component: &Component<'_>,
    conf: &Conf,
    key: &str,
) -> Result<Option<i32>, InvalidTopology> {
    let value = conf
        .int(key)
        .map_err(|error| InvalidTopology::ComponentConf {
            component: component.id.to_owned(),
            cause: match error {
                ConfError::Value { key, source } => ComponentConfError::Value {
                    key,
                    reason: cut(source.to_string()),
                },
                other => ComponentConfError::Json(cut(other.to_string())),
            },
        })?;
    Ok(value.map(within_32_bits))
}

/// An integer of the topology's conf. `None`: absent or null.
pub fn int(conf: &Conf, key: &str) -> Result<Option<i32>, InvalidTopology> {
    let value = conf.int(key).map_err(InvalidTopology::conf)?;
    Ok(value.map(within_32_bits))
}

/// `Conf::int` refuses what does not fit.
fn within_32_bits(value: i64) -> i32 {
    i32::try_from(value).expect("a 32-bit integer")
}

/// Tasks of a component of a normalised topology: its `topology.tasks`, else one for each executor.
/// May be negative, which makes no task.
pub fn tasks(component: &Component<'_>) -> Result<i32, InvalidTopology> {
    let conf = json_conf(component)?;
    let tasks = component_int(component, &conf, keys::TOPOLOGY_TASKS)?;
    Ok(tasks.unwrap_or_else(|| super::parallelism(component.common)))
}

/// The conf that a component runs with: the topology's, overlaid by what the component may say
/// itself. Of Storm's own keys those are few; keys that Storm does not know always pass.
pub fn component_conf(
    topology_conf: &Conf,
    component: &Component<'_>,
) -> Result<Conf, InvalidTopology> {
    let own = json_conf(component)?.into_map().into_iter();
    let own: Conf = own
        .filter(|(key, _)| keys::is_component_overridable(key))
        .collect();
    Ok(topology_conf.overlay(&own))
}
