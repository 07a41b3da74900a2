//! Checks values against the rules of their keys, as Storm does at submit and when a daemon starts.
//!
//! The messages are Storm's to the letter, because clients match on them; a class in a message is
//! the one that Storm's YAML reader would have made. Keys that no table knows are never checked.
//! Changes nothing, and reads no file.

use serde_json::Value;

use super::Conf;
use super::convert::{self, ConversionError, java_class, java_text};
use super::keys::{self, Key, Rule, Scope};

mod records;
#[cfg(test)]
mod tests;

/// A value that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Java's IllegalArgumentException: Storm answers InvalidTopologyException with this message.
    #[error("{0}")]
    Illegal(String),
    /// Java's NumberFormatException, a kind of the former: InvalidTopologyException as well.
    #[error("{0}")]
    NotANumber(String),
    /// A class that does not exist: Storm answers with an internal error.
    #[error("{0}")]
    ClassNotFound(String),
    /// A value that Storm's check itself falls over: Storm answers with an internal error.
    #[error("{0}")]
    CheckFailed(String),
}

impl Violation {
    /// Whether Storm answers InvalidTopologyException with the message; an internal error
    /// otherwise.
    pub fn is_invalid_topology(&self) -> bool {
        matches!(self, Violation::Illegal(_) | Violation::NotANumber(_))
    }
}

impl From<ConversionError> for Violation {
    fn from(error: ConversionError) -> Self {
        match error {
            ConversionError::WrongType(message) => Violation::Illegal(message),
            ConversionError::NotANumber(message) => Violation::NotANumber(message),
        }
    }
}

/// Checks a topology's own configuration, without defaults: each key for itself, then keys together
/// (control-plane 4.3). With several violations, the first in key order is reported.
pub fn topology(conf: &Conf) -> Result<(), Violation> {
    for (name, value) in conf.iter() {
        if let Some(key) = keys::find(name).filter(|key| key.scope == Scope::Topology) {
            obeys(key, value)?;
        }
    }
    together(conf)
}

/// Checks one value of a daemon's configuration. A class that is not Storm's is accepted: whoever
/// needs it says that it is not there. So are ports that Storm refuses: 0, which lets the system
/// choose, and -1, which leaves the UI or the log viewer out.
pub fn daemon_value(key: &Key, value: &Value) -> Result<(), Violation> {
    let may_be_off = key.name.starts_with("ui.") || key.name.starts_with("logviewer.");
    match value.as_i64() {
        Some(0) if key.name.ends_with(".port") => return Ok(()),
        Some(-1) if key.name.ends_with(".port") && may_be_off => return Ok(()),
        _ => {}
    }
    match obeys(key, value) {
        Err(Violation::ClassNotFound(_)) => Ok(()),
        other => other,
    }
}

/// The one rule that spans keys: reports upstream carry nothing without weighted means.
fn together(conf: &Conf) -> Result<(), Violation> {
    let is_set = |key| match conf.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => convert::boolean(value),
    };
    if is_set(keys::TOPOLOGY_UPSTREAM_FEEDBACK_ENABLE)?
        && !is_set(keys::TOPOLOGY_STATS_EWMA_ENABLE)?
    {
        return illegal(FEEDBACK_NEEDS_EWMA.to_owned());
    }
    Ok(())
}

fn obeys(key: &Key, value: &Value) -> Result<(), Violation> {
    let field = key.constant;
    for rule in key.rules {
        match rule {
            Rule::NotNull if value.is_null() => {
                return illegal(format!("Field {field}cannot be null! Actual value: null"));
            }
            Rule::MapOfMaps => records::map_of_maps(field, value)?,
            Rule::LoggingSensitivity => logging_sensitivity(field, value)?,
            Rule::PacemakerAuth => pacemaker_auth(field, value)?,
            _ if value.is_null() => {}
            _ => check(*rule, field, value)?,
        }
    }
    Ok(())
}

