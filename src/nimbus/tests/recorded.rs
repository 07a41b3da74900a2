//! Recorded conversations with genuine Storm, held against our Nimbus.
//!
//! What came out of an earlier reply (ids, locations) is replaced in later requests by what ours
//! gave. Components that only a JVM can run are replaced by native ones, since ours refuses them (a
//! test of its own shows that). Deliberate differences are named with their reasons.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::testing::fixtures::{self, Tally};
use crate::testing::replay::{any, difference, forget};
use crate::testing::thrift_json::Contract;
use crate::wire::messages::ComponentError;
use crate::wire::storm::{ExecutorStats, LogConfig, LogLevel, LogLevelAction};

/// One run of the recorded server, replayed on one Nimbus.
struct Replay {
    fixture: Fixture,
    contract: Contract,
    supervisors: Vec<tokio::task::JoinHandle<()>>,
    connections: HashMap<(String, i64), TcpStream>,
    /// What the recorded server gave, to what ours gave.
    ours: HashMap<String, String>,
    spare_jar: String,
    own_user: String,
    is_resource_aware: bool,
    /// Topologies that were there although nobody recorded how they came: code and conf by name.
    seeds: BTreeMap<String, Seed>,
    /// Topologies that the current case is about.
    case: BTreeSet<String>,
    /// Killed without delay.
    ended: BTreeSet<String>,
    /// What ours refused or lacks on purpose, with the reason.
    without: BTreeMap<String, Outcome>,
}

#[derive(Clone, Default)]
struct Seed {
    code: Option<Value>,
    conf: Option<Value>,
}

