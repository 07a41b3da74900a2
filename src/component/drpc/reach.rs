//! The bolts of storm-starter's `ReachTopology`: how many different people the followers of those
//! who named a page are. The classic of linear DRPC topologies; its two last bolts are batches.

use std::collections::{HashMap, HashSet};

use super::RequestKey;
use super::coordinated::BatchBolt;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::{Tuple, ValueRef};
use crate::values;

/// `GetTweeters` and `GetFollowers`: (request, key) in, (request, each of the key's entries) out.
pub struct LookUpBolt {
    table: &'static [(&'static str, &'static [&'static str])],
}

/// `PartialUniquer`: (request, value) in, (request, how many different values: int) at the end.
#[derive(Default)]
pub struct PartialUniquer {
    values: HashMap<RequestKey, HashSet<String>>,
}

/// `CountAggregator`: (request, number) in, (request, sum: int) at the end.
#[derive(Default)]
pub struct CountAggregator {
    sums: HashMap<RequestKey, i32>,
}

// === impl LookUpBolt ===

impl LookUpBolt {
    pub fn tweeters() -> Self {
        LookUpBolt { table: TWEETERS }
    }

    pub fn followers() -> Self {
        LookUpBolt { table: FOLLOWERS }
    }
}

impl Bolt for LookUpBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let (request, key) = (tuple.value(0)?, tuple.str(1)?);
        let entries = self.table.iter().find(|(name, _)| *name == key);
        for entry in entries.into_iter().flat_map(|(_, entries)| *entries) {
            out.emit(tuple, values![request, *entry])?;
        }
        out.ack(tuple);
        Ok(())
    }
}

// === impl PartialUniquer ===

impl Bolt for PartialUniquer {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let key = RequestKey::from(tuple.value(0)?);
        let value = tuple.str(1)?.to_owned();
        self.values.entry(key).or_default().insert(value);
        out.ack(tuple);
        Ok(())
    }
}

impl BatchBolt for PartialUniquer {
    fn finish(
        &mut self,
        request: ValueRef<'_>,
        last: &Tuple<'_>,
        out: &mut Collector<'_>,
    ) -> Result<()> {
        let values = self.values.remove(&RequestKey::from(request));
        let n_values = values.map_or(0, |values| values.len());
        let n_values = i32::try_from(n_values).unwrap_or(i32::MAX);
        out.emit(last, values![request, n_values])
    }

    fn abandon(&mut self, request: &RequestKey) {
        self.values.remove(request);
    }
}

// === impl CountAggregator ===

impl Bolt for CountAggregator {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let number = tuple.int(1)?;
        let sum = self
            .sums
            .entry(RequestKey::from(tuple.value(0)?))
            .or_default();
        *sum = sum.wrapping_add(number);
        out.ack(tuple);
        Ok(())
    }
}

impl BatchBolt for CountAggregator {
    fn finish(
        &mut self,
        request: ValueRef<'_>,
        last: &Tuple<'_>,
        out: &mut Collector<'_>,
    ) -> Result<()> {
        let sum = self.sums.remove(&RequestKey::from(request)).unwrap_or(0);
        out.emit(last, values![request, sum])
    }

    fn abandon(&mut self, request: &RequestKey) {
        self.sums.remove(request);
    }
}

const TWEETERS: &[(&str, &[&str])] = &[
    (
        "foo.com/blog/1",
        &["sally", "bob", "tim", "george", "nathan"],
    ),
    (
        "engineering.twitter.com/blog/5",
        &["adam", "david", "sally", "nathan"],
    ),
    ("tech.backtype.com/blog/123", &["tim", "mike", "john"]),
];

const FOLLOWERS: &[(&str, &[&str])] = &[
    (
        "sally",
        &["bob", "tim", "alice", "adam", "jim", "chris", "jai"],
    ),
    (
        "bob",
        &["sally", "nathan", "jim", "mary", "david", "vivian"],
    ),
    ("tim", &["alex"]),
    (
        "nathan",
        &[
            "sally", "bob", "adam", "harry", "chris", "vivian", "emily", "jordan",
        ],
    ),
    ("adam", &["david", "carissa"]),
    ("mike", &["john", "bob"]),
    ("john", &["alice", "nathan", "jim", "mike", "bob"]),
];
