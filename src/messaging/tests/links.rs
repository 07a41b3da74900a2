//! Links over real sockets: slow executors, cut, damaged and foreign bytes, processes that go.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::{EXECUTOR, OTHER_EXECUTOR, Row, batch, numbered, simple, streams};
use crate::id::{ExecutorId, TaskId};
use crate::messaging::acks::{AckKind, AckRecord};
use crate::messaging::client::{Peer, PeerWatch, Reconnects, Wanted};
use crate::messaging::codec;
use crate::messaging::decode::{DecodeError, Incoming};
use crate::messaging::fence::Fence;
use crate::messaging::frame::{self, Checksums};
use crate::messaging::link::LinkIdentity;
use crate::messaging::packing::Packing;
use crate::messaging::receiving::{Receipt, Sessions};
use crate::messaging::sending::DataFrame;
use crate::messaging::server::{self, Intake, Intakes, ServerCounters, ServerParts};
use crate::messaging::transport::LinkSecurity;
use crate::tuple::TupleBatch;
use crate::wire::messages;

/// Collects what links bring. An executor that is slow keeps its tuples on its queue.
#[derive(Default)]
struct Basket {
    rows: Mutex<Vec<Row>>,
    records: Mutex<Vec<AckRecord>>,
    failed: Mutex<Vec<u64>>,
    slow: Mutex<BTreeSet<ExecutorId>>,
    queued: Mutex<Vec<Receipt>>,
    changed: Notify,
}

struct BasketIntake(Arc<Basket>);

/// What became of a peer.
#[derive(Default)]
struct Fate {
    lost: Mutex<Vec<u64>>,
    n_gone: AtomicUsize,
    changed: Notify,
}

// === impl Basket ===

