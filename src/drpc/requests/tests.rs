//! The life of requests, step by step and against a plain model.

use proptest::prelude::*;

use super::*;

type Under = Requests<&'static str, &'static str>;

const BOUNDS: Bounds = Bounds {
    timeout_us: 1000,
    requests_max: 8,
    bytes_max: 100,
    function_bytes_max: 20,
    session_bytes_max: 10,
    fetch_bytes_max: 30,
    queue_max: 4,
    silence_us: 100,
    return_us: 10,
};

fn requests() -> Under {
    Requests::new(BOUNDS, 0)
}

fn execute(requests: &mut Under, function: &str, args: &str, now_us: u64) -> u64 {
    let opened = requests.execute(function, args.to_owned(), "client", now_us);
    let (id, hand_over) = opened.expect("it is admitted");
    assert!(hand_over.is_none(), "{hand_over:?}");
    id
}

fn poll(requests: &mut Under, function: &str) -> Option<Taken> {
    requests.fetch(function, Fetcher::Poller, 1, 0).pop()
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn caller(session: &str, port: u16) -> Caller<'_> {
    Caller {
        session,
        peer: Some(peer(port)),
        wait_us: 50,
        call: 1,
        answered: 0,
    }
}

#[track_caller]
fn check_empty(requests: &Under) {
    assert_eq!(requests.footprint(), (0, 0, 0));
    assert_eq!(requests.n_open(), 0);
    assert_eq!(requests.next_deadline_us(), None);
}

#[test]
fn ids_are_counted_over_all_functions_and_each_is_first_in_first_out() {
    let mut requests = requests();
    for (expected, function) in (1..).zip(["a", "b", "a"]) {
        assert_eq!(execute(&mut requests, function, function, 0), expected);
    }
    let args = |id, args: &str| {
        let args = args.to_owned();
        Some(Taken { id, args })
    };
    assert_eq!(poll(&mut requests, "a"), args(1, "a"));
    assert_eq!(poll(&mut requests, "a"), args(3, "a"));
    assert_eq!(poll(&mut requests, "a"), None);
    assert_eq!(poll(&mut requests, "b"), args(2, "b"));
    assert_eq!(poll(&mut requests, "never called"), None);
    for id in 1..=3 {
        assert_eq!(requests.close(id), Some("client"));
        assert_eq!(requests.close(id), None, "only once");
    }
    check_empty(&requests);
}

#[test]
fn time_runs_out_to_the_microsecond_whether_fetched_or_not() {
    let mut requests = requests();
    execute(&mut requests, "f", "1", 5);
    execute(&mut requests, "f", "2", 6);
    poll(&mut requests, "f");
    assert_eq!(requests.next_deadline_us(), Some(1005));
    assert!(requests.expire(1004).is_empty());
    let ended = requests.expire(1005);
    assert_eq!(ended.len(), 1);
    let error = ended[0].1.as_ref().expect_err("no result");
    assert_eq!(error.msg, "Timed Out");
    assert_eq!(error.type_, Some(DRPCExceptionType::ServerTimeout.into()));
    assert_eq!(requests.next_deadline_us(), Some(1006));
    assert_eq!(requests.expire(2000).len(), 1);
    check_empty(&requests);
    assert_eq!(poll(&mut requests, "f"), None, "nobody gets what timed out");
}

#[test]
fn a_client_that_left_takes_its_request_along() {
    let mut requests = requests();
    let gone = execute(&mut requests, "f", "1", 0);
    let stays = execute(&mut requests, "f", "2", 0);
    requests.close(gone);
    assert_eq!(poll(&mut requests, "f").map(|taken| taken.id), Some(stays));
    requests.close(stays);
    check_empty(&requests);
}

#[test]
fn parked_fetches_get_requests_in_their_own_order() {
    let mut requests = requests();
    requests.park("f", caller("s1", 1), "first", 0);
    requests.park("f", caller("s2", 2), "second", 0);
    for (expected, id) in [("first", 1), ("second", 2)] {
        let opened = requests.execute("f", "x".to_owned(), "client", 0);
        let (_, hand_over) = opened.expect("admitted");
        let hand_over = hand_over.expect("a fetch is parked");
        assert_eq!(hand_over.fetch, expected);
        let args = "x".to_owned();
        assert_eq!(hand_over.request, Taken { id, args });
    }
    assert_eq!(execute(&mut requests, "f", "nobody", 0), 3);
    for id in 1..=3 {
        requests.close(id);
    }
    check_empty(&requests);
}

