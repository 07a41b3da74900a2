//! The lock step between a worker and a spout's child: one command at a time, and the next only
//! after `sync`. Also counts the task-id lists that a child waits for.
//!
//! Pure: hands out bytes to be written, writes nothing. Bolts use the counting alone.
//!
//! An executor grants several `next` at a time, so that a child need not wait for it between two
//! tuples; acks and fails go before them, and a child that has nothing loses the rest.

use std::collections::VecDeque;

/// Commands on their way to one child.
#[derive(Debug, Default)]
pub struct Turns {
    open: Option<TurnKind>,
    /// Everything but `next`.
    queue: VecDeque<(TurnKind, Vec<u8>)>,
    next_command: Vec<u8>,
    n_granted: usize,
    /// Whether the child emitted in the open turn.
    has_emitted: bool,
    n_owed: usize,
    /// The turn's `sync` came while task ids were still owed.
    sync_waits: bool,
}

/// What a turn was opened by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnKind {
    Next,
    AckOrFail,
    /// `activate` or `deactivate`: older adapters do not answer these.
    Lifecycle,
}

/// What a `sync` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// To be written now.
    pub command: Option<Vec<u8>>,
    /// A `next` was answered without an emit: the child had nothing.
    pub had_nothing: bool,
}

// === impl Turns ===

impl Turns {
    /// Adds a command; gives it back if it is to be written at once.
    pub fn submit(&mut self, kind: TurnKind, command: Vec<u8>) -> Option<Vec<u8>> {
        self.queue.push_back((kind, command));
        self.advance_if_idle()
    }

    /// Allows `n_nexts` more turns with `command`, the bytes of a `next`; gives it back if it is to
    /// be written at once.
    pub fn grant(&mut self, n_nexts: usize, command: Vec<u8>) -> Option<Vec<u8>> {
        self.next_command = command;
        self.n_granted += n_nexts;
        self.advance_if_idle()
    }

    /// Takes back what was granted and not begun.
    pub fn revoke(&mut self) {
        self.n_granted = 0;
    }

    /// `next` that are granted or being answered.
    pub fn n_nexts(&self) -> usize {
        self.n_granted + usize::from(self.open == Some(TurnKind::Next))
    }

    /// The child emitted, and wants the task ids or not.
    pub fn handle_emit(&mut self, wants_ids: bool) {
        self.has_emitted = true;
        self.n_owed += usize::from(wants_ids);
    }

    /// The child said `sync`. One without a turn, or the second in one, is passed over.
    pub fn handle_sync(&mut self) -> Step {
        if self.sync_waits || self.open.is_none() {
            return Step {
                command: None,
                had_nothing: false,
            };
        }
        let had_nothing = self.open == Some(TurnKind::Next) && !self.has_emitted;
        if had_nothing {
            self.revoke();
        }
        // The next command must not overtake the lists.
        self.sync_waits = self.n_owed > 0;
        let command = if self.sync_waits {
            None
        } else {
            self.advance()
        };
        Step {
            command,
            had_nothing,
        }
    }

    /// A list of task ids was written: what to write after it.
    pub fn handle_ids_written(&mut self) -> Option<Vec<u8>> {
        self.n_owed = self.n_owed.saturating_sub(1);
        if self.n_owed > 0 || !std::mem::take(&mut self.sync_waits) {
            return None;
        }
        self.advance()
    }

    /// The open turn, while the child has still to end it.
    pub fn open(&self) -> Option<TurnKind> {
        self.open.filter(|_| !self.sync_waits)
    }

    /// Whether the child waits for task ids.
    pub fn owes_ids(&self) -> bool {
        self.n_owed > 0
    }

    fn advance_if_idle(&mut self) -> Option<Vec<u8>> {
        match self.open {
            Some(_) => None,
            None => self.advance(),
        }
    }

    fn advance(&mut self) -> Option<Vec<u8>> {
        self.has_emitted = false;
        if let Some((kind, command)) = self.queue.pop_front() {
            self.open = Some(kind);
            return Some(command);
        }
        if self.n_granted == 0 {
            self.open = None;
            return None;
        }
        self.n_granted -= 1;
        self.open = Some(TurnKind::Next);
        Some(self.next_command.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[track_caller]
    fn check_sync(turns: &mut Turns, expected: Option<&str>) {
        assert_eq!(turns.handle_sync().command, expected.map(command));
    }

    #[test]
    fn the_next_command_waits_for_sync() {
        let mut turns = Turns::default();
        assert_eq!(turns.grant(1, command("next")), Some(command("next")));
        assert_eq!(turns.submit(TurnKind::AckOrFail, command("ack")), None);
        turns.handle_emit(false);
        check_sync(&mut turns, Some("ack"));
        assert_eq!(turns.open(), Some(TurnKind::AckOrFail));
        check_sync(&mut turns, None);
        assert_eq!(turns.open(), None);
        check_sync(&mut turns, None);
        assert_eq!(
            turns.submit(TurnKind::AckOrFail, command("ack")),
            Some(command("ack"))
        );
    }

    #[test]
    fn granted_nexts_follow_each_other_behind_all_else() {
        let mut turns = Turns::default();
        assert_eq!(turns.grant(3, command("next")), Some(command("next")));
        assert_eq!(turns.n_nexts(), 3);
        turns.handle_emit(false);
        check_sync(&mut turns, Some("next"));
        turns.submit(TurnKind::AckOrFail, command("ack"));
        turns.handle_emit(false);
        check_sync(&mut turns, Some("ack"));
        check_sync(&mut turns, Some("next"));
        assert_eq!(turns.n_nexts(), 1);
        turns.handle_emit(false);
        check_sync(&mut turns, None);
        assert_eq!(turns.n_nexts(), 0);
    }

    #[test]
    fn a_child_that_has_nothing_is_not_asked_again_at_once() {
        let mut turns = Turns::default();
        turns.grant(5, command("next"));
        assert_eq!(
            turns.handle_sync(),
            Step {
                command: None,
                had_nothing: true
            }
        );
        assert_eq!(turns.n_nexts(), 0);
    }

    #[test]
    fn commands_do_not_overtake_task_ids() {
        let mut turns = Turns::default();
        turns.grant(1, command("next"));
        turns.submit(TurnKind::AckOrFail, command("ack"));
        turns.handle_emit(true);
        turns.handle_emit(true);
        check_sync(&mut turns, None);
        assert_eq!(turns.open(), None);
        assert_eq!(turns.handle_ids_written(), None);
        check_sync(&mut turns, None);
        assert_eq!(turns.handle_ids_written(), Some(command("ack")));
        assert!(!turns.owes_ids());
    }
}
