//! Storm's Nimbus service: one short method for each call. What is not here answers as unknown.
//!
//! Decides nothing. How refusals become exceptions is in `refusals`.

use std::sync::Arc;

use bytes::Bytes;

use super::beats;
use super::blobs::{self, Blobs};
use super::credentials::{self, Upload};
use super::debug::{self, Sampling};
use super::downloads::DownloadError;
use super::fault::Fault;
use super::history;
use super::info::Info;
use super::leader::{Leader, detached};
use super::pages;
use super::rebalance::Asker;
use super::steer::{self, Order};
use super::submit::{self, Submission};
use super::{log_config, profiler};
use crate::auth::Operation;
use crate::clock;
use crate::id::{NodeId, TopologyId};
use crate::rpc::Caller;
use crate::topology;
use crate::wire::Open;
use crate::wire::storm::nimbus::*;
use crate::wire::storm::{
    BeginDownloadResult, ClusterSummary, ComponentPageInfo, Credentials, ExecutorInfo,
    GetInfoOptions, KillOptions, ListBlobsResult, LogConfig, NimbusSummary, NumErrorsChoice,
    OwnerResourceSummary, ProfileAction, ProfileRequest, ReadableBlobMeta, RebalanceOptions,
    SettableBlobMeta, StormTopology, SubmitOptions, SupervisorAssignments, SupervisorPageInfo,
    SupervisorWorkerHeartbeat, SupervisorWorkerHeartbeats, TopologyHistoryInfo, TopologyInfo,
    TopologyInitialStatus, TopologyPageInfo, TopologySummary, WorkerMetrics,
};

/// Answers Storm's clients, supervisors and workers.
pub(crate) struct NimbusService {
    pub(super) leader: Arc<Leader>,
}

// === impl NimbusService ===

impl NimbusService {
    pub fn new(leader: Arc<Leader>) -> Self {
        NimbusService { leader }
    }

