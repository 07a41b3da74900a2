//! What one executor counts: sampled as Storm samples, kept in Storm's windows (data-plane 11).
//!
//! A thin face over `stats`: decides which calls are looked at. Sends nothing.

use crate::acker::{Outcome, Pending};
use crate::clock;
use crate::stats::{ExecutorTable, Layout, Role, Sampler};
use crate::tuple::{StreamNumber, StreamTable, Tuple, TupleBatch};
use crate::wire::storm;

/// The statistics of one executor.
pub struct Meter {
    table: ExecutorTable,
    emits: Sampler,
    executions: Sampler,
    trees: Sampler,
    weight: u64,
    started_ms: i64,
    /// Whether anything was counted since the last `news`.
    has_news: bool,
    n_looks: u32,
}

/// How an executor counts.
#[derive(Clone, Copy, Debug)]
pub struct MeterOptions {
    pub role: Role,
    /// `num.stat.buckets`.
    pub layout: Layout,
    /// `topology.stats.sample.rate`.
    pub sample_rate: f64,
}

// === impl Meter ===

impl Meter {
    pub fn new(options: MeterOptions, random: &mut fastrand::Rng) -> Self {
        let emits = Sampler::new(options.sample_rate, random);
        Meter {
            table: ExecutorTable::new(options.role, options.layout, options.sample_rate),
            weight: emits.weight(),
            emits,
            executions: Sampler::new(options.sample_rate, random),
            trees: Sampler::new(options.sample_rate, random),
            started_ms: clock::wall_millis(),
            has_news: true,
            n_looks: 0,
        }
    }

    /// One emit, for so many tasks.
    #[inline(always)]
    pub fn emitted(&mut self, stream: StreamNumber, n_targets: usize) {
        if self.emits.is_hit() {
            self.count_emit(stream, n_targets);
        }
    }

    #[cold]
    fn count_emit(&mut self, stream: StreamNumber, n_targets: usize) {
        let n_sent = self.weight * n_targets as u64;
        self.has_news = true;
        self.table.emitted(stream, self.weight, self.started_ms);
        self.table.transferred(stream, n_sent, self.started_ms);
    }

    /// Before a tuple's execution: its start, in microseconds since the epoch, if it is sampled,
    /// else 0. The stamp that it leaves on the batch is to be taken off when all is over.
    #[inline(always)]
    pub fn executing(&mut self, batch: &TupleBatch) -> i64 {
        match self.executions.is_hit() {
            true => self.begin_sample(batch),
            false => 0,
        }
    }

    #[cold]
    fn begin_sample(&mut self, batch: &TupleBatch) -> i64 {
        self.has_news = true;
        let started_us = clock::wall_micros();
        batch.stamp(started_us);
        started_us
    }

    /// After its execution.
    #[inline(always)]
    pub fn executed(&mut self, tuple: &Tuple<'_>, started_us: i64) {
        if started_us != 0 {
            self.end_sample(tuple, started_us);
        }
    }

    #[cold]
    fn end_sample(&mut self, tuple: &Tuple<'_>, started_us: i64) {
        let stream = tuple.stream_number();
        let took_us = clock::wall_micros().saturating_sub(started_us).max(0);
        self.table.executed(stream, self.weight, self.started_ms);
        self.table.execute_latency(stream, took_us, self.started_ms);
    }

    /// A sampled tuple was acked.
    pub fn acked(&mut self, tuple: &Tuple<'_>) {
        self.has_news = true;
        let stream = tuple.stream_number();
        let took_us = clock::wall_micros().saturating_sub(tuple.stamp_us()).max(0);
        self.table.acked(stream, self.weight, self.started_ms);
        self.table.ack_latency(stream, took_us, self.started_ms);
    }

    /// A sampled tuple failed.
    pub fn failed(&mut self, tuple: &Tuple<'_>) {
        self.has_news = true;
        let stream = tuple.stream_number();
        self.table.failed(stream, self.weight, self.started_ms);
    }

    /// A sampled message to an acker; gives how many it stands for.
    pub fn sent_to_acker(&mut self, stream: StreamNumber) -> u64 {
        self.has_news = true;
        self.table.emitted(stream, self.weight, self.started_ms);
        self.table.transferred(stream, self.weight, self.started_ms);
        self.weight
    }

    /// So many messages came to this acker by a stream. Each takes it less than the microsecond in
    /// which latencies are measured.
    pub fn acker_took(&mut self, stream: StreamNumber, n: u64) {
        self.has_news = true;
        self.table.executed(stream, n, self.started_ms);
        self.table.acked(stream, n, self.started_ms);
        self.table.execute_latency(stream, 0, self.started_ms);
        self.table.ack_latency(stream, 0, self.started_ms);
    }

    /// A tick came to this acker: Storm's does not ack those.
    pub fn acker_ticked(&mut self, stream: StreamNumber) {
        if self.executions.is_hit() {
            self.has_news = true;
            self.table.executed(stream, self.weight, self.started_ms);
            self.table.execute_latency(stream, 0, self.started_ms);
        }
    }

    /// Whether the next tracked tuple is sampled.
    #[inline]
    pub fn samples_tree(&mut self) -> bool {
        self.trees.is_hit()
    }

    /// A tracked tuple is over. `now_us` is wall time, like its emit's.
    #[inline(always)]
    pub fn finished(&mut self, pending: &Pending, outcome: Outcome, now_us: i64) {
        if pending.emitted_us != 0 {
            self.end_tree(pending, outcome, now_us);
        }
    }

    #[cold]
    fn end_tree(&mut self, pending: &Pending, outcome: Outcome, now_us: i64) {
        self.has_news = true;
        match outcome {
            Outcome::Acked => {
                let took_us = now_us.saturating_sub(pending.emitted_us).max(0);
                let (stream, since_ms) = (pending.stream, self.started_ms);
                self.table.acked(stream, self.weight, since_ms);
                self.table.ack_latency(stream, took_us, since_ms);
            }
            Outcome::Failed => self
                .table
                .failed(pending.stream, self.weight, self.started_ms),
            Outcome::Reset => {}
        }
    }

    /// To be called each `Layout::rotation_ms`.
    pub fn rotate(&mut self) {
        self.table.rotate(clock::wall_millis());
    }

    /// What a heartbeat says; none where it would say the same as last time but for the passing of
    /// time, which is told now and then.
    pub fn news(&mut self, streams: &StreamTable) -> Option<storm::ExecutorStats> {
        self.n_looks += 1;
        if !std::mem::take(&mut self.has_news) && !self.n_looks.is_multiple_of(LOOKS_IDLE) {
            return None;
        }
        Some(self.table.snapshot(streams, clock::wall_millis()))
    }
}

/// Looks at an idle executor between two heartbeats that tell how its windows aged.
const LOOKS_IDLE: u32 = 30;
