//! What a worker logs, and how that changes while it runs.
//!
//! Levels that somebody set come before those that the process started with (`RUST_LOG`); when one
//! is taken back or its time is over, what was there before holds again. Names of loggers are
//! components, modules of ours (`stormwire.messaging`), Storm's packages, or `ROOT`: the longest
//! that fits decides, a component before all others.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Filter};

use crate::wire::storm::{LogConfig, LogLevel};

/// The levels of one process, for whoever changes them.
#[derive(Clone, Default)]
pub struct LogLevels(Arc<ArcSwap<Table>>);

/// Decides what is logged.
pub struct LevelFilterLayer {
    levels: LogLevels,
    /// What holds where nobody set anything.
    base: EnvFilter,
}

/// Levels that somebody set.
#[derive(Clone, Debug, Default, PartialEq)]
struct Table {
    root: Option<LevelFilter>,
    /// By path of modules, the longest first.
    targets: Vec<(String, LevelFilter)>,
    components: BTreeMap<String, LevelFilter>,
}

/// Finds the component that an event is about.
struct ComponentOf<'t> {
    table: &'t Table,
    level: Option<LevelFilter>,
}

// === impl LogLevels ===

impl LogLevels {
    /// A filter that follows these levels.
    pub fn filter(&self, base: EnvFilter) -> LevelFilterLayer {
        LevelFilterLayer {
            levels: self.clone(),
            base,
        }
    }

    /// Takes over what a topology's config says at a moment (wall milliseconds); true when that
    /// changes anything. Says what it cannot understand.
    pub fn follow(&self, config: Option<&LogConfig>, now_ms: i64) -> bool {
        let levels = config.and_then(|config| config.named_logger_level.as_ref());
        let (table, unknown) = Table::new(levels.into_iter().flatten(), now_ms);
        if **self.0.load() == table {
            return false;
        }
        self.0.store(Arc::new(table));
        // What was found to be of no interest may be of some now, and the reverse.
        tracing::callsite::rebuild_interest_cache();
        for (name, level) in unknown {
            tracing::warn!(
                logger = name,
                level,
                "no such level: the logger stays as it was"
            );
        }
        true
    }
}

// === impl Table ===

impl Table {
    /// Levels whose time is not over, and those that are none.
    fn new<'l>(
        levels: impl Iterator<Item = (&'l String, &'l LogLevel)>,
        now_ms: i64,
    ) -> (Self, Vec<(String, String)>) {
        let (mut table, mut unknown) = (Table::default(), Vec::new());
        for (name, level) in levels {
            let end_ms = level.reset_log_level_timeout_epoch;
            if end_ms.is_some_and(|end_ms| end_ms <= now_ms) {
                continue;
            }
            let text = level.target_log_level.as_deref().unwrap_or_default();
            match parse(text) {
                Some(filter) => table.set(name, filter),
                None => unknown.push((name.clone(), text.to_owned())),
            }
        }
        table
            .targets
            .sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        (table, unknown)
    }

    fn set(&mut self, name: &str, level: LevelFilter) {
        if name.eq_ignore_ascii_case("ROOT") {
            self.root = Some(level);
            return;
        }
        self.targets.push((target(name), level));
        self.components.insert(name.to_owned(), level);
    }

    /// What was set for a module, or for all.
    fn of_target(&self, target: &str) -> Option<LevelFilter> {
        let is_in = |prefix: &str| {
            let rest = target.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let found = self.targets.iter().find(|(prefix, _)| is_in(prefix));
        found.map(|(_, level)| *level).or(self.root)
    }

    /// The most that any of these lets through.
    fn max(&self) -> Option<LevelFilter> {
        let all = self
            .targets
            .iter()
            .map(|(_, level)| *level)
            .chain(self.root);
        all.max()
    }
}

/// Storm's levels, in any case.
fn parse(level: &str) -> Option<LevelFilter> {
    Some(match level.to_ascii_uppercase().as_str() {
        "ALL" | "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "INFO" => LevelFilter::INFO,
        "WARN" => LevelFilter::WARN,
        "ERROR" | "FATAL" => LevelFilter::ERROR,
        "OFF" => LevelFilter::OFF,
        _ => return None,
    })
}

