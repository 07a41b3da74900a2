//! What stands between workers: passes their bytes on, or does harm to them on the way.
//!
//! Each slot has a front, where the others look for its worker. A harm is done to all connections to
//! a worker, in the directions it names; forgetting is done to those that are open.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stormwire::testing::cluster::Door;

/// All ways between the workers of a cluster. Dropping it closes them.
#[derive(Default)]
pub struct Links {
    fronts: Vec<Arc<Front>>,
}

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Harm {
    #[default]
    None,
    /// None passes to the worker, none from it, or neither; all that was sent comes later.
    Hold { to: bool, from: bool },
    /// So many bytes a second pass to the worker.
    Slow(u64),
    /// One byte of so many to the worker is another.
    Flip(u64),
    /// Each connection ends after so many bytes to the worker, each one later than the one before.
    Cut(u64),
}

/// The way to one worker.
pub struct Front {
    pub door: Door,
    harm: Mutex<Harm>,
    /// Connections before this one are silent for ever, and stay open.
    n_forgotten: AtomicU64,
    /// Those before this one end.
    n_severed: AtomicU64,
    n_connections: AtomicU64,
    n_flipped: AtomicU64,
    n_cut: AtomicU64,
    /// Bytes to the worker, over all connections.
    n_bytes: AtomicU64,
    /// What the first connection began with.
    recorded: Mutex<Vec<u8>>,
    is_closed: AtomicBool,
}

/// One direction of one connection.
struct Pipe {
    front: Arc<Front>,
    /// Of the connection.
    number: u64,
    is_to_worker: bool,
    from: TcpStream,
    to: TcpStream,
}

// === impl Links ===

impl Links {
    pub fn open(doors: &[Door]) -> Self {
        let open = |door: &Door| {
            let front = Arc::new(Front {
                door: *door,
                harm: Mutex::default(),
                n_forgotten: AtomicU64::new(0),
                n_severed: AtomicU64::new(0),
                n_connections: AtomicU64::new(0),
                n_flipped: AtomicU64::new(0),
                n_cut: AtomicU64::new(0),
                n_bytes: AtomicU64::new(0),
                recorded: Mutex::default(),
                is_closed: AtomicBool::new(false),
            });
            let listener = TcpListener::bind(door.front).expect("the front's port is free");
            let accepting = front.clone();
            std::thread::spawn(move || accepting.accept(&listener));
            front
        };
        Links {
            fronts: doors.iter().map(open).collect(),
        }
    }

    /// From now on, to whatever passes.
    pub fn harm(&self, harm: Harm) {
        self.fronts.iter().for_each(|front| front.harm(harm));
    }

    /// All connections that are open fall silent and stay open: nobody is told that they are over.
    pub fn forget(&self) {
        for front in &self.fronts {
            let n_connections = front.n_connections.load(Ordering::SeqCst);
            front.n_forgotten.store(n_connections, Ordering::SeqCst);
        }
    }

    /// All connections that are open end.
    pub fn sever(&self) {
        for front in &self.fronts {
            let n_connections = front.n_connections.load(Ordering::SeqCst);
            front.n_severed.store(n_connections, Ordering::SeqCst);
        }
    }

    /// The fronts of workers that somebody connected to.
    pub fn used(&self) -> Vec<Arc<Front>> {
        let fronts = self.fronts.iter();
        let used = fronts.filter(|front| front.n_connections() > 0);
        used.cloned().collect()
    }

    pub fn n_connections(&self) -> u64 {
        self.fronts.iter().map(|front| front.n_connections()).sum()
    }

    pub fn n_bytes(&self) -> u64 {
        let of = |front: &Arc<Front>| front.n_bytes.load(Ordering::SeqCst);
        self.fronts.iter().map(of).sum()
    }

    pub fn n_flipped(&self) -> u64 {
        let of = |front: &Arc<Front>| front.n_flipped.load(Ordering::SeqCst);
        self.fronts.iter().map(of).sum()
    }

    pub fn n_cut(&self) -> u64 {
        let of = |front: &Arc<Front>| front.n_cut.load(Ordering::SeqCst);
        self.fronts.iter().map(of).sum()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for front in &self.fronts {
            front.is_closed.store(true, Ordering::SeqCst);
            // Ends the wait for the next connection.
            let _ = TcpStream::connect(front.door.front);
        }
    }
}

// === impl Front ===

impl Front {
    pub fn harm(&self, harm: Harm) {
        *self.harm.lock().unwrap_or_else(PoisonError::into_inner) = harm;
    }

