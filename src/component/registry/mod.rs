//! Names of built-in components, and how they come to life: what a topology may write as
//! `JavaObject.full_class_name`, in any language with a Thrift client.
//!
//! Arguments in `[]` may be left out. Outputs are positions: the topology names the fields. Every
//! name in `org.apache.storm` is also known by its older one in `backtype.storm`, and starter
//! classes also as `storm.starter`.
//!
//! | spout `stormwire.` | arguments | emits |
//! |---|---|---|
//! | `FileLineSpout` | path, [loop: bool] | (number from 1: long, line) |
//! | `TimerSpout` | interval in ms, [how many] | (sequence from 0: long, wall ms: long) |
//! | `RandomSentenceSpout` | [seed], [interval in ms], [how many] | (sentence), replayed |
//! | `ConstSpout` | [text] | (text) |
//! | `GatewaySpout` | | what processes of their own emit: see `gateway` |
//! | `testing.LedgerSpout` | path, directory | (partition, seq, attempt: long) |
//!
//! `FileLineSpout` emits (number of lines: long) to the stream `done`, if that is declared, when
//! each line of the file is acked.
//!
//! | bolt `stormwire.` | arguments | takes | emits |
//! |---|---|---|---|
//! | `Split` | [field] | (text) | (word) |
//! | `SplitNumbered` | | (number, line) | (word, number, position from 0: long) |
//! | `Count` | [path of totals] | (word) | (word, count: long) |
//! | `CountOnce` | [path of totals] | (word, line, position) | (word, count: long) |
//! | `Filter` | field, comparison, value | any | the same |
//! | `Project` | field, ... | any | these fields |
//! | `Log` | [prefix] | any | |
//! | `FileSink` | path, [separator] | any | |
//! | `IdBolt` | | any | the same |
//! | `NullBolt` | | any | |
//! | `GatewayBolt` | | any | what processes of their own emit |
//! | `testing.LedgerSink` | directory | (partition, seq, attempt) | |
//! | `testing.CredentialDigest` | path | any | |
//!
//! | windowed bolt `stormwire.` | arguments | emits for each window |
//! |---|---|---|
//! | `WindowCount` | [field] | (value, count: long) for each value of the field |
//! | `WindowSum` | [field] | (sum: long or double, number of tuples: long) |
//! | `WindowPass` | | what is new in it, as it came |
//! | `testing.WindowTrace` | path | nothing: a line of JSON for each window |
//!
//! A windowed bolt's window is configuration of its component, by Storm's keys
//! (`topology.bolts.window.length.count` and its kin, `crate::window::WindowConfig`).
//!
//! | `org.apache.storm.` | is |
//! |---|---|
//! | `perf.spout.ConstSpout`, `perf.bolt.IdBolt` | as `stormwire`'s |
//! | `perf.bolt.SplitSentenceBolt`, `perf.bolt.DevNullBolt` | `Split`, `NullBolt` |
//! | `testing.TestWordSpout` | [distributed: bool]: (word) every 100 ms |
//! | `testing.TestWordCounter` | (word) in: (word, count: int) |
//! | `testing.TestGlobalCount` | any in: (count: int) |
//! | `testing.TestAggregatesCounter` | (word, count) in: (sum of the words' counts: int) |
//! | `testing.IdentityBolt` | `IdBolt` |
//! | `starter.spout.RandomSentenceSpout` | (sentence) every 100 ms |
//! | `starter.bolt.PrinterBolt`, `flux.wrappers.bolts.LogInfoBolt` | `Log` |
//! | `flux.examples.TestPrintBolt` | `Log` |
//! | `flux.examples.WordCounter` | (word) in: (word, 1: int) |
//! | `flux.examples.TestWindowBolt` | windowed: (number of tuples: int) |
//! | `starter.WordCountTopology$WordCount` | as `TestWordCounter` |
//! | `starter.ExclamationTopology$ExclamationBolt` | (word) in: (word with !!!) |
//! | `drpc.DRPCSpout` | function: (args, info), of `drpc.servers` |
//! | `drpc.PrepareRequest` | (args, info) in: see below |
//! | `drpc.JoinResult` | component of the infos: (result: text, info) |
//! | `drpc.ReturnResults` | (result, info) in |
//! | `coordination.CoordinatedBolt` | sources, ids, the bolt inside: see below |
//! | `starter.ReachTopology$GetTweeters`, `$GetFollowers` | (request, key) in: (request, entry) |
//! | `starter.ReachTopology$PartialUniquer`, `$CountAggregator` | coordinated: (request, int) |
//! | `starter.ManualDRPC$ExclamationBolt` | (args, info) in: (args with !!!, info) |
//! | `starter.BasicDRPCTopology$ExclaimBolt` | (request, args) in: (request, args with !) |
//!
//! Of the bolts of DRPC topologies `info` is a spout's return info, where the result goes.
//! `PrepareRequest` emits (request: long, args), on `ret` (request, info), on `id` (request).
//! `JoinResult` joins (request, result) of any component with (request, info) of the one that it is
//! given. Java's `CoordinatedBolt` gets objects, which no Thrift client can send; ours gets texts:
//!
//! 1. the sources, `bolt0=single,bolt1=all`: whether one task of a source reports on a request, or
//!    each; empty for the first bolt;
//! 2. the stream of ids, `prepare-request:id`, or empty;
//! 3. the bolt inside: a class name and its arguments; or `shell`, a command and a script; or
//!    `shell-batch`, the same, whose child gets a last tuple, of the id stream or else of the
//!    coordination stream, when all tuples of a request are there.
//!
//! The component declares the direct stream
//! `org.apache.storm.coordination.CoordinatedBolt/coord-stream` (id, count), and the next one
//! subscribes to it directly.
//!
//! What `stormwire bench` measures with stands in `registry/bench.rs`.
//!
//! Relative paths lie in the topology's `resources`. Knows nothing of shell components (`shell`).

