//! DRPC over Thrift: one short method for each call of clients, of Storm's spouts and of ours.
//!
//! Rights are asked here, before anything else; requests live in `exchange`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::exchange::{Ask, Exchange};
use super::requests::{self, Taken};
use crate::auth::{Gate, Operation, Target};
use crate::limits;
use crate::rpc::{Caller, Close, Dispatch, Failure};
use crate::wire::message;
use crate::wire::messages::{self, DrpcFetch, drpc_spouts};
use crate::wire::storm::{
    AuthorizationException, DRPCExecutionException, DRPCRequest, distributed_rpc,
    distributed_rpc_invocations,
};

/// All three services on one exchange.
pub(crate) struct DrpcService {
    exchange: Arc<Exchange>,
    gate: Arc<Gate>,
}

/// What clients connect to.
pub(crate) struct Clients(distributed_rpc::Dispatcher<DrpcService>);

/// What spouts and those who answer connect to: Storm's service, and ours beside it.
pub(crate) struct Spouts {
    storm: distributed_rpc_invocations::Dispatcher<DrpcService>,
    own: drpc_spouts::Dispatcher<DrpcService>,
}

// === impl DrpcService ===

impl DrpcService {
    pub fn new(exchange: Arc<Exchange>, gate: Arc<Gate>) -> Arc<Self> {
        Arc::new(DrpcService { exchange, gate })
    }

    async fn permit(
        &self,
        caller: &Caller,
        operation: Operation,
        function: &str,
    ) -> Result<(), AuthorizationException> {
        let permitted = self
            .gate
            .permit(caller, operation, Target::Function(function));
        permitted.await.map_err(|refused| AuthorizationException {
            msg: refused.to_string(),
        })
    }

    /// The request that a caller answers or fails, when it is open and the caller may: Storm asks
    /// for nobody's right to what is not there.
    async fn answerable(
        &self,
        caller: &Caller,
        operation: Operation,
        id: &str,
    ) -> Result<Option<u64>, AuthorizationException> {
        let Some((id, function)) = self.exchange.find(id) else {
            return Ok(None);
        };
        self.permit(caller, operation, &function).await?;
        Ok(Some(id))
    }
}

impl distributed_rpc::Service for DrpcService {
    async fn execute(
        &self,
        caller: &Caller,
        function_name: Option<String>,
        func_args: Option<String>,
    ) -> Result<String, distributed_rpc::ExecuteError> {
        let function = named(function_name)?;
        self.permit(caller, Operation::Execute, &function).await?;
        let args = func_args.unwrap_or_default();
        let outcome = self.exchange.execute(&function, args, caller.peer).await;
        Ok(outcome?)
    }
}

impl distributed_rpc_invocations::Service for DrpcService {
    async fn result(
        &self,
        caller: &Caller,
        id: Option<String>,
        result: Option<String>,
    ) -> Result<(), distributed_rpc_invocations::ResultError> {
        let id = identified(id)?;
        if let Some(id) = self.answerable(caller, Operation::Result, &id).await? {
            self.exchange.settle(id, requests::completed(result));
        }
        Ok(())
    }

    async fn fetch_request(
        &self,
        caller: &Caller,
        function_name: Option<String>,
    ) -> Result<DRPCRequest, distributed_rpc_invocations::FetchRequestError> {
        let function = named(function_name)?;
        self.permit(caller, Operation::FetchRequest, &function)
            .await?;
        let taken = self.exchange.poll(&function);
        Ok(taken.map(wire_form).unwrap_or_default())
    }

    async fn fail_request(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<(), distributed_rpc_invocations::FailRequestError> {
        let id = identified(id)?;
        if let Some(id) = self.answerable(caller, Operation::FailRequest, &id).await? {
            self.exchange.settle(id, Err(requests::failed()));
        }
        Ok(())
    }

    async fn fail_request_v2(
        &self,
        caller: &Caller,
        id: Option<String>,
        e: Option<DRPCExecutionException>,
    ) -> Result<(), distributed_rpc_invocations::FailRequestV2Error> {
        let id = identified(id)?;
        if let Some(id) = self.answerable(caller, Operation::FailRequest, &id).await? {
            let error = e.unwrap_or_else(requests::failed);
            self.exchange.settle(id, Err(error));
        }
        Ok(())
    }
}

impl drpc_spouts::Service for DrpcService {
    async fn await_requests(
        &self,
        caller: &Caller,
        fetch: Option<DrpcFetch>,
    ) -> Result<Vec<DRPCRequest>, drpc_spouts::AwaitRequestsError> {
        let fetch = fetch.ok_or_else(|| Failure::Internal("there is no fetch".to_owned()))?;
        self.permit(caller, Operation::FetchRequest, &fetch.function_name)
            .await?;
        let wait_ms = u64::try_from(fetch.wait_ms).unwrap_or(0);
        let ask = Ask {
            function: &fetch.function_name,
            session: &fetch.session,
            peer: caller.peer,
            max: usize::try_from(fetch.max)
                .unwrap_or(0)
                .min(limits::DRPC_FETCH_MAX),
            wait: Duration::from_millis(wait_ms).min(limits::DRPC_PARK_MAX),
            call: fetch.call,
            answered: fetch.answered,
        };
        let taken = self.exchange.await_requests(ask).await;
        let taken = taken.map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(taken.into_iter().map(wire_form).collect())
    }
}

fn named(function: Option<String>) -> Result<String, Failure> {
    let missing = "The function for a request cannot be null";
    function.ok_or_else(|| Failure::Internal(missing.to_owned()))
}

fn identified(id: Option<String>) -> Result<String, Failure> {
    id.ok_or_else(|| Failure::Internal("The id of a request cannot be null".to_owned()))
}

fn wire_form(taken: Taken) -> DRPCRequest {
    DRPCRequest {
        func_args: taken.args,
        request_id: taken.id.to_string(),
    }
}

// === impl Clients ===

impl Clients {
    pub fn new(service: &Arc<DrpcService>) -> Self {
        Clients(distributed_rpc::Dispatcher(Arc::clone(service)))
    }
}

impl Dispatch for Clients {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        self.0.dispatch(caller, message).await
    }

    fn hung_up(&self, caller: &Caller) {
        if let Some(peer) = caller.peer {
            self.0.0.exchange.client_hung_up(peer);
        }
    }
}

// === impl Spouts ===

impl Spouts {
    pub fn new(service: &Arc<DrpcService>) -> Self {
        Spouts {
            storm: distributed_rpc_invocations::Dispatcher(Arc::clone(service)),
            own: drpc_spouts::Dispatcher(Arc::clone(service)),
        }
    }
}

impl Dispatch for Spouts {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        let header = message::read_header(&message);
        let is_own = header.is_ok_and(|(header, _)| is_own(&header.name));
        match is_own {
            true => self.own.dispatch(caller, message).await,
            false => self.storm.dispatch(caller, message).await,
        }
    }

    fn hung_up(&self, caller: &Caller) {
        if let Some(peer) = caller.peer {
            self.own.0.exchange.spout_hung_up(peer);
        }
    }
}

fn is_own(method: &str) -> bool {
    let mut methods = messages::drpc_spouts::METHODS.iter();
    methods.any(|own| own.name == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_method_of_ours_has_a_name_of_storms() {
        let own = messages::drpc_spouts::METHODS;
        assert!(!own.is_empty());
        for method in distributed_rpc_invocations::METHODS {
            assert!(!is_own(method.name), "{}", method.name);
        }
    }
}
