//! Where ack records and notices go from one thread: to its own ledgers and spouts, to another
//! thread, or to another worker.
//!
//! Records for elsewhere gather and merge until the turn's end. The ledger's rules are `acker`'s.

use std::sync::Arc;

use crate::acker::{LedgerRecord, Notice, Outcome};
use crate::grouping::acker_index;
use crate::id::TaskId;
use crate::messaging::acks::{AckKind, AckRecord};
use crate::messaging::client::Peer;

/// Where a task that takes part in acking is, seen from one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckPlace {
    /// An executor of this thread, by its place.
    Here(usize),
    /// Another thread of this worker.
    Thread(usize),
    /// Another worker, by its place in the outgoing lists.
    Peer(usize),
    /// No worker has it now.
    Nowhere,
}

/// Whose memory holds what an acker knows: another one has to learn it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckerHome {
    /// This worker.
    Here,
    /// A process of a peer: which peer, and how many were there before.
    There(i64, u64),
    Nowhere,
}

/// What has to be done with a record on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckStep {
    /// It went elsewhere.
    Sent,
    /// It is for the ledger of the executor at this place.
    Ledger(usize),
    /// It is for the spout executor at this place.
    Spout(usize),
}

/// The ack routes of one thread.
pub struct AckRoutes {
    /// By the acker's index.
    ackers: Vec<AckPlace>,
    homes: Vec<AckerHome>,
    /// By the spout's task id.
    spouts: Vec<AckPlace>,
    /// Records for each other thread.
    pub to_threads: Vec<Outgoing>,
    to_peers: Vec<(Arc<Peer>, Outgoing)>,
    /// Whether this thread has any whose acks may merge with what waits.
    has_bolts: bool,
    /// Records that nobody could be found for: their roots fail when their acker is back.
    n_lost: u64,
}

/// Records for one thread or worker, each tree's merged as far as they may be.
#[derive(Default)]
pub struct Outgoing {
    pub records: Vec<AckRecord>,
    /// Place of the last record of a root, by the root's low bits; a hint, since others share it.
    last: Vec<u32>,
}

// === impl Outgoing ===

impl Outgoing {
    /// Adds a record, or adds it to one of the same tree that waits already: a tree that begins and
    /// ends on this thread crosses over as one record.
    #[inline]
    pub fn push(&mut self, record: &AckRecord) {
        if self.last.is_empty() {
            self.last.resize(N_HINTS, 0);
        }
        let hint = &mut self.last[record.root as usize % N_HINTS];
        // A fail or a reset of the tree takes the hint too, so that no ack overtakes it.
        let merges = self.records.get_mut(*hint as usize);
        if !merges.is_some_and(|earlier| earlier.merge(record)) {
            *hint = self.records.len() as u32;
            self.records.push(*record);
        }
    }

    /// Adds records that nothing will ever merge with. Leaves whatever it likes in their list.
    fn append(&mut self, records: &mut Vec<AckRecord>) {
        match self.records.is_empty() {
            true => std::mem::swap(&mut self.records, records),
            false => self.records.extend_from_slice(records),
        }
    }
}

// === impl AckRoutes ===

impl AckRoutes {
    pub fn new(n_threads: usize, has_bolts: bool) -> Self {
        AckRoutes {
            ackers: Vec::new(),
            homes: Vec::new(),
            spouts: Vec::new(),
            to_threads: (0..n_threads).map(|_| Outgoing::default()).collect(),
            to_peers: Vec::new(),
            has_bolts,
            n_lost: 0,
        }
    }

    /// Takes new places; what was gathered for workers goes to them first. Gives the indices of
    /// ackers that know nothing any more of what they were told.
    pub fn replace(
        &mut self,
        (ackers, homes): (Vec<AckPlace>, Vec<AckerHome>),
        spouts: Vec<AckPlace>,
        peers: impl Iterator<Item = Arc<Peer>>,
    ) -> Vec<usize> {
        self.flush_peers();
        let pairs = self.homes.iter().zip(&homes).enumerate();
        let forgetful = pairs.filter(|(_, (before, now))| before != now);
        let forgetful = forgetful.map(|(index, _)| index).collect();
        self.homes = homes;
        self.ackers = ackers;
        self.spouts = spouts;
        self.to_peers = peers.map(|peer| (peer, Outgoing::default())).collect();
        forgetful
    }

