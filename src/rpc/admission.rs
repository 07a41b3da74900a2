//! Who may stay connected to a server, and who has to go when it is full.
//!
//! Counts and names; it closes nothing itself. A connection holds a `Seat`, asks it at each change
//! of its state, and leaves when `Seat::evicted` says so.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The bounds of one server's connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connections_max: usize,
    /// Connections that have not completed one good call.
    pub unproven_max: usize,
    /// Over all connections.
    pub half_sent_bytes_max: usize,
}

/// All seats of one server.
#[derive(Debug)]
pub struct Admission {
    bounds: Bounds,
    seats: Mutex<Seats>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    admission: Arc<Admission>,
    id: u64,
    leave: Arc<Notify>,
    proven: Proven,
    /// Its key among the idle, while it is one of them.
    idle: Option<IdleKey>,
}

/// Whether a connection has completed one good call. Orders those who have not before those who
/// have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Proven {
    NotYet,
    Yes,
}

/// Idle connections in the order in which they make room; the number grows with time.
type IdleKey = (Proven, u64);

#[derive(Debug, Default)]
struct Seats {
    n_drawn: u64,
    n_open: usize,
    n_unproven: usize,
    idle: BTreeMap<IdleKey, Idle>,
    half_sent_bytes: usize,
    half_sent: HashMap<u64, HalfSent>,
}

#[derive(Debug)]
struct Idle {
    since_ms: u64,
    leave: Arc<Notify>,
}

#[derive(Debug)]
struct HalfSent {
    n_bytes: usize,
    proven: Proven,
    leave: Arc<Notify>,
}

/// A connection was let in.
#[derive(Debug)]
pub struct Admitted {
    pub seat: Seat,
    /// Connections that were told to leave for it.
    pub n_evicted: u64,
}

// === impl Admission ===

