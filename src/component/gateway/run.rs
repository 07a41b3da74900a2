//! Tuples on their way to a bolt's peer, gathered in columns: runs of one stream for one task.
//!
//! Made by the executor without a lock; written in either form when the peer asks.

use bytes::Bytes;

use super::handle::Handle;
use super::value;
use crate::id::TaskId;
use crate::limits;
use crate::tuple::{StreamNumber, Tuple, TupleId, ValueRef};
use crate::wire::messages::{
    GatewayColumn, GatewayRun, GatewayTuple, MessageId, Value as WireValue,
};

/// A stretch of tuples with serials that follow each other; a tick is a run of its own.
#[derive(Debug)]
pub struct Run {
    source: Source,
    task: TaskId,
    /// Of the first tuple; none of a tick.
    pub first: Option<u64>,
    heads: Vec<Head>,
    columns: Vec<GatewayColumn>,
    n_bytes: usize,
}

/// Whose stream it is.
#[derive(Debug, Clone)]
struct Source {
    number: StreamNumber,
    component: String,
    stream: String,
}

/// What a tuple has beside its values.
#[derive(Debug, Clone, Copy)]
struct Head {
    id: TupleId,
    timestamp_us: i64,
}

// === impl Run ===

impl Run {
    /// A run that begins with `tuple`.
    pub fn new(tuple: &Tuple<'_>, first: Option<u64>) -> Self {
        let mut run = Run {
            source: Source {
                number: tuple.stream_number(),
                component: tuple.source_component().to_string(),
                stream: tuple.source_stream().to_string(),
            },
            task: tuple.target_task(),
            first,
            heads: Vec::new(),
            columns: vec![GatewayColumn::Unset; tuple.len()],
            n_bytes: 0,
        };
        run.append(tuple);
        run
    }

    /// Takes the next tuple, if it belongs here; gives about how many bytes it has.
    pub fn push(&mut self, tuple: &Tuple<'_>) -> Option<usize> {
        let is_tick = self.first.is_none() || tuple.is_tick();
        let is_full = self.len() >= limits::GATEWAY_RUN_TUPLES_MAX;
        if is_tick || is_full || self.source.number != tuple.stream_number() {
            return None;
        }
        Some(self.append(tuple))
    }

    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// About what it has on the wire.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Keeps the first `n` tuples; gives the others, if there are any.
    pub fn split_off(&mut self, n: usize) -> Option<Run> {
        if n >= self.len() {
            return None;
        }
        let n_left = self.len() - n;
        let bytes_left = self.n_bytes / self.len() * n_left;
        self.n_bytes -= bytes_left;
        let columns = self.columns.iter_mut();
        Some(Run {
            source: self.source.clone(),
            task: self.task,
            first: self.first.map(|first| first + n as u64),
            heads: self.heads.split_off(n),
            columns: columns.map(|column| split_column(column, n)).collect(),
            n_bytes: bytes_left,
        })
    }

    /// In the form COLUMNS. `index` is the task's among those of its component.
    pub fn into_columns(self, index: usize) -> GatewayRun {
        GatewayRun {
            first_handle: Handle::wire(index, self.first),
            count: i32::try_from(self.heads.len()).unwrap_or(i32::MAX),
            task: self.task.0,
            component: self.source.component,
            stream: self.source.stream,
            columns: self.columns,
        }
    }

    /// In the form TUPLES.
    pub fn into_tuples(self, index: usize, tuples: &mut Vec<GatewayTuple>) {
        let mut columns: Vec<_> = self.columns.into_iter().map(cells).collect();
        for (place, head) in self.heads.iter().enumerate() {
            let values = columns.iter_mut().filter_map(Iterator::next).collect();
            tuples.push(GatewayTuple {
                handle: Handle::wire(index, self.first.map(|first| first + place as u64)),
                task: self.task.0,
                component: self.source.component.clone(),
                stream: self.source.stream.clone(),
                values,
                id: MessageId {
                    generation: head.id.generation,
                    source_task: head.id.task.0,
                    sequence: head.id.sequence as i64,
                },
                timestamp_us: head.timestamp_us,
            });
        }
    }

    fn append(&mut self, tuple: &Tuple<'_>) -> usize {
        let mut n_bytes = TUPLE_BYTES;
        let place = self.heads.len();
        for (column, value) in self.columns.iter_mut().zip(tuple.values()) {
            n_bytes += value::weight(value);
            push(column, value, place);
        }
        self.heads.push(Head {
            id: tuple.id(),
            timestamp_us: tuple.timestamp_us(),
        });
        self.n_bytes += n_bytes;
        n_bytes
    }
}

