//! What a task and its desk share without a lock: a bell both ways, and how much there is room for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::component::Waker;

/// One task's line to its desk.
#[derive(Debug)]
pub struct PostLine {
    waker: Waker,
    has_news: AtomicBool,
    /// Of a bolt: tuples that its peer may have without an answer.
    share: AtomicUsize,
    /// Of a bolt: tuples that wait for their peer, and their bytes.
    n_waiting: AtomicUsize,
    bytes_waiting: AtomicUsize,
    /// Of a spout: whether tuples wait to be emitted.
    has_queue: AtomicBool,
}

// === impl PostLine ===

impl PostLine {
    pub fn new(waker: Waker) -> Self {
        PostLine {
            waker,
            has_news: AtomicBool::new(false),
            share: AtomicUsize::new(0),
            n_waiting: AtomicUsize::new(0),
            bytes_waiting: AtomicUsize::new(0),
            has_queue: AtomicBool::new(false),
        }
    }

    /// The desk has something for the task.
    pub fn ring(&self) {
        self.has_news.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it rang since the last look.
    pub fn heard(&self) -> bool {
        self.has_news.load(Ordering::Acquire) && self.has_news.swap(false, Ordering::AcqRel)
    }

    pub fn set_share(&self, share: usize) {
        if self.share.swap(share, Ordering::AcqRel) != share {
            self.ring();
        }
    }

    pub fn share(&self) -> usize {
        self.share.load(Ordering::Acquire)
    }

    pub fn add_waiting(&self, n_tuples: usize, n_bytes: usize) {
        self.n_waiting.fetch_add(n_tuples, Ordering::AcqRel);
        self.bytes_waiting.fetch_add(n_bytes, Ordering::AcqRel);
    }

    pub fn took_waiting(&self, n_tuples: usize, n_bytes: usize) {
        self.n_waiting.fetch_sub(n_tuples, Ordering::AcqRel);
        self.bytes_waiting.fetch_sub(n_bytes, Ordering::AcqRel);
    }

    pub fn n_waiting(&self) -> usize {
        self.n_waiting.load(Ordering::Acquire)
    }

    pub fn bytes_waiting(&self) -> usize {
        self.bytes_waiting.load(Ordering::Acquire)
    }

    pub fn set_queue(&self, has_queue: bool) {
        self.has_queue.store(has_queue, Ordering::Release);
    }

    pub fn has_queue(&self) -> bool {
        self.has_queue.load(Ordering::Acquire)
    }
}
