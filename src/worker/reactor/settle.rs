//! Ack records on their way: to a ledger or a spout of this thread, to another thread or worker.

use super::Reactor;
use crate::id::TaskId;
use crate::messaging::acks::AckRecord;
use crate::worker::ack_counts;
use crate::worker::acking::{self, AckPlace, AckStep};
use crate::worker::executor::ExecutorRole;

// === impl Reactor ===

impl Reactor {
    /// Sends the ack records of an executor on their way.
    pub(super) fn settle_acks(&mut self, place: usize, now_us: u64) {
        let emitter = &mut self.executors[place].emitter;
        if !emitter.acks.is_empty() {
            let mut records = std::mem::take(&mut emitter.acks);
            self.settle_for_ackers(&mut records, now_us);
            records.clear();
            self.executors[place].emitter.acks = records;
        }
        let counts = &mut self.executors[place].emitter.ack_counts;
        if !counts.tallies.is_empty() {
            let mut tallies = std::mem::take(&mut counts.tallies);
            self.settle_all(&mut tallies, now_us);
            tallies.clear();
            self.executors[place].emitter.ack_counts.tallies = tallies;
        }
    }

    /// Records that are all for ackers, which mostly is one: then it is found once.
    fn settle_for_ackers(&mut self, records: &mut Vec<AckRecord>, now_us: u64) {
        match self.acks.only_acker() {
            Some(AckPlace::Here(place)) => self.keep_ledger(*place, records, now_us),
            Some(AckPlace::Thread(_) | AckPlace::Peer(_)) => self.acks.send_to_only_acker(records),
            _ => self.settle_all(records, now_us),
        }
    }

    /// Records of any kind. What is left in the list afterwards has no meaning.
    pub(super) fn settle_all(&mut self, records: &mut Vec<AckRecord>, now_us: u64) {
        if let Some(first) = records.first()
            && !first.is_for_acker()
            && records.iter().all(|each| each.is_notice_to(first.task))
        {
            let task = first.task;
            return self.notify_all(task, records);
        }
        for record in &*records {
            self.settle(record, now_us);
        }
    }

    #[inline]
    pub(super) fn settle(&mut self, record: &AckRecord, now_us: u64) {
        match self.acks.route(record) {
            AckStep::Sent => {}
            AckStep::Ledger(place) => {
                self.keep_ledger(place, std::slice::from_ref(record), now_us);
            }
            AckStep::Spout(place) => self.notify(place, record),
        }
    }

    /// Enters records into the ledger of the executor at a place, and tells spouts what comes of
    /// it.
    fn keep_ledger(&mut self, place: usize, records: &[AckRecord], now_us: u64) {
        let executor = &mut self.executors[place];
        let ExecutorRole::Acker(ledger) = &mut executor.role else {
            return;
        };
        let now_ms = (now_us / 1000) as i64;
        let (counts, meter) = (&executor.emitter.ack_counts, &mut executor.emitter.meter);
        let mut notices = std::mem::take(&mut self.notices);
        for record in records {
            let Some(taken) = acking::for_ledger(record) else {
                ack_counts::came(record, &self.shared.streams, meter);
                continue;
            };
            if let Some(notice) = ledger.handle(taken, now_ms) {
                counts.told(notice.outcome, meter);
                notices.push(acking::from_ledger(&notice));
            }
        }
        if !notices.is_empty() {
            self.tell(&mut notices);
            notices.clear();
        }
        self.notices = notices;
    }

    /// Sends notices on their way, those of one spout behind another together.
    fn tell(&mut self, notices: &mut Vec<AckRecord>) {
        let Some(first) = notices.first() else { return };
        let task = first.task;
        if notices.iter().all(|notice| notice.task == task) {
            return self.notify_all(task, notices);
        }
        for notice in &*notices {
            if let AckStep::Spout(place) = self.acks.route(notice) {
                self.notify(place, notice);
            }
        }
    }

    /// Notices for one spout task, wherever it is. What is left in the list has no meaning.
    fn notify_all(&mut self, task: TaskId, notices: &mut Vec<AckRecord>) {
        if let Some(place) = self.acks.send_to_spout(task, notices)
            && let ExecutorRole::Spout(spout) = &mut self.executors[place].role
        {
            spout.notify_all(notices);
        }
    }

    #[inline]
    fn notify(&mut self, place: usize, notice: &AckRecord) {
        if let ExecutorRole::Spout(spout) = &mut self.executors[place].role {
            spout.notify(*notice);
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
