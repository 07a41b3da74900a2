//! Counts what the program allocates, while somebody wants to know: for benchmarks, which have to
//! show that a tuple costs none.
//!
//! The system's allocator does the work. Unless counting is on, a call costs one more read.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The system's allocator with a count: the program's `global_allocator`.
pub struct Counting;

/// A counter with cache lines of its own.
#[repr(align(128))]
struct Line(AtomicU64);

/// Counts from now on, in all threads.
pub fn count() {
    IS_COUNTING.store(true, Ordering::Relaxed);
}

/// From now on this thread's are not counted: it only watches.
pub fn leave_out_this_thread() {
    LINE.set(LEFT_OUT);
}

/// Allocations and reallocations of the process since counting began; 0 in a program with another
/// allocator.
pub fn so_far() -> u64 {
    COUNTS
        .iter()
        .map(|line| line.0.load(Ordering::Relaxed))
        .sum()
}

#[inline]
fn note() {
    if IS_COUNTING.load(Ordering::Relaxed) {
        let line = LINE.get();
        if line != LEFT_OUT {
            COUNTS[line % N_LINES].0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call goes to the system's allocator unchanged. Counting itself neither allocates
// nor unwinds: the thread local has no destructor and its first value takes no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, n_bytes) }
    }
}

/// Threads share lines when there are more of them: it costs time, not counts.
const N_LINES: usize = 16;
const LEFT_OUT: usize = usize::MAX;
static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static COUNTS: [Line; N_LINES] = [const { Line(AtomicU64::new(0)) }; N_LINES];
static N_THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Which line this thread counts in.
    static LINE: Cell<usize> = Cell::new(N_THREADS.fetch_add(1, Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_only_when_told() {
        let layout = Layout::new::<u64>();
        let take = || {
            // SAFETY: the layout has a size, and the block is given back with it.
            unsafe {
                let block = Counting.alloc(layout);
                Counting.dealloc(block, layout);
            }
        };
        take();
        assert_eq!(so_far(), 0);
        count();
        take();
        take();
        assert_eq!(so_far(), 2);
        leave_out_this_thread();
        take();
        assert_eq!(so_far(), 2);
    }
}
