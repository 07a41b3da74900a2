//! What a child writes to standard error: into the worker's log, and the last of it kept.

use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::clock;

/// The last bytes of a child's standard error.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Mutex<Vec<u8>>,
}

/// Lines that may still be logged in the current second.
#[derive(Debug, Default)]
struct Allowance {
    second: u64,
    n_logged: u32,
    n_dropped: u64,
}

/// Reads until the end. `child` names the child in the log. Never stops reading: a child whose
/// standard error fills up would hang.
pub async fn drain(stderr: impl AsyncRead + Unpin, child: &str, tail: &Tail) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut allowance = Allowance::default();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        tail.add(&line);
        let (admits, n_dropped) = allowance.admit(clock::monotonic_millis() / 1000);
        if n_dropped > 0 {
            tracing::info!("{child} stderr: {n_dropped} more lines left out");
        }
        if admits {
            let text = String::from_utf8_lossy(&line);
            tracing::info!("{child} stderr: {}", text.trim_end());
        }
    }
}

// === impl Tail ===

impl Tail {
    fn add(&self, line: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(line);
        let excess = bytes.len().saturating_sub(TAIL_BYTES_MAX);
        bytes.drain(..excess);
    }

    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

// === impl Allowance ===

impl Allowance {
    /// Whether a line may be logged, and how many were left out in the second before.
    fn admit(&mut self, second: u64) -> (bool, u64) {
        let mut n_dropped = 0;
        if second != self.second {
            n_dropped = self.n_dropped;
            *self = Allowance {
                second,
                n_logged: 0,
                n_dropped: 0,
            };
        }
        let admits = self.n_logged < LINES_PER_SEC_MAX;
        match admits {
            true => self.n_logged += 1,
            false => self.n_dropped += 1,
        }
        (admits, n_dropped)
    }
}

const TAIL_BYTES_MAX: usize = 8 * 1024;
const LINE_BYTES_MAX: u64 = 8 * 1024;
const LINES_PER_SEC_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_stay() {
        let tail = Tail::default();
        for number in 0..5000 {
            tail.add(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert_eq!(text.len(), TAIL_BYTES_MAX);
        assert!(text.ends_with("line 4999\n"));
    }

    #[test]
    fn a_flood_is_thinned_out_and_counted() {
        let mut allowance = Allowance::default();
        let admitted = (0..250).filter(|_| allowance.admit(7).0).count();
        assert_eq!(admitted, 100);
        assert_eq!(allowance.admit(8), (true, 150));
        assert_eq!(allowance.admit(9), (true, 0));
    }
}
