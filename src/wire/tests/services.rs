//! Calls through a generated client, the envelope and a generated dispatcher.

use std::sync::Arc;

use bytes::Bytes;

use crate::rpc::{Caller, Channel, Dispatch, Failure};
use crate::wire::message::{ApplicationException, Header, read_header, write_call};
use crate::wire::storm::nimbus::{
    self, BeginFileUploadError, GetTopologyConfError, IsTopologyNameAllowedError,
    KillTopologyError, SubmitTopologyWithOptsError,
};
use crate::wire::storm::{self, NotAliveException, SubmitOptions, TopologyInitialStatus};
use crate::wire::{Open, from_bytes};

/// Answers in each of the ways that there are.
struct Answers;

impl nimbus::Service for Answers {
    async fn submit_topology_with_opts(
        &self,
        caller: &Caller,
        name: Option<String>,
        uploaded_jar_location: Option<String>,
        json_conf: Option<String>,
        topology: Option<storm::StormTopology>,
        options: Option<SubmitOptions>,
    ) -> Result<(), SubmitTopologyWithOptsError> {
        assert_eq!(caller.principal.as_deref(), Some("someone"));
        assert_eq!(
            (name.as_deref(), uploaded_jar_location),
            (Some("words"), None)
        );
        assert_eq!(json_conf.as_deref(), Some("{}"));
        assert_eq!(topology, Some(storm::StormTopology::default()));
        let status = options.map(|options| options.initial_status.known());
        assert_eq!(status, Some(Some(TopologyInitialStatus::Inactive)));
        Ok(())
    }

    async fn kill_topology(
        &self,
        _caller: &Caller,
        name: Option<String>,
    ) -> Result<(), KillTopologyError> {
        let msg = format!("{} is not alive", name.unwrap_or_default());
        Err(NotAliveException { msg }.into())
    }

    async fn get_topology_conf(
        &self,
        _caller: &Caller,
        _id: Option<String>,
    ) -> Result<String, GetTopologyConfError> {
        Err(Failure::Internal("the disk is full".to_owned()).into())
    }

    async fn begin_file_upload(&self, _caller: &Caller) -> Result<String, BeginFileUploadError> {
        Err(Failure::NoResult.into())
    }

    async fn is_topology_name_allowed(
        &self,
        _caller: &Caller,
        name: Option<String>,
    ) -> Result<bool, IsTopologyNameAllowedError> {
        Ok(name.is_none())
    }
}

/// A channel without a network.
struct Direct(nimbus::Dispatcher<Answers>);

impl Channel for Direct {
    async fn call(&mut self, message: Bytes) -> Result<Bytes, Failure> {
        let caller = Caller {
            principal: Some("someone".to_owned()),
            ..Caller::default()
        };
        let reply = self.0.dispatch(&caller, message).await;
        reply.unwrap().ok_or(Failure::NoResult)
    }
}

fn client() -> nimbus::Client<Direct> {
    nimbus::Client::new(Direct(dispatcher()))
}

fn dispatcher() -> nimbus::Dispatcher<Answers> {
    nimbus::Dispatcher(Arc::new(Answers))
}

#[tokio::test]
async fn arguments_and_results_arrive() {
    let mut client = client();
    let topology = storm::StormTopology::default();
    let options = SubmitOptions {
        initial_status: TopologyInitialStatus::Inactive.into(),
        creds: None,
    };
    let (name, conf) = (Some("words"), Some("{}"));
    let submitted = client
        .submit_topology_with_opts(name, None, conf, Some(&topology), Some(&options))
        .await;
    submitted.unwrap();
    assert!(client.is_topology_name_allowed(None).await.unwrap());
    assert!(!client.is_topology_name_allowed(Some("a")).await.unwrap());
}

#[tokio::test]
async fn what_fails_says_how() {
    let mut client = client();
    let killed = client.kill_topology(Some("ghost")).await.unwrap_err();
    assert!(matches!(&killed, KillTopologyError::NotAlive(_)));
    assert_eq!(killed.to_string(), "ghost is not alive");

    let conf = client.get_topology_conf(Some("a-1-1")).await.unwrap_err();
    assert_eq!(
        conf.to_string(),
        "Internal error processing getTopologyConf: the disk is full"
    );

    let upload = client.begin_file_upload().await.unwrap_err();
    let BeginFileUploadError::Failure(Failure::NoResult) = upload else {
        panic!("{upload:?}");
    };

    let leader = client.get_leader().await.unwrap_err();
    assert_eq!(leader.to_string(), "Invalid method name: 'getLeader'");
}

/// A declared exception stands in its own field of a reply; the message's type is reply.
#[tokio::test]
async fn a_declared_exception_is_a_reply() {
    let call = write_call("killTopology", 5, |out| out.borrowed_text(1, Some("x"))).unwrap();
    let reply = dispatcher()
        .dispatch(&Caller::default(), call)
        .await
        .unwrap()
        .unwrap();
    let (header, body) = read_header(&reply).unwrap();
    let name = "killTopology".to_owned();
    assert_eq!(
        header,
        Header {
            name,
            kind: 2,
            seqid: 5
        }
    );
    let result: nimbus::KillTopologyReply = from_bytes(body).unwrap();
    let msg = "x is not alive".to_owned();
    assert_eq!(result.missing, Some(NotAliveException { msg }));
}

