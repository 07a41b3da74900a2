//! Runs a tuple case: genuine Storm and ours in turn where it is there, else ours alone.
//!
//! Cases stand in `suite`, windows are `measure`'s. Judges nothing.

use std::time::Duration;

use anyhow::{Context, Result};

use super::calibrate;
use super::measure::{self, MIB, Windows};
use super::meters::Count;
use super::side::{Running, Setting, Side};
use super::suite::{Flow, Kind, Variant};
use super::{Figure, Options, ReferenceKind, Span};

/// Who has shown that its statistics agree with our counts: once in a run is enough.
#[derive(Default)]
pub struct Checked(Vec<Side>);

/// Runs a variant as often as the options say, and gives its figures with those of all rounds.
pub fn run(variant: &Variant, options: &Options, checked: &mut Checked) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for n_threads in &options.threads {
        let case = match variant.needs_cluster() || *options.threads == [super::machine::n_cores()]
        {
            true => variant.name(),
            false => format!("{}, {n_threads} threads", variant.name()),
        };
        let mut round = Round {
            variant,
            options,
            case,
            n_threads: *n_threads,
            checked,
        };
        figures.extend(round.rounds()?);
        if variant.needs_cluster() {
            break;
        }
    }
    Ok(figures)
}

/// What encryption costs, of cases that ran with and without it on the same side. The ladder's
/// rates double, so its ratio is no measure of what is wanted.
pub fn penalties(figures: &[Figure]) -> Vec<Figure> {
    let penalty = |encrypted: &Figure| {
        let case = Variant::plain_name(&encrypted.case)?;
        let is_ladder = match encrypted.unit {
            "M/s" => false,
            "sentences/s" => true,
            _ => return None,
        };
        let same = |there: &&Figure| {
            (&*there.case, there.side, &there.what) == (case, encrypted.side, &encrypted.what)
        };
        let plain = figures.iter().find(same)?;
        let ratio = plain.median() / encrypted.median();
        let figure = Figure::new(&encrypted.case, ("plain rate over this", "x"), vec![ratio]);
        Some(match is_ladder {
            true => figure.better_when_less().headline(),
            false => figure.against(ReferenceKind::AtMost, 1.6).aiming_at(1.3),
        })
    };
    figures.iter().filter_map(penalty).collect()
}

/// One run of a variant, again and again.
struct Round<'a> {
    variant: &'a Variant,
    options: &'a Options,
    case: String,
    n_threads: usize,
    checked: &'a mut Checked,
}

// === impl Round ===

