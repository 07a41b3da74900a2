//! Amounts of resources in dense form, for the inner loop of a search: the names that users gave
//! are numbered once for a round.

use crate::scheduler::java_order;
use crate::scheduler::resources::{self, Capacity, Resources};

/// The names of the resources that users named, in a round; an amount stands at its name's place.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<String>);

/// What is there to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    pub cpu: f64,
    pub memory_mb: f64,
    pub others: Vec<f64>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    pub cpu: f64,
    pub onheap_mb: f64,
    pub offheap_mb: f64,
    pub others: Vec<f64>,
}

/// How much of everything something has, in percent: what nodes are ranked by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub average: f64,
    pub least: f64,
}

// === impl Names ===

impl Names {
    /// Numbers these names.
    pub fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut names: Vec<String> = names.cloned().collect();
        names.sort_unstable();
        names.dedup();
        Names(names)
    }

    pub fn ask(&self, resources: &Resources) -> Ask {
        let amount = |name| resources.generic.get(name).copied().unwrap_or(0.0);
        Ask {
            cpu: resources.cpu,
            onheap_mb: resources.onheap_mb,
            offheap_mb: resources.offheap_mb,
            others: self.0.iter().map(amount).collect(),
        }
    }

    pub fn offer(&self, capacity: &Capacity) -> Offer {
        let amount = |name| capacity.generic.get(name).copied().unwrap_or(0.0);
        Offer {
            cpu: capacity.cpu,
            memory_mb: capacity.memory_mb,
            others: self.0.iter().map(amount).collect(),
        }
    }

    pub fn nothing(&self) -> Offer {
        Offer {
            others: vec![0.0; self.0.len()],
            ..Offer::default()
        }
    }

    pub fn no_ask(&self) -> Ask {
        Ask {
            others: vec![0.0; self.0.len()],
            ..Ask::default()
        }
    }

    /// Processor and what users named, as Storm shows them in its texts.
    pub fn shown(&self, offer: &Offer) -> String {
        let mut entries: Vec<(&str, f64)> = vec![(resources::CPU, offer.cpu)];
        let others = self.0.iter().map(String::as_str);
        entries.extend(others.zip(offer.others.iter().copied()));
        let n_buckets = java_order::grown(entries.len());
        java_order::arrange(&mut entries, n_buckets, |(name, _)| {
            java_order::text_hash(name)
        });
        let entries = entries.into_iter().map(|(name, amount)| {
            let amount = crate::conf::convert::java_double(amount);
            format!("{name}={amount}")
        });
        let entries: Vec<String> = entries.collect();
        format!("Normalized resources: {{{}}}", entries.join(", "))
    }
}

// === impl Offer ===

impl Offer {
    pub fn add(&mut self, other: &Offer) {
        self.cpu += other.cpu;
        self.memory_mb += other.memory_mb;
        for (mine, other) in self.others.iter_mut().zip(&other.others) {
            *mine += other;
        }
    }

    pub fn give_back(&mut self, ask: &Ask) {
        self.cpu += ask.cpu;
        self.memory_mb += ask.memory_mb();
        for (mine, asked) in self.others.iter_mut().zip(&ask.others) {
            *mine += asked;
        }
    }

    /// Takes what is asked, and nothing below zero; says whether all of it was there.
    pub fn take(&mut self, ask: &Ask) -> bool {
        let mut is_enough = true;
        let mut less = |mine: &mut f64, asked: f64| {
            *mine -= asked;
            if *mine < 0.0 {
                is_enough = false;
                *mine = 0.0;
            }
        };
        less(&mut self.cpu, ask.cpu);
        less(&mut self.memory_mb, ask.memory_mb());
        for (mine, asked) in self.others.iter_mut().zip(&ask.others) {
            less(mine, *asked);
        }
        is_enough
    }

    /// Whether one executor could find room, but for shared memory; a worker's least processor
    /// counts as taken already.
    pub fn could_fit(&self, ask: &Ask, cpu_min: f64) -> bool {
        let cpu = if cpu_min < NO_CPU {
            ask.cpu
        } else {
            (ask.cpu - cpu_min).max(0.0)
        };
        let others = || self.others.iter().zip(&ask.others);
        cpu <= self.cpu
            && ask.memory_mb() <= self.memory_mb
            && others().all(|(mine, asked)| asked <= mine)
    }

    pub fn has_others(&self) -> bool {
        self.others.iter().any(|amount| *amount > 0.0)
    }

    pub fn has_any(&self) -> bool {
        self.memory_mb > 0.0 || self.cpu > 0.0 || self.has_others()
    }

    /// How much of this `part` has. What is rare and not in `wanted` counts against it.
    pub fn share_of(&self, part: &Offer, wanted: Option<&Ask>) -> Share {
        let mut sum = 0.0;
        let mut least: f64 = 1.0;
        let mut n_kinds = 0u32;
        let mut count = |whole: f64, part: f64| {
            if whole != 0.0 {
                sum += part / whole;
                least = least.min(part / whole);
                n_kinds += 1;
            }
        };
        count(self.memory_mb, part.memory_mb);
        count(self.cpu, part.cpu);
        for (at, (whole, part)) in self.others.iter().zip(&part.others).enumerate() {
            let is_unwanted = wanted.is_some_and(|ask| ask.others[at] == 0.0);
            count(*whole, if is_unwanted { -part } else { *part });
        }
        Share {
            average: if n_kinds == 0 {
                100.0
            } else {
                sum * 100.0 / f64::from(n_kinds)
            },
            least: least * 100.0,
        }
    }
}

// === impl Ask ===

impl Ask {
    pub fn memory_mb(&self) -> f64 {
        self.onheap_mb + self.offheap_mb
    }

    /// Adds what `n` like `other` ask for.
    pub fn add(&mut self, other: &Ask, n: f64) {
        self.cpu += other.cpu * n;
        self.onheap_mb += other.onheap_mb * n;
        self.offheap_mb += other.offheap_mb * n;
        for (mine, other) in self.others.iter_mut().zip(&other.others) {
            *mine += other * n;
        }
    }

    /// The same as something to take from.
    pub fn as_offer(&self) -> Offer {
        Offer {
            cpu: self.cpu,
            memory_mb: self.memory_mb(),
            others: self.others.clone(),
        }
    }
}

/// A least processor below this is none.
const NO_CPU: f64 = 0.001;
