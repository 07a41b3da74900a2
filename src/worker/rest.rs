//! How a thread waits: it spins for some tens of microseconds while cores are free, then it parks.
//!
//! A wake from a park costs as much as thousands of tuples, an idle core that spins costs everybody
//! else. Which of the two is right depends on who else wants the core, and that is measured; and on
//! whether there was much to do of late: silence then mostly means that a sibling lost its core.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::clock;
use crate::worker::kernel;
use crate::worker::whereabouts::{Company, Siblings};

/// What the timers of an engine go by.
#[derive(Clone, Debug)]
pub enum Time {
    Real,
    /// Microseconds that a test sets. Waits have no time-out then: who sets it rings the doors.
    Simulated(Arc<AtomicU64>),
}

/// Whether threads may spin before they park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spinning {
    /// All threads of the node fit its cores.
    Allowed,
    Forbidden,
}

/// The waiting of one thread.
pub struct Rest {
    spinning: Spinning,
    rivals: Rivals,
    patience: Patience,
    /// Spins in a row that saw nothing come, up to `VAIN_MAX`; then those that were left out too.
    n_vain: u32,
    /// Spins in a row that saw something come.
    n_fruitful: u32,
}

/// How much longer than usual a thread may spin: work earns it, waiting spends it.
///
/// So what is spun in vain stays a small share of the work that went before, and a thread that has
/// little to do has none.
#[derive(Debug, Default)]
struct Patience {
    earned: Duration,
}

/// How long to spin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// Something is due then.
    Timed(Duration),
    /// Then it is time to park.
    Open(Duration),
}

/// How often and for how long the kernel gave this thread's core to others, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Losses {
    n_preempted: i64,
    /// For a core, while it could have run. None where the kernel does not tell.
    waited: Option<Duration>,
}

/// What is known of others that want the thread's core: what it lost to them while it spun.
struct Rivals {
    /// No spinning before this.
    suspended_until: Option<Instant>,
    /// How long spinning is left the next time that there are rivals.
    suspension: Duration,
    checked_at: Instant,
    losses: Losses,
    /// Whether a thread of the engine had the same core meanwhile, and so may be the one who took
    /// it.
    are_siblings: bool,
}

// === impl Time ===

impl Time {
    /// Monotonic microseconds.
    #[inline]
    pub fn now_us(&self) -> u64 {
        match self {
            Time::Real => clock::monotonic_micros(),
            Time::Simulated(now_us) => now_us.load(Ordering::SeqCst),
        }
    }
}

// === impl Rest ===

impl Rest {
    pub fn new(spinning: Spinning) -> Self {
        Rest {
            spinning,
            rivals: Rivals::new(Instant::now(), Losses::so_far()),
            patience: Patience::default(),
            n_vain: 0,
            n_fruitful: 0,
        }
    }

    pub fn spinning(&self) -> Spinning {
        self.spinning
    }

    /// A round of work was done.
    #[inline]
    pub fn worked(&mut self) {
        self.patience.earn();
    }

    /// Watches for input for a moment; true when there is some, or when a timer is about to be due.
    ///
    /// `for_room`: the thread also waits for room at a receiver, and sees none while it spins.
    /// Who keeps a core for which a sibling waits, waits in vain.
    pub fn spin(
        &mut self,
        until_us: Option<u64>,
        for_room: bool,
        siblings: impl Fn() -> Siblings,
        has_input: impl Fn() -> bool,
    ) -> bool {
        if self.spinning == Spinning::Forbidden {
            return false;
        }
        let started = Instant::now();
        if self.rivals.want_the_core(started, Losses::so_far) {
            return false;
        }
        if self.n_vain > VAIN_MAX {
            // What comes does not come so soon: a look now and then tells when that changes.
            self.n_vain -= 1;
            return false;
        }
        let span = self.span(until_us.map(Duration::from_micros), for_room);
        let mut spun = Duration::ZERO;
        loop {
            for _ in 0..32 {
                if has_input() {
                    self.fruitful(spun);
                    return true;
                }
                std::hint::spin_loop();
            }
            spun = started.elapsed();
            let siblings = siblings();
            self.rivals.are_siblings |= siblings.company != Company::Nobody;
            let is_over = span.is_over(spun, siblings.is_any_awake);
            match (span, siblings.company) {
                // Whoever brings something wakes this thread, and gets the core meanwhile.
                (Span::Open(_), Company::Waiting) => return false,
                (Span::Open(_), _) if is_over => {
                    self.in_vain(spun);
                    return false;
                }
                (Span::Timed(_), Company::Waiting) => std::thread::yield_now(),
                _ => {}
            }
            if is_over {
                return true;
            }
        }
    }