impl Round<'_> {
    fn rounds(&mut self) -> Result<Vec<Figure>> {
        let ours = match self.variant.needs_cluster() {
            true => Side::Cluster,
            false => Side::Embedded,
        };
        let has_genuine = self.options.installed.is_some() && self.variant.has_genuine();
        let mut figures = Vec::new();
        for round in 0..self.options.n_rounds {
            if has_genuine {
                eprintln!("  genuine, round {}", round + 1);
                let measured = self.once(Side::Genuine);
                // Ours is worth showing without it.
                match measured.with_context(|| format!("genuine Storm in {}", self.case)) {
                    Ok(measured) => merge(&mut figures, measured),
                    Err(error) => eprintln!("{error:#}"),
                }
            }
            eprintln!("  ours, round {}", round + 1);
            let before = calibrate::quiet_line()?;
            merge(&mut figures, self.once(ours)?);
            if ours == Side::Embedded {
                let lines = vec![before, calibrate::quiet_line()?];
                let what = ("a line between cores, before and after", "ns");
                let line = Figure::new(&self.case, what, lines).of(ours);
                merge(&mut figures, vec![line.better_when_less()]);
            }
            if self.has_half() {
                let bare = self.bare_ring(&figures)?;
                merge(&mut figures, bare);
            }
        }
        Ok(figures)
    }

    /// Whether it is measured at half its rate, too.
    fn has_half(&self) -> bool {
        let variant = self.variant;
        variant.flow == Flow::ConstNull && variant.n_workers == 1 && variant.is_acked
    }

    /// What two bare threads reach at the same rate on the same machine a moment later.
    fn bare_ring(&self, figures: &[Figure]) -> Result<Vec<Figure>> {
        let case = self.half_case();
        let Some(rate) = our_rate(figures, &case) else {
            return Ok(Vec::new());
        };
        let span = self.options.ours.window;
        calibrate::there_and_back(&case, rate * 1e6, self.options.ours.n_windows, span)
    }

    fn half_case(&self) -> String {
        format!("{} at half load", self.case)
    }

    fn once(&mut self, side: Side) -> Result<Vec<Figure>> {
        let setting = Setting {
            n_workers: self.variant.n_workers,
            n_threads: self.n_threads,
            installed: self.options.installed.as_ref(),
        };
        let mut running = Running::start(side, &setting)?;
        let plan = self.variant.plan(running.directory())?;
        if self.variant.flow.kind() == Kind::Ladder {
            running.set_rate(RATES[0])?;
        }
        let cpu_before = super::machine::tree_usage(running.pid()).all.cpu;
        let submitted = running.submit(&plan)?;
        let first = running.until("the first tuple", |meters| meters.first_nanos().is_some())?;
        let mut figures = match self.variant.flow.kind() {
            Kind::Full => self.full(&mut running, side)?,
            Kind::Drained => self.drained(&running, side, cpu_before)?,
            Kind::Slow => self.slow(&running, side)?,
            Kind::Blocked => self.blocked(&running, side)?,
            Kind::Ladder => self.ladder(&running, side)?,
        };
        running.check()?;
        if side != Side::Embedded
            && let Some(first) = first.first_nanos()
        {
            let millis = first.saturating_sub(submitted.started_nanos) as f64 / 1e6;
            let what = ("submit to first tuple", "ms");
            figures.push(Figure::new(&self.case, what, vec![millis]).of(side));
        }
        Ok(figures)
    }

    fn span(&self, side: Side) -> &Span {
        match side {
            Side::Genuine => &self.options.genuine,
            _ => &self.options.ours,
        }
    }

    /// As fast as it can; acked cases of one worker at half that rate, too.
    fn full(&mut self, running: &mut Running, side: Side) -> Result<Vec<Figure>> {
        let span = self.span(side);
        std::thread::sleep(span.warm_up);
        let full = measure::windows(running, span, self.variant.done())?;
        let speed = full.speed(&self.case, side, self.variant.flow.unit());
        let speed = match (self.variant.goal(), side) {
            (Some(goal), Side::Embedded | Side::Cluster) => speed
                .against(ReferenceKind::AtLeast, goal.at_least)
                .aiming_at(goal.aim),
            _ => speed,
        };
        let mut figures = vec![speed.headline().recorded(self.variant.recorded())];
        if matches!(self.variant.flow, Flow::WordCount | Flow::SimpleWordCount) {
            figures.extend(self.words(running, span, side)?);
        }
        figures.extend(full.latencies(&self.case, side));
        figures.extend(full.costs(&self.case, side, self.variant.n_workers));
        if matches!(self.variant.flow, Flow::Shell(_)) {
            figures.extend(full.engine_costs(&self.case, side));
        }
        if self.has_half() {
            figures.extend(self.half(running, side, full.rate())?);
        }
        if !self.checked.0.contains(&side) {
            self.checked.0.push(side);
            figures.push(self.agreement(running, side)?);
        }
        Ok(figures)
    }

    /// Words a second, of one more window.
    fn words(&self, running: &Running, span: &Span, side: Side) -> Result<Option<Figure>> {
        if self.variant.flow != Flow::WordCount {
            return Ok(None);
        }
        let one = Span {
            n_windows: 1,
            ..span.clone()
        };
        let words = measure::windows(running, &one, Count::Executed)?;
        Ok(Some(words.speed(&self.case, side, "words")))
    }

    fn half(&self, running: &Running, side: Side, rate: f64) -> Result<Vec<Figure>> {
        let span = self.span(side);
        running.set_rate((rate / 2.0) as u64)?;
        std::thread::sleep(span.warm_up / 2);
        let half = measure::windows(running, span, Count::Acked)?;
        let case = self.half_case();
        let mut figures = vec![half.speed(&case, side, "tuples")];
        figures.extend(with_goals(half.latencies(&case, side), &HALF_LOAD_GOALS));
        figures.extend(half.costs(&case, side, 1));
        Ok(figures)
    }

    /// What the statistics say over what was counted, when the spouts have stopped.
    fn agreement(&self, running: &mut Running, side: Side) -> Result<Figure> {
        let told = running.told_emitted()?;
        let now = crate::clock::machine_nanos();
        let meters = running.until("the meters", |meters| meters.reach(now))?;
        let ratio = told as f64 / meters.latest(Count::Emitted) as f64;
        if (ratio - 1.0).abs() > AGREEMENT {
            eprintln!(
                "  the statistics of {} say {ratio:.3} of what was counted",
                side.name()
            );
        }
        let what = ("emitted by getTopologyInfo, of what was counted", "");
        Ok(Figure::new(&self.case, what, vec![ratio]).of(side))
    }

    /// Until the last ack. It may be over before a look of ours, so CPU counts from the submit.
    fn drained(&self, running: &Running, side: Side, before: Duration) -> Result<Vec<Figure>> {
        let meters = running.until("the last ack", |meters| meters.done_nanos().is_some())?;
        let used = super::machine::tree_usage(running.pid()).all;
        let span = meters.first_nanos().zip(meters.done_nanos());
        let (first, done) = span.context("nothing was emitted")?;
        let figure = |what: &'static str, unit, value| {
            Figure::new(&self.case, (what, unit), vec![value]).of(side)
        };
        let drained = figure("first emit to last ack", "ms", (done - first) as f64 / 1e6);
        let whole = Windows::whole(&meters, (first, done));
        let mut figures = vec![drained.better_when_less().headline()];
        figures.push(whole.speed(&self.case, side, "tuples"));
        figures.extend(whole.latencies(&self.case, side));
        let cpu = used.cpu.saturating_sub(before).as_secs_f64();
        figures.push(figure("CPU, submit to last ack", "s", cpu));
        let resident = used.resident_bytes as f64 / MIB;
        figures.push(figure("memory", "MiB", resident));
        figures.extend(whole.allocations(&self.case, side));
        Ok(figures)
    }

    fn slow(&self, running: &Running, side: Side) -> Result<Vec<Figure>> {
        let span = self.span(side);
        std::thread::sleep(span.warm_up);
        let slow = measure::windows(running, span, Count::Acked)?;
        let goals: &[_] = match self.variant.sleep_ms {
            1 => &SLOW_GOALS,
            _ => &[],
        };
        let mut figures = with_goals(slow.latencies(&self.case, side), goals);
        figures.extend(slow.costs(&self.case, side, 1));
        Ok(figures)
    }

    /// How much memory grows while a bolt is too slow, and how many tuples it gets.
    fn blocked(&self, running: &Running, side: Side) -> Result<Vec<Figure>> {
        let span = self.span(side);
        std::thread::sleep(span.warm_up);
        let before = super::machine::tree_usage(running.pid()).all.resident_bytes;
        let watched = Span {
            n_windows: 1,
            window: self.options.blocked,
            ..span.clone()
        };
        let windows = measure::windows(running, &watched, Count::Executed)?;
        let after = super::machine::tree_usage(running.pid()).all.resident_bytes;
        let grown = (after as f64 - before as f64) / MIB;
        let grown = Figure::new(&self.case, ("memory grown meanwhile", "MiB"), vec![grown]);
        let rate = Figure::new(&self.case, ("tuples", "a second"), vec![windows.rate()]);
        let mut figures = vec![grown.of(side).better_when_less(), rate.of(side)];
        figures.extend(windows.latencies(&self.case, side));
        figures.extend(windows.costs(&self.case, side, 1));
        Ok(figures)
    }

    /// At rates that double, until latency cannot be borne or the rate is not kept.
    fn ladder(&self, running: &Running, side: Side) -> Result<Vec<Figure>> {
        let span = self.span(side);
        let step = Span {
            n_windows: 1,
            ..span.clone()
        };
        if side == Side::Genuine {
            running.set_rate(WARM_UP_RATE)?;
            std::thread::sleep(span.warm_up);
        }
        let mut figures = Vec::new();
        let mut kept: Option<(u64, Windows)> = None;
        for rate in RATES.into_iter().chain(doubled()) {
            running.set_rate(rate)?;
            std::thread::sleep(SETTLING.min(span.warm_up));
            let windows = measure::windows(running, &step, Count::Acked)?;
            let case = format!("{}, {rate} sentences/s", self.case);
            figures.extend(windows.latencies(&case, side));
            let is_kept = windows.rate() >= rate as f64 * KEPT;
            if !is_kept || windows.worst_late() > BEARABLE_MICROS {
                break;
            }
            kept = Some((rate, windows));
        }
        if let Some((rate, windows)) = kept {
            let what = ("highest rate with p99 under 100 ms", "sentences/s");
            let highest = Figure::new(&self.case, what, vec![rate as f64]).of(side);
            figures.push(highest.headline());
            figures.extend(windows.latencies(&self.case, side));
            figures.extend(windows.costs(&self.case, side, self.variant.n_workers));
        }
        Ok(figures)
    }
}

