//! The tuple cases by name, with storm-perf's parameters, and which variants of them the standard
//! table has.
//!
//! Says what to run; `flow` runs it.

use std::path::Path;

use anyhow::Result;

use super::meters::Count;
use super::plan::{self, Arg, By, Part, Plan, SPOUT};
use super::{certificates, child, words};
use crate::conf::{Conf, keys};

/// A tuple case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    ConstSpout,
    ConstNull,
    ConstIdNull,
    WordCount,
    Compression,
    SimpleWordCount,
    Files,
    LowThroughput,
    BackPressure,
    ThroughputLatency,
    Tls,
    /// A bolt that is a child process.
    Shell(Child),
}

/// What a shell bolt's child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// As fast as a child can be (`child`): the engine is the limit.
    Fast,
    /// Of Python, a message at a time: the child is the limit.
    Plain,
}

/// What is done with a topology that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As fast as it can: its rate.
    Full,
    /// Until its spout's end: the time.
    Drained,
    /// Slowly, by itself: latency and CPU.
    Slow,
    /// Against a bolt that is too slow: memory.
    Blocked,
    /// At higher and higher rates: the last one whose latency is bearable.
    Ladder,
}

/// How a case runs.
#[derive(Clone, Debug)]
pub struct Variant {
    pub flow: Flow,
    pub is_acked: bool,
    /// Of the acked ones; none: no bound.
    pub pending: Option<i64>,
    pub n_workers: usize,
    /// Executors of each component, where a case has a choice.
    pub width: i32,
    pub sleep_ms: i64,
    pub link: Link,
    /// In a real worker, also where there is only one.
    pub in_cluster: bool,
    /// `topology.producer.batch.size` of genuine Storm.
    pub batch: i64,
}

/// What the link between two workers does beside carrying tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Plain,
    Compressed,
    Encrypted(Cipher),
}

/// What encrypts a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Aes128,
    Aes256,
}

/// What a figure has to reach, by the project's own word.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// Million a second.
    pub at_least: f64,
    pub aim: f64,
}

// === impl Flow ===

impl Flow {
    pub fn name(self) -> &'static str {
        match self {
            Flow::ConstSpout => "const-spout",
            Flow::ConstNull => "const-null",
            Flow::ConstIdNull => "const-id-null",
            Flow::WordCount => "word-count",
            Flow::Compression => "compression",
            Flow::SimpleWordCount => "simple-word-count",
            Flow::Files => "files",
            Flow::LowThroughput => "low-throughput",
            Flow::BackPressure => "back-pressure",
            Flow::ThroughputLatency => "throughput-latency",
            Flow::Tls => "tls",
            Flow::Shell(Child::Fast) => "shell-bolt",
            Flow::Shell(Child::Plain) => "shell-bolt-python",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Flow::Files => Kind::Drained,
            Flow::LowThroughput => Kind::Slow,
            Flow::BackPressure => Kind::Blocked,
            Flow::ThroughputLatency => Kind::Ladder,
            _ => Kind::Full,
        }
    }

    /// What is counted, in words.
    pub fn unit(self) -> &'static str {
        match self {
            Flow::WordCount | Flow::Compression => "sentences",
            _ => "tuples",
        }
    }

    /// The variants of the standard table; `is_long` those of a long run, too.
    pub fn variants(self, is_long: bool) -> Vec<Variant> {
        let base = Variant::new(self);
        let both = |variant: &Variant| [variant.clone().acked(false), variant.clone().acked(true)];
        let two = Variant {
            n_workers: 2,
            ..base.clone()
        };
        match self {
            Flow::ConstSpout => vec![base.acked(false)],
            Flow::ConstNull if is_long => base.bounds_and_batches(),
            Flow::ConstNull => [both(&base), both(&two)].concat(),
            Flow::ConstIdNull if is_long => [both(&base), both(&two)].concat(),
            Flow::ConstIdNull | Flow::WordCount | Flow::SimpleWordCount => both(&base).into(),
            Flow::Compression => vec![two.clone(), two.link(Link::Compressed)],
            Flow::Tls => {
                let links = |variant: Variant| LINKS.map(|link| variant.clone().link(link));
                both(&two).into_iter().flat_map(links).collect()
            }
            Flow::Files => vec![base],
            Flow::LowThroughput => {
                let sleeps: &[i64] = if is_long { &[1, 10, 100] } else { &[1] };
                let sleeping = |sleep_ms: &i64| Variant {
                    sleep_ms: *sleep_ms,
                    ..base.clone()
                };
                sleeps.iter().map(sleeping).collect()
            }
            Flow::BackPressure => both(&base).into(),
            // Children are no business of an engine without daemons.
            Flow::Shell(_) => vec![Variant {
                in_cluster: true,
                ..base
            }],
            Flow::ThroughputLatency => {
                let shapes: &[(i32, usize)] = match is_long {
                    true => &[(1, 1), (1, 2), (1, 4), (4, 1), (4, 2), (4, 4)],
                    false => &[(1, 1), (4, 2)],
                };
                let shaped = |(width, n_workers): &(i32, usize)| {
                    let links = match ((width, n_workers), is_long) {
                        ((4, 2), true) => &LINKS[..],
                        ((4, 2), false) => &LINKS[..2],
                        _ => &LINKS[..1],
                    };
                    let variant = Variant {
                        width: *width,
                        n_workers: *n_workers,
                        in_cluster: true,
                        ..base.clone()
                    };
                    links.iter().map(move |link| variant.clone().link(*link))
                };
                shapes.iter().flat_map(shaped).collect()
            }
        }
    }

    pub const ALL: [Flow; 13] = [
        Flow::ConstSpout,
        Flow::ConstNull,
        Flow::ConstIdNull,
        Flow::WordCount,
        Flow::Compression,
        Flow::SimpleWordCount,
        Flow::Files,
        Flow::LowThroughput,
        Flow::BackPressure,
        Flow::ThroughputLatency,
        Flow::Tls,
        Flow::Shell(Child::Fast),
        Flow::Shell(Child::Plain),
    ];
}