/// What became of one exchange.
#[derive(Clone)]
enum Outcome {
    Equal,
    Differs(String),
    Deliberate(&'static str),
    NotBuilt,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_go_as_recorded() {
    let mut files: Vec<(&str, Vec<Value>)> = Vec::new();
    for file in FILES {
        files.push((file, fixtures::lines(&format!("control/{file}.jsonl"))));
    }
    let of = |line: &Value| line["recording"].as_i64().expect("a number");
    let recordings: BTreeSet<i64> = files.iter().flat_map(|(_, lines)| lines).map(of).collect();
    let mut outcomes: BTreeMap<&str, Vec<(String, Outcome)>> = BTreeMap::new();
    for recording in recordings {
        let all = files.iter().flat_map(|(_, lines)| lines);
        let (here, elsewhere): (Vec<&Value>, Vec<&Value>) =
            all.partition(|line| of(line) == recording);
        let mut replay = Replay::new(&here, &elsewhere).await;
        for (file, lines) in &files {
            for line in lines.iter().filter(|line| of(line) == recording) {
                let of_case = lines.iter().filter(|other| other["case"] == line["case"]);
                replay.case = of_case.filter_map(|line| replay.subject_of(line)).collect();
                let name = format!("{} {} {}", line["case"], line["step"], line["method"]);
                let outcome = replay.exchange(line).await;
                outcomes.entry(file).or_default().push((name, outcome));
            }
        }
        replay.end().await;
    }
    let tallies: Vec<_> = outcomes
        .into_iter()
        .map(|(file, outcomes)| count(file, outcomes))
        .collect();
    for (tally, n_deliberate) in tallies {
        tally.finish(n_deliberate);
    }
}

fn count(file: &str, outcomes: Vec<(String, Outcome)>) -> (Tally, usize) {
    let mut tally = Tally::new(&format!("control/{file}"));
    let mut deliberate: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut n_not_built = 0;
    for (name, outcome) in outcomes {
        match outcome {
            Outcome::Equal => tally.case(true, String::new),
            Outcome::Differs(text) => {
                println!("  {file}: {name}: {text}");
                tally.case(false, || format!("{name}: {text}"));
            }
            Outcome::Deliberate(reason) => {
                tally.case(false, || format!("{name}: deliberate: {reason}"));
                deliberate.entry(reason).or_default().push(name);
            }
            Outcome::NotBuilt => n_not_built += 1,
        }
    }
    let n_deliberate = deliberate.values().map(Vec::len).sum();
    for (reason, names) in deliberate {
        println!(
            "  deliberate, {}: {reason} ({})",
            names.len(),
            names.join("; ")
        );
    }
    println!("  of methods that are not built yet: {n_not_built}");
    (tally, n_deliberate)
}

// === impl Replay ===

impl Replay {
    async fn new(here: &[&Value], elsewhere: &[&Value]) -> Self {
        let contract = Contract::of("Nimbus");
        let seeds = seeds(&contract, here, elsewhere);
        // What the recorded server was started with, as its confs show.
        let overrides = Conf::new()
            .with(keys::NIMBUS_MONITOR_FREQ_SECS, 1)
            .with(keys::STORM_LOCAL_HOSTNAME, "localhost")
            .with(keys::STORM_CLUSTER_MODE, "local")
            .with(keys::STORM_LOCAL_MODE_ZMQ, true)
            .with(keys::STORM_LOG_DIR, "/var/lib/storm-fixture/logs")
            .with(
                keys::STORM_METRIC_STORE_CLASS,
                "org.apache.storm.metricstore.NoOpMetricStore",
            )
            .with(keys::STORM_ZOOKEEPER_SUPERACL, Value::Null)
            .with(keys::TOPOLOGY_SKIP_MISSING_KRYO_REGISTRATIONS, true)
            .with(keys::TOPOLOGY_TRIDENT_BATCH_EMIT_INTERVAL_MILLIS, 50);
        let is_resource_aware = |line: &&Value| {
            let case = line["case"].as_str();
            case.is_some_and(|case| case.starts_with("ras-"))
        };
        let is_resource_aware = here.iter().any(is_resource_aware);
        let overrides = match is_resource_aware {
            true => overrides
                .with(
                    keys::STORM_SCHEDULER,
                    "org.apache.storm.scheduler.resource.ResourceAwareScheduler",
                )
                .with(keys::NIMBUS_EXECUTORS_PER_TOPOLOGY, 40)
                .with(keys::NIMBUS_SLOTS_PER_TOPOLOGY, 3),
            false => overrides,
        };
        let fixture = Fixture::with(overrides).await;
        let mut supervisors = Vec::new();
        for (node, first) in [("node-one", 6700), ("node-two", 6704)] {
            let line = fixture.line().await;
            supervisors.push(tokio::spawn(supervise(line, node, first)));
        }
        let mut client = fixture.client().await;
        eventually("two supervisors", async || {
            let cluster = client.get_cluster_info().await.expect("answers");
            (cluster.supervisors.len() == 2).then_some(())
        })
        .await;
        let spare_jar = upload(&mut client, &jar()).await;
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .ok()
            .flatten();
        Replay {
            fixture,
            contract,
            seeds,
            case: BTreeSet::new(),
            ended: BTreeSet::new(),
            without: BTreeMap::new(),
            supervisors,
            connections: HashMap::new(),
            ours: HashMap::new(),
            spare_jar,
            is_resource_aware,
            own_user: user.map_or_else(String::new, |user| user.name),
        }
    }

    fn subject_of(&self, line: &Value) -> Option<String> {
        let request = fixtures::base64(line["request_b64"].as_str().expect("a frame"));
        subject(&self.contract.arguments(&request[4..]).1)
    }

    async fn exchange(&mut self, line: &Value) -> Outcome {
        let method = line["method"].as_str().expect("a method");
        let recorded = fixtures::base64(line["request_b64"].as_str().expect("a frame"));
        let (message, mut arguments) = self.contract.arguments(&recorded[4..]);
        let expected = fixtures::base64(line["reply_b64"].as_str().expect("a frame"));
        let expected = self.contract.reply(method, &expected[4..]);
        let name = subject(&arguments);
        self.prepare(method, name.as_deref(), &expected).await;
        self.translate(&mut arguments).await;
        // Owned by whom the recorded server ran as.
        if let Some(owner) = arguments.pointer_mut("/creds/topoOwner")
            && owner == "storm"
        {
            *owner = json!(self.own_user);
        }
        nativise(&mut arguments);
        let mut call = self.contract.call(&message, &arguments);
        let mut frame = u32::try_from(call.len())
            .expect("small")
            .to_be_bytes()
            .to_vec();
        frame.append(&mut call);
        // What is read may come a moment later than it did in Storm; what is written is sent once.
        let n_attempts = if method.starts_with("get") { 40 } else { 1 };
        let mut outcome = Outcome::NotBuilt;
        for _ in 0..n_attempts {
            let reply = self.send(line, &frame).await;
            let found = self.contract.reply(method, &reply);
            self.learn(&expected, &found);
            outcome = self.judge(line, name.as_deref(), expected.clone(), found);
            if !matches!(outcome, Outcome::Differs(_)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let took_effect = expected == json!({});
        if let Some(name) = name.filter(|_| took_effect) {
            self.note(method, name, &arguments, &outcome);
        }
        outcome
    }

    /// Brings about what nobody recorded: topologies that are there, others that were ended.
    async fn prepare(&mut self, method: &str, name: Option<&str>, expected: &Value) {
        let alive = self.ids().await;
        // A list of anything else names no topologies either.
        let lists = ["getClusterInfo", "getTopologySummaries"].contains(&method);
        let listed = topology_names(expected).filter(|_| lists);
        let mut client = self.fixture.client().await;
        self.prepare_blobs(&mut client, expected).await;
        if let Some(listed) = &listed {
            let now = crate::wire::storm::KillOptions { wait_secs: Some(0) };
            for name in alive.keys().filter(|name| !listed.contains(*name)) {
                // It may be ending already.
                drop(client.kill_topology_with_opts(Some(name), Some(&now)).await);
            }
        }
        // A name that is free, and one that is not alive.
        let is_gone = expected["exception"]["class"] == json!("NotAliveException")
            || expected["success"] == json!(true);
        let named = name.into_iter().filter(|_| !is_gone).map(str::to_owned);
        for name in named.chain(listed.into_iter().flatten()) {
            if alive.contains_key(&name) || self.without.contains_key(&name) {
                continue;
            }
            if let Some(Seed {
                code: Some(code),
                conf,
            }) = self.seeds.get(&name).cloned()
            {
                let conf = conf.unwrap_or_else(|| json!("{}"));
                self.seed(&name, code, conf).await;
            }
        }
        for name in self.seeds.keys().filter(|name| is_inactive(expected, name)) {
            // One that we lack for a reason is not there.
            drop(client.deactivate(Some(name)).await);
        }
        // A component's page, of which nobody recorded the whole topology's errors.
        if let (Some(name), Some(component)) = (name, expected["success"]["component_id"].as_str())
            && self.is_resource_aware
        {
            let errors = json!({ component: expected["success"]["errors"] });
            let info = json!({"executors": [], "errors": errors});
            self.feed(name, &info).await;
        }
        if let Some(name) = name.filter(|_| !expected["success"]["executors"][0].is_null()) {
            self.feed(name, &expected["success"]).await;
        }
        let levels = expected["success"]["named_logger_level"].as_object();
        if let (Some(name), Some(levels)) = (name, levels) {
            self.set_levels(name, levels).await;
        }
    }

    /// Sets levels that the recorded topology has and ours lacks.
    async fn set_levels(&mut self, name: &str, levels: &serde_json::Map<String, Value>) {
        let mut client = self.fixture.client().await;
        let id = self.ids().await[name].clone();
        let ours = client.get_log_config(Some(&id)).await.expect("alive");
        let ours = ours.named_logger_level.unwrap_or_default();
        for (logger, level) in levels
            .iter()
            .filter(|(logger, _)| !ours.contains_key(*logger))
        {
            let mut level: LogLevel = self.contract.typed("LogLevel", level);
            let was_there = level.action.known() == Some(LogLevelAction::Unchanged);
            level.action = LogLevelAction::Update.into();
            let config = LogConfig {
                named_logger_level: Some([(logger.clone(), level)].into()),
            };
            let set = client.set_log_config(Some(&id), Some(&config)).await;
            set.expect("alive");
            if was_there {
                // What a further call finds is unchanged.
                let nothing = LogConfig::default();
                let set = client.set_log_config(Some(&id), Some(&nothing)).await;
                set.expect("alive");
            }
        }
    }

    /// Keys that a listing shows although nobody recorded how they came: begun and given up.
    async fn prepare_blobs(&self, client: &mut Client, expected: &Value) {
        let keys = expected.pointer("/success/keys").and_then(Value::as_array);
        let keys = keys.into_iter().flatten().filter_map(Value::as_str);
        for key in keys.filter(|key| topology_key(key).is_none()) {
            let meta = crate::wire::storm::SettableBlobMeta::default();
            // Most are there.
            if let Ok(session) = client.begin_create_blob(Some(key), Some(&meta)).await {
                let cancelled = client.cancel_blob_upload(Some(&session)).await;
                cancelled.expect("just begun");
            }
        }
    }

    /// Reports what the recorded workers had reported: statistics and errors.
    async fn feed(&mut self, name: &str, info: &Value) {
        let mut client = self.fixture.client().await;
        let ours = eventually("executors", async || {
            let ours = client
                .get_topology_info_by_name(Some(name))
                .await
                .expect("alive");
            (!ours.executors.is_empty()).then_some(ours)
        })
        .await;
        let node = |port: i32| if port < 6704 { "node-one" } else { "node-two" };
        let mut workers: BTreeMap<i32, WorkerReport> = BTreeMap::new();
        for executor in ours.executors {
            let report = WorkerReport {
                topology_id: ours.id.clone(),
                node: node(executor.port).to_owned(),
                port: executor.port,
                generation: 1,
                uptime_secs: 1,
                ..WorkerReport::default()
            };
            let report = workers.entry(executor.port).or_insert(report);
            if let Some(stats) = self.recorded_stats(info, &executor.executor_info) {
                let all = report.executor_stats.get_or_insert_default();
                all.insert(executor.executor_info.clone(), stats);
            }
            report.executors.push(executor.executor_info);
        }
        let errors = info["errors"].as_object().expect("a map").iter();
        let is_new = |component: &str| ours.errors.get(component).is_none_or(Vec::is_empty);
        let errors = errors.filter(|(component, _)| is_new(component));
        let errors = errors.flat_map(|(component, errors)| {
            let oldest_first = errors.as_array().expect("a list").iter().rev();
            oldest_first.map(|error| (component.clone(), error.clone()))
        });
        let reported = errors.map(|(component_id, error)| ComponentError {
            topology_id: ours.id.clone(),
            component_id,
            error: self.contract.typed("ErrorInfo", &error),
        });
        let reported = reported.collect();
        if let Some(mut first) = workers.first_entry() {
            first.get_mut().errors = reported;
        }
        let mut line = self.fixture.line().await;
        for report in workers.values() {
            sync_worker(&mut line, report).await;
        }
    }

    fn recorded_stats(&self, info: &Value, executor: &ExecutorInfo) -> Option<ExecutorStats> {
        let recorded = info["executors"].as_array().expect("a list").iter();
        let tasks = json!({"task_start": executor.task_start, "task_end": executor.task_end});
        let mut of_executor = recorded.filter(|recorded| recorded["executor_info"] == tasks);
        let stats = of_executor.next()?.get("stats")?;
        Some(self.contract.typed("ExecutorStats", stats))
    }

    async fn seed(&mut self, name: &str, mut code: Value, conf: Value) {
        nativise(&mut code);
        let conf = submittable(conf.as_str().expect("a conf"));
        let arguments = json!({
            "name": name,
            "uploadedJarLocation": self.spare_jar,
            "jsonConf": conf,
            "topology": code,
        });
        let message = Contract::message("submitTopology");
        let mut call = self.contract.call(&message, &arguments);
        let mut frame = u32::try_from(call.len())
            .expect("small")
            .to_be_bytes()
            .to_vec();
        frame.append(&mut call);
        let reply = self
            .send(&json!({"case": "seed", "connection": 0}), &frame)
            .await;
        let reply = self.contract.reply("submitTopology", &reply);
        assert_eq!(reply, json!({}), "{name}");
    }

    /// Remembers what later exchanges depend on.
    fn note(&mut self, method: &str, name: String, arguments: &Value, outcome: &Outcome) {
        if method == "killTopologyWithOpts" && arguments["options"]["wait_secs"] == json!(0) {
            self.ended.insert(name.clone());
        }
        let changes = method.starts_with("submit") || method == "rebalance" || method == "debug";
        if changes && matches!(outcome, Outcome::Deliberate(_) | Outcome::NotBuilt) {
            self.without.insert(name, outcome.clone());
        }
    }

    fn judge(
        &self,
        line: &Value,
        name: Option<&str>,
        mut expected: Value,
        mut found: Value,
    ) -> Outcome {
        if found["exception"]["type"] == json!(1) {
            return Outcome::NotBuilt;
        }
        if let Some(reason) = deliberate(&expected, &found) {
            return Outcome::Deliberate(reason);
        }
        let pointers = line["volatile"].as_array().expect("a list").iter();
        let pointers =
            pointers.filter_map(|pointer| pointer.as_str()?.strip_prefix("/decoded_reply"));
        // Places in a listing say nothing: it has no order.
        let pointers = pointers.filter(|pointer| !pointer.starts_with("/success/keys/"));
        let pointers: Vec<String> = pointers.map(str::to_owned).collect();
        let mut shown = topology_names(&expected).unwrap_or_default();
        if let Some(found) = topology_names(&found).filter(|_| self.case.is_empty()) {
            shown.retain(|name| found.contains(name));
        } else {
            shown.retain(|name| self.case.contains(name));
        }
        only_own_blobs(&mut expected);
        only_own_blobs(&mut found);
        if let (Some(theirs), Some(ours)) = (history(&expected), history(&found)) {
            // What else was there before is not recorded.
            return match ours.difference(&theirs).next() {
                None if !ours.is_empty() => Outcome::Equal,
                _ => Outcome::Differs(format!("{ours:?} instead of {theirs:?}")),
            };
        }
        forget(&mut expected, &pointers);
        loosen(&mut expected);
        only_topologies(&mut expected, &shown);
        only_topologies(&mut found, &shown);
        self.rename(&mut found);
        match difference(&expected, &found) {
            None => Outcome::Equal,
            Some(text) => self
                .excuse(name, &expected, &found)
                .unwrap_or(Outcome::Differs(text)),
        }
    }

    /// Whether a difference follows from an earlier one that is on purpose.
    fn excuse(&self, name: Option<&str>, expected: &Value, found: &Value) -> Option<Outcome> {
        if let Some(outcome) = self.case.iter().find_map(|name| self.without.get(name)) {
            return Some(outcome.clone());
        }
        let owners = |reply: &Value| reply["success"][0]["total_topologies"].clone();
        if !owners(expected).is_null() && found["success"] == json!([]) {
            let reason = "sums over topologies that were there although nobody recorded them";
            return Some(Outcome::Deliberate(reason));
        }
        let name = name?;
        if self.seeds.get(name).is_none_or(|seed| seed.code.is_none())
            && found["exception"]["msg"].as_str().and_then(name_of) == Some(name)
        {
            let reason = "of a topology that was there although nobody recorded its code";
            return Some(Outcome::Deliberate(reason));
        }
        let is_gone = found["exception"]["class"] == json!("NotAliveException");
        if is_gone && self.ended.contains(name) && *expected == json!({}) {
            return Some(Outcome::Deliberate(
                "a kill without delay takes effect at once",
            ));
        }
        None
    }

    async fn send(&mut self, line: &Value, frame: &[u8]) -> Vec<u8> {
        let case = line["case"].as_str().expect("a case").to_owned();
        let key = (case, line["connection"].as_i64().unwrap_or(0));
        let address = self.fixture.nimbus().address();
        if !self.connections.contains_key(&key) {
            let stream = TcpStream::connect(address).await.expect("listening");
            self.connections.insert(key.clone(), stream);
        }
        let stream = self.connections.get_mut(&key).expect("just made");
        stream.write_all(frame).await.expect("open");
        let length = stream.read_u32().await.expect("a reply");
        let mut reply = vec![0; usize::try_from(length).expect("small")];
        stream.read_exact(&mut reply).await.expect("a whole reply");
        reply
    }

    /// Puts our ids and locations where the recorded ones stand.
    async fn translate(&self, value: &mut Value) {
        let ids = self.ids().await;
        self.translate_with(value, &ids);
    }

    fn translate_with(&self, value: &mut Value, ids: &HashMap<String, String>) {
        match value {
            Value::String(text) => {
                if let Some(ours) = self.ours.get(text) {
                    ours.clone_into(text);
                } else if text.contains("/inbox/stormjar-") {
                    // Uploaded before the recording began.
                    self.spare_jar.clone_into(text);
                } else if let Some(id) = name_of(text).and_then(|name| ids.get(name)) {
                    id.clone_into(text);
                } else if let Some((id, kind)) = topology_key(text) {
                    let ours = name_of(id).and_then(|name| ids.get(name));
                    *text = format!("{}{kind}", ours.map_or(id, String::as_str));
                }
            }
            Value::Array(values) => {
                values
                    .iter_mut()
                    .for_each(|value| self.translate_with(value, ids));
            }
            Value::Object(fields) => {
                let skipped = |(key, _): &(&String, &mut Value)| key.as_str() != "topology";
                let fields = fields.iter_mut().filter(skipped);
                fields.for_each(|(_, value)| self.translate_with(value, ids));
            }
            _ => {}
        }
    }

    async fn ids(&self) -> HashMap<String, String> {
        let mut client = self.fixture.client().await;
        let all = client.get_topology_summaries().await.expect("answers");
        all.into_iter()
            .map(|summary| (summary.name, summary.id))
            .collect()
    }

    /// Remembers what stands for what: locations and sessions.
    fn learn(&mut self, expected: &Value, found: &Value) {
        for pointer in ["/success", "/success/session"] {
            let text = |reply: &Value| reply.pointer(pointer)?.as_str().map(str::to_owned);
            if let (Some(theirs), Some(ours)) = (text(expected), text(found)) {
                self.ours.insert(theirs, ours);
            }
        }
    }

    /// What is ours by the circumstances: port, user, keys of our own.
    fn rename(&self, value: &mut Value) {
        let port = self.fixture.nimbus().address().port();
        match value {
            Value::Number(number) if number.as_u64() == Some(u64::from(port)) => {
                *value = json!(6627);
            }
            Value::String(text) if *text == self.own_user => "storm".clone_into(text),
            Value::String(text) if text.starts_with('{') => {
                if let Ok(Value::Object(mut inner)) = serde_json::from_str(text) {
                    inner.retain(|key, _| !key.starts_with("stormwire."));
                    if let Some(port) = inner.get_mut("nimbus.thrift.port") {
                        *port = json!(6627);
                    }
                    let mut inner = Value::Object(inner);
                    self.rename(&mut inner);
                    *value = Value::from(inner.to_string());
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.rename(value)),
            Value::Object(fields) => {
                // Gone since 2.0, and required by clients of 0.9 and 0.10.
                fields.remove("nimbus_uptime_secs");
                fields.values_mut().for_each(|value| self.rename(value));
            }
            _ => {}
        }
    }

    async fn end(mut self) {
        self.connections.clear();
        for supervisor in &self.supervisors {
            supervisor.abort();
        }
        self.fixture
            .nimbus
            .take()
            .expect("running")
            .shutdown()
            .await;
    }
}

/// Reports as one of the recorded supervisors did.
async fn supervise(mut line: Line, node: &str, first: i64) {
    let mut version = 0;
    loop {
        let mut report = report(node, first..first + 4, version);
        report.info.resources_map = Some(BTreeMap::from([
            ("cpu.pcore.percent".to_owned(), 400.0),
            ("memory.mb".to_owned(), 4096.0),
        ]));
        let Ok(directive) = line.sync_supervisor(Some(&report)).await else {
            return;
        };
        version = directive.version;
    }
}

/// The name in a topology id, if it is one.
fn name_of(id: &str) -> Option<&str> {
    let (rest, secs) = id.rsplit_once('-')?;
    let (name, counter) = rest.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (secs.len() == 10 && is_number(secs) && is_number(counter)).then_some(name)
}

/// The topology and the kind, if it is the key of a topology's own blob.
fn topology_key(key: &str) -> Option<(&str, &str)> {
    let (id, _) = key.rsplit_once("-storm")?;
    name_of(id).map(|_| (id, &key[id.len()..]))
}

/// A listing in its order, without the blobs of topologies: which of them live nobody recorded.
fn only_own_blobs(reply: &mut Value) {
    if let Some(Value::Array(keys)) = reply.pointer_mut("/success/keys") {
        keys.retain(|key| key.as_str().is_some_and(|key| topology_key(key).is_none()));
        keys.sort_by_key(ToString::to_string);
    }
}

/// Replaces what only a JVM can run, in a request.
fn nativise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.remove("serialized_java").is_some() {
                let native = json!({"full_class_name": "io.stormwire.Any", "args_list": []});
                fields.insert("java_object".to_owned(), native);
            }
            if fields.remove("custom_serialized").is_some()
                || fields.remove("custom_object").is_some()
            {
                fields.insert("shuffle".to_owned(), json!({}));
            }
            if let Some(object) = fields.get_mut("java_object") {
                object["full_class_name"] = json!("io.stormwire.Any");
            }
            fields.remove("worker_hooks");
            fields.values_mut().for_each(nativise);
        }
        Value::Array(values) => values.iter_mut().for_each(nativise),
        _ => {}
    }
}

/// What may differ in a reply for the reasons of `nativise`, and what depends on the moment.
fn loosen(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for key in ["spout_object", "bolt_object", "worker_hooks"] {
                let is_jvm = |object: &Value| {
                    object.get("serialized_java").is_some()
                        || object.get("java_object").is_some()
                        || key == "worker_hooks"
                };
                if let Some(object) = fields.get_mut(key).filter(|object| is_jvm(object)) {
                    *object = any();
                }
            }
            if fields.contains_key("custom_serialized") || fields.contains_key("custom_object") {
                *value = any();
                return;
            }
            // Placed at once where Storm waits for its next round; and other topologies have slots.
            if fields.get("num_executors") == Some(&json!(0)) {
                let counts = fields
                    .iter_mut()
                    .filter(|(key, _)| key.starts_with("num_") || key.starts_with("assigned_"));
                counts.for_each(|(_, value)| *value = any());
            }
            // Storm shows every resource that any topology ever named, as zero.
            for key in OF_RESOURCES {
                if let Some(Value::Object(generic)) = fields.get_mut(key) {
                    let is_own = |name: &str| name.contains("mb") || name.contains("cpu");
                    generic.retain(|name, amount| is_own(name) || *amount != json!(0.0));
                }
            }
            // Which node gets which of a topology's workers is chance in Storm.
            if let Some(Value::Array(workers)) = fields.get_mut("workers") {
                for worker in workers.iter_mut() {
                    worker["supervisor_id"] = any();
                }
            }
            if let Some(Value::Array(workers)) = fields.get_mut("worker_summaries") {
                workers.iter_mut().for_each(loosen_worker);
            }
            // Sums over topologies of which some were there although nobody recorded how they came.
            if fields
                .get("total_topologies")
                .is_some_and(|n| *n != json!(0))
            {
                let figures = fields.iter_mut().filter(|(_, value)| value.is_number());
                figures.for_each(|(_, value)| *value = any());
            }
            if fields.contains_key("num_used_workers") {
                fields.insert("num_used_workers".to_owned(), any());
            }
            // Ours adds the cause, as the specification allows.
            if fields.get("type") == Some(&json!(6)) && fields.contains_key("message") {
                fields.insert("message".to_owned(), any());
            }
            fields.values_mut().for_each(loosen);
        }
        Value::Array(values) => values.iter_mut().for_each(loosen),
        _ => {}
    }
}

