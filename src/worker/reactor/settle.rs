//! Ack records on their way: to a ledger or a spout of this thread, to another thread or worker.

use super::Reactor;
use crate::messaging::acks::AckRecord;
use crate::worker::ack_counts;
use crate::worker::acking::{self, AckStep};
use crate::worker::executor::ExecutorRole;
use crate::worker::spout::SpoutNotice;

// === impl Reactor ===

impl Reactor {
    /// Sends the ack records of an executor on their way.
    pub(super) fn settle_acks(&mut self, place: usize, now_us: u64) {
        let mut records = std::mem::take(&mut self.executors[place].emitter.acks);
        for record in &records {
            self.settle(record, now_us);
        }
        records.clear();
        self.executors[place].emitter.acks = records;
        let counts = &mut self.executors[place].emitter.ack_counts;
        let mut tallies = std::mem::take(&mut counts.tallies);
        for tally in tallies.drain(..) {
            self.settle(&tally, now_us);
        }
        self.executors[place].emitter.ack_counts.tallies = tallies;
    }

    #[inline]
    pub(super) fn settle(&mut self, record: &AckRecord, now_us: u64) {
        match self.acks.route(record) {
            AckStep::Sent => {}
            AckStep::Ledger(place) => {
                let executor = &mut self.executors[place];
                let ExecutorRole::Acker(ledger) = &mut executor.role else {
                    return;
                };
                let now_ms = (now_us / 1000) as i64;
                let Some(taken) = acking::for_ledger(record) else {
                    let meter = &mut executor.emitter.meter;
                    return ack_counts::came(record, &self.shared.streams, meter);
                };
                if let Some(notice) = ledger.handle(taken, now_ms) {
                    let emitter = &mut executor.emitter;
                    emitter.ack_counts.told(notice.outcome, &mut emitter.meter);
                    let notice = acking::from_ledger(&notice);
                    if let AckStep::Spout(place) = self.acks.route(&notice) {
                        self.notify(place, &notice);
                    }
                }
            }
            AckStep::Spout(place) => self.notify(place, record),
        }
    }

    #[inline]
    pub(super) fn notify(&mut self, place: usize, notice: &AckRecord) {
        if let ExecutorRole::Spout(spout) = &mut self.executors[place].role
            && let Some(outcome) = acking::outcome(notice.kind)
        {
            let root = notice.root;
            spout.notify(SpoutNotice { root, outcome });
        }
    }

    /// Hands gathered records to the other threads and workers.
    pub(super) fn flush_acks(&mut self) {
        for thread in 0..self.links.len() {
            let records = &mut self.acks.to_threads[thread].records;
            let Some(link) = self.links[thread].as_mut().filter(|_| !records.is_empty()) else {
                continue;
            };
            let spare = link.spent_acks_in.pop().unwrap_or_default();
            let full = std::mem::replace(records, spare);
            match link.acks_out.push(full) {
                Ok(()) => drop(link.door.ring()),
                // They wait here, and merge with what comes.
                Err(rtrb::PushError::Full(full)) => *records = full,
            }
        }
        self.acks.flush_peers();
    }
}
