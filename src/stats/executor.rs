//! The counters of one executor, by stream, and what Nimbus is told of them.
//!
//! A stream's number names its component too, so that one key does for a component's own streams
//! and for those it takes. Counts are what the caller adds: sampling and its weights are the
//! caller's.

use std::collections::BTreeMap;

use crate::tuple::{StreamInfo, StreamNumber, StreamTable};
use crate::wire::storm;

use super::{Counts, Latencies, Layout, Windows};

/// What an executor counts, each by stream.
#[derive(Debug)]
pub struct ExecutorTable {
    role: Role,
    layout: Layout,
    sample_rate: f64,
    streams: Vec<Option<Box<StreamCounters>>>,
}

/// Whether acks are counted by the streams one emits or by those one takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Spout,
    Bolt,
}

/// Of one stream. What no one ever added to is not reported.
#[derive(Debug, Default)]
struct StreamCounters {
    emitted: Option<Counts>,
    transferred: Option<Counts>,
    executed: Option<Counts>,
    acked: Option<Counts>,
    failed: Option<Counts>,
    execute_us: Option<Latencies>,
    /// A bolt's process latency, a spout's complete latency.
    ack_us: Option<Latencies>,
}

// === impl ExecutorTable ===

/// `stream` is the executor's own in `emitted` and `transferred` and, for a spout, everywhere; else
/// it is the stream that a tuple came by. `now_ms` counts only when a stream is met for the first
/// time.
impl ExecutorTable {
    /// `sample_rate` is reported as it is.
    pub fn new(role: Role, layout: Layout, sample_rate: f64) -> Self {
        ExecutorTable {
            role,
            layout,
            sample_rate,
            streams: Vec::new(),
        }
    }

    /// `n` tuples were emitted.
    #[inline]
    pub fn emitted(&mut self, stream: StreamNumber, n: u64, now_ms: i64) {
        self.add(stream, |counters| &mut counters.emitted, n, now_ms);
    }

    /// `n` tuples were sent, one for each task that gets one.
    #[inline]
    pub fn transferred(&mut self, stream: StreamNumber, n: u64, now_ms: i64) {
        self.add(stream, |counters| &mut counters.transferred, n, now_ms);
    }

    #[inline]
    pub fn executed(&mut self, stream: StreamNumber, n: u64, now_ms: i64) {
        self.add(stream, |counters| &mut counters.executed, n, now_ms);
    }

    #[inline]
    pub fn acked(&mut self, stream: StreamNumber, n: u64, now_ms: i64) {
        self.add(stream, |counters| &mut counters.acked, n, now_ms);
    }

    #[inline]
    pub fn failed(&mut self, stream: StreamNumber, n: u64, now_ms: i64) {
        self.add(stream, |counters| &mut counters.failed, n, now_ms);
    }

    /// How long a call of the bolt took, in microseconds.
    #[inline]
    pub fn execute_latency(&mut self, stream: StreamNumber, took_us: i64, now_ms: i64) {
        self.record(stream, |counters| &mut counters.execute_us, took_us, now_ms);
    }

    /// From the start of a tuple's execution to its ack, or from a spout's emit to the end of its
    /// tree, in microseconds.
    #[inline]
    pub fn ack_latency(&mut self, stream: StreamNumber, took_us: i64, now_ms: i64) {
        self.record(stream, |counters| &mut counters.ack_us, took_us, now_ms);
    }

    /// To be called each `Layout::rotation_ms`.
    pub fn rotate(&mut self, now_ms: i64) {
        for counters in self.streams.iter_mut().flatten() {
            counters.rotate(now_ms);
        }
    }

    /// Share of the last ten minutes, or of the worker's life, spent in `execute` (11.3).
    pub fn capacity(&self, uptime_secs: i64, now_ms: i64) -> f64 {
        let span_ms = uptime_secs.min(600) * 1000;
        if span_ms <= 0 {
            return 0.0;
        }
        let busy_ms = self.streams.iter().flatten().filter_map(|counters| {
            let executed = counters.executed.as_ref()?.read(now_ms).ten_minutes;
            let average_us = counters.execute_us.as_ref()?.read(now_ms).ten_minutes;
            Some(average_us / 1000.0 * executed as f64)
        });
        busy_ms.sum::<f64>() / span_ms as f64
    }