mod args;
mod bench;
mod coordinated;
mod declared;

use std::borrow::Cow;

pub use args::{Args, ArgumentError};
pub use declared::{Declared, declared};

use crate::component::drpc::coordinated::{BatchBolt, Delegate};
use crate::component::drpc::join_result::JoinResultBolt;
use crate::component::drpc::prepare_request::PrepareRequestBolt;
use crate::component::drpc::reach::{CountAggregator, LookUpBolt, PartialUniquer};
use crate::component::drpc::return_results::ReturnResultsBolt;
use crate::component::drpc::sample::{ExclaimBolt, ManualExclaimBolt};
use crate::component::drpc::spout::DrpcSpout;
use crate::component::gateway::{GatewayBolt, GatewaySpout};
use crate::component::native::count::{CountBolt, Repeats};
use crate::component::native::digest::CredentialDigestBolt;
use crate::component::native::file_line::{AtEnd, FileLineSpout};
use crate::component::native::file_sink::FileSinkBolt;
use crate::component::native::filter::FilterBolt;
use crate::component::native::ledger::{LedgerSinkBolt, LedgerSpout};
use crate::component::native::pass::{IdBolt, LogBolt, NullBolt, ProjectBolt};
use crate::component::native::sample::{
    AggregatesCountBolt, ExclamationBolt, GlobalCountBolt, WordCountBolt, WordOnceBolt,
};
use crate::component::native::sentence::{ChoiceSpout, ConstSpout, SENTENCES, Tracking, WORDS};
use crate::component::native::split::{SplitBolt, SplitNumberedBolt};
use crate::component::native::timer::TimerSpout;
use crate::component::native::window::{
    WindowCountBolt, WindowPassBolt, WindowSizeBolt, WindowSumBolt, WindowTraceBolt,
};
use crate::component::window::{Runner, WindowedBolt};
use crate::component::{Bolt, Spout};
use crate::wire::storm::JavaObject;

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Spout,
    Bolt,
}

