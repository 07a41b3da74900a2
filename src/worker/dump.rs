//! What a worker is and does at one moment, as text: its threads, its memory.
//!
//! Looks from outside: no thread is stopped for it.

use std::fmt::Write as _;
use std::path::Path;

use crate::clock::{self, Civil};
use crate::worker::kernel;
use crate::worker::sampler::{state_name, title};
use crate::worker::shared::Shared;

/// What each thread and shell child does now, and what waits for whom.
pub fn threads(shared: &Shared, groups: &Path, name: &str) -> String {
    let mut out = head("Threads", name);
    let now_us = clock::monotonic_micros();
    for thread in kernel::threads() {
        let place =
            kernel::waits_in(thread.id).map_or_else(String::new, |in_| format!(" in {in_}"));
        let _ = writeln!(
            out,
            "\n{} (tid {}) {}{place}, {:.2} s of processor time",
            thread.name,
            thread.id,
            state_name(thread.state),
            thread.cpu_secs,
        );
        let activities = shared.activities.iter().enumerate();
        let mut own = activities.filter(|(_, activity)| activity.look().tid == thread.id);
        if let Some((number, activity)) = own.next() {
            let seen = activity.look();
            executors(
                &mut out,
                shared,
                number,
                seen.place
                    .map(|place| (place, now_us.saturating_sub(seen.since_us))),
            );
        }
        for call in kernel::stack_of(thread.id) {
            let _ = writeln!(out, "    kernel {call}");
        }
    }
    children(&mut out, groups);
    out
}

/// What memory the process has, of which kind, and what waits in queues.
pub fn memory(shared: &Shared, groups: &Path, name: &str) -> String {
    let mut out = head("Memory", name);
    out.push('\n');
    let status = kernel::own_file("status");
    let wanted = [
        "VmPeak", "VmHWM", "VmRSS", "RssAnon", "RssFile", "VmSwap", "Threads",
    ];
    for line in status
        .lines()
        .filter(|line| wanted.iter().any(|key| line.starts_with(key)))
    {
        let _ = writeln!(out, "{line}");
    }
    out += "\nAll mappings together (smaps_rollup):\n";
    for line in kernel::own_file("smaps_rollup").lines().skip(1) {
        let _ = writeln!(out, "{line}");
    }
    out += "\nTuples that wait:\n";
    for executor in &shared.executors {
        let (n, of) = (executor.gauge.n_queued(), executor.gauge.capacity());
        let _ = writeln!(out, "{:<30}  {n:>6} of {of}", title(executor));
    }
    children(&mut out, groups);
    out
}

fn head(what: &str, name: &str) -> String {
    let now = Civil::of_secs(clock::wall_secs()).to_java();
    let pid = std::process::id();
    format!("{what} of worker {name}, process {pid}\n{now}\n")
}

/// The executors of a thread; `turn` is whose turn it is, and since how many microseconds.
fn executors(out: &mut String, shared: &Shared, thread: usize, turn: Option<(usize, u64)>) {
    let here = shared
        .executors
        .iter()
        .filter(|executor| executor.thread == thread);
    for executor in here {
        let what = match turn {
            Some((place, us)) if place == executor.place => {
                format!("has its turn, in a round of {:.3} ms", us as f64 / 1000.0)
            }
            _ => "waits for its turn".to_owned(),
        };
        let (n, of) = (executor.gauge.n_queued(), executor.gauge.capacity());
        let _ = writeln!(
            out,
            "    {} {what}; {n} of {of} tuples queued",
            title(executor)
        );
    }
    if turn.is_none() {
        *out += "    between turns\n";
    }
}

fn children(out: &mut String, groups: &Path) {
    *out += "\nShell children:\n";
    let children = kernel::children(groups);
    if children.is_empty() {
        *out += "none\n";
    }
    for child in children {
        let seen = &child.seen;
        let _ = writeln!(
            out,
            "pid {} {}, {:.2} s of processor time, {:.1} MB resident: {}",
            seen.id,
            state_name(seen.state),
            seen.cpu_secs,
            seen.memory_bytes as f64 / 1e6,
            child.command,
        );
    }
}