/// Adds the value of row `place`. A column that has to hold two types holds values from then on.
fn push(column: &mut GatewayColumn, value: ValueRef<'_>, place: usize) {
    use GatewayColumn as Column;
    match (&mut *column, value) {
        (Column::Strings(column), ValueRef::Str(text)) => column.push(text.to_owned()),
        (Column::Longs(column), ValueRef::Long(v)) => column.push(v),
        (Column::Ints(column), ValueRef::Int(v)) => column.push(v),
        (Column::Doubles(column), ValueRef::Double(v)) => column.push(v),
        (Column::Bools(column), ValueRef::Bool(v)) => column.push(v),
        (Column::Blobs(column), ValueRef::Bytes(v)) => column.push(Bytes::copy_from_slice(v)),
        (Column::Values(column), value) => column.push(value::sent(value)),
        (Column::Unset, value) if place == 0 => {
            *column = match value {
                ValueRef::Str(_) => Column::Strings(Vec::new()),
                ValueRef::Long(_) => Column::Longs(Vec::new()),
                ValueRef::Int(_) => Column::Ints(Vec::new()),
                ValueRef::Double(_) => Column::Doubles(Vec::new()),
                ValueRef::Bool(_) => Column::Bools(Vec::new()),
                ValueRef::Bytes(_) => Column::Blobs(Vec::new()),
                _ => Column::Values(Vec::new()),
            };
            push(column, value, place);
        }
        _ => {
            let mut mixed: Vec<WireValue> = cells(std::mem::take(column)).collect();
            mixed.push(value::sent(value));
            *column = Column::Values(mixed);
        }
    }
}

/// The values of a column one by one.
fn cells(column: GatewayColumn) -> Box<dyn Iterator<Item = WireValue>> {
    match column {
        GatewayColumn::Unset => Box::new(std::iter::empty()),
        GatewayColumn::Strings(column) => Box::new(column.into_iter().map(WireValue::StringValue)),
        GatewayColumn::Longs(column) => Box::new(column.into_iter().map(WireValue::LongValue)),
        GatewayColumn::Ints(column) => Box::new(column.into_iter().map(WireValue::IntValue)),
        GatewayColumn::Doubles(column) => Box::new(column.into_iter().map(WireValue::DoubleValue)),
        GatewayColumn::Bools(column) => Box::new(column.into_iter().map(WireValue::BoolValue)),
        GatewayColumn::Blobs(column) => Box::new(column.into_iter().map(WireValue::BytesValue)),
        GatewayColumn::Values(column) => Box::new(column.into_iter()),
    }
}

fn split_column(column: &mut GatewayColumn, n: usize) -> GatewayColumn {
    match column {
        GatewayColumn::Unset => GatewayColumn::Unset,
        GatewayColumn::Strings(column) => GatewayColumn::Strings(column.split_off(n)),
        GatewayColumn::Longs(column) => GatewayColumn::Longs(column.split_off(n)),
        GatewayColumn::Ints(column) => GatewayColumn::Ints(column.split_off(n)),
        GatewayColumn::Doubles(column) => GatewayColumn::Doubles(column.split_off(n)),
        GatewayColumn::Bools(column) => GatewayColumn::Bools(column.split_off(n)),
        GatewayColumn::Blobs(column) => GatewayColumn::Blobs(column.split_off(n)),
        GatewayColumn::Values(column) => GatewayColumn::Values(column.split_off(n)),
    }
}

/// What a tuple costs on the wire beside its values.
const TUPLE_BYTES: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::HeldTuple;
    use crate::values;
    use crate::worker::harness::Harness;

    fn run(tuples: &[HeldTuple]) -> Run {
        let mut run = Run::new(&tuples[0].view(), Some(1));
        for tuple in &tuples[1..] {
            assert!(run.push(&tuple.view()).is_some());
        }
        run
    }

    #[test]
    fn columns_hold_one_type_or_values() {
        let mut harness = Harness::new(&[]);
        let tuples = [
            harness.input(&values!["a", 1i64, true]),
            harness.input(&values!["b", 2i64, "x"]),
            harness.input(&values!["c", 3i64, ()]),
        ];
        let run = run(&tuples).into_columns(0);
        let texts = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(run.columns[0], GatewayColumn::Strings(texts));
        assert_eq!(run.columns[1], GatewayColumn::Longs(vec![1, 2, 3]));
        let mixed = [
            WireValue::BoolValue(true),
            WireValue::StringValue("x".to_owned()),
            WireValue::NullValue(Default::default()),
        ];
        assert_eq!(run.columns[2], GatewayColumn::Values(mixed.to_vec()));
        assert_eq!((run.first_handle, run.count, run.task), (1, 3, 1));
    }

    #[test]
    fn a_split_run_goes_on_where_it_was_cut() {
        let mut harness = Harness::new(&[]);
        let tuples: Vec<_> = (0..5i64)
            .map(|n| harness.input(&values![n, "same"]))
            .collect();
        let mut first = run(&tuples);
        let rest = first.split_off(2).unwrap();
        assert!(first.split_off(2).is_none());
        assert_eq!((first.len(), rest.len(), rest.first), (2, 3, Some(3)));
        let mut told = Vec::new();
        first.into_tuples(1, &mut told);
        rest.into_tuples(1, &mut told);
        for (place, tuple) in told.iter().enumerate() {
            assert_eq!(tuple.values[0], WireValue::LongValue(place as i64));
            assert_eq!(tuple.handle, Handle::wire(1, Some(place as u64 + 1)));
            assert_eq!(tuple.component, "source");
        }
    }

    #[test]
    fn streams_and_ticks_do_not_mix() {
        let mut harness = Harness::new(&[]);
        let (one, two) = (
            harness.input(&values![1i64]),
            harness.input(&values![1i64, 2i64]),
        );
        let tick = harness.tick();
        let mut run = run(&[one]);
        assert!(run.push(&two.view()).is_none());
        assert!(run.push(&tick.view()).is_none());
        let mut tick = Run::new(&tick.view(), None);
        assert!(tick.push(&two.view()).is_none());
        assert_eq!(tick.into_columns(3).first_handle, 0);
    }
}
