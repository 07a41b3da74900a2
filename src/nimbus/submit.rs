//! Submitting a topology: every check in Storm's order, then blobs, then one commit.
//!
//! A submission that fails leaves nothing; one that a crash cuts short is cleared at the next
//! start. Places nothing itself: a round is asked for at once.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::blobs::{BlobClient, Blobs};
use super::credentials;
use super::fault::Fault;
use super::jar;
use super::leader::{ChangeError, Edit, Leader, lock};
use super::plan::{BlobKeys, Plan};
use super::program;
use super::state::{Controls, Topology};
use super::tokens::Tokens;
use super::transition::Lifecycle;
use super::uploads::LocationError;
use crate::auth::link_conf::LinkEncryption;
use crate::blob::BlobKeyError;
use crate::blob::acl;
use crate::clock;
use crate::component::factory;
use crate::conf::{Conf, keys, validate};
use crate::id::TopologyId;
use crate::messaging::packing::Packing;
use crate::topology;
use crate::wire::storm::{
    Credentials, SettableBlobMeta, StormBase, StormTopology, SubmitOptions, TopologyInitialStatus,
    TopologyStatus,
};

/// A submission as it came.
pub(crate) struct Submission {
    pub name: Option<String>,
    pub location: Option<String>,
    pub json_conf: Option<String>,
    pub topology: Option<StormTopology>,
    pub options: Option<SubmitOptions>,
    pub submitter: Submitter,
    /// What the submitter is to blobs.
    pub client: BlobClient,
}

/// A submission that passed every check.
struct Accepted {
    name: String,
    submitter: Submitter,
    plan: Plan,
    jar: Option<File>,
    status: TopologyStatus,
    credentials: Option<Credentials>,
}

/// Whose topology it will be, whatever its conf says.
pub(crate) struct Submitter {
    /// Empty on the simple transport.
    principal: String,
    user: String,
}

/// Keeps a name while its topology is on its way.
struct Reservation<'a> {
    names: &'a Mutex<BTreeSet<String>>,
    name: String,
}

/// Accepts a topology or says why not. On return it is on disk and about to be placed.
pub(crate) async fn submit(leader: Arc<Leader>, submission: Submission) -> Result<(), Fault> {
    let checking = Arc::clone(&leader);
    // Checks and blobs are work for a processor and a disk.
    let checked = tokio::task::spawn_blocking(move || check(&checking, submission));
    let accepted = checked.await??;
    let reservation = Reservation::new(&leader, &accepted.name)?;
    let writing = Arc::clone(&leader);
    let written = tokio::task::spawn_blocking(move || {
        let id = free_id(&writing, &accepted.name);
        write_blobs(&writing, &id, accepted)
    });
    let topology = written.await??;
    let (id, name) = (topology.id.clone(), reservation.name.clone());
    let added = leader.change(|state| match state.by_name(&name) {
        Some(_) => Err(already_alive(&name)),
        None => add(&leader.tokens, topology),
    });
    match added.await {
        Ok(()) => {}
        // The record may be on disk, and would be nothing without them; if it is not, they go at
        // the next start.
        Err(fault @ Fault::Undecided(_)) => return Err(fault),
        Err(fault) => {
            let removing = Arc::clone(&leader);
            tokio::task::spawn_blocking(move || remove_blobs(&removing, &id)).await?;
            return Err(fault);
        }
    }
    tracing::info!(topology = %id, "submitted");
    leader.schedule_soon.notify_one();
    Ok(())
}

