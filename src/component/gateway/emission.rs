//! What a peer emits, checked before anything of it is done, and read by the task that emits it.
//!
//! Pure. Knows which streams the component declares; handles of anchors are `desk`'s matter.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::desk::Fate;
use super::division::SessionNumber;
use super::value::{self, ValueError};
use crate::id::TaskId;
use crate::limits;
use crate::tuple::{Value, ValueRef};
use crate::wire::messages::{GatewayColumn, GatewayColumns, GatewayMessage};

/// A stream that the component declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutStream {
    pub name: String,
    pub fields: Vec<String>,
    pub is_direct: bool,
}

/// A peer's tuples of one stream, checked.
#[derive(Debug)]
pub struct Draft {
    body: Body,
    pub n_tuples: usize,
    pub n_bytes: usize,
    pub anchors: Anchored,
}

/// Handles that tuples are anchored to, as the peer wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchored {
    Nowhere,
    /// One for each tuple.
    Each(Vec<i64>),
    /// All of them for the one tuple there is.
    All(Vec<i64>),
}

/// Tuples for one task to emit.
#[derive(Debug)]
pub struct Emission {
    body: Arc<Body>,
    rows: Range<usize>,
    anchors: Serials,
    /// Whose they are.
    pub session: SessionNumber,
    pub n_bytes: usize,
}

/// Serials of tuples of the emitting task.
#[derive(Debug)]
pub enum Serials {
    None,
    /// One for each tuple; none where nobody waits for it any more.
    Each(Vec<Option<u64>>),
    All(Vec<u64>),
}

/// Why a peer's tuples are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmissionError {
    #[error("the component does not declare a stream `{0}`")]
    UnknownStream(String),
    #[error("stream `{stream}` declares {declared} fields, a tuple has {given} values")]
    Arity {
        stream: String,
        declared: usize,
        given: usize,
    },
    #[error("stream `{0}` is direct: name the one task that gets the tuple")]
    Undirected(String),
    #[error("stream `{0}` is not direct: its groupings say who gets the tuple")]
    Directed(String),
    #[error("columns are of unequal length: {first} and {other}")]
    Ragged { first: usize, other: usize },
    #[error("there are {n_tuples} tuples but {given} {what}")]
    PerTuple {
        what: &'static str,
        n_tuples: usize,
        given: usize,
    },
    #[error("a stream without fields has no columns: send its tuples as messages")]
    NoColumns,
    #[error("a column is not set, or of a kind that is not known here")]
    UnsetColumn,
    #[error("value {place}: {source}")]
    Value { place: usize, source: ValueError },
    #[error(
        "a tuple has {n_bytes} bytes, {} at most",
        limits::GATEWAY_TUPLE_BYTES_MAX
    )]
    Oversized { n_bytes: usize },
    #[error("a call has more than {} tuples", limits::GATEWAY_TUPLES_MAX)]
    TooMany,
}

#[derive(Debug)]
struct Body {
    stream: String,
    columns: Vec<Column>,
    /// The peer's own numbers; empty: untracked.
    ids: Vec<i64>,
    direct: Option<TaskId>,
    /// Empty: the time of emission.
    event_times_us: Vec<i64>,
}

#[derive(Debug)]
enum Column {
    Strings(Vec<String>),
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
    Blobs(Vec<Bytes>),
    Values(Vec<Value>),
}

// === impl Draft ===

impl Draft {
    /// All that one call emits, messages first.
    pub fn all(
        streams: &[OutStream],
        messages: Option<Vec<GatewayMessage>>,
        columns: Option<Vec<GatewayColumns>>,
    ) -> Result<Vec<Self>, EmissionError> {
        let messages = messages.into_iter().flatten();
        let messages = messages.map(|message| Draft::of_message(streams, message));
        let columns = columns.into_iter().flatten();
        let columns = columns.map(|columns| Draft::of_columns(streams, columns));
        let mut drafts = Vec::new();
        let mut n_tuples = 0;
        for draft in messages.chain(columns) {
            let draft = draft?;
            n_tuples += draft.n_tuples;
            if n_tuples > limits::GATEWAY_TUPLES_MAX {
                return Err(EmissionError::TooMany);
            }
            if draft.n_tuples > 0 {
                drafts.push(draft);
            }
        }
        Ok(drafts)
    }

