//! `stormwire bench`: runs cases and shows their figures.
//!
//! Measures nothing itself, and never fails on a figure: only a case that cannot run is an error.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde_json::json;

use super::table;
use crate::bench::{self, Case, Figure, Options, ReferenceKind, machine};

/// What to measure, and for how long.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Cases to run; all without any.
    #[arg(value_name = "CASE")]
    pub cases: Vec<Case>,
    /// Length of each of the three windows of a rate.
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with = "smoke",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Tiny windows: shows that every case runs, not what is fast.
    #[arg(long)]
    pub smoke: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Threads of the tuple cases, such as `1,2`; as many as there are cores without it.
    #[arg(long, value_name = "N,...", value_delimiter = ',',
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub threads: Vec<usize>,
}

/// Runs the cases one after another; 1 if any of them cannot run.
pub fn run(args: &BenchArgs) -> Result<i32> {
    let options = options(args);
    let cases = match args.cases.is_empty() {
        true => Case::ALL.to_vec(),
        false => args.cases.clone(),
    };
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    for case in cases {
        eprintln!("measuring {} ..", case.name());
        match bench::run(case, &options) {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                eprintln!("{} cannot run: {error:#}", case.name());
                failures.push((case.name(), format!("{error:#}")));
            }
        }
    }
    match args.json {
        true => println!("{:#}", to_json(args, &figures, &failures)),
        false => show(args, &figures),
    }
    Ok(i32::from(!failures.is_empty()))
}

fn options(args: &BenchArgs) -> Options {
    let mut options = match args.smoke {
        true => Options::smoke(),
        false => Options::full(Duration::from_secs(args.seconds)),
    };
    if !args.threads.is_empty() {
        options.threads = args.threads.clone();
    }
    options
}

fn show(args: &BenchArgs, figures: &[Figure]) {
    println!("machine: {}", machine::describe());
    println!(
        "build: stormwire {}, {}",
        env!("CARGO_PKG_VERSION"),
        build()
    );
    println!("genuine Storm: not run by this command");
    if args.smoke {
        println!("smoke run: the windows are too short for the figures to mean anything");
    }
    println!();
    let head = [
        "case", "figure", "median", "min", "max", "unit", "against", "ratio",
    ];
    println!("{}", table::table(head, figures.iter().map(row)));
}

fn row(figure: &Figure) -> [String; 8] {
    let (against, ratio) = match figure.reference {
        None => Default::default(),
        Some(reference) => {
            let words = match reference.kind {
                ReferenceKind::Ceiling => "ceiling",
                ReferenceKind::AtLeast => "at least",
                ReferenceKind::AtMost => "at most",
            };
            let ratio = figure.median() / reference.value;
            (
                format!("{words} {}", reference.value),
                format!("{ratio:.2}"),
            )
        }
    };
    [
        figure.case.clone(),
        figure.what.to_owned(),
        number(figure.median()),
        number(figure.min()),
        number(figure.max()),
        figure.unit.to_owned(),
        against,
        ratio,
    ]
}

/// Three digits that count, and no more behind the point than they need.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn to_json(args: &BenchArgs, figures: &[Figure], failures: &[(&str, String)]) -> serde_json::Value {
    let figure = |figure: &Figure| {
        let reference = figure.reference.map(|reference| {
            json!({
                "kind": match reference.kind {
                    ReferenceKind::Ceiling => "ceiling",
                    ReferenceKind::AtLeast => "at_least",
                    ReferenceKind::AtMost => "at_most",
                },
                "value": reference.value,
            })
        });
        json!({
            "case": figure.case,
            "figure": figure.what,
            "unit": figure.unit,
            "median": figure.median(),
            "values": figure.values,
            "reference": reference,
        })
    };
    let failure = |(case, error): &(&str, String)| json!({ "case": case, "error": error });
    json!({
        "machine": machine::describe(),
        "build": build(),
        "smoke": args.smoke,
        "genuine": null,
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

    #[test]
    fn numbers_show_three_digits() {
        for (value, shown) in [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (1234.5, "1234"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn a_row_holds_the_figure_against_its_reference() {
        let figure = Figure::new("null", ("tuples", "M/s"), vec![40.0, 50.0, 60.0]);
        let figure = figure.against(ReferenceKind::Ceiling, 100.0);
        let [case, .., against, ratio] = row(&figure);
        assert_eq!(
            (case.as_str(), against.as_str(), ratio.as_str()),
            ("null", "ceiling 100", "0.50")
        );
    }
}
