//! The desk of a bolt: tuples on their way to peers, answers and emits on their way back.

use std::collections::VecDeque;
use std::ops::Range;

use super::{Desk, DeskError, Post, Side};
use crate::component::gateway::division::SessionNumber;
use crate::component::gateway::emission::{Anchored, Draft, Emission, Serials};
use crate::component::gateway::handle::Handle;
use crate::component::gateway::post::PostLine;
use crate::component::gateway::receipts::{Receipts, Standing, Unanswerable};
use crate::component::gateway::run::Run;
use crate::id::TaskId;
use crate::limits;

/// What one task of a bolt exchanges with its peer.
#[derive(Debug)]
pub(super) struct BoltPost {
    receipts: Receipts,
    waiting: VecDeque<Run>,
    work: Vec<Work>,
    work_bytes: usize,
    is_acking: bool,
}

/// What a task has to do for its peer, in this order.
#[derive(Debug)]
pub enum Work {
    Emit(Emission),
    /// Serials of tuples.
    Settle {
        acked: Vec<u64>,
        failed: Vec<u64>,
    },
    /// The peer is gone: what it was given below this serial, and is not answered, fails.
    Lost {
        below: u64,
    },
}

/// What a peer says to tuples that it was given. Emits come before answers.
#[derive(Debug, Default)]
pub struct Answers {
    pub drafts: Vec<Draft>,
    pub acks: Vec<i64>,
    pub ack_ranges: Vec<Range<i64>>,
    pub fails: Vec<i64>,
    /// Which task emits what has no anchor.
    pub task: Option<TaskId>,
}

/// Parts of a draft: the post, its rows, their anchors.
type Parts = Vec<(usize, Range<usize>, Serials)>;

/// Serials of one post that a call answers.
#[derive(Debug, Default)]
struct Settled {
    acked: Vec<u64>,
    failed: Vec<u64>,
}

// === impl Desk ===

impl Desk {
    /// Does what a peer says, all or none: as an error the answers stay as they are.
    pub fn answer(
        &mut self,
        number: SessionNumber,
        answers: &mut Answers,
        now_ms: u64,
    ) -> Result<(), DeskError> {
        self.session(number)?;
        if !answers.drafts.is_empty() && self.is_behind(number) {
            let text = "the topology does not keep up: too much waits to be emitted";
            return Err(DeskError::Full(text.to_owned()));
        }
        let drafts = answers.drafts.iter();
        let parts = drafts.map(|draft| self.parts(number, draft, answers.task));
        let parts: Vec<Parts> = parts.collect::<Result<_, _>>()?;
        let settled = self.settle_all(number, answers)?;
        for (draft, parts) in answers.drafts.drain(..).zip(parts) {
            for (index, emission) in draft.into_parts(number, parts) {
                if let Some((post, bolt)) = self.bolt_post(index) {
                    bolt.work_bytes += emission.n_bytes;
                    bolt.work.push(Work::Emit(emission));
                    post.ring();
                }
            }
        }
        let mut has_moves = false;
        for (index, Settled { acked, failed }) in settled {
            if let Some(post) = self.posts.get_mut(&index)
                && let Side::Bolt(bolt) = &mut post.side
            {
                bolt.receipts.trim();
                bolt.work.push(Work::Settle { acked, failed });
                post.line.ring();
                has_moves |= post.holding.next.is_some();
            }
        }
        if has_moves {
            self.divide(now_ms);
        }
        Ok(())
    }

