//! Each page's keys against control-plane 11.2 and 11.3, none missing and none beside them; and the
//! forms of their values.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::component::Besides;
use super::topology::View;
use super::*;
use crate::stats::aggregate::SystemParts;
use crate::wire::messages::TaskMetric;
use crate::wire::storm::{
    BoltAggregateStats, BoltStats, ClusterSummary, CommonAggregateStats, ComponentAggregateStats,
    ComponentCommon, ComponentPageInfo, ComponentType, DebugOptions, ErrorInfo,
    ExecutorAggregateStats, ExecutorInfo, ExecutorSpecificStats, ExecutorStats, ExecutorSummary,
    GlobalStreamId, Grouping, LogConfig, LogLevel, NimbusSummary, NodeInfo, NullStruct,
    OwnerResourceSummary, ProfileAction, ProfileRequest, SpecificAggregateStats,
    SpoutAggregateStats, SpoutSpec, StormTopology, SupervisorPageInfo, SupervisorSummary,
    TopologyInfo, TopologyPageInfo, TopologyStats, TopologySummary, WorkerSummary,
};

fn site() -> Site {
    let conf = Conf::defaults()
        .with(keys::NIMBUS_SEEDS, vec!["localhost", "n1", "n2"])
        .with(keys::UI_PROJECT_BUGTRACKER_URL, "http://bugs");
    Site::new(&conf, DaemonLogs::OfEach).expect("a conf")
}

fn view() -> View<'static> {
    View {
        user: Some("alice"),
        window: "600",
        now_secs: 1000,
    }
}

/// That an object has these keys and no others.
#[track_caller]
fn has(value: &Value, keys: &str) {
    let found: BTreeSet<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let wanted: BTreeSet<&str> = keys.split_whitespace().collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    let beside: Vec<_> = found.difference(&wanted).collect();
    assert!(
        missing.is_empty() && beside.is_empty(),
        "missing {missing:?}, beside them {beside:?}"
    );
}

fn resources(entries: &[(&str, f64)]) -> Option<BTreeMap<String, f64>> {
    let entries = entries.iter();
    Some(
        entries
            .map(|(name, amount)| ((*name).to_owned(), *amount))
            .collect(),
    )
}

fn supervisor() -> SupervisorSummary {
    SupervisorSummary {
        host: "h1".to_owned(),
        uptime_secs: 90_061,
        num_workers: 4,
        num_used_workers: 1,
        supervisor_id: "s1".to_owned(),
        version: Some("3.0.0".to_owned()),
        total_resources: resources(&[(MEMORY, 4096.0), (CPU, 400.0), ("gpu", 2.0)]),
        used_mem: Some(1024.0),
        used_cpu: Some(50.0),
        used_generic_resources: resources(&[("gpu", 1.0)]),
        ..SupervisorSummary::default()
    }
}

fn summary() -> TopologySummary {
    TopologySummary {
        id: "two words-1-1".to_owned(),
        name: "two words".to_owned(),
        num_tasks: 7,
        num_executors: 6,
        num_workers: 1,
        uptime_secs: 61,
        status: "ACTIVE".to_owned(),
        owner: Some("alice".to_owned()),
        requested_memonheap: Some(128.0),
        requested_memoffheap: Some(1.0),
        ..TopologySummary::default()
    }
}

fn worker() -> WorkerSummary {
    WorkerSummary {
        host: Some("h1".to_owned()),
        port: Some(6700),
        topology_id: Some("two words-1-1".to_owned()),
        component_to_num_tasks: Some([("split".to_owned(), 2)].into()),
        uptime_secs: Some(3600),
        ..WorkerSummary::default()
    }
}

fn failure(text: &str, secs: i32) -> ErrorInfo {
    ErrorInfo {
        error: text.to_owned(),
        error_time_secs: secs,
        host: Some("h1".to_owned()),
        port: Some(6700),
    }
}

fn common() -> CommonAggregateStats {
    CommonAggregateStats {
        num_executors: Some(2),
        num_tasks: Some(3),
        emitted: Some(40),
        transferred: Some(50),
        acked: Some(30),
        failed: Some(1),
        resources_map: resources(&[(ON_HEAP, 128.0), (OFF_HEAP, 0.0), (CPU, 10.0), ("gpu", 1.0)]),
    }
}

