//! Who holds which task: a component's tasks in one worker, divided among its peers.
//!
//! Pure. A task that nobody holds goes to the peer that holds fewest; peers that join take over
//! tasks of those that hold two more, but no task leaves a peer that still owes answers for it.

/// Names one peer's session in this worker.
pub type SessionNumber = u32;

/// Who has a task, and who gets it next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    pub holder: Option<SessionNumber>,
    /// Waits until the holder has answered what it has.
    pub next: Option<SessionNumber>,
}

/// A peer that takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taker {
    pub session: SessionNumber,
    pub tasks_max: usize,
}

/// Divides anew. `is_owing(task)`: its holder has not answered all it has.
pub fn divide(holdings: &mut [Holding], takers: &[Taker], is_owing: impl Fn(usize) -> bool) {
    for (task, holding) in holdings.iter_mut().enumerate() {
        if holding.next.is_some() && !is_owing(task) {
            holding.holder = holding.next.take();
        }
    }
    while let Some(vacant) = holdings.iter().position(|one| one.holder.is_none()) {
        let Some(taker) = least(holdings, takers) else {
            break;
        };
        holdings[vacant].holder = Some(taker.session);
    }
    while let Some(taker) = least(holdings, takers) {
        let n_least = n_held(holdings, taker.session);
        let sessions = takers.iter().map(|taker| taker.session);
        let Some(most) = sessions.max_by_key(|session| n_held(holdings, *session)) else {
            break;
        };
        if n_held(holdings, most) < n_least + 2 {
            break;
        }
        let moves = |holding: &Holding| holding.next.or(holding.holder) == Some(most);
        let Some(task) = holdings.iter().rposition(moves) else {
            break;
        };
        hand_over(&mut holdings[task], taker.session, is_owing(task));
    }
}

/// A peer is gone.
pub fn forget(holdings: &mut [Holding], session: SessionNumber) {
    for holding in holdings {
        if holding.next == Some(session) {
            holding.next = None;
        }
        if holding.holder == Some(session) {
            holding.holder = holding.next.take();
        }
    }
}

fn hand_over(holding: &mut Holding, to: SessionNumber, is_owing: bool) {
    match is_owing {
        // Back to where it still is.
        true if holding.holder == Some(to) => holding.next = None,
        true => holding.next = Some(to),
        false => {
            *holding = Holding {
                holder: Some(to),
                next: None,
            }
        }
    }
}

/// The peer with room that holds fewest, the one that came first among equals. What it waits for
/// and what it still has to give away both take room.
fn least(holdings: &[Holding], takers: &[Taker]) -> Option<Taker> {
    let concerns =
        |session| move |one: &&Holding| one.holder == Some(session) || one.next == Some(session);
    let free = takers.iter().filter(|taker| {
        let n_concerned = holdings.iter().filter(concerns(taker.session)).count();
        n_concerned < taker.tasks_max
    });
    free.min_by_key(|taker| n_held(holdings, taker.session))
        .copied()
}

