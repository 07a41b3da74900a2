/**
 * Storm's contract: what its clients, daemons and workers say to each other.
 *
 * Names, ids, requiredness and types are those of Storm 3.0, with the fields and calls that older
 * client generations need. The texts are ours. Two annotations are ours too, and other compilers
 * pass over them:
 *   lenient = "true"   a required field whose absence reads as empty or zero
 *   widen = "true"     an i64 field that is also read where an older peer wrote an i32
 *
 * Times are in seconds since the epoch and durations in seconds unless a name says otherwise. Maps
 * keyed by window have the keys 600, 10800, 86400 and :all-time.
 */
namespace cpp storm
namespace go storm
namespace java org.apache.storm.generated
namespace perl Storm
namespace php Storm
namespace py storm
namespace rb Storm

// ---- Topology -------------------------------------------------------------------------------------

/** One argument of a constructor. */
union JavaObjectArg {
  1: i32 int_arg
  2: i64 long_arg
  3: string string_arg
  4: bool bool_arg
  5: binary binary_arg
  6: double double_arg
}

/** A component that is named by its class and built where it runs. */
struct JavaObject {
  /** A Java class, or the name of a component that the worker has built in. */
  1: required string full_class_name
  2: required list<JavaObjectArg> args_list
}

/** Nothing: stands for a choice that has no parameters. */
struct NullStruct {
}

/** A stream of a component of this topology. */
struct GlobalStreamId {
  1: required string componentId
  2: required string streamId
}

/** How a bolt that subscribes to a stream shares it out among its tasks. */
union Grouping {
  /** By the values of these fields; with an empty list, everything goes to the lowest task. */
  1: list<string> fields
  2: NullStruct shuffle
  3: NullStruct all
  /** The receiver does not care. */
  4: NullStruct none
  /** The sender names the task. */
  5: NullStruct direct
  6: JavaObject custom_object
  /** A grouping of a user, serialized by Java. */
  7: binary custom_serialized
  /** Among the tasks in the same worker where there are any, else among all. */
  8: NullStruct local_or_shuffle
}

/** A stream that a component declares. */
struct StreamInfo {
  1: required list<string> output_fields
  /** Its sender names the task for each tuple. */
  2: required bool direct
}

/** A component in a process of its own that speaks the multilang protocol. */
struct ShellComponent {
  /** Program to run. Not split at spaces. */
  1: string execution_command
  /** Its one argument. Not split at spaces. */
  2: string script
}

/** The code of a component. */
union ComponentObject {
  /** A Java object; only a JVM can bring it to life. */
  1: binary serialized_java
  2: ShellComponent shell
  3: JavaObject java_object
}

/** What spouts and bolts have in common. */
struct ComponentCommon {
  /** Streams it subscribes to. */
  1: required map<GlobalStreamId, Grouping> inputs
  /** Streams it declares, by their ids. */
  2: required map<string, StreamInfo> streams
  /** Executors it asks for. */
  3: optional i32 parallelism_hint
  /** Configuration of this component, a JSON object. */
  4: optional string json_conf
}

/** A source of tuples. */
struct SpoutSpec {
  1: required ComponentObject spout_object
  2: required ComponentCommon common
}

/** A step that takes tuples and emits others. */
struct Bolt {
  1: required ComponentObject bolt_object
  2: required ComponentCommon common
}

/** Was never brought into use. */
struct StateSpoutSpec {
  1: required ComponentObject state_spout_object
  2: required ComponentCommon common
}

/** Memory in MB that the executors of one worker or node share. */
struct SharedMemory {
  1: required string name
  2: optional double on_heap
  3: optional double off_heap_worker
  4: optional double off_heap_node
}

/** A topology as its author submits it. */
struct StormTopology {
  1: required map<string, SpoutSpec> spouts
  2: required map<string, Bolt> bolts
  /** Clients written by hand leave it out. */
  3: required map<string, StateSpoutSpec> state_spouts (lenient = "true")
  /** Java objects that run when a worker starts and stops. */
  4: optional list<binary> worker_hooks
  /** Blob keys. */
  5: optional list<string> dependency_jars
  /** Blob keys. */
  6: optional list<string> dependency_artifacts
  /** Of the client that built it. */
  7: optional string storm_version
  8: optional string jdk_version
  /** Names of shared memories, by component. */
  9: optional map<string, set<string>> component_to_shared_memory
  10: optional map<string, SharedMemory> shared_memory
}

// ---- Exceptions -----------------------------------------------------------------------------------

