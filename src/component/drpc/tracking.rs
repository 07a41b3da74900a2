//! How far a request is at one task: what arrived of it, what was announced, what went on to whom
//! (data-plane 10.1). Storm's rules of `CoordinatedBolt`, without tuples' contents or a clock.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::RequestKey;
use crate::id::TaskId;

/// The requests that a task knows. `H` is a tuple that is held until its request is complete.
pub struct Tracking<H> {
    rules: Rules,
    requests: HashMap<RequestKey, Track<H>>,
    /// In the order they began; some are over.
    ages: VecDeque<(u64, RequestKey)>,
}

/// When a request is complete.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Tasks that report how many tuples they sent here; none for the first bolt of a topology.
    pub n_reports: Option<usize>,
    /// Whether a tuple with the id must have come too.
    pub needs_id: bool,
    pub kept_ms: u64,
    pub requests_max: usize,
}

/// What a tuple means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    /// A task before this one is done with the request and sent so many tuples here.
    Report(i64),
    Id,
}

/// Where a request stands after something happened to it.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is more to come.
    Open,
    /// Everything that was sent has arrived and was acked.
    Complete,
    Failed,
    /// It failed before, or is too old.
    Unknown,
}

/// A request that is over: what was held, and how many tuples went to each task.
pub struct Over<H> {
    pub held: Vec<H>,
    pub sent: BTreeMap<TaskId, i64>,
}

struct Track<H> {
    began_ms: u64,
    has_id: bool,
    has_failed: bool,
    n_reports: usize,
    n_announced: i64,
    n_acked: i64,
    sent: BTreeMap<TaskId, i64>,
    held: Vec<H>,
}

// === impl Tracking ===

impl<H> Tracking<H> {
    pub fn new(rules: Rules) -> Self {
        Tracking {
            rules,
            requests: HashMap::new(),
            ages: VecDeque::new(),
        }
    }

    /// A tuple of the request is here.
    pub fn arrived(&mut self, key: &RequestKey, kind: Kind, now_ms: u64) {
        let needs_id = self.rules.needs_id;
        if !self.requests.contains_key(key) {
            self.ages.push_back((now_ms, key.clone()));
        }
        let track = self.requests.entry(key.clone()).or_insert_with(|| Track {
            began_ms: now_ms,
            has_id: !needs_id,
            has_failed: false,
            n_reports: 0,
            n_announced: 0,
            n_acked: 0,
            sent: BTreeMap::new(),
            held: Vec::new(),
        });
        match kind {
            Kind::Regular => {}
            Kind::Report(n_tuples) => {
                track.n_reports += 1;
                track.n_announced = track.n_announced.saturating_add(n_tuples);
            }
            Kind::Id => track.has_id = true,
        }
    }

    /// Whether a tuple of that kind is held until the request is complete: one that may be the last
    /// to come.
    pub fn holds(&self, kind: Kind) -> bool {
        match kind {
            Kind::Regular => false,
            Kind::Report(_) => !self.rules.needs_id,
            Kind::Id => true,
        }
    }

    /// Holds a tuple; gives it back when the request is not known.
    pub fn hold(&mut self, key: &RequestKey, tuple: H) -> Option<H> {
        match self.requests.get_mut(key) {
            Some(track) => {
                track.held.push(tuple);
                None
            }
            None => Some(tuple),
        }
    }

    /// The tuple that was held last.
    pub fn last_held(&self, key: &RequestKey) -> Option<&H> {
        self.requests.get(key)?.held.last()
    }

    pub fn sent(&mut self, key: &RequestKey, tasks: &[TaskId]) {
        if let Some(track) = self.requests.get_mut(key) {
            for task in tasks {
                *track.sent.entry(*task).or_default() += 1;
            }
        }
    }

    pub fn acked(&mut self, key: &RequestKey) {
        if let Some(track) = self.requests.get_mut(key) {
            track.n_acked += 1;
        }
    }

    pub fn failed(&mut self, key: &RequestKey) {
        if let Some(track) = self.requests.get_mut(key) {
            track.has_failed = true;
        }
    }

    pub fn standing(&self, key: &RequestKey) -> Standing {
        let Some(track) = self.requests.get(key) else {
            return Standing::Unknown;
        };
        if track.has_failed {
            return Standing::Failed;
        }
        let is_all_here = self.rules.n_reports.is_none_or(|n_reports| {
            track.n_reports == n_reports && track.n_announced == track.n_acked
        });
        match track.has_id && is_all_here {
            true => Standing::Complete,
            false => Standing::Open,
        }
    }