/// A rule on a value that is not null.
fn check(rule: Rule, field: &str, value: &Value) -> Result<(), Violation> {
    match rule {
        Rule::NotNull | Rule::MapOfMaps => Ok(()),
        Rule::LoggingSensitivity | Rule::PacemakerAuth => Ok(()),
        Rule::Boolean => has_type(field, JavaType::Boolean, value),
        Rule::String => has_type(field, JavaType::String, value),
        Rule::Number => has_type(field, JavaType::Number, value),
        Rule::Map => has_type(field, JavaType::Map, value),
        Rule::Integer => integer(field, value),
        Rule::Long => {
            let whole = whole(value).is_some();
            require(whole, || {
                format!("Field {field} must be an Long within type range.")
            })
        }
        Rule::Positive => positive(field, value.as_f64().is_some_and(|number| number > 0.0)),
        Rule::PositiveOrZero => positive(field, value.as_f64().is_some_and(|n| n >= 0.0)),
        Rule::StringList => list_of_text(NO_OUTER, field, value),
        Rule::StringOrStringList if value.is_string() => Ok(()),
        Rule::StringOrStringList => list_of_text(NO_OUTER, field, value),
        Rule::MapOfString => map_of(field, value, JavaType::String),
        Rule::MapOfNumber => map_of(field, value, JavaType::Number),
        Rule::Implementation => implementation(field, value),
        Rule::KryoRegister => records::kryo_register(field, value),
        Rule::MetricsConsumers => records::each(field, value, records::metrics_consumer),
        Rule::MetricReporters => records::each(field, value, records::metric_reporter),
        Rule::EventLoggers => records::each(field, value, records::event_logger),
        Rule::RasConstraints => records::ras_constraints(field, value),
        Rule::OpenUnitInterval => open_unit_interval(field, value),
        Rule::ZstdLevel => zstd_level(field, value),
        Rule::ImpersonationAcl => records::impersonation_acl(field, value),
        Rule::Ports => records::ports(field, value),
    }
}

/// A Java type as messages name it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JavaType {
    Boolean,
    String,
    Number,
    Integer,
    Map,
    Iterable,
}

impl JavaType {
    fn name(self) -> &'static str {
        match self {
            JavaType::Boolean => "java.lang.Boolean",
            JavaType::String => "java.lang.String",
            JavaType::Number => "java.lang.Number",
            JavaType::Integer => "java.lang.Integer",
            JavaType::Map => "java.util.Map",
            JavaType::Iterable => "java.lang.Iterable",
        }
    }

    fn matches(self, value: &Value) -> bool {
        match self {
            JavaType::Boolean => value.is_boolean(),
            JavaType::String => value.is_string(),
            JavaType::Number => value.is_number(),
            JavaType::Integer => java_class(value) == self.name(),
            JavaType::Map => value.is_object(),
            JavaType::Iterable => value.is_array(),
        }
    }
}

/// Null passes: what must not be null has a rule of its own.
fn has_type(field: &str, wanted: JavaType, value: &Value) -> Result<(), Violation> {
    require(value.is_null() || wanted.matches(value), || {
        let kind = match wanted {
            JavaType::Map | JavaType::Iterable => "interface",
            _ => "class",
        };
        format!(
            "Field {field} must be of type {kind} {}. Object: {} actual type: class {}",
            wanted.name(),
            java_text(value),
            java_class(value)
        )
    })
}

fn integer(field: &str, value: &Value) -> Result<(), Violation> {
    let fits = value.is_null() || whole(value).is_some_and(|i| i32::try_from(i).is_ok());
    require(fits, || {
        format!("Field {field} must be an Integer within type range.")
    })
}

/// The number without a fraction that the value is, if it is one.
fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let double = number.as_f64().filter(|_| number.is_f64())?;
        let cast = double as i64;
        (cast as f64 == double).then_some(cast)
    })
}

fn positive(field: &str, is: bool) -> Result<(), Violation> {
    require(is, || format!("Field {field} must be a Positive Number"))
}

