//! Whether this machine is fit to run workers: every executable file of `storm.health.check.dir` is
//! run, one after another (control-plane 2.3).
//!
//! A script that ends with another code than 0, prints a line that begins with ERROR, or takes too
//! long says that it is not. What follows is its caller's business.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::conf::{Conf, ConfError, keys};
use crate::limits::HEALTH_OUTPUT_BYTES_MAX;
use crate::process::{self, Process};

/// What to run, and how patiently.
#[derive(Clone, Debug)]
pub struct Checks {
    dir: PathBuf,
    timeout: Duration,
    /// Whether a script that takes too long says that the machine is not fit.
    timeout_fails: bool,
    period: Duration,
}

/// How one script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// It printed a line that begins with ERROR, or could not be run.
    Failed,
    FailedWithExitCode,
    Timeout,
}

/// What the scripts said, in the order of their names.
#[derive(Debug, Default)]
pub struct Report {
    pub scripts: Vec<(PathBuf, Outcome)>,
}

/// Runs the scripts again and again, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    is_fit: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

// === impl Checks ===

impl Checks {
    /// A directory that is no absolute path lies in `storm.local.dir`.
    pub fn from_conf(conf: &Conf) -> Result<Self, ConfError> {
        let dir = conf.text_or(keys::STORM_HEALTH_CHECK_DIR, "healthchecks")?;
        let timeout_ms = conf.long(keys::STORM_HEALTH_CHECK_TIMEOUT_MS)?;
        let fails = conf.flag(keys::STORM_HEALTH_CHECK_FAIL_ON_TIMEOUTS)?;
        Ok(Checks {
            dir: conf.local_dir()?.join(dir),
            timeout: timeout_ms.map_or(TIMEOUT, |ms| {
                Duration::from_millis(u64::try_from(ms).unwrap_or(0))
            }),
            timeout_fails: fails.unwrap_or(true),
            period: conf.secs(keys::STORMWIRE_HEALTH_CHECK_SECS)?,
        })
    }

    /// Runs all scripts. A directory that is not there has none.
    pub async fn run(&self) -> Report {
        let mut report = Report::default();
        for script in self.scripts() {
            let outcome = self.run_one(&script).await;
            report.scripts.push((script, outcome));
        }
        report
    }

    /// Whether such a report lets the machine go on working.
    pub fn is_fit(&self, report: &Report) -> bool {
        report.scripts.iter().all(|(_, outcome)| match outcome {
            Outcome::Success => true,
            Outcome::Timeout => !self.timeout_fails,
            Outcome::Failed | Outcome::FailedWithExitCode => false,
        })
    }

    /// Checks again and again from now on, the first time after one period.
    pub fn watch(self) -> Watch {
        let (tell, is_fit) = watch::channel(true);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(self.period).await;
                let report = self.run().await;
                let bad = report.scripts.iter();
                for (script, outcome) in bad.filter(|(_, outcome)| *outcome != Outcome::Success) {
                    let (script, outcome) = (script.display(), outcome.name());
                    tracing::error!(%script, outcome, "a health check failed");
                }
                let is_fit = self.is_fit(&report);
                tell.send_if_modified(|before| std::mem::replace(before, is_fit) != is_fit);
            }
        });
        Watch { is_fit, task }
    }

    fn scripts(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_script = |path: &PathBuf| {
            let metadata = std::fs::metadata(path);
            metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        let mut scripts: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(is_script)
            .collect();
        scripts.sort();
        scripts
    }

    async fn run_one(&self, script: &Path) -> Outcome {
        match tokio::time::timeout(self.timeout, Script::start(script)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::warn!(script = %script.display(), %error, "cannot run a health check");
                Outcome::Failed
            }
            Err(_) => Outcome::Timeout,
        }
    }
}

/// A script that runs: its process group ends with this.
struct Script(Option<Process>);

impl Script {
    async fn start(path: &Path) -> io::Result<Outcome> {
        let mut child = Command::new(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let _group = Script(pid.and_then(Process::of_pid));
        let says_error = match child.stdout.take() {
            Some(out) => says_error(out).await?,
            None => false,
        };
        Ok(match (child.wait().await?.success(), says_error) {
            (_, true) => Outcome::Failed,
            (true, false) => Outcome::Success,
            (false, false) => Outcome::FailedWithExitCode,
        })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            process::kill_group(leader);
        }
    }
}

/// Reads to the end, so that the script never waits for us; only the beginning counts.
async fn says_error(mut out: impl AsyncRead + Unpin) -> io::Result<bool> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n_read = out.read(&mut buffer).await?;
        if n_read == 0 {
            return Ok(kept
                .split(|byte| *byte == b'\n')
                .any(|line| line.starts_with(b"ERROR")));
        }
        let room = HEALTH_OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&buffer[..n_read.min(room)]);
    }
}

// === impl Outcome ===

impl Outcome {
    /// As Storm's log says it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failed => "failed",
            Outcome::FailedWithExitCode => "failed_with_exit_code",
            Outcome::Timeout => "timeout",
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Returns when the machine is found unfit.
    pub async fn unfit(&mut self) {
        // The task never ends by itself.
        let _ = self.is_fit.wait_for(|is_fit| !is_fit).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Storm's own, where the key is set to null.
const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, name: &str, text: &str) {
        let path = dir.join("checks").join(name);
        std::fs::create_dir_all(dir.join("checks")).expect("room");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("room");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("ours");
    }

    fn checks(dir: &Path, timeout_ms: i64) -> Checks {
        let conf = Conf::defaults()
            .with(keys::STORM_LOCAL_DIR, dir.display().to_string())
            .with(keys::STORM_HEALTH_CHECK_DIR, "checks")
            .with(keys::STORM_HEALTH_CHECK_TIMEOUT_MS, timeout_ms);
        Checks::from_conf(&conf).expect("sound")
    }

    #[tokio::test]
    async fn scripts_are_judged_by_code_output_and_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let checks = checks(dir.path(), 60_000);
        let run = async || {
            let report = checks.run().await;
            let outcomes: Vec<_> = report.scripts.iter().map(|(_, outcome)| *outcome).collect();
            (outcomes, checks.is_fit(&report))
        };
        assert_eq!(run().await, (vec![], true), "no directory");
        script(dir.path(), "a", "echo fine; echo no ERROR here");
        std::fs::write(dir.path().join("checks/not-executable"), "exit 1").expect("room");
        assert_eq!(run().await, (vec![Outcome::Success], true));
        script(dir.path(), "b", "echo fine; echo ERROR: the disk");
        script(dir.path(), "c", "exit 3");
        let expected = vec![
            Outcome::Success,
            Outcome::Failed,
            Outcome::FailedWithExitCode,
        ];
        assert_eq!(run().await, (expected, false));
    }

    #[tokio::test]
    async fn a_slow_script_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let pid = dir.path().join("pid");
        let text = format!("sleep 600 & echo $! > {}; wait", pid.display());
        script(dir.path(), "slow", &text);
        // Time enough for the shell to start and to write the pid.
        let checks = checks(dir.path(), 3000);
        let report = checks.run().await;
        assert_eq!(report.scripts[0].1, Outcome::Timeout);
        assert!(!checks.is_fit(&report));
        let lenient = Checks {
            timeout_fails: false,
            ..checks
        };
        assert!(lenient.is_fit(&report));
        let pid = std::fs::read_to_string(pid).expect("it ran");
        let pid = pid.trim().parse().expect("a pid");
        while Process::of_pid(pid).is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