    /// Tuples for a peer, with the index of each run's task; at most so many, and at least one that
    /// is there.
    pub fn take(
        &mut self,
        number: SessionNumber,
        tuples_max: usize,
    ) -> Result<Vec<(usize, Run)>, DeskError> {
        let session = self.session(number)?;
        session.turn = session.turn.wrapping_add(1);
        let turn = session.turn;
        let mut indexes: Vec<usize> = self.posts_of(number).map(|(index, _)| index).collect();
        if !indexes.is_empty() {
            let first = turn % indexes.len();
            indexes.rotate_left(first);
        }
        let mut taken = Vec::new();
        let (mut n_left, mut bytes_left) = (tuples_max, limits::GATEWAY_DELIVERY_BYTES_MAX);
        for index in indexes {
            let Some(post) = self.posts.get_mut(&index) else {
                continue;
            };
            if post.holding.next.is_some() {
                continue;
            }
            while let Some(run) = post.take_run(n_left, bytes_left, taken.is_empty()) {
                n_left -= run.len().min(n_left);
                bytes_left = bytes_left.saturating_sub(run.n_bytes());
                taken.push((index, run));
            }
        }
        Ok(taken)
    }

    // ---- The task's side ------------------------------------------------------------------------

    /// Takes over tuples for the peer. What is below `expired` is past its time.
    pub fn hand_over(
        &mut self,
        index: usize,
        runs: &mut Vec<Run>,
        expired: Option<u64>,
        now_ms: u64,
    ) {
        let Some((line, bolt)) = self.bolt_post(index) else {
            return;
        };
        let has_tuples = !runs.is_empty();
        bolt.waiting.extend(runs.drain(..));
        if let Some(below) = expired {
            bolt.expire(below, line);
        }
        let holding = self.posts.get(&index).map(|post| post.holding);
        let holding = holding.unwrap_or_default();
        if has_tuples {
            self.ring(holding.holder);
        }
        if expired.is_some() && holding.next.is_some() {
            self.divide(now_ms);
        }
    }

    /// What the task has to do, when it has done what it took before: what it cannot do yet stays
    /// here, where it is bounded.
    pub fn take_work(&mut self, index: usize) -> Vec<Work> {
        let Some((_, bolt)) = self.bolt_post(index) else {
            return Vec::new();
        };
        let was_behind = bolt.is_behind();
        let work = std::mem::take(&mut bolt.work);
        bolt.work_bytes = 0;
        if was_behind {
            let holder = self.posts.get(&index).and_then(|post| post.holding.holder);
            self.ring(holder);
        }
        work
    }

    /// Whether a task of a session has as much to emit as it may.
    fn is_behind(&self, number: SessionNumber) -> bool {
        let behind = |side: &Side| matches!(side, Side::Bolt(bolt) if bolt.is_behind());
        self.posts_of(number).any(|(_, post)| behind(&post.side))
    }

    /// Which tasks emit which rows of a draft: those that were given the tuples they are anchored
    /// to.
    fn parts(
        &self,
        number: SessionNumber,
        draft: &Draft,
        task: Option<TaskId>,
    ) -> Result<Parts, DeskError> {
        match &draft.anchors {
            Anchored::Nowhere => {
                let index = self.unanchored_post(number, task)?;
                Ok(vec![(index, 0..draft.n_tuples, Serials::None)])
            }
            Anchored::All(handles) => {
                let mut serials = Vec::with_capacity(handles.len());
                let mut index = None;
                for handle in handles {
                    let Some((at, serial)) = self.anchor(number, *handle)? else {
                        continue;
                    };
                    if index.is_some_and(|index| index != at) {
                        let text = "a tuple cannot be anchored to tuples of two tasks";
                        return Err(DeskError::BadRequest(text.to_owned()));
                    }
                    index = Some(at);
                    serials.push(serial);
                }
                let index = index.map_or_else(|| self.unanchored_post(number, task), Ok)?;
                Ok(vec![(index, 0..1, Serials::All(serials))])
            }
            Anchored::Each(handles) => self.stretches(number, handles, task),
        }
    }