fn spout_stats() -> ComponentAggregateStats {
    ComponentAggregateStats {
        type_: Some(ComponentType::Spout.into()),
        common_stats: Some(common()),
        specific_stats: Some(SpecificAggregateStats::Spout(SpoutAggregateStats {
            complete_latency_ms: Some(1.0625),
        })),
        last_error: None,
    }
}

fn bolt_stats() -> ComponentAggregateStats {
    ComponentAggregateStats {
        type_: Some(ComponentType::Bolt.into()),
        common_stats: Some(common()),
        specific_stats: Some(SpecificAggregateStats::Bolt(BoltAggregateStats {
            execute_latency_ms: Some(0.5),
            process_latency_ms: Some(12.0),
            executed: Some(30),
            capacity: Some(0.25),
        })),
        last_error: Some(failure(&"é".repeat(300), 900)),
    }
}

fn executor() -> ExecutorSummary {
    ExecutorSummary {
        executor_info: ExecutorInfo {
            task_start: 3,
            task_end: 4,
        },
        component_id: "split".to_owned(),
        host: "h1".to_owned(),
        port: 6700,
        uptime_secs: 100,
        stats: None,
    }
}

const SUPERVISOR: &str = "id host uptime uptimeSeconds blacklisted slotsTotal slotsUsed slotsFree \
    totalMem totalCpu usedMem usedCpu logLink availMem availCpu version totalGenericResources \
    usedGenericResources availGenericResources";
const WORKER: &str = "supervisorId host port topologyId topologyName executorsTotal \
    assignedMemOnHeap assignedMemOffHeap assignedCpu componentNumTasks uptime uptimeSeconds \
    workerLogLink owner";
const TOPOLOGY: &str = "id encodedId owner name status uptime uptimeSeconds tasksTotal \
    workersTotal executorsTotal replicationCount schedulerInfo requestedMemOnHeap \
    requestedMemOffHeap requestedTotalMem requestedCpu requestedGenericResources assignedMemOnHeap \
    assignedMemOffHeap assignedTotalMem assignedCpu assignedGenericResources topologyVersion \
    stormVersion";
const OWNER: &str = "owner totalTopologies totalExecutors totalWorkers totalTasks \
    totalMemoryUsage totalCpuUsage memoryGuarantee cpuGuarantee isolatedNodes \
    memoryGuaranteeRemaining cpuGuaranteeRemaining totalReqOnHeapMem totalReqOffHeapMem \
    totalReqMem totalReqCpu totalAssignedOnHeapMem totalAssignedOffHeapMem";

#[test]
fn the_cluster() {
    let cluster = ClusterSummary {
        supervisors: vec![supervisor(), supervisor()],
        nimbus_uptime_secs: 59,
        topologies: vec![summary()],
        nimbuses: Vec::new(),
    };
    let page = cluster::summary(&cluster, None, &site());
    has(
        &page,
        "user stormVersion stormVersionInfo nimbusUptime supervisors topologies slotsTotal \
         slotsUsed slotsFree executorsTotal tasksTotal schedulerDisplayResource totalMem totalCpu \
         availMem availCpu fragmentedMem fragmentedCpu memAssignedPercentUtil \
         cpuAssignedPercentUtil totalGenerics availGenerics bugtracker-url central-log-url",
    );
    has(
        &page["stormVersionInfo"],
        "version revision branch date srcChecksum",
    );
    assert_eq!(page["memAssignedPercentUtil"], "25.000");
    assert_eq!(
        (&page["slotsFree"], &page["availMem"]),
        (&json!(6), &json!(6144.0))
    );
    assert_eq!(page["totalGenerics"], "gpu=4.0");
    assert_eq!(page["availGenerics"], "gpu=2.0");
    assert_eq!(
        (&page["user"], &page["bugtracker-url"]),
        (&Value::Null, &json!("http://bugs"))
    );
    let empty = cluster::summary(&ClusterSummary::default(), Some("alice"), &site());
    assert_eq!(empty["cpuAssignedPercentUtil"], "0.0");
    assert_eq!(
        (&empty["user"], &empty["totalMem"]),
        (&json!("alice"), &json!(0.0))
    );
}

