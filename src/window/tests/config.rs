//! Options: written, read, refused.

use std::time::Duration;

use crate::conf::{Conf, keys};
use crate::window::{Count, Definition, Span, TimeSource, WindowConfig, WindowError};

#[track_caller]
fn check(config: WindowConfig, conf: Conf, expected: &str) {
    let conf = Conf::defaults().overlay(&conf);
    let found = config.check(&conf, ["default", "late"].into_iter());
    let found = found.map_or_else(|error| error.to_string(), |_| String::new());
    assert_eq!(found, expected);
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn options_are_storms_keys() {
    let config = WindowConfig::new()
        .with_window(10 * SECOND, Count(5))
        .with_timestamp_field("ts")
        .with_lag(SECOND)
        .with_watermark_interval(2 * SECOND)
        .with_late_tuple_stream("late");
    let expected = Conf::new()
        .with(keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS, 10_000)
        .with(keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT, 5)
        .with(keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME, "ts")
        .with(keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS, 1000)
        .with(keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS, 2000)
        .with(keys::TOPOLOGY_BOLTS_LATE_TUPLE_STREAM, "late");
    let sorted = |conf: &Conf| -> std::collections::BTreeMap<String, String> {
        let pairs = conf.iter();
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_string()))
            .collect()
    };
    assert_eq!(sorted(&config.to_conf()), sorted(&expected));
    assert_eq!(WindowConfig::read(&config.to_conf()), Ok(config.clone()));
    let definition = Definition {
        length: Span::Millis(10_000),
        sliding: Span::Count(5),
        time: TimeSource::Event { lag_ms: 1000 },
    };
    assert_eq!(config.definition(), Ok(definition));
}

#[test]
fn counts_go_before_times_and_windows_slide_by_one() {
    let conf = Conf::new()
        .with(keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT, 3)
        .with(keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS, 10_000);
    let definition = WindowConfig::read(&conf).unwrap().definition().unwrap();
    assert_eq!(definition.length, Span::Count(3));
    assert_eq!(definition.sliding, Span::Count(1));
    assert_eq!(definition.time, TimeSource::Processing);
}

#[test]
fn a_window_has_a_positive_length() {
    let none = Conf::new;
    let config = WindowConfig::new;
    check(config(), none(), "Window length is not specified");
    check(
        config().with_tumbling_window(Count(0)),
        none(),
        "Window length must be positive [0]",
    );
    check(
        config().with_window(Count(1), Duration::ZERO),
        none(),
        "Sliding interval must be positive [0]",
    );
    let key = keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS;
    let read = WindowConfig::read(
        &WindowConfig::new()
            .with_tumbling_window(Count(1))
            .to_conf()
            .with(key, -1),
    );
    check(
        read.unwrap(),
        none(),
        &format!("{key} must be at least 0 [-1]"),
    );
}

#[test]
fn a_window_ends_before_its_tuples_time_out() {
    let config = || WindowConfig::new().with_window(20 * SECOND, 10 * SECOND);
    check(config(), Conf::new(), "");
    let longer = WindowConfig::new().with_window(20 * SECOND, 10_001 * SECOND / 1000);
    check(
        longer.clone(),
        Conf::new(),
        "Window duration (length + sliding interval) value 30001 is more than \
         topology.message.timeout.secs value 30000",
    );
    let off = Conf::new().with(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS, false);
    check(longer, off, "");
    check(
        WindowConfig::new().with_window(Count(5), 31 * SECOND),
        Conf::new(),
        "Window duration (length + sliding interval) value 31000 is more than \
         topology.message.timeout.secs value 30000",
    );
}

#[test]
fn a_window_holds_no_more_than_may_be_pending() {
    let pending = |n: i64| Conf::new().with(keys::TOPOLOGY_MAX_SPOUT_PENDING, n);
    let config = || WindowConfig::new().with_window(Count(6), Count(4));
    check(config(), pending(10), "");
    check(
        config(),
        pending(9),
        "Window count (length + sliding interval) value 10 is more than \
         topology.max.spout.pending value 9",
    );
    let mixed = WindowConfig::new().with_window(SECOND, Count(10));
    check(
        mixed,
        pending(9),
        "Window count (length + sliding interval) value 10 is more than \
         topology.max.spout.pending value 9",
    );
}

#[test]
fn late_tuples_need_a_time_and_a_stream() {
    let config = || WindowConfig::new().with_tumbling_window(Count(1));
    check(
        config().with_late_tuple_stream("late"),
        Conf::new(),
        "Late tuple stream can be defined only when specifying a timestamp field",
    );
    let late = config()
        .with_timestamp_field("ts")
        .with_late_tuple_stream("late");
    check(late, Conf::new(), "");
    let undeclared = config()
        .with_timestamp_field("ts")
        .with_late_tuple_stream("other");
    check(
        undeclared,
        Conf::new(),
        "Stream for late tuples `other` is not declared: it has the one field `late_tuple`",
    );
    let extracted = config().with_extracted_timestamps().unwrap();
    check(extracted.with_late_tuple_stream("late"), Conf::new(), "");
    let twice = config()
        .with_timestamp_field("ts")
        .with_extracted_timestamps();
    assert_eq!(twice, Err(WindowError::TwoTimestamps));
}

#[test]
fn stateful_windows_are_refused_by_name() {
    let key = keys::TOPOLOGY_BOLTS_MESSAGE_ID_FIELD_NAME;
    let conf = WindowConfig::new()
        .with_tumbling_window(Count(1))
        .to_conf()
        .with(key, "id");
    let refused = WindowConfig::read(&conf).unwrap().definition();
    assert_eq!(refused, Err(WindowError::Stateful));
    let text = WindowError::Stateful.to_string();
    assert!(text.starts_with(key), "{text}");
}
