//! Rules on values with a structure: lists of records, maps of maps, the constraints of the
//! resource aware scheduler. The messages are Storm's.
//!
//! Null was dealt with before, save by those that refuse it themselves.

use serde_json::{Map, Value};

use super::{
    JavaType, Violation, has_type, illegal, integer, list_of_text, not_a_map, positive, require,
};
use crate::conf::convert::{self, java_class, java_text};

/// Each entry of a list against a rule for records.
pub fn each(
    field: &str,
    value: &Value,
    rule: impl Fn(&str, &Map<String, Value>) -> Result<(), Violation>,
) -> Result<(), Violation> {
    has_type(field, JavaType::Iterable, value)?;
    let entry_field = format!("{field} list entry");
    for entry in value.as_array().into_iter().flatten() {
        has_type(&entry_field, JavaType::Map, entry)?;
        if let Some(record) = entry.as_object() {
            rule(&entry_field, record)?;
        }
    }
    Ok(())
}

pub fn metrics_consumer(field: &str, record: &Map<String, Value>) -> Result<(), Violation> {
    let class = part(field, record, "class")?;
    let hint = part(field, record, "parallelism.hint")?;
    has_type(field, JavaType::String, class)?;
    integer(field, hint)
}

pub fn metric_reporter(field: &str, record: &Map<String, Value>) -> Result<(), Violation> {
    let class = part(field, record, "class")?;
    match record.get("filter") {
        None => {}
        Some(Value::Object(filter)) => {
            let class = filter.get("class").unwrap_or(&Value::Null);
            has_type("class", JavaType::String, class)?;
        }
        // Storm casts without looking.
        Some(other) => {
            let message = format!("{field}: filter is no map but {}", java_text(other));
            return Err(Violation::CheckFailed(message));
        }
    }
    has_type(field, JavaType::String, class)
}

pub fn event_logger(field: &str, record: &Map<String, Value>) -> Result<(), Violation> {
    has_type(field, JavaType::String, part(field, record, "class")?)?;
    match record.get("arguments") {
        Some(arguments) => has_type(field, JavaType::Map, arguments),
        None => Ok(()),
    }
}

pub fn kryo_register(field: &str, value: &Value) -> Result<(), Violation> {
    let Some(entries) = value.as_array() else {
        return illegal(format!(
            "Field {field} must be an Iterable containing only Strings or Maps of Strings"
        ));
    };
    for entry in entries {
        let fits = match entry {
            Value::Object(names) => names.values().all(Value::is_string),
            other => other.is_string(),
        };
        require(fits, || {
            format!("Each element of the list {field} must be a String or a Map of Strings")
        })?;
    }
    Ok(())
}

/// Refuses null, outside and inside.
pub fn map_of_maps(field: &str, value: &Value) -> Result<(), Violation> {
    let map = |value: &Value| match value {
        Value::Null => illegal(format!("Field {field} must not be null")),
        Value::Object(_) => Ok(()),
        _ => Err(not_a_map(field)),
    };
    map(value)?;
    value
        .as_object()
        .into_iter()
        .flat_map(Map::values)
        .try_for_each(map)
}

pub fn impersonation_acl(field: &str, value: &Value) -> Result<(), Violation> {
    has_type(field, JavaType::Map, value)?;
    let user_field = format!("{field} Map value");
    for user in value.as_object().into_iter().flat_map(Map::values) {
        let rights = match user {
            Value::Null => continue,
            Value::Object(rights) => rights,
            _ => return Err(not_a_map(&user_field)),
        };
        for names in rights.values().filter(|names| !names.is_null()) {
            list_of_text("Each value in the map ", &user_field, names)?;
        }
        for name in ["hosts", "groups"] {
            require(rights.contains_key(name), || {
                format!("{user_field} should contain Map entry with key: {name}")
            })?;
        }
    }
    Ok(())
}

