//! Whether this process may go on after a pause.
//!
//! Of a worker that Nimbus hears nothing of for too long, others get the executors. One that was
//! stopped for so long (a signal, a debugger, a frozen group, a machine that slept) must not go on
//! where it was: it ends, all threads at once. To run without an answer is no pause: while Nimbus
//! is away, workers run on. Where a hypervisor stops all clocks nothing can be seen from within;
//! there Nimbus's next word ends it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::error;

use crate::clock;
use crate::messaging::fence::Fence;
use crate::process;
use crate::wire;
use crate::wire::messages::ProcessRecord;

/// What Nimbus grants a worker: it may be silent for so long.
#[derive(Debug, Default)]
pub struct Lease {
    /// 0 before Nimbus said so.
    granted_ms: AtomicU64,
    /// When the report was sent that Nimbus answered last, by `clock::boot_millis`.
    reported_ms: AtomicU64,
    /// When somebody looked last; 0 before anybody does.
    looked_ms: AtomicU64,
}

/// A pause that was longer than the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outlived {
    paused_ms: u64,
    granted_ms: u64,
}

// === impl Lease ===

impl Lease {
    /// Nimbus took a report that was sent then. What it granted before holds where it says nothing,
    /// as when it wants the worker to stop.
    pub fn renew(&self, sent_ms: u64, granted_ms: Option<i64>) {
        self.reported_ms.store(sent_ms, Ordering::Relaxed);
        if let Some(granted_ms) = granted_ms.and_then(|ms| u64::try_from(ms).ok()) {
            self.granted_ms.store(granted_ms, Ordering::Relaxed);
        }
    }

    /// Whether the time since the last look was a pause that outlasted the lease. Any thread may
    /// ask, and the first that runs after one finds out: only `watch` looks, and judges before.
    fn check(&self, now_ms: u64) -> Result<(), Outlived> {
        self.judge(self.looked_ms.load(Ordering::Acquire), now_ms)
    }

    /// Judges the time since the last look.
    fn judge(&self, looked_ms: u64, now_ms: u64) -> Result<(), Outlived> {
        let granted_ms = self.granted_ms.load(Ordering::Relaxed);
        let paused_ms = now_ms.saturating_sub(looked_ms);
        if granted_ms == 0 || looked_ms == 0 || paused_ms < PAUSE_MS_MIN {
            return Ok(());
        }
        // Nimbus counts from the last report before the pause. Where that is long ago, Nimbus was
        // away, and counts nothing.
        let silent_ms = looked_ms.saturating_sub(self.reported_ms.load(Ordering::Relaxed));
        match paused_ms + silent_ms.min(REPORT_AGE_MS_MAX) < granted_ms {
            true => Ok(()),
            false => Err(Outlived {
                paused_ms,
                granted_ms,
            }),
        }
    }
}

/// Ends this process after such a pause, too, whichever thread is about to send something.
pub fn fence(lease: &Arc<Lease>, groups: &Path) -> Fence {
    let (lease, groups) = (Arc::downgrade(lease), groups.to_owned());
    Fence::new(move || {
        let checked = lease
            .upgrade()
            .map(|lease| lease.check(clock::boot_millis()));
        match checked {
            Some(Err(outlived)) => end(outlived, &groups),
            Some(Ok(())) | None => true,
        }
    })
}

/// Ends this process once it was paused for longer than its lease, for as long as the lease is
/// held. Shell children, on record in `groups`, end with it.
pub fn watch(lease: &Arc<Lease>, groups: PathBuf) -> io::Result<()> {
    lease
        .looked_ms
        .store(clock::boot_millis(), Ordering::Release);
    let lease = Arc::downgrade(lease);
    let thread = std::thread::Builder::new().name("lease".to_owned());
    thread.spawn(move || {
        while let Some(lease) = lease.upgrade() {
            let now_ms = clock::boot_millis();
            if let Err(outlived) = lease.check(now_ms) {
                end(outlived, &groups);
            }
            lease.looked_ms.store(now_ms, Ordering::Release);
            drop(lease);
            clock::boot_sleep(LOOK_EVERY);
        }
    })?;
    Ok(())
}

