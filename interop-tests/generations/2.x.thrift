/*
 * A client of Storm 2.0 to 2.6: supervisors that speak to Nimbus, seconds in 32 bits, no uptime of
 * Nimbus in a ClusterSummary, no download of files. Only what differs from other generations, and
 * what that needs.
 */

include "same.thrift"

struct SharedMemory {
  1: required string name
  2: optional double on_heap
  3: optional double off_heap_worker
  4: optional double off_heap_node
}

struct StormTopology {
  1: required map<string, same.SpoutSpec> spouts
  2: required map<string, same.Bolt> bolts
  3: required map<string, same.StateSpoutSpec> state_spouts
  4: optional list<binary> worker_hooks
  5: optional list<string> dependency_jars
  6: optional list<string> dependency_artifacts
  7: optional string storm_version
  8: optional string jdk_version
  9: optional map<string, set<string>> component_to_shared_memory
  10: optional map<string, SharedMemory> shared_memory
}

exception KeyAlreadyExistsException {
  1: required string msg
}

exception KeyNotFoundException {
  1: required string msg
}

exception IllegalStateException {
  1: required string msg
}

struct TopologySummary {
  1: required string id
  2: required string name
  3: required i32 num_tasks
  4: required i32 num_executors
  5: required i32 num_workers
  6: required i32 uptime_secs
  7: required string status
  8: optional string storm_version
  9: optional string topology_version
  513: optional string sched_status
  514: optional string owner
  515: optional i32 replication_count
  521: optional double requested_memonheap
  522: optional double requested_memoffheap
  523: optional double requested_cpu
  524: optional double assigned_memonheap
  525: optional double assigned_memoffheap
  526: optional double assigned_cpu
}

struct SupervisorSummary {
  1: required string host
  2: required i32 uptime_secs
  3: required i32 num_workers
  4: required i32 num_used_workers
  5: required string supervisor_id
  6: optional string version
  7: optional map<string, double> total_resources
  8: optional double used_mem
  9: optional double used_cpu
  10: optional double fragmented_mem
  11: optional double fragmented_cpu
  12: optional bool blacklisted
  13: optional map<string, double> used_generic_resources
}

struct NimbusSummary {
  1: required string host
  2: required i32 port
  3: required i32 uptime_secs
  4: required bool isLeader
  5: required string version
}

struct ClusterSummary {
  1: required list<SupervisorSummary> supervisors
  3: required list<TopologySummary> topologies
  4: required list<NimbusSummary> nimbuses
}

struct ErrorInfo {
  1: required string error
  2: required i32 error_time_secs
  3: optional string host
  4: optional i32 port
}

struct ExecutorStats {
  1: required map<string, map<string, i64>> emitted
  2: required map<string, map<string, i64>> transferred
  3: required same.ExecutorSpecificStats specific
  // New in 0.10, and required at once.
  4: required double rate
}

struct ExecutorSummary {
  1: required same.ExecutorInfo executor_info
  2: required string component_id
  3: required string host
  4: required i32 port
  5: required i32 uptime_secs
  7: optional ExecutorStats stats
}

struct DebugOptions {
  1: optional bool enable
  2: optional double samplingpct
}

struct TopologyInfo {
  1: required string id
  2: required string name
  3: required i32 uptime_secs
  4: required list<ExecutorSummary> executors
  5: required string status
  6: required map<string, list<ErrorInfo>> errors
  7: optional map<string, DebugOptions> component_debug
  8: optional string storm_version
  513: optional string sched_status
  514: optional string owner
  515: optional i32 replication_count
}

enum NumErrorsChoice {
  ALL = 0
  NONE = 1
  ONE = 2
}

struct GetInfoOptions {
  1: optional NumErrorsChoice num_err_choice
}

struct CommonAggregateStats {
  1: optional i32 num_executors
  2: optional i32 num_tasks
  3: optional i64 emitted
  4: optional i64 transferred
  5: optional i64 acked
  6: optional i64 failed
  7: optional map<string, double> resources_map
}

struct SpoutAggregateStats {
  1: optional double complete_latency_ms
}

struct BoltAggregateStats {
  1: optional double execute_latency_ms
  2: optional double process_latency_ms
  3: optional i64 executed
  4: optional double capacity
}

union SpecificAggregateStats {
  1: BoltAggregateStats bolt
  2: SpoutAggregateStats spout
}

enum ComponentType {
  BOLT = 1
  SPOUT = 2
}