/// Million a second, of the side that is ours: genuine Storm's half load is another.
fn our_rate(figures: &[Figure], case: &str) -> Option<f64> {
    let is_ours = |figure: &&Figure| figure.case == case && !figure.is_genuine();
    let mut ours = figures.iter().filter(is_ours);
    Some(ours.find(|figure| figure.unit == "M/s")?.median())
}

fn doubled() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(RATES[RATES.len() - 1] * 2), |rate| Some(rate * 2)).take(DOUBLED_MAX)
}

/// Microseconds: what a figure of a name has to reach, and the aim.
type LatencyGoal = (&'static str, f64, f64);

fn with_goals(figures: Vec<Figure>, goals: &[LatencyGoal]) -> Vec<Figure> {
    let with_goal = |figure: Figure| {
        let goal = goals.iter().find(|(what, ..)| *what == figure.what);
        match goal {
            Some((_, at_most, aim)) => figure
                .against(ReferenceKind::AtMost, *at_most)
                .aiming_at(*aim)
                .headline(),
            None => figure,
        }
    };
    figures.into_iter().map(with_goal).collect()
}

/// Adds the values of a round to those of the rounds before.
fn merge(figures: &mut Vec<Figure>, round: Vec<Figure>) {
    for figure in round {
        let same = |there: &&mut Figure| {
            (&there.case, there.side, &there.what) == (&figure.case, figure.side, &figure.what)
        };
        match figures.iter_mut().find(same) {
            Some(there) => there.values.extend(figure.values),
            None => figures.push(figure),
        }
    }
}

/// Of the ladder, sentences a second; then twice the last again and again.
const RATES: [u64; 4] = [500, 5_000, 50_000, 85_000];
const DOUBLED_MAX: usize = 10;
/// For genuine Storm, whose compiler learns by running.
const WARM_UP_RATE: u64 = 50_000;
/// Share of a rate that counts as kept.
const KEPT: f64 = 0.95;
const BEARABLE_MICROS: f64 = 100_000.0;
/// After a change of the rate.
const SETTLING: Duration = Duration::from_secs(1);
/// How far statistics may be from what was counted.
const AGREEMENT: f64 = 0.02;
const HALF_LOAD_GOALS: [LatencyGoal; 2] = [
    ("emit to ack, p50", 10.0, 2.0),
    ("emit to ack, p99", 100.0, 30.0),
];
const SLOW_GOALS: [LatencyGoal; 1] = [("emit to ack, p99", 200.0, 80.0)];

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(case: &str, values: &[f64]) -> Figure {
        Figure::new(case, ("tuples", "M/s"), values.to_vec()).of(Side::Cluster)
    }

    #[test]
    fn rounds_add_up() {
        let mut figures = vec![rate("a", &[1.0])];
        merge(&mut figures, vec![rate("a", &[2.0]), rate("b", &[3.0])]);
        let values: Vec<_> = figures.iter().map(|figure| figure.values.clone()).collect();
        assert_eq!(values, [vec![1.0, 2.0], vec![3.0]]);
    }

    #[test]
    fn a_yardstick_runs_at_the_rate_of_ours_also_beside_genuine_storm() {
        let genuine = rate("a at half load", &[0.9]).of(Side::Genuine);
        let figures = [
            genuine,
            rate("a", &[28.0]),
            rate("a at half load", &[13.0, 15.0]),
        ];
        assert_eq!(our_rate(&figures, "a at half load"), Some(14.0));
        assert_eq!(our_rate(&figures[..2], "a at half load"), None);
    }

    #[test]
    fn the_cost_of_encryption_is_of_the_same_case() {
        let highest = |case: &str, value| {
            let what = ("highest rate with p99 under 100 ms", "sentences/s");
            Figure::new(case, what, vec![value]).of(Side::Cluster)
        };
        let figures = [
            rate("tls, acked", &[0.4]).of(Side::Genuine),
            rate("tls, acked", &[6.0]),
            rate("tls, acked, TLS AES-128", &[4.0]),
            rate("tls, acked, TLS AES-256", &[3.0]),
            rate("b, TLS AES-128", &[1.0]),
            highest("ladder", 170_000.0),
            highest("ladder, TLS AES-128", 85_000.0),
        ];
        let penalties = penalties(&figures);
        let found = penalties.iter().map(|each| (&*each.case, each.median()));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                ("tls, acked, TLS AES-128", 1.5),
                ("tls, acked, TLS AES-256", 2.0),
                ("ladder, TLS AES-128", 2.0)
            ]
        );
        let wanted = |each: &Figure| each.reference.map(|reference| reference.value);
        let wanted: Vec<_> = penalties.iter().map(wanted).collect();
        assert_eq!(wanted, [Some(1.6), Some(1.6), None]);
    }
}
