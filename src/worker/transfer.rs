//! Batches for other workers: encoded on the thread that filled them, into the peer's outbox.
//!
//! Encoding here keeps the batch in this thread's caches and recycles it at once. A batch that is
//! too large for one frame goes in several. What cannot be encoded, or finds no place in the
//! outbox, fails its roots, and is counted.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{error, warn};

use crate::messaging::acks::AckRecord;
use crate::messaging::codec::{self, EncodeError};
use crate::messaging::outbox::DataOutbox;
use crate::messaging::sending::DataFrame;
use crate::tuple::TupleBatch;
use crate::worker::shared::WorkerCounters;

/// Writes all tuples of `batch` into the outbox. Roots of what cannot be written are failed by
/// records appended to `failed`.
pub fn send(
    outbox: &DataOutbox,
    batch: &TupleBatch,
    counters: &WorkerCounters,
    failed: &mut Vec<AckRecord>,
) {
    for run in codec::runs(batch) {
        send_rows(outbox, (batch, run), counters, failed);
    }
}

/// In one frame, or in as many as it takes.
fn send_rows(
    outbox: &DataOutbox,
    (batch, rows): (&TupleBatch, Range<usize>),
    counters: &WorkerCounters,
    failed: &mut Vec<AckRecord>,
) {
    let mut bytes = outbox.buffer();
    match codec::write_frame(batch, rows.clone(), Arc::make_mut(&mut bytes)) {
        Ok(()) => {
            let n_tuples = rows.len();
            counters.n_sent.fetch_add(n_tuples as u64, Ordering::SeqCst);
            if !outbox.push(DataFrame { bytes, n_tuples }) {
                // The assignment changed, and this thread still follows the old one.
                fail(batch, rows, failed);
            }
        }
        // Too much for one frame, or one tuple of them cannot be written: the halves find out.
        Err(_) if rows.len() > 1 => {
            drop(bytes);
            let middle = rows.start + rows.len() / 2;
            for half in [rows.start..middle, middle..rows.end] {
                send_rows(outbox, (batch, half), counters, failed);
            }
        }
        Err(error) => refuse(batch, rows.start, &error, counters, failed),
    }
}

#[cold]
fn refuse(
    batch: &TupleBatch,
    row: usize,
    error: &EncodeError,
    counters: &WorkerCounters,
    failed: &mut Vec<AckRecord>,
) {
    counters.n_unsendable.fetch_add(1, Ordering::Relaxed);
    let Some(tuple) = batch.get(row) else {
        return;
    };
    let (component, stream) = (tuple.source_component(), tuple.source_stream());
    error!(%component, %stream, %error, "a tuple cannot be sent to another worker");
    fail(batch, row..row + 1, failed);
}

/// For a batch that finds far too much in its outbox. Only edges that wait for nobody get here:
/// those that close a cycle which makes more of what goes round.
#[cold]
pub fn overflow(batch: &TupleBatch, counters: &WorkerCounters, failed: &mut Vec<AckRecord>) {
    let n_tuples = batch.len() as u64;
    let n_before = counters.n_overflowed.fetch_add(n_tuples, Ordering::Relaxed);
    if n_before == 0 {
        warn!("a cycle over workers makes more tuples than it takes: those beyond a bound fail");
    }
    fail(batch, 0..batch.len(), failed);
}