/// Legacy headers, any message type, a bad method name, bytes after the arguments.
#[tokio::test]
async fn odd_envelopes_are_answered() {
    let legacy = |name: &[u8], kind: u8, tail: &[u8]| {
        let length = super::i32_bytes(name.len());
        let message = [&length[..], name, &[kind, 0, 0, 0, 9, 0], tail].concat();
        Bytes::from(message)
    };
    let name = b"isTopologyNameAllowed";
    for message in [legacy(name, 1, b""), legacy(name, 99, b"after the end")] {
        let reply = dispatcher().dispatch(&Caller::default(), message).await;
        let reply = reply.unwrap().unwrap();
        assert_eq!(reply[..4], [0x80, 1, 0, 2], "replies are strict");
        let (header, body) = read_header(&reply).unwrap();
        assert_eq!(header.seqid, 9);
        let result: nimbus::IsTopologyNameAllowedReply = from_bytes(body).unwrap();
        assert_eq!(result.success, Some(true));
    }
    let unknown = legacy(b"n\xffne", 1, b"");
    let reply = dispatcher()
        .dispatch(&Caller::default(), unknown)
        .await
        .unwrap()
        .unwrap();
    let (_, body) = read_header(&reply).unwrap();
    let exception: ApplicationException = from_bytes(body).unwrap();
    assert_eq!(exception.message, "Invalid method name: 'n\u{fffd}ne'");
}

/// A union variant or enum value that is newer than we are leaves the rest of the call intact; an
/// empty union is refused, as in Java, but not in a record.
#[tokio::test]
async fn what_newer_peers_know_does_not_fail_a_message() {
    let newer = [8, 0, 99, 0, 0, 0, 1, 0];
    assert_eq!(
        from_bytes::<storm::Grouping>(&newer).unwrap(),
        storm::Grouping::Unset
    );
    assert_eq!(
        from_bytes::<storm::Grouping>(&[0]).unwrap(),
        storm::Grouping::Unset
    );
    let mut of_call = crate::wire::Input::of_call(&newer);
    let read = <storm::Grouping as crate::wire::Wire>::read(&mut of_call);
    assert_eq!(read.unwrap(), storm::Grouping::Unset);
    let mut of_call = crate::wire::Input::of_call(&[0]);
    let read = <storm::Grouping as crate::wire::Wire>::read(&mut of_call);
    assert_eq!(read.unwrap_err().to_string(), "Unrecognized type 0");

    let newer = [8, 0, 1, 0, 0, 0, 77, 0];
    let options: SubmitOptions = from_bytes(&newer).unwrap();
    assert_eq!(options.initial_status, Open::Unknown(77));
    assert_eq!(options.initial_status.known(), None);
    assert_eq!(crate::wire::to_bytes(&options).unwrap(), newer[..]);
}

/// Fields that older peers leave out or write shorter.
#[test]
fn older_peers_are_read() {
    let no_state_spouts = [
        13, 0, 1, 11, 12, 0, 0, 0, 0, 13, 0, 2, 11, 12, 0, 0, 0, 0, 0,
    ];
    let topology: storm::StormTopology = from_bytes(&no_state_spouts).unwrap();
    assert!(topology.state_spouts.is_empty());

    let mut beat = vec![11, 0, 1, 0, 0, 0, 1, b'w', 15, 0, 2, 12, 0, 0, 0, 0];
    beat.extend([8, 0, 3, 0, 0, 0, 5, 0]);
    let beat: storm::SupervisorWorkerHeartbeat = from_bytes(&beat).unwrap();
    assert_eq!(beat.time_secs, 5);

    let none: storm::ClusterSummary = from_bytes(&[
        15, 0, 1, 12, 0, 0, 0, 0, 15, 0, 3, 12, 0, 0, 0, 0, 15, 0, 4, 12, 0, 0, 0, 0, 0,
    ])
    .unwrap();
    assert_eq!(none.nimbus_uptime_secs, 0);
}

/// A field of another type is skipped, and missed when it was required.
#[test]
fn a_field_of_another_type_is_absent() {
    let id_is_number = [8, 0, 1, 0, 0, 0, 5, 11, 0, 2, 0, 0, 0, 1, b's', 0];
    let read = from_bytes::<storm::GlobalStreamId>(&id_is_number).unwrap_err();
    assert_eq!(
        read.to_string(),
        "Required field 'componentId' is unset! Struct:GlobalStreamId(componentId:null, streamId:s)"
    );
    let fields_are_numbers = [15, 0, 1, 8, 0, 0, 0, 1, 0, 0, 0, 7, 2, 0, 2, 1, 0];
    let read = from_bytes::<storm::StreamInfo>(&fields_are_numbers).unwrap_err();
    assert_eq!(
        read.to_string(),
        "Required field 'output_fields' is unset! \
         Struct:StreamInfo(output_fields:null, direct:true)"
    );
    let optional = [8, 0, 2, 0, 0, 0, 5, 11, 0, 1, 0, 0, 0, 1, b'e', 0];
    let read = from_bytes::<storm::ShellComponent>(&optional).unwrap();
    assert_eq!(
        (read.execution_command.as_deref(), read.script),
        (Some("e"), None)
    );
}

/// What the error quotes is bounded, however much was sent.
#[test]
fn a_quoted_struct_is_bounded() {
    let mut bytes = vec![11, 0, 1, 0, 1, 0, 0];
    bytes.extend(vec![b'x'; 65_536]);
    bytes.push(0);
    let error = from_bytes::<storm::GlobalStreamId>(&bytes)
        .unwrap_err()
        .to_string();
    assert!(error.len() < crate::limits::ERROR_TEXT_BYTES_MAX + 200);
    assert!(error.starts_with("Required field 'streamId' is unset! Struct:GlobalStreamId("));
}
