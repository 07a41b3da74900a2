//! Sums against Storm's, to the last digit; and what the vectors do not have.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::id::TaskId;
use crate::testing::fixtures::{self, Tally};
use crate::testing::replay::difference;
use crate::wire;
use crate::wire::storm::{BoltStats, ErrorInfo, ExecutorSpecificStats, SpoutStats, TopologyStats};

/// An executor of a vector that sent a heartbeat.
struct Reported {
    executor: ExecutorId,
    component: String,
    host: String,
    port: i32,
    uptime_secs: i32,
    stats: ExecutorStats,
}

impl Reported {
    fn all(line: &Json) -> Vec<Reported> {
        let executors = line["executors"].as_array().unwrap().iter();
        executors.filter_map(Reported::new).collect()
    }

    fn new(json: &Json) -> Option<Reported> {
        let stats = fixtures::base64(json.get("stats_thrift_b64")?.as_str().unwrap());
        let number = |json: &Json| i32::try_from(json.as_i64().unwrap()).unwrap();
        let task = |at: usize| TaskId(number(&json["executor"][at]));
        Some(Reported {
            executor: ExecutorId::new(task(0), task(1)),
            component: json["component"].as_str().unwrap().to_owned(),
            host: json["host"].as_str().unwrap().to_owned(),
            port: number(&json["port"]),
            uptime_secs: number(&json["uptime_secs"]),
            stats: wire::from_bytes(&stats).expect("statistics"),
        })
    }

    fn beat(&self) -> Beat<'_> {
        Beat {
            executor: self.executor,
            component: &self.component,
            host: &self.host,
            port: self.port,
            uptime_secs: self.uptime_secs,
            stats: &self.stats,
        }
    }
}

fn view(line: &Json) -> View<'_> {
    View {
        window: line["window"].as_str(),
        system: match line["include_sys"].as_bool().unwrap() {
            true => SystemParts::Shown,
            false => SystemParts::Hidden,
        },
    }
}

#[test]
fn topologies_add_up_as_storms_do() {
    let mut tally = Tally::new("stats/topology-page.jsonl");
    for line in fixtures::lines("stats/topology-page.jsonl") {
        let reported = Reported::all(&line);
        let sums = topology(reported.iter().map(Reported::beat), view(&line));
        let last_error = |id: &str| line.get("last_error").and_then(|errors| errors.get(id));
        let found = json!({
            "id_to_spout_agg_stats": by_name(&sums.spouts, last_error),
            "id_to_bolt_agg_stats": by_name(&sums.bolts, last_error),
            "topology_stats": totals(&sums.totals),
            "num_workers": sums.n_workers,
        });
        let mut expected = line["result"].as_object().unwrap().clone();
        // These do not follow from what was reported.
        expected.retain(|key, _| !["id", "num_tasks", "num_executors"].contains(&key.as_str()));
        let difference = difference(&Json::Object(expected), &found);
        tally.case(difference.is_none(), || format!("{difference:?}"));
    }
    tally.finish(0);
}

#[test]
fn components_add_up_as_storms_do() {
    let mut tally = Tally::new("stats/component-page.jsonl");
    for line in fixtures::lines("stats/component-page.jsonl") {
        let reported = Reported::all(&line);
        let of_component = |beat: &Beat<'_>| line["component"] == beat.component;
        let kind = match line["kind"].as_str().unwrap() {
            "spout" => ComponentType::Spout,
            _ => ComponentType::Bolt,
        };
        let beats = reported.iter().map(Reported::beat).filter(of_component);
        let sums = component(beats, kind, view(&line));
        let mut found = component_json(&sums);
        if kind == ComponentType::Spout {
            found.as_object_mut().unwrap().remove("gsid_to_input_stats");
        }
        let mut expected = line["result"].as_object().unwrap().clone();
        let of_page = ["component_id", "component_type", "topology_id"];
        expected.retain(|key, _| !of_page.contains(&key.as_str()));
        let difference = difference(&Json::Object(expected), &found);
        tally.case(difference.is_none(), || format!("{difference:?}"));
    }
    tally.finish(0);
}