/// Names of the topologies that a history lists.
fn history(reply: &Value) -> Option<BTreeSet<String>> {
    let ids = reply["success"]["topo_ids"].as_array()?.iter();
    let names = ids.filter_map(|id| name_of(id.as_str()?));
    Some(names.map(str::to_owned).collect())
}

/// A node's workers may be other ones of the same topologies.
fn loosen_worker(worker: &mut Value) {
    for key in [
        "topology_name",
        "num_executors",
        "component_to_num_tasks",
        "assigned_memonheap",
        "assigned_cpu",
    ] {
        worker[key] = any();
    }
}

/// Names of the topologies that a reply lists.
fn topology_names(reply: &Value) -> Option<BTreeSet<String>> {
    let list = listed(reply)?.as_array()?;
    if list
        .iter()
        .any(|listed| listed.get("owner").is_some() && listed.get("id").is_none())
    {
        // Summaries of owners.
        return None;
    }
    Some(
        list.iter()
            .filter_map(|t| Some(t["name"].as_str()?.to_owned()))
            .collect(),
    )
}

/// Drops topologies of other cases, of which nobody recorded how they ended.
fn only_topologies(reply: &mut Value, names: &BTreeSet<String>) {
    if let Some(list) = listed_mut(reply).and_then(Value::as_array_mut) {
        list.retain(|t| t["name"].as_str().is_none_or(|name| names.contains(name)));
    }
}

