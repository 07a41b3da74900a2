//! Every configuration key we know, in Storm's spelling: the one place where keys are spelled.
//!
//! A key is a constant (`keys::TOPOLOGY_WORKERS`) and an entry of a table with Storm's constant
//! name, which its messages show, and the rules its values obey. Checks nothing itself
//! (`conf::validate`) and holds no defaults (`defaults.yaml`). Keys that are not here are legal and
//! pass through.

use std::collections::BTreeMap;
use std::sync::LazyLock;

mod nimbus;
mod own;
mod storm;
mod supervisor;
mod surface;
mod topology;

pub use nimbus::*;
pub use own::*;
pub use storm::*;
pub use supervisor::*;
pub use surface::*;
pub use topology::*;

/// A known key.
#[derive(Debug)]
pub struct Key {
    /// As users write it: `topology.workers`.
    pub name: &'static str,
    /// As Storm's messages write it: `TOPOLOGY_WORKERS`.
    pub constant: &'static str,
    pub scope: Scope,
    /// Checked in this order; the first that is broken is reported.
    pub rules: &'static [Rule],
    /// What the key means and the type of its value, in a sentence or two.
    pub meaning: &'static str,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of Storm's public `Config` class: checked in every submitted topology, and taken out of a
    /// component's own configuration unless it is among [`COMPONENT_OVERRIDABLE`].
    Topology,
    /// Of Storm's daemons only: checked when a daemon starts.
    Daemon,
    /// Ours.
    Own,
}

/// A rule on a value. All accept null unless they say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Refuses null.
    NotNull,
    Boolean,
    String,
    Number,
    Map,
    /// A number without fraction within 32 bits; `1.0` is one, `"1"` is not.
    Integer,
    /// The same within 64 bits.
    Long,
    /// A number above 0.
    Positive,
    /// A number, 0 or above.
    PositiveOrZero,
    /// A list of text; null entries pass.
    StringList,
    /// Text, or a list of text.
    StringOrStringList,
    /// A map with text as values; null values pass.
    MapOfString,
    /// A map with numbers as values; null values pass.
    MapOfNumber,
    /// A map of maps; refuses null, and null inside.
    MapOfMaps,
    /// A class name that Storm would load; only Storm's own classes count as there.
    Implementation,
    /// A list of names, or of maps of name to serializer.
    KryoRegister,
    /// A list of maps with `class` and `parallelism.hint`.
    MetricsConsumers,
    /// A list of maps with `class` and an optional `filter`.
    MetricReporters,
    /// A list of maps with `class` and optional `arguments`.
    EventLoggers,
    /// A list of lists of text, or a map of component to limits.
    RasConstraints,
    /// One of S0 to S3; refuses null.
    LoggingSensitivity,
    /// NONE, DIGEST or KERBEROS; refuses null.
    PacemakerAuth,
    /// Above 0 and below 1, text that holds such a number included.
    OpenUnitInterval,
    /// From 1 to 19.
    ZstdLevel,
    /// A map of user to map of lists, with `hosts` and `groups`.
    ImpersonationAcl,
    /// A list of ports without repeats.
    Ports,
}

/// The known key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    BY_NAME.get(name).copied()
}

/// All known keys, a file of them after the other.
pub fn all() -> impl Iterator<Item = &'static Key> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// Whether a component's own configuration may set this key: every key that is not Storm's, and of
/// Storm's the few listed in [`COMPONENT_OVERRIDABLE`] (control-plane 4.4, data-plane 6.4).
pub fn is_component_overridable(name: &str) -> bool {
    COMPONENT_OVERRIDABLE.contains(&name)
        || find(name).is_none_or(|key| key.scope != Scope::Topology)
}

/// Storm's keys that a component may set for itself. `topology.bolts.watermark.event.interval.ms`
/// is not among them in Storm either, so that only a topology-wide value of it works.
pub const COMPONENT_OVERRIDABLE: &[&str] = &[
    TOPOLOGY_DEBUG,
    TOPOLOGY_MAX_SPOUT_PENDING,
    TOPOLOGY_MAX_TASK_PARALLELISM,
    TOPOLOGY_TRANSACTIONAL_ID,
    TOPOLOGY_TICK_TUPLE_FREQ_SECS,
    TOPOLOGY_SLEEP_SPOUT_WAIT_STRATEGY_TIME_MS,
    TOPOLOGY_SPOUT_WAIT_STRATEGY,
    TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT,
    TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS,
    TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT,
    TOPOLOGY_BOLTS_SLIDING_INTERVAL_DURATION_MS,
    TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME,
    TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS,
    TOPOLOGY_BOLTS_MESSAGE_ID_FIELD_NAME,
    TOPOLOGY_BOLTS_LATE_TUPLE_STREAM,
    TOPOLOGY_STATE_PROVIDER,
    TOPOLOGY_STATE_PROVIDER_CONFIG,
];

const TABLES: [&[Key]; 6] = [
    topology::TABLE,
    nimbus::TABLE,
    supervisor::TABLE,
    storm::TABLE,
    surface::TABLE,
    own::TABLE,
];

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Key>> =
    LazyLock::new(|| all().map(|key| (key.name, key)).collect());

/// Constants and table of one file of keys.
macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])*
        $constant:ident = $name:literal, $scope:ident [$($rule:ident),*];
    )*) => {
        use super::{Key, Rule, Scope};

        $($(#[doc = $doc])* pub const $constant: &str = $name;)*

        pub(super) const TABLE: &[Key] = &[$(Key {
            name: $name,
            constant: stringify!($constant),
            scope: Scope::$scope,
            rules: &[$(Rule::$rule),*],
            meaning: concat!($($doc),*),
        }),*];
    };
}
use keys;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_constant_is_there_once() {
        let names: BTreeMap<_, _> = all().map(|key| (key.name, key.constant)).collect();
        let constants: BTreeMap<_, _> = all().map(|key| (key.constant, key.name)).collect();
        assert_eq!(all().count(), names.len());
        assert_eq!(all().count(), constants.len());
    }

    #[test]
    fn our_own_keys_begin_with_our_name() {
        for key in all() {
            assert_eq!(key.name.starts_with("stormwire."), key.scope == Scope::Own);
        }
    }

    #[test]
    fn components_override_what_storm_lets_them() {
        assert!(is_component_overridable(TOPOLOGY_DEBUG));
        assert!(is_component_overridable("my.own.key"));
        assert!(!is_component_overridable(TOPOLOGY_WORKERS));
        assert!(!is_component_overridable(
            TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS
        ));
    }
}