#[test]
fn a_fetch_that_left_gets_nothing() {
    let mut requests = requests();
    let number = requests.park("f", caller("s1", 1), "timed out", 0);
    assert_eq!(requests.unpark("f", number), Some("timed out"));
    assert_eq!(requests.unpark("f", number), None);
    requests.park("f", caller("s1", 1), "hung up", 0);
    requests.park("g", caller("s2", 2), "stays", 0);
    assert_eq!(requests.hung_up(peer(1), 0), ["hung up"]);
    execute(&mut requests, "f", "waits", 0);
    assert_eq!(requests.shut_down(), (vec!["client"], vec!["stays"]));
    check_empty(&requests);
}

#[test]
fn what_did_not_reach_its_fetch_waits_before_all_others() {
    let mut requests = requests();
    requests.park("f", caller("s1", 1), "gone", 0);
    let opened = requests.execute("f", "1".to_owned(), "client", 0);
    let (_, hand_over) = opened.expect("admitted");
    execute(&mut requests, "f", "2", 0);
    let request = hand_over.expect("a fetch was parked").request;
    assert!(requests.put_back(request.id).is_none());
    assert_eq!(poll(&mut requests, "f").as_ref(), Some(&request));
    requests.close(1);
    assert!(requests.put_back(1).is_none(), "its client has left");
    requests.close(2);
    check_empty(&requests);
}

#[test]
fn a_reply_that_was_lost_is_given_again_and_one_that_arrived_is_not() {
    let mut requests = requests();
    for args in ["1", "2", "3"] {
        execute(&mut requests, "f", args, 0);
    }
    let of = |call, answered| Caller {
        call,
        answered,
        ..caller("s", 1)
    };
    let mut fetch = |caller: Caller<'_>, max| {
        requests.heard(caller, 0).expect("a name");
        let taken = requests.fetch("f", Fetcher::Session(caller), max, 0);
        taken
            .into_iter()
            .map(|taken| (taken.id, taken.args))
            .collect::<Vec<_>>()
    };
    let one = |id: u64| (id, id.to_string());
    assert_eq!(fetch(of(1, 0), 2), [one(1), one(2)]);
    assert_eq!(fetch(of(2, 0), 1), [one(1)], "the first reply was lost");
    assert_eq!(fetch(of(3, 2), 9), [one(2), one(3)]);
    assert_eq!(
        fetch(of(4, 2), 0),
        [],
        "lost again, and now nothing is wanted"
    );
    assert_eq!(
        poll(&mut requests, "f"),
        Some(Taken {
            id: 2,
            args: "2".to_owned()
        })
    );
    let n_bytes = requests.footprint().2;
    assert_eq!(
        n_bytes,
        3 + 1,
        "three names, and the arguments of the third"
    );
    for id in 1..=3 {
        requests.close(id);
    }
    check_empty(&requests);
}

/// As where the network swallowed the end of its connection: the server still parks it.
#[test]
fn what_a_fetch_gets_that_its_spout_gave_up_is_given_again() {
    let mut requests = requests();
    let of = |call, answered| Caller {
        call,
        answered,
        ..caller("s", 1)
    };
    requests.park("f", of(1, 0), "given up", 0);
    let second = requests.park("f", of(2, 0), "second", 0);
    let opened = requests.execute("f", "x".to_owned(), "client", 0);
    let (id, hand_over) = opened.expect("admitted");
    assert_eq!(hand_over.expect("a fetch is parked").fetch, "given up");
    assert_eq!(requests.unpark("f", second), Some("second"));
    let mut fetch = |caller: Caller<'_>| {
        assert_eq!(requests.heard(caller, 0).expect("a name").len(), 0);
        let taken = requests.fetch("f", Fetcher::Session(caller), 1, 0);
        taken.into_iter().map(|taken| taken.id).collect::<Vec<_>>()
    };
    assert_eq!(fetch(of(3, 2)), [id], "only the second call was answered");
    assert_eq!(fetch(of(4, 3)), [0; 0], "now it has arrived");
    requests.close(id);
    check_empty(&requests);
}

