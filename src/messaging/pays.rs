//! Whether packing a frame pays: by what the configuration says, the size of values, and what the
//! sending task saw of its link and its codec.
//!
//! Pure: speeds and times are arguments. What packs is `compress`.

/// When frames are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Where values are large: Storm's `topology.tuple.compression.enable`.
    LargeValues,
    /// Where values are large, or the link is so slow that packing makes it faster.
    Pays,
}

/// Decides for the frames of one link, one after the other.
#[derive(Debug)]
pub struct Judge {
    when: When,
    /// Bytes a tuple above which values count as large.
    large_bytes: usize,
    window: Window,
    /// Of the link while it was all that the sender waited for; none before that was seen.
    link_speed: Option<f64>,
    codec: Option<CodecSeen>,
    is_slow: bool,
    /// Windows in a row that spoke for the other state.
    n_against: u32,
    /// Frames since the link was last seen to hold anything up.
    n_calm: u32,
    /// Frames since one was packed that did not become much smaller.
    n_skipped: u32,
    probes: bool,
}

/// A frame that was handed to the system.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// As they went out.
    pub n_bytes: usize,
    pub took_ns: u64,
    /// Whether another frame waited when it was out: then the link is what holds up.
    pub is_backlogged: bool,
}

/// Bytes and time of frames that others waited behind.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    n_bytes: u64,
    took_ns: u64,
}

/// What packing did lately.
#[derive(Clone, Copy, Debug)]
struct CodecSeen {
    /// Nanoseconds for a byte.
    byte_ns: f64,
    /// Packed bytes for a plain one.
    ratio: f64,
}

// === impl Judge ===

impl Judge {
    /// `large_bytes` is `topology.tuple.compression.threshold`.
    pub fn new(when: When, large_bytes: usize) -> Self {
        Judge {
            when,
            large_bytes,
            window: Window::default(),
            link_speed: None,
            codec: None,
            is_slow: false,
            n_against: 0,
            n_calm: 0,
            n_skipped: 0,
            probes: false,
        }
    }

    /// Whether the next frame is to be packed.
    pub fn wants(&mut self, n_bytes: usize, n_tuples: usize) -> bool {
        if n_bytes < PACKED_BYTES_MIN {
            return false;
        }
        let is_large = n_bytes / n_tuples.max(1) > self.large_bytes;
        match self.when {
            When::Always => true,
            When::LargeValues => is_large && self.shrinks(),
            When::Pays => {
                std::mem::take(&mut self.probes) || ((is_large || self.is_slow) && self.shrinks())
            }
        }
    }

    /// What does not become smaller is tried again now and then: values change.
    fn shrinks(&mut self) -> bool {
        if self.codec.is_none_or(|codec| codec.ratio < RATIO_WORTH) {
            return true;
        }
        self.n_skipped += 1;
        let is_due = self.n_skipped >= RETRY_FRAMES;
        if is_due {
            self.n_skipped = 0;
        }
        is_due
    }

    /// A frame was packed, or would not have become smaller (`n_packed` as `n_plain`).
    pub fn packed(&mut self, n_plain: usize, n_packed: usize, took_ns: u64) {
        let n_plain = n_plain.max(1) as f64;
        let seen = CodecSeen {
            byte_ns: took_ns as f64 / n_plain,
            ratio: n_packed as f64 / n_plain,
        };
        let blend = |old: f64, new: f64| old + (new - old) * NEWEST_WEIGHT;
        self.codec = Some(match self.codec {
            None => seen,
            Some(old) => CodecSeen {
                byte_ns: blend(old.byte_ns, seen.byte_ns),
                ratio: blend(old.ratio, seen.ratio),
            },
        });
    }

    /// A frame is out.
    pub fn wrote(&mut self, written: Written) {
        if self.when != When::Pays {
            return;
        }
        if !written.is_backlogged {
            self.window = Window::default();
            self.n_calm = self.n_calm.saturating_add(1);
            // Packing may be why nothing waits any more; long after, it has to prove itself anew.
            if self.is_slow && self.n_calm >= CALM_FRAMES {
                self.turn(false);
            }
            return;
        }
        self.n_calm = 0;
        self.window.n_bytes += written.n_bytes as u64;
        self.window.took_ns += written.took_ns;
        if self.window.took_ns >= WINDOW_NS && self.window.n_bytes >= WINDOW_BYTES {
            let window = std::mem::take(&mut self.window);
            self.link_speed = Some(window.n_bytes as f64 / window.took_ns as f64);
            self.judge_window();
        }
    }