#[test]
fn each_nimbus_and_the_seeds_that_do_not_run() {
    let nimbus = NimbusSummary {
        host: "n1".to_owned(),
        port: 6627,
        uptime_secs: 3661,
        is_leader: true,
        version: "3.0.0".to_owned(),
        tls_port: None,
    };
    let cluster = ClusterSummary {
        nimbuses: vec![nimbus],
        ..ClusterSummary::default()
    };
    let page = nimbus::summary(&cluster, &site());
    has(&page, "nimbuses");
    let rows = page["nimbuses"].as_array().expect("a list");
    for row in rows {
        has(
            row,
            "host port status version nimbusUpTimeSeconds nimbusUpTime nimbusLogLink",
        );
    }
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["nimbusUpTime"], "1h 1m 1s");
    assert_eq!(
        (&rows[0]["status"], &rows[1]["status"]),
        (&json!("Leader"), &json!("Offline"))
    );
    assert_eq!(rows[1]["nimbusUpTime"], "Not applicable");
    let link = "http://n2:8000/api/v1/daemonlog?file=nimbus.log";
    assert_eq!(rows[1]["nimbusLogLink"], link);
}

#[test]
fn owners() {
    let owner = OwnerResourceSummary {
        owner: "alice".to_owned(),
        total_topologies: Some(1),
        cpu_guarantee: Some(200.0),
        ..OwnerResourceSummary::default()
    };
    let page = owners::all(std::slice::from_ref(&owner), &site());
    has(&page, "schedulerDisplayResource owners");
    has(&page["owners"][0], OWNER);
    let row = &page["owners"][0];
    assert_eq!(
        (&row["memoryGuarantee"], &row["cpuGuarantee"]),
        (&json!("N/A"), &json!(200.0))
    );
    let others = TopologySummary::default();
    let page = owners::one(&owner, &[summary(), others], &site());
    has(
        &page,
        &format!("{OWNER} schedulerDisplayResource topologies"),
    );
    assert_eq!(page["topologies"].as_array().map(Vec::len), Some(1));
    has(&page["topologies"][0], TOPOLOGY);
}

#[test]
fn supervisors_and_their_workers() {
    let all = supervisors::summary(&[supervisor()], &site());
    has(
        &all,
        "supervisors schedulerDisplayResource logviewerPort logviewerScheme",
    );
    let row = &all["supervisors"][0];
    has(row, SUPERVISOR);
    assert_eq!(row["uptime"], "1d 1h 1m 1s");
    assert_eq!(
        (&row["slotsFree"], &row["availCpu"]),
        (&json!(3), &json!(350.0))
    );
    assert_eq!(row["availGenericResources"], "gpu=1.0");
    let info = SupervisorPageInfo {
        supervisor_summaries: Some(vec![supervisor()]),
        worker_summaries: Some(vec![worker()]),
    };
    let page = supervisors::page(&info, &site());
    has(
        &page,
        "supervisors workers schedulerDisplayResource logviewerPort logviewerScheme",
    );
    has(&page["workers"][0], WORKER);
    let link = "http://h1:8000/api/v1/log?file=two+words-1-1%2F6700%2Fworker.log";
    assert_eq!(page["workers"][0]["workerLogLink"], link);
    let none = supervisors::page(&SupervisorPageInfo::default(), &site());
    assert_eq!(
        (&none["workers"], &none["supervisors"]),
        (&json!([]), &json!([]))
    );
}

#[test]
fn topologies() {
    let page = super::topologies::summary(&[summary()], &site());
    has(&page, "topologies schedulerDisplayResource");
    let row = &page["topologies"][0];
    has(row, TOPOLOGY);
    assert_eq!(
        (&row["encodedId"], &row["uptime"]),
        (&json!("two+words-1-1"), &json!("1m 1s"))
    );
    assert_eq!(row["requestedTotalMem"], 129.0);
    let info = TopologyInfo {
        executors: vec![executor(), executor()],
        ..TopologyInfo::default()
    };
    let page = super::topologies::workers(&info, &site());
    has(&page, "hostPortList logviewerPort logviewerScheme");
    assert_eq!(page["hostPortList"], json!([{"host": "h1", "port": 6700}]));
}

