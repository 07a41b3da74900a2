//! Batches for other workers: encoded on the thread that filled them, into the peer's outbox.
//!
//! Encoding here keeps the batch in this thread's caches and recycles it at once. What cannot be
//! encoded, or finds no place in the outbox, fails its roots, and is counted.

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
        let mut open = vec![run];
        while let Some(rows) = open.pop() {
            let mut bytes = outbox.buffer();
            match codec::write_frame(batch, rows.clone(), Arc::make_mut(&mut bytes)) {
                Ok(()) => {
                    let n_tuples = rows.len();
                    counters.n_sent.fetch_add(n_tuples as u64, Ordering::SeqCst);
                    if outbox.push(DataFrame { bytes, n_tuples }).is_err() {
                        overflow(batch, rows, counters, failed);
                    }
                }
                Err(EncodeError::TooLarge { .. } | EncodeError::TooMany { .. })
                    if rows.len() > 1 =>
                {
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
    fail(batch, row..row + 1, failed);
}

/// Only edges that wait for nobody get here: those that close a cycle which makes more of what goes
/// round.
#[cold]
fn overflow(
    batch: &TupleBatch,
    rows: Range<usize>,
    counters: &WorkerCounters,
    failed: &mut Vec<AckRecord>,
) {
    let n_tuples = rows.len();
    counters.n_sent.fetch_sub(n_tuples as u64, Ordering::SeqCst);
    let n_before = counters
        .n_overflowed
        .fetch_add(n_tuples as u64, Ordering::Relaxed);
    if n_before == 0 {
        warn!("a cycle over workers makes more tuples than it takes: those beyond a bound fail");
    }
    fail(batch, rows, failed);
}

fn fail(batch: &TupleBatch, rows: Range<usize>, failed: &mut Vec<AckRecord>) {
    let tuples = rows.filter_map(|row| batch.get(row));
    let anchors = tuples.flat_map(|tuple| tuple.anchors());
    failed.extend(anchors.map(|anchor| AckRecord::fail(anchor.root)));
}