    fn judge_window(&mut self) {
        let Some(gain) = self.gain() else {
            // Not known before a frame was packed.
            self.probes = true;
            return;
        };
        let speaks_for = match self.is_slow {
            false => gain >= GAIN_ON,
            true => gain >= GAIN_OFF,
        };
        if speaks_for == self.is_slow {
            self.n_against = 0;
            // What the codec does is seen only where it works.
            self.probes = !self.is_slow;
            return;
        }
        self.n_against += 1;
        self.probes = !self.is_slow;
        if self.n_against >= WINDOWS_TO_TURN {
            self.turn(speaks_for);
        }
    }

    /// How many times faster a plain byte is through packed than as it is.
    fn gain(&self) -> Option<f64> {
        let (codec, link_speed) = (self.codec?, self.link_speed?);
        let plain_ns = 1.0 / link_speed;
        Some(plain_ns / (codec.byte_ns + codec.ratio * plain_ns))
    }

    fn turn(&mut self, is_slow: bool) {
        self.is_slow = is_slow;
        self.n_against = 0;
        self.n_calm = 0;
    }
}

/// Below it the head of a packed frame outweighs what is won.
const PACKED_BYTES_MIN: usize = 128;
/// Packed bytes for a plain one that are worth the work.
const RATIO_WORTH: f64 = 0.9;
const RETRY_FRAMES: u32 = 32;
const NEWEST_WEIGHT: f64 = 0.25;
/// Long enough for a socket's buffers to count little.
const WINDOW_NS: u64 = 20_000_000;
const WINDOW_BYTES: u64 = 64 << 10;
/// Apart, so that a link at the border does not swing.
const GAIN_ON: f64 = 1.25;
const GAIN_OFF: f64 = 1.0;
const WINDOWS_TO_TURN: u32 = 2;
const CALM_FRAMES: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// One window of a link of so many MB/s, whose frames shrink to a half at 500 MB/s.
    fn window(judge: &mut Judge, mb_per_sec: u64, is_backlogged: bool) -> usize {
        let mut n_packed = 0;
        let frame = 100_000;
        for _ in 0..(WINDOW_NS / (frame * 1000 / mb_per_sec)).max(1) + 1 {
            let is_packed = judge.wants(frame as usize, 3000);
            let n_bytes = if is_packed { frame / 2 } else { frame };
            if is_packed {
                n_packed += 1;
                judge.packed(frame as usize, n_bytes as usize, frame * 2);
            }
            judge.wrote(Written {
                n_bytes: n_bytes as usize,
                took_ns: n_bytes * 1000 / mb_per_sec,
                is_backlogged,
            });
        }
        n_packed
    }

    fn windows(n_windows: usize, judge: &mut Judge, mb_per_sec: u64) {
        for _ in 0..n_windows {
            window(judge, mb_per_sec, true);
        }
    }

    #[test]
    fn a_slow_link_is_packed_and_a_fast_one_is_not() {
        let mut slow = Judge::new(When::Pays, 1460);
        windows(6, &mut slow, 20);
        assert!(slow.is_slow && window(&mut slow, 20, true) > 1);
        let mut fast = Judge::new(When::Pays, 1460);
        for _ in 0..20 {
            // One frame a window at most, to see what the codec would do.
            assert!(window(&mut fast, 2000, true) <= 1);
        }
        assert!(!fast.is_slow);
    }

    #[test]
    fn a_link_at_the_border_stays_as_it_is() {
        // Packed it is 1.1 times as fast: enough to go on, too little to begin.
        let border = 227;
        let mut judge = Judge::new(When::Pays, 1460);
        windows(20, &mut judge, border);
        assert!(!judge.is_slow);
        windows(10, &mut judge, 20);
        assert!(judge.is_slow);
        windows(20, &mut judge, border);
        assert!(judge.is_slow);
        windows(10, &mut judge, 2000);
        assert!(!judge.is_slow);
    }

    #[test]
    fn one_window_turns_nothing_and_a_calm_link_forgets() {
        let mut judge = Judge::new(When::Pays, 1460);
        windows(6, &mut judge, 20);
        assert!(judge.is_slow);
        window(&mut judge, 5000, true);
        assert!(judge.is_slow);
        for _ in 0..CALM_FRAMES {
            judge.wrote(Written {
                n_bytes: 1,
                took_ns: 1,
                is_backlogged: false,
            });
        }
        assert!(!judge.is_slow);
    }

    #[test]
    fn large_values_are_packed_while_they_shrink() {
        for when in [When::LargeValues, When::Pays] {
            let mut judge = Judge::new(when, 1460);
            assert!(!judge.wants(1460, 1));
            assert!(judge.wants(1461, 1));
            assert!(!judge.wants(100_000, 1000));
            (0..20).for_each(|_| judge.packed(10_000, 10_000, 1));
            let n_tried = (0..320).filter(|_| judge.wants(10_000, 1)).count();
            assert_eq!(n_tried, 10);
        }
        let mut always = Judge::new(When::Always, 1460);
        always.packed(10_000, 10_000, 1);
        assert!(always.wants(200, 100) && !always.wants(20, 1));
    }
}