// === impl Variant ===

impl Variant {
    fn new(flow: Flow) -> Self {
        Variant {
            flow,
            is_acked: true,
            pending: Some(PENDING),
            n_workers: 1,
            width: 1,
            sleep_ms: 1,
            link: Link::Plain,
            in_cluster: false,
            batch: BATCH,
        }
    }

    pub fn acked(mut self, is_acked: bool) -> Self {
        self.is_acked = is_acked;
        self
    }

    fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// As storm-perf varies it: workers, batches, and how many tuples may be pending.
    fn bounds_and_batches(&self) -> Vec<Variant> {
        let mut variants = Vec::new();
        for (n_workers, batch) in [(1, BATCH), (1, 1), (2, BATCH), (2, 1)] {
            let each = Variant {
                n_workers,
                batch,
                ..self.clone()
            };
            variants.push(each.clone().acked(false));
            let bounds = [Some(PENDING), None, Some(PENDING_FEW)];
            variants.extend(bounds.map(|pending| Variant {
                pending,
                ..each.clone()
            }));
        }
        variants
    }

    /// Whether ours runs in worker processes.
    pub fn needs_cluster(&self) -> bool {
        self.in_cluster || self.n_workers > 1
    }

    /// Whether the public jars of genuine Storm can do the same.
    pub fn has_genuine(&self) -> bool {
        self.link == Link::Plain && self.n_workers <= 2
    }

    /// The case with what it varies by.
    pub fn name(&self) -> String {
        let mut name = self.flow.name().to_owned();
        let mut add = |text: &str| {
            name.push_str(", ");
            name.push_str(text);
        };
        match self.flow {
            Flow::ConstSpout | Flow::Files | Flow::Shell(_) => {}
            Flow::LowThroughput => add(&format!("{} ms", self.sleep_ms)),
            Flow::ThroughputLatency => add(&format!("{0}/{0}/{0}", self.width)),
            _ if !self.is_acked => add("no acks"),
            _ => add("acked"),
        }
        let usual = if self.is_acked {
            Some(PENDING)
        } else {
            self.pending
        };
        match self.pending {
            pending if pending == usual => {}
            Some(pending) => add(&format!("{pending} pending")),
            None => add("no bound"),
        }
        if self.batch != BATCH {
            add(&format!("batch {}", self.batch));
        }
        if self.n_workers > 1 {
            add(&format!("{} workers", self.n_workers));
        }
        match self.link {
            Link::Plain => {}
            Link::Compressed => add("compressed"),
            Link::Encrypted(cipher) => add(&format!("{TLS} {}", cipher.name())),
        }
        name
    }

    /// The same without encryption, by name, if it has any.
    pub fn plain_name(encrypted: &str) -> Option<&str> {
        let (plain, _) = encrypted.split_once(&format!(", {TLS} "))?;
        Some(plain)
    }

    /// What of the topology counts.
    pub fn done(&self) -> Count {
        match self.flow {
            Flow::ConstSpout => Count::Emitted,
            _ if self.is_acked && self.flow != Flow::BackPressure => Count::Acked,
            // Sentences, not words, and all that are emitted are soon counted: queues are bounded.
            Flow::WordCount | Flow::Compression | Flow::Shell(_) => Count::Emitted,
            _ => Count::Executed,
        }
    }

