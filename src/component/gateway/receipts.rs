//! Which tuples a bolt's peer has and has not answered: serials of one task, in their order.
//!
//! Pure. Serials grow by one and never come back, so that an answer is known to be new, repeated,
//! too late or made up. The tuples themselves lie with the executor (`bolt`).

use std::collections::VecDeque;

/// The open tuples of one task.
#[derive(Debug)]
pub struct Receipts {
    /// The serial of the first of `is_open`: all before it are settled.
    base: u64,
    is_open: VecDeque<bool>,
    n_open: usize,
    /// Serials below it are nobody's concern any more: their time is over, or their peer is gone.
    void_below: u64,
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswerable {
    /// Answered already.
    Settled,
    /// Never given out.
    Unknown,
}

/// What a serial stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// Nobody waits for it any more: an answer is passed over.
    Void,
}

// === impl Receipts ===

impl Receipts {
    /// Serials begin at `first`; those before it are of another life of the task.
    pub fn new(first: u64) -> Self {
        Receipts {
            base: first,
            is_open: VecDeque::new(),
            n_open: 0,
            void_below: first,
        }
    }

    /// The peer was given the next `n` tuples; gives the serial of the first.
    pub fn give(&mut self, n: usize) -> u64 {
        let first = self.next();
        self.is_open.extend(std::iter::repeat_n(true, n));
        self.n_open += n;
        first
    }

    /// What the next tuple will be called.
    pub fn next(&self) -> u64 {
        self.base + self.is_open.len() as u64
    }

    pub fn n_open(&self) -> usize {
        self.n_open
    }

    /// For anchors and before an answer.
    pub fn standing(&self, serial: u64) -> Result<Standing, Unanswerable> {
        if serial >= self.next() {
            return Err(Unanswerable::Unknown);
        }
        if serial < self.void_below {
            return Ok(Standing::Void);
        }
        match self.place(serial).and_then(|place| self.is_open.get(place)) {
            Some(true) => Ok(Standing::Open),
            _ => Err(Unanswerable::Settled),
        }
    }

    /// The peer answered.
    pub fn settle(&mut self, serial: u64) -> Result<Standing, Unanswerable> {
        let standing = self.standing(serial)?;
        if standing == Standing::Open
            && let Some(is_open) = self.place(serial).and_then(|at| self.is_open.get_mut(at))
        {
            *is_open = false;
            self.n_open -= 1;
        }
        Ok(standing)
    }

    /// Takes a `settle` back, of a call that turned out to be wrong. Before the next `trim`.
    pub fn reopen(&mut self, serial: u64) {
        if let Some(is_open) = self.place(serial).and_then(|at| self.is_open.get_mut(at))
            && !*is_open
        {
            *is_open = true;
            self.n_open += 1;
        }
    }

    /// Forgets what is settled at the front.
    pub fn trim(&mut self) {
        while self.is_open.front() == Some(&false) {
            self.is_open.pop_front();
            self.base += 1;
        }
    }

    /// Nobody waits any more for what was given out before `serial`. Gives how many were open.
    pub fn void(&mut self, serial: u64) -> usize {
        let serial = serial.min(self.next());
        self.void_below = self.void_below.max(serial);
        let n_open_before = self.n_open;
        while self.base < serial
            && let Some(is_open) = self.is_open.pop_front()
        {
            self.base += 1;
            self.n_open -= usize::from(is_open);
        }
        n_open_before - self.n_open
    }

    fn place(&self, serial: u64) -> Option<usize> {
        usize::try_from(serial.checked_sub(self.base)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_tuple_is_answered_once() {
        let mut receipts = Receipts::new(1);
        assert_eq!(receipts.give(3), 1);
        assert_eq!(receipts.settle(2), Ok(Standing::Open));
        assert_eq!(receipts.settle(2), Err(Unanswerable::Settled));
        assert_eq!(receipts.settle(4), Err(Unanswerable::Unknown));
        receipts.trim();
        assert_eq!(receipts.settle(1), Ok(Standing::Open));
        receipts.trim();
        assert_eq!(receipts.settle(1), Err(Unanswerable::Settled));
        assert_eq!((receipts.n_open(), receipts.give(1)), (1, 4));
    }

    #[test]
    fn what_is_void_may_be_answered_and_nothing_happens() {
        let mut receipts = Receipts::new(1);
        receipts.give(4);
        receipts.settle(1).unwrap();
        assert_eq!(receipts.void(4), 2);
        for serial in 1..4 {
            assert_eq!(receipts.settle(serial), Ok(Standing::Void));
        }
        assert_eq!(receipts.settle(4), Ok(Standing::Open));
        assert_eq!(receipts.void(100), 0, "not beyond what was given");
        assert_eq!(receipts.give(1), 5);
        assert_eq!(receipts.standing(5), Ok(Standing::Open));
    }

    #[test]
    fn a_call_that_is_refused_leaves_no_trace() {
        let mut receipts = Receipts::new(1);
        receipts.give(2);
        receipts.settle(1).unwrap();
        receipts.reopen(1);
        receipts.trim();
        assert_eq!(receipts.n_open(), 2);
        assert_eq!(receipts.settle(1), Ok(Standing::Open));
    }

    /// Against a map of serials, in random orders.
    #[test]
    fn agrees_with_a_plain_model() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut receipts = Receipts::new(1);
            let mut model: BTreeMap<u64, bool> = BTreeMap::new();
            let mut void_below = 0;
            for _ in 0..200 {
                match random.u8(0..10) {
                    0..3 => {
                        let n = random.usize(0..4);
                        let first = receipts.give(n);
                        assert_eq!(first, model.len() as u64 + 1);
                        model.extend((first..first + n as u64).map(|serial| (serial, true)));
                    }
                    3 => {
                        void_below = random.u64(0..=model.len() as u64 + 1).max(void_below);
                        receipts.void(void_below);
                    }
                    4 => receipts.trim(),
                    _ => {
                        let serial = random.u64(1..model.len() as u64 + 3);
                        let expected = match model.get_mut(&serial) {
                            None => Err(Unanswerable::Unknown),
                            Some(_) if serial < void_below => Ok(Standing::Void),
                            Some(is_open) if *is_open => {
                                *is_open = false;
                                Ok(Standing::Open)
                            }
                            Some(_) => Err(Unanswerable::Settled),
                        };
                        assert_eq!(receipts.settle(serial), expected, "seed {seed}");
                    }
                }
                let open = model
                    .iter()
                    .filter(|(at, open)| **open && **at >= void_below);
                assert_eq!(receipts.n_open(), open.count(), "seed {seed}");
            }
        }
    }
}
