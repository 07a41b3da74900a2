//! `stormwire dev` as a child of the benchmark, on ports that are free.
//!
//! Measures nothing.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::machine;
use super::submission::Nimbus;
use crate::conf::keys;
use crate::ports;
use crate::process::Process;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::nimbus::Client;

/// The child. Dropping it ends it and its workers.
pub struct Dev {
    child: Child,
    log: PathBuf,
    nimbus: Address,
    drpc: Address,
}

// === impl Dev ===

impl Dev {
    /// Starts it on a directory of its own, with one slot, and waits until it is ready.
    pub fn start(directory: &Path) -> Result<Self> {
        Dev::with_slots(directory, 1)
    }

    /// Starts it with so many slots.
    pub fn with_slots(directory: &Path, n_slots: usize) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let log = directory.join("dev.log");
        let program = std::env::current_exe().context("cannot tell which file this program is")?;
        let settings = [
            (keys::STORM_LOCAL_DIR, directory.display().to_string()),
            (keys::NIMBUS_THRIFT_PORT, "0".to_owned()),
            (keys::STORMWIRE_COORDINATION_PORT, "0".to_owned()),
            (keys::SUPERVISOR_THRIFT_PORT, "0".to_owned()),
            (keys::DRPC_PORT, "0".to_owned()),
            (keys::DRPC_INVOCATIONS_PORT, "0".to_owned()),
            (keys::DRPC_HTTP_PORT, "0".to_owned()),
            (keys::UI_PORT, "0".to_owned()),
            (keys::LOGVIEWER_PORT, "0".to_owned()),
            (
                keys::SUPERVISOR_SLOTS_PORTS,
                format!("{:?}", ports::free(n_slots)?),
            ),
        ];
        let mut command = Command::new(program);
        command.arg("dev");
        for (key, value) in settings {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&log)?);
        let child = command.spawn().context("cannot start stormwire dev")?;
        let mut dev = Dev {
            child,
            log,
            nimbus: Address::new("127.0.0.1", 0),
            drpc: Address::new("127.0.0.1", 0),
        };
        (dev.nimbus, dev.drpc) = dev.await_ready()?;
        Ok(dev)
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    pub fn nimbus(&self) -> &Address {
        &self.nimbus
    }

    /// Where clients call functions.
    pub fn drpc(&self) -> &Address {
        &self.drpc
    }

    /// Makes calls to its Nimbus.
    pub fn calls<T>(&self, calls: impl AsyncFnOnce(&mut Nimbus) -> Result<T>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let connection = Connection::open(&self.nimbus, &ClientOptions::default()).await?;
            calls(&mut Client::new(connection)).await
        })
    }

    /// Reads what it prints up to `ready`; gives the addresses of Nimbus and of DRPC's clients.
    fn await_ready(&mut self) -> Result<(Address, Address)> {
        let stdout = self.child.stdout.take().context("dev has no output")?;
        let (mut nimbus, mut drpc) = (None, None);
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("nimbus", rest)) => nimbus = parse(rest),
                Some(("drpc", rest)) => drpc = parse(rest),
                None if line == "ready" => {
                    let addresses = nimbus.zip(drpc);
                    return addresses.context("dev did not say where it listens");
                }
                _ => {}
            }
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        bail!("stormwire dev ended before it was ready: {log}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let workers: Vec<_> = machine::children(self.pid()).into_iter().collect();
        let workers: Vec<_> = workers.into_iter().filter_map(Process::of_pid).collect();
        if let Some(dev) = Process::of_pid(self.pid()) {
            dev.signal(Signal::SIGINT);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // It ends its workers; those that it could not end must not stay behind either.
        for worker in workers {
            worker.signal(Signal::SIGKILL);
        }
    }
}

fn parse(text: &str) -> Option<Address> {
    let address = text.split_ascii_whitespace().next()?;
    let (host, port) = address.rsplit_once(':')?;
    Some(Address::new(host, port.parse().ok()?))
}

/// For it to end its workers and itself.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_dev_prints_them() {
        let address = parse("127.0.0.1:6627 and more").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("127.0.0.1", 6627));
        assert_eq!(parse("nowhere"), None);
    }
}