pub fn ports(field: &str, value: &Value) -> Result<(), Violation> {
    has_type(field, JavaType::Iterable, value)?;
    let ports = value.as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, port) in ports.iter().enumerate() {
        require(!ports[..index].contains(port), || {
            let shown = java_text(port);
            format!("{field} should contain no duplicate elements. Duplicated element: {shown}")
        })?;
    }
    let entry_field = format!("{field} list entry");
    for port in ports.iter().filter(|port| !port.is_null()) {
        integer(&entry_field, port)?;
        positive(
            &entry_field,
            port.as_f64().is_some_and(|number| number > 0.0),
        )?;
    }
    Ok(())
}

/// Either form will do; when neither does, Storm tells what both said.
pub fn ras_constraints(field: &str, value: &Value) -> Result<(), Violation> {
    let lists = list_of_lists(&format!("{field} ListOfListOfStringValidator value"), value);
    let maps = map_of_limits(&format!("{field} RasConstraintsTypeValidator value"), value);
    let (Err(lists), Err(maps)) = (lists, maps) else {
        return Ok(());
    };
    let said = |class: &str, message: String| {
        format!("\n\t{VALIDATORS}${class}:java.lang.IllegalArgumentException: {message}")
    };
    illegal(format!(
        "Field {field} must be one of {VALIDATORS}$ListOfListOfStringValidator, \
         {VALIDATORS}$RasConstraintsTypeValidator; parse errors are {};{}",
        said("RasConstraintsTypeValidator", maps),
        said("ListOfListOfStringValidator", lists),
    ))
}

fn list_of_lists(field: &str, value: &Value) -> Result<(), String> {
    let is_texts = |entry: &Value| match entry {
        Value::Array(texts) => texts.iter().all(Value::is_string),
        _ => false,
    };
    match value {
        Value::Array(entries) if entries.iter().all(is_texts) => Ok(()),
        _ => Err(format!(
            "Field {field} must be an Iterable containing only List of List of Strings"
        )),
    }
}

fn map_of_limits(field: &str, value: &Value) -> Result<(), String> {
    let Some(components) = value.as_object() else {
        return Err(format!(
            "Field {field} must be an Iterable containing only Map of Maps"
        ));
    };
    for (component, limits) in components {
        let place = format!("Field {field}, component {component}");
        let Some(limits) = limits.as_object() else {
            return Err(format!(
                "{place}, expecting constraints Map with keys {LIMITS}, in \"{}\"",
                java_text(value)
            ));
        };
        for (name, limit) in limits {
            match name.as_str() {
                "maxNodeCoLocationCnt" => {
                    let shown = java_text(limit);
                    convert::parse_integer::<i32>(&shown).map_err(|_| {
                        format!("{place}, constraint {name} should be a number, not \"{shown}\"")
                    })?;
                }
                "incompatibleComponents" => incompatible(&place, name, limit)?,
                _ => {
                    return Err(format!(
                        "{place}, has unsupported constraintType \"{name}\", expecting one of \
                         {LIMITS}, in \"{}\"",
                        java_text(value)
                    ));
                }
            }
        }
    }
    Ok(())
}

/// A name or a list of names; what is neither passes in Storm, too.
fn incompatible(place: &str, name: &str, limit: &Value) -> Result<(), String> {
    let others = limit.as_array().map(Vec::as_slice).unwrap_or_default();
    match others.iter().find(|other| !other.is_string()) {
        None => Ok(()),
        Some(other) => Err(format!(
            "{place}, constraintType \"{name}\", expecting incompatible component-name, found \
             instance of class \"{}\" value \"{}\"",
            java_class(limit),
            java_text(other)
        )),
    }
}

fn part<'a>(
    field: &str,
    record: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a Value, Violation> {
    record.get(name).ok_or_else(|| {
        Violation::Illegal(format!(
            "Field {field} must have map entry with key: {name}"
        ))
    })
}

const VALIDATORS: &str = "org.apache.storm.validation.ConfigValidation";
const LIMITS: &str = r#"["maxNodeCoLocationCnt", "incompatibleComponents"]"#;