/** A topology of that name runs already. */
exception AlreadyAliveException {
  1: required string msg
}

/** There is no such topology. */
exception NotAliveException {
  1: required string msg
}

/** The topology, its configuration or its options cannot be accepted. */
exception InvalidTopologyException {
  1: required string msg
}

/** The caller may not do this. */
exception AuthorizationException {
  1: required string msg
}

/** There is no blob of that key. */
exception KeyNotFoundException {
  1: required string msg
}

/** A blob of that key exists already. */
exception KeyAlreadyExistsException {
  1: required string msg
}

/** The blob is in use. */
exception IllegalStateException {
  1: required string msg
}

/** What became of a DRPC request that has no result. */
enum DRPCExceptionType {
  INTERNAL_ERROR = 0
  SERVER_SHUTDOWN = 1
  SERVER_TIMEOUT = 2
  FAILED_REQUEST = 3
}

/** A DRPC request had no result. */
exception DRPCExecutionException {
  1: required string msg
  2: optional DRPCExceptionType type
}

// ---- Summaries ------------------------------------------------------------------------------------

/** One topology in the list of all. */
struct TopologySummary {
  1: required string id
  2: required string name
  3: required i32 num_tasks
  4: required i32 num_executors
  5: required i32 num_workers
  6: required i32 uptime_secs
  /** ACTIVE, INACTIVE, REBALANCING or KILLED. */
  7: required string status
  8: optional string storm_version
  9: optional string topology_version
  /** What the scheduler says of it. */
  513: optional string sched_status
  514: optional string owner
  515: optional i32 replication_count
  /** Memory in MB; CPU in per cent of a core. */
  521: optional double requested_memonheap
  522: optional double requested_memoffheap
  523: optional double requested_cpu
  524: optional double assigned_memonheap
  525: optional double assigned_memoffheap
  526: optional double assigned_cpu
  527: optional map<string, double> requested_generic_resources
  528: optional map<string, double> assigned_generic_resources
}