fn component_json(sums: &ComponentSums) -> Json {
    let inputs = sums.inputs.iter().map(|(source, stats)| {
        let source = json!({"componentId": source.component_id, "streamId": source.stream_id});
        json!([source, aggregate(stats)])
    });
    let executors = sums.executors.iter().map(|one| {
        let summary = one.exec_summary.as_ref().unwrap();
        let info = &summary.executor_info;
        json!({
            "exec_summary": {
                "executor_info": {"task_start": info.task_start, "task_end": info.task_end},
                "component_id": summary.component_id,
                "host": summary.host,
                "port": summary.port,
                "uptime_secs": summary.uptime_secs,
            },
            "stats": aggregate(one.stats.as_ref().unwrap()),
        })
    });
    let inputs: Vec<Json> = inputs.collect();
    json!({
        "num_executors": sums.n_executors,
        "num_tasks": sums.n_tasks,
        "window_to_stats": by_name(&sums.windows, |_| None),
        // The vectors write a map without entries as any other.
        "gsid_to_input_stats": if inputs.is_empty() { json!({}) } else { json!(inputs) },
        "sid_to_output_stats": by_name(&sums.outputs, |_| None),
        "exec_stats": executors.collect::<Vec<_>>(),
    })
}

fn by_name<'a>(
    sums: &BTreeMap<String, ComponentAggregateStats>,
    last_error: impl Fn(&str) -> Option<&'a Json>,
) -> Json {
    let mut all = Map::new();
    for (id, stats) in sums {
        let mut stats = aggregate(stats);
        if let Some(error) = last_error(id) {
            stats["last_error"] = error.clone();
        }
        all.insert(id.clone(), stats);
    }
    Json::Object(all)
}

fn aggregate(stats: &ComponentAggregateStats) -> Json {
    let common = stats.common_stats.as_ref().unwrap();
    assert_eq!(stats.last_error, None::<ErrorInfo>);
    let (kind, specific) = match stats.specific_stats.as_ref().unwrap() {
        SpecificAggregateStats::Spout(spout) => (
            "SPOUT",
            json!({"spout": {"complete_latency_ms": spout.complete_latency_ms}}),
        ),
        SpecificAggregateStats::Bolt(bolt) => (
            "BOLT",
            json!({"bolt": {
                "execute_latency_ms": bolt.execute_latency_ms,
                "process_latency_ms": bolt.process_latency_ms,
                "executed": bolt.executed,
                "capacity": bolt.capacity,
            }}),
        ),
        SpecificAggregateStats::Unset => panic!("of some kind"),
    };
    json!({
        "type": kind,
        "common_stats": {
            "num_executors": common.num_executors,
            "num_tasks": common.num_tasks,
            "emitted": common.emitted,
            "transferred": common.transferred,
            "acked": common.acked,
            "failed": common.failed,
        },
        "specific_stats": specific,
    })
}

fn totals(totals: &TopologyStats) -> Json {
    json!({
        "window_to_emitted": totals.window_to_emitted,
        "window_to_transferred": totals.window_to_transferred,
        "window_to_complete_latencies_ms": totals.window_to_complete_latencies_ms,
        "window_to_acked": totals.window_to_acked,
        "window_to_failed": totals.window_to_failed,
    })
}

fn beat<'a>(component: &'a str, uptime_secs: i32, stats: &'a ExecutorStats) -> Beat<'a> {
    Beat {
        executor: ExecutorId::new(TaskId(3), TaskId(4)),
        component,
        host: "h",
        port: 6700,
        uptime_secs,
        stats,
    }
}