/// Storm's steps of section 3.2, in order.
fn check(leader: &Leader, submission: Submission) -> Result<Accepted, Fault> {
    let Submission {
        name,
        location,
        json_conf,
        topology,
        options,
        submitter,
        client,
    } = submission;
    let Some(options) = options else {
        let text = "Cannot submitTopologyWithOpts: SubmitOptions parameter value is null";
        return Err(Fault::InvalidTopology(text.to_owned()));
    };
    topology::validate::name(name.as_deref())?;
    let name = name.unwrap_or_default();
    if is_taken(leader, &name) {
        return Err(already_alive(&name));
    }
    let topology = topology.ok_or_else(|| Fault::Internal(NO_TOPOLOGY.to_owned()))?;
    let submitted = read_conf(json_conf.as_deref().unwrap_or_default())?;
    let client = &client;
    Blobs { leader, client }.check_map(&submitted)?;
    topology::validate::heap(&topology, &submitted, &leader.conf)?;
    let normalised = topology::normalise::conf(&leader.conf, &submitted, &topology)?;
    // What workers run is not the daemon's: its secrets stay here.
    let daemon = crate::conf::redact::without_secrets(&leader.conf);
    let mut conf = daemon.overlay(&submitter.stamped(normalised));
    // The name of this machine is none for those where workers run.
    conf.remove(keys::STORM_LOCAL_HOSTNAME);
    check_links(&conf, &leader.conf)?;
    let user = topology::normalise::topology(&topology, &conf)?;
    if leader.settings.is_resource_aware {
        let numbers = topology::normalise::resource_aware(&user, &conf)?;
        numbers.write(&mut conf);
    }
    let plan = Plan::new(user, conf, &leader.conf)?;
    topology::validate::sizes(&plan.user, &plan.conf, &leader.conf)?;
    if let Some(creds) = &options.creds {
        credentials::check_size(creds)?;
    }
    topology::validate::runnable(&plan.user, &leader.known_class)?;
    let runs = factory::check(&plan.user, &plan.conf);
    runs.map_err(|error| Fault::InvalidTopology(error.to_string()))?;
    topology::validate::name_length(&name)?;
    // Storm finds out here that it cannot name a blob after the topology, and says nothing.
    topology::validate::storable_name(&name).map_err(|error| Fault::Internal(error.to_string()))?;
    let jar = location
        .map(|location| open_jar(leader, &location))
        .transpose()?;
    let runs = program::check(leader, &plan.user, jar.as_ref());
    runs.map_err(|error| Fault::InvalidTopology(error.to_string()))?;
    Ok(Accepted {
        name,
        submitter,
        plan,
        jar,
        status: match options.initial_status.known() {
            Some(TopologyInitialStatus::Inactive) => TopologyStatus::Inactive,
            _ => TopologyStatus::Active,
        },
        credentials: options.creds,
    })
}

/// What a topology asks of the links between its workers must be there.
pub(crate) fn check_links(conf: &Conf, daemon: &Conf) -> Result<(), Fault> {
    let encryption = LinkEncryption::of_topology(conf, daemon);
    encryption.map_err(|error| Fault::InvalidTopology(error.to_string()))?;
    let packing = Packing::of(conf);
    packing.map_err(|error| Fault::InvalidTopology(error.to_string()))?;
    Ok(())
}

/// Whether a topology of that name lives or is being submitted.
pub(crate) fn is_taken(leader: &Leader, name: &str) -> bool {
    leader.state().by_name(name).is_some() || lock(&leader.submitting).contains(name)
}

fn read_conf(json: &str) -> Result<Conf, Fault> {
    let conf = Conf::from_json(json).map_err(|error| Fault::Internal(error.to_string()))?;
    match validate::topology(&conf) {
        Ok(()) => Ok(conf),
        Err(violation) if violation.is_invalid_topology() => {
            Err(Fault::InvalidTopology(violation.to_string()))
        }
        Err(violation) => Err(Fault::Internal(violation.to_string())),
    }
}

fn open_jar(leader: &Leader, location: &str) -> Result<File, Fault> {
    let opened = leader
        .uploads
        .open_jar(location, keys::STORMWIRE_UPLOAD_PATH_ALLOW);
    let file = opened.map_err(|error| match error {
        LocationError::Outside { .. } => Fault::Denied(error.to_string()),
        LocationError::Unreadable { .. } => Fault::Internal(error.to_string()),
    })?;
    jar::check(&file).map_err(|error| Fault::InvalidTopology(error.to_string()))?;
    Ok(file)
}

/// `name-counter-seconds`, with the first counter that is free: Storm counts in each process from
/// 1, so that after a restart within a second the same number could come again.
fn free_id(leader: &Leader, name: &str) -> TopologyId {
    let state = leader.state();
    let secs = clock::wall_secs();
    loop {
        let id = TopologyId::from(format!("{name}-{}-{secs}", leader.next_submit()));
        if !state.topologies.contains_key(&id) {
            return id;
        }
    }
}