    pub fn of_message(
        streams: &[OutStream],
        message: GatewayMessage,
    ) -> Result<Self, EmissionError> {
        let stream = find(streams, message.stream)?;
        check(stream, message.values.len(), message.direct_task)?;
        let received = |(place, value)| {
            let value = value::received(value);
            value.map_err(|source| EmissionError::Value { place, source })
        };
        let values = message.values.into_iter().enumerate().map(received);
        let columns = values.map(|value| Ok(Column::Values(vec![value?])));
        let anchors = message.anchors.filter(|anchors| !anchors.is_empty());
        let draft = Draft {
            body: Body {
                stream: stream.name.clone(),
                columns: columns.collect::<Result<_, _>>()?,
                ids: message.id.into_iter().collect(),
                direct: message.direct_task.map(TaskId),
                event_times_us: message.event_time_us.into_iter().collect(),
            },
            n_tuples: 1,
            n_bytes: 0,
            anchors: anchors.map_or(Anchored::Nowhere, Anchored::All),
        };
        draft.weighed()
    }

    pub fn of_columns(
        streams: &[OutStream],
        columns: GatewayColumns,
    ) -> Result<Self, EmissionError> {
        let stream = find(streams, columns.stream)?;
        check(stream, columns.columns.len(), columns.direct_task)?;
        let columns_in: Result<Vec<_>, _> = columns.columns.into_iter().map(received).collect();
        let body = Body {
            stream: stream.name.clone(),
            columns: columns_in?,
            ids: columns.ids.unwrap_or_default(),
            direct: columns.direct_task.map(TaskId),
            event_times_us: columns.event_times_us.unwrap_or_default(),
        };
        let n_tuples = body.columns.first().ok_or(EmissionError::NoColumns)?.len();
        if n_tuples > limits::GATEWAY_TUPLES_MAX {
            return Err(EmissionError::TooMany);
        }
        for column in &body.columns {
            if column.len() != n_tuples {
                let (first, other) = (n_tuples, column.len());
                return Err(EmissionError::Ragged { first, other });
            }
        }
        let anchors = columns.anchors.unwrap_or_default();
        let lists = [
            ("ids", body.ids.len()),
            ("event times", body.event_times_us.len()),
            ("anchors", anchors.len()),
        ];
        for (what, given) in lists {
            if given != 0 && given != n_tuples {
                return Err(EmissionError::PerTuple {
                    what,
                    n_tuples,
                    given,
                });
            }
        }
        let draft = Draft {
            body,
            n_tuples,
            n_bytes: 0,
            anchors: match anchors.is_empty() {
                true => Anchored::Nowhere,
                false => Anchored::Each(anchors),
            },
        };
        draft.weighed()
    }

    pub fn is_tracked(&self) -> bool {
        !self.body.ids.is_empty()
    }

    pub fn is_anchored(&self) -> bool {
        self.anchors != Anchored::Nowhere
    }

    pub fn n_tracked(&self) -> usize {
        self.body.ids.len()
    }

    /// All of it for one task, unanchored.
    pub fn into_emission(self, session: SessionNumber) -> Emission {
        Emission {
            rows: 0..self.n_tuples,
            body: Arc::new(self.body),
            anchors: Serials::None,
            session,
            n_bytes: self.n_bytes,
        }
    }

