//! A windowed bolt's options as configuration keys, and Storm's rules about them.
//!
//! The keys are Storm's, so that pages and clients show them. Says nothing of how a window works.

use std::time::Duration;

use crate::conf::{Conf, ConfError, keys};

use super::{Definition, Span, TimeSource};

/// The options of a windowed bolt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowConfig {
    length: Option<Span>,
    sliding: Option<Span>,
    timestamps: Timestamps,
    lag_ms: Option<i64>,
    watermark_interval_ms: Option<i64>,
    late_stream: Option<String>,
    /// Names the field of a stateful window's ids, which we refuse.
    message_id_field: Option<String>,
}

/// Where an event's time stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Timestamps {
    #[default]
    None,
    Field(String),
    /// The bolt reads it out of the tuple.
    Extracted,
}

/// Options that make no window. Texts are Storm's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("Window length is not specified")]
    NoLength,
    #[error("Window length must be positive [{value}]")]
    LengthNotPositive { value: i64 },
    #[error("Sliding interval must be positive [{value}]")]
    SlidingNotPositive { value: i64 },
    #[error("{key} must be at least {at_least} [{value}]")]
    TooSmall {
        key: &'static str,
        at_least: i64,
        value: i64,
    },
    #[error(
        "Window duration (length + sliding interval) value {duration_ms} is more than {} value \
         {timeout_ms}",
        keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS
    )]
    LongerThanTimeout { duration_ms: i64, timeout_ms: i64 },
    #[error(
        "Window count (length + sliding interval) value {count} is more than {} value \
         {max_pending}",
        keys::TOPOLOGY_MAX_SPOUT_PENDING
    )]
    MoreThanPending { count: i64, max_pending: i64 },
    #[error("Late tuple stream can be defined only when specifying a timestamp field")]
    LateWithoutTimestamps,
    #[error(
        "Stream for late tuples `{stream}` is not declared: it has the one field `{LATE_TUPLE}`"
    )]
    LateUndeclared { stream: String },
    #[error("Window is already configured with a timestamp extractor")]
    TwoTimestamps,
    #[error(
        "{} is set: stateful windowed bolts and persistent windows are not there yet",
        keys::TOPOLOGY_BOLTS_MESSAGE_ID_FIELD_NAME
    )]
    Stateful,
    #[error("{0}")]
    Conf(String),
}

// === impl WindowConfig ===

impl WindowConfig {
    pub fn new() -> Self {
        WindowConfig::default()
    }

    /// Windows of a length, each so far from the one before it: of `Count`s or `Duration`s, in any
    /// mix. Storm's own window slides with each tuple: `Count(1)`.
    pub fn with_window(mut self, length: impl Into<Span>, sliding: impl Into<Span>) -> Self {
        self.length = Some(length.into());
        self.sliding = Some(sliding.into());
        self
    }

    /// Windows one behind another.
    pub fn with_tumbling_window(self, length: impl Into<Span>) -> Self {
        let length = length.into();
        self.with_window(length, length)
    }

    /// Event time: milliseconds since the epoch in this field, a whole number. A tuple without it
    /// fails.
    pub fn with_timestamp_field(mut self, field: impl Into<String>) -> Self {
        self.timestamps = Timestamps::Field(field.into());
        self
    }

    /// Event time that the bolt itself reads out of each tuple.
    pub fn with_extracted_timestamps(mut self) -> Result<Self, WindowError> {
        if self.timestamps != Timestamps::None {
            return Err(WindowError::TwoTimestamps);
        }
        self.timestamps = Timestamps::Extracted;
        Ok(self)
    }

    /// By how much tuples may be out of order in event time; else not at all. One that is further
    /// behind may be missing from windows without being late, as in Storm; executors that send to
    /// the bolt side by side add what they are apart.
    pub fn with_lag(mut self, lag: Duration) -> Self {
        self.lag_ms = Some(millis(lag));
        self
    }

    /// How often a watermark is drawn; else each second.
    pub fn with_watermark_interval(mut self, interval: Duration) -> Self {
        self.watermark_interval_ms = Some(millis(interval));
        self
    }

    /// The stream that gets tuples which come too late, in its one field `late_tuple`
    /// (`LATE_TUPLE`). The component has to declare it.
    pub fn with_late_tuple_stream(mut self, stream: impl Into<String>) -> Self {
        self.late_stream = Some(stream.into());
        self
    }

    /// Reads what `write_to` wrote, or a client. A count goes before a time, and a bolt that says
    /// nothing of sliding slides with each tuple, as in Storm.
    pub fn read(conf: &Conf) -> Result<Self, WindowError> {
        let span = |count_key: &str, millis_key: &str| -> Result<Option<Span>, ConfError> {
            Ok(match conf.int(count_key)? {
                Some(count) => Some(Span::Count(count)),
                None => conf.int(millis_key)?.map(Span::Millis),
            })
        };
        let length = span(
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT,
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS,
        )?;
        let sliding = span(
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT,
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_DURATION_MS,
        )?;
        let field = conf.text(keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME)?;
        Ok(WindowConfig {
            length,
            sliding,
            timestamps: field.map_or(Timestamps::None, Timestamps::Field),
            lag_ms: conf.int(keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS)?,
            watermark_interval_ms: conf.int(keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS)?,
            late_stream: conf.text(keys::TOPOLOGY_BOLTS_LATE_TUPLE_STREAM)?,
            message_id_field: conf.text(keys::TOPOLOGY_BOLTS_MESSAGE_ID_FIELD_NAME)?,
        })
    }