impl Basket {
    fn n_rows(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    fn n_records(&self) -> usize {
        self.records.lock().unwrap().len()
    }

    fn sequences(&self) -> Vec<u64> {
        let rows = self.rows.lock().unwrap();
        rows.iter().map(|row| row.head.sequence).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        until(&self.changed, what, || condition(self)).await;
    }
}

async fn until(changed: &Notify, what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        loop {
            let changed = changed.notified();
            if condition() {
                return;
            }
            // Not everything that may be waited for is told of.
            let _ = tokio::time::timeout(Duration::from_millis(5), changed).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(waited.is_ok(), "not in time: {what}");
}

struct Baskets(Arc<Basket>);

impl Intakes for Baskets {
    type Intake = BasketIntake;

    fn intake(&self) -> BasketIntake {
        BasketIntake(self.0.clone())
    }
}

impl Intake for BasketIntake {
    fn executor_of(&self, task: TaskId) -> Option<ExecutorId> {
        let mut executors = [EXECUTOR, OTHER_EXECUTOR].into_iter();
        executors.find(|executor| executor.contains(task))
    }

    fn has_task(&self, task: TaskId) -> bool {
        (EXECUTOR.first..=OTHERS_TASK).contains(&task)
    }

    fn tuples(
        &mut self,
        executor: ExecutorId,
        incoming: &Incoming<'_>,
        receipt: Receipt,
    ) -> Result<(), DecodeError> {
        let mut batch = TupleBatch::new(streams());
        incoming.read_into(&mut batch, executor)?;
        let rows = batch.iter().map(|tuple| Row::of(&tuple));
        self.0.rows.lock().unwrap().extend(rows);
        if self.0.slow.lock().unwrap().contains(&executor) {
            self.0.queued.lock().unwrap().push(receipt);
        }
        Ok(())
    }

    fn fail(&mut self, incoming: &Incoming<'_>) {
        self.0.failed.lock().unwrap().extend(incoming.roots());
    }

    fn acks(&mut self, records: &[AckRecord]) {
        self.0.records.lock().unwrap().extend(records);
    }

    fn flush(&mut self) {
        self.0.changed.notify_one();
    }
}

// === impl Fate ===

struct Watcher(Arc<Fate>);

impl PeerWatch for Watcher {
    fn room(&self) {
        self.0.changed.notify_one();
    }

    fn lost(&self, roots: Vec<u64>) {
        self.0.lost.lock().unwrap().extend(roots);
        self.0.changed.notify_one();
    }

    fn gone(&self) {
        self.0.n_gone.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}

fn identity(topology_hash: u64, generation: i64) -> Arc<LinkIdentity> {
    Arc::new(behind(Fence::default(), topology_hash, generation))
}

fn behind(fence: Fence, topology_hash: u64, generation: i64) -> LinkIdentity {
    LinkIdentity {
        topology_id: "words-1-1".to_owned(),
        topology_hash,
        node: "node".into(),
        port: 6700,
        generation,
        security: LinkSecurity::Plain,
        packing: Packing::default(),
        fence,
    }
}

struct Server {
    address: String,
    basket: Arc<Basket>,
    counters: Arc<ServerCounters>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::start_at("127.0.0.1:0", 1).await
    }

    /// A process of that generation.
    async fn start_at(address: &str, generation: i64) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counters = Arc::new(ServerCounters::default());
        let basket = Arc::new(Basket::default());
        let (stop, stopped) = watch::channel(false);
        let parts = ServerParts {
            identity: identity(1, generation),
            sessions: Arc::new(Sessions::new(WINDOW)),
            intakes: Arc::new(Baskets(basket.clone())),
            counters: counters.clone(),
        };
        Server {
            address,
            basket,
            counters,
            stop,
            task: tokio::spawn(server::serve(listener, parts, stopped)),
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    /// A connection that has greeted and was answered.
    async fn greet(&self, hello: messages::Hello) -> (TcpStream, messages::Frame) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let hello = messages::Frame::Hello(hello);
        let hello = frame::to_bytes(&hello).unwrap();
        stream.write_all(&hello).await.unwrap();
        let mut answer = vec![0; stream.read_i32().await.unwrap() as usize];
        stream.read_exact(&mut answer).await.unwrap();
        (stream, frame::decode(&answer).unwrap())
    }
}

struct Client {
    peer: Arc<Peer>,
    wanted: watch::Sender<Wanted>,
    fate: Arc<Fate>,
}

impl Client {
    fn start(address: &str) -> Self {
        Self::start_as(address, 1)
    }

    fn start_as(address: &str, topology_hash: u64) -> Self {
        let mut client = Self::new(address);
        client.run(topology_hash);
        client
    }

    /// Not connecting yet.
    fn new(address: &str) -> Self {
        let fate = Arc::new(Fate::default());
        let executors = [EXECUTOR, OTHER_EXECUTOR];
        let peer = Peer::new(address, &executors, WINDOW, Watcher(fate.clone()));
        Client {
            peer: Arc::new(peer),
            wanted: watch::channel(Wanted::Yes).0,
            fate,
        }
    }

    fn run(&mut self, topology_hash: u64) {
        self.run_as(identity(topology_hash, 7));
    }

    fn run_as(&mut self, identity: Arc<LinkIdentity>) {
        let reconnects = Reconnects {
            base: Duration::from_millis(1),
            ceiling: Duration::from_millis(5),
        };
        let wanted = self.wanted.subscribe();
        tokio::spawn(self.peer.clone().run(identity, reconnects, wanted));
    }

    /// Sends rows in one frame.
    fn push(&self, rows: &[Row]) {
        let outbox = self.peer.data(rows[0].head.target_task).unwrap();
        let batch = batch(&streams(), rows);
        let mut bytes = outbox.buffer();
        codec::write_frame(&batch, 0..batch.len(), Arc::make_mut(&mut bytes)).unwrap();
        let n_tuples = batch.len();
        assert!(outbox.push(DataFrame { bytes, n_tuples }));
    }

    fn is_full(&self, executor: ExecutorId) -> bool {
        self.peer.data(executor.first).unwrap().gauge.is_full()
    }

    fn n_out(&self) -> usize {
        let executors = [EXECUTOR, OTHER_EXECUTOR].iter();
        executors
            .map(|e| self.peer.data(e.first).unwrap().gauge.n_queued())
            .sum()
    }
}

fn record(root: u64) -> AckRecord {
    AckRecord {
        root,
        value: root,
        task: TaskId(0),
        kind: AckKind::Ack,
    }
}

#[tokio::test]
async fn a_slow_executor_keeps_nobody_else_waiting() {
    let server = Server::start().await;
    let client = Client::start(&server.address);
    server.basket.slow.lock().unwrap().insert(EXECUTOR);
    let mut n_pushed = 0;
    while !client.is_full(EXECUTOR) {
        client.push(&numbered(n_pushed..n_pushed + 20));
        n_pushed += 20;
    }
    // More than it may have: the rest waits here.
    client.push(&numbered(n_pushed..n_pushed + 20));
    client.push(&numbered(n_pushed + 20..n_pushed + 40));
    n_pushed += 40;
    let other: Vec<Row> = simple(7)
        .into_iter()
        .map(|row| row.to(TaskId(55)))
        .collect();
    client.push(&other);
    client.peer.extend_acks(&[record(1), record(2)]);
    let has_others = |basket: &Basket| {
        let rows = basket.rows.lock().unwrap();
        let is_other = |row: &&Row| row.head.target_task == TaskId(55);
        rows.iter().filter(is_other).count() == 7 && basket.n_records() == 2
    };
    server.basket.until("the others", has_others).await;
    assert!(!client.peer.is_empty());
    assert!((server.basket.n_rows() as u64) < n_pushed);
    // It wakes up.
    server.basket.slow.lock().unwrap().clear();
    server.basket.queued.lock().unwrap().clear();
    let has_all = |basket: &Basket| basket.n_rows() as u64 == n_pushed + 7;
    server.basket.until("the rest", has_all).await;
    until(&client.fate.changed, "all is confirmed", || {
        client.n_out() == 0
    })
    .await;
    let rows = server.basket.rows.lock().unwrap().clone();
    let mine = rows.iter().filter(|row| row.head.target_task == TaskId(4));
    let mine: Vec<u64> = mine.map(|row| row.head.sequence).collect();
    assert_eq!(mine, (0..n_pushed).collect::<Vec<_>>());
    client.wanted.send_replace(Wanted::UntilEmpty);
    server.end().await;
}

#[tokio::test]
async fn nothing_leaves_a_process_whose_fence_is_closed() {
    let server = Server::start().await;
    let is_open = Arc::new(AtomicBool::new(true));
    let n_asked = Arc::new(AtomicUsize::new(0));
    let (open, asked) = (is_open.clone(), n_asked.clone());
    let fence = Fence::new(move || {
        asked.fetch_add(1, Ordering::SeqCst);
        open.load(Ordering::SeqCst)
    });
    let mut client = Client::new(&server.address);
    client.run_as(Arc::new(behind(fence, 1, 7)));
    client.push(&numbered(0..20));
    let has_all = |basket: &Basket| basket.n_rows() == 20;
    server.basket.until("what came before", has_all).await;
    is_open.store(false, Ordering::SeqCst);
    let n_before = n_asked.load(Ordering::SeqCst);
    client.push(&numbered(20..40));
    client.peer.extend_acks(&[record(1)]);
    // It tries: a write, and then again and again a connection.
    while n_asked.load(Ordering::SeqCst) < n_before + 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((server.basket.n_rows(), server.basket.n_records()), (20, 0));
    assert_eq!(client.peer.counters().n_connects(), 1);
    server.end().await;
}

/// A relay that does something to the bytes of the first connection, from the sender to the
/// receiver, at one place.
async fn relay(to: String, harm: Harm) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut harm = Some(harm);
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = TcpStream::connect(&to).await.unwrap();
            match harm.take() {
                Some(Harm::Cut(n_bytes)) => {
                    let (mut up, mut up_out) = from.into_split();
                    let (mut down, mut down_out) = to.into_split();
                    let back = tokio::spawn(async move {
                        let _ = tokio::io::copy(&mut down, &mut up_out).await;
                    });
                    let mut begin = (&mut up).take(n_bytes);
                    let _ = tokio::io::copy(&mut begin, &mut down_out).await;
                    back.abort();
                }
                Some(Harm::Flip(place)) => {
                    tokio::spawn(async move {
                        let (mut up, mut up_out) = from.into_split();
                        let (mut down, mut down_out) = to.into_split();
                        let forth = async move {
                            let mut begin = Vec::new();
                            (&mut up)
                                .take(place + 1)
                                .read_to_end(&mut begin)
                                .await
                                .unwrap();
                            if let Some(byte) = begin.get_mut(place as usize) {
                                *byte ^= 0x10;
                            }
                            let _ = down_out.write_all(&begin).await;
                            let _ = tokio::io::copy(&mut up, &mut down_out).await;
                        };
                        tokio::select! {
                            () = forth => {}
                            _ = tokio::io::copy(&mut down, &mut up_out) => {}
                        }
                    });
                }
                None => {
                    tokio::spawn(async move {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    });
                }
            }
        }
    });
    address
}

