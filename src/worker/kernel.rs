//! What the kernel says of this process, its threads and its shell children.
//!
//! Reads `/proc`; what cannot be read, for want of rights or because it just ended, is left out.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// One thread of this process, or another process, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Thread or process id.
    pub id: i32,
    pub name: String,
    /// `R` runs or could, `S` sleeps, `D` waits for a disk, `T` is stopped, `Z` is gone.
    pub state: char,
    /// Seconds of processor time since it began, its own and the kernel's for it.
    pub cpu_secs: f64,
    /// Resident memory of its process.
    pub memory_bytes: u64,
}

/// A process of a shell child's group.
#[derive(Clone, Debug)]
pub struct Child {
    pub seen: Seen,
    pub command: String,
}

/// The threads of this process, by id.
pub fn threads() -> Vec<Seen> {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let ids = tasks.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut threads: Vec<Seen> = ids.filter_map(thread).collect();
    threads.sort_by_key(|thread| thread.id);
    threads
}

/// One thread of this process.
pub fn thread(id: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?;
    parse(&stat)
}

/// How long this thread has waited for a core while it could have run, ever. Allocates nothing.
pub fn waited_for_a_core() -> Option<Duration> {
    let mut text = [0; 64];
    let mut file = fs::File::open("/proc/thread-self/schedstat").ok()?;
    let n_read = file.read(&mut text).ok()?;
    let text = std::str::from_utf8(text.get(..n_read)?).ok()?;
    let nanos = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Where in the kernel a thread waits.
pub fn waits_in(thread: i32) -> Option<String> {
    let place = fs::read_to_string(format!("/proc/self/task/{thread}/wchan")).ok()?;
    (!matches!(place.as_str(), "" | "0")).then_some(place)
}

/// The kernel's calls that a thread is in, innermost first; empty where that is a secret.
pub fn stack_of(thread: i32) -> Vec<String> {
    let stack = fs::read_to_string(format!("/proc/self/task/{thread}/stack"));
    stack
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The processes of all shell children: each group has a record in `groups`, by its leader's pid.
pub fn children(groups: &Path) -> Vec<Child> {
    let records = fs::read_dir(groups).into_iter().flatten().flatten();
    let leaders = records.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut leaders: Vec<i32> = leaders.collect();
    leaders.sort_unstable();
    if leaders.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_group = pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        leaders.binary_search(&field(&stat, GROUP)?).ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(Child {
            seen: parse(&stat)?,
            command: command.trim().to_owned(),
        })
    });
    let mut children: Vec<Child> = of_group.collect();
    children.sort_by_key(|child| child.seen.id);
    children
}

/// A file of `/proc/self`.
pub fn own_file(name: &str) -> String {
    fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default()
}

fn parse(stat: &str) -> Option<Seen> {
    let (start, end) = (stat.find('(')?, stat.rfind(')')?);
    let ticks = field::<u64>(stat, USER_TICKS)? + field::<u64>(stat, KERNEL_TICKS)?;
    Some(Seen {
        id: stat[..start].trim().parse().ok()?,
        name: stat.get(start + 1..end)?.to_owned(),
        state: field(stat, STATE)?,
        cpu_secs: ticks as f64 / per_sec(SysconfVar::CLK_TCK, 100),
        memory_bytes: (field::<u64>(stat, PAGES)? as f64 * per_sec(SysconfVar::PAGE_SIZE, 4096))
            as u64,
    })
}

/// A field by its number in the manual (`proc_pid_stat`), which counts from 1. The command's name
/// stands in parentheses and may itself hold blanks and parentheses.
fn field<T: std::str::FromStr>(stat: &str, number: usize) -> Option<T> {
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

fn per_sec(what: SysconfVar, usual: i64) -> f64 {
    sysconf(what).ok().flatten().unwrap_or(usual) as f64
}

const STATE: usize = 3;
const GROUP: usize = 5;
const USER_TICKS: usize = 14;
const KERNEL_TICKS: usize = 15;
const PAGES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "42 (a) S (b) R 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 5 0 3 0";
        let seen = parse(stat).expect("whole");
        assert_eq!(
            (seen.id, seen.name.as_str(), seen.state),
            (42, "a) S (b", 'R')
        );
        assert_eq!(field::<i32>(stat, GROUP), Some(7));
        assert!(seen.cpu_secs > 0.0 && seen.memory_bytes >= 3 * 1024);
        assert_eq!(parse("42 (cut"), None);
    }

    #[test]
    fn what_a_thread_waited_only_grows() {
        let before = waited_for_a_core();
        std::thread::yield_now();
        assert!(waited_for_a_core() >= before);
    }

    #[test]
    fn this_process_has_threads() {
        let own = nix::unistd::gettid().as_raw();
        assert!(threads().iter().any(|thread| thread.id == own));
        assert_eq!(thread(own).map(|thread| thread.state), Some('R'));
    }
}
