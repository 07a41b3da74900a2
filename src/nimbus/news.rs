//! Who is told that something changed: those who wait for news of one topology or of one node.
//!
//! A change wakes whom it concerns and nobody else, however many wait. Holds no state: only the
//! version of the last change of each.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;

use super::leader::lock;
use crate::id::{NodeId, TopologyId};

/// The versions at which things changed last.
#[derive(Debug)]
pub(crate) struct News {
    /// Of the state that this Nimbus started with.
    first: i64,
    changed: Mutex<Changed>,
}

#[derive(Debug, Default)]
struct Changed {
    topologies: HashMap<TopologyId, watch::Sender<i64>>,
    nodes: HashMap<NodeId, watch::Sender<i64>>,
}

/// What news may be about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Topic<'a> {
    /// A topology: its assignment, status and options.
    Topology(&'a TopologyId),
    /// A supervisor: anything about the topologies that have workers on its node.
    Node(&'a NodeId),
}

// === impl News ===

impl News {
    pub fn new(first: i64) -> Self {
        News {
            first,
            changed: Mutex::default(),
        }
    }

    /// The state of that version is there to be seen, and differs in these.
    pub fn tell<'a>(&self, topics: impl IntoIterator<Item = Topic<'a>>, version: i64) {
        let mut changed = lock(&self.changed);
        for topic in topics {
            changed.sender(topic, version).send_replace(version);
        }
    }

    /// Whether nothing changed about a topic since the version `known` that somebody was given.
    /// `now` is the version of a state that was seen before this is asked.
    ///
    /// Of what was not heard of yet, that is only sure for the newest version.
    pub fn is_known(&self, topic: Topic<'_>, known: i64, now: i64) -> bool {
        if !(self.first..=now).contains(&known) {
            return false;
        }
        let mut changed = lock(&self.changed);
        let last = *changed.sender(topic, now).borrow();
        last <= known
    }

    /// Ends when something changed about a topic since `known`; never by itself otherwise.
    pub async fn wait(&self, topic: Topic<'_>, known: i64, now: i64) {
        let mut receiver = lock(&self.changed).sender(topic, now).subscribe();
        if !(self.first..=now).contains(&known) {
            return;
        }
        // An error means that it was forgotten: that is news too.
        let _ = receiver.wait_for(|version| *version > known).await;
    }

    /// Forgets a topology that is gone; whoever waits for it hears of that.
    pub fn forget_topology(&self, id: &TopologyId) {
        lock(&self.changed).topologies.remove(id);
    }

    /// Forgets all but these.
    pub fn retain(
        &self,
        is_topology: impl Fn(&TopologyId) -> bool,
        is_node: impl Fn(&NodeId) -> bool,
    ) {
        let mut changed = lock(&self.changed);
        changed.topologies.retain(|id, _| is_topology(id));
        changed.nodes.retain(|node, _| is_node(node));
    }
}

// === impl Changed ===

impl Changed {
    /// One that is met for the first time counts as changed just now.
    fn sender(&mut self, topic: Topic<'_>, now: i64) -> &watch::Sender<i64> {
        let sender = || watch::channel(now).0;
        match topic {
            Topic::Topology(id) => self.topologies.entry(id.clone()).or_insert_with(sender),
            Topic::Node(node) => self.nodes.entry(node.clone()).or_insert_with(sender),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_over(waiting: impl Future<Output = ()>) -> bool {
        let waiting = pin!(waiting);
        waiting
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn only_whom_it_concerns_is_woken() {
        let news = News::new(100);
        let (a, b) = (TopologyId::from("a"), TopologyId::from("b"));
        let node = NodeId::from("n");
        news.tell([Topic::Topology(&a), Topic::Node(&node)], 101);
        news.tell([Topic::Topology(&b)], 102);
        assert!(news.is_known(Topic::Topology(&a), 101, 102));
        assert!(news.is_known(Topic::Node(&node), 101, 102));
        assert!(!news.is_known(Topic::Topology(&b), 101, 102));
        assert!(!is_over(news.wait(Topic::Topology(&a), 101, 102)));
        assert!(is_over(news.wait(Topic::Topology(&b), 101, 102)));
        let mut waiting = pin!(news.wait(Topic::Node(&node), 102, 102));
        assert!(!is_over(waiting.as_mut()));
        news.tell([Topic::Topology(&a)], 103);
        assert!(!is_over(waiting.as_mut()));
        news.tell([Topic::Node(&node)], 104);
        assert!(is_over(waiting));
    }

    #[test]
    fn versions_of_another_nimbus_and_of_the_unheard_of_are_not_known() {
        let news = News::new(100);
        let (a, node) = (TopologyId::from("a"), NodeId::from("n"));
        for known in [0, 99, 103, i64::MAX] {
            assert!(!news.is_known(Topic::Topology(&a), known, 102), "{known}");
            assert!(
                is_over(news.wait(Topic::Node(&node), known, 102)),
                "{known}"
            );
        }
        assert!(!news.is_known(Topic::Topology(&a), 101, 102));
        assert!(news.is_known(Topic::Topology(&a), 102, 102));
    }

    #[test]
    fn to_be_forgotten_is_news() {
        let news = News::new(1);
        let a = TopologyId::from("a");
        let mut waiting = pin!(news.wait(Topic::Topology(&a), 1, 1));
        assert!(!is_over(waiting.as_mut()));
        news.forget_topology(&a);
        assert!(is_over(waiting));
    }
}