#[derive(Clone, Copy)]
enum Harm {
    /// Ends after so many bytes.
    Cut(u64),
    /// One byte is another.
    Flip(u64),
}

/// Three frames and some acks, through a relay: all arrive once and in order.
async fn nothing_is_lost(harm: Harm) {
    let server = Server::start().await;
    let mut client = Client::new(&relay(server.address.clone(), harm).await);
    for frame in 0..3 {
        client.push(&numbered(frame * 2..frame * 2 + 2));
    }
    client.peer.extend_acks(&[record(1), record(2)]);
    client.run(1);
    server
        .basket
        .until("all rows", |basket| basket.n_rows() >= 6)
        .await;
    server
        .basket
        .until("all acks", |basket| basket.n_records() >= 2)
        .await;
    until(&client.fate.changed, "all is confirmed", || {
        client.n_out() == 0
    })
    .await;
    assert_eq!(server.basket.sequences(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(
        *server.basket.records.lock().unwrap(),
        [record(1), record(2)]
    );
    assert_eq!(client.fate.n_gone.load(Ordering::SeqCst), 0);
    assert!(client.fate.lost.lock().unwrap().is_empty());
    client.wanted.send_replace(Wanted::No);
    server.end().await;
}

/// Bytes of a greeting, and of that and everything in `nothing_is_lost`.
fn n_sent_bytes() -> (u64, Vec<u64>) {
    let hello = messages::Frame::Hello(identity(1, 7).hello(1));
    let hello = frame::to_bytes(&hello).unwrap().len() as u64;
    let mut bytes = Vec::new();
    codec::write_frame(&batch(&streams(), &numbered(2..4)), 0..2, &mut bytes).unwrap();
    let mut acks = Vec::new();
    crate::messaging::acks::write_frame(&[record(1), record(2)], &mut acks);
    let frames = [acks.len(), bytes.len(), bytes.len(), bytes.len()];
    (
        hello,
        frames.map(|n| n as u64 + frame::HEAD_BYTES as u64).to_vec(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_at_any_byte_loses_nothing() {
    let (hello, frames) = n_sent_bytes();
    let n_all = hello + frames.iter().sum::<u64>();
    let mut running = tokio::task::JoinSet::new();
    for n_bytes in 0..n_all {
        running.spawn(nothing_is_lost(Harm::Cut(n_bytes)));
        if running.len() >= 16 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_byte_costs_its_connection_and_nothing_else() {
    let (hello, frames) = n_sent_bytes();
    let mut running = tokio::task::JoinSet::new();
    // Of a frame all but its length, which would have the receiver wait for more.
    for place in (4..frames[0]).chain(frames[0] + 4..frames[0] + frames[1]) {
        running.spawn(nothing_is_lost(Harm::Flip(hello + place)));
        if running.len() >= 16 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_goes_fails_what_it_had_and_the_next_one_gets_the_rest() {
    let server = Server::start_at("127.0.0.1:0", 1).await;
    let address = server.address.clone();
    let client = Client::start(&address);
    server.basket.slow.lock().unwrap().insert(EXECUTOR);
    let n_pushed = 40 * 20;
    for frame in 0..40 {
        client.push(&numbered(frame * 20..frame * 20 + 20));
    }
    assert!(client.is_full(EXECUTOR));
    let has_granted = |basket: &Basket| {
        let n_waiting = client.peer.n_waiting();
        n_waiting > 0 && basket.n_rows() > 0 && basket.n_rows() + n_waiting == 800
    };
    server.basket.until("what was granted", has_granted).await;
    let n_arrived = server.basket.n_rows() as u64;
    server.end().await;
    let has_lost = || client.fate.n_gone.load(Ordering::SeqCst) == 1;
    until(&client.fate.changed, "the loss", has_lost).await;
    assert_eq!(
        *client.fate.lost.lock().unwrap(),
        (0..n_arrived).collect::<Vec<_>>()
    );
    assert_eq!(client.peer.counters().n_lost(), n_arrived);
    let next = Server::start_at(&address, 2).await;
    let has_rest = |basket: &Basket| basket.n_rows() as u64 == n_pushed - n_arrived;
    next.basket.until("the rest", has_rest).await;
    assert_eq!(
        next.basket.sequences(),
        (n_arrived..n_pushed).collect::<Vec<_>>()
    );
    assert_eq!(client.fate.n_gone.load(Ordering::SeqCst), 1);
    next.end().await;
}

/// A way to whichever process is there, which can be cut.
struct Road {
    address: String,
    to: Arc<Mutex<String>>,
    cut: watch::Sender<u32>,
}

// === impl Road ===

impl Road {
    async fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let to = Arc::new(Mutex::new(address.to_owned()));
        let (cut, cuts) = watch::channel(0);
        let there = to.clone();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                let address = there.lock().unwrap().clone();
                let mut to = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Road {
            address: own,
            to,
            cut,
        }
    }

    fn cut(&self) {
        self.cut.send_modify(|n_cuts| *n_cuts += 1);
    }
}

/// Its successor was there before anybody saw the place empty.
#[tokio::test]
async fn a_connection_to_a_successor_that_breaks_brings_nothing_twice() {
    let first = Server::start_at("127.0.0.1:0", 1).await;
    let next = Server::start_at("127.0.0.1:0", 2).await;
    next.basket.slow.lock().unwrap().insert(EXECUTOR);
    let road = Road::to(&first.address).await;
    let client = Client::start(&road.address);
    client.push(&numbered(0..2));
    let is_there = |basket: &Basket| basket.n_rows() == 2;
    first
        .basket
        .until("what the first one gets", is_there)
        .await;
    *road.to.lock().unwrap() = next.address.clone();
    road.cut();
    let has_lost = || client.fate.n_gone.load(Ordering::SeqCst) == 1;
    until(&client.fate.changed, "the loss", has_lost).await;
    client.push(&numbered(2..4));
    client.peer.extend_acks(&[record(1)]);
    let is_there = |basket: &Basket| basket.n_rows() == 2 && basket.n_records() == 1;
    next.basket.until("what the next one gets", is_there).await;
    road.cut();
    let is_back = || client.peer.counters().n_connects() == 3;
    until(&client.fate.changed, "a new connection", is_back).await;
    client.push(&numbered(4..6));
    client.peer.extend_acks(&[record(2)]);
    let is_there = |basket: &Basket| basket.n_rows() >= 4 && basket.n_records() >= 2;
    next.basket.until("all of it", is_there).await;
    assert_eq!(next.basket.sequences(), [2, 3, 4, 5]);
    assert_eq!(*next.basket.records.lock().unwrap(), [record(1), record(2)]);
    assert_eq!(client.fate.n_gone.load(Ordering::SeqCst), 1);
    first.end().await;
    next.end().await;
}

/// Looks as dead as a process that is gone: it was welcomed once, and hears nobody any more.
#[tokio::test]
async fn acks_that_a_silent_peer_may_not_have_got_are_said_again_where_that_does_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::start(&address);
    let of = |kind, root| AckRecord {
        kind,
        task: TaskId(0),
        ..record(root)
    };
    client.peer.extend_acks(&[
        of(AckKind::Completed, 1),
        of(AckKind::Ack, 2),
        of(AckKind::Tally, 3),
        of(AckKind::Init, 4),
    ]);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = vec![0; stream.read_i32().await.unwrap() as usize];
    stream.read_exact(&mut hello).await.unwrap();
    let welcome = messages::Frame::Welcome(identity(1, 1).welcome());
    let welcome = frame::to_bytes(&welcome).unwrap();
    stream.write_all(&welcome).await.unwrap();
    until(&client.fate.changed, "they are written", || {
        client.peer.is_empty()
    })
    .await;
    drop((stream, listener));
    let has_lost = || client.fate.n_gone.load(Ordering::SeqCst) == 1;
    until(&client.fate.changed, "it counts as gone", has_lost).await;
    assert_eq!(client.peer.counters().n_acks_lost(), 3);
    let server = Server::start_at(&address, 1).await;
    let has_all = |basket: &Basket| basket.n_records() >= 3;
    server.basket.until("what is left to say", has_all).await;
    let expected = [
        of(AckKind::Completed, 1),
        AckRecord::fail(2),
        AckRecord::fail(4),
    ];
    assert_eq!(*server.basket.records.lock().unwrap(), expected);
    server.end().await;
}

#[tokio::test]
async fn a_worker_that_is_not_wanted_any_more_fails_all_that_waits() {
    let client = Client::start("127.0.0.1:1");
    client.push(&numbered(0..5));
    client.push(&numbered(5..9));
    client.wanted.send_replace(Wanted::No);
    let has_lost = || client.fate.lost.lock().unwrap().len() == 9;
    until(&client.fate.changed, "the loss", has_lost).await;
    assert_eq!(client.n_out(), 0);
}

#[tokio::test]
async fn strangers_are_refused_and_garbage_costs_its_connection_alone() {
    let server = Server::start().await;
    let good = Client::start(&server.address);
    let stranger = Client::start_as(&server.address, 2);
    stranger.push(&simple(3));
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 64],
        &[0, 0, 0, 1, 0],
    ] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        // Closed by the server, politely or not.
        let _ = stream.read_to_end(&mut rest).await;
    }
    good.push(&simple(4));
    server
        .basket
        .until("the good ones", |basket| basket.n_rows() == 4)
        .await;
    server
        .basket
        .until("refusals", |_| server.counters.n_refused() >= 4)
        .await;
    assert_eq!(server.basket.n_rows(), 4);
    assert!(!stranger.peer.is_empty());
    server.end().await;
}

#[tokio::test]
async fn what_is_out_of_date_is_refused_by_name() {
    let server = Server::start().await;
    let hello = |generation| identity(1, generation).hello(1);
    let (old, welcome) = server.greet(hello(7)).await;
    assert!(matches!(welcome, messages::Frame::Welcome(_)));
    let (_new, welcome) = server.greet(hello(8)).await;
    assert!(matches!(welcome, messages::Frame::Welcome(_)));
    let refused = |answer| match answer {
        messages::Frame::Refused(refused) => refused.reason,
        other => panic!("not refused: {other:?}"),
    };
    let (_, answer) = server.greet(hello(7)).await;
    assert_eq!(refused(answer), "generation 7 is out of date: 8 was here");
    let mut damaged = hello(9);
    damaged.generation = 1 << 40;
    let (_, answer) = server.greet(damaged).await;
    assert_eq!(
        refused(answer),
        "a greeting came damaged: its checksum is wrong"
    );
    let mut other = hello(9);
    other.body_version = Some(1);
    let (_, answer) = server.greet(other).await;
    assert_eq!(refused(answer), "batches of version 1, here 2");
    let mut other = hello(9);
    other.wire_version = 2;
    let (_, answer) = server.greet(other).await;
    assert_eq!(refused(answer), "wire version 2, here 3");
    // What still comes from the old process is not taken.
    let mut old = old;
    let mut bytes = Vec::new();
    codec::write_frame(&batch(&streams(), &simple(2)), 0..2, &mut bytes).unwrap();
    let mut checksums = Checksums::new(None);
    let _ = old.write_all(&frame::head(&bytes, &mut checksums)).await;
    let _ = old.write_all(&bytes).await;
    let mut rest = Vec::new();
    let _ = old.read_to_end(&mut rest).await;
    assert_eq!(server.basket.n_rows(), 0);
    server.end().await;
}

#[tokio::test]
async fn a_bad_frame_closes_its_link_and_fails_what_it_carried() {
    let server = Server::start().await;
    let mut bad = Vec::new();
    let mut other = simple(2);
    other[1].head.target_task = TaskId(59);
    codec::write_frame(&batch(&streams(), &other), 0..2, &mut bad).unwrap();
    let hello = messages::Frame::Hello(identity(1, 7).hello(1));
    let misplaced = crate::wire::to_bytes(&hello).unwrap().to_vec();
    for (session, frame) in [(1, bad), (2, misplaced), (3, vec![12, 0])] {
        let (mut stream, welcome) = server.greet(identity(1, 7).hello(session)).await;
        let head = frame::head(&frame, &mut checksums_of(&welcome));
        stream.write_all(&head).await.unwrap();
        stream.write_all(&frame).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        // It counts as arrived: sent again it would be as bad.
        let (_, welcome) = server.greet(identity(1, 7).hello(session)).await;
        let messages::Frame::Welcome(welcome) = welcome else {
            panic!("the next connection is good: {welcome:?}");
        };
        assert_eq!(welcome.received, Some(1));
    }
    let (mut stream, _) = server.greet(identity(1, 7).hello(4)).await;
    stream.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    server
        .basket
        .until("closed", |_| server.counters.n_broken() >= 4)
        .await;
    assert_eq!(server.basket.n_rows(), 0);
    assert_eq!(*server.basket.failed.lock().unwrap(), [0, 1]);
    server.end().await;
}

#[tokio::test]
async fn tuples_for_a_task_that_the_topology_does_not_have_cost_their_link() {
    let server = Server::start().await;
    let hello = || identity(1, 7).hello(1);
    let (mut stream, welcome) = server.greet(hello()).await;
    let mut checksums = checksums_of(&welcome);
    // The first is another worker's by now.
    for task in [OTHERS_TASK, TaskId(OTHERS_TASK.0 + 1)] {
        let rows = simple(1).into_iter().map(|row| row.to(task));
        let mut frame = Vec::new();
        codec::write_frame(
            &batch(&streams(), &rows.collect::<Vec<_>>()),
            0..1,
            &mut frame,
        )
        .unwrap();
        let head = frame::head(&frame, &mut checksums);
        stream
            .write_all(&[&head[..], &frame].concat())
            .await
            .unwrap();
    }
    server
        .basket
        .until("it is closed", |_| server.counters.n_broken() == 1)
        .await;
    assert_eq!(*server.basket.failed.lock().unwrap(), [0, 0]);
    let (_, welcome) = server.greet(hello()).await;
    let messages::Frame::Welcome(welcome) = welcome else {
        panic!("the next connection is good: {welcome:?}");
    };
    assert_eq!(welcome.received, Some(2));
    let accounts = welcome.grants.unwrap();
    let accounts: Vec<_> = accounts.iter().map(|grant| TaskId(grant.task)).collect();
    assert_eq!(accounts, [OTHERS_TASK]);
    server.end().await;
}

/// Of frames behind such an answer to a greeting.
fn checksums_of(welcome: &messages::Frame) -> Checksums {
    let messages::Frame::Welcome(welcome) = welcome else {
        panic!("not welcome: {welcome:?}");
    };
    assert!(welcome.salt.is_some());
    Checksums::new(welcome.salt)
}

#[tokio::test]
async fn a_frame_that_comes_again_closes_its_link_and_is_not_taken() {
    let server = Server::start().await;
    let mut body = Vec::new();
    codec::write_frame(&batch(&streams(), &simple(2)), 0..2, &mut body).unwrap();
    let hello = || identity(1, 7).hello(1);
    let (mut stream, welcome) = server.greet(hello()).await;
    let head = frame::head(&body, &mut checksums_of(&welcome));
    // As it was recorded, twice.
    let recorded = [&head[..], &body].concat();
    stream.write_all(&recorded).await.unwrap();
    stream.write_all(&recorded).await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    server
        .basket
        .until("the repeated frame is found out", |_| {
            server.counters.n_broken() == 1
        })
        .await;
    // And on a connection of its own, from its greeting on.
    let (mut stream, welcome) = server.greet(hello()).await;
    let messages::Frame::Welcome(welcome) = welcome else {
        panic!("the next connection is good: {welcome:?}");
    };
    assert_eq!(welcome.received, Some(1));
    stream.write_all(&recorded).await.unwrap();
    let _ = stream.read_to_end(&mut rest).await;
    server
        .basket
        .until("the recorded connection is found out", |_| {
            server.counters.n_broken() == 2
        })
        .await;
    assert_eq!(server.basket.n_rows(), 2);
    assert!(server.basket.failed.lock().unwrap().is_empty());
    server.end().await;
}

/// The last of the topology, which this worker does not run.
const OTHERS_TASK: TaskId = TaskId(61);
/// Some tens of frames of these tests.
const WINDOW: usize = 4000;
