//! Whether a child is still with us, judged from when it was last heard.
//!
//! Pure: who looks, asks and ends children is `attend`.

use std::time::Duration;

use crate::component::shell::turns::TurnKind;

/// What is expected of a child.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    pub component: Watched,
    pub handshake_timeout: Duration,
    pub silence_timeout: Duration,
}

/// Bolts' children are asked for a sign of life, spouts' children owe one only within a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    Bolt,
    Spout,
}

/// What is known of a child. Times are monotonic milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// When the child was last heard; at first, when it was started.
    pub heard_ms: u64,
    pub has_shaken_hands: bool,
    /// A spout's open turn, and when it was opened.
    pub turn: Option<(TurnKind, u64)>,
    /// The child waits for us: for task ids, or for its messages to be taken.
    pub waits_for_us: bool,
    /// When it was found to have closed its input.
    pub deaf_since_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Well,
    /// A bolt's child is silent: ask it.
    Ask,
    /// The child does not know `activate`: go on as if it had answered.
    EndTurn,
    NoHandshake,
    Silent,
    /// It closed its input and did not end.
    Deaf,
}

// === impl Watch ===

impl Watch {
    pub fn judge(&self, sight: &Sight, now_ms: u64) -> Verdict {
        let silent = Duration::from_millis(now_ms.saturating_sub(sight.heard_ms));
        let is_deaf = |since_ms| now_ms.saturating_sub(since_ms) >= DEAF_PATIENCE_MS;
        if sight.deaf_since_ms.is_some_and(is_deaf) {
            return Verdict::Deaf;
        }
        if !sight.has_shaken_hands {
            return match silent > self.handshake_timeout {
                true => Verdict::NoHandshake,
                false => Verdict::Well,
            };
        }
        if sight.waits_for_us {
            return Verdict::Well;
        }
        match (self.component, sight.turn) {
            (Watched::Bolt, _) if silent > self.silence_timeout => Verdict::Silent,
            (Watched::Bolt, _) if silent >= ASK_AFTER => Verdict::Ask,
            (Watched::Bolt, _) | (Watched::Spout, None) => Verdict::Well,
            (Watched::Spout, Some((kind, since_ms))) => {
                let in_turn = Duration::from_millis(now_ms.saturating_sub(since_ms));
                self.judge_turn(kind, silent.min(in_turn))
            }
        }
    }

    fn judge_turn(&self, kind: TurnKind, silent: Duration) -> Verdict {
        match kind {
            TurnKind::Lifecycle if silent >= LIFECYCLE_PATIENCE.min(self.silence_timeout) => {
                Verdict::EndTurn
            }
            TurnKind::Lifecycle => Verdict::Well,
            _ if silent > self.silence_timeout => Verdict::Silent,
            _ => Verdict::Well,
        }
    }
}

const ASK_AFTER: Duration = Duration::from_secs(1);
/// How long `activate` may go unanswered.
const LIFECYCLE_PATIENCE: Duration = Duration::from_secs(5);
/// For a child that closed its input to end, which says more of it.
const DEAF_PATIENCE_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(component: Watched, sight: Sight, silent_ms: u64, expected: Verdict) {
        let watch = Watch {
            component,
            handshake_timeout: Duration::from_secs(120),
            silence_timeout: Duration::from_secs(30),
        };
        assert_eq!(
            watch.judge(&sight, 1_000_000 + silent_ms),
            expected,
            "{sight:?} {silent_ms}"
        );
    }

    const SIGHT: Sight = Sight {
        heard_ms: 1_000_000,
        has_shaken_hands: true,
        turn: None,
        waits_for_us: false,
        deaf_since_ms: None,
    };

    #[test]
    fn bolts_are_asked_and_given_up() {
        check(Watched::Bolt, SIGHT, 900, Verdict::Well);
        check(Watched::Bolt, SIGHT, 1_000, Verdict::Ask);
        check(Watched::Bolt, SIGHT, 30_000, Verdict::Ask);
        check(Watched::Bolt, SIGHT, 30_001, Verdict::Silent);
        check(
            Watched::Bolt,
            Sight {
                waits_for_us: true,
                ..SIGHT
            },
            99_000,
            Verdict::Well,
        );
    }

    #[test]
    fn spouts_owe_a_sign_only_within_a_turn() {
        check(Watched::Spout, SIGHT, 99_000, Verdict::Well);
        let turn = |kind, since_ms| Sight {
            turn: Some((kind, since_ms)),
            ..SIGHT
        };
        check(
            Watched::Spout,
            turn(TurnKind::Next, 1_000_000),
            30_001,
            Verdict::Silent,
        );
        check(
            Watched::Spout,
            turn(TurnKind::Next, 1_020_000),
            30_001,
            Verdict::Well,
        );
        check(
            Watched::Spout,
            turn(TurnKind::Lifecycle, 1_000_000),
            4_999,
            Verdict::Well,
        );
        check(
            Watched::Spout,
            turn(TurnKind::Lifecycle, 1_000_000),
            5_000,
            Verdict::EndTurn,
        );
    }

    #[test]
    fn a_child_that_cannot_hear_has_a_moment_to_end() {
        for component in [Watched::Bolt, Watched::Spout] {
            for has_shaken_hands in [false, true] {
                let sight = Sight {
                    has_shaken_hands,
                    waits_for_us: true,
                    deaf_since_ms: Some(1_000_500),
                    ..SIGHT
                };
                check(component, sight, 1_499, Verdict::Well);
                check(component, sight, 1_500, Verdict::Deaf);
            }
        }
    }

    #[test]
    fn the_handshake_has_its_own_time() {
        let sight = Sight {
            has_shaken_hands: false,
            ..SIGHT
        };
        check(Watched::Bolt, sight, 120_000, Verdict::Well);
        check(Watched::Spout, sight, 120_001, Verdict::NoHandshake);
    }
}
