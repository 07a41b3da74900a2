//! Counts the allocations of the calling thread, to prove that a path makes none.
//!
//! Part of the test binary alone: the program keeps the system's allocator as it is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// How many allocations and reallocations `work` makes on this thread.
pub fn during<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNT.get();
    let result = work();
    (COUNT.get() - before, result)
}

/// How many allocations and reallocations this thread has made so far.
pub fn on_this_thread() -> u64 {
    COUNT.get()
}

/// How many bytes `work` asks for on this thread, whether it gives them back or not.
pub fn bytes_during<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = BYTES.get();
    let result = work();
    (BYTES.get() - before, result)
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged. Counting itself neither allocates
// nor unwinds: the counter is a const-initialised thread local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        BYTES.set(BYTES.get() + layout.size() as u64);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        BYTES.set(BYTES.get() + n_bytes as u64);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, n_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn sees_an_allocation_and_only_that() {
        assert_eq!(super::during(|| 1 + 1).0, 0);
        let (n_allocations, boxed) = super::during(|| std::hint::black_box(Box::new(1)));
        assert_eq!((n_allocations, *boxed), (1, 1));
        let (bytes, _) = super::bytes_during(|| std::hint::black_box(vec![0u8; 300]));
        assert_eq!(bytes, 300);
    }
}