    /// How long to spin now.
    fn span(&self, until: Option<Duration>, for_room: bool) -> Span {
        match self.patience.span(until) {
            Span::Open(_) if self.n_fruitful < FRUITFUL_MIN => Span::Open(SPIN_DOUBTFUL),
            Span::Open(_) if for_room => Span::Open(SPIN),
            span => span,
        }
    }

    fn fruitful(&mut self, spun: Duration) {
        self.patience.spend(spun);
        self.n_vain = 0;
        self.n_fruitful = self.n_fruitful.saturating_add(1);
    }

    fn in_vain(&mut self, spun: Duration) {
        self.patience.spend(spun);
        self.n_fruitful = 0;
        self.n_vain += 1;
        if self.n_vain > VAIN_MAX {
            self.n_vain = VAIN_MAX + LEFT_OUT;
        }
    }
}

// === impl Span ===

impl Span {
    fn is_over(self, spun: Duration, is_any_awake: bool) -> bool {
        match self {
            Span::Timed(end) => spun >= end,
            // Where all siblings sleep, what comes is not on its way.
            Span::Open(end) => spun >= if is_any_awake { end } else { end.min(SPIN) },
        }
    }
}

// === impl Patience ===

impl Patience {
    #[inline]
    fn earn(&mut self) {
        self.earned = (self.earned + EARNED).min(PATIENCE_MAX);
    }

    /// `until` is when a timer is due, if any is. A silence whose end is known is no surprise, and
    /// is slept through.
    fn span(&self, until: Option<Duration>) -> Span {
        match until {
            Some(until) if until < SPIN => Span::Timed(until),
            Some(until) if until < SPIN + PATIENCE_MAX => Span::Open(SPIN),
            _ => Span::Open(SPIN + self.earned),
        }
    }

    fn spend(&mut self, spun: Duration) {
        self.earned = self.earned.saturating_sub(spun.saturating_sub(SPIN));
    }
}

// === impl Rivals ===

impl Rivals {
    fn new(now: Instant, losses: Losses) -> Self {
        Rivals {
            suspended_until: None,
            suspension: SUSPENSION_MIN,
            checked_at: now,
            losses,
            are_siblings: false,
        }
    }

    /// Whoever is preempted often, and waits long to go on, shares its core with others that have
    /// work to do. One without the other is the kernel's housekeeping.
    ///
    /// `losses` are asked for when there is something to judge.
    fn want_the_core(&mut self, now: Instant, losses: impl FnOnce() -> Losses) -> bool {
        if let Some(until) = self.suspended_until {
            if now < until {
                return true;
            }
            // What came while it did not spin says nothing of what spinning would meet.
            self.suspended_until = None;
            (self.checked_at, self.losses) = (now, losses());
            self.are_siblings = false;
            return false;
        }
        let span = now.duration_since(self.checked_at);
        if span < CHECK_EVERY {
            return false;
        }
        let losses = losses();
        let before = std::mem::replace(&mut self.losses, losses);
        self.checked_at = now;
        if std::mem::take(&mut self.are_siblings) {
            return false;
        }
        if !losses.are_of_rivals(&before, span) {
            self.suspension = SUSPENSION_MIN;
            return false;
        }
        // Short at first: who compiles for a moment must not cost half a second of parks.
        self.suspended_until = Some(now + self.suspension);
        self.suspension = (self.suspension * 2).min(SUSPENSION_MAX);
        true
    }
}

// === impl Losses ===

impl Losses {
    /// Of this thread.
    fn so_far() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_THREAD);
        Losses {
            n_preempted: usage.map_or(0, |usage| usage.involuntary_context_switches()),
            waited: kernel::waited_for_a_core(),
        }
    }

    /// Whether what was lost in a span, since `before`, tells of others with work to do.
    fn are_of_rivals(&self, before: &Losses, span: Duration) -> bool {
        // A thread that had no rest for long was looked at as much longer.
        let n_checks = span.as_micros() / CHECK_EVERY.as_micros();
        let n_max = i128::from(PREEMPTIONS_MAX) * n_checks as i128;
        let has_waited = match (self.waited, before.waited) {
            (Some(waited), Some(before)) => waited.saturating_sub(before) > span / WAITED_SHARE,
            _ => true,
        };
        i128::from(self.n_preempted - before.n_preempted) > n_max && has_waited
    }
}