fn bolt(window: &str, executed: i64, execute_ms: f64) -> ExecutorStats {
    let source = GlobalStreamId {
        component_id: "words".to_owned(),
        stream_id: "default".to_owned(),
    };
    ExecutorStats {
        specific: ExecutorSpecificStats::Bolt(BoltStats {
            executed: [(window.to_owned(), [(source.clone(), executed)].into())].into(),
            execute_ms_avg: [(window.to_owned(), [(source, execute_ms)].into())].into(),
            ..BoltStats::default()
        }),
        ..ExecutorStats::default()
    }
}

#[test]
fn capacity_is_of_ten_minutes_or_of_a_shorter_life() {
    let stats = bolt("600", 1000, 3.0);
    let capacity = |uptime_secs| match &stats.specific {
        ExecutorSpecificStats::Bolt(bolt) => capacity(bolt, uptime_secs),
        _ => unreachable!(),
    };
    let found = [-1, 0, 60, 600, 6000].map(capacity);
    assert_eq!(found, [0.0, 0.0, 0.05, 0.005, 0.005]);
}

/// A worker's report may hold anything that the IDL allows.
#[test]
fn figures_that_make_no_sense_do_not_end_a_sum() {
    let stats = [
        bolt("600", i64::MAX, f64::NAN),
        bolt("600", i64::MAX, f64::INFINITY),
        bolt("never", -5, 1.0),
        ExecutorStats::default(),
    ];
    let spout = ExecutorStats {
        specific: ExecutorSpecificStats::Spout(SpoutStats::default()),
        ..ExecutorStats::default()
    };
    let all = || {
        let bolts = stats.iter().map(|stats| beat("b", i32::MIN, stats));
        bolts.chain([beat("b", 5, &spout), beat("__acker", 5, &stats[0])])
    };
    for window in [None, Some("600"), Some("never"), Some("")] {
        for system in [SystemParts::Shown, SystemParts::Hidden] {
            let view = View { window, system };
            let sums = topology(all(), view);
            assert_eq!((sums.spouts.len(), sums.n_workers), (1, 1));
            let n_bolts = if system == SystemParts::Shown { 2 } else { 1 };
            assert_eq!(sums.bolts.len(), n_bolts);
            let sums = component(all(), ComponentType::Bolt, view);
            assert_eq!(sums.n_executors, if n_bolts == 2 { 4 } else { 3 });
        }
    }
}

#[test]
fn what_one_figure_lacks_does_not_hide_another() {
    let view = View {
        window: Some("600"),
        system: SystemParts::Shown,
    };
    // No process latency at all.
    let stats = bolt("600", 10, 2.0);
    let all = || std::iter::once(beat("b", 5, &stats));
    let sums = component(all(), ComponentType::Bolt, view);
    let executor = aggregate(sums.executors[0].stats.as_ref().unwrap());
    let specific = &executor["specific_stats"]["bolt"];
    assert_eq!(specific["executed"], 10);
    assert_eq!(specific["execute_latency_ms"], 2.0);
    assert_eq!(sums.inputs.len(), 1);
}

#[test]
fn latencies_of_what_was_not_acked_are_not_shown() {
    let view = View {
        window: Some("600"),
        system: SystemParts::Shown,
    };
    let streams = |n| [("default".to_owned(), n)].into();
    let stats = ExecutorStats {
        specific: ExecutorSpecificStats::Spout(SpoutStats {
            acked: [("10800".to_owned(), streams(0))].into(),
            complete_ms_avg: [("600".to_owned(), [("default".to_owned(), 7.0)].into())].into(),
            ..SpoutStats::default()
        }),
        ..ExecutorStats::default()
    };
    let all = || std::iter::once(beat("s", 5, &stats));
    let totals = topology(all(), view).totals;
    assert_eq!(totals.window_to_complete_latencies_ms, Some([].into()));
    let sums = component(all(), ComponentType::Spout, view);
    assert!(sums.outputs.is_empty(), "{:?}", sums.outputs);
}
