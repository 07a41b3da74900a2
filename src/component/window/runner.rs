//! The bolt around a windowed one: holds tuples, tells the time, has windows evaluated, acks.
//!
//! Storm's `WindowedBoltExecutor`, without a thread of its own: timers and watermarks are looked
//! after between the executor's tuples. Time-outs and periods are monotonic; processing time is the
//! wall's when the bolt was made, and goes on monotonically.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WindowedBolt;
use super::{LateTuple, TimestampExtractor, Window, WindowCollector, WindowConfig, WindowError};
use crate::clock;
use crate::component::{Bolt, Collector, ComponentFailure, Credentials, Emit, Result, TaskContext};
use crate::conf::{Conf, keys};
use crate::topology::{self, Component, conf};
use crate::tuple::{Key, Part, Shelf, StreamNumber, Tuple, ValueRef};
use crate::window::{Activation, Definition, Firing, Listener, TimeSource};
use crate::window::{Watermarks, WindowManager};

/// Runs a windowed bolt: an ordinary one to the worker.
pub struct Runner {
    bolt: Box<dyn WindowedBolt>,
    clock: Clock,
    firing_max: Duration,
    running: Option<Running>,
}

/// Milliseconds since the epoch; never runs backwards.
type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a prepared bolt has.
struct Running {
    clock: Clock,
    /// Longest time for windows of one watermark before other executors of the thread are served.
    firing_max: Duration,
    definition: Definition,
    manager: WindowManager<Key>,
    held: Shelf,
    event_time: Option<EventTime>,
    /// Of windows that slide by processing time, or of watermarks.
    timer: Option<Timer>,
}

struct EventTime {
    watermarks: Watermarks<StreamNumber>,
    n_streams: usize,
    lag_ms: i64,
    timestamps: Timestamps,
    late_stream: Option<String>,
    n_late: u64,
}

enum Timestamps {
    Field(String),
    Extracted(TimestampExtractor),
}

/// Comes at each multiple of its period after it was set. What was missed is not made up for: the
/// next window reaches back over it.
struct Timer {
    every_ms: i64,
    due_ms: i64,
}

/// Has a window executed, acks what expires, lets go of what is forgotten.
struct Evaluation<'e, 'o> {
    bolt: &'e mut dyn WindowedBolt,
    held: &'e mut Shelf,
    out: &'e mut Collector<'o>,
    length_ms: Option<i64>,
    outcome: Outcome,
}

enum Outcome {
    Done,
    Failed(ComponentFailure),
    Panicked(Box<dyn std::any::Any + Send>),
}

// === impl Runner ===

impl Runner {
    pub fn new(bolt: impl WindowedBolt + 'static) -> Self {
        Runner::of(Box::new(bolt))
    }

    pub fn of(bolt: Box<dyn WindowedBolt>) -> Self {
        let monotonic_ms = || i64::try_from(clock::monotonic_millis()).unwrap_or(i64::MAX);
        let offset_ms = clock::wall_millis() - monotonic_ms();
        Runner {
            bolt,
            clock: Arc::new(move || offset_ms + monotonic_ms()),
            firing_max: FIRING_MAX,
            running: None,
        }
    }
}

#[cfg(test)]
impl Runner {
    /// Takes the time from a test.
    pub(super) fn with_clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes the longest time for windows of one watermark from a test.
    pub(super) fn with_firing_max(mut self, firing_max: Duration) -> Self {
        self.firing_max = firing_max;
        self
    }
}

impl Bolt for Runner {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let extractor = self.bolt.timestamp_extractor();
        let component = topology::component(context.topology(), context.component().as_str());
        let own = match &component {
            Some(component) => conf::json_conf(component)?,
            None => Conf::new(),
        };
        let mut config = options(context.conf(), &own)?;
        if extractor.is_some() {
            config = config.with_extracted_timestamps()?;
        }
        let streams = context.streams();
        let definition = config.check(context.conf(), streams.keys().map(|id| id.as_str()))?;
        self.bolt.prepare(context)?;
        let n_streams = context.sources().len();
        self.running = Some(Running::new(
            definition,
            &config,
            (n_streams, extractor),
            (self.clock.clone(), self.firing_max),
        ));
        // For the timer: collectors are there from the first turn on.
        context.waker().wake();
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        if tuple.is_tick() {
            out.ack(tuple);
            return Ok(());
        }
        running.take(tuple, (&mut *self.bolt, out))
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        match &mut self.running {
            Some(running) => running.look_after((&mut *self.bolt, out)),
            None => Ok(()),
        }
    }

    /// Tuples wait while windows are due that are complete without them.
    fn room(&self) -> usize {
        match &self.running {
            Some(running) if running.manager.is_firing() => 0,
            _ => usize::MAX,
        }
    }

    fn set_credentials(&mut self, credentials: &Credentials) {
        self.bolt.set_credentials(credentials);
    }

    fn cleanup(&mut self) {
        self.bolt.cleanup();
    }

    fn blocks(&self) -> bool {
        self.bolt.blocks()
    }
}

