//! Makes the components of a topology: shell children and what is built in. Says before, at submit,
//! whether it could.

use crate::component::registry::{self, Kind};
use crate::component::shell::{self, ShellBolt, ShellSpout};
use crate::component::window;
use crate::component::{Blueprint, ComponentFailure, Factory, Instance, Result};
use crate::conf::Conf;
use crate::id::ComponentId;
use crate::topology::{self, Component, ComponentKind};
use crate::wire::storm::{ComponentObject, ShellComponent, StormTopology};

/// Everything that this program can run without code from elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltIn;

/// A component that would fail as soon as it is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Component: [{component}] cannot run: {reason}")]
pub struct UnrunnableError {
    pub component: String,
    pub reason: String,
}

/// Looks for what would fail in every worker: wrong arguments of built-in components, windows that
/// cannot be, shell components without a program or with a serializer that is not there. `conf` is
/// the topology's, complete.
///
/// Which classes are known at all is asked elsewhere (`topology::validate::runnable`).
pub fn check(topology: &StormTopology, conf: &Conf) -> Result<(), UnrunnableError> {
    for component in topology::components(topology) {
        let reason = match component.object {
            ComponentObject::JavaObject(object) if registry::knows(&object.full_class_name) => {
                let kind = match component.kind {
                    ComponentKind::Bolt => Kind::Bolt,
                    _ => Kind::Spout,
                };
                let made = registry::check(object, kind).map_err(ComponentFailure::from);
                let made = made.and_then(|()| match registry::is_windowed(object) {
                    true => window::check(&component, conf),
                    false => Ok(()),
                });
                made.err().map(|failure| failure.to_string())
            }
            ComponentObject::Shell(shell) => shell_problem(&component, shell, conf),
            _ => None,
        };
        if let Some(reason) = reason {
            let component = component.id.to_string();
            return Err(UnrunnableError { component, reason });
        }
    }
    Ok(())
}

fn shell_problem(component: &Component<'_>, shell: &ShellComponent, conf: &Conf) -> Option<String> {
    if shell.execution_command.as_deref().is_none_or(str::is_empty) {
        return Some("its execution_command is empty, no program can be started".to_owned());
    }
    let conf = match topology::component_conf(conf, component) {
        Ok(conf) => conf,
        Err(error) => return Some(error.to_string()),
    };
    shell::serializer(&conf, shell)
        .err()
        .map(|failure| failure.to_string())
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::storm::{Bolt, JavaObject, JavaObjectArg};

    fn topology(object: ComponentObject) -> StormTopology {
        let bolt = Bolt {
            bolt_object: object,
            ..Bolt::default()
        };
        StormTopology {
            bolts: [("b".to_owned(), bolt)].into(),
            ..StormTopology::default()
        }
    }

    #[track_caller]
    fn check_reason(object: ComponentObject, conf: Conf, expected: &str) {
        let found = check(&topology(object), &Conf::defaults().overlay(&conf));
        let found = found.map_or_else(|error| error.to_string(), |()| String::new());
        match expected {
            "" => assert_eq!(found, ""),
            _ => {
                assert!(found.starts_with("Component: [b] cannot run: "), "{found}");
                assert!(found.contains(expected), "{found}");
            }
        }
    }

    fn shell(command: &str) -> ComponentObject {
        ComponentObject::Shell(ShellComponent {
            execution_command: Some(command.to_owned()),
            script: Some("x.py".to_owned()),
        })
    }

    fn native(class: &str, args: &[JavaObjectArg]) -> ComponentObject {
        let (full_class_name, args_list) = (class.to_owned(), args.to_vec());
        ComponentObject::JavaObject(JavaObject {
            full_class_name,
            args_list,
        })
    }

    #[track_caller]
    fn check_window(options: Conf, conf: Conf, expected: &str) {
        let mut topology = topology(native("stormwire.WindowPass", &[]));
        if let Some(bolt) = topology.bolts.get_mut("b") {
            bolt.common.json_conf = Some(options.to_json());
        }
        let found = check(&topology, &Conf::defaults().overlay(&conf));
        let found = found.map_or_else(|error| error.reason, |()| String::new());
        assert_eq!(found, expected);
    }

    #[test]
    fn windows_that_cannot_be_are_told_at_submit() {
        use crate::conf::keys;
        check_window(Conf::new(), Conf::new(), "Window length is not specified");
        let key = keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS;
        check_window(Conf::new().with(key, 5000), Conf::new(), "");
        check_window(
            Conf::new().with(key, 5001),
            Conf::new().with(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 5),
            "Window duration (length + sliding interval) value 5001 is more than \
             topology.message.timeout.secs value 5000",
        );
        let watermarks = keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS;
        check_window(
            Conf::new().with(key, 1).with(watermarks, 0),
            Conf::new(),
            "topology.bolts.watermark.event.interval.ms must be at least 1 [0]",
        );
    }

    #[test]
    fn what_would_fail_in_every_worker_is_told_at_submit() {
        check_reason(shell("python3"), Conf::new(), "");
        check_reason(shell(""), Conf::new(), "execution_command is empty");
        check_reason(
            ComponentObject::Shell(ShellComponent::default()),
            Conf::new(),
            "is empty",
        );
        let key = crate::conf::keys::TOPOLOGY_MULTILANG_SERIALIZER;
        let foreign = Conf::new().with(key, "com.example.Protobuf");
        check_reason(shell("python3"), foreign, "com.example.Protobuf");
        let pyleus = Conf::new().with(key, "com.yelp.pyleus.serializer.MessagePackSerializer");
        check_reason(shell("python3"), pyleus, "");
        check_reason(native("stormwire.NullBolt", &[]), Conf::new(), "");
        check_reason(
            native("stormwire.FileSink", &[]),
            Conf::new(),
            "argument 1 is missing",
        );
        check_reason(
            native("stormwire.ConstSpout", &[]),
            Conf::new(),
            "is a spout, not a bolt",
        );
        check_reason(native("com.example.Bolt", &[]), Conf::new(), "");
    }
}
