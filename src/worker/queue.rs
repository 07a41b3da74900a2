//! Rings between the threads of a worker.
//!
//! Batches move by pointer through single-producer rings and come back empty through others; what
//! comes from outside (sockets, wakers, commands) is injected through a door. Decides nothing
//! about who runs.

use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::messaging::acks::AckRecord;
use crate::messaging::receiving::Receipt;
use crate::tuple::TupleBatch;
use crate::worker::door;

/// A batch on its way to an executor of another thread.
pub struct Packet {
    /// Place of the executor among those of the receiving thread.
    pub executor: u32,
    pub batch: Box<TupleBatch>,
}

/// What outsiders hand to a thread.
pub enum Injected {
    /// Tuples that came over a link. Their bytes are the sender's again once the batch is done and
    /// the receipt dropped.
    Data(Packet, Receipt),
    Acks(Vec<AckRecord>),
    Command(Command),
}

/// The way into a thread of executors.
pub type Door = door::Door<Injected>;

/// What the engine tells its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bolts get ready, spouts stay quiet.
    Prepare,
    Activate,
    Deactivate,
    /// End: clean up the components and return.
    Stop,
}

/// One thread's ends of the rings between it and another.
pub struct Link {
    pub data_out: Producer<Packet>,
    pub data_in: Consumer<Packet>,
    /// Empty batches that go back to the thread they came from.
    pub empties_out: Producer<Box<TupleBatch>>,
    pub empties_in: Consumer<Box<TupleBatch>>,
    pub acks_out: Producer<Vec<AckRecord>>,
    pub acks_in: Consumer<Vec<AckRecord>>,
    pub spent_acks_out: Producer<Vec<AckRecord>>,
    pub spent_acks_in: Consumer<Vec<AckRecord>>,
    pub door: Arc<Door>,
}

// === impl Link ===

impl Link {
    /// Whether the other thread has sent anything.
    #[inline]
    pub fn has_input(&self) -> bool {
        !self.data_in.is_empty() || !self.acks_in.is_empty()
    }
}

/// The links of each thread to each other one; none to itself.
pub fn mesh(doors: &[Arc<Door>]) -> Vec<Vec<Option<Link>>> {
    let n_threads = doors.len();
    let empty_row = || (0..n_threads).map(|_| None).collect::<Vec<_>>();
    let mut links: Vec<Vec<Option<Link>>> = (0..n_threads).map(|_| empty_row()).collect();
    for a in 0..n_threads {
        for b in a + 1..n_threads {
            let (at_a, at_b) = pair(&doors[a], &doors[b]);
            links[a][b] = Some(at_a);
            links[b][a] = Some(at_b);
        }
    }
    links
}

fn pair(door_a: &Arc<Door>, door_b: &Arc<Door>) -> (Link, Link) {
    let (data_ab, data_from_a) = RingBuffer::new(DATA_SLOTS);
    let (data_ba, data_from_b) = RingBuffer::new(DATA_SLOTS);
    let (empties_ab, empties_from_a) = RingBuffer::new(EMPTIES_SLOTS);
    let (empties_ba, empties_from_b) = RingBuffer::new(EMPTIES_SLOTS);
    let (acks_ab, acks_from_a) = RingBuffer::new(ACK_SLOTS);
    let (acks_ba, acks_from_b) = RingBuffer::new(ACK_SLOTS);
    let (spent_ab, spent_from_a) = RingBuffer::new(ACK_SLOTS);
    let (spent_ba, spent_from_b) = RingBuffer::new(ACK_SLOTS);
    let at_a = Link {
        data_out: data_ab,
        data_in: data_from_b,
        empties_out: empties_ab,
        empties_in: empties_from_b,
        acks_out: acks_ab,
        acks_in: acks_from_b,
        spent_acks_out: spent_ab,
        spent_acks_in: spent_from_b,
        door: door_b.clone(),
    };
    let at_b = Link {
        data_out: data_ba,
        data_in: data_from_a,
        empties_out: empties_ba,
        empties_in: empties_from_a,
        acks_out: acks_ba,
        acks_in: acks_from_a,
        spent_acks_out: spent_ba,
        spent_acks_in: spent_from_a,
        door: door_a.clone(),
    };
    (at_a, at_b)
}

/// Batches under way from one thread to another. A small ring makes the two sides fight over its
/// lines.
const DATA_SLOTS: usize = 4096;
/// Empty batches under way back. More than these wait for the next look at the rings.
const EMPTIES_SLOTS: usize = DATA_SLOTS;
/// Lists of ack records under way; while the ring is full they gather (and merge) at the sender.
const ACK_SLOTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knock_before_parking_is_not_lost() {
        let door = Door::default();
        door.occupy();
        door.knock();
        door.park(None, || false);
        assert!(door.answer());
        assert!(!door.answer());
    }

    #[test]
    fn what_is_injected_wakes_the_thread() {
        let door = Arc::new(Door::default());
        let inside = door.clone();
        let thread = std::thread::spawn(move || {
            inside.occupy();
            let mut taken = Vec::new();
            while taken.is_empty() {
                inside.park(None, || false);
                if inside.answer() {
                    inside.collect(&mut taken);
                }
            }
            taken.len()
        });
        door.inject(Injected::Command(Command::Stop));
        assert_eq!(thread.join().unwrap(), 1);
    }
}