/// Whether a component's configuration makes a window in a topology of this one: for submit, before
/// anything runs. Of a bolt that reads no event time out of its tuples itself.
pub fn check(component: &Component<'_>, topology_conf: &Conf) -> Result<()> {
    let own = conf::json_conf(component)?;
    let whole = topology::component_conf(topology_conf, component)?;
    let streams = component.common.streams.keys().map(String::as_str);
    options(&whole, &own)?.check(&whole, streams)?;
    Ok(())
}

/// The options of a component: `conf` is what holds for it, `own` what it says itself.
fn options(conf: &Conf, own: &Conf) -> Result<WindowConfig, WindowError> {
    // Storm drops this one key from a component's configuration, so that its option does nothing.
    match own.get(keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS) {
        Some(interval) => {
            let key = keys::TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS;
            WindowConfig::read(&conf.clone().with(key, interval.clone()))
        }
        None => WindowConfig::read(conf),
    }
}

// === impl Running ===

impl Running {
    fn new(
        definition: Definition,
        config: &WindowConfig,
        (n_streams, extractor): (usize, Option<TimestampExtractor>),
        (clock, firing_max): (Clock, Duration),
    ) -> Self {
        let manager = WindowManager::new(&definition);
        let field = config.timestamp_field().map(str::to_owned);
        let timestamps = extractor
            .map(Timestamps::Extracted)
            .or(field.map(Timestamps::Field));
        let event_time = match (definition.time, timestamps) {
            (TimeSource::Event { lag_ms }, Some(timestamps)) => Some(EventTime {
                watermarks: Watermarks::new(n_streams, lag_ms),
                n_streams,
                lag_ms,
                timestamps,
                late_stream: config.late_stream().map(str::to_owned),
                n_late: 0,
            }),
            _ => None,
        };
        let every_ms = match event_time {
            Some(_) => Some(config.watermark_interval_ms()),
            None => manager.timer_every_ms(),
        };
        let timer = every_ms.map(|every_ms| Timer {
            every_ms,
            due_ms: clock() + every_ms,
        });
        Running {
            clock,
            firing_max,
            definition,
            manager,
            held: Shelf::default(),
            event_time,
            timer,
        }
    }