    /// Whether it has the settings of which goals and recorded figures are.
    fn has_best_settings(&self) -> bool {
        let is_bounded = !self.is_acked || self.pending == Some(PENDING);
        self.link == Link::Plain && self.batch == BATCH && is_bounded
    }

    /// What the project wants of it.
    pub fn goal(&self) -> Option<Goal> {
        if !self.has_best_settings() {
            return None;
        }
        let (at_least, aim) = match (self.flow, self.is_acked, self.n_workers) {
            (Flow::ConstNull, false, 1) => (40.0, 100.0),
            (Flow::ConstNull, true, 1) => (20.0, 50.0),
            (Flow::ConstIdNull, true, 1) => (12.0, 30.0),
            (Flow::WordCount, false, 1) => (2.0, 4.0),
            (Flow::WordCount, true, 1) => (1.0, 2.5),
            (Flow::ConstNull, false, 2) => (15.0, 40.0),
            (Flow::ConstNull, true, 2) => (6.0, 20.0),
            _ => return None,
        };
        Some(Goal { at_least, aim })
    }

    /// What genuine Storm reached at its best settings when the suite was designed, in million a
    /// second: from, to. Of another machine; for a run without genuine Storm.
    pub fn recorded(&self) -> Option<(f64, f64)> {
        if !self.has_best_settings() {
            return None;
        }
        Some(match (self.flow, self.is_acked, self.n_workers) {
            (Flow::ConstSpout, false, 1) => (26.0, 26.0),
            (Flow::ConstNull, false, 1) => (4.9, 7.1),
            (Flow::ConstNull, true, 1) => (0.97, 1.14),
            (Flow::ConstIdNull, false, 1) => (2.8, 3.5),
            (Flow::ConstIdNull, true, 1) => (0.43, 0.58),
            (Flow::WordCount, false, 1) => (0.22, 0.29),
            (Flow::WordCount, true, 1) => (0.12, 0.14),
            (Flow::ConstNull, false, 2) => (1.1, 2.7),
            (Flow::ConstNull, true, 2) => (0.36, 0.43),
            _ => return None,
        })
    }

    /// The topology and its settings; files that it reads are written into the directory.
    pub fn plan(&self, directory: &Path) -> Result<Plan> {
        let spout = |class| Part::spout(class, directory, self.is_acked).times(self.width);
        let end = |class, input| Part::bolt("sink", class, input).with(Arg::path(directory));
        let constant = || spout("stormwire.bench.ConstSpout");
        let null = "stormwire.bench.NullBolt";
        let from_spout = (SPOUT, By::LocalOrShuffle);
        let by_word = |from| {
            let count = end("stormwire.bench.CountBolt", (from, By::Field("word")));
            count.declaring(&["word", "count"]).times(self.width)
        };
        let split = |by| {
            let split = Part::bolt("split", "stormwire.Split", (SPOUT, by));
            split.declaring(&["word"]).times(self.width)
        };
        let lines = |path: &Path, is_words: bool| {
            let spout = spout("stormwire.bench.LineSpout").with(Arg::path(path));
            spout.with(Arg::Flag(is_words))
        };
        let parts = match self.flow {
            Flow::ConstSpout => vec![constant()],
            Flow::ConstNull | Flow::Tls => vec![constant(), end(null, from_spout)],
            Flow::ConstIdNull => vec![
                constant(),
                Part::bolt("id", "stormwire.IdBolt", from_spout).declaring(&["str"]),
                end(null, ("id", By::LocalOrShuffle)),
            ],
            Flow::WordCount | Flow::Compression => {
                let path = match self.flow {
                    Flow::Compression => words::long_lines(directory)?,
                    _ => words::sentences(directory)?,
                };
                vec![
                    lines(&path, false),
                    split(By::LocalOrShuffle),
                    by_word("split"),
                ]
            }
            Flow::SimpleWordCount => {
                let path = words::sentences(directory)?;
                vec![lines(&path, true).declaring(&["word"]), by_word(SPOUT)]
            }
            Flow::Files => {
                let strings = spout("stormwire.bench.StringSpout").with(Arg::Whole(N_STRINGS));
                let file = end("stormwire.bench.FileBolt", from_spout);
                vec![strings, file.with(Arg::Whole(SYNC_EVERY))]
            }
            Flow::LowThroughput => {
                let sleeping = spout("stormwire.bench.SleepSpout").declaring(&["nanos"]);
                let latency = end("stormwire.bench.LatencyBolt", from_spout);
                vec![sleeping.with(Arg::Whole(self.sleep_ms)), latency]
            }
            Flow::BackPressure => {
                let sleeping = end("stormwire.bench.SleepBolt", from_spout);
                vec![constant(), sleeping.with(Arg::Whole(1))]
            }
            Flow::Shell(child) => vec![constant(), shell(child, directory)?],
            Flow::ThroughputLatency => {
                let sentences = spout("stormwire.bench.SentenceSpout");
                vec![sentences, split(By::Shuffle), by_word("split")]
            }
        };
        let conf = self.conf().overlay(&self.link.conf(directory)?);
        Ok(Plan::new(conf, parts))
    }

