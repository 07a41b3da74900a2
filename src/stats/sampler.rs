//! Which calls are looked at closer: one of each run of n, at a random place (data-plane 11.1).

/// Picks one of each run of `period` calls.
#[derive(Clone, Debug)]
pub struct Sampler {
    period: u64,
    /// The call of the run that is picked, or was picked last.
    target: u64,
    /// Calls before the next picked one.
    n_before: u64,
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
            target,
            n_before: target,
            random,
        }
    }

    /// What a picked call stands for.
    #[inline]
    pub fn weight(&self) -> u64 {
        self.period
    }

    /// Makes one call.
    #[inline(always)]
    pub fn is_hit(&mut self) -> bool {
        match self.n_before.checked_sub(1) {
            Some(n_before) => {
                self.n_before = n_before;
                false
            }
            None => {
                self.pick();
                true
            }
        }
    }

    /// This call is picked: chooses one of the next run.
    #[cold]
    fn pick(&mut self) {
        let n_left = self.period - 1 - self.target;
        self.target = self.random.u64(..self.period);
        self.n_before = n_left + self.target;
    }
}