struct ComponentAggregateStats {
  1: optional ComponentType type
  2: optional CommonAggregateStats common_stats
  3: optional SpecificAggregateStats specific_stats
  4: optional ErrorInfo last_error
}

struct TopologyStats {
  1: optional map<string, i64> window_to_emitted
  2: optional map<string, i64> window_to_transferred
  3: optional map<string, double> window_to_complete_latencies_ms
  4: optional map<string, i64> window_to_acked
  5: optional map<string, i64> window_to_failed
}

struct TopologyPageInfo {
  1: required string id
  2: optional string name
  3: optional i32 uptime_secs
  4: optional string status
  5: optional i32 num_tasks
  6: optional i32 num_workers
  7: optional i32 num_executors
  8: optional string topology_conf
  9: optional map<string, ComponentAggregateStats> id_to_spout_agg_stats
  10: optional map<string, ComponentAggregateStats> id_to_bolt_agg_stats
  11: optional string sched_status
  12: optional TopologyStats topology_stats
  13: optional string owner
  14: optional DebugOptions debug_options
  15: optional i32 replication_count
}

struct ExecutorAggregateStats {
  1: optional ExecutorSummary exec_summary
  2: optional ComponentAggregateStats stats
}

struct ComponentPageInfo {
  1: required string component_id
  2: required ComponentType component_type
  3: optional string topology_id
  4: optional string topology_name
  5: optional i32 num_executors
  6: optional i32 num_tasks
  7: optional map<string, ComponentAggregateStats> window_to_stats
  8: optional map<same.GlobalStreamId, ComponentAggregateStats> gsid_to_input_stats
  9: optional map<string, ComponentAggregateStats> sid_to_output_stats
  10: optional list<ExecutorAggregateStats> exec_stats
  11: optional list<ErrorInfo> errors
}

struct RebalanceOptions {
  1: optional i32 wait_secs
  2: optional i32 num_workers
  3: optional map<string, i32> num_executors
  4: optional map<string, map<string, double>> topology_resources_overrides
  5: optional string topology_conf_overrides
  6: optional string principal
}

struct Credentials {
  1: required map<string, string> creds
  2: optional string topoOwner
}

struct SubmitOptions {
  1: required same.TopologyInitialStatus initial_status
  2: optional Credentials creds
}

enum AccessControlType {
  OTHER = 1
  USER = 2
}

struct AccessControl {
  1: required AccessControlType type
  2: optional string name
  3: required i32 access
}

struct SettableBlobMeta {
  1: required list<AccessControl> acl
  2: optional i32 replication_factor
}

struct ReadableBlobMeta {
  1: required SettableBlobMeta settable
  2: required i64 version
}

struct ListBlobsResult {
  1: required list<string> keys
  2: required string session
}

struct BeginDownloadResult {
  1: required i64 version
  2: required string session
  3: optional i64 data_size
}

struct SupervisorWorkerHeartbeat {
  1: required string storm_id
  2: required list<same.ExecutorInfo> executors
  // 32 bits until 3.0.
  3: required i32 time_secs
}

struct SupervisorWorkerHeartbeats {
  1: required string supervisor_id
  2: required list<SupervisorWorkerHeartbeat> worker_heartbeats
}

struct OwnerResourceSummary {
  1: required string owner
  2: optional i32 total_topologies
  3: optional i32 total_executors
  4: optional i32 total_workers
}

struct TopologyHistoryInfo {
  1: list<string> topo_ids
}