    /// The options as the configuration of a component.
    pub fn to_conf(&self) -> Conf {
        let mut conf = Conf::new();
        let mut set_span = |span, count_key, millis_key| match span {
            Some(Span::Count(count)) => drop(conf.set(count_key, count)),
            Some(Span::Millis(millis)) => drop(conf.set(millis_key, millis)),
            None => {}
        };
        set_span(
            self.length,
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT,
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS,
        );
        set_span(
            self.sliding,
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT,
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_DURATION_MS,
        );
        if let Timestamps::Field(field) = &self.timestamps {
            conf.set(
                keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME,
                field.as_str(),
            );
        }
        if let Some(lag_ms) = self.lag_ms {
            conf.set(keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS, lag_ms);
        }
        if let Some(interval_ms) = self.watermark_interval_ms {
            conf.set(
                keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS,
                interval_ms,
            );
        }
        if let Some(stream) = &self.late_stream {
            conf.set(keys::TOPOLOGY_BOLTS_LATE_TUPLE_STREAM, stream.as_str());
        }
        conf
    }

    /// Whether the options make a window in a topology of this configuration, and which: Storm's
    /// checks, which it makes when the bolt is prepared. `streams` are those that the component
    /// declares.
    pub fn check<'s>(
        &self,
        topology_conf: &Conf,
        mut streams: impl Iterator<Item = &'s str>,
    ) -> Result<Definition, WindowError> {
        let definition = self.definition()?;
        match &self.late_stream {
            Some(_) if self.timestamps == Timestamps::None => {
                return Err(WindowError::LateWithoutTimestamps);
            }
            Some(late) if !streams.any(|stream| stream == late) => {
                let stream = late.clone();
                return Err(WindowError::LateUndeclared { stream });
            }
            _ => {}
        }
        let spans = [definition.length, definition.sliding];
        let in_time = spans.iter().filter_map(|span| match span {
            Span::Millis(millis) => Some(*millis),
            Span::Count(_) => None,
        });
        let in_tuples = spans.iter().filter_map(|span| match span {
            Span::Count(count) => Some(*count),
            Span::Millis(_) => None,
        });
        let (duration_ms, count) = (in_time.sum(), in_tuples.sum());
        match timeout_ms(topology_conf)? {
            Some(timeout_ms) if duration_ms > timeout_ms => {
                return Err(WindowError::LongerThanTimeout {
                    duration_ms,
                    timeout_ms,
                });
            }
            _ => {}
        }
        match topology_conf.int(keys::TOPOLOGY_MAX_SPOUT_PENDING)? {
            Some(max_pending) if count > max_pending => {
                Err(WindowError::MoreThanPending { count, max_pending })
            }
            _ => Ok(definition),
        }
    }

    /// The field with an event's time, if that is where it stands.
    pub fn timestamp_field(&self) -> Option<&str> {
        match &self.timestamps {
            Timestamps::Field(field) => Some(field),
            _ => None,
        }
    }

    pub fn late_stream(&self) -> Option<&str> {
        self.late_stream.as_deref()
    }

    pub fn watermark_interval_ms(&self) -> i64 {
        self.watermark_interval_ms
            .unwrap_or(WATERMARK_INTERVAL_DEFAULT_MS)
    }

    /// The window, if the options by themselves make one.
    pub fn definition(&self) -> Result<Definition, WindowError> {
        if self.message_id_field.is_some() {
            return Err(WindowError::Stateful);
        }
        let length = self.length.ok_or(WindowError::NoLength)?;
        let sliding = self.sliding.unwrap_or(Span::Count(1));
        if let value @ ..=0 = amount(length) {
            return Err(WindowError::LengthNotPositive { value });
        }
        if let value @ ..=0 = amount(sliding) {
            return Err(WindowError::SlidingNotPositive { value });
        }
        let lag_ms = self.lag_ms.unwrap_or(0);
        let bounds = [
            (keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS, 0, lag_ms),
            (
                keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS,
                1,
                self.watermark_interval_ms(),
            ),
        ];
        for (key, at_least, value) in bounds {
            if value < at_least {
                return Err(WindowError::TooSmall {
                    key,
                    at_least,
                    value,
                });
            }
        }
        let time = match self.timestamps {
            Timestamps::None => TimeSource::Processing,
            Timestamps::Field(_) | Timestamps::Extracted => TimeSource::Event { lag_ms },
        };
        Ok(Definition {
            length,
            sliding,
            time,
        })
    }
}

impl From<ConfError> for WindowError {
    fn from(error: ConfError) -> Self {
        WindowError::Conf(error.to_string())
    }
}

/// Time that tuples have to be acked; none where they have all the time there is.
fn timeout_ms(topology_conf: &Conf) -> Result<Option<i64>, ConfError> {
    let is_on = topology_conf.flag(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS)?;
    if is_on == Some(false) {
        return Ok(None);
    }
    let secs = topology_conf.int_or(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 0)?;
    Ok(Some(secs * 1000))
}

fn amount(span: Span) -> i64 {
    match span {
        Span::Count(count) => count,
        Span::Millis(millis) => millis,
    }
}

/// Storm keeps milliseconds in 32 bits; what does not fit is refused where the conf is read.
fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The field of the stream of late tuples.
pub const LATE_TUPLE: &str = "late_tuple";
const WATERMARK_INTERVAL_DEFAULT_MS: i64 = 1000;
