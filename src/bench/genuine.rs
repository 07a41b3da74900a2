//! Genuine Storm in a JVM of its own: started from a directory that `benches/genuine/build` made,
//! steered by lines.
//!
//! Measures nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine;
use super::plan::Plan;
use super::side::Submitted;

/// Where its jars are.
#[derive(Clone, Debug)]
pub struct Installed(PathBuf);

/// The JVM. Dropping it ends it.
pub struct Genuine {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    log: PathBuf,
}

// === impl Installed ===

impl Installed {
    /// What the build made in a directory, or what is lacking there.
    pub fn find(directory: &Path) -> Result<Self> {
        for part in ["lib", "target/classes/stormwire/bench/Main.class"] {
            if !directory.join(part).exists() {
                bail!(
                    "{} has no {part}: make it with `benches/genuine/build {}`",
                    directory.display(),
                    directory.display()
                );
            }
        }
        // It runs in a directory of its own.
        Ok(Installed(directory.canonicalize()?))
    }

    /// The version of Storm that runs here, by the names of its jars.
    pub fn version(&self) -> String {
        let jars = std::fs::read_dir(self.0.join("lib"));
        let jars = jars.into_iter().flatten().flatten();
        let mut names = jars.map(|jar| jar.file_name().to_string_lossy().into_owned());
        let version = names.find_map(|name| {
            let version = name.strip_prefix("storm-client-")?.strip_suffix(".jar")?;
            Some(version.to_owned())
        });
        version.unwrap_or_else(|| "of unknown version".to_owned())
    }
}

// === impl Genuine ===

impl Genuine {
    /// Starts it with so many slots and waits until its daemons are up; its log goes into
    /// `directory`.
    pub fn start(installed: &Installed, directory: &Path, n_workers: usize) -> Result<Self> {
        let log = directory.join("genuine.log");
        let root = &installed.0;
        let path = format!("{0}/target/classes:{0}/lib/*", root.display());
        let mut command = Command::new("java");
        command
            .args(JVM_OPTIONS)
            .args(["-cp", &path, "stormwire.bench.Main"]);
        command.arg(n_workers.to_string()).current_dir(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&log)?);
        let mut child = command.spawn().context("cannot start java")?;
        let orders = child.stdin.take().context("java has no input")?;
        let output = child.stdout.take().context("java has no output")?;
        let (told, answers) = sync_channel(N_ANSWERS);
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // Ends with the JVM, or when nobody listens any more.
            lines.map(|line| told.send(line)).find(Result::is_err)
        });
        let genuine = Genuine {
            child,
            orders,
            answers,
            log,
        };
        genuine.answer("ready")?;
        Ok(genuine)
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    pub fn submit(&mut self, plan: &Plan, directory: &Path) -> Result<Submitted> {
        let path = directory.join("plan.json");
        std::fs::write(&path, plan.to_json().to_string())?;
        self.order(&format!("submit {}", path.display()))?;
        let answer = self.answer("submitted")?;
        let mut nanos = answer.split(' ').map(str::parse::<u64>);
        match (nanos.next(), nanos.next()) {
            (Some(Ok(started_nanos)), Some(Ok(ended_nanos))) => Ok(Submitted {
                started_nanos,
                ended_nanos,
            }),
            _ => bail!("genuine Storm answered: submitted {answer}"),
        }
    }

    /// Has spouts stop; gives what `getTopologyInfo` says that they emitted.
    pub fn told_emitted(&mut self) -> Result<u64> {
        self.order("stats")?;
        let emitted = self.answer("emitted")?;
        let number = emitted.parse();
        number.with_context(|| format!("genuine Storm answered: emitted {emitted}"))
    }

    fn order(&mut self, line: &str) -> Result<()> {
        let written = writeln!(self.orders, "{line}").and_then(|()| self.orders.flush());
        written.context("genuine Storm takes no more orders")
    }

    /// What follows the next line's first word, which must be `word`.
    fn answer(&self, word: &str) -> Result<String> {
        loop {
            let line = match self.answers.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("genuine Storm does not answer"),
                Err(RecvTimeoutError::Disconnected) => {
                    let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                    let lines: Vec<&str> = log.lines().collect();
                    let last = lines.iter().rev().take(LOG_LINES).rev();
                    let last: Vec<&str> = last.copied().collect();
                    bail!("genuine Storm ended: {}", last.join("\n"));
                }
            };
            // Libraries of its own may print, too.
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
        }
    }
}

impl Drop for Genuine {
    fn drop(&mut self) {
        for child in machine::children(self.pid()) {
            if let Some(process) = crate::process::Process::of_pid(child) {
                process.signal(nix::sys::signal::Signal::SIGKILL);
            }
        }
        // Nothing of it is kept.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A heap that the cases do not fill, and the collector for throughput.
const JVM_OPTIONS: [&str; 3] = ["-Xms1g", "-Xmx2g", "-XX:+UseParallelGC"];
/// Lines that may wait to be read.
const N_ANSWERS: usize = 64;
/// Of its log, where it ended by itself.
const LOG_LINES: usize = 10;
/// A JVM with all daemons on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
