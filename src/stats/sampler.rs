//! Which calls are looked at closer: one of each run of n, at a random place (data-plane 11.1).

/// Picks one of each run of `period` calls.
#[derive(Clone, Debug)]
pub struct Sampler {
    period: u64,
    /// Calls of this run that were made.
    position: u64,
    /// The call of this run that is picked.
    target: u64,
    random: fastrand::Rng,
}

// === impl Sampler ===

impl Sampler {
    /// `rate` is `topology.stats.sample.rate`; above 1/2 every call is picked. Takes a generator of
    /// its own from `random`.
    pub fn new(rate: f64, random: &mut fastrand::Rng) -> Self {
        // As Storm does, a rate of 0 picks one call in some two thousand million.
        let period = (1.0 / rate).clamp(1.0, f64::from(i32::MAX));
        let period = if period.is_nan() { 1 } else { period as u64 };
        let mut random = random.fork();
        let target = random.u64(..period);
        Sampler {
            period,
            position: 0,
            target,
            random,
        }
    }

    /// What a picked call stands for.
    #[inline]
    pub fn weight(&self) -> u64 {
        self.period
    }

    /// Makes one call.
    #[inline]
    pub fn is_hit(&mut self) -> bool {
        let is_hit = self.position == self.target;
        self.position += 1;
        if self.position == self.period {
            self.start_run();
        }
        is_hit
    }

    /// Makes `n_calls` at once and tells how many of them are picked.
    pub fn hits(&mut self, mut n_calls: u64) -> u64 {
        let mut n_hits = 0;
        let rest = self.period - self.position;
        if n_calls >= rest {
            n_hits += u64::from(self.position <= self.target);
            n_calls -= rest;
            n_hits += n_calls / self.period;
            n_calls %= self.period;
            self.start_run();
        }
        let end = self.position + n_calls;
        n_hits += u64::from((self.position..end).contains(&self.target));
        self.position = end;
        n_hits
    }

    /// Calls before the next picked one: those need not be made one by one.
    #[inline]
    pub fn n_before_hit(&self) -> Option<u64> {
        self.target.checked_sub(self.position)
    }

    fn start_run(&mut self) {
        self.position = 0;
        self.target = if self.period == 1 {
            0
        } else {
            self.random.u64(..self.period)
        };
    }
}
