//! What the machine is, and what processes take of it: read from `/proc`.
//!
//! Judges nothing; a file that cannot be read counts as zero or as unknown.

use std::fs;
use std::time::Duration;

/// The line that stands above all figures.
pub fn describe() -> String {
    let cpu = value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let memory_kb = value_of("/proc/meminfo", "MemTotal");
    let memory_kb: f64 = memory_kb
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} cores of {cpu}, {:.0} GiB, Linux {}",
        n_cores(),
        memory_kb / 1024.0 / 1024.0,
        kernel.trim()
    )
}

/// Cores that this process may use.
pub fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a process has used and uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time, all threads.
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub n_threads: u64,
}

// === impl Usage ===

impl Usage {
    fn add(&mut self, other: &Usage) {
        self.cpu += other.cpu;
        self.resident_bytes += other.resident_bytes;
        self.n_threads += other.n_threads;
    }
}

/// Of a process that is there, else all zero.
pub fn usage(pid: i32) -> Usage {
    let stat = stat_fields(pid).unwrap_or_default();
    let number = |index: usize| stat.get(index).and_then(|text| text.parse().ok());
    let ticks: u64 = number(UTIME).unwrap_or(0) + number(STIME).unwrap_or(0);
    Usage {
        cpu: Duration::from_millis(ticks * TICK_MS),
        resident_bytes: resident_bytes(pid),
        n_threads: number(N_THREADS).unwrap_or(0),
    }
}

/// What a process and those that it started have used, and they.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeUsage {
    pub all: Usage,
    /// Of those below it that started none: the children of shell components, where there are any.
    pub leaves: Usage,
}

pub fn tree_usage(root: i32) -> TreeUsage {
    let mut tree = TreeUsage {
        all: usage(root),
        leaves: Usage::default(),
    };
    for child in children(root) {
        let theirs = tree_usage(child);
        tree.all.add(&theirs.all);
        match theirs.leaves.n_threads {
            0 => tree.leaves.add(&theirs.all),
            _ => tree.leaves.add(&theirs.leaves),
        }
    }
    tree
}

/// Bytes that went over loopback since boot, headers and all.
pub fn loopback_bytes() -> u64 {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.trim_start().strip_prefix("lo:"));
    let received = rest.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    received.unwrap_or(0)
}

/// Of this process.
pub fn own_usage() -> Usage {
    usage(own_pid())
}

/// Time that all cores together were busy with anything since boot, other guests of the host
/// included.
pub fn busy() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks = line.split_ascii_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = ticks.map(|text| text.parse().unwrap_or(0)).collect();
    // user nice system idle iowait irq softirq steal
    let is_busy = |index: &usize| *index != 3 && *index != 4;
    let n_busy: u64 = (0..ticks.len()).filter(is_busy).map(|i| ticks[i]).sum();
    Duration::from_millis(n_busy * TICK_MS)
}

/// Processes that a process started and that run.
pub fn children(parent: i32) -> Vec<i32> {
    let runs = |pid: &i32| {
        let stat = stat_fields(*pid);
        stat.is_some_and(|stat| stat.first().is_some_and(|state| state != "Z"))
    };
    let pids = listed_children(parent).unwrap_or_else(|| all_children(parent));
    pids.into_iter().filter(runs).collect()
}

/// By the kernel's lists for each thread. `None` where it keeps none.
fn listed_children(parent: i32) -> Option<Vec<i32>> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).ok()?;
    let mut pids = Vec::new();
    for task in tasks.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(list) => {
                let numbers = list.split_ascii_whitespace();
                pids.extend(numbers.filter_map(|text| text.parse::<i32>().ok()));
            }
            // A thread that has just ended has no directory any more.
            Err(_) if !task.path().exists() => {}
            Err(_) => return None,
        }
    }
    Some(pids)
}

/// By a look at all processes: some milliseconds of a core that may be measured at the time.
fn all_children(parent: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = stat_fields(*pid);
        let parent_is = stat.and_then(|stat| stat.get(PARENT)?.parse::<i32>().ok());
        parent_is == Some(parent)
    };
    pids.filter(is_child).collect()
}

pub fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// What follows the command's name, which may itself hold blanks and parentheses.
fn stat_fields(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.get(text.rfind(')')? + 1..)?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

fn resident_bytes(pid: i32) -> u64 {
    let kb = value_of(&format!("/proc/{pid}/status"), "VmRSS");
    let kb: Option<u64> = kb.and_then(|text| text.split(' ').next()?.parse().ok());
    kb.unwrap_or(0) * 1024
}

/// The value of the first line `name : value`.
fn value_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Places behind the command's name in `/proc/PID/stat`.
const PARENT: usize = 1;
const UTIME: usize = 11;
const STIME: usize = 12;
const N_THREADS: usize = 17;

/// Linux shows times in hundredths of a second on every architecture.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_started_is_seen() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(children(own_pid()).contains(&pid));
        assert!(all_children(own_pid()).contains(&pid));
        let tree = tree_usage(own_pid());
        assert!(tree.leaves.n_threads >= 1 && tree.all.n_threads > tree.leaves.n_threads);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children(own_pid()).contains(&pid));
    }

    #[test]
    fn this_process_is_seen() {
        let usage = own_usage();
        assert!(usage.resident_bytes > 0 && usage.n_threads > 0);
        assert!(busy() >= usage.cpu);
        assert!(describe().contains("cores of"));
    }
}
