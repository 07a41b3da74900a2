/*
 * A client of Storm 0.9.0 to 0.9.2: no authorisation, one Nimbus whose uptime every ClusterSummary
 * has, code fetched file by file. Only what differs from later generations, and what that needs.
 */

include "same.thrift"

struct StormTopology {
  1: required map<string, same.SpoutSpec> spouts
  2: required map<string, same.Bolt> bolts
  3: required map<string, same.StateSpoutSpec> state_spouts
}

struct TopologySummary {
  1: required string id
  2: required string name
  3: required i32 num_tasks
  4: required i32 num_executors
  5: required i32 num_workers
  6: required i32 uptime_secs
  7: required string status
}

struct SupervisorSummary {
  1: required string host
  2: required i32 uptime_secs
  3: required i32 num_workers
  4: required i32 num_used_workers
  5: required string supervisor_id
}

struct ClusterSummary {
  1: required list<SupervisorSummary> supervisors
  // Gone since 2.0, and still every peer of this generation refuses a reply without it.
  2: required i32 nimbus_uptime_secs
  3: required list<TopologySummary> topologies
}

struct ErrorInfo {
  1: required string error
  2: required i32 error_time_secs
}

struct ExecutorStats {
  1: required map<string, map<string, i64>> emitted
  2: required map<string, map<string, i64>> transferred
  3: required same.ExecutorSpecificStats specific
}

struct ExecutorSummary {
  1: required same.ExecutorInfo executor_info
  2: required string component_id
  3: required string host
  4: required i32 port
  5: required i32 uptime_secs
  7: optional ExecutorStats stats
}

struct TopologyInfo {
  1: required string id
  2: required string name
  3: required i32 uptime_secs
  4: required list<ExecutorSummary> executors
  5: required string status
  6: required map<string, list<ErrorInfo>> errors
}

struct RebalanceOptions {
  1: optional i32 wait_secs
  2: optional i32 num_workers
  3: optional map<string, i32> num_executors
}

struct SubmitOptions {
  1: required same.TopologyInitialStatus initial_status
}

service Nimbus {
  void submitTopology(1: string name, 2: string uploadedJarLocation, 3: string jsonConf,
      4: StormTopology topology)
      throws (1: same.AlreadyAliveException e, 2: same.InvalidTopologyException ite)

  void submitTopologyWithOpts(1: string name, 2: string uploadedJarLocation, 3: string jsonConf,
      4: StormTopology topology, 5: SubmitOptions options)
      throws (1: same.AlreadyAliveException e, 2: same.InvalidTopologyException ite)

  void killTopology(1: string name) throws (1: same.NotAliveException e)

  void killTopologyWithOpts(1: string name, 2: same.KillOptions options)
      throws (1: same.NotAliveException e)

  void activate(1: string name) throws (1: same.NotAliveException e)

  void deactivate(1: string name) throws (1: same.NotAliveException e)

  void rebalance(1: string name, 2: RebalanceOptions options)
      throws (1: same.NotAliveException e, 2: same.InvalidTopologyException ite)

  string beginFileUpload()

  void uploadChunk(1: string location, 2: binary chunk)

  void finishFileUpload(1: string location)

  string beginFileDownload(1: string file)

  binary downloadChunk(1: string id)

  string getNimbusConf()

  ClusterSummary getClusterInfo()

  TopologyInfo getTopologyInfo(1: string id) throws (1: same.NotAliveException e)

  string getTopologyConf(1: string id) throws (1: same.NotAliveException e)

  StormTopology getTopology(1: string id) throws (1: same.NotAliveException e)

  StormTopology getUserTopology(1: string id) throws (1: same.NotAliveException e)
}

// No type of failure, one way to fail.
exception DRPCExecutionException {
  1: required string msg
}

service DistributedRPC {
  string execute(1: string functionName, 2: string funcArgs)
      throws (1: DRPCExecutionException e)
}

service DistributedRPCInvocations {
  void result(1: string id, 2: string result)

  same.DRPCRequest fetchRequest(1: string functionName)

  void failRequest(1: string id)
}