    /// Stretches of rows for the tasks that have their anchors.
    pub fn into_parts<T>(
        self,
        session: SessionNumber,
        parts: Vec<(T, Range<usize>, Serials)>,
    ) -> Vec<(T, Emission)> {
        let body = Arc::new(self.body);
        let n_bytes = self.n_bytes / self.n_tuples.max(1);
        let part = |(task, rows, anchors): (T, Range<usize>, Serials)| {
            let emission = Emission {
                body: Arc::clone(&body),
                n_bytes: n_bytes * rows.len(),
                rows,
                anchors,
                session,
            };
            (task, emission)
        };
        parts.into_iter().map(part).collect()
    }

    fn weighed(mut self) -> Result<Self, EmissionError> {
        let columns = &self.body.columns;
        self.n_bytes = columns.iter().map(Column::weight).sum();
        if self.n_bytes > limits::GATEWAY_TUPLE_BYTES_MAX {
            for row in 0..self.n_tuples {
                let values = columns.iter().map(|column| value::weight(column.get(row)));
                let n_bytes = values.sum();
                if n_bytes > limits::GATEWAY_TUPLE_BYTES_MAX {
                    return Err(EmissionError::Oversized { n_bytes });
                }
            }
        }
        Ok(self)
    }
}

// === impl Emission ===

impl Emission {
    pub fn n_tuples(&self) -> usize {
        self.rows.len()
    }

    /// Whether somebody waits for the fates of its tuples.
    pub fn is_tracked(&self) -> bool {
        !self.body.ids.is_empty()
    }

    pub fn stream(&self) -> &str {
        &self.body.stream
    }

    pub fn direct(&self) -> Option<TaskId> {
        self.body.direct
    }

    /// Of the tuple at a place, from 0.
    pub fn id(&self, place: usize) -> Option<i64> {
        self.body.ids.get(self.rows.start + place).copied()
    }

    /// The tracked tuples from a place on, as failed.
    pub fn fails(&self, place: usize) -> impl Iterator<Item = (SessionNumber, i64, Fate)> + '_ {
        let ids = (place..self.n_tuples()).filter_map(|place| self.id(place));
        ids.map(|id| (self.session, id, Fate::Failed))
    }

    pub fn event_time_us(&self, place: usize) -> Option<i64> {
        let times = &self.body.event_times_us;
        times.get(self.rows.start + place).copied()
    }

    /// Whether it is like most: to `default`, at the time of emission, for whoever subscribes.
    pub fn is_plain(&self) -> bool {
        let body = &self.body;
        body.direct.is_none() && body.event_times_us.is_empty() && body.stream == DEFAULT_STREAM
    }

    /// Serials of the tuples whose trees the one at a place joins.
    pub fn anchors(&self, place: usize) -> &[u64] {
        match &self.anchors {
            Serials::None => &[],
            Serials::All(serials) => serials,
            Serials::Each(serials) => serials
                .get(place)
                .and_then(Option::as_ref)
                .map_or(&[], std::slice::from_ref),
        }
    }

    /// Lends the values of the tuple at a place.
    pub fn with_values<T>(&self, place: usize, take: impl FnOnce(&[ValueRef<'_>]) -> T) -> T {
        let row = self.rows.start + place;
        let columns = &self.body.columns;
        if columns.len() > FIELDS_ON_STACK {
            let values: Vec<_> = columns.iter().map(|column| column.get(row)).collect();
            return take(&values);
        }
        let mut values = [ValueRef::Null; FIELDS_ON_STACK];
        for (value, column) in values.iter_mut().zip(columns) {
            *value = column.get(row);
        }
        take(&values[..columns.len()])
    }
}

// === impl Column ===

impl Column {
    fn len(&self) -> usize {
        match self {
            Column::Strings(column) => column.len(),
            Column::Longs(column) => column.len(),
            Column::Ints(column) => column.len(),
            Column::Doubles(column) => column.len(),
            Column::Bools(column) => column.len(),
            Column::Blobs(column) => column.len(),
            Column::Values(column) => column.len(),
        }
    }

    #[inline]
    fn get(&self, row: usize) -> ValueRef<'_> {
        match self {
            Column::Strings(column) => ValueRef::Str(&column[row]),
            Column::Longs(column) => ValueRef::Long(column[row]),
            Column::Ints(column) => ValueRef::Int(column[row]),
            Column::Doubles(column) => ValueRef::Double(column[row]),
            Column::Bools(column) => ValueRef::Bool(column[row]),
            Column::Blobs(column) => ValueRef::Bytes(&column[row]),
            Column::Values(column) => column[row].as_ref(),
        }
    }

    fn weight(&self) -> usize {
        let scalar = value::weight(ValueRef::Null);
        let own: usize = match self {
            Column::Strings(column) => column.iter().map(String::len).sum(),
            Column::Blobs(column) => column.iter().map(Bytes::len).sum(),
            Column::Values(column) => {
                return column.iter().map(|one| value::weight(one.as_ref())).sum();
            }
            _ => 0,
        };
        own + scalar * self.len()
    }
}