    pub(super) fn info(&self) -> Info<'_> {
        Info::new(&self.leader)
    }

    async fn submit(&self, submission: Submission) -> Result<(), Fault> {
        let leader = Arc::clone(&self.leader);
        detached(submit::submit(leader, submission)).await?
    }

    async fn order(&self, name: Option<String>, order: Order) -> Result<(), Fault> {
        let name = name.ok_or_else(|| Fault::Internal("the topology's name is null".to_owned()))?;
        let leader = Arc::clone(&self.leader);
        detached(steer::order(leader, name, order)).await?
    }

    /// Runs what may wait for the disk where no other call waits behind it.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Leader) -> Result<T, DownloadError> + Send + 'static,
    ) -> Result<T, Fault> {
        let leader = Arc::clone(&self.leader);
        Ok(tokio::task::spawn_blocking(move || work(&leader)).await??)
    }

    /// Does something with blobs for a caller that may, where no other call waits behind the disk.
    async fn blobs<T: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        work: impl FnOnce(Blobs<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.permit(caller, operation).await?;
        let (leader, client) = (Arc::clone(&self.leader), self.blob_client(caller).await);
        let work = move || {
            let (leader, client) = (&*leader, &client);
            work(Blobs { leader, client })
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// Executors of a topology were heard of; only those on `node` count, if it is known.
    fn heard(&self, id: &str, executors: &[ExecutorInfo], node: Option<&NodeId>) -> bool {
        let id = TopologyId::from(id);
        let state = self.leader.state();
        let Some(topology) = state.topologies.get(&id) else {
            return false;
        };
        let placement = topology
            .assigned
            .as_ref()
            .map(|assigned| &assigned.placement);
        let is_there = |info: &&ExecutorInfo| {
            let slot = placement.and_then(|placement| placement.get(&beats::executor(info)));
            node.is_none_or(|node| slot.is_some_and(|slot| slot.node == *node))
        };
        let here: Vec<ExecutorInfo> = executors.iter().filter(is_there).cloned().collect();
        self.leader
            .beats()
            .executors(&id, &here, clock::monotonic_millis());
        true
    }
}

impl Service for NimbusService {
    async fn submit_topology(
        &self,
        caller: &Caller,
        name: Option<String>,
        uploaded_jar_location: Option<String>,
        json_conf: Option<String>,
        topology: Option<StormTopology>,
    ) -> Result<(), SubmitTopologyError> {
        self.permit_named(caller, Operation::SubmitTopology, name.as_deref())
            .await?;
        let options = SubmitOptions {
            initial_status: TopologyInitialStatus::Active.into(),
            ..SubmitOptions::default()
        };
        let submission = Submission {
            name,
            location: uploaded_jar_location,
            json_conf,
            topology,
            options: Some(options),
            submitter: self.submitter(caller),
            client: self.blob_client(caller).await,
        };
        Ok(self.submit(submission).await?)
    }

    async fn submit_topology_with_opts(
        &self,
        caller: &Caller,
        name: Option<String>,
        uploaded_jar_location: Option<String>,
        json_conf: Option<String>,
        topology: Option<StormTopology>,
        options: Option<SubmitOptions>,
    ) -> Result<(), SubmitTopologyWithOptsError> {
        self.permit_named(caller, Operation::SubmitTopology, name.as_deref())
            .await?;
        let submission = Submission {
            name,
            location: uploaded_jar_location,
            json_conf,
            topology,
            options,
            submitter: self.submitter(caller),
            client: self.blob_client(caller).await,
        };
        Ok(self.submit(submission).await?)
    }

    async fn kill_topology(
        &self,
        caller: &Caller,
        name: Option<String>,
    ) -> Result<(), KillTopologyError> {
        self.permit_by_name(caller, Operation::KillTopology, name.as_deref())
            .await?;
        Ok(self.order(name, Order::Kill { wait_secs: None }).await?)
    }

    async fn kill_topology_with_opts(
        &self,
        caller: &Caller,
        name: Option<String>,
        options: Option<KillOptions>,
    ) -> Result<(), KillTopologyWithOptsError> {
        self.permit_by_name(caller, Operation::KillTopology, name.as_deref())
            .await?;
        let wait_secs = options.and_then(|options| options.wait_secs);
        Ok(self.order(name, Order::Kill { wait_secs }).await?)
    }

    async fn activate(&self, caller: &Caller, name: Option<String>) -> Result<(), ActivateError> {
        self.permit_by_name(caller, Operation::Activate, name.as_deref())
            .await?;
        Ok(self.order(name, Order::Activate).await?)
    }

    async fn deactivate(
        &self,
        caller: &Caller,
        name: Option<String>,
    ) -> Result<(), DeactivateError> {
        self.permit_by_name(caller, Operation::Deactivate, name.as_deref())
            .await?;
        Ok(self.order(name, Order::Deactivate).await?)
    }

    async fn set_log_config(
        &self,
        caller: &Caller,
        name: Option<String>,
        config: Option<LogConfig>,
    ) -> Result<(), SetLogConfigError> {
        let topology = self
            .permit_by_id(caller, Operation::SetLogConfig, name.as_deref())
            .await?;
        let config = config.ok_or_else(|| absent("config"))?;
        let set = log_config::set(Arc::clone(&self.leader), topology.id.clone(), config);
        Ok(detached(set).await.map_err(Fault::from)??)
    }

    async fn get_log_config(
        &self,
        caller: &Caller,
        name: Option<String>,
    ) -> Result<LogConfig, GetLogConfigError> {
        let topology = self
            .permit_by_id(caller, Operation::GetLogConfig, name.as_deref())
            .await?;
        Ok(log_config::effective(&topology, clock::wall_millis()))
    }

    async fn debug(
        &self,
        caller: &Caller,
        name: Option<String>,
        component: Option<String>,
        enable: Option<bool>,
        sampling_percentage: Option<f64>,
    ) -> Result<(), DebugError> {
        let topology = self
            .permit_by_name(caller, Operation::Debug, name.as_deref())
            .await?;
        let sampling = Sampling {
            component,
            enable: enable.unwrap_or(false),
            percent: sampling_percentage.unwrap_or(0.0),
        };
        let set = debug::set(Arc::clone(&self.leader), topology.id.clone(), sampling);
        Ok(detached(set).await.map_err(Fault::from)??)
    }

    async fn set_worker_profiler(
        &self,
        caller: &Caller,
        id: Option<String>,
        profile_request: Option<ProfileRequest>,
    ) -> Result<(), SetWorkerProfilerError> {
        let topology = self
            .permit_by_id(caller, Operation::SetWorkerProfiler, id.as_deref())
            .await?;
        let request = profile_request.ok_or_else(|| absent("profileRequest"))?;
        let set = profiler::set(Arc::clone(&self.leader), topology.id.clone(), request);
        Ok(detached(set).await.map_err(Fault::from)??)
    }

    async fn get_component_pending_profile_actions(
        &self,
        caller: &Caller,
        id: Option<String>,
        component_id: Option<String>,
        action: Option<Open<ProfileAction>>,
    ) -> Result<Vec<ProfileRequest>, GetComponentPendingProfileActionsError> {
        let operation = Operation::GetComponentPendingProfileActions;
        let topology = self.permit_by_id(caller, operation, id.as_deref()).await?;
        let now_ms = clock::wall_millis();
        Ok(
            match (component_id, action.and_then(|action| action.known())) {
                (Some(component), Some(action)) => {
                    profiler::pending(&topology, &component, action, now_ms)
                }
                // Nothing runs such a component, and nobody can ask for such an action.
                _ => Vec::new(),
            },
        )
    }

    async fn upload_new_credentials(
        &self,
        caller: &Caller,
        name: Option<String>,
        creds: Option<Credentials>,
    ) -> Result<(), UploadNewCredentialsError> {
        let operation = Operation::UploadNewCredentials;
        let topology = self
            .permit_by_name(caller, operation, name.as_deref())
            .await?;
        let upload = Upload {
            credentials: creds.unwrap_or_default(),
            principal: caller.principal.clone(),
        };
        let upload = credentials::upload(Arc::clone(&self.leader), topology.id.clone(), upload);
        Ok(detached(upload).await.map_err(Fault::from)??)
    }

    async fn begin_create_blob(
        &self,
        caller: &Caller,
        key: Option<String>,
        meta: Option<SettableBlobMeta>,
    ) -> Result<String, BeginCreateBlobError> {
        let begin =
            move |blobs: Blobs<'_>| blobs.begin_create(&given(key, "key")?, given(meta, "meta")?);
        Ok(self.blobs(caller, Operation::CreateBlob, begin).await?)
    }

    async fn begin_update_blob(
        &self,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<String, BeginUpdateBlobError> {
        let begin = move |blobs: Blobs<'_>| blobs.begin_update(&given(key, "key")?);
        Ok(self.blobs(caller, Operation::WriteBlob, begin).await?)
    }

    async fn upload_blob_chunk(
        &self,
        caller: &Caller,
        session: Option<String>,
        chunk: Option<Bytes>,
    ) -> Result<(), UploadBlobChunkError> {
        let (session, chunk) = (session.unwrap_or_default(), given(chunk, "chunk")?);
        self.permit(caller, Operation::WriteBlob).await?;
        // Clients that write byte by byte send one byte a call: most of these only go to memory.
        let Some(chunk) = blobs::upload_to_memory(&self.leader, caller, &session, chunk)? else {
            return Ok(());
        };
        let upload = move |blobs: Blobs<'_>| blobs.upload(&session, &chunk);
        Ok(self.blobs(caller, Operation::WriteBlob, upload).await?)
    }

    async fn finish_blob_upload(
        &self,
        caller: &Caller,
        session: Option<String>,
    ) -> Result<(), FinishBlobUploadError> {
        let finish = move |blobs: Blobs<'_>| blobs.finish_upload(&session.unwrap_or_default());
        Ok(self.blobs(caller, Operation::WriteBlob, finish).await?)
    }

    async fn cancel_blob_upload(
        &self,
        caller: &Caller,
        session: Option<String>,
    ) -> Result<(), CancelBlobUploadError> {
        let cancel = move |blobs: Blobs<'_>| blobs.cancel_upload(&session.unwrap_or_default());
        Ok(self.blobs(caller, Operation::WriteBlob, cancel).await?)
    }

    async fn get_blob_meta(
        &self,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<ReadableBlobMeta, GetBlobMetaError> {
        let read = move |blobs: Blobs<'_>| blobs.meta(&given(key, "key")?);
        Ok(self.blobs(caller, Operation::ReadBlob, read).await?)
    }

    async fn set_blob_meta(
        &self,
        caller: &Caller,
        key: Option<String>,
        meta: Option<SettableBlobMeta>,
    ) -> Result<(), SetBlobMetaError> {
        let set = move |blobs: Blobs<'_>| blobs.set_meta(&given(key, "key")?, given(meta, "meta")?);
        Ok(self.blobs(caller, Operation::SetBlobMeta, set).await?)
    }

    async fn begin_blob_download(
        &self,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<BeginDownloadResult, BeginBlobDownloadError> {
        let begin = move |blobs: Blobs<'_>| blobs.begin_download(&given(key, "key")?);
        Ok(self.blobs(caller, Operation::ReadBlob, begin).await?)
    }

    async fn download_blob_chunk(
        &self,
        caller: &Caller,
        session: Option<String>,
    ) -> Result<Bytes, DownloadBlobChunkError> {
        let read = move |blobs: Blobs<'_>| blobs.download(&session.unwrap_or_default());
        Ok(self.blobs(caller, Operation::ReadBlob, read).await?)
    }

    async fn delete_blob(
        &self,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<(), DeleteBlobError> {
        let delete = move |blobs: Blobs<'_>| blobs.delete(&given(key, "key")?);
        Ok(self.blobs(caller, Operation::DeleteBlob, delete).await?)
    }

    async fn list_blobs(
        &self,
        caller: &Caller,
        session: Option<String>,
    ) -> Result<ListBlobsResult, ListBlobsError> {
        let list = move |blobs: Blobs<'_>| blobs.list(session.as_deref());
        Ok(self.blobs(caller, Operation::ListBlobs, list).await?)
    }

    async fn get_blob_replication(
        &self,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<i32, GetBlobReplicationError> {
        let count = move |blobs: Blobs<'_>| blobs.replication(&given(key, "key")?);
        Ok(self.blobs(caller, Operation::ReadBlob, count).await?)
    }

    async fn update_blob_replication(
        &self,
        caller: &Caller,
        key: Option<String>,
        replication: Option<i32>,
    ) -> Result<i32, UpdateBlobReplicationError> {
        let wanted = replication.unwrap_or_default();
        let update = move |blobs: Blobs<'_>| blobs.update_replication(&given(key, "key")?, wanted);
        Ok(self.blobs(caller, Operation::WriteBlob, update).await?)
    }

    async fn create_state_in_zookeeper(
        &self,
        caller: &Caller,
        _key: Option<String>,
    ) -> Result<(), CreateStateInZookeeperError> {
        // Where Nimbus keeps its state itself there is nobody to tell of a new blob.
        Ok(self.permit(caller, Operation::WriteBlob).await?)
    }

    async fn is_remote_blob_exists(
        &self,
        caller: &Caller,
        blob_key: Option<String>,
    ) -> Result<bool, IsRemoteBlobExistsError> {
        let exists = move |blobs: Blobs<'_>| blobs.exists(&given(blob_key, "blobKey")?);
        Ok(self.blobs(caller, Operation::ReadBlob, exists).await?)
    }

    async fn rebalance(
        &self,
        caller: &Caller,
        name: Option<String>,
        options: Option<RebalanceOptions>,
    ) -> Result<(), RebalanceError> {
        self.permit_by_name(caller, Operation::Rebalance, name.as_deref())
            .await?;
        let order = Order::Rebalance {
            options: Box::new(options.ok_or_else(|| absent("options"))?),
            by: Some(Box::new(Asker {
                principal: caller.principal.clone(),
                client: self.blob_client(caller).await,
            })),
        };
        Ok(self.order(name, order).await?)
    }

    async fn begin_file_upload(&self, caller: &Caller) -> Result<String, BeginFileUploadError> {
        self.permit(caller, Operation::FileUpload).await?;
        let owner = caller.principal.clone();
        let begun = self.leader.uploads.begin(owner, clock::monotonic_millis());
        Ok(begun.map_err(Fault::from)?)
    }

    async fn upload_chunk(
        &self,
        caller: &Caller,
        location: Option<String>,
        chunk: Option<Bytes>,
    ) -> Result<(), UploadChunkError> {
        self.permit(caller, Operation::FileUpload).await?;
        let (location, chunk) = (location.unwrap_or_default(), chunk.unwrap_or_default());
        let (uploads, now_ms) = (&self.leader.uploads, clock::monotonic_millis());
        let own = uploads.check_owner(&location, caller.principal.as_deref());
        let added = own.and_then(|()| uploads.chunk(&location, &chunk, now_ms));
        Ok(added.map_err(Fault::from)?)
    }

    async fn finish_file_upload(
        &self,
        caller: &Caller,
        location: Option<String>,
    ) -> Result<(), FinishFileUploadError> {
        self.permit(caller, Operation::FileUpload).await?;
        let (uploads, location) = (&self.leader.uploads, location.unwrap_or_default());
        let own = uploads.check_owner(&location, caller.principal.as_deref());
        let finished = own.and_then(|()| uploads.finish(&location));
        Ok(finished.map_err(Fault::from)?)
    }

    async fn begin_file_download(
        &self,
        caller: &Caller,
        file: Option<String>,
    ) -> Result<String, BeginFileDownloadError> {
        self.permit(caller, Operation::FileDownload).await?;
        let (file, now_ms) = (file.unwrap_or_default(), clock::monotonic_millis());
        let owner = caller.principal.clone();
        // The first question after a blob reads all of it for its checksum.
        let begin = move |leader: &Leader| {
            let downloads = &leader.downloads;
            downloads.begin(&leader.blobs, &file, owner, now_ms)
        };
        Ok(self.on_disk(begin).await?)
    }

    async fn download_chunk(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<Bytes, DownloadChunkError> {
        self.permit(caller, Operation::FileDownload).await?;
        let (id, now_ms) = (id.unwrap_or_default(), clock::monotonic_millis());
        let owner = caller.principal.clone();
        let read = move |leader: &Leader| {
            leader.downloads.check_owner(&id, owner.as_deref())?;
            let length = leader.settings.download_chunk_bytes;
            leader.downloads.chunk(&id, length, now_ms)
        };
        Ok(self.on_disk(read).await?)
    }

    async fn get_nimbus_conf(&self, caller: &Caller) -> Result<String, GetNimbusConfError> {
        self.permit(caller, Operation::GetNimbusConf).await?;
        Ok(self.info().nimbus_conf())
    }

    async fn get_cluster_info(
        &self,
        caller: &Caller,
    ) -> Result<ClusterSummary, GetClusterInfoError> {
        self.permit(caller, Operation::GetClusterInfo).await?;
        Ok(self.info().cluster())
    }

    async fn get_topology_summaries(
        &self,
        caller: &Caller,
    ) -> Result<Vec<TopologySummary>, GetTopologySummariesError> {
        self.permit(caller, Operation::GetTopologySummaries).await?;
        Ok(self.info().topologies())
    }

    async fn get_topology_summary_by_name(
        &self,
        caller: &Caller,
        name: Option<String>,
    ) -> Result<TopologySummary, GetTopologySummaryByNameError> {
        self.permit_named(caller, Operation::GetTopologySummaryByName, name.as_deref())
            .await?;
        let info = self.info();
        Ok(info.summary(info.by_name(name.as_deref())?))
    }

    async fn get_topology_summary(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<TopologySummary, GetTopologySummaryError> {
        let info = self.info();
        let id = id.unwrap_or_else(|| "null".to_owned());
        // The other calls by id answer with the bare id here.
        let longer = |_| Fault::NotAlive(format!("{id} is not alive"));
        let topology = info.by_id(Some(&id)).map_err(longer)?;
        self.permit_named(caller, Operation::GetTopologySummary, Some(topology.name()))
            .await?;
        Ok(info.summary(topology))
    }

    async fn get_leader(&self, caller: &Caller) -> Result<NimbusSummary, GetLeaderError> {
        self.permit(caller, Operation::GetLeader).await?;
        Ok(self.info().nimbus())
    }

    async fn is_topology_name_allowed(
        &self,
        caller: &Caller,
        name: Option<String>,
    ) -> Result<bool, IsTopologyNameAllowedError> {
        self.permit_named(caller, Operation::IsTopologyNameAllowed, name.as_deref())
            .await?;
        let is_free = |name: &str| !submit::is_taken(&self.leader, name);
        let is_valid = topology::validate::name(name.as_deref()).is_ok();
        Ok(is_valid && name.as_deref().is_some_and(is_free))
    }

    async fn get_topology_info(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<TopologyInfo, GetTopologyInfoError> {
        self.permit_by_id(caller, Operation::GetTopologyInfo, id.as_deref())
            .await?;
        let info = self.info();
        Ok(info.topology(info.by_id(id.as_deref())?, NumErrorsChoice::All))
    }

    async fn get_topology_info_by_name(
        &self,
        caller: &Caller,
        name: Option<String>,
    ) -> Result<TopologyInfo, GetTopologyInfoByNameError> {
        self.permit_by_name(caller, Operation::GetTopologyInfo, name.as_deref())
            .await?;
        let info = self.info();
        Ok(info.topology(info.by_name(name.as_deref())?, NumErrorsChoice::All))
    }

    async fn get_topology_info_with_opts(
        &self,
        caller: &Caller,
        id: Option<String>,
        options: Option<GetInfoOptions>,
    ) -> Result<TopologyInfo, GetTopologyInfoWithOptsError> {
        self.permit_by_id(caller, Operation::GetTopologyInfo, id.as_deref())
            .await?;
        let info = self.info();
        let topology = info.by_id(id.as_deref())?;
        Ok(info.topology(topology, errors_wanted(options)?))
    }

    async fn get_topology_info_by_name_with_opts(
        &self,
        caller: &Caller,
        name: Option<String>,
        options: Option<GetInfoOptions>,
    ) -> Result<TopologyInfo, GetTopologyInfoByNameWithOptsError> {
        self.permit_by_name(caller, Operation::GetTopologyInfo, name.as_deref())
            .await?;
        let info = self.info();
        let topology = info.by_name(name.as_deref())?;
        Ok(info.topology(topology, errors_wanted(options)?))
    }

    async fn get_topology_page_info(
        &self,
        caller: &Caller,
        id: Option<String>,
        window: Option<String>,
        is_include_sys: Option<bool>,
    ) -> Result<TopologyPageInfo, GetTopologyPageInfoError> {
        self.permit_by_id(caller, Operation::GetTopologyPageInfo, id.as_deref())
            .await?;
        let wanted = pages::Wanted::new(window, is_include_sys);
        Ok(self.info().topology_page(id.as_deref(), &wanted)?)
    }

    async fn get_supervisor_page_info(
        &self,
        caller: &Caller,
        id: Option<String>,
        host: Option<String>,
        is_include_sys: Option<bool>,
    ) -> Result<SupervisorPageInfo, GetSupervisorPageInfoError> {
        self.permit(caller, Operation::GetSupervisorPageInfo)
            .await?;
        let visible = self.visible(caller).await;
        let system = pages::system_parts(is_include_sys);
        let which = pages::Which { id, host, system };
        Ok(self.info().supervisor_page(&which, &visible)?)
    }

    async fn get_component_page_info(
        &self,
        caller: &Caller,
        topology_id: Option<String>,
        component_id: Option<String>,
        window: Option<String>,
        is_include_sys: Option<bool>,
    ) -> Result<ComponentPageInfo, GetComponentPageInfoError> {
        self.permit_by_id(
            caller,
            Operation::GetComponentPageInfo,
            topology_id.as_deref(),
        )
        .await?;
        let wanted = pages::Wanted::new(window, is_include_sys);
        let which = (topology_id.as_deref(), component_id.as_deref());
        Ok(self.info().component_page(which, &wanted)?)
    }

    async fn get_topology_conf(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<String, GetTopologyConfError> {
        self.permit_by_id(caller, Operation::GetTopologyConf, id.as_deref())
            .await?;
        let info = self.info();
        Ok(crate::conf::redact::conf(&info.plan(id.as_deref())?.conf).to_json())
    }

    async fn get_topology(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<StormTopology, GetTopologyError> {
        self.permit_by_id(caller, Operation::GetTopology, id.as_deref())
            .await?;
        let info = self.info();
        Ok(info.plan(id.as_deref())?.system.clone())
    }

    async fn get_user_topology(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<StormTopology, GetUserTopologyError> {
        self.permit_by_id(caller, Operation::GetUserTopology, id.as_deref())
            .await?;
        let info = self.info();
        Ok(info.plan(id.as_deref())?.user.clone())
    }

    async fn get_topology_history(
        &self,
        caller: &Caller,
        user: Option<String>,
    ) -> Result<TopologyHistoryInfo, GetTopologyHistoryError> {
        self.permit(caller, Operation::GetTopologyHistory).await?;
        let viewer = match self.history_of(caller, user).await {
            Some(user) => Some(self.viewer(user).await),
            None => None,
        };
        Ok(history::answer(&self.leader, viewer.as_ref()))
    }

    async fn get_owner_resource_summaries(
        &self,
        caller: &Caller,
        owner: Option<String>,
    ) -> Result<Vec<OwnerResourceSummary>, GetOwnerResourceSummariesError> {
        self.permit(caller, Operation::GetOwnerResourceSummaries)
            .await?;
        Ok(self.info().owners(owner.as_deref()))
    }

    async fn get_supervisor_assignments(
        &self,
        caller: &Caller,
        node: Option<String>,
    ) -> Result<SupervisorAssignments, GetSupervisorAssignmentsError> {
        self.permit(caller, Operation::GetSupervisorAssignments)
            .await?;
        Ok(self.info().assignments(node.as_deref()))
    }

    async fn send_supervisor_worker_heartbeats(
        &self,
        caller: &Caller,
        heartbeats: Option<SupervisorWorkerHeartbeats>,
    ) -> Result<(), SendSupervisorWorkerHeartbeatsError> {
        self.permit(caller, Operation::SendSupervisorWorkerHeartbeats)
            .await?;
        let heartbeats = heartbeats.ok_or_else(|| absent("heartbeats"))?;
        let node = NodeId::from(heartbeats.supervisor_id);
        for beat in heartbeats.worker_heartbeats {
            // Of a topology that is gone nobody needs to hear.
            self.heard(&beat.storm_id, &beat.executors, Some(&node));
        }
        Ok(())
    }

    async fn send_supervisor_worker_heartbeat(
        &self,
        caller: &Caller,
        heatbeat: Option<SupervisorWorkerHeartbeat>,
    ) -> Result<(), SendSupervisorWorkerHeartbeatError> {
        let beat = heatbeat.ok_or_else(|| absent("heatbeat"))?;
        let operation = Operation::SendSupervisorWorkerHeartbeat;
        self.permit_by_id(caller, operation, Some(&beat.storm_id))
            .await?;
        if !self.heard(&beat.storm_id, &beat.executors, None) {
            return Err(Fault::NotAlive(beat.storm_id).into());
        }
        Ok(())
    }

    /// Storm puts them into a store of metrics from which no call reads. Ours take another way
    /// (`syncWorker`), so what genuine workers send is read and dropped.
    async fn process_worker_metrics(
        &self,
        caller: &Caller,
        metrics: Option<WorkerMetrics>,
    ) -> Result<(), ProcessWorkerMetricsError> {
        self.permit(caller, Operation::ProcessWorkerMetrics).await?;
        metrics.map(drop).ok_or_else(|| absent("metrics").into())
    }
}

fn errors_wanted(options: Option<GetInfoOptions>) -> Result<NumErrorsChoice, Fault> {
    let options = options.ok_or_else(|| absent("options"))?;
    let choice = options.num_err_choice.and_then(|choice| choice.known());
    Ok(choice.unwrap_or(NumErrorsChoice::All))
}

fn given<T>(argument: Option<T>, name: &str) -> Result<T, Fault> {
    argument.ok_or_else(|| absent(name))
}

fn absent(argument: &str) -> Fault {
    Fault::Internal(format!("`{argument}` is null"))
}
