//! `node-health-check` and `kill_workers`: what an operator does on a supervisor's own machine.

use anyhow::Result;

use super::ConfArgs;
use super::client::block_on;
use super::daemon::say;
use super::shape::told;
use crate::conf::keys;
use crate::supervisor::{self, health::Checks};

/// `stormwire node-health-check`: runs the health scripts once; 1 where the machine is not fit.
pub fn health_check(args: &ConfArgs) -> Result<i32> {
    let checks = Checks::from_conf(&args.conf()?)?;
    let report = block_on(async { Ok(checks.run().await) })?;
    for (script, outcome) in &report.scripts {
        let (script, outcome) = (script.display(), outcome.name());
        let what = format!("The healthcheck script [ {script} ] exited with status: {outcome}");
        told(CHECKER, &what);
    }
    let is_fit = checks.is_fit(&report);
    told(
        CHECKER,
        match is_fit {
            true => "The supervisor healthchecks succeeded.",
            false => "The supervisor healthchecks failed!!!",
        },
    );
    Ok(i32::from(!is_fit))
}

/// `stormwire kill_workers`: ends the workers of the supervisor that has this `storm.local.dir`. A
/// supervisor that still runs starts them again.
pub fn kill_workers(args: &ConfArgs) -> Result<i32> {
    let conf = args.conf()?;
    let ended = supervisor::end_workers(&conf)?;
    for (port, topology) in &ended {
        say(format_args!(
            "killed the worker of {topology} on port {port}"
        ));
    }
    if ended.is_empty() {
        let (key, directory) = (keys::STORM_LOCAL_DIR, conf.local_dir()?);
        say(format_args!(
            "no workers run here: the supervisor of {} ({key}) has none",
            directory.display()
        ));
    }
    Ok(0)
}

/// As Storm's log shortens its class.
const CHECKER: &str = "o.a.s.h.HealthChecker";