fn topology_info() -> TopologyPageInfo {
    let windows = |value: i64| Some([("600".to_owned(), value)].into());
    TopologyPageInfo {
        id: "two words-1-1".to_owned(),
        topology_conf: Some(r#"{"topology.message.timeout.secs":30}"#.to_owned()),
        id_to_spout_agg_stats: Some([("s".to_owned(), spout_stats())].into()),
        id_to_bolt_agg_stats: Some([("a b".to_owned(), bolt_stats())].into()),
        topology_stats: Some(TopologyStats {
            window_to_emitted: windows(5),
            window_to_transferred: windows(6),
            window_to_complete_latencies_ms: None,
            window_to_acked: windows(4),
            window_to_failed: None,
        }),
        workers: Some(vec![worker()]),
        ..TopologyPageInfo::default()
    }
}

#[test]
fn a_topology() {
    let page = topology::page(&topology_info(), view(), &site());
    let own = "configuration topologyStats spouts bolts workers debug samplingPct user window \
        windowHint msgTimeout visualizationTable bugtracker-url central-log-url \
        schedulerDisplayResource requestedRegularOnHeapMem requestedSharedOnHeapMem \
        requestedRegularOffHeapMem requestedSharedOffHeapMem assignedRegularOnHeapMem \
        assignedSharedOnHeapMem assignedRegularOffHeapMem assignedSharedOffHeapMem";
    has(&page, &format!("{TOPOLOGY} {own}"));
    has(
        &page["topologyStats"][0],
        "windowPretty window emitted transferred completeLatency acked failed",
    );
    let row = "executors tasks emitted transferred acked failed requestedMemOnHeap \
        requestedMemOffHeap requestedCpu requestedGenericResourcesComp lastError errorHost \
        errorPort errorWorkerLogLink errorTime errorLapsedSecs";
    has(
        &page["spouts"][0],
        &format!("{row} spoutId encodedSpoutId completeLatency"),
    );
    has(
        &page["bolts"][0],
        &format!("{row} boltId encodedBoltId capacity executeLatency executed processLatency"),
    );
    has(&page["workers"][0], WORKER);
    assert_eq!(
        (&page["windowHint"], &page["msgTimeout"]),
        (&json!("10m 0s"), &json!(30))
    );
    assert_eq!(
        (&page["debug"], &page["samplingPct"]),
        (&json!(false), &json!(10.0))
    );
    assert_eq!(page["topologyStats"][0]["completeLatency"], "0");
    let (spout, bolt) = (&page["spouts"][0], &page["bolts"][0]);
    assert_eq!(
        (&spout["completeLatency"], &spout["errorTime"]),
        (&json!("1.063"), &Value::Null)
    );
    assert_eq!(
        (&bolt["capacity"], &bolt["encodedBoltId"]),
        (&json!("0.250"), &json!("a+b"))
    );
    assert_eq!(
        bolt["lastError"].as_str().map(|text| text.chars().count()),
        Some(200)
    );
    assert_eq!(
        (&bolt["errorLapsedSecs"], &bolt["errorPort"]),
        (&json!(100), &json!(6700))
    );
    let empty = topology::page(&TopologyPageInfo::default(), view(), &site());
    assert_eq!(
        (&empty["spouts"], &empty["bolts"]),
        (&json!([]), &json!([]))
    );
}

const COMPONENT: &str = "user id encodedId name executors tasks requestedMemOnHeap \
    requestedMemOffHeap requestedCpu requestedGenericResources schedulerDisplayResource topologyId \
    encodedTopologyId topologyStatus window windowHint componentType debug samplingPct \
    profilingAndDebuggingCapable profileActionEnabled profilerActive componentErrors \
    executorStats outputStats stormwire";

fn besides(profiles: &[ProfileRequest]) -> Besides<'_> {
    Besides {
        may_profile: true,
        profiles,
        now_ms: 10_000,
        metrics: &[],
    }
}

