//! `stormwire bench`: runs cases and shows their figures.
//!
//! Measures nothing itself, and never fails on a figure: only a case that cannot run is an error.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::daemon::say;
use super::table;
use crate::allocations;
use crate::bench::flow::Checked;
use crate::bench::genuine::Installed;
use crate::bench::{self, Case, Figure, Only, Options, ReferenceKind, fixed, machine};

/// What to measure, and for how long.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Cases to run, `list` to see them; without any the standard table.
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// Runs genuine Storm in turn with ours: the directory that `benches/genuine/build` filled.
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
    /// Short windows, one round: a table within minutes.
    #[arg(long, conflicts_with_all = ["long", "smoke", "seconds"])]
    pub quick: bool,
    /// More variants, longer windows.
    #[arg(long, conflicts_with_all = ["smoke", "seconds"])]
    pub long: bool,
    /// Tiny windows: shows that every case runs, not what is fast.
    #[arg(long)]
    pub smoke: bool,
    /// Length of each of the three windows of a rate.
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with = "smoke",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Writes all figures as JSON, too; `-` prints them in place of the tables.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Prints the table of what matters most as Markdown.
    #[arg(long)]
    pub markdown: bool,
    /// Only with acks, or only without.
    #[arg(long, value_name = "ON")]
    pub acks: Option<Switch>,
    /// Workers of the tuple cases; more than one are processes of their own.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub workers: Option<usize>,
    /// Most pending tuples of acked cases; 0: no bound.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub pending: Option<i64>,
    /// `topology.producer.batch.size`, which genuine Storm heeds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub batch: Option<i64>,
    /// Ours in daemons and a worker of their own, also where one worker is enough.
    #[arg(long)]
    pub cluster: bool,
    /// Threads of the engine in this process, such as `1,2`; as many as there are cores without it.
    #[arg(long, value_name = "N,...", value_delimiter = ',',
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub threads: Vec<usize>,
    /// Runs one case with so many tuples on one thread and prints no figures: for tools that
    /// count.
    #[arg(long, value_name = "N", hide = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub tuples: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// `stormwire bench-child`, which `bench` starts by itself.
pub fn run_child() -> Result<i32> {
    bench::child::run()?;
    Ok(0)
}