/// Writes the blobs of an accepted topology; nothing of them stays when one fails.
fn write_blobs(leader: &Leader, id: &TopologyId, accepted: Accepted) -> Result<Topology, Fault> {
    let Accepted {
        name,
        submitter,
        mut plan,
        jar,
        status,
        credentials,
    } = accepted;
    plan.conf.set(keys::STORM_ID, id.as_str());
    plan.conf.set(keys::TOPOLOGY_NAME, name.as_str());
    let meta = || {
        let principal = Some(submitter.principal.as_str()).filter(|name| !name.is_empty());
        Some(SettableBlobMeta {
            acl: acl::normalise(Vec::new(), principal, acl::ALL),
            replication_factor: None,
        })
    };
    let written = (|| {
        let blobs = BlobKeys::new(id).map_err(|error: BlobKeyError| internal(&error))?;
        if let Some(mut jar) = jar {
            use std::io::Seek as _;
            jar.rewind().map_err(|error| internal(&error))?;
            leader.blobs.put_from(&blobs.jar, &mut jar, meta())?;
        }
        let (code, conf) = plan.packed()?;
        leader.blobs.put_from(&blobs.conf, &mut &conf[..], meta())?;
        leader.blobs.put_from(&blobs.code, &mut &code[..], meta())?;
        Ok(())
    })();
    if let Err(fault) = written {
        remove_blobs(leader, id);
        return Err(fault);
    }
    let hints = plan.hints();
    let n_workers = plan.conf.int_or(keys::TOPOLOGY_WORKERS, 1).unwrap_or(1);
    Ok(Topology {
        executors: Arc::new(plan.executors(&hints)),
        base: StormBase {
            name,
            status: status.into(),
            num_workers: i32::try_from(n_workers).unwrap_or(i32::MAX),
            component_executors: Some(hints),
            launch_time_secs: Some(clock::wall_secs_i32()),
            owner: Some(submitter.user),
            principal: Some(submitter.principal),
            topology_version: plan.conf.text(keys::TOPOLOGY_VERSION).ok().flatten(),
            component_debug: Some(Default::default()),
            ..StormBase::default()
        },
        id: id.clone(),
        lifecycle: Lifecycle::new(status),
        plan: Some(Arc::new(plan)),
        assigned: None,
        sched_status: None,
        controls: Arc::new(Controls {
            credentials,
            ..Controls::default()
        }),
    })
}

/// Removes whatever blobs a topology has. What cannot be removed goes at the next start.
pub(crate) fn remove_blobs(leader: &Leader, id: &TopologyId) {
    let Ok(blobs) = BlobKeys::new(id) else {
        return;
    };
    for key in blobs.each() {
        match leader.blobs.delete(key) {
            Ok(()) | Err(crate::blob::BlobError::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%error, "a blob stays until the next start"),
        }
    }
}

fn add(tokens: &Tokens, topology: Topology) -> Result<(Edit, ()), Fault> {
    let mut edit = Edit::default();
    let drawn = tokens.draw(&topology, &mut edit);
    drawn.map_err(ChangeError::Record)?;
    edit.batch
        .base(&topology.id, &topology.base)
        .map_err(ChangeError::Record)?;
    if let Some(credentials) = &topology.controls.credentials {
        edit.batch
            .credentials(&topology.id, credentials)
            .map_err(ChangeError::Record)?;
    }
    edit.topologies
        .push((topology.id.clone(), Some(Arc::new(topology))));
    Ok((edit, ()))
}

fn already_alive(name: &str) -> Fault {
    Fault::AlreadyAlive(format!("{name} is already alive"))
}

fn internal(error: &dyn std::error::Error) -> Fault {
    Fault::Internal(error.to_string())
}

// === impl Submitter ===

impl Submitter {
    /// Of the local user that the caller is; without one, the user that Nimbus runs as. Storm calls
    /// the local user the principal, too.
    pub fn new(user: Option<String>) -> Self {
        let principal = user.unwrap_or_default();
        let user = match principal.as_str() {
            "" => os_user(),
            principal => principal.to_owned(),
        };
        Submitter { principal, user }
    }

    /// Whose topology it is, whatever the client said. Without a principal Storm adds a null user,
    /// and so do we: clients compare confs.
    fn stamped(&self, mut conf: Conf) -> Conf {
        let given = match conf.get(keys::TOPOLOGY_USERS) {
            Some(Value::Array(users)) => users.clone(),
            Some(Value::String(user)) => vec![Value::from(user.as_str())],
            _ => Vec::new(),
        };
        let own = match self.principal.as_str() {
            "" => Value::Null,
            principal => Value::from(principal),
        };
        let mut users: Vec<Value> = Vec::new();
        for user in given.into_iter().chain([own]) {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        conf.set(keys::TOPOLOGY_USERS, users);
        conf.set(keys::TOPOLOGY_SUBMITTER_PRINCIPAL, self.principal.as_str());
        conf.set(keys::TOPOLOGY_SUBMITTER_USER, self.user.as_str());
        conf
    }
}

fn os_user() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

// === impl Reservation ===

impl<'a> Reservation<'a> {
    fn new(leader: &'a Leader, name: &str) -> Result<Self, Fault> {
        let is_free = lock(&leader.submitting).insert(name.to_owned());
        if !is_free {
            return Err(already_alive(name));
        }
        let reservation = Reservation {
            names: &leader.submitting,
            name: name.to_owned(),
        };
        // It may have come to life between the check and here.
        match leader.state().by_name(name) {
            Some(_) => Err(already_alive(name)),
            None => Ok(reservation),
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        lock(self.names).remove(&self.name);
    }
}

const NO_TOPOLOGY: &str = "the argument `topology` is null: a StormTopology with its spouts and \
                           bolts is wanted";