service Nimbus {
  void submitTopology(1: string name, 2: string uploadedJarLocation, 3: string jsonConf,
      4: StormTopology topology)
      throws (1: same.AlreadyAliveException e, 2: same.InvalidTopologyException ite,
              3: same.AuthorizationException aze)

  void submitTopologyWithOpts(1: string name, 2: string uploadedJarLocation, 3: string jsonConf,
      4: StormTopology topology, 5: SubmitOptions options)
      throws (1: same.AlreadyAliveException e, 2: same.InvalidTopologyException ite,
              3: same.AuthorizationException aze)

  void killTopologyWithOpts(1: string name, 2: same.KillOptions options)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  void activate(1: string name)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  void deactivate(1: string name)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  void rebalance(1: string name, 2: RebalanceOptions options)
      throws (1: same.NotAliveException e, 2: same.InvalidTopologyException ite,
              3: same.AuthorizationException aze)

  void uploadNewCredentials(1: string name, 2: Credentials creds)
      throws (1: same.NotAliveException e, 2: same.InvalidTopologyException ite,
              3: same.AuthorizationException aze)

  string beginCreateBlob(1: string key, 2: SettableBlobMeta meta)
      throws (1: same.AuthorizationException aze, 2: KeyAlreadyExistsException kae)

  string beginUpdateBlob(1: string key)
      throws (1: same.AuthorizationException aze, 2: KeyNotFoundException knf)

  void uploadBlobChunk(1: string session, 2: binary chunk)
      throws (1: same.AuthorizationException aze)

  void finishBlobUpload(1: string session) throws (1: same.AuthorizationException aze)

  ReadableBlobMeta getBlobMeta(1: string key)
      throws (1: same.AuthorizationException aze, 2: KeyNotFoundException knf)

  BeginDownloadResult beginBlobDownload(1: string key)
      throws (1: same.AuthorizationException aze, 2: KeyNotFoundException knf)

  binary downloadBlobChunk(1: string session) throws (1: same.AuthorizationException aze)

  void deleteBlob(1: string key)
      throws (1: same.AuthorizationException aze, 2: KeyNotFoundException knf,
              3: IllegalStateException ise)

  ListBlobsResult listBlobs(1: string session)

  void createStateInZookeeper(1: string key)

  string beginFileUpload() throws (1: same.AuthorizationException aze)

  void uploadChunk(1: string location, 2: binary chunk)
      throws (1: same.AuthorizationException aze)

  void finishFileUpload(1: string location) throws (1: same.AuthorizationException aze)

  binary downloadChunk(1: string id) throws (1: same.AuthorizationException aze)

  string getNimbusConf() throws (1: same.AuthorizationException aze)

  ClusterSummary getClusterInfo() throws (1: same.AuthorizationException aze)

  NimbusSummary getLeader() throws (1: same.AuthorizationException aze)

  bool isTopologyNameAllowed(1: string name) throws (1: same.AuthorizationException aze)

  // These five are of 2.3.
  list<TopologySummary> getTopologySummaries() throws (1: same.AuthorizationException aze)

  TopologySummary getTopologySummaryByName(1: string name)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologySummary getTopologySummary(1: string id)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologyInfo getTopologyInfoByName(1: string name)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologyInfo getTopologyInfoByNameWithOpts(1: string name, 2: GetInfoOptions options)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologyInfo getTopologyInfo(1: string id)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologyInfo getTopologyInfoWithOpts(1: string id, 2: GetInfoOptions options)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologyPageInfo getTopologyPageInfo(1: string id, 2: string window, 3: bool is_include_sys)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  ComponentPageInfo getComponentPageInfo(1: string topology_id, 2: string component_id,
      3: string window, 4: bool is_include_sys)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  string getTopologyConf(1: string id)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  StormTopology getTopology(1: string id)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  StormTopology getUserTopology(1: string id)
      throws (1: same.NotAliveException e, 2: same.AuthorizationException aze)

  TopologyHistoryInfo getTopologyHistory(1: string user)
      throws (1: same.AuthorizationException aze)

  list<OwnerResourceSummary> getOwnerResourceSummaries(1: string owner)
      throws (1: same.AuthorizationException aze)

  void sendSupervisorWorkerHeartbeats(1: SupervisorWorkerHeartbeats heartbeats)
      throws (1: same.AuthorizationException aze)

  void sendSupervisorWorkerHeartbeat(1: SupervisorWorkerHeartbeat heartbeat)
      throws (1: same.AuthorizationException aze, 2: same.NotAliveException e)

  bool isRemoteBlobExists(1: string blobKey) throws (1: same.AuthorizationException aze)
}

service Supervisor {
  void sendSupervisorWorkerHeartbeat(1: SupervisorWorkerHeartbeat heartbeat)
      throws (1: same.AuthorizationException aze)
}

enum DRPCExceptionType {
  INTERNAL_ERROR = 0
  SERVER_SHUTDOWN = 1
  SERVER_TIMEOUT = 2
  FAILED_REQUEST = 3
}

exception DRPCExecutionException {
  1: required string msg
  2: optional DRPCExceptionType type
}

service DistributedRPC {
  string execute(1: string functionName, 2: string funcArgs)
      throws (1: DRPCExecutionException e, 2: same.AuthorizationException aze)
}

service DistributedRPCInvocations {
  void result(1: string id, 2: string result) throws (1: same.AuthorizationException aze)

  same.DRPCRequest fetchRequest(1: string functionName)
      throws (1: same.AuthorizationException aze)

  void failRequest(1: string id) throws (1: same.AuthorizationException aze)

  void failRequestV2(1: string id, 2: DRPCExecutionException e)
      throws (1: same.AuthorizationException aze)
}
