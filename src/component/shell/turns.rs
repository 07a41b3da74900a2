//! The lock step between a worker and a spout's child: one command at a time, and the next only
//! after `sync`. Also counts the task-id lists that a child waits for.
//!
//! Pure: hands out bytes to be written, writes nothing. Bolts use the counting alone.

use std::collections::VecDeque;

/// Commands on their way to one child.
#[derive(Debug, Default)]
pub struct Turns {
    open: Option<TurnKind>,
    queue: VecDeque<(TurnKind, Vec<u8>)>,
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

// === impl Turns ===

impl Turns {
    /// Adds a command; gives it back if it is to be written at once.
    pub fn submit(&mut self, kind: TurnKind, command: Vec<u8>) -> Option<Vec<u8>> {
        if self.open.is_some() {
            self.queue.push_back((kind, command));
            return None;
        }
        self.open = Some(kind);
        Some(command)
    }

    /// The child said `sync`: which turn ended, if any was open, and what to write next.
    pub fn handle_sync(&mut self) -> (Option<TurnKind>, Option<Vec<u8>>) {
        if self.sync_waits {
            // A second one in a turn: an adapter that answers task-id lists with `sync`.
            return (None, None);
        }
        let ended = self.open;
        if self.n_owed > 0 && ended.is_some() {
            // The next command must not overtake the lists.
            self.sync_waits = true;
            return (ended, None);
        }
        (ended, self.advance())
    }

    /// The child asked for the task ids of an emit.
    pub fn handle_request(&mut self) {
        self.n_owed += 1;
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

    fn advance(&mut self) -> Option<Vec<u8>> {
        let (kind, command) = self.queue.pop_front().unzip();
        self.open = kind;
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[test]
    fn the_next_command_waits_for_sync() {
        let mut turns = Turns::default();
        assert_eq!(
            turns.submit(TurnKind::Next, command("next")),
            Some(command("next"))
        );
        assert_eq!(turns.submit(TurnKind::AckOrFail, command("ack")), None);
        assert_eq!(
            turns.handle_sync(),
            (Some(TurnKind::Next), Some(command("ack")))
        );
        assert_eq!(turns.open(), Some(TurnKind::AckOrFail));
        assert_eq!(turns.handle_sync(), (Some(TurnKind::AckOrFail), None));
        assert_eq!(
            turns.handle_sync(),
            (None, None),
            "one too many is passed over"
        );
        assert_eq!(
            turns.submit(TurnKind::Next, command("next")),
            Some(command("next"))
        );
    }

    #[test]
    fn commands_do_not_overtake_task_ids() {
        let mut turns = Turns::default();
        turns.submit(TurnKind::Next, command("next"));
        turns.submit(TurnKind::AckOrFail, command("ack"));
        turns.handle_request();
        turns.handle_request();
        assert_eq!(turns.handle_sync(), (Some(TurnKind::Next), None));
        assert_eq!(turns.open(), None);
        assert_eq!(turns.handle_ids_written(), None);
        assert_eq!(turns.handle_sync(), (None, None));
        assert_eq!(turns.handle_ids_written(), Some(command("ack")));
        assert!(!turns.owes_ids());
    }
}
