//! The desk of a spout: tuples of peers on their way in, their fates on their way out.

use std::collections::VecDeque;

use super::{Desk, DeskError, Side};
use crate::component::gateway::division::SessionNumber;
use crate::component::gateway::emission::{Draft, Emission};
use crate::component::gateway::post::PostLine;
use crate::id::TaskId;
use crate::limits;

/// What one task of a spout has to emit.
#[derive(Debug, Default)]
pub(super) struct SpoutPost {
    queue: VecDeque<Emission>,
    n_queued: usize,
    bytes_queued: usize,
    is_active: bool,
    lost: Vec<LostPeer>,
}

/// A peer that is gone, and with it whoever waited for the fates of its tuples.
#[derive(Debug, PartialEq, Eq)]
pub struct LostPeer {
    pub session: SessionNumber,
    pub reason: String,
    /// Whether it held the task: else it is worth a word only if something of it fails.
    pub is_holder: bool,
    /// Tracked tuples that it wanted emitted and that were not yet.
    pub n_dropped: usize,
}

/// What became of a peer's tuples, by its own numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fates {
    pub acked: Vec<i64>,
    pub failed: Vec<i64>,
}

/// The fate of one tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Acked,
    Failed,
}

// === impl Desk ===

impl Desk {
    /// Takes tuples on, all or none: as an error the drafts stay where they are. Room for one is
    /// room for all, so that no call is too large to ever be taken on.
    pub fn push(
        &mut self,
        number: SessionNumber,
        task: Option<TaskId>,
        drafts: &mut Vec<Draft>,
    ) -> Result<(), DeskError> {
        let n_pending = self.session(number)?.n_pending;
        if drafts.is_empty() {
            return Ok(());
        }
        let index = self.emitting_post(number, task)?;
        let full = |what: &str| {
            Err(DeskError::Full(format!(
                "the topology does not keep up: {what}"
            )))
        };
        if n_pending >= limits::GATEWAY_PENDING_MAX {
            return full("too many tuples are neither acked nor failed");
        }
        let Some((post, spout)) = self.spout_post(index) else {
            return Err(DeskError::NoSession);
        };
        if !spout.has_room() {
            return full("too many tuples wait to be emitted");
        }
        let mut n_tracked = 0;
        for draft in drafts.drain(..) {
            n_tracked += draft.n_tracked();
            spout.n_queued += draft.n_tuples;
            spout.bytes_queued += draft.n_bytes;
            spout.queue.push_back(draft.into_emission(number));
        }
        post.set_queue(true);
        post.ring();
        self.session(number)?.n_pending += n_tracked;
        Ok(())
    }

    /// Fates since the last call, and how many tuples would be taken on now.
    pub fn take_fates(&mut self, number: SessionNumber) -> Result<(Fates, usize), DeskError> {
        let session = self.session(number)?;
        let fates = std::mem::take(&mut session.fates);
        let unfinished = limits::GATEWAY_PENDING_MAX.saturating_sub(session.n_pending);
        let room = self.posts_of(number).map(|(_, post)| match &post.side {
            Side::Spout(spout) => limits::GATEWAY_QUEUE_TUPLES_MAX.saturating_sub(spout.n_queued),
            Side::Bolt(_) => 0,
        });
        let room: usize = room.sum();
        Ok((fates, room.min(unfinished)))
    }

    /// Whether the tasks of a peer, or of anybody, are active.
    pub fn is_active(&self) -> bool {
        let active = |side: &Side| matches!(side, Side::Spout(spout) if spout.is_active);
        self.posts.values().any(|post| active(&post.side))
    }

    // ---- The task's side ------------------------------------------------------------------------

    pub fn set_active(&mut self, index: usize, is_active: bool) {
        let Some((_, spout)) = self.spout_post(index) else {
            return;
        };
        spout.is_active = is_active;
        let holder = self.posts.get(&index).and_then(|post| post.holding.holder);
        self.ring(holder);
    }

