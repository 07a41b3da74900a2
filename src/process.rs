//! Processes of this machine, told apart from later ones that reuse their pid, and their locks.
//!
//! Reads `/proc`, sends signals and locks files; starts nothing and knows nothing of workers or
//! shell children.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::limits;

/// A process by pid and the moment it started, in clock ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    pub pid: i32,
    pub start_ticks: i64,
}

/// What `/proc/PID/stat` says, as far as it matters here.
struct Stat {
    state: char,
    group: i32,
    session: i32,
    start_ticks: i64,
}

// === impl Process ===

impl Process {
    /// The process that has this pid now, unless it is gone or only waits to be reaped.
    pub fn of_pid(pid: i32) -> Option<Process> {
        let stat = stat(pid)?;
        (stat.state != 'Z').then_some(Process {
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    /// A child of this process that nobody has waited for: it may have ended.
    pub fn of_child(pid: i32) -> Option<Process> {
        let start_ticks = stat(pid)?.start_ticks;
        Some(Process { pid, start_ticks })
    }

    /// Whether this very process still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        Process::of_pid(self.pid) == Some(self)
    }

    /// Sends a signal to this very process; nothing happens when it is gone.
    pub fn signal(self, signal: Signal) {
        if self.pid > 1 && self.is_alive() {
            sent(kill(Pid::from_raw(self.pid), signal), self.pid);
        }
    }
}

/// Has the allocator give free pages of this process back to the system, wherever they lie. Takes
/// milliseconds: for after what took much.
pub fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no argument but a number, and callable from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes the lock of an open file for this process, or gives the file back with the reason.
///
/// Asks for a while: a child that the last holder had just forked holds its locks until it runs its
/// own program, and that may be a moment after the holder is gone.
pub fn lock(mut file: File) -> Result<Flock<File>, (File, Errno)> {
    let deadline = Instant::now() + limits::LOCK_WAIT_MAX;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((refused, Errno::EWOULDBLOCK)) if Instant::now() < deadline => file = refused,
            outcome => return outcome,
        }
        std::thread::sleep(LOCK_LOOK);
    }
}

/// Kills every process of a process group whose leader was `leader`. A group whose leader is gone
/// but that still has members is killed too; a pid that has come to lead another group is left
/// alone.
pub fn kill_group(leader: Process) {
    if leader.pid <= 1 {
        return;
    }
    let reused = stat(leader.pid).is_some_and(|stat| stat.start_ticks != leader.start_ticks);
    if !reused {
        sent(
            killpg(Pid::from_raw(leader.pid), Signal::SIGKILL),
            leader.pid,
        );
    }
}

/// The processes of a session other than its leader: what a dead leader left behind.
pub fn session_members(session: i32) -> Vec<Process> {
    pids()
        .filter(|pid| *pid != session)
        .filter_map(|pid| stat(pid).map(|stat| (pid, stat)))
        .filter(|(_, stat)| stat.session == session && stat.state != 'Z')
        .map(|(pid, stat)| Process {
            pid,
            start_ticks: stat.start_ticks,
        })
        .collect()
}

/// Whether any process is left in a process group.
pub fn group_is_alive(group: i32) -> bool {
    pids()
        .filter_map(stat)
        .any(|stat| stat.group == group && stat.state != 'Z')
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may itself hold blanks and parentheses.
    let rest = text.get(text.rfind(')')? + 1..)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

fn sent(outcome: nix::Result<()>, pid: i32) {
    match outcome {
        // Gone between the look and the signal.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(pid, %error, "cannot signal a process"),
    }
}

/// Between two looks at a lock that is held.
const LOCK_LOOK: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_dies_with_its_group() {
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .expect("sleep");
        let pid = i32::try_from(child.id()).expect("a pid");
        let process = Process::of_pid(pid).expect("just started");
        assert!(process.is_alive() && group_is_alive(pid));
        let reused = Process {
            start_ticks: process.start_ticks - 1,
            ..process
        };
        assert!(!reused.is_alive());
        reused.signal(Signal::SIGKILL);
        kill_group(reused);
        assert!(
            process.is_alive(),
            "signals for an earlier owner of the pid must not reach it"
        );
        kill_group(process);
        child.wait().expect("reaped");
        assert!(!process.is_alive() && !group_is_alive(pid));
    }

    /// What it started lives on in its group.
    #[test]
    fn a_child_that_ended_at_once_is_known_by_its_start_too() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & exec true"])
            .process_group(0)
            .spawn()
            .expect("sh");
        let pid = i32::try_from(child.id()).expect("a pid");
        while Process::of_pid(pid).is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let process = Process::of_child(pid).expect("nobody has waited for it");
        assert!(group_is_alive(pid) && !process.is_alive());
        kill_group(process);
        while group_is_alive(pid) {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().expect("reaped");
    }

    #[test]
    fn this_process_is_alive_and_a_free_pid_is_not() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert!(Process::of_pid(own).is_some());
        assert_eq!(Process::of_pid(i32::MAX), None);
    }
}
