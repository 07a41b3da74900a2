//! Components that are built in, by their class names: arguments, what they declare of themselves,
//! and those of their Java classes' methods that mean something here.

use serde_json::{Value, json};

use super::node::Object;
use super::objects::{Bean, Call};
use super::vertex::Draft;
use super::{DefinitionError, shell};
use crate::component::registry;
use crate::conf::keys;
use crate::window::LATE_TUPLE;
use crate::wire::storm::{ComponentObject, JavaObject, JavaObjectArg};

type Result<T> = std::result::Result<T, DefinitionError>;

/// The component that a class, its arguments and its methods make.
pub fn build(
    object: &Object<'_>,
    (class, kind): (&str, registry::Kind),
    args: &[Bean],
    calls: &[Call<'_>],
) -> Result<Draft> {
    if !registry::knows(class) {
        return Err(object.wrong(needs_java(class)));
    }
    if object.get("factory").is_some() {
        return Err(object.wrong(format!("{class} is built in, and made without a factory")));
    }
    let mut draft = Draft::default();
    let args = match args {
        // In Java its constructor is told what it emits.
        [Bean::Fields(fields)] => {
            draft.declare("default", fields.clone());
            &[]
        }
        args => args,
    };
    let args_list = args.iter().map(argument).collect::<Option<_>>();
    let unfit =
        || object.wrong("constructorArgs: built-in components take texts, numbers and booleans");
    let java = JavaObject {
        full_class_name: class.to_owned(),
        args_list: args_list.ok_or_else(unfit)?,
    };
    registry::check(&java, kind).map_err(|error| object.wrong(error.to_string()))?;
    let declared = registry::declared(&java);
    if draft.streams.is_empty() {
        for (stream, fields) in declared.streams {
            let fields = fields.iter().map(|field| (*field).to_owned());
            draft.declare(stream, fields.collect());
        }
    }
    draft.conf = declared.conf;
    let is_windowed = registry::is_windowed(&java);
    if is_windowed {
        draft.conf.get_or_insert_default();
    }
    for call in calls {
        let is_called = match is_windowed {
            true => window_method(&mut draft, call),
            false => method(&mut draft, call),
        };
        if !is_called {
            let known = if is_windowed { WINDOW_METHODS } else { METHODS };
            let what = format!(
                "{} with these {} arguments: {known}",
                call.name,
                call.args.len()
            );
            return Err(object.wrong_at(call.node, what));
        }
    }
    draft.object = ComponentObject::JavaObject(java);
    Ok(draft)
}

/// What there is to do about a class that is not built in.
pub fn needs_java(class: &str) -> String {
    format!(
        "the class {class} is not built in, and running it takes a JVM, which workers here do not \
         have: write it as a shell component ({}), or use a built-in class",
        shell::BOLT
    )
}

fn argument(arg: &Bean) -> Option<JavaObjectArg> {
    let Bean::Plain(value) = arg else { return None };
    Some(match value {
        Value::String(text) => JavaObjectArg::StringArg(text.clone()),
        Value::Bool(flag) => JavaObjectArg::BoolArg(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(long) => JavaObjectArg::LongArg(long),
            None => JavaObjectArg::DoubleArg(number.as_f64()?),
        },
        _ => return None,
    })
}

fn method(draft: &mut Draft, call: &Call<'_>) -> bool {
    match (call.name.as_str(), call.args.as_slice()) {
        ("withOutputFields", [field]) => match field.text() {
            Some(field) => draft.declare("default", vec![field.to_owned()]),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// The methods of Storm's `BaseWindowedBolt`: each is a setting of the component.
fn window_method(draft: &mut Draft, call: &Call<'_>) -> bool {
    match (call.name.as_str(), call.args.as_slice()) {
        ("withWindow", [length]) => {
            return set_length(draft, length) && set_slide(draft, &Bean::Count(1));
        }
        ("withWindow", [length, slide]) => {
            return set_length(draft, length) && set_slide(draft, slide);
        }
        ("withTumblingWindow", [length]) => {
            return set_length(draft, length) && set_slide(draft, length);
        }
        ("withTimestampField", [field]) => match field.text() {
            Some(field) => {
                draft.set(
                    keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME,
                    json!(field),
                );
            }
            None => return false,
        },
        ("withLag", [Bean::Duration(ms)]) => {
            draft.set(keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS, json!(ms));
        }
        ("withWatermarkInterval", [Bean::Duration(ms)]) => {
            draft.set(keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS, json!(ms));
        }
        ("withLateTupleStream", [stream]) => match stream.text() {
            Some(stream) => {
                draft.set(keys::TOPOLOGY_BOLTS_LATE_TUPLE_STREAM, json!(stream));
                draft.declare(stream, vec![LATE_TUPLE.to_owned()]);
            }
            None => return false,
        },
        _ => return false,
    }
    true
}

fn set_length(draft: &mut Draft, length: &Bean) -> bool {
    let (key, length) = match length {
        Bean::Count(n) => (keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT, n),
        Bean::Duration(ms) => (keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS, ms),
        _ => return false,
    };
    draft.set(key, json!(length));
    *length > 0
}

fn set_slide(draft: &mut Draft, slide: &Bean) -> bool {
    let (key, slide) = match slide {
        Bean::Count(n) => (keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT, n),
        Bean::Duration(ms) => (keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_DURATION_MS, ms),
        _ => return false,
    };
    draft.set(key, json!(slide));
    *slide > 0
}

const METHODS: &str = "a built-in component has no such method";

const WINDOW_METHODS: &str = "a windowed bolt has withWindow(length, slide), \
                              withTumblingWindow(length), withTimestampField(field), \
                              withLag(duration), withWatermarkInterval(duration) and \
                              withLateTupleStream(stream); lengths are a `ref` to a Count or a \
                              Duration of BaseWindowedBolt, above zero";