/// The path of modules that a logger's name stands for.
fn target(name: &str) -> String {
    let storms = STORM_PACKAGES.iter().find_map(|start| {
        let rest = name.strip_prefix(start)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| rest.trim_start_matches('.'))
    });
    let Some(package) = storms else {
        return name.replace('.', "::");
    };
    let known = MODULES_OF_PACKAGES.iter().find(|(known, _)| {
        let rest = package.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    match (package, known) {
        ("", _) => "stormwire".to_owned(),
        (_, Some((_, module))) => format!("stormwire::{module}"),
        (package, None) => format!("stormwire::{}", package.replace('.', "::")),
    }
}

// === impl LevelFilterLayer ===

impl LevelFilterLayer {
    /// What the levels say of a place in the code; none where they leave it to the base.
    fn verdict(&self, table: &Table, metadata: &Metadata<'_>) -> Option<bool> {
        let level = table.of_target(metadata.target())?;
        Some(*metadata.level() <= level)
    }
}

fn is_of_component(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field(COMPONENT).is_some()
}

impl<S: Subscriber> Filter<S> for LevelFilterLayer {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        let table = self.levels.0.load();
        if is_of_component(metadata) && !table.components.is_empty() {
            // Which component it is about is known only with its fields.
            return true;
        }
        self.verdict(&table, metadata)
            .unwrap_or_else(|| Filter::<S>::enabled(&self.base, metadata, context))
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        let (table, metadata) = (self.levels.0.load(), event.metadata());
        if !is_of_component(metadata) || table.components.is_empty() {
            return true;
        }
        let mut of = ComponentOf {
            table: &table,
            level: None,
        };
        event.record(&mut of);
        match of.level {
            Some(level) => *metadata.level() <= level,
            None => self
                .verdict(&table, metadata)
                .unwrap_or_else(|| Filter::<S>::enabled(&self.base, metadata, context)),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let table = self.levels.0.load();
        if is_of_component(metadata) && !table.components.is_empty() {
            return Interest::sometimes();
        }
        match self.verdict(&table, metadata) {
            Some(true) => Interest::always(),
            Some(false) => Interest::never(),
            None => Filter::<S>::callsite_enabled(&self.base, metadata),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let base = Filter::<S>::max_level_hint(&self.base)?;
        let set = self.levels.0.load().max();
        Some(set.map_or(base, |set| set.max(base)))
    }
}

// === impl ComponentOf ===

impl Visit for ComponentOf<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == COMPONENT {
            self.level = self.table.components.get(value).copied();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == COMPONENT {
            // `%component` comes here, and shows itself without quotes.
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// The field by which an event says which component it is about.
const COMPONENT: &str = "component";

const STORM_PACKAGES: [&str; 3] = ["org.apache.storm", "backtype.storm", "storm"];

/// Where that is done here which these packages and classes do in Storm.
const MODULES_OF_PACKAGES: [(&str, &str); 15] = [
    ("daemon.worker", "worker"),
    ("daemon.metrics", "stats"),
    ("daemon.Acker", "acker"),
    ("daemon", "worker"),
    ("executor", "worker"),
    ("messaging", "messaging"),
    ("task.ShellBolt", "component::shell"),
    ("spout.ShellSpout", "component::shell"),
    ("utils.ShellProcess", "component::shell"),
    ("utils.ShellLogHandler", "component::shell"),
    ("multilang", "component::multilang"),
    ("metric", "stats"),
    ("security.auth", "auth"),
    ("serialization", "tuple"),
    ("testing", "component::native"),
];

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Lines {
        type Writer = Lines;

        fn make_writer(&'w self) -> Lines {
            self.clone()
        }
    }

    fn config(levels: &[(&str, &str, Option<i64>)]) -> LogConfig {
        let level = |(name, level, end_ms): &(&str, &str, Option<i64>)| {
            let level = LogLevel {
                target_log_level: Some((*level).to_owned()),
                reset_log_level_timeout_epoch: *end_ms,
                ..LogLevel::default()
            };
            ((*name).to_owned(), level)
        };
        LogConfig {
            named_logger_level: Some(levels.iter().map(level).collect()),
        }
    }

    fn say() {
        tracing::debug!(target: "stormwire::messaging::client", "link");
        tracing::debug!(target: "stormwire::worker::process", "worker");
        tracing::info!(target: "stormwire::worker::process", "news");
        tracing::debug!(target: "elsewhere", "foreign");
        for component in ["words", "count"] {
            tracing::debug!(target: "stormwire::component::shell::report", component, "child");
        }
    }

    /// What is logged under each config, one after the other, each line's last words.
    fn logged(configs: &[(LogConfig, i64)]) -> Vec<Vec<String>> {
        let (levels, lines) = (LogLevels::default(), Lines::default());
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(lines.clone())
            .without_time()
            .with_ansi(false)
            .with_level(false)
            .with_target(false)
            .with_filter(levels.filter(EnvFilter::new("info")));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            configs
                .iter()
                .map(|(config, now_ms)| {
                    levels.follow(Some(config), *now_ms);
                    lines.0.lock().unwrap().clear();
                    say();
                    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
                    text.lines().map(|line| line.trim().to_owned()).collect()
                })
                .collect()
        })
    }

    #[test]
    fn levels_take_hold_at_once_and_go_again() {
        let found = logged(&[
            (config(&[]), 0),
            (config(&[("org.apache.storm.messaging", "DEBUG", None)]), 0),
            (
                config(&[
                    ("ROOT", "debug", None),
                    ("stormwire.messaging", "WARN", None),
                ]),
                0,
            ),
            (config(&[("words", "ALL", None)]), 0),
            (
                config(&[("ROOT", "DEBUG", None), ("count", "OFF", None)]),
                0,
            ),
            (config(&[("ROOT", "OFF", Some(1000))]), 999),
            (config(&[("ROOT", "OFF", Some(1000))]), 1000),
            (config(&[("ROOT", "LOUD", None)]), 0),
        ]);
        let words = "child component=\"words\"";
        let count = "child component=\"count\"";
        let expected: [&[&str]; 8] = [
            &["news"],
            &["link", "news"],
            &["worker", "news", "foreign", words, count],
            &["news", words],
            &["link", "worker", "news", "foreign", words],
            &[],
            &["news"],
            &["news"],
        ];
        for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "config {number}");
        }
    }

    #[test]
    fn names_of_storm_lead_to_modules_of_ours() {
        for (name, expected) in [
            ("org.apache.storm", "stormwire"),
            ("backtype.storm", "stormwire"),
            (
                "org.apache.storm.daemon.worker.WorkerState",
                "stormwire::worker",
            ),
            ("org.apache.storm.messaging.netty", "stormwire::messaging"),
            (
                "org.apache.storm.task.ShellBolt",
                "stormwire::component::shell",
            ),
            ("org.apache.storm.cluster", "stormwire::cluster"),
            ("org.apache.stormy", "org::apache::stormy"),
            ("stormwire.worker.emit", "stormwire::worker::emit"),
            ("com.example", "com::example"),
        ] {
            assert_eq!(target(name), expected, "{name}");
        }
    }
}
