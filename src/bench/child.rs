//! A bolt's child that does nothing but ack, as fast as a child can be: what both sides' engines
//! are measured with.
//!
//! Cuts its input by `end` and looks for ids where Storm and we write them; parses no JSON. One
//! write for each read. Speaks to nobody but a measured engine.

use std::io::{self, ErrorKind, Read, Write};

/// Serves standard input until its end.
pub fn run() -> io::Result<()> {
    serve(&mut io::stdin().lock(), &mut io::stdout().lock())
}

fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut messages = Messages::default();
    let mut answers = Vec::new();
    let mut has_shaken_hands = false;
    loop {
        while let Some(message) = messages.next() {
            if !has_shaken_hands {
                has_shaken_hands = true;
                shake_hands(message, &mut answers)?;
            } else {
                answer(message, &mut answers);
            }
        }
        output.write_all(&answers)?;
        output.flush()?;
        answers.clear();
        if messages.read(input)? == 0 {
            return Ok(());
        }
    }
}

/// Leaves the pid where the parent wants it, and tells it.
fn shake_hands(message: &[u8], answers: &mut Vec<u8>) -> io::Result<()> {
    let setup: serde_json::Value = serde_json::from_slice(message)?;
    let directory = setup["pidDir"].as_str().ok_or(ErrorKind::InvalidData)?;
    let pid = std::process::id();
    // Genuine Storm in one process has no such directory.
    let _ = std::fs::write(format!("{directory}/{pid}"), "");
    write!(answers, "{{\"pid\":{pid}}}")?;
    answers.extend_from_slice(END);
    Ok(())
}

fn answer(message: &[u8], answers: &mut Vec<u8>) {
    if message.starts_with(HEARTBEAT) {
        answers.extend_from_slice(b"{\"command\":\"sync\"}");
        answers.extend_from_slice(END);
        return;
    }
    // Both sides write the id last. Anything else wants no answer.
    let Some(start) = message.windows(ID.len()).rposition(|text| text == ID) else {
        return;
    };
    answers.extend_from_slice(b"{\"command\":\"ack\",");
    answers.extend_from_slice(&message[start..]);
    answers.extend_from_slice(END);
}

/// Bytes of the parent, cut into messages.
#[derive(Default)]
struct Messages {
    buffer: Vec<u8>,
    filled: usize,
    taken: usize,
}

// === impl Messages ===

impl Messages {
    fn read(&mut self, input: &mut impl Read) -> io::Result<usize> {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if self.buffer.len() - self.filled < READ_BYTES {
            self.buffer.resize(self.filled + READ_BYTES, 0);
        }
        let n_read = input.read(&mut self.buffer[self.filled..])?;
        self.filled += n_read;
        Ok(n_read)
    }

    /// Without its end.
    fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.buffer[self.taken..self.filled];
        let mut searched = 0;
        loop {
            let line = rest[searched..].iter().position(|byte| *byte == b'\n')?;
            let length = searched + line;
            if rest.len() < length + END.len() {
                return None;
            }
            if rest[length..].starts_with(END) {
                self.taken += length + END.len();
                return Some(&rest[..length]);
            }
            searched = length + 1;
        }
    }
}

/// The hidden command that is such a child.
pub const VERB: &str = "bench-child";

/// A child as an adapter of Python's makes it: one message read, parsed, answered, flushed.
pub const PLAIN: &str = r#"import json, os, sys

def read():
    lines = []
    while True:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        if line == "end\n":
            return json.loads("".join(lines))
        lines.append(line)

def write(message):
    print(json.dumps(message))
    print("end")
    sys.stdout.flush()

setup = read()
if os.path.isdir(setup["pidDir"]):
    open(os.path.join(setup["pidDir"], str(os.getpid())), "w").close()
write({"pid": os.getpid()})
while True:
    message = read()
    if message["stream"] == "__heartbeat":
        write({"command": "sync"})
    else:
        write({"command": "ack", "id": message["id"]})
"#;

const END: &[u8] = b"\nend\n";
const ID: &[u8] = b"\"id\":\"";
const HEARTBEAT: &[u8] = b"{\"comp\":null,";
const READ_BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tuple_is_acked_and_every_heartbeat_answered() {
        let directory = tempfile::tempdir().unwrap();
        let pid_dir = directory.path().display();
        let input = format!(
            "{{\"pidDir\":\"{pid_dir}\",\"context\":{{}},\"conf\":{{}}}}\nend\n\
             {{\"comp\":\"s\",\"tuple\":[\"id\\\":\\\"7\"],\"task\":1,\"stream\":\"default\",\
             \"id\":\"-42\"}}\nend\n\
             {{\"comp\":null,\"tuple\":[],\"task\":-1,\"stream\":\"__heartbeat\",\"id\":\"1\"}}\nend\n\
             [1,2]\nend\n"
        );
        let mut output = Vec::new();
        serve(&mut input.as_bytes(), &mut output).unwrap();
        let pid = std::process::id();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            format!(
                "{{\"pid\":{pid}}}\nend\n{{\"command\":\"ack\",\"id\":\"-42\"}}\nend\n\
                 {{\"command\":\"sync\"}}\nend\n"
            )
        );
        assert!(directory.path().join(pid.to_string()).exists());
    }
}
