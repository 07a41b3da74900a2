//! What is to be written to one child: urgent messages before tuples, each message in one piece.
//!
//! Writes as much as the pipe takes now and keeps the rest; never waits. Who comes back when the
//! pipe has room is `pipes`.

use std::io::{ErrorKind, Write};

use crate::component::shell::turns::Turns;

/// One child's input, and what waits for it.
#[derive(Debug)]
pub struct Outbox<W> {
    input: Input<W>,
    /// Task ids and heartbeats.
    pub urgent: Vec<u8>,
    pub bytes: Vec<u8>,
    /// In `bytes`.
    n_tuples: usize,
    current: Current,
    pub turns: Turns,
    /// The executor has tuples and no room for them: only then is room any news.
    pub wants_room: bool,
    /// Somebody will come back once the pipe has room.
    pub is_watched: bool,
}

#[derive(Debug)]
enum Input<W> {
    /// The child is not born.
    None,
    Open(W),
    /// The child has closed it, or we have: what is written now reaches nobody.
    Closed,
}

/// What the pipe is taking: it goes on from where it stopped, whatever has come since.
#[derive(Debug, Default)]
struct Current {
    bytes: Vec<u8>,
    n_written: usize,
    n_tuples: usize,
}

/// What one look at the pipe came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Pumped {
    /// Tuples that are in the pipe now.
    pub n_tuples: usize,
    pub n_bytes: usize,
    /// Calls of the system that wrote something.
    pub n_writes: u64,
    /// The pipe took no more.
    pub is_full: bool,
    /// The child has closed it, as was found just now.
    pub is_broken: bool,
}

// === impl Outbox ===

impl<W: Write> Outbox<W> {
    /// `hello` is what the child is written first.
    pub fn new(hello: Vec<u8>) -> Self {
        Outbox {
            input: Input::None,
            urgent: hello,
            bytes: Vec::new(),
            n_tuples: 0,
            current: Current::default(),
            turns: Turns::default(),
            wants_room: false,
            is_watched: false,
        }
    }

    /// The child's input, which must not block.
    pub fn open(&mut self, input: W) {
        self.input = Input::Open(input);
    }

    pub fn close(&mut self) {
        self.input = Input::Closed;
    }

    /// Counts what was added to `bytes` as one tuple.
    pub fn count_tuple(&mut self) {
        self.n_tuples += 1;
    }

    /// Tuples that are not in the child's pipe yet.
    pub fn n_unwritten(&self) -> usize {
        self.n_tuples + self.current.n_tuples
    }

    /// Whether the pipe has not taken everything.
    pub fn is_backed_up(&self) -> bool {
        matches!(self.input, Input::Open(_)) && !self.current.rest().is_empty()
    }

    /// Writes until nothing is left or the pipe is full.
    pub fn pump(&mut self) -> Pumped {
        let mut pumped = Pumped::default();
        let Input::Open(input) = &mut self.input else {
            return pumped;
        };
        loop {
            let rest = self.current.rest();
            if rest.is_empty() {
                pumped.n_tuples += self.current.finish();
                if !self.urgent.is_empty() {
                    std::mem::swap(&mut self.current.bytes, &mut self.urgent);
                } else if !self.bytes.is_empty() {
                    std::mem::swap(&mut self.current.bytes, &mut self.bytes);
                    self.current.n_tuples = std::mem::take(&mut self.n_tuples);
                } else {
                    return pumped;
                }
                continue;
            }
            let n_rest = rest.len();
            match input.write(rest) {
                Ok(n_bytes) if n_bytes > 0 => {
                    self.current.n_written += n_bytes;
                    pumped.n_bytes += n_bytes;
                    pumped.n_writes += 1;
                    // A pipe that takes a part is full: asking again would cost a call.
                    pumped.is_full = n_bytes < n_rest;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => pumped.is_full = true,
                // The child has closed its input: mostly its output or its exit will say why.
                Ok(_) | Err(_) => {
                    self.input = Input::Closed;
                    pumped.is_broken = true;
                    return pumped;
                }
            }
            if pumped.is_full {
                return pumped;
            }
        }
    }
}

// === impl Current ===

impl Current {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.n_written..).unwrap_or_default()
    }

    /// Makes room for the next; how many tuples were in it.
    fn finish(&mut self) -> usize {
        self.bytes.clear();
        if self.bytes.capacity() > BYTES_KEPT {
            self.bytes = Vec::new();
        }
        self.n_written = 0;
        std::mem::take(&mut self.n_tuples)
    }
}

/// A buffer that had to hold more is not kept.
const BYTES_KEPT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A pipe with room for so many bytes.
    #[derive(Debug, Default)]
    struct Pipe {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for &mut Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n_bytes = bytes.len().min(self.room);
            if n_bytes == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n_bytes;
            self.taken.extend_from_slice(&bytes[..n_bytes]);
            Ok(n_bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn add_tuple(outbox: &mut Outbox<impl Write>, text: &str) {
        outbox.bytes.extend_from_slice(text.as_bytes());
        outbox.count_tuple();
    }

    #[test]
    fn nothing_is_written_before_there_is_a_child() {
        let mut outbox = Outbox::<&mut Pipe>::new(b"hello".to_vec());
        add_tuple(&mut outbox, "one");
        assert_eq!(outbox.pump(), Pumped::default());
        assert_eq!(outbox.n_unwritten(), 1);
        let mut pipe = Pipe {
            room: 99,
            ..Pipe::default()
        };
        outbox.open(&mut pipe);
        let pumped = outbox.pump();
        assert_eq!(
            (pumped.n_tuples, pumped.n_writes, pumped.is_full),
            (1, 2, false)
        );
        assert_eq!(pipe.taken, b"helloone");
    }

    #[test]
    fn urgent_messages_do_not_cut_into_others() {
        let mut pipe = Pipe {
            room: 4,
            ..Pipe::default()
        };
        let mut outbox = Outbox::new(Vec::new());
        outbox.open(&mut pipe);
        add_tuple(&mut outbox, "[one]");
        add_tuple(&mut outbox, "[two]");
        let pumped = outbox.pump();
        assert_eq!(
            (pumped.n_tuples, pumped.n_bytes, pumped.is_full),
            (0, 4, true)
        );
        outbox.urgent.extend_from_slice(b"[now]");
        add_tuple(&mut outbox, "[three]");
        assert_eq!(outbox.n_unwritten(), 3);
        if let Input::Open(pipe) = &mut outbox.input {
            pipe.room = 99;
        }
        assert_eq!(outbox.pump().n_tuples, 3);
        assert_eq!(outbox.n_unwritten(), 0);
        assert_eq!(pipe.taken, b"[one][two][now][three]");
    }

    #[test]
    fn a_full_pipe_costs_one_call() {
        let mut pipe = Pipe::default();
        let mut outbox = Outbox::new(b"hello".to_vec());
        outbox.open(&mut pipe);
        let pumped = outbox.pump();
        assert_eq!((pumped.n_writes, pumped.is_full), (0, true));
    }
}