    pub fn n_connections(&self) -> u64 {
        self.n_connections.load(Ordering::SeqCst)
    }

    /// What the first connection to the worker began with.
    pub fn recorded(&self) -> Vec<u8> {
        let recorded = self.recorded.lock();
        recorded.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Harm {
        *self.harm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((outer, _)) = listener.accept() {
            if self.is_closed() {
                return;
            }
            let Ok(inner) = TcpStream::connect(self.door.behind) else {
                // Nobody there: closed, which is as much as a relay can say.
                continue;
            };
            let number = self.n_connections.fetch_add(1, Ordering::SeqCst);
            let pipe = |from: &TcpStream, to: &TcpStream, is_to_worker| Pipe {
                front: self.clone(),
                number,
                is_to_worker,
                from: from.try_clone().expect("a descriptor"),
                to: to.try_clone().expect("a descriptor"),
            };
            for pipe in [pipe(&outer, &inner, true), pipe(&inner, &outer, false)] {
                std::thread::spawn(move || pipe.run());
            }
        }
    }
}

// === impl Pipe ===

impl Pipe {
    fn run(mut self) {
        let patience = self.from.set_read_timeout(Some(PAUSE));
        patience.expect("a socket takes a time-out");
        let whole = self.pass();
        if whole {
            let _ = self.to.shutdown(Shutdown::Write);
        } else {
            let _ = self.to.shutdown(Shutdown::Both);
            let _ = self.from.shutdown(Shutdown::Both);
        }
    }

    /// True when the bytes ended by themselves.
    fn pass(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let mut n_passed = 0;
        let last = match self.front.now() {
            Harm::Cut(step) if self.is_to_worker => {
                Some(self.front.n_cut.fetch_add(1, Ordering::SeqCst) * step)
            }
            _ => None,
        };
        loop {
            if self.is_over() {
                return false;
            }
            let harm = self.front.now();
            if self.is_still(harm) {
                std::thread::sleep(PAUSE);
                continue;
            }
            let most = match harm {
                Harm::Slow(rate) => (rate / 20).clamp(1, buffer.len() as u64) as usize,
                _ => buffer.len(),
            };
            let n_read = match self.from.read(&mut buffer[..most]) {
                Ok(0) => return true,
                Ok(n_read) => n_read,
                Err(error) if is_timeout(&error) => continue,
                Err(_) => return false,
            };
            let bytes = &mut buffer[..n_read];
            if self.is_to_worker {
                self.meddle(bytes, harm);
            }
            // What was read before the harm began does not pass either.
            while self.is_still(self.front.now()) {
                if self.is_over() {
                    return false;
                }
                std::thread::sleep(PAUSE);
            }
            let left = last.map_or(usize::MAX, |last| last.saturating_sub(n_passed) as usize);
            let passing = &bytes[..n_read.min(left)];
            if self.to.write_all(passing).is_err() || passing.len() < n_read {
                return false;
            }
            n_passed += n_read as u64;
        }
    }

    fn is_over(&self) -> bool {
        self.front.is_closed() || self.number < self.front.n_severed.load(Ordering::SeqCst)
    }

    fn is_still(&self, harm: Harm) -> bool {
        let is_held = match harm {
            Harm::Hold { to, from } => match self.is_to_worker {
                true => to,
                false => from,
            },
            _ => false,
        };
        is_held || self.number < self.front.n_forgotten.load(Ordering::SeqCst)
    }

    fn meddle(&self, bytes: &mut [u8], harm: Harm) {
        let front = &self.front;
        let n_bytes = bytes.len() as u64;
        let before = front.n_bytes.fetch_add(n_bytes, Ordering::SeqCst);
        match harm {
            Harm::Slow(_) => std::thread::sleep(Duration::from_millis(50)),
            Harm::Flip(every) => {
                let next = before.next_multiple_of(every);
                if next < before + n_bytes {
                    bytes[(next - before) as usize] ^= 0x10;
                    front.n_flipped.fetch_add(1, Ordering::SeqCst);
                }
            }
            _ => {}
        }
        if self.number == 0 {
            let mut recorded = front
                .recorded
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let n_free = RECORDED_BYTES_MAX.saturating_sub(recorded.len());
            recorded.extend_from_slice(&bytes[..bytes.len().min(n_free)]);
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// How soon a change of the harm is noticed.
const PAUSE: Duration = Duration::from_millis(10);

const RECORDED_BYTES_MAX: usize = 32 << 10;