/// Two wakes' worth.
const SPIN: Duration = Duration::from_micros(50);
/// A wake's worth, for a thread that also has spun in vain of late: one whose work comes in bursts,
/// as from a child process, would spin away as much as it works.
const SPIN_DOUBTFUL: Duration = Duration::from_micros(20);
/// Spins in a row that saw something come after which there is no doubt.
const FRUITFUL_MIN: u32 = 8;
/// Patience for a round of work, which takes a microsecond or more.
const EARNED: Duration = Duration::from_nanos(100);
/// Who takes a core for a moment, as the kernel's own threads do, is gone by then, or has had a
/// tick of the usual 4 ms. Whom others keep waiting for longer the kernel moves to a core that is
/// left.
const PATIENCE_MAX: Duration = Duration::from_millis(5);
/// Spins in vain in a row after which most are left out.
const VAIN_MAX: u32 = 16;
/// Rests without a spin between two with one, then.
const LEFT_OUT: u32 = 15;
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Preemptions within `CHECK_EVERY` above which others want the core.
const PREEMPTIONS_MAX: i64 = 5;
/// Part of the time that has to go into waiting for a core, too.
const WAITED_SHARE: u32 = 25;
/// How long spinning is left the first time, and at most, while checks go on to find rivals.
const SUSPENSION_MIN: Duration = Duration::from_millis(25);
const SUSPENSION_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_a_share_of_the_work_and_bounded() {
        let mut patience = Patience::default();
        assert_eq!(patience.span(None), Span::Open(SPIN));
        (0..100).for_each(|_| patience.earn());
        assert_eq!(patience.span(None), Span::Open(SPIN + 100 * EARNED));
        // Within the usual spin nothing is spent.
        patience.spend(SPIN);
        patience.spend(SPIN + 60 * EARNED);
        assert_eq!(patience.span(None), Span::Open(SPIN + 40 * EARNED));
        patience.spend(SPIN + PATIENCE_MAX);
        assert_eq!(patience.span(None), Span::Open(SPIN));
        (0..1_000_000).for_each(|_| patience.earn());
        assert_eq!(patience.span(None), Span::Open(SPIN + PATIENCE_MAX));
    }

    #[test]
    fn a_silence_whose_end_is_known_takes_no_patience() {
        let mut patience = Patience::default();
        (0..1_000_000).for_each(|_| patience.earn());
        let soon = SPIN / 2;
        assert_eq!(patience.span(Some(soon)), Span::Timed(soon));
        assert_eq!(patience.span(Some(SPIN)), Span::Open(SPIN));
        assert_eq!(patience.span(Some(PATIENCE_MAX)), Span::Open(SPIN));
        let late = SPIN + PATIENCE_MAX;
        assert_eq!(patience.span(Some(late)), Span::Open(SPIN + PATIENCE_MAX));
    }

    /// With all the patience that there is, and blind to rivals.
    fn patient() -> Rest {
        let mut rest = Rest::new(Spinning::Allowed);
        rest.patience.earned = PATIENCE_MAX;
        rest.n_fruitful = FRUITFUL_MIN;
        rest.rivals.checked_at += Duration::from_secs(3600);
        rest
    }

    #[test]
    fn who_is_in_the_way_of_a_sibling_does_not_spin() {
        let mut rest = patient();
        let siblings = || Siblings {
            company: Company::Waiting,
            is_any_awake: true,
        };
        for _ in 0..=VAIN_MAX {
            assert!(!rest.spin(None, false, siblings, || false));
        }
        assert_eq!(rest.patience.span(None), Span::Open(SPIN + PATIENCE_MAX));
        assert_eq!(rest.n_vain, 0, "these say nothing of what would have come");
        assert!(rest.spin(None, false, siblings, || true));
        assert!(rest.spin(Some(1), false, siblings, || false));
    }

    #[test]
    fn patience_is_with_siblings_that_are_awake() {
        let long = SPIN + PATIENCE_MAX;
        for (span, spun, is_over) in [
            (Span::Open(long), SPIN / 2, [false, false]),
            (Span::Open(long), SPIN, [true, false]),
            (Span::Open(long), long, [true, true]),
            (Span::Timed(SPIN / 2), SPIN / 4, [false, false]),
            (Span::Timed(SPIN / 2), SPIN / 2, [true, true]),
        ] {
            let judged = [false, true].map(|is_any_awake| span.is_over(spun, is_any_awake));
            assert_eq!(judged, is_over, "{span:?} after {spun:?}");
        }
    }

    #[test]
    fn one_spin_in_vain_casts_doubt_on_the_next_ones() {
        let mut rest = patient();
        let all_of_it = Span::Open(SPIN + PATIENCE_MAX);
        assert_eq!(rest.span(None, false), all_of_it);
        rest.in_vain(SPIN);
        for _ in 0..FRUITFUL_MIN {
            assert_eq!(rest.span(None, false), Span::Open(SPIN_DOUBTFUL));
            assert_eq!(rest.span(None, true), Span::Open(SPIN_DOUBTFUL));
            rest.fruitful(Duration::ZERO);
        }
        assert_eq!(
            rest.span(None, false),
            all_of_it,
            "too short spins cost nothing"
        );
        assert_eq!(
            rest.span(None, true),
            Span::Open(SPIN),
            "who waits for room has none to use"
        );
        rest.in_vain(SPIN + PATIENCE_MAX);
        assert_eq!(rest.patience.earned, Duration::ZERO, "all of it");
    }

    #[test]
    fn a_spin_tells_how_it_ended() {
        let mut rest = patient();
        let siblings = || Siblings {
            company: Company::Nobody,
            is_any_awake: true,
        };
        assert!(rest.spin(None, false, siblings, || true));
        assert_eq!((rest.n_vain, rest.n_fruitful), (0, FRUITFUL_MIN + 1));
        assert!(!rest.spin(None, false, siblings, || false));
        assert_eq!((rest.n_vain, rest.n_fruitful), (1, 0));
        assert_eq!(rest.patience.earned, Duration::ZERO);
    }

    /// Where the kernel does not tell of times.
    fn untold(n_preempted: i64) -> Losses {
        Losses {
            n_preempted,
            waited: None,
        }
    }

    #[test]
    fn who_loses_a_core_often_but_hardly_waits_has_no_rivals() {
        let losses = |n_preempted, waited_us| Losses {
            n_preempted,
            waited: Some(Duration::from_micros(waited_us)),
        };
        let before = losses(10, 1000);
        for (n_preempted, waited_us, are_of_rivals) in [
            (10, 1000, false),
            (10 + 500, 1000 + 2000, false),
            (10 + 500, 1000 + 2001, true),
            (10 + 5, 1000 + 40_000, false),
            (10 + 6, 1000 + 40_000, true),
        ] {
            let judged = losses(n_preempted, waited_us).are_of_rivals(&before, CHECK_EVERY);
            assert_eq!(judged, are_of_rivals, "{n_preempted} {waited_us}");
        }
        let long = CHECK_EVERY * 10;
        assert!(!losses(10 + 50, 1000 + 40_000).are_of_rivals(&before, long));
        assert!(losses(10 + 51, 1000 + 40_000).are_of_rivals(&before, long));
    }

    /// Judges every 10 ms of a span in which so many preemptions come in each 10 ms; gives how many
    /// of these found that others want the core.
    fn n_left_out(rivals: &mut Rivals, from: &mut Instant, n_ticks: u32, per_tick: i64) -> u32 {
        let mut n_left_out = 0;
        let mut n_preempted = rivals.losses.n_preempted;
        for _ in 0..n_ticks {
            *from += Duration::from_millis(10);
            n_preempted += per_tick;
            n_left_out += u32::from(rivals.want_the_core(*from, || untold(n_preempted)));
        }
        n_left_out
    }

    #[test]
    fn a_short_burst_costs_a_short_suspension_and_a_long_one_most_of_the_time() {
        let mut now = Instant::now();
        let mut rivals = Rivals::new(now, untold(0));
        assert_eq!(n_left_out(&mut rivals, &mut now, 100, 1), 0);
        // One check finds rivals; then they are gone.
        assert!(n_left_out(&mut rivals, &mut now, 5, 3) <= 1);
        let after = n_left_out(&mut rivals, &mut now, 100, 0);
        assert!(after <= 3, "{after}");
        let rivals_stay = n_left_out(&mut rivals, &mut now, 1000, 3);
        assert!(rivals_stay > 800, "{rivals_stay}");
        let again = n_left_out(&mut rivals, &mut now, 200, 0);
        assert!(again <= 51, "{again}");
        assert_eq!(rivals.suspension, SUSPENSION_MIN);
    }

    #[test]
    fn preemptions_of_a_time_without_spins_count_for_nothing() {
        let mut now = Instant::now();
        let mut rivals = Rivals::new(now, untold(0));
        now += CHECK_EVERY;
        assert!(rivals.want_the_core(now, || untold(100)));
        now += Duration::from_millis(400);
        assert!(!rivals.want_the_core(now, || untold(200)));
        now += CHECK_EVERY;
        assert!(!rivals.want_the_core(now, || untold(203)));
        // Busy for a second, without a rest: as many a check are allowed as ever.
        now += CHECK_EVERY * 20;
        assert!(!rivals.want_the_core(now, || untold(203 + 100)));
        now += CHECK_EVERY;
        assert!(rivals.want_the_core(now, || untold(203 + 106)));
    }

    #[test]
    fn a_sibling_is_no_rival() {
        let mut now = Instant::now();
        let mut rivals = Rivals::new(now, untold(0));
        rivals.are_siblings = true;
        now += CHECK_EVERY;
        assert!(!rivals.want_the_core(now, || untold(1000)));
        now += CHECK_EVERY;
        assert!(!rivals.want_the_core(now, || untold(1000)));
        now += CHECK_EVERY;
        assert!(rivals.want_the_core(now, || untold(1006)));
    }
}
