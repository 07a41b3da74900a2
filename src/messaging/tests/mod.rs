//! Rows, and what reads them, for the tests of codec, credits and links.

mod codec;
mod credits;
mod links;

use std::sync::Arc;

use crate::id::{ExecutorId, TaskId};
use crate::tuple::{
    Anchor, Fields, StreamInfo, StreamNumber, StreamTable, Tuple, TupleBatch, TupleHead, Value,
    ValueRef,
};

/// A tuple in plain sight.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    head: TupleHead,
    anchors: Vec<Anchor>,
    values: Vec<Value>,
}

// === impl Row ===

impl Row {
    fn of(tuple: &Tuple<'_>) -> Self {
        Row {
            head: tuple.head(),
            anchors: tuple.anchors().to_vec(),
            values: tuple.values().map(ValueRef::to_value).collect(),
        }
    }

    fn to(mut self, task: TaskId) -> Self {
        self.head.target_task = task;
        self
    }
}

/// Streams with 0 to 20 fields; the number of a stream is its number of fields.
fn streams() -> Arc<StreamTable> {
    let info = |n_fields: usize| StreamInfo {
        component: "source".into(),
        stream: format!("s{n_fields:02}").as_str().into(),
        fields: Fields::new((0..n_fields).map(|field| field.to_string())).unwrap(),
        direct: false,
    };
    Arc::new(StreamTable::new((0..=20).map(info)).unwrap())
}

fn batch(streams: &Arc<StreamTable>, rows: &[Row]) -> TupleBatch {
    let mut batch = TupleBatch::new(streams.clone());
    for row in rows {
        let values: Vec<ValueRef<'_>> = row.values.iter().map(Value::as_ref).collect();
        batch.push(row.head, &row.anchors, &values).unwrap();
    }
    batch
}

fn simple(n_rows: u64) -> Vec<Row> {
    numbered(0..n_rows)
}

/// Rows for task 4, each with its number as sequence, value and root.
fn numbered(numbers: std::ops::Range<u64>) -> Vec<Row> {
    let row = |sequence| Row {
        head: TupleHead {
            sequence,
            generation: 7,
            timestamp_us: 1_700_000_000_000_000,
            source_task: TaskId(3),
            target_task: TaskId(4),
            stream: StreamNumber(2),
        },
        anchors: vec![Anchor {
            root: sequence,
            edge: sequence + 1,
        }],
        values: vec![Value::Str("some data".into()), Value::Long(sequence as i64)],
    };
    numbers.map(row).collect()
}

/// Of all rows that do not say otherwise.
const EXECUTOR: ExecutorId = ExecutorId {
    first: TaskId(1),
    last: TaskId(50),
};
const OTHER_EXECUTOR: ExecutorId = ExecutorId {
    first: TaskId(51),
    last: TaskId(60),
};