fn component_info(kind: ComponentType, stats: ComponentAggregateStats) -> ComponentPageInfo {
    let source = GlobalStreamId {
        component_id: "s".to_owned(),
        stream_id: "default".to_owned(),
    };
    ComponentPageInfo {
        component_id: "c/1".to_owned(),
        component_type: kind.into(),
        window_to_stats: Some([(ALL_TIME.to_owned(), stats.clone())].into()),
        gsid_to_input_stats: Some([(source, stats.clone())].into()),
        sid_to_output_stats: Some([("default".to_owned(), stats.clone())].into()),
        exec_stats: Some(vec![ExecutorAggregateStats {
            exec_summary: Some(executor()),
            stats: Some(stats),
        }]),
        errors: Some(vec![failure("second", 20), failure("first", 10)]),
        debug_options: Some(DebugOptions {
            enable: Some(false),
            samplingpct: Some(33.0),
        }),
        ..ComponentPageInfo::default()
    }
}

#[test]
fn a_spout() {
    let info = component_info(ComponentType::Spout, spout_stats());
    let request = ProfileRequest {
        node_info: NodeInfo {
            node: "h1".to_owned(),
            port: [6700].into(),
        },
        action: ProfileAction::JprofileStop.into(),
        time_stamp: Some(4000),
    };
    let running = [request];
    let page = component::page(("t 1", &info), besides(&running), view(), &site());
    has(&page, &format!("{COMPONENT} spoutSummary"));
    has(
        &page["spoutSummary"][0],
        "window windowPretty emitted transferred acked failed completeLatency lastError",
    );
    has(
        &page["outputStats"][0],
        "stream emitted transferred completeLatency acked failed",
    );
    let executor = "id encodedId uptime uptimeSeconds host port emitted transferred acked failed \
        workerLogLink completeLatency";
    has(&page["executorStats"][0], executor);
    has(&page["profilerActive"][0], "host port dumplink timestamp");
    assert_eq!(
        page["spoutSummary"][0]["completeLatency"], 1.0625,
        "a number here"
    );
    assert_eq!(page["outputStats"][0]["completeLatency"], "1.063");
    assert_eq!(page["profilerActive"][0]["timestamp"], 6000);
    let link = "http://h1:8000/api/v1/dumps/t%201/h1%3A6700";
    assert_eq!(page["profilerActive"][0]["dumplink"], link);
    assert_eq!(
        (&page["id"], &page["encodedId"]),
        (&json!("c/1"), &json!("c%2F1"))
    );
    assert_eq!(page["samplingPct"], 33.0);
}

#[test]
fn a_bolt() {
    let mut info = component_info(ComponentType::Bolt, bolt_stats());
    info.eventlog_host = Some("h1".to_owned());
    info.eventlog_port = Some(6701);
    let page = component::page(("t", &info), besides(&[]), view(), &site());
    has(
        &page,
        &format!("{COMPONENT} boltStats inputStats eventLogLink"),
    );
    has(
        &page["boltStats"][0],
        "window windowPretty emitted transferred executeLatency executed processLatency acked \
         failed capacity",
    );
    has(
        &page["inputStats"][0],
        "component encodedComponentId stream executeLatency processLatency executed acked failed",
    );
    has(&page["outputStats"][0], "stream emitted transferred");
    let executor = "id encodedId uptime uptimeSeconds host port emitted transferred acked failed \
        workerLogLink capacity executeLatency executed processLatency";
    has(&page["executorStats"][0], executor);
    has(
        &page["componentErrors"][0],
        "errorTime errorHost errorPort errorWorkerLogLink errorLapsedSecs error",
    );
    assert_eq!(
        (&page["executorStats"][0]["id"], &page["componentType"]),
        (&json!("[3-4]"), &json!("bolt"))
    );
    assert_eq!(page["componentErrors"][0]["error"], "first");
    let link = "http://h1:8000/api/v1/log?file=t%2F6701%2Fevents.log";
    assert_eq!(page["eventLogLink"], link);
    let metric = |name: &str, task, value| TaskMetric {
        component: "c/1".to_owned(),
        task,
        name: name.to_owned(),
        value,
    };
    let metrics = [
        metric("queue", 4, 2.5),
        metric("odd", 4, f64::NAN),
        metric("queue", 3, 1.0),
    ];
    let besides_metrics = Besides {
        metrics: &metrics,
        ..besides(&[])
    };
    let page = component::page(("t", &info), besides_metrics, view(), &site());
    let shown = json!({"taskMetrics": [
        {"name": "odd", "task": 4, "value": null},
        {"name": "queue", "task": 3, "value": 1.0},
        {"name": "queue", "task": 4, "value": 2.5},
    ]});
    assert_eq!(page["stormwire"], shown);
    let empty = ComponentPageInfo::default();
    let page = component::page(("t", &empty), besides(&[]), view(), &site());
    assert_eq!(
        (&page["requestedCpu"], &page["samplingPct"]),
        (&Value::Null, &json!(10.0))
    );
}