    /// Cuts rows where the task of their anchors changes.
    fn stretches(
        &self,
        number: SessionNumber,
        handles: &[i64],
        task: Option<TaskId>,
    ) -> Result<Parts, DeskError> {
        let mut parts: Vec<(usize, Range<usize>, Vec<Option<u64>>)> = Vec::new();
        for (row, handle) in handles.iter().enumerate() {
            let anchor = self.anchor(number, *handle)?;
            let serial = anchor.map(|(_, serial)| serial);
            if let Some((index, rows, serials)) = parts.last_mut()
                && anchor.is_none_or(|(at, _)| at == *index)
            {
                rows.end += 1;
                serials.push(serial);
                continue;
            }
            let index = match anchor {
                Some((index, _)) => index,
                None => self.unanchored_post(number, task)?,
            };
            parts.push((index, row..row + 1, vec![serial]));
        }
        let part = |(index, rows, serials)| (index, rows, Serials::Each(serials));
        Ok(parts.into_iter().map(part).collect())
    }

    fn unanchored_post(
        &self,
        number: SessionNumber,
        task: Option<TaskId>,
    ) -> Result<usize, DeskError> {
        let wanted = |post: &Post| task.is_none_or(|task| post.task == task);
        let found = self.posts_of(number).find(|(_, post)| wanted(post));
        found.map(|(index, _)| index).ok_or_else(|| {
            let text = match task {
                Some(task) => format!("task {task} is not held by this session"),
                None => "the session holds no task to emit from".to_owned(),
            };
            DeskError::BadRequest(text)
        })
    }

    /// What a handle of an anchor stands for; nothing where nobody waits for it any more.
    fn anchor(&self, number: SessionNumber, wire: i64) -> Result<Option<(usize, u64)>, DeskError> {
        let Some(handle) = Handle::parse(wire) else {
            return Ok(None);
        };
        let post = self.posts.get(&handle.index);
        let Some((Side::Bolt(bolt), holder)) = post.map(|post| (&post.side, post.holding.holder))
        else {
            return Err(unknown(wire));
        };
        match bolt.receipts.standing(handle.serial) {
            Ok(Standing::Void) => Ok(None),
            Ok(Standing::Open) if holder == Some(number) => Ok(Some((handle.index, handle.serial))),
            Ok(Standing::Open) | Err(Unanswerable::Unknown) => Err(unknown(wire)),
            Err(Unanswerable::Settled) => Err(settled(wire)),
        }
    }

    /// Notes all acks and fails, or none.
    fn settle_all(
        &mut self,
        number: SessionNumber,
        answers: &Answers,
    ) -> Result<Vec<(usize, Settled)>, DeskError> {
        let mut done: Vec<(usize, Settled)> = Vec::new();
        let ranges = answers.ack_ranges.iter().cloned().flatten();
        let acks = answers.acks.iter().copied().chain(ranges);
        let acks = acks.map(|handle| (handle, true));
        let fails = answers.fails.iter().map(|handle| (*handle, false));
        for (wire, is_ack) in acks.chain(fails) {
            match self.settle_one(number, wire) {
                Ok(None) => {}
                Ok(Some(handle)) => {
                    if done.last().is_none_or(|(index, _)| *index != handle.index) {
                        done.push((handle.index, Settled::default()));
                    }
                    let (_, of_post) = done.last_mut().expect("pushed above");
                    match is_ack {
                        true => of_post.acked.push(handle.serial),
                        false => of_post.failed.push(handle.serial),
                    }
                }
                Err(error) => {
                    self.reopen(done);
                    return Err(error);
                }
            }
        }
        Ok(done)
    }

    fn settle_one(
        &mut self,
        number: SessionNumber,
        wire: i64,
    ) -> Result<Option<Handle>, DeskError> {
        let Some(handle) = Handle::parse(wire) else {
            return Ok(None);
        };
        let post = self.posts.get_mut(&handle.index);
        let Some((Side::Bolt(bolt), holder)) =
            post.map(|post| (&mut post.side, post.holding.holder))
        else {
            return Err(unknown(wire));
        };
        match bolt.receipts.standing(handle.serial) {
            Ok(Standing::Open) if holder != Some(number) => Err(unknown(wire)),
            Ok(standing) => {
                // Its standing was looked at: it cannot fail.
                let _ = bolt.receipts.settle(handle.serial);
                Ok((standing == Standing::Open).then_some(handle))
            }
            Err(Unanswerable::Unknown) => Err(unknown(wire)),
            Err(Unanswerable::Settled) => Err(settled(wire)),
        }
    }

