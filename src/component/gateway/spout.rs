//! `stormwire.GatewaySpout`: emits what peers emit, and tells them what became of it.

use std::sync::Arc;

use super::desk::Fate;
use super::division::SessionNumber;
use super::emission::Emission;
use super::hall::OpenDesk;
use super::post::PostLine;
use super::settings;
use crate::clock;
use crate::component::{
    ComponentFailure, Result, Spout, SpoutCollector, SpoutEmit, TaskContext, Waker,
};
use crate::tuple::Value;
use crate::wire::messages::GatewayRole;

/// One task of such a spout. What a peer emitted is emitted also when the peer is gone.
#[derive(Default)]
pub struct GatewaySpout {
    running: Option<Running>,
}

struct Running {
    desk: Arc<OpenDesk>,
    index: usize,
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
        drop(desk);
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
        if place + 1 < emission.n_tuples() {
            self.current = Some((emission, place + 1));
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
    fn drop(&mut self) {
        let now_ms = clock::monotonic_millis();
        self.desk.lock().detach(self.index, &self.line, now_ms);
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

    fn remove(&mut self, slot: i64) -> Option<(SessionNumber, i64)> {
        let slot = usize::try_from(slot).ok()?;
        let tuple = self.slots.get(slot).copied()?;
        self.free.push(slot);
        Some(tuple)
    }
}
