//! Names of the benchmarks' components. Each first argument is the run's directory, where its meter
//! writes; they are of use to `stormwire bench` alone.
//!
//! | `stormwire.bench.` | further arguments | |
//! |---|---|---|
//! | `ConstSpout`, `SentenceSpout` | tracked: bool | (text) |
//! | `LineSpout` | tracked: bool, file, words: bool | (line or word) |
//! | `StringSpout` | tracked: bool, how many | (text) |
//! | `SleepSpout` | tracked: bool, ms | (nanoseconds: long) |
//! | `NullBolt` | | |
//! | `SleepBolt` | ms | |
//! | `CountBolt` | | (word, count: long) |
//! | `LatencyBolt` | | |
//! | `FileBolt` | how many to a sync | |

use std::time::Duration;

use super::{Args, ArgumentError, Entry, Make};
use crate::component::Spout;
use crate::component::native::bench::bolts::{CountBolt, FileBolt, LatencyBolt, NullBolt};
use crate::component::native::bench::sources::{Constant, Lines, Sentences, Source, Strings, Unit};
use crate::component::native::bench::spouts::{MeteredSpout, SleepSpout, Tracking};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        names: &["stormwire.bench.ConstSpout"],
        make: Make::Spout(|args| metered(args, |_| Ok(Constant))),
    },
    Entry {
        names: &["stormwire.bench.SentenceSpout"],
        make: Make::Spout(|args| metered(args, |_| Ok(Sentences::default()))),
    },
    Entry {
        names: &["stormwire.bench.LineSpout"],
        make: Make::Spout(|args| {
            metered(args, |args| {
                let path = args.text("the path of the file")?;
                let unit = match args.optional_flag("whether to emit words")? {
                    Some(true) => Unit::Word,
                    _ => Unit::Line,
                };
                Ok(Lines::new(path, unit))
            })
        }),
    },
    Entry {
        names: &["stormwire.bench.StringSpout"],
        make: Make::Spout(|args| {
            metered(args, |args| {
                Ok(Strings::new(args.count("how many to emit")?))
            })
        }),
    },
    Entry {
        names: &["stormwire.bench.SleepSpout"],
        make: Make::Spout(|args| {
            let (directory, tracking) = (directory(args)?, tracking(args)?);
            let sleep = Duration::from_millis(args.count("milliseconds between emits")?);
            Ok(Box::new(SleepSpout::new(directory, tracking, sleep)))
        }),
    },
    Entry {
        names: &["stormwire.bench.NullBolt"],
        make: Make::Bolt(|args| Ok(Box::new(NullBolt::new(directory(args)?, Duration::ZERO)))),
    },
    Entry {
        names: &["stormwire.bench.SleepBolt"],
        make: Make::Bolt(|args| {
            let directory = directory(args)?;
            let sleep = Duration::from_millis(args.count("milliseconds to sleep")?);
            Ok(Box::new(NullBolt::new(directory, sleep)))
        }),
    },
    Entry {
        names: &["stormwire.bench.CountBolt"],
        make: Make::Bolt(|args| Ok(Box::new(CountBolt::new(directory(args)?)))),
    },
    Entry {
        names: &["stormwire.bench.LatencyBolt"],
        make: Make::Bolt(|args| Ok(Box::new(LatencyBolt::new(directory(args)?)))),
    },
    Entry {
        names: &["stormwire.bench.FileBolt"],
        make: Make::Bolt(|args| {
            let directory = directory(args)?;
            let sync_every = args.count("how many tuples to a sync")?;
            let sync_every = usize::try_from(sync_every).unwrap_or(usize::MAX);
            Ok(Box::new(FileBolt::new(directory, sync_every)))
        }),
    },
];

fn metered<S: Source + 'static>(
    args: &mut Args<'_>,
    source: impl FnOnce(&mut Args<'_>) -> Result<S, ArgumentError>,
) -> Result<Box<dyn Spout>, ArgumentError> {
    let (directory, tracking) = (directory(args)?, tracking(args)?);
    Ok(Box::new(MeteredSpout::new(
        directory,
        tracking,
        source(args)?,
    )))
}

fn directory(args: &mut Args<'_>) -> Result<String, ArgumentError> {
    args.text("the directory of the run")
}

fn tracking(args: &mut Args<'_>) -> Result<Tracking, ArgumentError> {
    Ok(match args.optional_flag("whether to track tuples")? {
        Some(true) => Tracking::Tracked,
        _ => Tracking::Untracked,
    })
}