/// A spout without executors, and a bolt whose executor sent and acked.
fn drawn() -> (TopologyInfo, StormTopology) {
    let source = GlobalStreamId {
        component_id: "s".to_owned(),
        stream_id: "1-st.X".to_owned(),
    };
    let unmeasured = GlobalStreamId {
        component_id: "__acker".to_owned(),
        ..source.clone()
    };
    let window = || "600".to_owned();
    let streams = BTreeMap::from([("1-st.X".to_owned(), 8), ("__ack_ack".to_owned(), 9)]);
    let stats = ExecutorStats {
        transferred: [(window(), streams)].into(),
        specific: ExecutorSpecificStats::Bolt(BoltStats {
            executed: [(window(), [(source.clone(), 10)].into())].into(),
            acked: [(window(), [(source.clone(), 6), (unmeasured, 2)].into())].into(),
            process_ms_avg: [(window(), [(source.clone(), 2.0)].into())].into(),
            execute_ms_avg: [(window(), [(source.clone(), 3.0)].into())].into(),
            ..BoltStats::default()
        }),
        ..ExecutorStats::default()
    };
    let info = TopologyInfo {
        id: "t-1-1".to_owned(),
        executors: vec![ExecutorSummary {
            stats: Some(stats),
            ..executor()
        }],
        ..TopologyInfo::default()
    };
    let inputs = [(source, Grouping::Shuffle(NullStruct::default()))];
    let bolt = crate::wire::storm::Bolt {
        common: ComponentCommon {
            inputs: inputs.into(),
            ..ComponentCommon::default()
        },
        ..crate::wire::storm::Bolt::default()
    };
    let topology = StormTopology {
        spouts: [("s".to_owned(), SpoutSpec::default())].into(),
        bolts: [("split".to_owned(), bolt)].into(),
        ..StormTopology::default()
    };
    (info, topology)
}

#[test]
fn a_drawing() {
    let (info, topology) = drawn();
    let view = visualization::View {
        window: "600",
        system: SystemParts::Hidden,
    };
    let page = visualization::page(&info, &topology, view);
    has(&page, "split");
    let drawn = &page["split"];
    has(
        drawn,
        ":type :capacity :latency :transferred :stats :link :inputs",
    );
    has(&drawn[":stats"][0], ":host :port :uptime_secs :transferred");
    has(
        &drawn[":inputs"][0],
        ":component :stream :sani-stream :grouping",
    );
    // One number for all streams, as a running Storm UI was seen to answer.
    assert_eq!(drawn[":transferred"], 8);
    assert_eq!(
        drawn[":stats"][0][":transferred"],
        json!({"600": {"_s_-st.X": 8}})
    );
    assert_eq!(drawn[":capacity"], 30.0 / 100_000.0);
    // By what was acked.
    assert_eq!(drawn[":latency"], 1.5);
    assert_eq!(drawn[":inputs"][0][":sani-stream"], "_s_-st.X");
    let all = visualization::View {
        window: "600",
        system: SystemParts::Shown,
    };
    let drawn = &visualization::page(&info, &topology, all)["split"];
    assert_eq!(drawn[":transferred"], 17);
    assert_eq!(
        drawn[":stats"][0][":transferred"],
        json!({"600": {"_s_-st.X": 8, "_s__ack_ack": 9}})
    );
    let never = visualization::View {
        window: "77",
        ..view
    };
    let drawn = &visualization::page(&info, &topology, never)["split"];
    assert_eq!(drawn[":transferred"], Value::Null);
    assert_eq!(drawn[":latency"], Value::Null);
    let table = visualization::streams(&topology, view);
    has(&table, "visualizationTable");
    let row = json!([[{"stream": "1-st.X", "sani-stream": "_s_-st.X", "checked": true}]]);
    assert_eq!(table["visualizationTable"], row);
}