    /// Storm-perf's, with the best settings of genuine Storm: batches of 500, progressive waits.
    fn conf(&self) -> Conf {
        let mut conf = Conf::new()
            .with(keys::TOPOLOGY_WORKERS, self.n_workers)
            .with(keys::TOPOLOGY_ACKER_EXECUTORS, i64::from(self.is_acked))
            .with(keys::TOPOLOGY_DISABLE_LOADAWARE_MESSAGING, true)
            .with(keys::TOPOLOGY_STATS_SAMPLE_RATE, 0.0005);
        if let Some(pending) = self.pending.filter(|_| self.is_acked) {
            conf = conf.with(keys::TOPOLOGY_MAX_SPOUT_PENDING, pending);
        }
        if self.flow == Flow::ThroughputLatency {
            conf = conf.with(keys::TOPOLOGY_ACKER_EXECUTORS, self.width);
        }
        if matches!(self.flow, Flow::LowThroughput | Flow::BackPressure) {
            return conf.with(keys::TOPOLOGY_SPOUT_RECVQ_SKIPS, 1);
        }
        conf = conf
            .with(keys::TOPOLOGY_SPOUT_RECVQ_SKIPS, 8)
            .with(keys::TOPOLOGY_PRODUCER_BATCH_SIZE, self.batch);
        match self.flow {
            Flow::ConstNull | Flow::ConstIdNull | Flow::Tls => {
                conf.with(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, RECEIVE_BUFFER)
            }
            _ => conf,
        }
    }
}

/// A shell bolt whose child does nothing but ack.
fn shell(child: Child, directory: &Path) -> Result<Part> {
    let [program, script] = match child {
        Child::Fast => [std::env::current_exe()?, child::VERB.into()],
        Child::Plain => {
            let script = directory.join("child.py");
            std::fs::write(&script, child::PLAIN)?;
            ["python3".into(), script]
        }
    };
    let bolt = Part::bolt("shell", plan::SHELL, (SPOUT, By::LocalOrShuffle));
    Ok(bolt.with(Arg::path(&program)).with(Arg::path(&script)))
}

// === impl Link ===

impl Link {
    /// Settings of a topology whose links are so; certificates are written into the directory.
    fn conf(self, directory: &Path) -> Result<Conf> {
        Ok(match self {
            Link::Plain => Conf::new(),
            Link::Compressed => Conf::new().with(keys::TOPOLOGY_TUPLE_COMPRESSION_ENABLE, true),
            Link::Encrypted(cipher) => {
                let conf = certificates::given(directory)?;
                conf.with(keys::STORM_MESSAGING_NETTY_TLS_CIPHERS, cipher.suite())
            }
        })
    }
}

// === impl Cipher ===

impl Cipher {
    fn name(self) -> &'static str {
        match self {
            Cipher::Aes128 => "AES-128",
            Cipher::Aes256 => "AES-256",
        }
    }

    /// Of TLS 1.3, the only one that is allowed then.
    fn suite(self) -> &'static str {
        match self {
            Cipher::Aes128 => "TLS_AES_128_GCM_SHA256",
            Cipher::Aes256 => "TLS_AES_256_GCM_SHA384",
        }
    }
}

/// Those that are held against each other, one after another.
const LINKS: [Link; 3] = [
    Link::Plain,
    Link::Encrypted(Cipher::Aes128),
    Link::Encrypted(Cipher::Aes256),
];
/// In names.
const TLS: &str = "TLS";

/// Genuine Storm's best for acked cases.
const PENDING: i64 = 5000;
const PENDING_FEW: i64 = 500;
const BATCH: i64 = 500;
const RECEIVE_BUFFER: i64 = 50_000;
/// As storm-perf's string generator is shipped.
const N_STRINGS: i64 = 30_000;
const SYNC_EVERY: i64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::factory;

    #[test]
    fn every_variant_is_a_topology_that_can_run() {
        let directory = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for flow in Flow::ALL {
            for variant in flow.variants(true) {
                let plan = variant.plan(directory.path()).unwrap();
                let checked = factory::check(&plan.topology(), &Conf::defaults());
                assert_eq!(checked, Ok(()), "{}", variant.name());
                let conf = Conf::defaults().overlay(&plan.conf);
                crate::conf::validate::topology(&conf).unwrap();
                names.push(variant.name());
            }
        }
        let n_names = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n_names, "two variants have one name");
    }
}