fn listed(reply: &Value) -> Option<&Value> {
    let success = reply.get("success")?;
    match success.get("topologies") {
        Some(topologies) => Some(topologies),
        None => success.is_array().then_some(success),
    }
}

fn listed_mut(reply: &mut Value) -> Option<&mut Value> {
    let success = reply.get_mut("success")?;
    if success.get("topologies").is_some() {
        return success.get_mut("topologies");
    }
    success.is_array().then_some(success)
}

/// Whether a reply is the content of a topology's own blob, which each server writes in its form.
fn is_packed(reply: &Value) -> bool {
    let content = reply.pointer("/success/$bin").and_then(Value::as_str);
    // gzip, Zstandard, zip.
    content.is_some_and(|hex| {
        ["1f8b", "28b52ffd", "504b"]
            .iter()
            .any(|m| hex.starts_with(m))
    })
}

/// Why we answer otherwise on purpose.
fn deliberate(expected: &Value, found: &Value) -> Option<&'static str> {
    let text = |reply: &Value| {
        let exception = &reply["exception"];
        let text = exception.get("msg").or_else(|| exception.get("message"));
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (theirs, ours) = (text(expected), text(found));
    let accepted = |reply: &Value| *reply == json!({});
    if is_packed(expected) && is_packed(found) && expected != found {
        return Some("a topology's own blobs hold other jars, confs and compressions");
    }
    if accepted(found) && theirs.contains("could not find a configured compatible version") {
        return Some("a topology of any Storm version is accepted");
    }
    if accepted(found) && theirs == "Internal error processing submitTopology" {
        return Some("an empty conf and an empty version are accepted: clients send them");
    }
    if accepted(expected) && ours.contains("uses the shared memory") {
        return Some("undeclared shared memory is refused: Storm's scheduler dies of it");
    }
    if accepted(expected) && ours.contains("cannot run: ") {
        return Some("what no worker of ours can run is refused at submit");
    }
    if accepted(expected) && ours.contains("stormwire.topology.executors.max") {
        return Some("the number of executors has a limit");
    }
    None
}