fn received(column: GatewayColumn) -> Result<Column, EmissionError> {
    Ok(match column {
        GatewayColumn::Unset => return Err(EmissionError::UnsetColumn),
        GatewayColumn::Strings(column) => Column::Strings(column),
        GatewayColumn::Longs(column) => Column::Longs(column),
        GatewayColumn::Ints(column) => Column::Ints(column),
        GatewayColumn::Doubles(column) => Column::Doubles(column),
        GatewayColumn::Bools(column) => Column::Bools(column),
        GatewayColumn::Blobs(column) => Column::Blobs(column),
        GatewayColumn::Values(column) => {
            let received = |(place, value)| {
                let value = value::received(value);
                value.map_err(|source| EmissionError::Value { place, source })
            };
            let values = column.into_iter().enumerate().map(received);
            Column::Values(values.collect::<Result<_, _>>()?)
        }
    })
}

fn find(streams: &[OutStream], name: Option<String>) -> Result<&OutStream, EmissionError> {
    let name = name.unwrap_or_else(|| DEFAULT_STREAM.to_owned());
    let found = streams.iter().find(|stream| stream.name == name);
    found.ok_or(EmissionError::UnknownStream(name))
}

fn check(stream: &OutStream, given: usize, direct: Option<i32>) -> Result<(), EmissionError> {
    let name = || stream.name.clone();
    let declared = stream.fields.len();
    match direct {
        _ if declared != given => Err(EmissionError::Arity {
            stream: name(),
            declared,
            given,
        }),
        None if stream.is_direct => Err(EmissionError::Undirected(name())),
        Some(_) if !stream.is_direct => Err(EmissionError::Directed(name())),
        _ => Ok(()),
    }
}