/// Without a word to anybody: no queue is worked off, no link is closed in order. Threads that come
/// here meanwhile stay here.
fn end(outlived: Outlived, groups: &Path) -> ! {
    let _ending = ENDING.lock();
    let Outlived {
        paused_ms,
        granted_ms,
    } = outlived;
    error!(
        paused_ms,
        granted_ms,
        "this process was paused for longer than Nimbus waits for a worker: its executors may be \
         another's by now, so it ends at once. Where pauses are normal, raise \
         topology.worker.timeout.secs or nimbus.task.timeout.secs"
    );
    for entry in fs::read_dir(groups).into_iter().flatten().flatten() {
        let record = fs::read(entry.path()).unwrap_or_default();
        if let Ok(child) = wire::from_bytes::<ProcessRecord>(&record) {
            process::kill_group(process::Process {
                pid: child.pid,
                start_ticks: child.start_ticks,
            });
        }
    }
    std::process::exit(EXIT_PAUSED)
}

static ENDING: Mutex<()> = Mutex::new(());

/// It was paused for longer than its lease.
pub const EXIT_PAUSED: i32 = 65;

/// A pause is noticed when it ends, however seldom the looks are; this bounds how much of it is not
/// seen as one.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A busy machine lets a thread wait; that is no pause.
const PAUSE_MS_MIN: u64 = 1_000;
/// How old a report may be while Nimbus answers: it is sent anew at least so often.
const REPORT_AGE_MS_MAX: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A lease of 30 s, renewed by a report of the second 100; looked at then.
    fn verdict(looked_secs: u64, now_secs: u64) -> bool {
        let lease = Lease::default();
        lease.renew(100_000, Some(30_000));
        lease.judge(looked_secs * 1000, now_secs * 1000).is_ok()
    }

    #[test]
    fn a_pause_counts_from_the_last_report_before_it() {
        assert!(verdict(100, 129));
        assert!(!verdict(100, 130));
        assert!(!verdict(101, 130), "29 s of pause, a second after a report");
        assert!(verdict(101, 129));
    }

    #[test]
    fn to_run_without_nimbus_is_no_pause() {
        assert!(verdict(1_000, 1_000), "looked at, and Nimbus long away");
        assert!(verdict(1_000, 1_005), "a short pause meanwhile");
        assert!(!verdict(1_000, 1_030));
    }

    #[test]
    fn a_report_after_the_pause_does_not_hide_it() {
        let lease = Lease::default();
        lease.renew(200_000, Some(30_000));
        let outlived = Outlived {
            paused_ms: 100_000,
            granted_ms: 30_000,
        };
        assert_eq!(lease.judge(100_000, 200_000), Err(outlived));
    }

    #[test]
    fn without_a_word_of_nimbus_nothing_ends() {
        let lease = Lease::default();
        assert_eq!(lease.judge(0, 1 << 40), Ok(()));
        lease.renew(0, None);
        assert_eq!(lease.judge(0, 1 << 40), Ok(()));
        lease.renew(0, Some(-5));
        assert_eq!(lease.judge(0, 1 << 40), Ok(()));
    }

    #[test]
    fn any_thread_that_asks_first_finds_out() {
        let lease = Lease::default();
        lease.renew(100_000, Some(30_000));
        assert!(lease.check(1 << 40).is_ok(), "nobody looks yet");
        lease.looked_ms.store(100_000, Ordering::Relaxed);
        assert!(lease.check(129_000).is_ok());
        assert!(lease.check(130_000).is_err());
        // A report that Nimbus took before it was stopped, and that is only now read.
        lease.renew(100_100, Some(30_000));
        assert!(lease.check(130_000).is_err());
        assert!(lease.check(130_000).is_err(), "nobody's question hides it");
        lease.renew(100_100, None);
        assert!(lease.check(130_000).is_err(), "nor does an order to stop");
    }

    #[test]
    fn looks_that_come_late_are_no_pause() {
        let lease = Lease::default();
        lease.renew(100, Some(500));
        assert_eq!(lease.judge(100, 1_000), Ok(()));
        assert!(lease.judge(100, 1_200).is_err());
    }
}
