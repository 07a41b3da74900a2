//! `topology/{id}/visualization`: who sends what to whom, for a drawing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::percent::encode;
use crate::stats::aggregate::{SystemParts, capacity};
use crate::topology::is_system_id;
use crate::wire::storm::{
    ComponentCommon, ExecutorSpecificStats, ExecutorSummary, Grouping, StormTopology, TopologyInfo,
};

/// What of a drawing was asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct View<'a> {
    pub window: &'a str,
    pub system: SystemParts,
}

/// Components that run, by id.
pub(in crate::ui) fn page(info: &TopologyInfo, topology: &StormTopology, view: View<'_>) -> Value {
    let mut by_component: BTreeMap<&str, Vec<&ExecutorSummary>> = BTreeMap::new();
    for executor in &info.executors {
        let executors = by_component.entry(&executor.component_id);
        executors.or_default().push(executor);
    }
    let spouts = topology.spouts.iter();
    let spouts = spouts.map(|(id, spout)| (id, &spout.common, "spout"));
    let bolts = topology.bolts.iter();
    let bolts = bolts.map(|(id, bolt)| (id, &bolt.common, "bolt"));
    let drawn = spouts
        .chain(bolts)
        .filter(|(id, _, _)| view.system.shows(id));
    let drawn = drawn.filter_map(|(id, common, kind)| {
        let executors = by_component.get(id.as_str())?;
        let component = json!({
            ":type": kind,
            ":capacity": busiest(executors),
            ":latency": latency(executors, view),
            ":transferred": transferred(executors, view),
            ":stats": executors.iter().map(|each| executor(each, view)).collect::<Vec<_>>(),
            ":link": format!(
                "/component.html?id={}&topology_id={}",
                encode(id),
                encode(&info.id)
            ),
            ":inputs": inputs(common),
        });
        Some((id.clone(), component))
    });
    Value::Object(drawn.collect())
}

/// The streams of a drawing, four to a row, each once. Storm's own answer is an error.
pub(in crate::ui) fn streams(topology: &StormTopology, view: View<'_>) -> Value {
    let spouts = topology.spouts.iter().map(|(id, each)| (id, &each.common));
    let bolts = topology.bolts.iter().map(|(id, each)| (id, &each.common));
    let drawn = spouts.chain(bolts).filter(|(id, _)| view.system.shows(id));
    let streams: std::collections::BTreeSet<&str> = drawn
        .flat_map(|(_, common)| common.inputs.keys())
        .map(|source| source.stream_id.as_str())
        .collect();
    let boxes: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            json!({
                "stream": stream,
                "sani-stream": plain(stream),
                "checked": !is_system_id(stream),
            })
        })
        .collect();
    json!({ "visualizationTable": boxes.chunks(4).collect::<Vec<_>>() })
}

fn inputs(common: &ComponentCommon) -> Vec<Value> {
    let inputs = common.inputs.iter();
    let row = |(source, grouping): (&crate::wire::storm::GlobalStreamId, &Grouping)| {
        json!({
            ":component": source.component_id,
            ":stream": source.stream_id,
            ":sani-stream": plain(&source.stream_id),
            ":grouping": name(grouping),
        })
    };
    inputs.map(row).collect()
}

/// One executor, with what it sent on each stream in each window.
fn executor(executor: &ExecutorSummary, view: View<'_>) -> Value {
    let plain_streams = |streams: &BTreeMap<String, i64>| {
        let streams = streams.iter().filter(|(id, _)| view.system.shows(id));
        let plain = streams.map(|(stream, count)| (plain(stream), json!(count)));
        plain.collect::<Map<_, _>>()
    };
    let transferred = executor.stats.as_ref().map(|stats| {
        let windows = stats.transferred.iter();
        let plain = windows.map(|(window, streams)| (window, plain_streams(streams)));
        plain.collect::<BTreeMap<_, _>>()
    });
    json!({
        ":host": executor.host,
        ":port": executor.port,
        ":uptime_secs": executor.uptime_secs,
        ":transferred": transferred,
    })
}

/// The capacity of the busiest executor; 0 for spouts.
fn busiest(executors: &[&ExecutorSummary]) -> Value {
    let busy = executors.iter().filter_map(|each| {
        let ExecutorSpecificStats::Bolt(bolt) = &each.stats.as_ref()?.specific else {
            return None;
        };
        Some(capacity(bolt, each.uptime_secs))
    });
    match busy.reduce(f64::max) {
        // Sums of nothing are -0.
        Some(busiest) => json!(busiest + 0.0),
        None => json!(0),
    }
}

/// What all executors sent in the window; nothing where none of them has it.
fn transferred(executors: &[&ExecutorSummary], view: View<'_>) -> Option<i64> {
    let stats = executors.iter().filter_map(|each| each.stats.as_ref());
    let sent = stats.filter_map(|each| each.transferred.get(view.window));
    let sums = sent.map(|streams| {
        let shown = streams.iter().filter(|(id, _)| view.system.shows(id));
        shown.fold(0_i64, |sum, (_, count)| sum.wrapping_add(*count))
    });
    sums.reduce(i64::wrapping_add)
}

/// The average over all that was acked in the window: of a spout's trees, or of a bolt's inputs.
/// System streams count as any; nothing where no executor has the window.
fn latency(executors: &[&ExecutorSummary], view: View<'_>) -> Option<f64> {
    let stats = executors.iter().filter_map(|each| each.stats.as_ref());
    let parts = stats.filter_map(|each| match &each.specific {
        ExecutorSpecificStats::Spout(spout) => {
            weighted(&spout.complete_ms_avg, &spout.acked, view.window)
        }
        ExecutorSpecificStats::Bolt(bolt) => {
            weighted(&bolt.process_ms_avg, &bolt.acked, view.window)
        }
        _ => None,
    });
    let (sum, count) = parts.reduce(|a, b| (a.0 + b.0, a.1.wrapping_add(b.1)))?;
    Some(if count == 0 { 0.0 } else { sum / count as f64 })
}

/// Averages times counts, and the counts, over all keys that were counted in the window.
fn weighted<K: Ord>(
    averages: &BTreeMap<String, BTreeMap<K, f64>>,
    counts: &BTreeMap<String, BTreeMap<K, i64>>,
    window: &str,
) -> Option<(f64, i64)> {
    let averages = averages.get(window);
    let parts = counts.get(window)?.iter().map(|(key, count)| {
        let average = averages.and_then(|of| of.get(key)).copied();
        (average.unwrap_or(0.0) * *count as f64, *count)
    });
    Some(parts.fold((0.0, 0), |sum, part| {
        (sum.0 + part.0, part.1.wrapping_add(sum.1))
    }))
}

/// A stream's id as part of a name in a page: what is neither letter nor one of `_-:.` becomes `_`.
fn plain(stream: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | ':' | '.');
    let replaced: String = stream
        .chars()
        .map(|c| if is_kept(c) { c } else { '_' })
        .collect();
    match stream.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => replaced,
        _ => format!("_s{replaced}"),
    }
}

/// The field of the union that is set.
fn name(grouping: &Grouping) -> &'static str {
    match grouping {
        Grouping::Fields(_) => "fields",
        Grouping::Shuffle(_) => "shuffle",
        Grouping::All(_) => "all",
        Grouping::None(_) => "none",
        Grouping::Direct(_) => "direct",
        Grouping::CustomObject(_) => "custom_object",
        Grouping::CustomSerialized(_) => "custom_serialized",
        Grouping::LocalOrShuffle(_) => "local_or_shuffle",
        Grouping::Unset => "",
    }
}