/// `outer` is what stands around the list; messages begin with it.
fn list_of_text(outer: &str, field: &str, value: &Value) -> Result<(), Violation> {
    let entries = value.as_array().ok_or_else(|| not_iterable(field, value))?;
    for entry in entries {
        require(entry.is_null() || entry.is_string(), || {
            let shown = java_text(entry);
            format!("{outer}Each element of the list {field} must be a java.lang.String. ({shown})")
        })?;
    }
    Ok(())
}

fn not_iterable(field: &str, value: &Value) -> Violation {
    Violation::Illegal(format!(
        "Field {field} must be an Iterable but was a class {}",
        java_class(value)
    ))
}

fn map_of(field: &str, value: &Value, wanted: JavaType) -> Result<(), Violation> {
    let entries = value.as_object().ok_or_else(|| not_a_map(field))?;
    for entry in entries.values() {
        require(entry.is_null() || wanted.matches(entry), || {
            let (wanted, shown) = (wanted.name(), java_text(entry));
            format!("Each value in the map {field} must be a {wanted}. ({shown})")
        })?;
    }
    Ok(())
}

fn not_a_map(field: &str) -> Violation {
    Violation::Illegal(format!("Field {field} must be a Map"))
}

/// No class can be loaded here, so that only Storm's own names pass, under its old package too.
fn implementation(field: &str, value: &Value) -> Result<(), Violation> {
    has_type(field, JavaType::String, value)?;
    let name = java_text(value);
    let is_storms = ["org.apache.storm.", "backtype.storm."]
        .iter()
        .any(|package| {
            name.strip_prefix(package)
                .is_some_and(|rest| !rest.is_empty())
        });
    if is_storms {
        return Ok(());
    }
    let message = format!("Failed to validate config {field} with value {name}");
    Err(Violation::ClassNotFound(message))
}

fn logging_sensitivity(field: &str, value: &Value) -> Result<(), Violation> {
    let accepted = matches!(value.as_str(), Some("S0" | "S1" | "S2" | "S3"));
    require(accepted, || {
        format!(
            "Field {field} is not an accepted value. Value: {} Accepted values: [S3, S0, S1, S2]",
            java_text(value)
        )
    })
}

fn pacemaker_auth(field: &str, value: &Value) -> Result<(), Violation> {
    if value.is_null() {
        return illegal(format!("Field {field} must be set."));
    }
    let accepted = matches!(value.as_str(), Some("NONE" | "DIGEST" | "KERBEROS"));
    require(accepted, || {
        format!("Field {field} must be one of \"NONE\", \"DIGEST\", or \"KERBEROS\"")
    })
}

fn open_unit_interval(field: &str, value: &Value) -> Result<(), Violation> {
    let number = convert::double(value)?;
    require(number > 0.0 && number < 1.0, || {
        let shown = java_text(value);
        format!("Field {field} must be a number in the open interval (0, 1), got: {shown}")
    })
}

fn zstd_level(field: &str, value: &Value) -> Result<(), Violation> {
    has_type(field, JavaType::Integer, value)?;
    let is_level = value
        .as_i64()
        .is_some_and(|level| (1..=19).contains(&level));
    require(is_level, || {
        format!(
            "Field '{field}' is invalid: {}. Zstd compression level must be between 1 and 19.",
            java_text(value)
        )
    })
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { illegal(message()) }
}

fn illegal(message: String) -> Result<(), Violation> {
    Err(Violation::Illegal(message))
}

/// Storm forgets to say what is around a list that stands alone, and prints the null.
const NO_OUTER: &str = "null";

const FEEDBACK_NEEDS_EWMA: &str = "topology.upstream.feedback.enable requires \
    topology.stats.ewma.enable=true: the feedback loop only carries EWMA jitter stats, which are \
    produced solely when EWMA is enabled. Enable topology.stats.ewma.enable, or disable \
    topology.upstream.feedback.enable (it is otherwise a no-op).";
