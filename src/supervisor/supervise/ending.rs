//! How a worker's process ended, for a person. What follows from it, `slot` decides.

use std::io;
use std::path::Path;
use std::process::ExitStatus;

use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::worker;

/// None where somebody asked for a new process. `failure` is the file in which a worker says why it
/// could not start.
pub(super) async fn how(status: io::Result<ExitStatus>, failure: &Path) -> Option<String> {
    let status = match status {
        Ok(status) => status,
        Err(error) => return Some(format!("its end could not be waited for: {error}")),
    };
    let reason = match status.code() {
        Some(worker::EXIT_RESTART) => return None,
        Some(worker::EXIT_PAUSED) => Some(PAUSED.to_owned()),
        _ => beginning(failure).await,
    };
    Some(match reason {
        Some(reason) => format!("{status}: {reason}"),
        None => status.to_string(),
    })
}

/// As much of a file as a person reads; none where there is no file, or nothing in it.
async fn beginning(path: &Path) -> Option<String> {
    let file = File::open(path).await.ok()?;
    let mut bytes = Vec::new();
    let mut first = file.take(FAILURE_BYTES_MAX);
    first.read_to_end(&mut bytes).await.ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// What a worker means by `EXIT_PAUSED`.
const PAUSED: &str = "it was paused for longer than Nimbus waits for a worker";
/// Of what a worker says of its failure.
const FAILURE_BYTES_MAX: u64 = 2000;

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[tokio::test]
    async fn a_worker_says_itself_why_it_did_not_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(worker::FAILURE_FILE);
        let check = async |code: i32, expected: Option<&str>| {
            let status = ExitStatus::from_raw(code << 8);
            assert_eq!(how(Ok(status), &file).await.as_deref(), expected);
        };
        check(1, Some("exit status: 1")).await;
        std::fs::write(&file, "the port is taken\n").expect("room");
        check(1, Some("exit status: 1: the port is taken")).await;
        check(worker::EXIT_RESTART, None).await;
        std::fs::write(&file, vec![b'x'; 1 << 20]).expect("room");
        let long = how(Ok(ExitStatus::from_raw(256)), &file).await;
        assert!(long.is_some_and(|text| text.len() < 2100));
    }
}