    /// A tuple came.
    fn take(
        &mut self,
        tuple: &Tuple<'_>,
        (bolt, out): (&mut dyn WindowedBolt, &mut Collector<'_>),
    ) -> Result<()> {
        let now_ms = (self.clock)();
        let event_ms = match &mut self.event_time {
            None => now_ms,
            Some(event_time) => {
                let event_ms = event_time.timestamps.read(tuple)?;
                if !event_time.watermarks.track(tuple.stream_number(), event_ms) {
                    return event_time.late(tuple, event_ms, out);
                }
                event_ms
            }
        };
        let key = self.held.put(tuple, Part::All)?;
        let mut evaluation = Evaluation {
            bolt,
            held: &mut self.held,
            out,
            length_ms: self.definition.length_ms(),
            outcome: Outcome::Done,
        };
        self.manager.add(key, event_ms, now_ms, &mut evaluation);
        let outcome = evaluation.outcome;
        // The tuple that came failed with all others: here it may not fail once more.
        if let Err(failure) = self.settle(outcome, out) {
            out.report_error(&failure);
        }
        Ok(())
    }

    /// Does what is due, but not for so long that other executors have to wait, and asks to be
    /// called for the rest.
    fn look_after(
        &mut self,
        (bolt, out): (&mut dyn WindowedBolt, &mut Collector<'_>),
    ) -> Result<()> {
        if self.timer.is_none() {
            return Ok(());
        }
        let done = match out.is_blocked() {
            true => Ok(()),
            false => self.do_due((bolt, &mut *out)),
        };
        if let Some(timer) = &self.timer {
            let wait_ms = timer.due_ms.saturating_sub((self.clock)());
            let wait = match self.manager.is_firing() || wait_ms <= 0 {
                true if out.is_blocked() => BLOCKED_RETRY,
                true => Duration::ZERO,
                false => Duration::from_millis(wait_ms.unsigned_abs()),
            };
            out.wake_after(wait);
        }
        done
    }

    fn do_due(&mut self, (bolt, out): (&mut dyn WindowedBolt, &mut Collector<'_>)) -> Result<()> {
        self.fire((&mut *bolt, &mut *out))?;
        let now_ms = (self.clock)();
        let is_due = |timer: &&mut Timer| now_ms >= timer.due_ms;
        let Some(timer) = self.timer.as_mut().filter(is_due) else {
            return Ok(());
        };
        if self.manager.is_firing() {
            return Ok(());
        }
        timer.next(now_ms);
        match &mut self.event_time {
            // Milliseconds begun belong to the next window.
            None => self.strike(now_ms - 1, (bolt, out)),
            Some(event_time) => match event_time.watermarks.advance() {
                Some(watermark_ms) => {
                    self.manager.watermark(watermark_ms);
                    self.fire((bolt, out))
                }
                None => Ok(()),
            },
        }
    }

    /// The timer of a window that slides by processing time.
    fn strike(
        &mut self,
        reference_ms: i64,
        (bolt, out): (&mut dyn WindowedBolt, &mut Collector<'_>),
    ) -> Result<()> {
        let mut evaluation = Evaluation {
            bolt,
            held: &mut self.held,
            out,
            length_ms: self.definition.length_ms(),
            outcome: Outcome::Done,
        };
        self.manager.timer(reference_ms, &mut evaluation);
        let outcome = evaluation.outcome;
        self.settle(outcome, out)
    }

    /// Has windows evaluated that the last watermark completed, while there is time and room.
    fn fire(&mut self, (bolt, out): (&mut dyn WindowedBolt, &mut Collector<'_>)) -> Result<()> {
        if !self.manager.is_firing() {
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let mut evaluation = Evaluation {
                bolt: &mut *bolt,
                held: &mut self.held,
                out: &mut *out,
                length_ms: self.definition.length_ms(),
                outcome: Outcome::Done,
            };
            let firing = self.manager.fire((self.clock)(), &mut evaluation);
            let outcome = evaluation.outcome;
            self.settle(outcome, out)?;
            if firing == Firing::Done || out.is_blocked() || started.elapsed() >= self.firing_max {
                return Ok(());
            }
        }
    }

    /// After an evaluation that did not succeed every tuple fails, and windows begin anew: with
    /// watermarks that had passed what is replayed, it would be late.
    fn settle(&mut self, outcome: Outcome, out: &mut Collector<'_>) -> Result<()> {
        if let Outcome::Done = outcome {
            return Ok(());
        }
        for key in self.manager.events() {
            out.fail(&self.held.get_stamped(key));
        }
        self.manager = WindowManager::new(&self.definition);
        self.held = Shelf::default();
        if let Some(event_time) = &mut self.event_time {
            event_time.watermarks = Watermarks::new(event_time.n_streams, event_time.lag_ms);
        }
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Failed(failure) => Err(failure),
            Outcome::Panicked(payload) => resume_unwind(payload),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What expired was acked.
        self.held.note_lost(self.manager.events());
    }
}

// === impl EventTime ===

impl EventTime {
    /// A tuple whose time a watermark has passed.
    fn late(&mut self, tuple: &Tuple<'_>, event_ms: i64, out: &mut Collector<'_>) -> Result<()> {
        match &self.late_stream {
            Some(stream) => {
                let late = LateTuple::value(tuple);
                let emit = Emit {
                    stream,
                    anchors: std::slice::from_ref(tuple),
                    ..Emit::default()
                };
                out.emit_with(emit, [ValueRef::Nested(&late)])?;
            }
            None => {
                self.n_late += 1;
                // Not a line for each of what may be most of a stream.
                if self.n_late.is_power_of_two() {
                    let (n_late, watermark_ms) = (self.n_late, self.watermarks.last_ms());
                    tracing::info!(n_late, event_ms, watermark_ms, "late tuples are dropped");
                }
            }
        }
        out.ack(tuple);
        Ok(())
    }
}

// === impl Timestamps ===

impl Timestamps {
    fn read(&mut self, tuple: &Tuple<'_>) -> Result<i64> {
        match self {
            Timestamps::Extracted(extract) => extract(tuple),
            // JSON children send small numbers as ints.
            Timestamps::Field(field) => match tuple.value(field.as_str())? {
                ValueRef::Int(value) => Ok(i64::from(value)),
                _ => Ok(tuple.long(field.as_str())?),
            },
        }
    }
}

// === impl Timer ===

impl Timer {
    /// It is past the time when it was due.
    fn next(&mut self, now_ms: i64) {
        let n_periods = (now_ms - self.due_ms) / self.every_ms + 1;
        self.due_ms = self.due_ms.saturating_add(n_periods * self.every_ms);
    }
}

// === impl Evaluation ===

impl Listener<Key> for Evaluation<'_, '_> {
    fn expired(&mut self, events: &[Key]) {
        for key in events {
            self.out.ack(&self.held.get_stamped(*key));
        }
    }

    fn activated(&mut self, window: Activation<'_, Key>) {
        if !matches!(self.outcome, Outcome::Done) {
            return;
        }
        let window = Window {
            held: self.held,
            tuples: window.events,
            new: window.new,
            expired: window.expired,
            length_ms: self.length_ms,
            end_ms: window.end_ms,
        };
        let (bolt, out) = (&mut *self.bolt, self.out.reborrow());
        let execute = AssertUnwindSafe(|| {
            let mut out = WindowCollector::new(out, window);
            bolt.execute(&window, &mut out)
        });
        match catch_unwind(execute) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => self.outcome = Outcome::Failed(failure),
            // The worker makes the bolt anew; what this one holds has to fail first.
            Err(payload) => self.outcome = Outcome::Panicked(payload),
        }
    }

    fn forgotten(&mut self, events: &[Key]) {
        for key in events {
            self.held.release(*key);
        }
    }
}

/// Until the next look at receivers that were full.
const BLOCKED_RETRY: Duration = Duration::from_millis(1);
/// Some wakes' worth, so that others on the thread hardly notice.
const FIRING_MAX: Duration = Duration::from_micros(200);