    /// What the task emits next.
    pub fn next_emission(&mut self, index: usize) -> Option<Emission> {
        let (line, spout) = self.spout_post(index)?;
        let emission = spout.queue.pop_front();
        line.set_queue(!spout.queue.is_empty());
        let emission = emission?;
        let had_room = spout.has_room();
        spout.n_queued -= emission.n_tuples();
        spout.bytes_queued -= emission.n_bytes;
        if !had_room && spout.has_room() {
            let holder = self.posts.get(&index).and_then(|post| post.holding.holder);
            self.ring(holder);
        }
        Some(emission)
    }

    /// Peers lost since the last call: what the task has pending of them fails.
    pub fn take_lost(&mut self, index: usize) -> Vec<LostPeer> {
        let spout = self.spout_post(index);
        spout.map_or_else(Vec::new, |(_, spout)| std::mem::take(&mut spout.lost))
    }

    /// Hands over what became of tuples; those of peers that are gone are nobody's.
    pub fn settle(&mut self, fates: &mut Vec<(SessionNumber, i64, Fate)>) {
        let mut told = None;
        for (number, id, fate) in fates.drain(..) {
            let Some(session) = self.sessions.get_mut(&number) else {
                continue;
            };
            session.n_pending = session.n_pending.saturating_sub(1);
            match fate {
                Fate::Acked => session.fates.acked.push(id),
                Fate::Failed => session.fates.failed.push(id),
            }
            if told != Some(number) {
                told = Some(number);
                session.bell.notify_waiters();
            }
        }
    }

    /// The task of a session that takes what is emitted: the one that is asked for, or the one with
    /// least to do.
    fn emitting_post(
        &self,
        number: SessionNumber,
        task: Option<TaskId>,
    ) -> Result<usize, DeskError> {
        let mut posts = self.posts_of(number);
        let found = match task {
            Some(task) => posts.find(|(_, post)| post.task == task),
            None => posts.min_by_key(|(_, post)| match &post.side {
                Side::Spout(spout) => spout.n_queued,
                Side::Bolt(_) => usize::MAX,
            }),
        };
        match (found, task) {
            (Some((index, _)), _) => Ok(index),
            (None, Some(task)) => {
                let text = format!("task {task} is not held by this session");
                Err(DeskError::BadRequest(text))
            }
            (None, None) => {
                let text = "the session holds no task: others hold all there are";
                Err(DeskError::Full(text.to_owned()))
            }
        }
    }

    fn spout_post(&mut self, index: usize) -> Option<(&PostLine, &mut SpoutPost)> {
        let post = self.posts.get_mut(&index)?;
        match &mut post.side {
            Side::Spout(spout) => Some((&post.line, spout)),
            Side::Bolt(_) => None,
        }
    }
}

// === impl SpoutPost ===

impl SpoutPost {
    fn has_room(&self) -> bool {
        self.n_queued < limits::GATEWAY_QUEUE_TUPLES_MAX
            && self.bytes_queued < limits::GATEWAY_QUEUE_BYTES_MAX
    }

    /// A peer is gone. Of what waits to be emitted its tracked tuples go with it: emitted, they
    /// would only fail. Nobody waits for the others, which are emitted as they were to be.
    pub fn lose(&mut self, session: SessionNumber, is_holder: bool, reason: String) {
        let mut n_dropped = 0;
        self.queue.retain(|emission| {
            let stays = emission.session != session || !emission.is_tracked();
            if !stays {
                n_dropped += emission.n_tuples();
                self.bytes_queued -= emission.n_bytes;
            }
            stays
        });
        self.n_queued -= n_dropped;
        self.lost.push(LostPeer {
            session,
            reason,
            is_holder,
            n_dropped,
        });
    }

    /// The task is over: all tracked tuples that wait to be emitted.
    pub fn into_fails(self) -> Vec<(SessionNumber, i64, Fate)> {
        let fails = self.queue.iter().flat_map(|emission| emission.fails(0));
        fails.collect()
    }

    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }
}

// === impl Fates ===

impl Fates {
    pub fn is_empty(&self) -> bool {
        self.acked.is_empty() && self.failed.is_empty()
    }
}