#[test]
fn streams_are_named_in_drawings_as_by_storm() {
    let view = visualization::View {
        window: "600",
        system: SystemParts::Hidden,
    };
    for (stream, name) in [
        ("a:b", "a:b"),
        ("a b/c", "a_b_c"),
        ("1-st.X", "_s_-st.X"),
        ("\u{e9}t\u{e9}", "_s_t_"),
    ] {
        let (_, mut topology) = drawn();
        for bolt in topology.bolts.values_mut() {
            let inputs = std::mem::take(&mut bolt.common.inputs).into_iter();
            let inputs = inputs.map(|(source, grouping)| {
                let stream_id = stream.to_owned();
                let source = GlobalStreamId {
                    stream_id,
                    ..source
                };
                (source, grouping)
            });
            bolt.common.inputs = inputs.collect();
        }
        let table = visualization::streams(&topology, view);
        let shown = &table["visualizationTable"][0][0]["sani-stream"];
        assert_eq!(shown, name, "{stream}");
    }
}

#[test]
fn levels_of_loggers() {
    let level = LogLevel {
        target_log_level: Some("DEBUG".to_owned()),
        ..LogLevel::default()
    };
    let config = LogConfig {
        named_logger_level: Some([("com.x".to_owned(), level)].into()),
    };
    let page = log_config::page(&config);
    has(&page, "namedLoggerLevels");
    has(
        &page["namedLoggerLevels"]["com.x"],
        "target_level reset_level timeout timeout_epoch",
    );
    let body = br#"{"namedLoggerLevels":{
        "a":{"target_level":"debug","reset_level":"INFO","timeout":60},
        "b":{"target_level":null,"timeout":0}, "c":{"target_level":"loud","timeout":1}}}"#;
    let read = log_config::read(body).expect("a good body");
    let targets: Vec<_> = read
        .values()
        .map(|level| level.target_log_level.as_deref())
        .collect();
    assert_eq!(targets, [Some("DEBUG"), None, Some("DEBUG")]);
    assert_eq!(read["a"].reset_log_level_timeout_secs, Some(60));
    for bad in [
        &b""[..],
        b"[]",
        b"{}",
        br#"{"namedLoggerLevels":[]}"#,
        br#"{"namedLoggerLevels":{"a":{"target_level":5}}}"#,
        br#"{"namedLoggerLevels":{"a":{"target_level":"INFO","timeout":99999999999}}}"#,
    ] {
        assert!(log_config::read(bad).is_err());
    }
}

#[test]
fn forms_of_values() {
    for (secs, text) in [
        (0, ""),
        (59, "59s"),
        (60, "1m 0s"),
        (86_400, "1d 0h 0m 0s"),
        (-5, ""),
    ] {
        assert_eq!(uptime(secs), text);
    }
    for (window, text) in [(":all-time", "All time"), ("10800", "3h 0m 0s"), ("x", "x")] {
        assert_eq!(hint(window), text);
    }
    for (value, text) in [
        (0.0, "0.000"),
        (0.0005, "0.001"),
        (1.0625, "1.063"),
        (2.9999, "3.000"),
        (-0.0125, "-0.013"),
        (1234.5, "1234.500"),
        (1e-9, "0.000"),
    ] {
        assert_eq!(decimals(Some(value)), text, "{value}");
    }
    assert_eq!(decimals(None), "0");
    assert_eq!(generic(None), Value::Null);
    assert_eq!(
        generic(resources(&[("b", 1.0), ("a", 0.5), (CPU, 3.0)]).as_ref()),
        "a=0.5 b=1.0"
    );
}
