//! `stormwire.GatewaySpout`: emits what peers emit, and tells them what became of it.

use std::collections::HashSet;
use std::sync::Arc;

use super::desk::{self, Fate, LostPeer};
use super::division::SessionNumber;
use super::emission::Emission;
use super::hall::OpenDesk;
use super::post::PostLine;
use super::settings;
use crate::clock;
use crate::component::{
    ComponentFailure, Result, Spout, SpoutCollector, SpoutEmit, TaskContext, Waker,
};
use crate::id::TaskId;
use crate::tuple::Value;
use crate::wire::messages::GatewayRole;

/// One task of such a spout. What a lost peer has pending fails at once; what it did not want to
/// hear of is emitted also when it is gone.
#[derive(Default)]
pub struct GatewaySpout {
    running: Option<Running>,
}

struct Running {
    desk: Arc<OpenDesk>,
    index: usize,
    task: TaskId,
    line: Arc<PostLine>,
    waker: Waker,
    /// What is being emitted, and how far.
    current: Option<(Emission, usize)>,
    pending: Pending,
    fates: Vec<(SessionNumber, i64, Fate)>,
}

/// Tracked tuples, by the numbers that the engine knows them by.
#[derive(Default)]
struct Pending {
    slots: Vec<(SessionNumber, i64)>,
    free: Vec<usize>,
}

// === impl GatewaySpout ===

impl Spout for GatewaySpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        let desk = settings::desk(context, GatewayRole::Spout)?;
        let line = Arc::new(PostLine::new(context.waker()));
        let post = (context.task_index(), context.task());
        desk.lock()
            .attach(post, Arc::clone(&line), clock::monotonic_millis());
        self.running = Some(Running {
            desk,
            index: context.task_index(),
            task: context.task(),
            line,
            waker: context.waker(),
            current: None,
            pending: Pending::default(),
            fates: Vec::new(),
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        match &mut self.running {
            Some(running) => running.emit_one(out),
            None => Ok(()),
        }
    }

    fn ready(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.current.is_some() || running.line.has_queue())
    }

    fn ack(&mut self, id: &Value) {
        if let Some(running) = &mut self.running {
            running.settle(id, Fate::Acked);
        }
    }

    fn fail(&mut self, id: &Value) {
        if let Some(running) = &mut self.running {
            running.settle(id, Fate::Failed);
        }
    }

    fn poll(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let has_news = running.line.heard();
        if !has_news && running.fates.is_empty() {
            return Ok(());
        }
        let mut desk = running.desk.lock();
        desk.settle(&mut running.fates);
        let troubles = desk.take_troubles(running.index);
        let lost = desk.take_lost(running.index);
        drop(desk);
        for peer in lost {
            running.lose(&peer, out);
        }
        for trouble in troubles {
            out.report_error(&ComponentFailure::new(trouble));
        }
        Ok(())
    }

    fn activate(&mut self) -> Result<()> {
        self.set_active(true);
        Ok(())
    }

    fn deactivate(&mut self) -> Result<()> {
        self.set_active(false);
        Ok(())
    }

    fn close(&mut self) {
        self.running = None;
    }
}

impl GatewaySpout {
    fn set_active(&self, is_active: bool) {
        if let Some(running) = &self.running {
            running.desk.lock().set_active(running.index, is_active);
        }
    }
}

// === impl Running ===

impl Running {
    fn emit_one(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let (emission, place) = match self.current.take() {
            Some(current) => current,
            None => match self.desk.lock().next_emission(self.index) {
                Some(emission) => (emission, 0),
                None => return Ok(()),
            },
        };
        let id = emission.id(place);
        let id = id.map(|id| self.pending.insert(emission.session, id));
        // Kept meanwhile: where a grouping panics, what comes after this tuple still fails.
        let (emission, next) = self.current.insert((emission, place + 1));
        let emitted = emission.with_values(place, |values| match id {
            Some(slot) if emission.is_plain() => out.emit_reliable(values, Value::Long(slot)),
            None if emission.is_plain() => out.emit(values),
            _ => {
                let emit = SpoutEmit {
                    stream: emission.stream(),
                    id: id.map(Value::Long),
                    direct: emission.direct(),
                    event_time_us: emission.event_time_us(place),
                    task_ids: None,
                };
                out.emit_with(emit, values)
            }
        });
        if *next == emission.n_tuples() {
            self.current = None;
        }
        if let Err(failure) = emitted {
            // Not an error of the call, which would make the next tuple wait. The peer hears of it
            // as of any other failure.
            out.report_error(&failure);
            if let Some(slot) = id {
                self.settle(&Value::Long(slot), Fate::Failed);
            }
        }
        Ok(())
    }

    /// Fails what is pending of a peer that is gone: nobody would tell it, but ackers forget it and
    /// the statistics show it.
    fn lose(&mut self, peer: &LostPeer, out: &mut SpoutCollector<'_>) {
        let is_its = |(emission, _): &mut (Emission, usize)| {
            emission.session == peer.session && emission.is_tracked()
        };
        let rest = self.current.take_if(is_its);
        let n_rest = rest.map_or(0, |(emission, place)| emission.n_tuples() - place);
        let pending = &self.pending;
        let n_pending = out.give_up(|id| pending.session(id) == Some(peer.session));
        let n_lost = peer.n_dropped + n_rest + n_pending;
        if peer.is_holder || n_lost > 0 {
            let text = desk::lost(&peer.reason, n_lost, self.task);
            out.report_error(&ComponentFailure::new(text));
        }
    }

    fn settle(&mut self, id: &Value, fate: Fate) {
        let Value::Long(slot) = id else {
            return;
        };
        if let Some((session, id)) = self.pending.remove(*slot) {
            if self.fates.is_empty() {
                // Handed over by the next `poll`, of this turn or of one that comes at once.
                self.waker.wake();
            }
            self.fates.push((session, id, fate));
        }
    }
}

impl Drop for Running {
    /// The task ends, or starts over: it will hear of no more fates, so that what is pending fails.
    fn drop(&mut self) {
        let now_ms = clock::monotonic_millis();
        let current = self.current.take();
        let rest = current.iter().flat_map(|(all, place)| all.fails(*place));
        self.fates.extend(rest.chain(self.pending.fails()));
        let mut desk = self.desk.lock();
        desk.settle(&mut self.fates);
        desk.detach(self.index, &self.line, now_ms);
    }
}

// === impl Pending ===

impl Pending {
    fn insert(&mut self, session: SessionNumber, id: i64) -> i64 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = (session, id);
                slot
            }
            None => {
                self.slots.push((session, id));
                self.slots.len() - 1
            }
        };
        slot as i64
    }

    /// Whose tuple it is, of one that is pending.
    fn session(&self, id: &Value) -> Option<SessionNumber> {
        let Value::Long(slot) = id else {
            return None;
        };
        let (session, _) = self.slots.get(usize::try_from(*slot).ok()?)?;
        Some(*session)
    }

    /// All of them, as failed.
    fn fails(&self) -> impl Iterator<Item = (SessionNumber, i64, Fate)> + '_ {
        let free: HashSet<_> = self.free.iter().copied().collect();
        let slots = self.slots.iter().enumerate();
        let pending = slots.filter(move |(slot, _)| !free.contains(slot));
        pending.map(|(_, (session, id))| (*session, *id, Fate::Failed))
    }

    fn remove(&mut self, slot: i64) -> Option<(SessionNumber, i64)> {
        let slot = usize::try_from(slot).ok()?;
        let tuple = self.slots.get(slot).copied()?;
        self.free.push(slot);
        Some(tuple)
    }
}