#[test]
fn a_lost_reply_goes_to_a_spout_that_is_parked() {
    let mut requests = requests();
    execute(&mut requests, "f", "1", 0);
    requests.fetch("f", Fetcher::Session(caller("s", 1)), 1, 0);
    requests.park("f", caller("other", 2), "parked", 0);
    let again = Caller {
        call: 2,
        ..caller("s", 1)
    };
    let hand_overs = requests.heard(again, 0).expect("a name");
    assert_eq!(hand_overs.len(), 1);
    assert_eq!(
        (hand_overs[0].fetch, hand_overs[0].request.id),
        ("parked", 1)
    );
}

#[test]
fn a_fetch_takes_only_so_many_bytes_but_always_one() {
    let mut requests = requests();
    for n_bytes in [40, 20, 10, 1] {
        execute(&mut requests, "f", &"x".repeat(n_bytes), 0);
    }
    let mut take = || {
        requests
            .fetch("f", Fetcher::Session(caller("s", 1)), 9, 0)
            .len()
    };
    assert_eq!((take(), take(), take(), take()), (1, 2, 1, 0));
}

#[test]
fn a_spout_that_is_lost_fails_what_it_holds() {
    let mut requests = requests();
    for args in ["1", "2", "3"] {
        execute(&mut requests, "f", args, 0);
    }
    let taken = requests.fetch("f", Fetcher::Session(caller("s", 1)), 2, 0);
    assert_eq!(taken.len(), 2);
    assert!(
        requests.expire(149).is_empty(),
        "parked for 50, silent for 100"
    );
    let again = Caller {
        call: 2,
        answered: 1,
        ..caller("s", 1)
    };
    requests.heard(again, 149).expect("a name");
    assert!(requests.expire(150).is_empty());
    requests.close(1);
    let ended = requests.expire(299);
    assert_eq!(ended.len(), 1, "only what it has not answered");
    let error = ended[0].1.as_ref().expect_err("no result");
    assert_eq!(error.type_, Some(DRPCExceptionType::FailedRequest.into()));
    assert!(error.msg.starts_with("Request failed"), "{}", error.msg);
    assert_eq!(poll(&mut requests, "f").map(|taken| taken.id), Some(3));
}

#[test]
fn a_spout_has_a_moment_to_come_back_on_another_connection() {
    let mut requests = requests();
    for args in ["1", "2"] {
        execute(&mut requests, "f", args, 0);
    }
    requests.fetch("f", Fetcher::Session(caller("back", 1)), 1, 0);
    requests.fetch("f", Fetcher::Session(caller("lost", 2)), 1, 0);
    requests.hung_up(peer(1), 0);
    requests.hung_up(peer(2), 0);
    let again = Caller {
        call: 2,
        answered: 1,
        ..caller("back", 3)
    };
    requests.heard(again, 9).expect("a name");
    // The end of the old connection may be noticed after the new one was used.
    requests.hung_up(peer(1), 9);
    assert_eq!(requests.expire(10).len(), 1);
    assert_eq!(requests.function_of(1), Some("f"));
    assert_eq!(requests.function_of(2), None);
}

#[test]
fn pollers_may_come_and_go() {
    let mut requests = requests();
    execute(&mut requests, "f", "1", 0);
    poll(&mut requests, "f");
    requests.hung_up(peer(1), 0);
    assert!(requests.expire(999).is_empty());
}

#[test]
fn everything_has_its_bound() {
    let mut requests = requests();
    let mut try_one = |function: &str, args: &str| {
        let opened = requests.execute(function, args.to_owned(), "client", 0);
        opened
            .map(|(id, _)| id)
            .map_err(|refusal| refusal.to_string())
    };
    let refused = try_one(&"f".repeat(21), "").expect_err("too long");
    assert!(refused.contains("at most 20 bytes"), "{refused}");
    for id in 1..=4 {
        assert_eq!(try_one("f", ""), Ok(id));
    }
    let refused = try_one("f", "").expect_err("the queue is full");
    assert!(refused.contains("function f has 4 requests"), "{refused}");
    let refused = try_one("g", &"x".repeat(96)).expect_err("too many bytes");
    assert!(refused.contains("100 bytes"), "{refused}");
    for id in 5..=8 {
        assert_eq!(try_one("g", ""), Ok(id), "refused ones draw no id");
    }
    let refused = try_one("h", "").expect_err("no more requests");
    assert!(refused.contains("8 requests open"), "{refused}");
    assert!(requests.heard(caller("", 1), 0).is_err());
    assert!(requests.heard(caller("12345678901", 1), 0).is_err());
}

