//! Shell components: Flux's wrapper classes, their constructor and methods.
//!
//! Thrift's `ShellComponent` holds a program and one argument. Further arguments, variables of the
//! child's environment and its directory are settings of the component, which workers here know and
//! Storm's do not.

use serde_json::{Value, json};

use super::DefinitionError;
use super::node::Object;
use super::objects::{Bean, Call};
use super::vertex::Draft;
use crate::component::registry::Kind;
use crate::conf::keys;
use crate::wire::storm::{ComponentObject, ShellComponent};

type Result<T> = std::result::Result<T, DefinitionError>;

/// Which kind a wrapper class makes.
pub fn kind(class: &str) -> Option<Kind> {
    match class {
        SPOUT => Some(Kind::Spout),
        BOLT => Some(Kind::Bolt),
        _ => None,
    }
}

/// The component that a wrapper's constructor and methods make.
pub fn build(object: &Object<'_>, args: &[Bean], calls: &[Call<'_>]) -> Result<Draft> {
    let (command, fields) = match args {
        [command] => (command, None),
        [command, fields] => (command, Some(fields)),
        _ => return Err(object.wrong(format!("constructorArgs: {COMMAND}"))),
    };
    let mut draft = Draft::default();
    let words = words(command).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| object.wrong(format!("constructorArgs: {COMMAND}")))?;
    let (pair, more) = words.split_at(words.len().min(2));
    draft.object = ComponentObject::Shell(ShellComponent {
        execution_command: pair.first().cloned(),
        script: pair.get(1).cloned(),
    });
    if !more.is_empty() {
        draft.set(keys::STORMWIRE_SHELL_ARGUMENTS, json!(more));
    }
    if let Some(fields) = fields {
        let not_names =
            || object.wrong("constructorArgs: after the command come the output fields' names");
        draft.declare("default", fields.texts().ok_or_else(not_names)?);
    }
    for call in calls {
        if !invoke(&mut draft, call) {
            let what = format!(
                "{} with {} arguments is no method of a shell component; those are {METHODS}",
                call.name,
                call.args.len()
            );
            return Err(object.wrong_at(call.node, what));
        }
    }
    Ok(draft)
}

/// Calls a method; false where there is none of the name for these arguments.
fn invoke(draft: &mut Draft, call: &Call<'_>) -> bool {
    match (call.name.as_str(), call.args.as_slice()) {
        ("setDefaultStream", [fields]) => match fields.texts() {
            Some(fields) => draft.declare("default", fields),
            None => return false,
        },
        ("setNamedStream", [stream, fields]) => match (stream.text(), fields.texts()) {
            (Some(stream), Some(fields)) => draft.declare(stream, fields),
            _ => return false,
        },
        ("addComponentConfig", [key, value]) => match (key.text(), value.plain()) {
            (Some(key), Some(value)) => draft.set(key, value),
            _ => return false,
        },
        ("setEnv", [Bean::Plain(Value::Object(variables))]) => {
            draft.set(keys::STORMWIRE_SHELL_ENVIRONMENT, json!(variables));
        }
        ("changeChildCWD", [Bean::Plain(Value::Bool(changes))]) => match changes {
            true => draft.unset(keys::STORMWIRE_SHELL_CHANGE_DIRECTORY),
            false => draft.set(keys::STORMWIRE_SHELL_CHANGE_DIRECTORY, json!(false)),
        },
        _ => return false,
    }
    true
}

/// The words of a command; numbers among them are meant as text.
fn words(command: &Bean) -> Option<Vec<String>> {
    let Value::Array(words) = command.plain()? else {
        return None;
    };
    let word = |word: Value| match word {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    words.into_iter().map(word).collect()
}

const SPOUT: &str = "org.apache.storm.flux.wrappers.spouts.FluxShellSpout";
/// The wrapper that errors recommend.
pub const BOLT: &str = "org.apache.storm.flux.wrappers.bolts.FluxShellBolt";

const COMMAND: &str = "the command comes first, as in [python3, bolt.py], then, if it emits \
                       anything, the output fields, as in [word, count]";

const METHODS: &str = "setDefaultStream([fields]), setNamedStream(stream, [fields]), \
                       addComponentConfig(key, value), setEnv({name: value}) and \
                       changeChildCWD(true or false)";