    /// The record of a heartbeat. Latencies are in milliseconds there.
    pub fn snapshot(&self, streams: &StreamTable, now_ms: i64) -> storm::ExecutorStats {
        let specific = match self.role {
            Role::Spout => storm::ExecutorSpecificStats::Spout(storm::SpoutStats {
                acked: self.counts(streams, |c| &c.acked, stream_id, now_ms),
                failed: self.counts(streams, |c| &c.failed, stream_id, now_ms),
                complete_ms_avg: self.averages(streams, |c| &c.ack_us, stream_id, now_ms),
            }),
            Role::Bolt => storm::ExecutorSpecificStats::Bolt(storm::BoltStats {
                acked: self.counts(streams, |c| &c.acked, global_id, now_ms),
                failed: self.counts(streams, |c| &c.failed, global_id, now_ms),
                process_ms_avg: self.averages(streams, |c| &c.ack_us, global_id, now_ms),
                executed: self.counts(streams, |c| &c.executed, global_id, now_ms),
                execute_ms_avg: self.averages(streams, |c| &c.execute_us, global_id, now_ms),
            }),
        };
        storm::ExecutorStats {
            emitted: self.counts(streams, |c| &c.emitted, stream_id, now_ms),
            transferred: self.counts(streams, |c| &c.transferred, stream_id, now_ms),
            specific,
            rate: self.sample_rate,
        }
    }

    #[inline]
    fn add(
        &mut self,
        stream: StreamNumber,
        which: impl FnOnce(&mut StreamCounters) -> &mut Option<Counts>,
        n: u64,
        now_ms: i64,
    ) {
        let layout = self.layout;
        let counts = which(self.counters(stream));
        counts
            .get_or_insert_with(|| Counts::new(layout, now_ms))
            .add(n as i64);
    }

    #[inline]
    fn record(
        &mut self,
        stream: StreamNumber,
        which: impl FnOnce(&mut StreamCounters) -> &mut Option<Latencies>,
        took_us: i64,
        now_ms: i64,
    ) {
        let layout = self.layout;
        let latencies = which(self.counters(stream));
        latencies
            .get_or_insert_with(|| Latencies::new(layout, now_ms))
            .record(took_us);
    }

    #[inline]
    fn counters(&mut self, stream: StreamNumber) -> &mut StreamCounters {
        let index = stream.0 as usize;
        if index >= self.streams.len() {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index].get_or_insert_default()
    }

    fn counts<K: Ord>(
        &self,
        streams: &StreamTable,
        which: impl Fn(&StreamCounters) -> &Option<Counts>,
        key: impl Fn(&StreamInfo) -> K,
        now_ms: i64,
    ) -> BTreeMap<String, BTreeMap<K, i64>> {
        let read = |counters: &StreamCounters| which(counters).as_ref().map(|c| c.read(now_ms));
        self.by_window(streams, read, key)
    }

    fn averages<K: Ord>(
        &self,
        streams: &StreamTable,
        which: impl Fn(&StreamCounters) -> &Option<Latencies>,
        key: impl Fn(&StreamInfo) -> K,
        now_ms: i64,
    ) -> BTreeMap<String, BTreeMap<K, f64>> {
        let read = |counters: &StreamCounters| {
            let latencies = which(counters).as_ref()?;
            Some(latencies.read(now_ms).map(|average_us| average_us / 1000.0))
        };
        self.by_window(streams, read, key)
    }

    fn by_window<K: Ord, T>(
        &self,
        streams: &StreamTable,
        read: impl Fn(&StreamCounters) -> Option<Windows<T>>,
        key: impl Fn(&StreamInfo) -> K,
    ) -> BTreeMap<String, BTreeMap<K, T>> {
        let mut windows = Windows::<()>::default().named().map(|(name, ())| {
            let by_stream: BTreeMap<K, T> = BTreeMap::new();
            (name.to_owned(), by_stream)
        });
        for (number, info) in streams.iter() {
            let counters = self.streams.get(number.0 as usize).and_then(Option::as_ref);
            let Some(figures) = counters.and_then(|counters| read(counters)) else {
                continue;
            };
            for ((_, by_stream), (_, figure)) in windows.iter_mut().zip(figures.named()) {
                by_stream.insert(key(info), figure);
            }
        }
        // Storm names no window of what was never counted.
        let counted = windows
            .into_iter()
            .filter(|(_, by_stream)| !by_stream.is_empty());
        counted.collect()
    }
}

// === impl StreamCounters ===

impl StreamCounters {
    fn rotate(&mut self, now_ms: i64) {
        let counts = [
            &mut self.emitted,
            &mut self.transferred,
            &mut self.executed,
            &mut self.acked,
            &mut self.failed,
        ];
        counts
            .into_iter()
            .flatten()
            .for_each(|counts| counts.rotate(now_ms));
        let latencies = [&mut self.execute_us, &mut self.ack_us];
        latencies
            .into_iter()
            .flatten()
            .for_each(|latencies| latencies.rotate(now_ms));
    }
}

fn stream_id(info: &StreamInfo) -> String {
    info.stream.to_string()
}

fn global_id(info: &StreamInfo) -> storm::GlobalStreamId {
    storm::GlobalStreamId {
        component_id: info.component.to_string(),
        stream_id: info.stream.to_string(),
    }
}
