//! Nimbus's port: Storm's service, and beside it ours: where workers wait for peers of components,
//! certificates for those, and what components report of themselves in numbers.
//!
//! Knows what workers reported last, and no peer.

use std::sync::Arc;

use bytes::Bytes;

use super::fault::Fault;
use super::service::NimbusService;
use crate::auth::Operation;
use crate::conf::keys;
use crate::rpc::{Caller, Close, Dispatch, Failure};
use crate::wire::messages::gateway_finder::{self, FindGatewaysError, GatewayCertificateError};
use crate::wire::messages::metric_reader::{self, GetTaskMetricsError};
use crate::wire::messages::topology_flows;
use crate::wire::messages::{
    GatewayCertificate, GatewayException, GatewayFault, GatewayPlace, GatewayReport, GatewayTls,
    TaskMetric,
};
use crate::wire::storm::{AuthorizationException, NotAliveException};
use crate::wire::{Method, message, storm};

/// Storm's service and ours, on one port.
pub(crate) struct NimbusPort {
    storm: storm::nimbus::Dispatcher<NimbusService>,
    finder: gateway_finder::Dispatcher<NimbusService>,
    metrics: metric_reader::Dispatcher<NimbusService>,
    flows: topology_flows::Dispatcher<NimbusService>,
}

// === impl NimbusPort ===

impl NimbusPort {
    pub fn new(service: Arc<NimbusService>) -> Self {
        NimbusPort {
            storm: storm::nimbus::Dispatcher(Arc::clone(&service)),
            finder: gateway_finder::Dispatcher(Arc::clone(&service)),
            metrics: metric_reader::Dispatcher(Arc::clone(&service)),
            flows: topology_flows::Dispatcher(service),
        }
    }
}

impl Dispatch for NimbusPort {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        let header = message::read_header(&message);
        let method = header.map(|(header, _)| header.name).unwrap_or_default();
        if has(gateway_finder::METHODS, &method) {
            return self.finder.dispatch(caller, message).await;
        }
        if has(metric_reader::METHODS, &method) {
            return self.metrics.dispatch(caller, message).await;
        }
        if has(topology_flows::METHODS, &method) {
            return self.flows.dispatch(caller, message).await;
        }
        self.storm.dispatch(caller, message).await
    }

    fn hung_up(&self, caller: &Caller) {
        self.storm.hung_up(caller);
    }
}

fn has(methods: &[Method], name: &str) -> bool {
    methods.iter().any(|method| method.name == name)
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
        let places: Vec<_> = { places }
            .filter_map(|report| place(report, &component))
            .collect();
        drop(beats);
        let authority = self.leader.tokens.links.authority(&topology.id);
        let with_authority = |place: GatewayPlace| GatewayPlace {
            authority: { authority.clone() }
                .filter(|_| place.tls == Some(GatewayTls::Issued.into())),
            ..place
        };
        Ok(places.into_iter().map(with_authority).collect())
    }

    async fn gateway_certificate(
        &self,
        caller: &Caller,
        topology: Option<String>,
    ) -> Result<GatewayCertificate, GatewayCertificateError> {
        let topology = self
            .permit_by_name(caller, Operation::GatewayCertificate, topology.as_deref())
            .await?;
        let id = &topology.id;
        let refused = |text: String| GatewayException {
            kind: GatewayFault::Refused.into(),
            text,
        };
        let peer = caller.principal.as_deref().unwrap_or("peer");
        let issued = self.leader.tokens.links.issue_to_peer(id, peer);
        let issued = issued.ok_or_else(|| {
            refused(format!(
                "Nimbus does not encrypt the links of {id}, so that there is no certificate for \
                 its peers: {} is off, or {} names others",
                keys::STORMWIRE_LINK_ENCRYPTION,
                keys::STORMWIRE_LINK_CERTIFICATES
            ))
        })?;
        let issued = issued.map_err(|error| refused(error.to_string()))?;
        tracing::info!(topology = %id, peer, "a certificate for a peer of gateways");
        Ok(issued)
    }
}

impl metric_reader::Service for NimbusService {
    async fn get_task_metrics(
        &self,
        caller: &Caller,
        topology: Option<String>,
        component: Option<String>,
    ) -> Result<Vec<TaskMetric>, GetTaskMetricsError> {
        let topology = self
            .permit_by_name(caller, Operation::GetTaskMetrics, topology.as_deref())
            .await?;
        let beats = self.leader.beats();
        let is_wanted =
            |metric: &&TaskMetric| component.as_ref().is_none_or(|id| metric.component == *id);
        let metrics = beats.metrics(&topology.id).filter(is_wanted);
        Ok(metrics.cloned().collect())
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
        tls: report.tls,
        authority: None,
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

impl From<Fault> for GetTaskMetricsError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Denied(msg) => AuthorizationException { msg }.into(),
            Fault::NotAlive(msg) => NotAliveException { msg }.into(),
            other => Failure::Internal(other.to_string()).into(),
        }
    }
}

impl From<Fault> for GatewayCertificateError {
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
        let ours = [
            gateway_finder::METHODS,
            metric_reader::METHODS,
            topology_flows::METHODS,
        ];
        for own in ours {
            assert!(!own.is_empty());
            for method in own {
                assert!(!has(storm::nimbus::METHODS, method.name), "{}", method.name);
            }
        }
    }

    #[test]
    fn a_place_tells_of_one_component() {
        let tasks = [(3, true), (4, false), (5, false)].into();
        let report = GatewayReport {
            host: "h".to_owned(),
            port: 7,
            components: [("c".to_owned(), tasks)].into(),
            tls: None,
        };
        let place = place(&report, "c").unwrap();
        assert_eq!((place.tasks, place.vacant), (vec![3, 4, 5], 2));
        assert!(super::place(&report, "other").is_none());
    }
}