/// Runs the cases one after another; 1 if any of them cannot run.
pub fn run(args: &BenchArgs) -> Result<i32> {
    if args.cases == ["list"] {
        let rows = Case::all()
            .into_iter()
            .map(|case| [case.name().to_owned(), case.meaning().to_owned()]);
        say(format_args!("{}", table::table(["case", "what"], rows)));
        return Ok(0);
    }
    allocations::leave_out_this_thread();
    let cases = cases(args)?;
    let options = options(args);
    if let (Some(n_tuples), [case]) = (args.tuples, cases.as_slice()) {
        say(format_args!("{n_tuples} tuples, {}", build()));
        fixed::run(*case, &options.only, n_tuples)?;
        return Ok(0);
    }
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    let mut checked = Checked::default();
    for case in cases {
        match bench::run(case, &options, &mut checked) {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                eprintln!("{} cannot run: {error:#}", case.name());
                failures.push((case.name(), format!("{error:#}")));
            }
        }
    }
    let told = to_json(args, &options, &figures, &failures);
    match &args.json {
        Some(path) if path.as_os_str() == "-" => say(format_args!("{told:#}")),
        other => {
            show(args, &options, &figures);
            if let Some(path) = other {
                std::fs::write(path, format!("{told:#}\n"))
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(i32::from(!failures.is_empty()))
}

fn cases(args: &BenchArgs) -> Result<Vec<Case>> {
    if args.cases.is_empty() {
        let all = Case::all().into_iter();
        return Ok(all.filter(|case| case.is_standard() || args.long).collect());
    }
    let named = |name: &String| {
        Case::named(name).with_context(|| {
            let names: Vec<&str> = Case::all().into_iter().map(Case::name).collect();
            format!("there is no case {name}; there are: {}", names.join(", "))
        })
    };
    args.cases.iter().map(named).collect()
}

fn options(args: &BenchArgs) -> Options {
    let mut options = match args {
        _ if args.smoke => Options::smoke(),
        _ if args.quick => Options::quick(),
        _ if args.long => Options::long(),
        _ => Options::full(Duration::from_secs(args.seconds)),
    };
    if !args.threads.is_empty() {
        options.threads = args.threads.clone();
    }
    options.only = Only {
        is_acked: args.acks.map(|acks| acks == Switch::On),
        n_workers: args.workers,
        pending: args.pending,
        batch: args.batch,
        in_cluster: args.cluster,
    };
    options.installed = args.against.as_deref().and_then(|directory| {
        let found = Installed::find(directory);
        // Ours is worth measuring without it.
        let told = found.inspect_err(|error| eprintln!("genuine: absent: {error:#}"));
        told.ok()
    });
    options
}

fn show(args: &BenchArgs, options: &Options, figures: &[Figure]) {
    say(format_args!("machine: {}", machine::describe()));
    say(format_args!(
        "build: stormwire {}, {}",
        env!("CARGO_PKG_VERSION"),
        build()
    ));
    say(format_args!("genuine: {}", genuine(options)));
    if args.smoke {
        say(format_args!(
            "smoke run: the windows are too short for the figures to mean anything"
        ));
    }
    // An empty cell beside others of genuine Storm would leave open whether it was tried.
    let unmeasured = match options.installed {
        Some(_) => "not measured",
        None => "",
    };
    let headlines: Vec<[String; 8]> = figures
        .iter()
        .filter(|figure| figure.is_headline && !figure.is_genuine())
        .map(|figure| headline(figure, figures, unmeasured))
        .collect();
    if !headlines.is_empty() {
        let head = [
            "case", "figure", "unit", "genuine", "ours", "ratio", "wanted", "aim",
        ];
        match args.markdown {
            true => say(format_args!("\n{}", markdown(head, &headlines))),
            false => say(format_args!("\n{}", table::table(head, headlines))),
        }
    }
    let head = ["case", "side", "figure", "median", "min", "max", "unit"];
    say(format_args!(
        "\n{}",
        table::table(head, figures.iter().map(row))
    ));
}

fn markdown<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// Which Storm stands beside ours.
fn genuine(options: &Options) -> String {
    match &options.installed {
        Some(installed) => format!(
            "Storm {}, in one JVM, in turn with ours",
            installed.version()
        ),
        None => {
            "absent (--against DIR); `recorded` is what Storm 3.0.0-SNAPSHOT had on two cores of \
                 another machine"
                .to_owned()
        }
    }
}

/// The side of genuine Storm of one of our figures.
fn beside<'a>(ours: &Figure, figures: &'a [Figure]) -> Option<&'a Figure> {
    figures
        .iter()
        .find(|figure| figure.is_genuine() && figure.case == ours.case && figure.what == ours.what)
}

/// A line of what matters most; `unmeasured` stands where nothing is known of genuine Storm.
fn headline(ours: &Figure, figures: &[Figure], unmeasured: &str) -> [String; 8] {
    let ratio = |theirs: f64| match ours.is_better_when_less {
        true => theirs / ours.median(),
        false => ours.median() / theirs,
    };
    let (genuine, ratio) = match (beside(ours, figures), ours.recorded) {
        (Some(genuine), _) => (spread(genuine), format!("{:.1}x", ratio(genuine.median()))),
        (None, Some((from, to))) if from < to => (
            format!("recorded {from}–{to}"),
            format!("{:.1}–{:.1}x", ratio(to), ratio(from)),
        ),
        (None, Some((from, _))) => (format!("recorded {from}"), format!("{:.1}x", ratio(from))),
        (None, None) => (unmeasured.to_owned(), String::new()),
    };
    let wanted = ours.reference.map(|reference| match reference.kind {
        ReferenceKind::AtLeast => format!("at least {}", reference.value),
        ReferenceKind::AtMost => format!("at most {}", reference.value),
    });
    let aim = ours.reference.and_then(|reference| reference.aim);
    [
        ours.case.clone(),
        ours.what.to_string(),
        ours.unit.to_owned(),
        genuine,
        spread(ours),
        ratio,
        wanted.unwrap_or_default(),
        aim.map(|aim| aim.to_string()).unwrap_or_default(),
    ]
}

