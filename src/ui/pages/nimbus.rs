//! `nimbus/summary`: each Nimbus that there is, or should be.

use serde_json::{Value, json};

use super::{Site, uptime};
use crate::wire::storm::ClusterSummary;

/// Seeds that do not run stand behind those that do.
pub(in crate::ui) fn summary(cluster: &ClusterSummary, site: &Site) -> Value {
    let mut missing = site.seeds.clone();
    let mut shown = Vec::new();
    for nimbus in &cluster.nimbuses {
        let (host, port) = (&nimbus.host, nimbus.port);
        missing.retain(|seed| *seed != format!("{host}:{port}"));
        shown.push(json!({
            "host": host,
            "port": port,
            "status": if nimbus.is_leader { "Leader" } else { "Not a Leader" },
            "version": nimbus.version,
            "nimbusUpTimeSeconds": nimbus.uptime_secs,
            "nimbusUpTime": uptime(nimbus.uptime_secs),
            "nimbusLogLink": site.links.daemon_log(host, "nimbus.log"),
        }));
    }
    for seed in &missing {
        let (host, port) = seed.rsplit_once(':').unwrap_or((seed, ""));
        shown.push(json!({
            "host": host,
            "port": port,
            "status": "Offline",
            "version": UNKNOWN,
            "nimbusUpTimeSeconds": UNKNOWN,
            "nimbusUpTime": UNKNOWN,
            "nimbusLogLink": site.links.daemon_log(host, "nimbus.log"),
        }));
    }
    json!({ "nimbuses": shown })
}

const UNKNOWN: &str = "Not applicable";