/// Whether a reply lists a topology as inactive.
fn is_inactive(reply: &Value, name: &str) -> bool {
    let listed = listed(reply)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut of_name = listed.filter(|topology| topology["name"] == json!(name));
    of_name.any(|topology| topology["status"] == json!("INACTIVE"))
}

/// A saved conf as it could be submitted: Storm saves one key in a form that it does not accept.
fn submittable(saved: &str) -> String {
    let mut conf: Value = serde_json::from_str(saved).expect("JSON");
    if let Some(Value::Object(register)) = conf.get("topology.kryo.register") {
        let entry = |(class, by): (&String, &Value)| match by {
            Value::Null => json!(class),
            by => json!({class: by}),
        };
        conf["topology.kryo.register"] = register.iter().map(entry).collect();
    }
    conf.to_string()
}

/// The topology that a request is about.
fn subject(arguments: &Value) -> Option<String> {
    let key = arguments["key"].as_str().and_then(topology_key);
    let id = arguments["id"]
        .as_str()
        .or(arguments["topology_id"].as_str())
        .or(key.map(|(id, _)| id));
    let id = id.and_then(name_of);
    let name = arguments["name"].as_str();
    id.or(name)
        .map(|name| name_of(name).unwrap_or(name).to_owned())
}

/// Code and conf of topologies that the recording shows but whose submission it lacks.
fn seeds(contract: &Contract, here: &[&Value], elsewhere: &[&Value]) -> BTreeMap<String, Seed> {
    let mut seeds: BTreeMap<String, Seed> = BTreeMap::new();
    let mut submitted = BTreeSet::new();
    for (at, line) in here.iter().chain(elsewhere).enumerate() {
        let is_here = at < here.len();
        let method = line["method"].as_str().unwrap_or_default();
        if !METHODS_OF_SEEDS.contains(&method) {
            continue;
        }
        let request = fixtures::base64(line["request_b64"].as_str().expect("a frame"));
        let Some(name) = subject(&contract.arguments(&request[4..]).1) else {
            continue;
        };
        if method.starts_with("submitTopology") {
            if is_here {
                submitted.insert(name);
            }
            continue;
        }
        let reply = fixtures::base64(line["reply_b64"].as_str().expect("a frame"));
        let Some(found) = contract.reply(method, &reply[4..]).get("success").cloned() else {
            continue;
        };
        let seed = seeds.entry(name).or_default();
        match method {
            "getUserTopology" => seed.code.get_or_insert(found),
            _ => seed.conf.get_or_insert(found),
        };
    }
    seeds.retain(|name, _| !submitted.contains(name));
    seeds
}

/// Maps of amounts by the names of resources.
const OF_RESOURCES: [&str; 6] = [
    "requested_generic_resources",
    "assigned_generic_resources",
    "used_generic_resources",
    "total_resources",
    "resources_map",
    "resources",
];
const METHODS_OF_SEEDS: [&str; 4] = [
    "submitTopology",
    "submitTopologyWithOpts",
    "getUserTopology",
    "getTopologyConf",
];
/// In this order within one recording.
const FILES: [&str; 9] = [
    "submit-java",
    "operations-java",
    "validation",
    "streamparse",
    "apache-python",
    "reads-java",
    "reads-python",
    "blobs-java",
    "resource-aware",
];
