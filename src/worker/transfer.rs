//! Batches for other workers: encoded on the thread that filled them, into the peer's outbox.
//!
//! Encoding here keeps the batch in this thread's caches and recycles it at once. What cannot be
//! encoded fails its roots, and is counted.

use std::sync::atomic::Ordering;

use tracing::error;

use crate::id::TaskId;
use crate::messaging::acks::{AckKind, AckRecord};
use crate::messaging::codec::{self, EncodeError};
use crate::messaging::outbox::{DataFrame, DataOutbox};
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
        let mut open = vec![run];
        while let Some(rows) = open.pop() {
            let mut bytes = outbox.buffer();
            match codec::write_frame(batch, rows.clone(), &mut bytes) {
                Ok(()) => {
                    let n_tuples = rows.len();
                    counters.n_sent.fetch_add(n_tuples as u64, Ordering::SeqCst);
                    outbox.push(DataFrame { bytes, n_tuples });
                }
                Err(EncodeError::TooLarge { .. }) if rows.len() > 1 => {
                    let middle = rows.start + rows.len() / 2;
                    // The first half is on top: tuples keep their order.
                    open.push(middle..rows.end);
                    open.push(rows.start..middle);
                }
                Err(_) if rows.len() > 1 => {
                    // One tuple of them cannot be written: each on its own finds out which.
                    open.extend(rows.rev().map(|row| row..row + 1));
                }
                Err(error) => refuse(batch, rows.start, &error, counters, failed),
            }
        }
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
    failed.extend(tuple.anchors().iter().map(|anchor| AckRecord {
        root: anchor.root,
        value: 0,
        task: TaskId(0),
        kind: AckKind::Fail,
    }));
}
