//! Scheduling rounds over 10 to 1000 topologies of 33 executors, three to a supervisor, under the
//! even and the resource-aware scheduler: a cluster that starts, one more topology, and nothing to
//! do. The snapshot of the cluster is part of the round.
//!
//! What Nimbus adds (who is alive, records, news) is not measured here.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use stormwire::conf::{Conf, keys};
use stormwire::id::{ComponentId, ExecutorId, NodeId, TaskId, TopologyId};
use stormwire::scheduler::choice;
use stormwire::scheduler::demand::{ComponentDemand, Demand, Input};
use stormwire::scheduler::resources::{Capacity, Resources};
use stormwire::scheduler::{Cluster, Scheduler, Standing, Supervisor, Topology};

/// As the issue has it: a spout, two bolts and ackers, 33 executors together.
fn topology(number: usize) -> Topology {
    let request = |onheap_mb| Resources {
        onheap_mb,
        cpu: 10.0,
        ..Resources::default()
    };
    let reads = |from| {
        vec![Input {
            from,
            is_shuffled: true,
        }]
    };
    // Components stand in order of their ids.
    let parts = [
        ("__acker", 4, request(64.0), Vec::new(), false),
        ("count", 12, request(128.0), reads(2), false),
        ("split", 12, request(128.0), reads(3), false),
        ("words", 5, request(128.0), Vec::new(), true),
    ];
    let mut executors = BTreeMap::new();
    let mut components = Vec::new();
    for (id, n_executors, request, inputs, is_spout) in parts {
        let id = ComponentId::from(id);
        for _ in 0..n_executors {
            let task = TaskId(i32::try_from(executors.len()).expect("few") + 1);
            executors.insert(ExecutorId::new(task, task), id.clone());
        }
        components.push(ComponentDemand {
            id,
            is_spout,
            request,
            inputs,
        });
    }
    Topology {
        id: TopologyId::from(format!("words-{number}-1700000000")),
        name: format!("words-{number}"),
        owner: Some(format!("user-{}", number % 7)),
        uptime_secs: i64::try_from(number).expect("few"),
        n_workers: 4,
        executors: Arc::new(executors),
        demand: Arc::new(Demand {
            components,
            ..Demand::default()
        }),
    }
}

fn supervisors(n_topologies: usize) -> BTreeMap<NodeId, Supervisor> {
    let supervisor = |number| {
        let supervisor = Supervisor {
            host: format!("host-{number:04}"),
            rack: "/default-rack".to_owned(),
            ports: (6700..6724).collect(),
            capacity: Capacity {
                memory_mb: 24_576.0,
                cpu: 3200.0,
                ..Capacity::default()
            },
            uptime_secs: 86_400,
        };
        (NodeId::from(format!("5f1c2d3e-{number:04}")), supervisor)
    };
    (0..n_topologies.div_ceil(3) + 1).map(supervisor).collect()
}

/// A round; everything must have found its place.
fn round(
    scheduler: &mut dyn Scheduler,
    (n_topologies, topologies): (usize, Vec<Topology>),
    existing: BTreeMap<TopologyId, Standing>,
) -> BTreeMap<TopologyId, Standing> {
    let mut cluster = Cluster::new(supervisors(n_topologies), topologies, existing);
    scheduler.schedule(&mut cluster);
    for topology in cluster.topologies() {
        assert!(
            !cluster.lacks_executors(topology),
            "{:?}",
            cluster.statuses()
        );
    }
    cluster.into_standings()
}

fn rounds(criterion: &mut Criterion) {
    let schedulers = [
        ("even", "org.apache.storm.scheduler.DefaultScheduler"),
        (
            "resource-aware",
            "org.apache.storm.scheduler.resource.ResourceAwareScheduler",
        ),
    ];
    for (name, class) in schedulers {
        let conf = Conf::defaults().with(keys::STORM_SCHEDULER, class);
        let mut scheduler = choice::scheduler(&conf, || 0).expect("known");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.measurement_time(Duration::from_secs(3));
        group.warm_up_time(Duration::from_millis(500));
        for n in SIZES {
            let topologies: Vec<Topology> = (0..n).map(topology).collect();
            let settled = round(&mut *scheduler, (n, topologies.clone()), BTreeMap::new());
            let one_less = {
                let mut existing = settled.clone();
                existing.remove(&topologies[n / 2].id);
                existing
            };
            let cases = [
                ("start", BTreeMap::new()),
                ("one more", one_less),
                ("nothing", settled),
            ];
            for (case, existing) in cases {
                group.bench_function(BenchmarkId::new(case, n), |bencher| {
                    let input = || (topologies.clone(), existing.clone());
                    let run = |(topologies, existing)| {
                        black_box(round(&mut *scheduler, (n, topologies), existing))
                    };
                    bencher.iter_batched(input, run, BatchSize::LargeInput);
                });
            }
        }
        group.finish();
    }
}

const SIZES: [usize; 4] = [10, 100, 300, 1000];

criterion_group!(benches, rounds);
criterion_main!(benches);
