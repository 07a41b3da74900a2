//! Windowed bolts in an engine of one thread: tuples a second through a sliding count of words, and
//! what they take of memory. Every tuple is tracked, so it is pending until it leaves its windows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stormwire::component::native::pass::NullBolt;
use stormwire::component::native::window::WindowCountBolt;
use stormwire::component::window::{Count, Runner};
use stormwire::component::{
    Blueprint, ComponentFailure, Factory, Instance, Result, Spout, SpoutCollector, TaskContext,
};
use stormwire::conf::{Conf, keys};
use stormwire::id::{ComponentId, TopologyId};
use stormwire::topology::tasks;
use stormwire::tuple::Value;
use stormwire::values;
use stormwire::window::WindowConfig;
use stormwire::wire::storm;
use stormwire::worker::engine::{Engine, EngineOptions};
use stormwire::worker::program::Program;

/// Emits one of a thousand words, again and again.
struct WordSpout {
    n_emitted: i64,
    n_acked: Arc<AtomicU64>,
}

struct Components(Arc<AtomicU64>);

impl Factory for Components {
    fn create(&self, component: &ComponentId, _: Blueprint<'_>) -> Result<Instance> {
        Ok(match component.as_str() {
            "words" => Instance::Spout(Box::new(WordSpout {
                n_emitted: 0,
                n_acked: Arc::clone(&self.0),
            })),
            "count" => Instance::Bolt(Box::new(Runner::new(WindowCountBolt::new(None)))),
            "sink" => Instance::Bolt(Box::new(NullBolt)),
            other => return Err(ComponentFailure::new(format!("no `{other}` here"))),
        })
    }
}

impl Spout for WordSpout {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let id = self.n_emitted;
        self.n_emitted += 1;
        // A full period of all thousand, in no order.
        let number = id.wrapping_mul(387).rem_euclid(1000);
        let bytes = [0, 1, 2].map(|place| b'a' + (number / 10i64.pow(place) % 10) as u8);
        let word = std::str::from_utf8(&bytes)?;
        out.emit_reliable(values![word], Value::Long(id))
    }

    fn ack(&mut self, _: &Value) {
        self.n_acked.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let millis = Duration::from_millis;
    println!("window of | slides by | tuples/s | tuples a CPU second | memory, MiB");
    // The largest last: memory is not given back between them.
    let cases = [
        (
            "1000",
            "1000",
            WindowConfig::new().with_tumbling_window(Count(1000)),
        ),
        (
            "1000",
            "100",
            WindowConfig::new().with_window(Count(1000), Count(100)),
        ),
        (
            "1 s",
            "100 ms",
            WindowConfig::new().with_window(SECOND, millis(100)),
        ),
        (
            "1 s",
            "1 s",
            WindowConfig::new().with_tumbling_window(SECOND),
        ),
        (
            "10 s",
            "1 s",
            WindowConfig::new().with_window(10 * SECOND, SECOND),
        ),
    ];
    for (length, sliding, config) in cases {
        let warm_up = match length {
            "10 s" => 25 * SECOND,
            _ => 4 * SECOND,
        };
        let (rate, cores, memory) = run(&config, warm_up);
        let per_cpu = rate / cores.max(1e-3);
        println!("{length} | {sliding} | {rate:.0} | {per_cpu:.0} | {memory:.0}");
    }
}

/// Tuples acked a second, cores used, resident MiB.
fn run(config: &WindowConfig, warm_up: Duration) -> (f64, f64, f64) {
    let n_acked = Arc::new(AtomicU64::new(0));
    let conf = Conf::defaults()
        .with(keys::TOPOLOGY_WORKERS, 1)
        .with(keys::TOPOLOGY_ACKER_EXECUTORS, 1)
        .with(keys::TOPOLOGY_MAX_SPOUT_PENDING, PENDING_MAX);
    let program = Program::new(TopologyId::from("bench-1-1"), topology(config), conf);
    let program = program.expect("a topology that can run");
    let wanted = tasks::parallelism(&program.system);
    let executors = tasks::executors(&program.view.task_components, &wanted);
    let executors: Vec<_> = executors.into_keys().collect();
    let options = EngineOptions {
        n_threads: 1,
        ..EngineOptions::local(1)
    };
    let factory = Arc::new(Components(Arc::clone(&n_acked)));
    let engine = Engine::start(Arc::new(program), &executors, factory, options);
    let engine = engine.expect("an engine that starts");
    engine.activate();
    std::thread::sleep(warm_up);
    let (before, cpu, started) = (n_acked.load(Ordering::Relaxed), cpu_secs(), Instant::now());
    std::thread::sleep(MEASURED);
    let secs = started.elapsed().as_secs_f64();
    let n_done = n_acked.load(Ordering::Relaxed) - before;
    let (cores, memory) = ((cpu_secs() - cpu) / secs, resident_mib());
    for error in engine.take_errors() {
        println!("{}: {}", error.component, error.text);
    }
    engine.stop(10 * SECOND).expect("threads that end");
    (n_done as f64 / secs, cores, memory)
}

fn topology(config: &WindowConfig) -> storm::StormTopology {
    let mut topology = storm::StormTopology::default();
    let spout = storm::SpoutSpec {
        spout_object: storm::ComponentObject::Unset,
        common: common(None, &["word"]),
    };
    topology.spouts.insert("words".to_owned(), spout);
    let mut count = common(Some("words"), &["word", "count"]);
    count.json_conf = Some(config.to_conf().to_json());
    for (id, common) in [("count", count), ("sink", common(Some("count"), &[]))] {
        let bolt = storm::Bolt {
            bolt_object: storm::ComponentObject::Unset,
            common,
        };
        topology.bolts.insert(id.to_owned(), bolt);
    }
    topology
}

fn common(from: Option<&str>, fields: &[&str]) -> storm::ComponentCommon {
    let stream = storm::StreamInfo {
        output_fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        direct: false,
    };
    let input = from.map(|component| storm::GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: "default".to_owned(),
    });
    let shuffle = storm::Grouping::LocalOrShuffle(storm::NullStruct::default());
    storm::ComponentCommon {
        inputs: input.map(|input| (input, shuffle)).into_iter().collect(),
        streams: BTreeMap::from([("default".to_owned(), stream)]),
        parallelism_hint: Some(1),
        ..Default::default()
    }
}

/// Of this process, threads that ended included.
fn cpu_secs() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    let usage = usage.expect("a process knows its usage");
    let secs = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    secs(usage.user_time()) + secs(usage.system_time())
}

fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0.0) * 4096.0 / 1024.0 / 1024.0
}

const SECOND: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(10);
/// Bounds memory, and so the rate where tuples stay long: 3 million over 11 s.
const PENDING_MAX: i64 = 3_000_000;