#[test]
fn a_million_names_leave_nothing_behind() {
    let mut requests = requests();
    for n in 0..1_000_000 {
        let function = format!("function-{n}");
        poll(&mut requests, &function);
        let id = execute(&mut requests, &function, "x", 0);
        requests.close(id);
    }
    check_empty(&requests);
    assert!(requests.functions.capacity() < 64);
}

#[derive(Clone, Debug)]
enum Step {
    Execute(usize),
    Poll(usize),
    Take(usize, usize),
    Park(usize, usize),
    HangUp(usize),
    Close(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_usize).prop_map(Step::Execute),
        (0..3_usize).prop_map(Step::Poll),
        (0..3_usize, 0..3_usize).prop_map(|(function, session)| Step::Take(function, session)),
        (0..3_usize, 0..3_usize).prop_map(|(function, session)| Step::Park(function, session)),
        (0..3_usize).prop_map(Step::HangUp),
        (1..40_u64).prop_map(Step::Close),
        (0..200_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: each request ends once, is taken at most once, and nothing remains.
    #[test]
    fn every_request_ends_exactly_once(steps in proptest::collection::vec(step(), 0..120)) {
        let functions = ["a", "b", "c"];
        let sessions = ["x", "y", "z"];
        let port = |session: usize| u16::try_from(session).expect("few") + 1;
        let mut requests: Requests<u64, u64> = Requests::new(BOUNDS, 0);
        let (mut now, mut n_opened, mut n_ended) = (0, 0_u64, 0_u64);
        // Of each session, the number of its last call, and where that is parked: the next one
        // comes when it has its reply.
        let mut calls = [0; 3];
        let mut parked = [None; 3];
        let mut taken = BTreeSet::new();
        for step in steps {
            match step {
                Step::Execute(f) => {
                    let opened = requests.execute(functions[f], "arg".to_owned(), n_opened, now);
                    if let Ok((id, hand_over)) = opened {
                        n_opened += 1;
                        prop_assert_eq!(id, n_opened);
                        if let Some(hand_over) = hand_over {
                            prop_assert_eq!(hand_over.request.id, id);
                            prop_assert!(taken.insert(id));
                        }
                    }
                }
                Step::Poll(f) => {
                    for one in requests.fetch(functions[f], Fetcher::Poller, 1, now) {
                        prop_assert!(taken.insert(one.id));
                    }
                }
                Step::Take(f, s) | Step::Park(f, s) => {
                    if let Some((function, number)) = parked[s].take() {
                        requests.unpark(function, number);
                    }
                    let caller = Caller {
                        call: calls[s] + 1,
                        answered: calls[s],
                        ..caller(sessions[s], port(s))
                    };
                    calls[s] += 1;
                    prop_assert!(requests.heard(caller, now).expect("a name").is_empty());
                    let max = if matches!(step, Step::Take(..)) { 2 } else { 0 };
                    let fetcher = Fetcher::Session(caller);
                    for one in requests.fetch(functions[f], fetcher, max, now) {
                        prop_assert!(taken.insert(one.id));
                    }
                    let has_none = requests.functions.get(functions[f])
                        .is_none_or(|of| of.waiting.is_empty());
                    if max == 0 && has_none {
                        let number = requests.park(functions[f], caller, 0, now);
                        parked[s] = Some((functions[f], number));
                    }
                }
                Step::HangUp(s) => drop(requests.hung_up(peer(port(s)), now)),
                Step::Close(id) => n_ended += u64::from(requests.close(id).is_some()),
                Step::Wait(us) => {
                    now += us;
                    n_ended += requests.expire(now).len() as u64;
                    prop_assert!(requests.next_deadline_us().is_none_or(|due| due > now));
                }
            }
            prop_assert_eq!(requests.n_open() as u64, n_opened - n_ended);
            for of in requests.functions.values() {
                prop_assert!(!of.is_idle());
                prop_assert!(of.waiting.is_empty() || of.parked.is_empty());
            }
        }
        let (clients, _) = requests.shut_down();
        prop_assert_eq!(clients.len() as u64, n_opened - n_ended);
        prop_assert_eq!(requests.footprint(), (0, 0, 0));
    }
}