/// Why a name and its arguments make no component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error(
        "class {class} is not built in: this cluster runs shell components and its own \
         (stormwire.*), and no code of a JVM"
    )]
    UnknownClass { class: String },
    #[error("{class} gathers what belongs together: name it inside a {COORDINATED}")]
    Uncoordinated { class: String },
    #[error("{class} is a {actual}, not a {wanted}")]
    WrongKind {
        class: String,
        actual: Kind,
        wanted: Kind,
    },
    #[error("{class}: {source}")]
    Argument {
        class: String,
        source: ArgumentError,
    },
}

/// A built-in component's names and how it is made.
struct Entry {
    names: &'static [&'static str],
    make: Make,
}

enum Make {
    Spout(fn(&mut Args<'_>) -> Result<Box<dyn Spout>, ArgumentError>),
    Bolt(fn(&mut Args<'_>) -> Result<Box<dyn Bolt>, ArgumentError>),
    Windowed(fn(&mut Args<'_>) -> Result<Box<dyn WindowedBolt>, ArgumentError>),
    /// For the inside of a `CoordinatedBolt` only.
    Batch(fn(&mut Args<'_>) -> Result<Box<dyn BatchBolt>, ArgumentError>),
}

/// Whether a class is built in, as a spout or as a bolt.
pub fn knows(class: &str) -> bool {
    find(class).is_some()
}

/// Whether a class is a windowed bolt, whose component's configuration has to make a window.
pub fn is_windowed(object: &JavaObject) -> bool {
    matches!(entry(object), Ok(entry) if matches!(entry.make, Make::Windowed(_)))
}

/// Whether an object makes a component of the kind it stands for: for submit, before anything runs.
pub fn check(object: &JavaObject, kind: Kind) -> Result<(), RegistryError> {
    match kind {
        Kind::Spout => spout(object).map(drop),
        Kind::Bolt => bolt(object).map(drop),
    }
}

/// Whether an object stands for components that are processes of their own.
pub fn is_gateway(object: &JavaObject) -> bool {
    [GATEWAY_SPOUT, GATEWAY_BOLT].contains(&object.full_class_name.as_str())
}

/// A new spout.
pub fn spout(object: &JavaObject) -> Result<Box<dyn Spout>, RegistryError> {
    match entry(object)?.make {
        Make::Spout(make) => construct(object, make),
        Make::Bolt(_) | Make::Windowed(_) | Make::Batch(_) => {
            Err(wrong_kind(object, Kind::Bolt, Kind::Spout))
        }
    }
}

/// A new bolt.
pub fn bolt(object: &JavaObject) -> Result<Box<dyn Bolt>, RegistryError> {
    match entry(object)?.make {
        Make::Bolt(make) => construct(object, make),
        Make::Windowed(make) => {
            construct(object, make).map(|bolt| Box::new(Runner::of(bolt)) as Box<dyn Bolt>)
        }
        Make::Spout(_) => Err(wrong_kind(object, Kind::Spout, Kind::Bolt)),
        Make::Batch(_) => Err(RegistryError::Uncoordinated {
            class: object.full_class_name.clone(),
        }),
    }
}

/// A new bolt for the inside of a `CoordinatedBolt`.
fn delegate(object: &JavaObject) -> Result<Delegate, RegistryError> {
    match entry(object)?.make {
        Make::Batch(make) => construct(object, make).map(Delegate::Batch),
        _ => bolt(object).map(Delegate::Bolt),
    }
}

// === impl Kind ===

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Spout => "spout",
            Kind::Bolt => "bolt",
        })
    }
}

fn construct<C>(
    object: &JavaObject,
    make: fn(&mut Args<'_>) -> Result<C, ArgumentError>,
) -> Result<C, RegistryError> {
    let mut args = Args::new(&object.args_list);
    make(&mut args)
        .and_then(|component| args.finish().map(|()| component))
        .map_err(|source| RegistryError::Argument {
            class: object.full_class_name.clone(),
            source,
        })
}

fn wrong_kind(object: &JavaObject, actual: Kind, wanted: Kind) -> RegistryError {
    RegistryError::WrongKind {
        class: object.full_class_name.clone(),
        actual,
        wanted,
    }
}

fn entry(object: &JavaObject) -> Result<&'static Entry, RegistryError> {
    let class = &object.full_class_name;
    find(class).ok_or_else(|| RegistryError::UnknownClass {
        class: class.clone(),
    })
}

fn find(class: &str) -> Option<&'static Entry> {
    let class = current_name(class);
    let mut entries = ENTRIES.iter().chain(bench::ENTRIES);
    entries.find(|entry| entry.names.contains(&&*class))
}

/// Storm's packages have moved: the name that a class has today.
fn current_name(class: &str) -> Cow<'_, str> {
    let moved = |rest: &str, package: &str| Cow::Owned(format!("{package}{rest}"));
    if let Some(rest) = class.strip_prefix("backtype.storm.") {
        return moved(rest, "org.apache.storm.");
    }
    if let Some(rest) = class.strip_prefix("storm.starter.") {
        return moved(rest, "org.apache.storm.starter.");
    }
    Cow::Borrowed(class)
}

const ENTRIES: &[Entry] = &[
    Entry {
        names: &["stormwire.FileLineSpout"],
        make: Make::Spout(|args| {
            let path = args.text("the path of the file")?;
            let repeats = args.optional_flag("whether to start over at the end")?;
            let at_end = match repeats {
                Some(true) => AtEnd::StartOver,
                _ => AtEnd::Stop,
            };
            Ok(Box::new(FileLineSpout::new(path, at_end)))
        }),
    },
    Entry {
        names: &["stormwire.TimerSpout"],
        make: Make::Spout(|args| {
            let interval_ms = args.count("the interval in milliseconds")?;
            let count = args.optional_whole("how many to emit")?;
            Ok(Box::new(TimerSpout::new(interval_ms, count)))
        }),
    },
    Entry {
        names: &["stormwire.RandomSentenceSpout"],
        make: Make::Spout(|args| {
            let mut spout = ChoiceSpout::new(SENTENCES, Tracking::Replayed);
            if let Some(seed) = args.optional_whole("the seed")? {
                spout = spout.seeded(seed);
            }
            if let Some(interval_ms) = args.optional_count("the interval in milliseconds")? {
                spout = spout.paced(interval_ms);
            }
            if let Some(count) = args.optional_whole("how many to emit")? {
                spout = spout.limited(count);
            }
            Ok(Box::new(spout))
        }),
    },
    Entry {
        names: &[
            "stormwire.ConstSpout",
            "org.apache.storm.perf.spout.ConstSpout",
        ],
        make: Make::Spout(|args| {
            let text = args.optional_text("what to emit")?;
            Ok(Box::new(ConstSpout::new(
                text.unwrap_or_else(|| CONST_TEXT.to_owned()),
            )))
        }),
    },
    Entry {
        names: &["org.apache.storm.starter.spout.RandomSentenceSpout"],
        make: Make::Spout(|_| {
            let spout = ChoiceSpout::new(SENTENCES, Tracking::Untracked);
            Ok(Box::new(spout.paced(SAMPLE_INTERVAL_MS)))
        }),
    },
    Entry {
        names: &["org.apache.storm.testing.TestWordSpout"],
        make: Make::Spout(|args| {
            // Says in Storm whether the component may have more than one task.
            args.optional_flag("whether the spout is distributed")?;
            let spout = ChoiceSpout::new(WORDS, Tracking::Untracked);
            Ok(Box::new(spout.paced(SAMPLE_INTERVAL_MS)))
        }),
    },
    Entry {
        names: &[GATEWAY_SPOUT],
        make: Make::Spout(|_| Ok(Box::<GatewaySpout>::default())),
    },
    Entry {
        names: &[GATEWAY_BOLT],
        make: Make::Bolt(|_| Ok(Box::<GatewayBolt>::default())),
    },
    Entry {
        names: &["stormwire.testing.LedgerSpout"],
        make: Make::Spout(|args| {
            let path = args.text("the path of the file with the ids")?;
            let directory = args.text("the directory of the positions")?;
            Ok(Box::new(LedgerSpout::new(path, directory)))
        }),
    },
    Entry {
        names: &[
            "stormwire.Split",
            "org.apache.storm.perf.bolt.SplitSentenceBolt",
        ],
        make: Make::Bolt(|args| {
            let field = args.optional_text("the field to split")?;
            Ok(Box::new(SplitBolt::new(field)))
        }),
    },
    Entry {
        names: &["stormwire.SplitNumbered"],
        make: Make::Bolt(|_| Ok(Box::new(SplitNumberedBolt))),
    },
    Entry {
        names: &["stormwire.Count"],
        make: Make::Bolt(|args| {
            let path = args.optional_text("the path of the totals")?;
            Ok(Box::new(CountBolt::new(Repeats::Counted, path)))
        }),
    },
    Entry {
        names: &["stormwire.CountOnce"],
        make: Make::Bolt(|args| {
            let path = args.optional_text("the path of the totals")?;
            Ok(Box::new(CountBolt::new(Repeats::Dropped, path)))
        }),
    },
    Entry {
        names: &["stormwire.Filter"],
        make: Make::Bolt(|args| {
            let field = args.text("the field to compare")?;
            let test = args.text("the comparison, such as <=")?;
            let test = test.parse().map_err(|error| args.refused(error))?;
            let operand = args.value("what to compare with")?;
            Ok(Box::new(FilterBolt::new(field, test, operand)))
        }),
    },
    Entry {
        names: &["stormwire.Project"],
        make: Make::Bolt(|args| {
            let mut fields = vec![args.text("a field to emit")?];
            while let Some(field) = args.optional_text("a field to emit")? {
                fields.push(field);
            }
            Ok(Box::new(ProjectBolt::new(fields)))
        }),
    },
    Entry {
        names: &[
            "stormwire.Log",
            "org.apache.storm.starter.bolt.PrinterBolt",
            "org.apache.storm.flux.wrappers.bolts.LogInfoBolt",
            "org.apache.storm.flux.examples.TestPrintBolt",
        ],
        make: Make::Bolt(|args| {
            let prefix = args.optional_text("what each line begins with")?;
            Ok(Box::new(LogBolt::new(prefix.unwrap_or_default())))
        }),
    },
    Entry {
        names: &["stormwire.testing.CredentialDigest"],
        make: Make::Bolt(|args| {
            let path = args.text("the path of the file")?;
            Ok(Box::new(CredentialDigestBolt::new(path)))
        }),
    },
    Entry {
        names: &["stormwire.FileSink"],
        make: Make::Bolt(|args| {
            let path = args.text("the path of the file")?;
            let separator = args.optional_text("what stands between values")?;
            Ok(Box::new(FileSinkBolt::new(
                path,
                separator.unwrap_or_else(|| "\t".to_owned()),
            )))
        }),
    },
    Entry {
        names: &[
            "stormwire.IdBolt",
            "org.apache.storm.perf.bolt.IdBolt",
            "org.apache.storm.testing.IdentityBolt",
        ],
        make: Make::Bolt(|_| Ok(Box::new(IdBolt))),
    },
    Entry {
        names: &[
            "stormwire.NullBolt",
            "org.apache.storm.perf.bolt.DevNullBolt",
        ],
        make: Make::Bolt(|_| Ok(Box::new(NullBolt))),
    },
    Entry {
        names: &[
            "org.apache.storm.testing.TestWordCounter",
            "org.apache.storm.starter.WordCountTopology$WordCount",
        ],
        make: Make::Bolt(|_| Ok(Box::new(WordCountBolt::default()))),
    },
    Entry {
        names: &["org.apache.storm.flux.examples.WordCounter"],
        make: Make::Bolt(|_| Ok(Box::new(WordOnceBolt))),
    },
    Entry {
        names: &["org.apache.storm.testing.TestGlobalCount"],
        make: Make::Bolt(|_| Ok(Box::new(GlobalCountBolt::default()))),
    },
    Entry {
        names: &["org.apache.storm.testing.TestAggregatesCounter"],
        make: Make::Bolt(|_| Ok(Box::new(AggregatesCountBolt::default()))),
    },
    Entry {
        names: &["org.apache.storm.starter.ExclamationTopology$ExclamationBolt"],
        make: Make::Bolt(|_| Ok(Box::new(ExclamationBolt::default()))),
    },
    Entry {
        names: &["stormwire.WindowCount"],
        make: Make::Windowed(|args| {
            let field = args.optional_text("the field to count by")?;
            Ok(Box::new(WindowCountBolt::new(field)))
        }),
    },
    Entry {
        names: &["stormwire.WindowSum"],
        make: Make::Windowed(|args| {
            let field = args.optional_text("the field to add up")?;
            Ok(Box::new(WindowSumBolt::new(field)))
        }),
    },
    Entry {
        names: &["stormwire.WindowPass"],
        make: Make::Windowed(|_| Ok(Box::new(WindowPassBolt))),
    },
    Entry {
        names: &["org.apache.storm.flux.examples.TestWindowBolt"],
        make: Make::Windowed(|_| Ok(Box::new(WindowSizeBolt))),
    },
    Entry {
        names: &["stormwire.testing.WindowTrace"],
        make: Make::Windowed(|args| {
            let path = args.text("the path of the trace")?;
            Ok(Box::new(WindowTraceBolt::new(path)))
        }),
    },
    Entry {
        names: &["org.apache.storm.drpc.DRPCSpout"],
        make: Make::Spout(|args| Ok(Box::new(DrpcSpout::new(args.text("the function")?)))),
    },
    Entry {
        names: &["org.apache.storm.drpc.PrepareRequest"],
        make: Make::Bolt(|_| Ok(Box::new(PrepareRequestBolt))),
    },
    Entry {
        names: &["org.apache.storm.drpc.JoinResult"],
        make: Make::Bolt(|args| {
            let component = args.text("the component of the return infos")?;
            Ok(Box::new(JoinResultBolt::new(component)))
        }),
    },
    Entry {
        names: &["org.apache.storm.drpc.ReturnResults"],
        make: Make::Bolt(|_| Ok(Box::new(ReturnResultsBolt::default()))),
    },
    Entry {
        names: &[COORDINATED],
        make: Make::Bolt(coordinated::read),
    },
    Entry {
        names: &["org.apache.storm.starter.ReachTopology$GetTweeters"],
        make: Make::Bolt(|_| Ok(Box::new(LookUpBolt::tweeters()))),
    },
    Entry {
        names: &["org.apache.storm.starter.ReachTopology$GetFollowers"],
        make: Make::Bolt(|_| Ok(Box::new(LookUpBolt::followers()))),
    },
    Entry {
        names: &["org.apache.storm.starter.ReachTopology$PartialUniquer"],
        make: Make::Batch(|_| Ok(Box::new(PartialUniquer::default()))),
    },
    Entry {
        names: &["org.apache.storm.starter.ReachTopology$CountAggregator"],
        make: Make::Batch(|_| Ok(Box::new(CountAggregator::default()))),
    },
    Entry {
        names: &["org.apache.storm.starter.ManualDRPC$ExclamationBolt"],
        make: Make::Bolt(|_| Ok(Box::new(ManualExclaimBolt))),
    },
    Entry {
        names: &["org.apache.storm.starter.BasicDRPCTopology$ExclaimBolt"],
        make: Make::Bolt(|_| Ok(Box::new(ExclaimBolt))),
    },
    Entry {
        names: &["stormwire.testing.LedgerSink"],
        make: Make::Bolt(|args| {
            let directory = args.text("the directory of the ledgers")?;
            Ok(Box::new(LedgerSinkBolt::new(directory)))
        }),
    },
];

/// Components that are processes of their own.
const GATEWAY_SPOUT: &str = "stormwire.GatewaySpout";
const GATEWAY_BOLT: &str = "stormwire.GatewayBolt";
/// The bolt around those whose tuples belong together.
const COORDINATED: &str = "org.apache.storm.coordination.CoordinatedBolt";
/// What Storm's benchmark spout emits.
const CONST_TEXT: &str = "some data";
/// How long Storm's sample spouts sleep between emits.
const SAMPLE_INTERVAL_MS: u64 = 100;

#[cfg(test)]
mod tests;
