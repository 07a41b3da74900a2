//! The door of an executor's thread (`src/worker/door.rs`, the very file) under loom, which tries
//! every order of two threads' steps and every value that their loads may see.
//!
//! The rings between threads are `rtrb`'s, which loom cannot look into. `Ring` stands for one: a
//! place for one batch, published by a store with release and taken by a load with acquire, as
//! `rtrb` does. What is tested is the protocol around it: that who publishes and rings is heard, and
//! that a batch which comes back empty is its sender's alone.

#[path = "../../../src/worker/door.rs"]
#[allow(dead_code, reason = "the tests need a part of it")]
mod door;
mod sync;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use loom::cell::UnsafeCell;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use crate::door::Door;
    use crate::sync::without_fences;

    /// A ring of one place.
    struct Ring {
        is_full: AtomicUsize,
        /// Number of the batch that lies here.
        batch: UnsafeCell<usize>,
    }

    /// Two batches that travel. Whoever holds a number may touch its memory, and nobody else.
    struct Batches([UnsafeCell<Vec<u32>>; 2]);

    // SAFETY: loom checks each access for being alone; that is what the tests are about.
    unsafe impl Sync for Ring {}
    unsafe impl Sync for Batches {}

    impl Ring {
        fn new() -> Self {
            Ring { is_full: AtomicUsize::new(0), batch: UnsafeCell::new(0) }
        }

        fn push(&self, batch: usize) -> bool {
            if self.is_full.load(Ordering::Acquire) == 1 {
                return false;
            }
            self.batch.with_mut(|place| unsafe { *place = batch });
            self.is_full.store(1, Ordering::Release);
            true
        }

        fn pop(&self) -> Option<usize> {
            (self.is_full.load(Ordering::Acquire) == 1).then(|| {
                let batch = self.batch.with(|place| unsafe { *place });
                self.is_full.store(0, Ordering::Release);
                batch
            })
        }

        fn is_empty(&self) -> bool {
            self.is_full.load(Ordering::Acquire) == 0
        }
    }

    /// One thread publishes and rings; the other sleeps when it finds nothing. It must not sleep
    /// for ever: loom calls that a deadlock.
    fn publish_and_ring() {
        loom::model(|| {
            let door = Arc::new(Door::<u32>::default());
            let ring = Arc::new(Ring::new());
            let (inside, from) = (door.clone(), ring.clone());
            let sleeper = thread::spawn(move || {
                inside.occupy();
                loop {
                    if let Some(batch) = from.pop() {
                        return batch;
                    }
                    inside.park(None, || !from.is_empty());
                }
            });
            assert!(ring.push(7));
            door.ring();
            assert_eq!(sleeper.join().unwrap(), 7);
        });
    }

    #[test]
    fn what_is_published_before_a_ring_is_never_slept_over() {
        publish_and_ring();
    }

    /// Without the fences of `ring` and `park` the look at `parked` may come before what was
    /// published is seen, and the look at the ring before `parked` is: both threads miss each
    /// other, and the sleeper sleeps on.
    #[test]
    #[should_panic(expected = "deadlock")]
    fn without_its_fences_the_door_would_lose_a_wake() {
        without_fences(publish_and_ring);
    }

    #[test]
    fn what_is_injected_is_never_slept_over() {
        loom::model(|| {
            let door = Arc::new(Door::<u32>::default());
            let inside = door.clone();
            let sleeper = thread::spawn(move || {
                inside.occupy();
                let mut taken = Vec::new();
                while taken.is_empty() {
                    if inside.answer() {
                        inside.collect(&mut taken);
                    } else {
                        inside.park(None, || false);
                    }
                }
                taken
            });
            door.inject(7);
            assert_eq!(sleeper.join().unwrap(), [7]);
        });
    }

    /// A batch goes over full and comes back empty; loom finds any access that is not alone.
    #[test]
    fn a_batch_that_comes_back_is_its_senders_alone() {
        loom::model(|| {
            let batches = [Vec::new(), Vec::new()].map(UnsafeCell::new);
            let batches = Arc::new(Batches(batches));
            let data = Arc::new(Ring::new());
            let empties = Arc::new(Ring::new());
            let receiver = {
                let batches = batches.clone();
                let (data, empties) = (data.clone(), empties.clone());
                thread::spawn(move || {
                    let mut received = Vec::new();
                    while received.len() < 2 {
                        let Some(number) = data.pop() else {
                            thread::yield_now();
                            continue;
                        };
                        batches.0[number].with_mut(|batch| {
                            received.append(unsafe { &mut *batch });
                        });
                        // A full ring: the batch stays here.
                        let _ = empties.push(number);
                    }
                    received
                })
            };
            let mut own = vec![1, 0];
            for value in [10, 11] {
                let number = empties.pop().or_else(|| own.pop()).expect("two are enough");
                batches.0[number].with_mut(|batch| unsafe { (*batch).push(value) });
                while !data.push(number) {
                    thread::yield_now();
                }
            }
            assert_eq!(receiver.join().unwrap(), [10, 11]);
        });
    }

    /// Both at once: batches of a sender that rings after each and sleeps over none, of a receiver
    /// that sleeps when nothing is there and gives the empty ones back without a word.
    ///
    /// The sender never sleeps: nobody tells it of empties or of room in a ring. In the worker it
    /// makes a new batch where none came back, and looks after a full ring again and again
    /// (`RING_RETRY`); a model that has it park there without a time-out ends in a deadlock that
    /// the worker does not have. `Waiting::Parked` shows that one.
    ///
    /// The door takes `parked` by an exchange that writes nothing when it fails. A swap would do as
    /// well, but not here: loom knows that a swap read some store, not that it comes right after
    /// that one, so that it has a swap of false for false hide the `parked` that was stored next.
    fn travel(waiting: Waiting) {
        loom::model(move || {
            let batches = [Vec::new(), Vec::new()].map(UnsafeCell::new);
            let batches = Arc::new(Batches(batches));
            let door = Arc::new(Door::<u32>::default());
            let senders_door = Arc::new(Door::<u32>::default());
            let data = Arc::new(Ring::new());
            let empties = Arc::new(Ring::new());
            let receiver = {
                let (batches, door) = (batches.clone(), door.clone());
                let (data, empties) = (data.clone(), empties.clone());
                thread::spawn(move || {
                    door.occupy();
                    let mut received = Vec::new();
                    while received.len() < N_VALUES {
                        let Some(number) = data.pop() else {
                            door.park(None, || !data.is_empty());
                            continue;
                        };
                        batches.0[number].with_mut(|batch| {
                            received.append(unsafe { &mut *batch });
                        });
                        let _ = empties.push(number);
                    }
                    received
                })
            };
            senders_door.occupy();
            let mut own = vec![1, 0];
            for value in 0..N_VALUES as u32 {
                let number = loop {
                    match empties.pop().or_else(|| own.pop()) {
                        Some(number) => break number,
                        None => thread::yield_now(),
                    }
                };
                batches.0[number].with_mut(|batch| unsafe { (*batch).push(value) });
                while !data.push(number) {
                    match waiting {
                        Waiting::Looking => thread::yield_now(),
                        Waiting::Parked => senders_door.park(None, || false),
                    }
                }
                door.ring();
            }
            let all: Vec<u32> = (0..N_VALUES as u32).collect();
            assert_eq!(receiver.join().unwrap(), all);
        });
    }

    /// How the sender bears a full ring.
    #[derive(Clone, Copy)]
    enum Waiting {
        Looking,
        Parked,
    }

    const N_VALUES: usize = 2;

    #[test]
    fn batches_travel_to_a_thread_that_sleeps_and_come_back() {
        travel(Waiting::Looking);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_sender_that_slept_at_a_full_ring_without_a_time_out_would_sleep_on() {
        travel(Waiting::Parked);
    }
}