const DEFAULT_STREAM: &str = "default";
/// Tuples of no more fields are emitted without an allocation.
const FIELDS_ON_STACK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::Value as Sent;

    fn streams() -> Vec<OutStream> {
        let stream = |name: &str, fields: &[&str]| OutStream {
            name: name.to_owned(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            is_direct: name == "direct",
        };
        vec![
            stream("default", &["word", "n"]),
            stream("empty", &[]),
            stream("direct", &["word", "n"]),
        ]
    }

    fn columns(columns: Vec<GatewayColumn>) -> GatewayColumns {
        GatewayColumns {
            columns,
            ..GatewayColumns::default()
        }
    }

    fn two() -> GatewayColumns {
        let words = ["a", "b"].map(str::to_owned).to_vec();
        columns(vec![
            GatewayColumn::Strings(words),
            GatewayColumn::Longs(vec![1, 2]),
        ])
    }

    #[track_caller]
    fn check_refused(columns: GatewayColumns, expected: &str) {
        let error = Draft::of_columns(&streams(), columns)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn rows_are_read_from_columns() {
        let sent = GatewayColumns {
            ids: Some(vec![7, 8]),
            ..two()
        };
        let emission = Draft::of_columns(&streams(), sent)
            .unwrap()
            .into_emission(1);
        assert!(emission.is_plain());
        assert_eq!((emission.n_tuples(), emission.id(1)), (2, Some(8)));
        emission.with_values(1, |values| {
            let values: Vec<_> = values.iter().map(|value| value.to_value()).collect();
            assert_eq!(values, [Value::Str("b".into()), Value::Long(2)]);
        });
    }

    #[test]
    fn parts_have_their_own_rows_and_anchors() {
        let draft = Draft::of_columns(&streams(), two()).unwrap();
        let parts = vec![
            ('x', 0..1, Serials::Each(vec![Some(5)])),
            ('y', 1..2, Serials::Each(vec![None])),
        ];
        let parts = draft.into_parts(1, parts);
        assert_eq!(parts[0].1.anchors(0), [5]);
        assert_eq!(parts[1].1.anchors(0), [0; 0]);
        let first = |values: &[ValueRef<'_>]| values[0].to_value();
        assert_eq!(parts[1].1.with_values(0, first), Value::Str("b".into()));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let stream = |name: &str| GatewayColumns {
            stream: Some(name.to_owned()),
            ..two()
        };
        check_refused(stream("direct"), "`direct` is direct: name the one task");
        let directed = GatewayColumns {
            direct_task: Some(3),
            ..two()
        };
        check_refused(directed, "`default` is not direct");
        check_refused(stream("other"), "does not declare a stream `other`");
        check_refused(stream("empty"), "declares 0 fields, a tuple has 2 values");
        let one = vec![GatewayColumn::Longs(vec![1])];
        check_refused(columns(one), "declares 2 fields, a tuple has 1 values");
        let ragged = vec![GatewayColumn::Longs(vec![1]), GatewayColumn::Ints(vec![])];
        check_refused(columns(ragged), "unequal length: 1 and 0");
        let unset = vec![GatewayColumn::Longs(vec![1]), GatewayColumn::Unset];
        check_refused(columns(unset), "a column is not set");
        let ids = GatewayColumns {
            ids: Some(vec![1]),
            ..two()
        };
        check_refused(ids, "2 tuples but 1 ids");
        let values = vec![
            GatewayColumn::Values(vec![Sent::Unset]),
            GatewayColumn::Ints(vec![1]),
        ];
        check_refused(columns(values), "value 0: a value is not set");
        let n = limits::GATEWAY_TUPLES_MAX + 1;
        let many = vec![
            GatewayColumn::Bools(vec![true; n]),
            GatewayColumn::Ints(vec![1; n]),
        ];
        check_refused(columns(many), "a call has more than");
    }

    #[test]
    fn one_large_tuple_is_refused_and_many_small_ones_are_not() {
        let large = "x".repeat(limits::GATEWAY_TUPLE_BYTES_MAX);
        let half = "x".repeat(limits::GATEWAY_TUPLE_BYTES_MAX / 2);
        let sent = |texts: Vec<String>| {
            let numbers = GatewayColumn::Longs(vec![1; texts.len()]);
            columns(vec![GatewayColumn::Strings(texts), numbers])
        };
        check_refused(sent(vec![large]), "a tuple has");
        assert!(Draft::of_columns(&streams(), sent(vec![half; 3])).is_ok());
    }

    #[test]
    fn a_message_is_a_row() {
        let message = GatewayMessage {
            values: vec![Sent::StringValue("a".to_owned()), Sent::IntValue(1)],
            anchors: Some(vec![5, 6]),
            ..GatewayMessage::default()
        };
        let draft = Draft::of_message(&streams(), message.clone()).unwrap();
        assert_eq!(draft.anchors, Anchored::All(vec![5, 6]));
        let short = GatewayMessage {
            values: vec![Sent::IntValue(1)],
            ..message
        };
        assert!(Draft::of_message(&streams(), short).is_err());
        let empty = GatewayMessage {
            stream: Some("empty".to_owned()),
            ..GatewayMessage::default()
        };
        assert_eq!(Draft::of_message(&streams(), empty).unwrap().n_tuples, 1);
    }
}