/// Tasks that a peer has or will have.
fn n_held(holdings: &[Holding], session: SessionNumber) -> usize {
    let of_it = |one: &&Holding| one.next.or(one.holder) == Some(session);
    holdings.iter().filter(of_it).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;

    fn takers(of: &[(SessionNumber, usize)]) -> Vec<Taker> {
        let taker = |(session, tasks_max): &(u32, usize)| Taker {
            session: *session,
            tasks_max: *tasks_max,
        };
        of.iter().map(taker).collect()
    }

    fn holders(holdings: &[Holding]) -> Vec<Option<SessionNumber>> {
        holdings.iter().map(|one| one.holder).collect()
    }

    #[test]
    fn the_first_peer_gets_all_and_shares_with_later_ones() {
        let mut tasks = vec![Holding::default(); 4];
        divide(&mut tasks, &takers(&[(1, ALL)]), |_| false);
        assert_eq!(holders(&tasks), [Some(1); 4]);
        divide(&mut tasks, &takers(&[(1, ALL), (2, ALL)]), |_| false);
        assert_eq!(holders(&tasks), [Some(1), Some(1), Some(2), Some(2)]);
        let three = takers(&[(1, ALL), (2, ALL), (3, ALL)]);
        divide(&mut tasks, &three, |_| false);
        let before = holders(&tasks);
        for session in 1..=3 {
            assert!(before.contains(&Some(session)), "{before:?}");
        }
        divide(&mut tasks, &three, |_| false);
        assert_eq!(holders(&tasks), before, "no task moves for nothing");
    }

    #[test]
    fn a_task_waits_until_its_peer_owes_nothing() {
        let mut tasks = vec![Holding::default(); 2];
        divide(&mut tasks, &takers(&[(1, ALL)]), |_| true);
        let both = takers(&[(1, ALL), (2, ALL)]);
        divide(&mut tasks, &both, |_| true);
        assert_eq!(holders(&tasks), [Some(1), Some(1)]);
        assert_eq!(tasks[1].next, Some(2));
        divide(&mut tasks, &both, |_| false);
        assert_eq!(holders(&tasks), [Some(1), Some(2)]);
        assert_eq!(tasks[1].next, None);
    }

    #[test]
    fn a_lost_peer_leaves_its_tasks_to_the_others() {
        let mut tasks = vec![Holding::default(); 3];
        divide(&mut tasks, &takers(&[(1, ALL)]), |_| true);
        divide(&mut tasks, &takers(&[(1, ALL), (2, ALL)]), |_| true);
        assert_eq!(tasks[2].next, Some(2));
        forget(&mut tasks, 1);
        assert_eq!(holders(&tasks), [None, None, Some(2)]);
        divide(&mut tasks, &takers(&[(2, ALL)]), |_| false);
        assert_eq!(holders(&tasks), [Some(2); 3]);
        forget(&mut tasks, 2);
        divide(&mut tasks, &[], |_| false);
        assert_eq!(holders(&tasks), [None; 3]);
    }

    #[test]
    fn nobody_gets_more_than_it_wants() {
        let mut tasks = vec![Holding::default(); 3];
        let one = takers(&[(1, 1), (2, 0)]);
        divide(&mut tasks, &one, |_| false);
        assert_eq!(holders(&tasks), [Some(1), None, None]);
        divide(&mut tasks, &takers(&[(1, 1), (2, ALL)]), |_| false);
        assert_eq!(holders(&tasks), [Some(1), Some(2), Some(2)]);
    }

    /// Whatever happens in whatever order: every task is somebody's while somebody wants it, and
    /// nobody has more than it wants.
    #[test]
    fn holds_in_random_orders() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut tasks = vec![Holding::default(); random.usize(1..6)];
            let mut peers: Vec<Taker> = Vec::new();
            for number in 1..30 {
                if random.bool() || peers.is_empty() {
                    let tasks_max = random.usize(1..4);
                    peers.push(Taker {
                        session: number,
                        tasks_max,
                    });
                } else {
                    let gone = peers.swap_remove(random.usize(0..peers.len()));
                    forget(&mut tasks, gone.session);
                }
                let owing: Vec<bool> = tasks.iter().map(|_| random.bool()).collect();
                let before = tasks.clone();
                divide(&mut tasks, &peers, |task| owing[task]);
                for (task, (was, is)) in before.iter().zip(&tasks).enumerate() {
                    let moved = was.holder.is_some() && was.holder != is.holder;
                    assert!(!(moved && owing[task]), "seed {seed}: task {task} moved");
                }
                divide(&mut tasks, &peers, |_| false);
                let room: usize = peers.iter().map(|peer| peer.tasks_max).sum();
                let n_held = tasks.iter().filter(|one| one.holder.is_some()).count();
                assert_eq!(n_held, room.min(tasks.len()), "seed {seed}");
                for peer in &peers {
                    let holder = Some(peer.session);
                    let n_held = tasks.iter().filter(|one| one.holder == holder).count();
                    assert!(n_held <= peer.tasks_max, "seed {seed}");
                }
            }
        }
    }
}