    /// Sends a record on its way, or says what is to be done with it here.
    #[inline]
    pub fn route(&mut self, record: &AckRecord) -> AckStep {
        let is_for_acker = record.is_for_acker();
        let place = match is_for_acker {
            true => match self.ackers.as_slice() {
                [only] => Some(only),
                ackers => ackers.get(acker_index(record.root, ackers.len())),
            },
            false => {
                let task = usize::try_from(record.task.0).unwrap_or(usize::MAX);
                self.spouts.get(task)
            }
        };
        match place {
            Some(AckPlace::Here(executor)) if is_for_acker => AckStep::Ledger(*executor),
            Some(AckPlace::Here(executor)) => AckStep::Spout(*executor),
            Some(AckPlace::Thread(thread)) => {
                self.to_threads[*thread].push(record);
                AckStep::Sent
            }
            Some(AckPlace::Peer(peer)) => {
                self.to_peers[*peer].1.push(record);
                AckStep::Sent
            }
            Some(AckPlace::Nowhere) | None => {
                self.n_lost += 1;
                AckStep::Sent
            }
        }
    }

    /// Where the acker is, if the topology has but one.
    #[inline]
    pub fn only_acker(&self) -> Option<&AckPlace> {
        match self.ackers.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Sends records on their way to the only acker, which is elsewhere. Leaves whatever it likes
    /// in their list.
    pub fn send_to_only_acker(&mut self, records: &mut Vec<AckRecord>) {
        let outgoing = match self.ackers.as_slice() {
            [AckPlace::Thread(thread)] => &mut self.to_threads[*thread],
            [AckPlace::Peer(peer)] => &mut self.to_peers[*peer].1,
            _ => return,
        };
        match self.has_bolts {
            true => records.iter().for_each(|record| outgoing.push(record)),
            // Each begins a tree of its own, and nothing of those trees ends here.
            false => outgoing.append(records),
        }
    }

    /// Sends notices for one spout task on their way, or says at which place here it is. Leaves
    /// whatever it likes in their list when they went elsewhere.
    pub fn send_to_spout(&mut self, task: TaskId, notices: &mut Vec<AckRecord>) -> Option<usize> {
        let index = usize::try_from(task.0).unwrap_or(usize::MAX);
        match self.spouts.get(index) {
            Some(AckPlace::Here(place)) => return Some(*place),
            Some(AckPlace::Thread(thread)) => self.to_threads[*thread].append(notices),
            Some(AckPlace::Peer(peer)) => self.to_peers[*peer].1.append(notices),
            Some(AckPlace::Nowhere) | None => self.n_lost += notices.len() as u64,
        }
        None
    }

    /// Hands what is for other workers to their outboxes.
    pub fn flush_peers(&mut self) {
        for (peer, outgoing) in &mut self.to_peers {
            if !outgoing.records.is_empty() {
                peer.extend_acks(&outgoing.records);
                outgoing.records.clear();
            }
        }
    }

    /// Records lost since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.n_lost)
    }
}

/// A record as the ledger takes it; none for a notice and for what only counts.
#[inline]
pub fn for_ledger(record: &AckRecord) -> Option<LedgerRecord> {
    let AckRecord {
        root, value, task, ..
    } = *record;
    Some(match record.kind {
        AckKind::Init => LedgerRecord::Init {
            root,
            value,
            spout_task: task,
        },
        AckKind::Ack => LedgerRecord::Ack { root, value },
        AckKind::Fail => LedgerRecord::Fail { root },
        AckKind::Reset => LedgerRecord::Reset { root },
        AckKind::Completed | AckKind::Failed | AckKind::Extended | AckKind::Tally => return None,
    })
}

/// A notice as a record.
#[inline]
pub fn from_ledger(notice: &Notice) -> AckRecord {
    AckRecord {
        root: notice.root,
        value: notice.elapsed_ms as u64,
        task: notice.spout_task,
        kind: match notice.outcome {
            Outcome::Acked => AckKind::Completed,
            Outcome::Failed => AckKind::Failed,
            Outcome::Reset => AckKind::Extended,
        },
    }
}

/// What a notice says; none for a record that is for an acker.
#[inline]
pub fn outcome(kind: AckKind) -> Option<Outcome> {
    match kind {
        AckKind::Completed => Some(Outcome::Acked),
        AckKind::Failed => Some(Outcome::Failed),
        AckKind::Extended => Some(Outcome::Reset),
        AckKind::Init | AckKind::Ack | AckKind::Fail | AckKind::Reset | AckKind::Tally => None,
    }
}

/// Places of tasks by their ids, for `AckRoutes::replace`.
pub fn places_by_task(last_task: TaskId, place: impl Fn(TaskId) -> AckPlace) -> Vec<AckPlace> {
    (0..=last_task.0.max(0))
        .map(|task| place(TaskId(task)))
        .collect()
}

/// More than the records of a turn, mostly; eight kilobytes.
const N_HINTS: usize = 2048;