/** One supervisor in the list of all. */
struct SupervisorSummary {
  1: required string host
  2: required i32 uptime_secs
  /** Slots, used or not. */
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

/** One Nimbus of the cluster. */
struct NimbusSummary {
  /** Name under which clients reach it. */
  1: required string host
  2: required i32 port
  3: required i32 uptime_secs
  4: required bool isLeader
  /** Clients parse it as a version and choose their calls by it. */
  5: required string version
  /** 0 for none. */
  6: optional i32 tlsPort
}

/** Supervisors, topologies and Nimbus hosts. */
struct ClusterSummary {
  1: required list<SupervisorSummary> supervisors
  /** Gone since Storm 2.0; clients of 0.9 and 0.10 require it. */
  2: required i32 nimbus_uptime_secs (lenient = "true")
  3: required list<TopologySummary> topologies
  4: required list<NimbusSummary> nimbuses
}

/** An error that a component reported. */
struct ErrorInfo {
  /** Text with its stack or cause. */
  1: required string error
  2: required i32 error_time_secs
  3: optional string host
  4: optional i32 port
}

/** Counters of a bolt: window, then stream that came in. */
struct BoltStats {
  1: required map<string, map<GlobalStreamId, i64>> acked
  2: required map<string, map<GlobalStreamId, i64>> failed
  3: required map<string, map<GlobalStreamId, double>> process_ms_avg
  4: required map<string, map<GlobalStreamId, i64>> executed
  5: required map<string, map<GlobalStreamId, double>> execute_ms_avg
}

/** Counters of a spout: window, then stream that it emitted. */
struct SpoutStats {
  1: required map<string, map<string, i64>> acked
  2: required map<string, map<string, i64>> failed
  3: required map<string, map<string, double>> complete_ms_avg
}

/** Counters that only bolts or only spouts have. */
union ExecutorSpecificStats {
  1: BoltStats bolt
  2: SpoutStats spout
}

/** Counters of one executor: window, then stream. */
struct ExecutorStats {
  1: required map<string, map<string, i64>> emitted
  2: required map<string, map<string, i64>> transferred
  3: required ExecutorSpecificStats specific
  /** Share of tuples that is sampled. Peers before 0.10 do not send it. */
  4: required double rate (lenient = "true")
}

/** An executor: the range of its tasks, both ends included. */
struct ExecutorInfo {
  1: required i32 task_start
  2: required i32 task_end
}

/** An executor, where it runs and what it has done. */
struct ExecutorSummary {
  1: required ExecutorInfo executor_info
  2: required string component_id
  3: required string host
  4: required i32 port
  5: required i32 uptime_secs
  7: optional ExecutorStats stats
}

/** Share of tuples that a component hands to the event logger. */
struct DebugOptions {
  1: optional bool enable
  /** Per cent. */
  2: optional double samplingpct
}

/** A topology with its executors. */
struct TopologyInfo {
  1: required string id
  2: required string name
  3: required i32 uptime_secs
  4: required list<ExecutorSummary> executors
  5: required string status
  /** By component. */
  6: required map<string, list<ErrorInfo>> errors
  7: optional map<string, DebugOptions> component_debug
  8: optional string storm_version
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

/** How many errors of each component a reply holds. */
enum NumErrorsChoice {
  ALL = 0
  NONE = 1
  ONE = 2
}

/** What a TopologyInfo shall hold. */
struct GetInfoOptions {
  1: optional NumErrorsChoice num_err_choice
}

/** Ids of topologies that a user may see or has had. */
struct TopologyHistoryInfo {
  1: list<string> topo_ids
}

/** What the topologies of one owner ask for, have, and are promised. */
struct OwnerResourceSummary {
  1: required string owner
  2: optional i32 total_topologies
  3: optional i32 total_executors
  4: optional i32 total_workers
  5: optional double memory_usage
  6: optional double cpu_usage
  7: optional double memory_guarantee
  8: optional double cpu_guarantee
  9: optional double memory_guarantee_remaining
  10: optional double cpu_guarantee_remaining
  11: optional i32 isolated_node_guarantee
  12: optional i32 total_tasks
  13: optional double requested_on_heap_memory
  14: optional double requested_off_heap_memory
  15: optional double requested_total_memory
  16: optional double requested_cpu
  17: optional double assigned_on_heap_memory
  18: optional double assigned_off_heap_memory
}

// ---- Pages ----------------------------------------------------------------------------------------

/** What kind a component is. */
enum ComponentType {
  BOLT = 1
  SPOUT = 2
}

/** Sums over executors, for spouts and bolts alike. */
struct CommonAggregateStats {
  1: optional i32 num_executors
  2: optional i32 num_tasks
  3: optional i64 emitted
  4: optional i64 transferred
  5: optional i64 acked
  6: optional i64 failed
  7: optional map<string, double> resources_map
}

/** Sums and averages that only spouts have. */
struct SpoutAggregateStats {
  1: optional double complete_latency_ms
}

/** Sums and averages that only bolts have. */
struct BoltAggregateStats {
  1: optional double execute_latency_ms
  2: optional double process_latency_ms
  3: optional i64 executed
  /** Share of the last ten minutes that was spent in execute. */
  4: optional double capacity
}

/** The part of a sum that depends on the kind. */
union SpecificAggregateStats {
  1: BoltAggregateStats bolt
  2: SpoutAggregateStats spout
}

/** Sums over the executors of one component. */
struct ComponentAggregateStats {
  1: optional ComponentType type
  2: optional CommonAggregateStats common_stats
  3: optional SpecificAggregateStats specific_stats
  4: optional ErrorInfo last_error
}

/** Sums over a topology, by window. */
struct TopologyStats {
  1: optional map<string, i64> window_to_emitted
  2: optional map<string, i64> window_to_transferred
  3: optional map<string, double> window_to_complete_latencies_ms
  4: optional map<string, i64> window_to_acked
  5: optional map<string, i64> window_to_failed
}

/** One worker process. */
struct WorkerSummary {
  1: optional string supervisor_id
  2: optional string host
  3: optional i32 port
  4: optional string topology_id
  5: optional string topology_name
  6: optional i32 num_executors
  7: optional map<string, i64> component_to_num_tasks
  /** Time of its last heartbeat. */
  8: optional i32 time_secs
  9: optional i32 uptime_secs
  521: optional double requested_memonheap
  522: optional double requested_memoffheap
  523: optional double requested_cpu
  524: optional double assigned_memonheap
  525: optional double assigned_memoffheap
  526: optional double assigned_cpu
  527: optional string owner
}

/** Supervisors and the workers on them. */
struct SupervisorPageInfo {
  1: optional list<SupervisorSummary> supervisor_summaries
  2: optional list<WorkerSummary> worker_summaries
}

/** All that a page about a topology shows. */
struct TopologyPageInfo {
  1: required string id
  2: optional string name
  3: optional i32 uptime_secs
  4: optional string status
  5: optional i32 num_tasks
  6: optional i32 num_workers
  7: optional i32 num_executors
  /** JSON. */
  8: optional string topology_conf
  9: optional map<string, ComponentAggregateStats> id_to_spout_agg_stats
  10: optional map<string, ComponentAggregateStats> id_to_bolt_agg_stats
  11: optional string sched_status
  12: optional TopologyStats topology_stats
  13: optional string owner
  14: optional DebugOptions debug_options
  15: optional i32 replication_count
  16: optional list<WorkerSummary> workers
  17: optional string storm_version
  18: optional string topology_version
  521: optional double requested_memonheap
  522: optional double requested_memoffheap
  523: optional double requested_cpu
  524: optional double assigned_memonheap
  525: optional double assigned_memoffheap
  526: optional double assigned_cpu
  527: optional double requested_regular_on_heap_memory
  528: optional double requested_shared_on_heap_memory
  529: optional double requested_regular_off_heap_memory
  530: optional double requested_shared_off_heap_memory
  531: optional double assigned_regular_on_heap_memory
  532: optional double assigned_shared_on_heap_memory
  533: optional double assigned_regular_off_heap_memory
  534: optional double assigned_shared_off_heap_memory
  535: optional map<string, double> requested_generic_resources
  536: optional map<string, double> assigned_generic_resources
}

/** An executor on the page of its component. */
struct ExecutorAggregateStats {
  1: optional ExecutorSummary exec_summary
  2: optional ComponentAggregateStats stats
}

/** All that a page about a component shows. */
struct ComponentPageInfo {
  1: required string component_id
  2: required ComponentType component_type
  3: optional string topology_id
  4: optional string topology_name
  5: optional i32 num_executors
  6: optional i32 num_tasks
  7: optional map<string, ComponentAggregateStats> window_to_stats
  8: optional map<GlobalStreamId, ComponentAggregateStats> gsid_to_input_stats
  /** By the id of the stream that it emits. */
  9: optional map<string, ComponentAggregateStats> sid_to_output_stats
  10: optional list<ExecutorAggregateStats> exec_stats
  11: optional list<ErrorInfo> errors
  12: optional string eventlog_host
  13: optional i32 eventlog_port
  14: optional DebugOptions debug_options
  15: optional string topology_status
  16: optional map<string, double> resources_map
}

// ---- Options of commands --------------------------------------------------------------------------

/** How a topology is ended. */
struct KillOptions {
  /** From deactivation to the end of its workers. */
  1: optional i32 wait_secs
}

/** What a rebalance changes. */
struct RebalanceOptions {
  1: optional i32 wait_secs
  2: optional i32 num_workers
  /** By component. */
  3: optional map<string, i32> num_executors
  4: optional map<string, map<string, double>> topology_resources_overrides
  /** JSON object. */
  5: optional string topology_conf_overrides
  6: optional string principal
}

/** Secrets of a topology, such as tickets and tokens. */
struct Credentials {
  1: required map<string, string> creds (secret = "true")
  /** Set by Nimbus. */
  2: optional string topoOwner
}

/** Whether a topology starts to emit as soon as it runs. */
enum TopologyInitialStatus {
  ACTIVE = 1
  INACTIVE = 2
}

/** How a topology is started. */
struct SubmitOptions {
  1: required TopologyInitialStatus initial_status
  2: optional Credentials creds
}

// ---- Blobs ----------------------------------------------------------------------------------------

/** Whom an access entry is about. */
enum AccessControlType {
  OTHER = 1
  USER = 2
}

/** One entry of an access list. */
struct AccessControl {
  1: required AccessControlType type
  2: optional string name
  /** Sum of READ 1, WRITE 2 and ADMIN 4. */
  3: required i32 access
}

/** What the owner of a blob decides about it. */
struct SettableBlobMeta {
  1: required list<AccessControl> acl
  2: optional i32 replication_factor
}

/** What is known about a blob. */
struct ReadableBlobMeta {
  1: required SettableBlobMeta settable
  /** Changes with the content; has no order. */
  2: required i64 version
}

/** Some of the keys; the session asks for more. */
struct ListBlobsResult {
  1: required list<string> keys
  2: required string session
}

/** An open download. */
struct BeginDownloadResult {
  1: required i64 version
  2: required string session
  3: optional i64 data_size
}

// ---- State of daemons -----------------------------------------------------------------------------

/** What a supervisor makes known of itself. */
struct SupervisorInfo {
  1: required i64 time_secs
  /** Under which other workers reach the workers on this node. */
  2: required string hostname
  /** The id of the supervisor. */
  3: optional string assignment_id
  4: optional list<i64> used_ports
  /** Ports of its slots. */
  5: optional list<i64> meta
  6: optional map<string, string> scheduler_meta
  7: optional i64 uptime_secs
  8: optional string version
  9: optional map<string, double> resources_map
  10: optional i32 server_port
}

/** Slots of one supervisor: its id and ports. */
struct NodeInfo {
  1: required string node
  2: required set<i64> port
}

/** What one worker is given; memory in MB, CPU in per cent of a core. */
struct WorkerResources {
  1: optional double mem_on_heap
  2: optional double mem_off_heap
  3: optional double cpu
  4: optional double shared_mem_on_heap
  5: optional double shared_mem_off_heap
  6: optional map<string, double> resources
  7: optional map<string, double> shared_resources
}

/** Where a topology runs. An executor is the list of its first and last task. */
struct Assignment {
  1: required string master_code_dir
  /** Host names, by supervisor id. */
  2: optional map<string, string> node_host
  3: optional map<list<i64>, NodeInfo> executor_node_port
  4: optional map<list<i64>, i64> executor_start_time_secs
  5: optional map<NodeInfo, WorkerResources> worker_resources
  6: optional map<string, double> total_shared_off_heap
  7: optional string owner
}

/** State of a topology. */
enum TopologyStatus {
  ACTIVE = 1
  INACTIVE = 2
  REBALANCING = 3
  KILLED = 4
}

/** Options of the command that a topology is going through. */
union TopologyActionOptions {
  1: KillOptions kill_options
  2: RebalanceOptions rebalance_options
}

/** Nimbus's record of a topology. */
struct StormBase {
  1: required string name
  2: required TopologyStatus status
  3: required i32 num_workers
  4: optional map<string, i32> component_executors
  5: optional i32 launch_time_secs
  6: optional string owner
  7: optional TopologyActionOptions topology_action_options
  8: optional TopologyStatus prev_status
  9: optional map<string, DebugOptions> component_debug
  10: optional string principal
  11: optional string topology_version
}

/** What a worker reports to the cluster. */
struct ClusterWorkerHeartbeat {
  1: required string storm_id
  2: required map<ExecutorInfo, ExecutorStats> executor_stats
  /** An i32 before Storm 3.0. */
  3: required i64 time_secs
  4: required i32 uptime_secs
}

/** A value in the local state of a supervisor: its type and its bytes. */
struct ThriftSerializedObject {
  1: required string name
  2: required binary bits
}

/** The local state of a supervisor. */
struct LocalStateData {
  1: required map<string, ThriftSerializedObject> serialized_parts
}

/** What one slot has to run. */
struct LocalAssignment {
  1: required string topology_id
  2: required list<ExecutorInfo> executors
  3: optional WorkerResources resources
  4: optional double total_node_shared
  5: optional string owner
}

/** Local state: the id of this supervisor. */
struct LSSupervisorId {
  1: required string supervisor_id
}

/** Local state: ports of the workers that shall run, by worker id. */
struct LSApprovedWorkers {
  1: required map<string, i32> approved_workers
}

/** Local state: assignments, by port. */
struct LSSupervisorAssignments {
  1: required map<i32, LocalAssignment> assignments
}

/** Local state: heartbeat of a worker to its supervisor. */
struct LSWorkerHeartbeat {
  /** An i32 before Storm 3.0. */
  1: required i64 time_secs
  2: required string topology_id
  3: required list<ExecutorInfo> executors
  4: required i32 port
}

/** Local state: a topology that was, and who may know of it. */
struct LSTopoHistory {
  1: required string topology_id
  2: required i64 time_stamp
  3: required list<string> users
  4: required list<string> groups
}

/** Local state: the topologies that were. */
struct LSTopoHistoryList {
  1: required list<LSTopoHistory> topo_history
}

/** What a profiler can be asked to do with a worker. */
enum ProfileAction {
  JPROFILE_STOP = 0
  JPROFILE_START = 1
  JPROFILE_DUMP = 2
  JMAP_DUMP = 3
  JSTACK_DUMP = 4
  JVM_RESTART = 5
}

/** An order to profile a worker. */
struct ProfileRequest {
  1: required NodeInfo nodeInfo
  2: required ProfileAction action
  3: optional i64 time_stamp
}

/** What to do with the level of a logger. */
enum LogLevelAction {
  UNCHANGED = 1
  UPDATE = 2
  REMOVE = 3
}

/** A level of a logger that goes back after a time. */
struct LogLevel {
  1: required LogLevelAction action
  2: optional string target_log_level
  3: optional i32 reset_log_level_timeout_secs
  4: optional i64 reset_log_level_timeout_epoch
  5: optional string reset_log_level
}

/** Levels of loggers, by name. */
struct LogConfig {
  2: optional map<string, LogLevel> named_logger_level
}

/** Heartbeat of a worker, passed on by its supervisor. */
struct SupervisorWorkerHeartbeat {
  1: required string storm_id
  2: required list<ExecutorInfo> executors
  /** An i32 before Storm 3.0. */
  3: required i64 time_secs
}

/** Heartbeats of all workers of a supervisor. */
struct SupervisorWorkerHeartbeats {
  1: required string supervisor_id
  2: required list<SupervisorWorkerHeartbeat> worker_heartbeats
}

/** Assignments that concern a supervisor, by topology id. */
struct SupervisorAssignments {
  1: optional map<string, Assignment> storm_assignment
}

// ---- Metrics of workers ---------------------------------------------------------------------------

/** One value of one metric. */
struct WorkerMetricPoint {
  1: required string metricName
  2: required i64 timestamp
  3: required double metricValue
  4: required string componentId
  5: required string executorId
  6: required string streamId
}

/** Values of metrics. */
struct WorkerMetricList {
  1: list<WorkerMetricPoint> metrics
}

/** Values of metrics from one worker. */
struct WorkerMetrics {
  1: required string topologyId
  2: required i32 port
  3: required string hostname
  4: required WorkerMetricList metricList
}

// ---- Tokens and DRPC ------------------------------------------------------------------------------

/** A call that waits for a topology to answer it. */
struct DRPCRequest {
  1: required string func_args
  /** Empty when there is no call to fetch. */
  2: required string request_id
}

/** What a token opens. */
enum WorkerTokenServiceType {
  NIMBUS = 0
  DRPC = 1
  SUPERVISOR = 2
}

/** What a token states. */
struct WorkerTokenInfo {
  1: required string userName
  2: required string topologyId
  3: required i64 secretVersion
  4: required i64 expirationTimeMillis
}

/** Lets a worker act as the owner of its topology. */
struct WorkerToken {
  1: required WorkerTokenServiceType serviceType
  /** A WorkerTokenInfo. */
  2: required binary info
  /** HMAC-SHA256 of info under the private key. */
  3: required binary signature
}

/** Key that signs the tokens of a topology for one service. */
struct PrivateWorkerKey {
  1: required binary key (secret = "true")
  2: required string userName
  3: required i64 expirationTimeMillis
}

// ---- Services -------------------------------------------------------------------------------------

/** The head of a cluster, for clients, supervisors and workers. */
service Nimbus {
  // Life of a topology
  /** Starts a topology whose jar was uploaded before; jsonConf is a JSON object. */
  void submitTopology(1: string name, 2: string uploadedJarLocation, 3: string jsonConf,
      4: StormTopology topology) throws (1: AlreadyAliveException alive,
      2: InvalidTopologyException invalid, 3: AuthorizationException denied)
  /** As submitTopology, with a choice of first status and credentials. */
  void submitTopologyWithOpts(1: string name, 2: string uploadedJarLocation, 3: string jsonConf,
      4: StormTopology topology, 5: SubmitOptions options) throws (1: AlreadyAliveException alive,
      2: InvalidTopologyException invalid, 3: AuthorizationException denied)
  /** Ends a topology after its message timeout. */
  void killTopology(1: string name) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** Ends a topology after the time given. */
  void killTopologyWithOpts(1: string name, 2: KillOptions options)
      throws (1: NotAliveException missing, 2: AuthorizationException denied)
  /** Lets the spouts emit again. */
  void activate(1: string name) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** Stops the spouts from emitting; the workers stay. */
  void deactivate(1: string name) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** Changes the number of workers or executors, and schedules the topology anew. */
  void rebalance(1: string name, 2: RebalanceOptions options) throws (1: NotAliveException missing,
      2: InvalidTopologyException invalid, 3: AuthorizationException denied)

  // Steering of running workers; some of these declare no exception
  /** Sets levels of loggers in the workers of a topology. */
  void setLogConfig(1: string name, 2: LogConfig config)
  /** Levels of loggers that were set. */
  LogConfig getLogConfig(1: string name)
  /** Sends a sample of tuples to the event logger; an empty component means all of them. */
  void debug(1: string name, 2: string component, 3: bool enable, 4: double samplingPercentage)
      throws (1: NotAliveException missing, 2: AuthorizationException denied)
  /** Orders a profiler action in a worker. */
  void setWorkerProfiler(1: string id, 2: ProfileRequest profileRequest)
  /** Orders that are not carried out yet. */
  list<ProfileRequest> getComponentPendingProfileActions(1: string id, 2: string component_id,
      3: ProfileAction action)
  /** Replaces the credentials of a running topology. */
  void uploadNewCredentials(1: string name, 2: Credentials creds)
      throws (1: NotAliveException missing, 2: InvalidTopologyException invalid,
      3: AuthorizationException denied)

  // Blobs
  /** Opens an upload of a new blob and gives its session. */
  string beginCreateBlob(1: string key, 2: SettableBlobMeta meta)
      throws (1: AuthorizationException denied, 2: KeyAlreadyExistsException key_exists)
  /** Opens an upload of new content and gives its session. */
  string beginUpdateBlob(1: string key) throws (1: AuthorizationException denied,
      2: KeyNotFoundException no_key)
  /** Adds bytes to an upload. */
  void uploadBlobChunk(1: string session, 2: binary chunk) throws (1: AuthorizationException denied)
  /** Makes an upload visible. */
  void finishBlobUpload(1: string session) throws (1: AuthorizationException denied)
  /** Drops an upload. */
  void cancelBlobUpload(1: string session) throws (1: AuthorizationException denied)
  /** What is known about a blob. */
  ReadableBlobMeta getBlobMeta(1: string key) throws (1: AuthorizationException denied,
      2: KeyNotFoundException no_key)
  /** Changes access and replication of a blob. */
  void setBlobMeta(1: string key, 2: SettableBlobMeta meta)
      throws (1: AuthorizationException denied, 2: KeyNotFoundException no_key)
  /** Opens a download. */
  BeginDownloadResult beginBlobDownload(1: string key) throws (1: AuthorizationException denied,
      2: KeyNotFoundException no_key)
  /** The next bytes of a download; empty at its end. */
  binary downloadBlobChunk(1: string session) throws (1: AuthorizationException denied)
  /** Removes a blob that no topology uses. */
  void deleteBlob(1: string key) throws (1: AuthorizationException denied,
      2: KeyNotFoundException no_key, 3: IllegalStateException state)
  /** Keys, some at a time; an empty session starts from the first. */
  ListBlobsResult listBlobs(1: string session)
  /** How many copies there are. */
  i32 getBlobReplication(1: string key) throws (1: AuthorizationException denied,
      2: KeyNotFoundException no_key)
  /** Changes how many copies there shall be. */
  i32 updateBlobReplication(1: string key, 2: i32 replication)
      throws (1: AuthorizationException denied, 2: KeyNotFoundException no_key)
  /** Makes a blob known to the other Nimbus hosts. */
  void createStateInZookeeper(1: string key)

  // Files, by a location that Nimbus names
  /** Opens an upload of a jar and gives its location. */
  string beginFileUpload() throws (1: AuthorizationException denied)
  /** Adds bytes to an upload. */
  void uploadChunk(1: string location, 2: binary chunk) throws (1: AuthorizationException denied)
  /** Ends an upload. */
  void finishFileUpload(1: string location) throws (1: AuthorizationException denied)
  /** Opens a download and gives its id. Gone since Storm 2.0; older peers call it. */
  string beginFileDownload(1: string file) throws (1: AuthorizationException denied)
  /** The next bytes of a download; empty at its end. */
  binary downloadChunk(1: string id) throws (1: AuthorizationException denied)

  // Questions
  /** Configuration of this Nimbus, a JSON object. */
  string getNimbusConf() throws (1: AuthorizationException denied)
  /** Supervisors, topologies and Nimbus hosts. */
  ClusterSummary getClusterInfo() throws (1: AuthorizationException denied)
  /** All topologies. */
  list<TopologySummary> getTopologySummaries() throws (1: AuthorizationException denied)
  /** One topology. */
  TopologySummary getTopologySummaryByName(1: string name) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** One topology. */
  TopologySummary getTopologySummary(1: string id) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** The Nimbus that commands go to. */
  NimbusSummary getLeader() throws (1: AuthorizationException denied)
  /** Whether a topology of that name could be submitted now. */
  bool isTopologyNameAllowed(1: string name) throws (1: AuthorizationException denied)
  /** A topology with its executors and all errors. */
  TopologyInfo getTopologyInfoByName(1: string name) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** A topology with its executors and all errors. */
  TopologyInfo getTopologyInfo(1: string id) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** A topology with its executors and as many errors as asked for. */
  TopologyInfo getTopologyInfoByNameWithOpts(1: string name, 2: GetInfoOptions options)
      throws (1: NotAliveException missing, 2: AuthorizationException denied)
  /** A topology with its executors and as many errors as asked for. */
  TopologyInfo getTopologyInfoWithOpts(1: string id, 2: GetInfoOptions options)
      throws (1: NotAliveException missing, 2: AuthorizationException denied)
  /** Sums over a topology for one window. */
  TopologyPageInfo getTopologyPageInfo(1: string id, 2: string window, 3: bool is_include_sys)
      throws (1: NotAliveException missing, 2: AuthorizationException denied)
  /** Workers of a supervisor, or of all on a host. */
  SupervisorPageInfo getSupervisorPageInfo(1: string id, 2: string host, 3: bool is_include_sys)
      throws (1: NotAliveException missing, 2: AuthorizationException denied)
  /** Sums over a component for one window. */
  ComponentPageInfo getComponentPageInfo(1: string topology_id, 2: string component_id,
      3: string window, 4: bool is_include_sys) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** Configuration of a topology, a JSON object. */
  string getTopologyConf(1: string id) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** The topology as it runs, with ackers and system streams. */
  StormTopology getTopology(1: string id) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** The topology as it was submitted. */
  StormTopology getUserTopology(1: string id) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** Ids of topologies that a user may see or has had. */
  TopologyHistoryInfo getTopologyHistory(1: string user) throws (1: AuthorizationException denied)
  /** Resources by owner; without an owner, of all. */
  list<OwnerResourceSummary> getOwnerResourceSummaries(1: string owner)
      throws (1: AuthorizationException denied)

  // Calls of supervisors and workers
  /** Assignments that concern a supervisor. */
  SupervisorAssignments getSupervisorAssignments(1: string node)
      throws (1: AuthorizationException denied)
  /** Heartbeats of the workers of a supervisor. */
  void sendSupervisorWorkerHeartbeats(1: SupervisorWorkerHeartbeats heartbeats)
      throws (1: AuthorizationException denied)
  /** Heartbeat of one worker. The name of its argument is spelled as in Storm. */
  void sendSupervisorWorkerHeartbeat(1: SupervisorWorkerHeartbeat heatbeat)
      throws (1: AuthorizationException denied, 2: NotAliveException missing)
  /** Takes values of metrics. */
  void processWorkerMetrics(1: WorkerMetrics metrics)
  /** Whether this Nimbus has a blob. */
  bool isRemoteBlobExists(1: string blobKey) throws (1: AuthorizationException denied)
}

/** A supervisor, for Nimbus and for the workers on its node. */
service Supervisor {
  /** Tells a supervisor what to run. */
  void sendSupervisorAssignments(1: SupervisorAssignments assignments)
      throws (1: AuthorizationException denied)
  /** The assignment of a topology, for its workers here. */
  Assignment getLocalAssignmentForStorm(1: string id) throws (1: NotAliveException missing,
      2: AuthorizationException denied)
  /** Heartbeat of a worker on this node. */
  void sendSupervisorWorkerHeartbeat(1: SupervisorWorkerHeartbeat heartbeat)
      throws (1: AuthorizationException denied)
}

/** Calls that topologies answer, for clients. */
service DistributedRPC {
  /** Calls a function and waits for its result. */
  string execute(1: string functionName, 2: string funcArgs)
      throws (1: DRPCExecutionException failed, 2: AuthorizationException denied)
}

/** Calls that topologies answer, for the spouts and bolts that answer them. */
service DistributedRPCInvocations {
  /** Answers a call. */
  void result(1: string id, 2: string result) throws (1: AuthorizationException denied)
  /** Takes a call that waits. */
  DRPCRequest fetchRequest(1: string functionName) throws (1: AuthorizationException denied)
  /** Ends a call without a result. */
  void failRequest(1: string id) throws (1: AuthorizationException denied)
  /** Ends a call without a result and says why. */
  void failRequestV2(1: string id, 2: DRPCExecutionException e)
      throws (1: AuthorizationException denied)
}
