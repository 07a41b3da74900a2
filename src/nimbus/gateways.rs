//! Nimbus's port: Storm's service, and beside it ours for peers of components, which tells where
//! their workers wait for them.
//!
//! Knows what workers reported last, and no peer.

use std::sync::Arc;

use bytes::Bytes;

use super::fault::Fault;
use super::service::NimbusService;
use crate::auth::Operation;
use crate::rpc::{Caller, Close, Dispatch, Failure};
use crate::wire::messages::gateway_finder::{self, FindGatewaysError};
use crate::wire::messages::{GatewayPlace, GatewayReport};
use crate::wire::storm::{AuthorizationException, NotAliveException};
use crate::wire::{message, storm};

/// Storm's service and ours, on one port.
pub(crate) struct NimbusPort {
    storm: storm::nimbus::Dispatcher<NimbusService>,
    finder: gateway_finder::Dispatcher<NimbusService>,
}

// === impl NimbusPort ===

impl NimbusPort {
    pub fn new(service: Arc<NimbusService>) -> Self {
        NimbusPort {
            storm: storm::nimbus::Dispatcher(Arc::clone(&service)),
            finder: gateway_finder::Dispatcher(service),
        }
    }
}

impl Dispatch for NimbusPort {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        let header = message::read_header(&message);
        let is_finder = header.is_ok_and(|(header, _)| is_finder(&header.name));
        match is_finder {
            true => self.finder.dispatch(caller, message).await,
            false => self.storm.dispatch(caller, message).await,
        }
    }

    fn hung_up(&self, caller: &Caller) {
        self.storm.hung_up(caller);
    }
}

fn is_finder(method: &str) -> bool {
    let mut methods = gateway_finder::METHODS.iter();
    methods.any(|own| own.name == method)
}

impl gateway_finder::Service for NimbusService {
    async fn find_gateways(
        &self,
        caller: &Caller,
        topology: Option<String>,
        component: Option<String>,
    ) -> Result<Vec<GatewayPlace>, FindGatewaysError> {
        let topology = self
            .permit_by_name(caller, Operation::FindGateways, topology.as_deref())
            .await?;
        let component = component.unwrap_or_default();
        let beats = self.leader.beats();
        let places = beats.gateways(&topology.id);
        Ok(places
            .filter_map(|report| place(report, &component))
            .collect())
    }
}

fn place(report: &GatewayReport, component: &str) -> Option<GatewayPlace> {
    let tasks = report.components.get(component)?;
    let n_vacant = tasks.values().filter(|is_held| !**is_held).count();
    Some(GatewayPlace {
        host: report.host.clone(),
        port: report.port,
        tasks: tasks.keys().copied().collect(),
        vacant: i32::try_from(n_vacant).unwrap_or(i32::MAX),
    })
}

impl From<Fault> for FindGatewaysError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Denied(msg) => AuthorizationException { msg }.into(),
            Fault::NotAlive(msg) => NotAliveException { msg }.into(),
            other => Failure::Internal(other.to_string()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_method_of_ours_has_a_name_of_storms() {
        assert!(is_finder("findGateways"));
        for method in storm::nimbus::METHODS {
            assert!(!is_finder(method.name), "{}", method.name);
        }
    }

    #[test]
    fn a_place_tells_of_one_component() {
        let tasks = [(3, true), (4, false), (5, false)].into();
        let report = GatewayReport {
            host: "h".to_owned(),
            port: 7,
            components: [("c".to_owned(), tasks)].into(),
        };
        let place = place(&report, "c").unwrap();
        assert_eq!((place.tasks, place.vacant), (vec![3, 4, 5], 2));
        assert!(super::place(&report, "other").is_none());
    }
}