    fn reopen(&mut self, done: Vec<(usize, Settled)>) {
        for (index, Settled { acked, failed }) in done {
            if let Some((_, bolt)) = self.bolt_post(index) {
                for serial in acked.into_iter().chain(failed) {
                    bolt.receipts.reopen(serial);
                }
            }
        }
    }

    fn bolt_post(&mut self, index: usize) -> Option<(&PostLine, &mut BoltPost)> {
        let post = self.posts.get_mut(&index)?;
        match &mut post.side {
            Side::Bolt(bolt) => Some((&post.line, bolt)),
            Side::Spout(_) => None,
        }
    }
}

// === impl Post ===

impl Post {
    fn take_run(&mut self, n_max: usize, bytes_max: usize, is_first: bool) -> Option<Run> {
        let Side::Bolt(bolt) = &mut self.side else {
            return None;
        };
        let run = bolt.waiting.front()?;
        if n_max == 0 || (!is_first && run.n_bytes() > bytes_max) {
            return None;
        }
        let mut run = bolt.waiting.pop_front()?;
        // The first run of a reply is cut to fit; one tuple always goes.
        let fitting = bytes_max / (run.n_bytes() / run.len()).max(1);
        if let Some(rest) = run.split_off(n_max.min(fitting.max(1))) {
            bolt.waiting.push_front(rest);
        }
        if run.first.is_some() {
            let first = bolt.receipts.give(run.len());
            debug_assert_eq!(
                run.first,
                Some(first),
                "runs come in the order of their serials"
            );
            if !bolt.is_acking {
                bolt.receipts.void(first + run.len() as u64);
            }
        }
        self.line.took_waiting(run.len(), run.n_bytes());
        Some(run)
    }
}

// === impl BoltPost ===

impl BoltPost {
    /// Serials begin at `first`.
    pub fn new(is_acking: bool, first: u64) -> Self {
        BoltPost {
            receipts: Receipts::new(first),
            waiting: VecDeque::new(),
            work: Vec::new(),
            work_bytes: 0,
            is_acking,
        }
    }

    /// Of the next tuple that the peer will be given.
    pub fn next_serial(&self) -> u64 {
        self.receipts.next()
    }

    pub fn is_owing(&self) -> bool {
        self.receipts.n_open() > 0
    }

    /// Nobody waits any more for what is below a serial. What of it the peer was not given goes,
    /// with the ticks before it: else a slow peer would get nothing but what comes too late.
    fn expire(&mut self, below: u64, line: &PostLine) {
        let is_over = |run: &Run| run.first.is_some_and(|first| first < below);
        let n_over = self.waiting.iter().rposition(is_over);
        let n_over = n_over.map_or(0, |last| last + 1);
        let mut living = None;
        for mut run in self.waiting.drain(..n_over) {
            if let Some(first) = run.first {
                // Of the last run some may live on.
                let n_tuples = usize::try_from(below - first).unwrap_or(usize::MAX);
                living = run.split_off(n_tuples);
                // Their serials are used up all the same.
                self.receipts.give(run.len());
            }
            line.took_waiting(run.len(), run.n_bytes());
        }
        if let Some(living) = living {
            self.waiting.push_front(living);
        }
        self.receipts.void(below);
    }

    fn is_behind(&self) -> bool {
        self.work_bytes >= limits::GATEWAY_QUEUE_BYTES_MAX
    }

    /// The peer is gone: what it had fails. Gives how many tuples that are; those that wait are for
    /// the next one.
    pub fn lose(&mut self) -> usize {
        let below = self.receipts.next();
        self.work.push(Work::Lost { below });
        self.receipts.void(below)
    }
}

fn unknown(handle: i64) -> DeskError {
    DeskError::BadRequest(format!("{handle} is no handle of a tuple of this session"))
}

fn settled(handle: i64) -> DeskError {
    DeskError::BadRequest(format!("the tuple {handle} is acked or failed already"))
}
