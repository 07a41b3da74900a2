//! Shell components with real children: Python processes that talk, err, hang and die.

mod bolt;
mod handshake;
mod spout;
mod trouble;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::component::shell::{ShellBolt, ShellSpout};
use crate::component::{Bolt, Spout, TaskContext, Waker};
use crate::conf::Conf;
use crate::tuple::Value;
use crate::wire::storm::ShellComponent;
use crate::worker::harness::{self, Emitted, Harness, Verdict};

/// A component, its task and a place for its children.
struct Rig<C> {
    component: C,
    harness: Harness,
    directory: TempDir,
    woken: Arc<AtomicBool>,
    emitted: Vec<Emitted>,
    verdicts: Vec<Verdict>,
    errors: Vec<String>,
    // Last: children end before their runtime.
    runtime: tokio::runtime::Runtime,
}

/// What a component does when its executor has a turn.
trait Turn {
    fn turn(&mut self, harness: &mut Harness);
}

impl Turn for ShellBolt {
    fn turn(&mut self, harness: &mut Harness) {
        self.poll(&mut harness.collector()).unwrap();
    }
}

impl Turn for ShellSpout {
    fn turn(&mut self, harness: &mut Harness) {
        self.poll(&mut harness.spout_collector()).unwrap();
        if self.ready() {
            self.next_tuple(&mut harness.spout_collector()).unwrap();
        }
    }
}

// === impl Rig ===

impl Rig<ShellBolt> {
    /// A bolt whose child runs `body` after the adapter's functions.
    fn bolt(body: &str, conf: Conf) -> Self {
        let shell = python(body);
        Rig::bolt_of(shell, body, conf)
    }

    fn bolt_of(shell: ShellComponent, body: &str, conf: Conf) -> Self {
        let mut rig = Rig::new(ShellBolt::new(shell), body);
        let context = rig.context(conf);
        rig.component.prepare(&context).unwrap();
        rig
    }

    /// Feeds a word where there is room, without a look at what the child says.
    fn feed_in_turn(&mut self, word: &str) {
        let tuple = self.harness.input(&crate::values![word]);
        let mut out = self.harness.collector();
        self.component.execute(&tuple.view(), &mut out).unwrap();
    }

    /// Feeds a word, waiting for room; gives the number that verdicts have.
    fn feed(&mut self, word: &str) {
        self.until("room", |rig| rig.component.room() > 0);
        let tuple = self.harness.input(&crate::values![word]);
        self.component
            .execute(&tuple.view(), &mut self.harness.collector())
            .unwrap();
    }
}

impl Rig<ShellSpout> {
    fn spout(body: &str, conf: Conf) -> Self {
        let mut rig = Rig::new(ShellSpout::new(python(body)), body);
        let context = rig.context(conf);
        rig.component.open(&context).unwrap();
        rig.component.activate().unwrap();
        rig
    }

    /// What an acker would say of the n-th tracked tuple, from 0.
    fn tracked(number: i64) -> Value {
        Value::Long(number)
    }
}

impl<C: Turn> Rig<C> {
    fn new(component: C, body: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let resources = directory.path().join("resources");
        std::fs::create_dir_all(&resources).unwrap();
        let script = format!("{ADAPTER}\n{body}");
        std::fs::write(resources.join("child.py"), script).unwrap();
        let fields: &[(&str, &[&str])] = &[
            ("default", &["word"]),
            ("other", &["a", "b"]),
            ("direct1", &["word"]),
        ];
        Rig {
            component,
            harness: Harness::new(fields),
            directory,
            woken: Arc::default(),
            emitted: Vec::new(),
            verdicts: Vec::new(),
            errors: Vec::new(),
            runtime,
        }
    }

    fn context(&mut self, conf: Conf) -> TaskContext {
        let _guard = self.runtime.enter();
        let (thread, woken) = (std::thread::current(), Arc::clone(&self.woken));
        let waker = Waker::new(move || {
            woken.store(true, Ordering::SeqCst);
            thread.unpark();
        });
        harness::context(self.directory.path(), conf, waker)
    }

    /// Takes turns whenever the waker fires, until `done`. Fails when that takes too long.
    #[track_caller]
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.turn();
            if done(self) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "no {what}: emitted {:?}, verdicts {:?}, errors {:?}",
                self.emitted,
                self.verdicts,
                self.errors
            );
            if !self.woken.swap(false, Ordering::SeqCst) {
                std::thread::park_timeout(TURN_PAUSE);
            }
        }
    }

    fn turn(&mut self) {
        self.component.turn(&mut self.harness);
        self.emitted.append(&mut self.harness.emitted());
        self.verdicts.append(&mut self.harness.verdicts());
        self.errors.append(&mut self.harness.errors());
    }

    fn words(&self) -> Vec<String> {
        let first = |tuple: &Emitted| {
            tuple
                .values
                .first()
                .map_or_else(String::new, Value::to_string)
        };
        self.emitted.iter().map(first).collect()
    }

    /// Records of process groups and pid files.
    fn traces(&self) -> usize {
        let count = |folder: &str| {
            let path: PathBuf = self.directory.path().join(folder);
            std::fs::read_dir(path).unwrap().count()
        };
        count("groups") + count("pids")
    }
}

fn python(_body: &str) -> ShellComponent {
    ShellComponent {
        execution_command: Some("python3".to_owned()),
        script: Some("child.py".to_owned()),
    }
}

fn conf(entries: &[(&str, serde_json::Value)]) -> Conf {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

const ADAPTER: &str = include_str!("child.py");
const PATIENCE: Duration = Duration::from_secs(30);
/// So that what no waker announces (restarts) is seen too.
const TURN_PAUSE: Duration = Duration::from_millis(50);
