//! Where a topology's tuples are held up, and what its links speak: tables for `info`.

use std::collections::BTreeMap;

use super::table::table;
use crate::wire::messages::{LinkFlow, WorkerFlow};
use crate::wire::storm::ExecutorSummary;

/// A row for each link from worker to worker; nothing where there is none.
pub fn links(flows: &[WorkerFlow]) -> Option<String> {
    let links = flows
        .iter()
        .flat_map(|flow| flow.links.iter().map(move |link| (flow, link)));
    let rows: Vec<_> = links.map(|(from, link)| row(from, link)).collect();
    let head = [
        "LINK", "TO", "CODEC", "CIPHER", "BYTES", "SENT", "PERCENT", "WAITED S",
    ];
    (!rows.is_empty()).then(|| table(head, rows))
}

fn row(from: &WorkerFlow, link: &LinkFlow) -> [String; 8] {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let percent = link.sent_bytes.saturating_mul(100) / link.plain_bytes.max(1);
    [
        format!("{}:{}", from.host, from.port),
        link.to.clone(),
        or_none(&link.codec),
        or_none(&link.cipher),
        link.plain_bytes.to_string(),
        link.sent_bytes.to_string(),
        percent.to_string(),
        secs(link.waited_ms),
    ]
}

/// A row for each executor that had to wait for its receivers, those first that waited longest.
pub fn waits(flows: &[WorkerFlow], executors: &[ExecutorSummary]) -> Option<String> {
    let components: BTreeMap<_, _> = executors
        .iter()
        .map(|one| (&one.executor_info, one.component_id.as_str()))
        .collect();
    let mut waits: Vec<_> = flows
        .iter()
        .flat_map(|flow| flow.executors.iter().map(move |one| (flow, one)))
        .collect();
    waits.sort_by_key(|(_, one)| std::cmp::Reverse(one.waited_ms));
    let rows: Vec<_> = waits
        .into_iter()
        .map(|(flow, one)| {
            let uptime_ms = i64::from(flow.uptime_secs.max(1)) * 1000;
            let info = &one.executor;
            [
                components.get(info).copied().unwrap_or("?").to_owned(),
                format!("[{}-{}]", info.task_start, info.task_end),
                format!("{}:{}", flow.host, flow.port),
                secs(one.waited_ms),
                (one.waited_ms.saturating_mul(100) / uptime_ms)
                    .min(100)
                    .to_string(),
            ]
        })
        .collect();
    let head = ["HELD UP", "EXECUTOR", "WORKER", "WAITED S", "PERCENT"];
    (!rows.is_empty()).then(|| table(head, rows))
}

fn secs(ms: i64) -> String {
    format!("{:.1}", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::ExecutorFlow;
    use crate::wire::storm::ExecutorInfo;

    #[test]
    fn links_and_waits_are_rows() {
        let info = ExecutorInfo {
            task_start: 3,
            task_end: 4,
        };
        let link = LinkFlow {
            to: "b:6700".to_owned(),
            codec: Some("lz4".to_owned()),
            plain_bytes: 1000,
            sent_bytes: 250,
            waited_ms: 1500,
            ..LinkFlow::default()
        };
        let flow = WorkerFlow {
            host: "a".to_owned(),
            port: 6701,
            uptime_secs: 10,
            links: vec![link],
            executors: vec![ExecutorFlow {
                executor: info.clone(),
                waited_ms: 9000,
            }],
        };
        let executors = [ExecutorSummary {
            executor_info: info,
            component_id: "split".to_owned(),
            ..ExecutorSummary::default()
        }];
        let words = |text: &str| -> Vec<String> {
            let last = text.trim_end().lines().last().unwrap_or_default();
            last.split_whitespace().map(str::to_owned).collect()
        };
        let shown = links(std::slice::from_ref(&flow)).expect("a row");
        let expected = [
            "a:6701", "b:6700", "lz4", "none", "1000", "250", "25", "1.5",
        ];
        assert_eq!(words(&shown), expected);
        let shown = waits(&[flow], &executors).expect("a row");
        assert_eq!(words(&shown), ["split", "[3-4]", "a:6701", "9.0", "90"]);
        assert_eq!((links(&[]), waits(&[], &[])), (None, None));
    }
}
