//! Seeded faults: one number decides when what is struck, and is enough to repeat a run.
//!
//! Only draws the schedule and counts what was done; how a fault is carried out on a cluster of
//! processes is `testing::cluster`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// What can be done to a cluster (reliability catalogue, group A).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// SIGKILL to one worker process.
    KillWorker,
    /// SIGKILL to every worker of the topology at once.
    KillAllWorkers,
    /// SIGKILL to the worker that hosts the acker.
    KillAckerWorker,
    /// SIGKILL to one shell component's child.
    KillShellChild,
    /// SIGKILL to a supervisor, started again after a while; its workers stay.
    KillSupervisor,
    /// SIGKILL to a supervisor and all its workers, the supervisor started again.
    KillNode,
    /// SIGKILL to Nimbus, started again after a while.
    KillNimbus,
}

/// One fault at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Milliseconds after the one before.
    pub after_ms: u64,
    pub fault: Fault,
    /// Draws the victim: the n-th of those that are there, modulo their number.
    pub pick: u64,
    /// How long a daemon stays down, in milliseconds.
    pub down_ms: u64,
}

/// A run's faults and what came of them.
pub struct Nemesis {
    seed: u64,
    strikes: Vec<Strike>,
    done: BTreeMap<Fault, usize>,
}

/// How often and how far apart.
#[derive(Clone, Debug)]
pub struct Plan {
    pub n_strikes: usize,
    pub faults: Vec<Fault>,
    /// Milliseconds between two strikes.
    pub pause_ms: Range<u64>,
    /// Milliseconds that a killed daemon stays away.
    pub down_ms: Range<u64>,
}

// === impl Nemesis ===

impl Nemesis {
    /// The same seed and plan always give the same strikes. `STORMWIRE_SEED` in the environment
    /// overrides the seed, to repeat what a report printed.
    pub fn new(seed: u64, plan: &Plan) -> Self {
        let given = std::env::var("STORMWIRE_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = given.unwrap_or(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let strike = |index: usize| Strike {
            after_ms: rng.u64(plan.pause_ms.clone()),
            // Each kind in turn, so that a short run misses none.
            fault: plan.faults[index % plan.faults.len()],
            pick: rng.u64(..),
            down_ms: rng.u64(plan.down_ms.clone()),
        };
        let strikes = (0..plan.n_strikes).map(strike).collect();
        Nemesis {
            seed,
            strikes,
            done: BTreeMap::new(),
        }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// The fault was carried out (a fault that finds no victim is not counted).
    pub fn record(&mut self, fault: Fault) {
        *self.done.entry(fault).or_default() += 1;
    }

    pub fn n_done(&self) -> usize {
        self.done.values().sum()
    }
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, faults {}", self.seed, self.n_done())?;
        for (fault, count) in &self.done {
            write!(f, ", {fault:?} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_a_run_and_every_kind_occurs() {
        let plan = Plan {
            n_strikes: 9,
            faults: vec![Fault::KillWorker, Fault::KillNimbus, Fault::KillShellChild],
            pause_ms: 100..200,
            down_ms: 0..10,
        };
        let first = Nemesis::new(7, &plan);
        assert_eq!(first.strikes(), Nemesis::new(7, &plan).strikes());
        assert_ne!(first.strikes(), Nemesis::new(8, &plan).strikes());
        for fault in &plan.faults {
            assert_eq!(
                first
                    .strikes()
                    .iter()
                    .filter(|strike| strike.fault == *fault)
                    .count(),
                3
            );
        }
        assert!(
            first
                .strikes()
                .iter()
                .all(|strike| (100..200).contains(&strike.after_ms))
        );
    }
}
