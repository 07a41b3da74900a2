//! `get-errors`: the latest error of each component of a topology, as JSON on one line.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::{self, refused};
use super::daemon::say;
use super::topology::NameArgs;
use crate::wire::storm::nimbus::GetTopologyInfoByNameWithOptsError;
use crate::wire::storm::{GetInfoOptions, NumErrorsChoice, TopologyInfo};

/// `stormwire get-errors`. A topology that does not run is an answer, as in Storm, and no failure.
pub fn get_errors(args: &NameArgs) -> Result<i32> {
    let name = &args.name;
    let answer = client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let options = GetInfoOptions {
            num_err_choice: Some(NumErrorsChoice::One.into()),
        };
        let info = nimbus.get_topology_info_by_name_with_opts(Some(name), Some(&options));
        match info.await {
            Ok(info) => Ok(found(&info)),
            Err(GetTopologyInfoByNameWithOptsError::NotAlive(_)) => Ok(vec![(
                "Failure",
                Value::from(format!("No topologies running with name {name}")),
            )]),
            Err(error) => Err(refused(&format!("read the errors of {name}"), error)),
        }
    })?;
    say(line(&answer));
    Ok(0)
}

fn found(info: &TopologyInfo) -> Vec<(&'static str, Value)> {
    let latest = info.errors.iter().filter_map(|(component, errors)| {
        let latest = errors.first()?;
        Some((component.as_str(), latest.error.as_str()))
    });
    let latest: BTreeMap<&str, &str> = latest.collect();
    // The order of Storm's hash map, which scripts have come to see.
    vec![
        ("Comp-Errors", json!(latest)),
        ("Topology Name", Value::from(info.name.as_str())),
    ]
}

/// JSON in the spelling of Storm's writer, which escapes slashes and what is no ASCII control only.
fn line(answer: &[(&str, Value)]) -> String {
    let parts = answer
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(*key)));
    let parts: Vec<String> = parts.collect();
    format!("{{{}}}", parts.join(",")).replace('/', "\\/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line_of_json() {
        let answer = [("Failure", Value::from("no a/b\n\"c\""))];
        assert_eq!(line(&answer), r#"{"Failure":"no a\/b\n\"c\""}"#);
    }
}