impl Admission {
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Admission {
            bounds,
            seats: Mutex::default(),
        })
    }

    /// A seat for a connection that opened at `now_ms`, at the cost of the one that idled longest
    /// when there is none left. None when all others are busy.
    pub fn admit(self: &Arc<Self>, now_ms: u64) -> Option<Admitted> {
        let mut seats = self.lock();
        let mut n_evicted = 0;
        if seats.n_unproven >= self.bounds.unproven_max {
            n_evicted += u64::from(seats.evict_unproven());
        }
        if seats.n_open >= self.bounds.connections_max {
            n_evicted += u64::from(seats.evict_any(now_ms));
        }
        let full = seats.n_unproven >= self.bounds.unproven_max
            || seats.n_open >= self.bounds.connections_max;
        if full {
            return None;
        }
        seats.n_open += 1;
        seats.n_unproven += 1;
        let leave = Arc::new(Notify::new());
        let key = seats.join_idle(Proven::NotYet, now_ms, &leave);
        let seat = Seat {
            admission: Arc::clone(self),
            id: key.1,
            leave,
            proven: Proven::NotYet,
            idle: Some(key),
        };
        Some(Admitted { seat, n_evicted })
    }

    /// Tells the connection that idled longest to leave, when the system itself has no room left.
    /// False when none is idle.
    pub fn make_room(&self, now_ms: u64) -> bool {
        self.lock().evict_any(now_ms)
    }

    /// Connections that hold a seat.
    pub fn n_open(&self) -> usize {
        self.lock().n_open
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seats ===

impl Seats {
    fn join_idle(&mut self, proven: Proven, since_ms: u64, leave: &Arc<Notify>) -> IdleKey {
        let key = (proven, self.n_drawn);
        self.n_drawn += 1;
        let leave = Arc::clone(leave);
        self.idle.insert(key, Idle { since_ms, leave });
        key
    }

    /// The oldest of those without a good call goes.
    fn evict_unproven(&mut self) -> bool {
        let first = self.idle.first_key_value().map(|(key, _)| *key);
        first.is_some_and(|key| key.0 == Proven::NotYet && self.evict(key))
    }

    /// The oldest of those without a good call goes, unless it is so new that its first call may
    /// still be on its way: many clients that come at once must not displace each other. Then the
    /// client that idled longest goes.
    fn evict_any(&mut self, now_ms: u64) -> bool {
        let Some((&first, idle)) = self.idle.first_key_value() else {
            return false;
        };
        let is_new = now_ms.saturating_sub(idle.since_ms) < NEWCOMER_MS;
        let client = self.idle.range((Proven::Yes, 0)..).next();
        match client {
            Some((&client, _)) if is_new => self.evict(client),
            _ => self.evict(first),
        }
    }

    /// Tells an idle connection to leave and counts it as gone at once, so that none leaves twice.
    fn evict(&mut self, key: IdleKey) -> bool {
        let Some(idle) = self.idle.remove(&key) else {
            return false;
        };
        self.leave(key.0);
        idle.leave.notify_one();
        true
    }

    fn leave(&mut self, proven: Proven) {
        self.n_open = self.n_open.saturating_sub(1);
        if proven == Proven::NotYet {
            self.n_unproven = self.n_unproven.saturating_sub(1);
        }
    }

    fn forget_half_sent(&mut self, id: u64) {
        if let Some(gone) = self.half_sent.remove(&id) {
            self.half_sent_bytes = self.half_sent_bytes.saturating_sub(gone.n_bytes);
        }
    }

    fn evict_largest_half_sent(&mut self) {
        let rank = |half_sent: &HalfSent| (half_sent.proven == Proven::NotYet, half_sent.n_bytes);
        let largest = self.half_sent.iter().max_by_key(|(_, one)| rank(one));
        let Some((&id, half_sent)) = largest else {
            return;
        };
        half_sent.leave.notify_one();
        self.forget_half_sent(id);
    }
}

// === impl Seat ===

impl Seat {
    /// Done when the connection has to go.
    pub async fn evicted(&self) {
        self.leave.notified().await;
    }

    /// Fires when the connection has to go: for a holder that also changes the seat.
    pub fn leave_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.leave)
    }

    /// The first bytes of a request arrived, `n_bytes` of it so far. One that never completed a
    /// good call can still be told to leave, others no longer. False when it was told so before.
    #[must_use]
    pub fn receiving(&mut self, n_bytes: usize) -> bool {
        if self.proven == Proven::Yes && !self.busy() {
            return false;
        }
        let admission = Arc::clone(&self.admission);
        let mut seats = admission.lock();
        seats.forget_half_sent(self.id);
        seats.half_sent_bytes += n_bytes;
        let half_sent = HalfSent {
            n_bytes,
            proven: self.proven,
            leave: Arc::clone(&self.leave),
        };
        seats.half_sent.insert(self.id, half_sent);
        if seats.half_sent_bytes > admission.bounds.half_sent_bytes_max {
            seats.evict_largest_half_sent();
        }
        true
    }

    /// A whole request is here and runs. False when the connection was told to leave before.
    #[must_use]
    pub fn busy(&mut self) -> bool {
        let mut seats = self.admission.lock();
        seats.forget_half_sent(self.id);
        match self.idle.take() {
            Some(key) => {
                let stays = seats.idle.remove(&key).is_some();
                if !stays {
                    self.idle = Some(key);
                }
                stays
            }
            None => true,
        }
    }

    /// The request was answered well: from now on this connection makes room after all others.
    pub fn prove(&mut self) {
        if self.proven == Proven::NotYet && self.idle.is_none() {
            self.proven = Proven::Yes;
            let mut seats = self.admission.lock();
            seats.n_unproven = seats.n_unproven.saturating_sub(1);
        }
    }

    /// Nothing to do from `now_ms` until the next request.
    pub fn idle(&mut self, now_ms: u64) {
        if self.idle.is_none() {
            let mut seats = self.admission.lock();
            self.idle = Some(seats.join_idle(self.proven, now_ms, &self.leave));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.admission.lock();
        seats.forget_half_sent(self.id);
        // Who was evicted is counted as gone already.
        let counted = match self.idle {
            Some(key) => seats.idle.remove(&key).is_some(),
            None => true,
        };
        if counted {
            seats.leave(self.proven);
        }
    }
}