    /// Forgets a request.
    pub fn end(&mut self, key: &RequestKey) -> Option<Over<H>> {
        let track = self.requests.remove(key)?;
        Some(Over {
            held: track.held,
            sent: track.sent,
        })
    }

    /// A request that is too old, or one too many; it is forgotten.
    pub fn next_old(&mut self, now_ms: u64) -> Option<(RequestKey, Over<H>)> {
        loop {
            let (began_ms, key) = self.ages.front()?;
            let is_old = now_ms.saturating_sub(*began_ms) >= self.rules.kept_ms;
            if !is_old && self.ages.len() <= self.rules.requests_max {
                return None;
            }
            let (began_ms, key) = (*began_ms, key.clone());
            self.ages.pop_front();
            let is_same = |track: &Track<H>| track.began_ms == began_ms;
            if self.requests.get(&key).is_some_and(is_same) {
                return self.end(&key).map(|over| (key, over));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking(n_reports: Option<usize>, needs_id: bool) -> Tracking<&'static str> {
        Tracking::new(Rules {
            n_reports,
            needs_id,
            kept_ms: 100,
            requests_max: 3,
        })
    }

    const KEY: RequestKey = RequestKey::Whole(1);

    #[test]
    fn without_sources_a_request_is_complete_with_its_first_ack() {
        let mut tracking = tracking(None, false);
        tracking.arrived(&KEY, Kind::Regular, 0);
        tracking.sent(&KEY, &[TaskId(4), TaskId(5), TaskId(4)]);
        tracking.acked(&KEY);
        assert_eq!(tracking.standing(&KEY), Standing::Complete);
        let over = tracking.end(&KEY).expect("known");
        assert_eq!(over.sent, BTreeMap::from([(TaskId(4), 2), (TaskId(5), 1)]));
        assert_eq!(tracking.standing(&KEY), Standing::Unknown);
    }

    #[test]
    fn with_sources_all_reports_and_all_that_they_announce_must_be_here() {
        let mut tracking = tracking(Some(2), false);
        tracking.arrived(&KEY, Kind::Report(2), 0);
        assert!(tracking.holds(Kind::Report(2)));
        assert_eq!(tracking.hold(&KEY, "first"), None);
        tracking.arrived(&KEY, Kind::Report(0), 0);
        tracking.hold(&KEY, "second");
        for expected in [Standing::Open, Standing::Complete] {
            assert_eq!(tracking.standing(&KEY), Standing::Open);
            tracking.arrived(&KEY, Kind::Regular, 0);
            tracking.acked(&KEY);
            assert_eq!(tracking.standing(&KEY), expected);
        }
        assert_eq!(tracking.last_held(&KEY), Some(&"second"));
        assert_eq!(tracking.end(&KEY).expect("known").held, ["first", "second"]);
    }

    #[test]
    fn where_an_id_is_needed_it_is_what_is_held() {
        let mut tracking = tracking(Some(1), true);
        assert!(!tracking.holds(Kind::Report(0)) && tracking.holds(Kind::Id));
        tracking.arrived(&KEY, Kind::Report(0), 0);
        assert_eq!(tracking.standing(&KEY), Standing::Open);
        tracking.arrived(&KEY, Kind::Id, 0);
        assert_eq!(tracking.standing(&KEY), Standing::Complete);
    }

    #[test]
    fn one_failure_fails_the_request() {
        let mut tracking = tracking(None, false);
        tracking.arrived(&KEY, Kind::Regular, 0);
        tracking.failed(&KEY);
        tracking.acked(&KEY);
        assert_eq!(tracking.standing(&KEY), Standing::Failed);
    }

    #[test]
    fn what_is_old_or_too_much_goes() {
        let mut tracking = tracking(None, true);
        for n in 0..4 {
            tracking.arrived(&RequestKey::Whole(n), Kind::Regular, 0);
        }
        assert_eq!(
            tracking.next_old(0).expect("one too many").0,
            RequestKey::Whole(0)
        );
        assert!(tracking.next_old(99).is_none());
        tracking.end(&RequestKey::Whole(1));
        tracking.arrived(&RequestKey::Whole(1), Kind::Regular, 99);
        let old: Vec<_> = std::iter::from_fn(|| tracking.next_old(100)).collect();
        let keys: Vec<_> = old.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [RequestKey::Whole(2), RequestKey::Whole(3)]);
        assert!(!tracking.is_empty(), "the one that began anew stays");
    }
}