fn fail(batch: &TupleBatch, rows: Range<usize>, failed: &mut Vec<AckRecord>) {
    let tuples = rows.filter_map(|row| batch.get(row));
    let anchors = tuples.flat_map(|tuple| tuple.anchors());
    failed.extend(anchors.map(|anchor| AckRecord::fail(anchor.root)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ExecutorId, TaskId};
    use crate::limits;
    use crate::messaging::decode::Incoming;
    use crate::messaging::outbox::Outbox;
    use crate::tuple::{Anchor, Fields, StreamInfo, StreamNumber, StreamTable, TupleHead};
    use crate::values;

    const EXECUTOR: ExecutorId = ExecutorId {
        first: TaskId(8),
        last: TaskId(8),
    };

    fn streams() -> Arc<StreamTable> {
        let info = StreamInfo {
            component: "spout".into(),
            stream: "default".into(),
            fields: Fields::new(["text"]).unwrap(),
            direct: false,
        };
        Arc::new(StreamTable::new([info]).unwrap())
    }

    fn head(sequence: u64) -> TupleHead {
        TupleHead {
            sequence,
            generation: 1,
            timestamp_us: 0,
            source_task: TaskId(2),
            target_task: TaskId(8),
            stream: StreamNumber(0),
        }
    }

    /// Sends a batch; gives the sequences in each frame, and the roots that failed.
    fn sent(batch: &TupleBatch) -> (Vec<Vec<u64>>, Vec<u64>) {
        let (outbox, lines) = Outbox::new(&[EXECUTOR], 1000);
        let (counters, mut failed) = (WorkerCounters::default(), Vec::new());
        send(&lines[0], batch, &counters, &mut failed);
        let mut frames = Vec::new();
        outbox.sending().end(&mut frames);
        let n_sent = counters.n_sent.load(Ordering::SeqCst);
        assert_eq!(n_sent as usize + failed.len(), batch.len());
        let sequences = |frame: &DataFrame| {
            assert!(frame.bytes.len() <= limits::LINK_FRAME_BYTES_MAX);
            let (head, body) = codec::split_frame(&frame.bytes).unwrap();
            let mut read = TupleBatch::new(streams());
            let incoming = Incoming::open(head, body).unwrap();
            incoming.read_into(&mut read, EXECUTOR).unwrap();
            let ids = read.iter().map(|tuple| tuple.id().sequence);
            ids.collect()
        };
        let sequences = frames.iter().map(sequences).collect();
        (sequences, failed.iter().map(|record| record.root).collect())
    }

    #[test]
    fn a_batch_too_large_for_a_frame_goes_in_several_in_its_order() {
        let text = "x".repeat(3_000_000);
        let mut apart = TupleBatch::new(streams());
        let mut shared = TupleBatch::new(streams());
        shared.push(head(0), &[], &values![&text]).unwrap();
        for sequence in 0..11 {
            apart.push(head(sequence), &[], &values![&text]).unwrap();
        }
        for sequence in 1..11 {
            shared.push_again(head(sequence), &[]).unwrap();
        }
        for batch in [apart, shared] {
            let (frames, failed) = sent(&batch);
            assert_eq!(failed, [0; 0]);
            assert_eq!(frames.concat(), (0..11).collect::<Vec<_>>());
            assert_eq!(frames.len(), 3);
        }
    }

    #[test]
    fn a_tuple_that_no_frame_holds_fails_alone() {
        let mut batch = TupleBatch::new(streams());
        let beyond = "x".repeat(limits::LINK_FRAME_BYTES_MAX + 1);
        for sequence in 0..5 {
            let text = if sequence == 3 { &beyond } else { "x" };
            let anchor = Anchor {
                root: 70 + sequence,
                edge: 1,
            };
            batch
                .push(head(sequence), &[anchor], &values![text])
                .unwrap();
        }
        let (frames, failed) = sent(&batch);
        assert_eq!(failed, [73]);
        assert_eq!(frames.concat(), [0, 1, 2, 4]);
    }

    /// Its link has ended, and this thread does not follow the new routes yet.
    #[test]
    fn what_is_for_a_worker_that_is_not_wanted_any_more_fails() {
        let mut batch = TupleBatch::new(streams());
        for sequence in 0..3 {
            let anchor = Anchor {
                root: 70 + sequence,
                edge: 1,
            };
            batch
                .push(head(sequence), &[anchor], &values!["x"])
                .unwrap();
        }
        let (outbox, lines) = Outbox::new(&[EXECUTOR], 1000);
        outbox.sending().end(&mut Vec::new());
        let mut failed = Vec::new();
        send(&lines[0], &batch, &WorkerCounters::default(), &mut failed);
        let roots: Vec<u64> = failed.iter().map(|record| record.root).collect();
        assert_eq!(roots, [70, 71, 72]);
        assert!(outbox.is_empty());
    }
}
