//! A profile of a worker: looks a hundred times a second what each thread does, and for whom.
//!
//! Tells components, executors and shell children apart, not functions: a component's turn is what
//! an operator can act on, and looking at it costs the executors nothing. Stops no thread and sends
//! no signal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::{self, Civil};
use crate::worker::kernel;
use crate::worker::shared::{ExecutorHandle, Shared};

/// A profile that is being taken.
pub struct Sampler {
    shared: Arc<Shared>,
    groups: PathBuf,
    samples: Arc<Mutex<Samples>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    started: Instant,
    started_secs: i64,
    /// Processor time at the start, by thread and by process.
    threads: BTreeMap<i32, f64>,
    children: BTreeMap<i32, f64>,
}

/// What was seen how often.
#[derive(Debug, Default)]
struct Samples {
    n_looks: u64,
    /// By thread, by place of the executor whose turn it was (none between turns), and by state.
    seen: BTreeMap<(usize, Option<usize>, char), u64>,
    /// Where executors waited in the kernel during their turns.
    waits: BTreeMap<(usize, usize, String), u64>,
}

// === impl Sampler ===

impl Sampler {
    /// Begins. `groups` has a record for each shell child.
    pub fn start(shared: Arc<Shared>, groups: PathBuf) -> io::Result<Self> {
        let (samples, stop) = (
            Arc::<Mutex<Samples>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let thread = {
            let (shared, samples, stop) = (shared.clone(), samples.clone(), stop.clone());
            let thread = std::thread::Builder::new().name("profiler".to_owned());
            thread.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    lock(&samples).look(&shared);
                    std::thread::park_timeout(EVERY);
                }
            })?
        };
        Ok(Sampler {
            threads: cpu_of(kernel::threads().iter()),
            children: cpu_of(kernel::children(&groups).iter().map(|child| &child.seen)),
            started: Instant::now(),
            started_secs: clock::wall_secs(),
            thread: Some(thread),
            shared,
            groups,
            samples,
            stop,
        })
    }

    /// What was seen so far, as text.
    pub fn report(&self, name: &str) -> String {
        let samples = lock(&self.samples);
        let secs = self.started.elapsed().as_secs_f64().max(0.001);
        let (from, to) = (self.started_secs, clock::wall_secs());
        let mut out = format!(
            "Profile of worker {name}, process {}\n{} to {} ({secs:.1} s), {} looks\n",
            std::process::id(),
            Civil::of_secs(from).to_java(),
            Civil::of_secs(to).to_java(),
            samples.n_looks,
        );
        out += "\nTHREAD             CPU S  % OF A CORE\n";
        for thread in kernel::threads() {
            let before = self.threads.get(&thread.id).copied().unwrap_or(0.0);
            line(&mut out, &thread.name, thread.cpu_secs - before, secs);
        }
        out += "\nSHELL CHILD        CPU S  % OF A CORE\n";
        for child in kernel::children(&self.groups) {
            let before = self.children.get(&child.seen.id).copied().unwrap_or(0.0);
            let name = format!("{} {}", child.seen.id, child.command);
            line(&mut out, &name, child.seen.cpu_secs - before, secs);
        }
        self.components(&mut out, &samples);
        self.folded(&mut out, &samples);
        out
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of it costs the profile alone.
            let _ = thread.join();
        }
    }

    /// The share of the time that each executor had its turn, and what its thread did meanwhile.
    fn components(&self, out: &mut String, samples: &Samples) {
        let share = |n: u64| 100.0 * n as f64 / samples.n_looks.max(1) as f64;
        *out += "\nEXECUTOR                        THREAD  % OF TIME  RUNNING  WAITING  QUEUED\n";
        for executor in &self.shared.executors {
            let own = samples.seen.iter().filter(|((thread, place, _), _)| {
                *thread == executor.thread && *place == Some(executor.place)
            });
            let (mut n_running, mut n_waiting) = (0, 0);
            for ((_, _, state), n) in own {
                match state {
                    'R' => n_running += n,
                    _ => n_waiting += n,
                }
            }
            let _ = writeln!(
                out,
                "{:<30}  {:>6}  {:>9.1}  {:>7.1}  {:>7.1}  {:>6}",
                title(executor),
                executor.thread,
                share(n_running + n_waiting),
                share(n_running),
                share(n_waiting),
                executor.gauge.n_queued(),
            );
        }
        if samples.waits.is_empty() {
            return;
        }
        *out += "\nWHERE EXECUTORS WAITED IN THE KERNEL                  % OF TIME\n";
        for ((thread, place, function), n) in &samples.waits {
            let who = self.name_of(*thread, Some(*place));
            let _ = writeln!(out, "{who:<30}  {function:<20}  {:>9.1}", share(*n));
        }
    }

    /// Lines for tools that draw flame graphs.
    fn folded(&self, out: &mut String, samples: &Samples) {
        *out += "\n# folded stacks: thread;executor;state looks\n";
        for ((thread, place, state), n) in &samples.seen {
            let who = self.name_of(*thread, *place);
            let _ = writeln!(out, "executors-{thread};{who};{} {n}", state_name(*state));
        }
    }

    fn name_of(&self, thread: usize, place: Option<usize>) -> String {
        let Some(place) = place else {
            return "between turns".to_owned();
        };
        let mut executors = self.shared.executors.iter();
        let found = executors.find(|e| e.thread == thread && e.place == place);
        found.map_or_else(|| "an executor that left".to_owned(), title)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Samples ===

impl Samples {
    fn look(&mut self, shared: &Shared) {
        self.n_looks += 1;
        for (number, activity) in shared.activities.iter().enumerate() {
            let seen = activity.look();
            let Some(thread) = kernel::thread(seen.tid) else {
                continue;
            };
            *self
                .seen
                .entry((number, seen.place, thread.state))
                .or_default() += 1;
            if let Some(place) = seen.place
                && thread.state != 'R'
                && self.waits.len() < WAITS_MAX
                && let Some(function) = kernel::waits_in(seen.tid)
            {
                *self.waits.entry((number, place, function)).or_default() += 1;
            }
        }
    }
}

/// An executor with its component.
pub fn title(executor: &ExecutorHandle) -> String {
    format!("{} {}", executor.component, executor.id)
}

/// What a state of the kernel's means.
pub fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting for a disk",
        'T' | 't' => "stopped",
        'Z' | 'X' => "ended",
        _ => "in another state",
    }
}

fn line(out: &mut String, name: &str, cpu_secs: f64, secs: f64) {
    let cpu_secs = cpu_secs.max(0.0);
    let _ = writeln!(
        out,
        "{name:<16}  {cpu_secs:>6.2}  {:>11.1}",
        100.0 * cpu_secs / secs
    );
}

fn cpu_of<'s>(seen: impl Iterator<Item = &'s kernel::Seen>) -> BTreeMap<i32, f64> {
    seen.map(|seen| (seen.id, seen.cpu_secs)).collect()
}

fn lock(samples: &Mutex<Samples>) -> std::sync::MutexGuard<'_, Samples> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between looks.
const EVERY: Duration = Duration::from_millis(10);
/// Different waits that are told apart.
const WAITS_MAX: usize = 4096;
