//! The supervisor's state, driven by hand: no Nimbus, no worker processes.

use super::*;
use crate::supervisor::launch::next_generation;
use crate::wire::messages::TopologyWork;
use crate::wire::storm::{Assignment, NodeInfo};

fn core(dir: &std::path::Path) -> Core {
    let conf = Conf::defaults()
        .with(keys::STORM_LOCAL_DIR, dir.display().to_string())
        .with(keys::SUPERVISOR_SLOTS_PORTS, vec![6700]);
    let settings = Settings::from_conf(&conf, "worker".into()).expect("good settings");
    Core::new(settings, "here".into(), 0, Arc::default())
}

fn directive(topologies: &[&str]) -> SupervisorDirective {
    let place = NodeInfo {
        node: "here".into(),
        port: [6700].into(),
    };
    let assignment = Assignment {
        executor_node_port: Some([(vec![1, 1], place)].into()),
        ..Assignment::default()
    };
    let work = TopologyWork {
        assignment,
        epoch: 3,
        ..TopologyWork::default()
    };
    let topologies = topologies.iter().map(|id| ((*id).to_owned(), work.clone()));
    SupervisorDirective {
        version: 1,
        topologies: topologies.collect(),
        packed: None,
    }
}

#[tokio::test]
async fn generations_grow_over_a_stop_and_are_forgotten_only_on_nimbus_word() {
    let dir = tempfile::tempdir().expect("dir");
    let mut core = core(dir.path());
    let id = TopologyId::new("t-1-1");
    let launches = core.settings.layout.launches(&id);
    let first = next_generation(&launches, 3).expect("drawn");

    // The supervisor ends its workers, and another one starts before Nimbus has answered it.
    core.handle_directive(directive(&["t-1-1"]));
    core.want(BTreeMap::new());
    core.sweep();
    let mut core = self::core(dir.path());
    core.adopt();
    core.sweep();
    core.handle_directive(directive(&["t-1-1"]));
    let second = next_generation(&launches, 3).expect("drawn");
    assert!(second > first, "{first} {second}");

    core.handle_directive(directive(&[]));
    assert!(!launches.exists(), "the epoch is over, and so is its count");
}

#[test]
fn only_delivered_errors_are_forgotten() {
    let dir = tempfile::tempdir().expect("dir");
    let mut core = core(dir.path());
    let id = TopologyId::new("t-1-1");
    let reasons = |core: &Core| -> Vec<String> {
        let errors = core.errors.iter();
        errors.map(|held| held.error.error.clone()).collect()
    };
    let heard = |core: &mut Core, errors_until| {
        core.handle_news(News {
            directive: None,
            errors_until,
        });
    };
    for reason in ["0", "1", "2"] {
        core.report_error(&id, None, reason.to_owned());
    }
    heard(&mut core, 2);
    heard(&mut core, 2);
    assert_eq!(
        (reasons(&core), core.first_error),
        (vec!["2".to_owned()], 2)
    );
    // A full list drops its oldest: what is delivered after that is told by position all the same.
    for n in 3..=2 + COMPONENT_ERRORS_HELD_MAX {
        core.report_error(&id, None, n.to_string());
    }
    assert_eq!((reasons(&core)[0].as_str(), core.first_error), ("3", 3));
    heard(&mut core, 3);
    assert_eq!(core.errors.len(), COMPONENT_ERRORS_HELD_MAX);
    heard(&mut core, 4);
    assert_eq!(reasons(&core)[0], "4");
}
