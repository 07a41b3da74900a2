//! What the meters of a run's processes wrote, and what it says about a span of time.
//!
//! The format is in `component::native::bench::meter`. Writes nothing but the rate that spouts
//! read.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::histogram::Histogram;
use crate::component::native::bench::meter::RATE_FILE;

/// The lines of each process.
#[derive(Debug, Default)]
pub struct Meters(Vec<Vec<Line>>);

/// What a process had done at a time.
#[derive(Clone, Debug, Default)]
struct Line {
    nanos: u64,
    counts: [u64; Count::N],
    first_nanos: u64,
    done_nanos: u64,
    /// New since the line before.
    to_ack: Vec<(usize, u64)>,
    to_bolt: Vec<(usize, u64)>,
}

/// Which of a line's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Emitted,
    /// Trees completed at the spouts.
    Acked,
    Failed,
    /// Tuples that the last bolt got.
    Executed,
    /// Of the whole process; genuine Storm's side does not count them.
    Allocations,
}

/// From where to where a latency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    EmitToAck,
    EmitToBolt,
}

// === impl Count ===

impl Count {
    const N: usize = 5;
}

// === impl Meters ===

impl Meters {
    /// All that there is by now; a line that is being written is left out.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut processes = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with("meter-") {
                continue;
            }
            let text = fs::read_to_string(entry.path())?;
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines: Result<Vec<Line>> = whole.lines().map(Line::parse).collect();
            processes.push(lines.with_context(|| format!("in {}", entry.path().display()))?);
        }
        Ok(Meters(processes))
    }

    /// A count of all processes together at a time between their lines, or the last before it.
    pub fn at(&self, count: Count, nanos: u64) -> f64 {
        let all = self.0.iter();
        all.map(|lines| between(lines, count, nanos)).sum()
    }

    /// The latest count.
    pub fn latest(&self, count: Count) -> u64 {
        let last = self.0.iter().filter_map(|lines| lines.last());
        last.map(|line| line.counts[count as usize]).sum()
    }

    /// How much a count has grown from each process's first line to its last.
    pub fn grown(&self, count: Count) -> u64 {
        let ends = self
            .0
            .iter()
            .filter_map(|lines| lines.first().zip(lines.last()));
        ends.map(|(first, last)| last.counts[count as usize] - first.counts[count as usize])
            .sum()
    }

    /// Whether a line of every process is at or behind a time.
    pub fn reach(&self, nanos: u64) -> bool {
        let last = |lines: &Vec<Line>| lines.last().is_some_and(|line| line.nanos >= nanos);
        !self.0.is_empty() && self.0.iter().all(last)
    }

    /// The latencies of a span.
    pub fn latencies(&self, leg: Leg, from: u64, to: u64) -> Histogram {
        let mut histogram = Histogram::new();
        let lines = self.0.iter().flatten();
        for line in lines.filter(|line| line.nanos > from && line.nanos <= to) {
            let new = match leg {
                Leg::EmitToAck => &line.to_ack,
                Leg::EmitToBolt => &line.to_bolt,
            };
            new.iter()
                .for_each(|(at, count)| histogram.add(*at, *count));
        }
        histogram
    }

    /// When the first tuple was emitted.
    pub fn first_nanos(&self) -> Option<u64> {
        let all = self.0.iter().flatten().map(|line| line.first_nanos);
        all.filter(|nanos| *nanos > 0).min()
    }

    /// When the last tree of a spout with an end was complete.
    pub fn done_nanos(&self) -> Option<u64> {
        let all = self.0.iter().flatten().map(|line| line.done_nanos);
        all.max().filter(|nanos| *nanos > 0)
    }
}

/// Has the spouts of a run emit so many tuples a second together; 0: as many as they can. They see
/// it within a tenth of a second.
pub fn set_rate(directory: &Path, rate: u64) -> Result<()> {
    let (file, next) = (directory.join(RATE_FILE), directory.join("rate.next"));
    fs::write(&next, rate.to_string())?;
    fs::rename(&next, &file)?;
    Ok(())
}

/// Removes what a process that is gone has written.
pub fn forget(directory: &Path, pid: i32) -> Result<()> {
    Ok(fs::remove_file(directory.join(format!("meter-{pid}")))?)
}

fn between(lines: &[Line], count: Count, nanos: u64) -> f64 {
    let value = |line: &Line| line.counts[count as usize] as f64;
    let behind = lines.partition_point(|line| line.nanos <= nanos);
    match (
        behind.checked_sub(1).and_then(|at| lines.get(at)),
        lines.get(behind),
    ) {
        (None, _) => 0.0,
        (Some(before), None) => value(before),
        (Some(before), Some(after)) => {
            let share = (nanos - before.nanos) as f64 / (after.nanos - before.nanos) as f64;
            value(before) + share * (value(after) - value(before))
        }
    }
}

// === impl Line ===

impl Line {
    fn parse(text: &str) -> Result<Self> {
        let mut words = text.split(' ');
        let mut number = || -> Result<u64> {
            match words.next().context("a line of a meter is too short")? {
                "-" => Ok(0),
                word => word.parse().with_context(|| format!("no number: {word}")),
            }
        };
        let mut line = Line {
            nanos: number()?,
            ..Line::default()
        };
        for count in &mut line.counts {
            *count = number()?;
        }
        (line.first_nanos, line.done_nanos) = (number()?, number()?);
        for word in words {
            let (place, count) = word.split_at(1);
            let parsed = count.split_once(':');
            let parsed = parsed.and_then(|(at, n)| Some((at.parse().ok()?, n.parse().ok()?)));
            let parsed = parsed.with_context(|| format!("no bucket: {word}"))?;
            match place {
                "A" => line.to_ack.push(parsed),
                _ => line.to_bolt.push(parsed),
            }
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_between_lines() {
        let directory = tempfile::tempdir().unwrap();
        let one =
            "100 0 0 0 0 7 0 0\n200 10 4 0 10 9 150 0 A5:2 B3:1\n300 30 24 1 30 9 150 290 A6:1\n3";
        fs::write(directory.path().join("meter-1"), one).unwrap();
        fs::write(directory.path().join("meter-2"), "150 2 0 0 5 - 0 0\n").unwrap();
        let meters = Meters::read(directory.path()).unwrap();
        assert_eq!(meters.at(Count::Emitted, 250), 20.0 + 2.0);
        assert_eq!(meters.at(Count::Executed, 90), 0.0);
        assert_eq!(meters.at(Count::Allocations, 1000), 9.0);
        assert_eq!(meters.latest(Count::Acked), 24);
        assert_eq!(meters.grown(Count::Allocations), 2);
        assert_eq!(meters.latencies(Leg::EmitToAck, 150, 300).len(), 3);
        assert_eq!(meters.latencies(Leg::EmitToBolt, 200, 300).len(), 0);
        assert_eq!(
            (meters.first_nanos(), meters.done_nanos()),
            (Some(150), Some(290))
        );
        assert!(meters.reach(150) && !meters.reach(151));
    }

    #[test]
    fn a_meter_that_says_nothing_of_use_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("meter-1"), "12 x\n").unwrap();
        let error = Meters::read(directory.path()).unwrap_err();
        assert!(format!("{error:#}").contains("no number: x"), "{error:#}");
    }
}