/// How long a connection without a good call is taken for one whose first call is on its way.
const NEWCOMER_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        connections_max: 4,
        unproven_max: 2,
        half_sent_bytes_max: 100,
    };

    fn admit(admission: &Arc<Admission>) -> Seat {
        admission.admit(0).expect("there is room").seat
    }

    fn client(admission: &Arc<Admission>) -> Seat {
        let mut seat = admit(admission);
        assert!(seat.busy());
        seat.prove();
        seat.idle(0);
        seat
    }

    /// Whether the seat was told to leave, without waiting.
    fn told(seat: &Seat) -> bool {
        let mut evicted = std::pin::pin!(seat.evicted());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        evicted.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn the_oldest_without_a_good_call_makes_room_first() {
        let admission = Admission::new(BOUNDS);
        let client = client(&admission);
        let idlers: Vec<_> = (0..5).map(|_| admit(&admission)).collect();
        let gone: Vec<_> = idlers.iter().map(told).collect();
        assert_eq!(gone, [true, true, true, false, false]);
        assert!(!told(&client));
        assert_eq!(admission.n_open(), 3);
        drop(idlers);
        assert_eq!(admission.n_open(), 1);
    }

    #[test]
    fn a_full_server_closes_the_client_that_idled_longest() {
        let admission = Admission::new(BOUNDS);
        let mut clients: Vec<_> = (0..4).map(|_| client(&admission)).collect();
        assert!(clients[0].busy());
        clients[0].idle(0);
        let newcomer = admission.admit(0).expect("the oldest goes");
        assert_eq!(newcomer.n_evicted, 1);
        let gone: Vec<_> = clients.iter().map(told).collect();
        assert_eq!(gone, [false, true, false, false]);
        assert!(!clients[1].busy(), "too late for another request");
    }

    #[test]
    fn newcomers_do_not_displace_each_other_before_their_first_call() {
        let admission = Admission::new(BOUNDS);
        let clients: Vec<_> = (0..4).map(|_| client(&admission)).collect();
        let newcomers: Vec<_> = (0..2).map(|_| admit(&admission)).collect();
        assert!(!newcomers.iter().any(told));
        let gone: Vec<_> = clients.iter().map(told).collect();
        assert_eq!(gone, [true, true, false, false]);
        assert!(admission.make_room(NEWCOMER_MS));
        assert!(told(&newcomers[0]));
    }

    #[test]
    fn nobody_goes_for_a_newcomer_while_all_are_busy() {
        let admission = Admission::new(BOUNDS);
        let mut clients: Vec<_> = (0..4).map(|_| client(&admission)).collect();
        assert!(clients.iter_mut().all(Seat::busy));
        assert!(admission.admit(0).is_none());
        assert!(!admission.make_room(0));
        clients.pop();
        assert!(admission.admit(0).is_some());
    }

    #[test]
    fn half_sent_bytes_have_one_bound_and_the_largest_without_a_good_call_goes() {
        let admission = Admission::new(BOUNDS);
        let mut client = client(&admission);
        assert!(client.receiving(70));
        let mut stranger = admit(&admission);
        assert!(stranger.receiving(30));
        assert!(!told(&client) && !told(&stranger));
        assert!(stranger.receiving(31));
        assert!(!told(&client));
        assert!(told(&stranger));
        drop(stranger);
        assert_eq!(admission.lock().half_sent_bytes, 70);
        assert!(client.busy());
        assert_eq!(admission.lock().half_sent_bytes, 0);
    }
}