/// The middle, and from where to where.
fn spread(figure: &Figure) -> String {
    match figure.values.len() {
        0 | 1 => number(figure.median()),
        _ => format!(
            "{} ({}–{})",
            number(figure.median()),
            number(figure.min()),
            number(figure.max())
        ),
    }
}

fn row(figure: &Figure) -> [String; 7] {
    [
        figure.case.clone(),
        side(figure).to_owned(),
        figure.what.to_string(),
        number(figure.median()),
        number(figure.min()),
        number(figure.max()),
        figure.unit.to_owned(),
    ]
}

fn side(figure: &Figure) -> &'static str {
    figure.side.map_or("ours", bench::side::Side::name)
}

/// Three digits that count, and no more behind the point than they need.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn to_json(
    args: &BenchArgs,
    options: &Options,
    figures: &[Figure],
    failures: &[(&str, String)],
) -> serde_json::Value {
    let figure = |figure: &Figure| {
        let reference = figure.reference.map(|reference| {
            json!({
                "kind": match reference.kind {
                    ReferenceKind::AtLeast => "at_least",
                    ReferenceKind::AtMost => "at_most",
                },
                "value": reference.value,
                "aim": reference.aim,
            })
        });
        json!({
            "case": figure.case,
            "side": side(figure),
            "figure": figure.what,
            "unit": figure.unit,
            "median": figure.median(),
            "values": figure.values,
            "reference": reference,
            "recorded_genuine": figure.recorded.map(|(from, to)| [from, to]),
        })
    };
    let failure = |(case, error): &(&str, String)| json!({ "case": case, "error": error });
    json!({
        "machine": machine::describe(),
        "build": build(),
        "smoke": args.smoke,
        "genuine": options.installed.as_ref().map(|installed| installed.version()),
        "figures": figures.iter().map(figure).collect::<Vec<_>>(),
        "failures": failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

/// Whether the figures are of an optimised build.
fn build() -> &'static str {
    match cfg!(debug_assertions) {
        true => "DEBUG build: figures mean nothing, build with --release",
        false => "release build",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::side::Side;

    #[test]
    fn numbers_show_three_digits() {
        for (value, shown) in [
            (0.0, "0.00"),
            (0.1234, "0.123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (1234.5, "1234"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    fn rate(values: &[f64]) -> Figure {
        Figure::new("const-null, acked", ("tuples", "M/s"), values.to_vec())
    }

    #[test]
    fn a_headline_holds_ours_against_genuine_storm_and_what_is_wanted() {
        let ours = rate(&[40.0, 50.0, 60.0]).against(ReferenceKind::AtLeast, 20.0);
        let ours = ours.aiming_at(50.0).of(Side::Embedded);
        let genuine = rate(&[1.0, 2.0]).of(Side::Genuine);
        let figures = [genuine, ours.clone()];
        let [.., genuine, shown, ratio, wanted, aim] = headline(&ours, &figures, "");
        assert_eq!(
            (genuine.as_str(), shown.as_str()),
            ("1.50 (1.00–2.00)", "50.0 (40.0–60.0)")
        );
        assert_eq!(
            (ratio.as_str(), wanted.as_str(), aim.as_str()),
            ("33.3x", "at least 20", "50")
        );
    }

    #[test]
    fn markdown_has_a_line_for_each_row() {
        let rows = [["a".to_owned(), "1".to_owned()]];
        assert_eq!(
            markdown(["case", "ours"], &rows),
            "| case | ours |\n|---|---|\n| a | 1 |\n"
        );
    }

    #[test]
    fn what_genuine_storm_was_not_asked_is_said() {
        let [.., genuine, _, ratio, _, _] = headline(&rate(&[15.0]), &[], "not measured");
        assert_eq!((genuine.as_str(), ratio.as_str()), ("not measured", ""));
    }

    #[test]
    fn recorded_figures_are_named_as_such() {
        let ours = rate(&[50.0]).recorded(Some((4.0, 5.0)));
        let [.., genuine, _, ratio, _, _] = headline(&ours, &[], "not measured");
        assert_eq!(
            (genuine.as_str(), ratio.as_str()),
            ("recorded 4–5", "10.0–12.5x")
        );
    }
}
