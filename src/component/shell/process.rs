//! Starts one child as a process group of its own, and leaves a record of it for whoever has to
//! clean up after this worker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use serde_json::{Map, Value};
use tokio::process::{Child, Command};

use crate::component::TaskContext;
use crate::conf::{Conf, ConfError, keys};
use crate::process::Process;
use crate::wire;
use crate::wire::messages::ProcessRecord;
use crate::wire::storm::ShellComponent;

/// How the children of one task are started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Program and arguments: none is split, no shell is involved.
    argv: Vec<String>,
    /// `resources`, where the topology's jar was unpacked; none: where the worker runs.
    directory: Option<PathBuf>,
    environment: BTreeMap<String, String>,
    pid_dir: PathBuf,
    groups_dir: PathBuf,
    component: String,
}

/// A child that was started.
pub struct Started {
    pub child: Child,
    pub process: Process,
    record: PathBuf,
    pid_file: PathBuf,
}

// === impl Program ===

impl Program {
    pub fn new(context: &TaskContext, component: &ShellComponent) -> Result<Self, ConfError> {
        let (place, conf) = (context.place(), context.conf());
        let argv = [&component.execution_command, &component.script];
        let mut argv: Vec<String> = argv.into_iter().flatten().cloned().collect();
        argv.extend(conf.texts(keys::STORMWIRE_SHELL_ARGUMENTS)?);
        let resources = place.code_dir.join("resources");
        let environment = environment(conf, &resources);
        let changes = conf.flag(keys::STORMWIRE_SHELL_CHANGE_DIRECTORY)?;
        Ok(Program {
            argv,
            environment: with_own(environment, conf.map(keys::STORMWIRE_SHELL_ENVIRONMENT)),
            directory: changes.unwrap_or(true).then_some(resources),
            pid_dir: place.pid_dir.clone(),
            groups_dir: place.groups_dir.clone(),
            component: context.component().to_string(),
        })
    }

    /// Starts a child. Must be called within a tokio runtime. The error names what is missing and
    /// where to mend it.
    pub fn start(&self) -> Result<Started, String> {
        let (program, args) = match self.argv.split_first() {
            Some((program, args)) if !program.is_empty() => (program, args),
            _ => {
                return Err(format!(
                    "component {} has no execution_command",
                    self.component
                ));
            }
        };
        let mut command = Command::new(program);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
            .args(args)
            .envs(&self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|error| self.explain(program, &error))?;
        self.record(child)
    }

    fn record(&self, mut child: Child) -> Result<Started, String> {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let Some(process) = pid.and_then(Process::of_child) else {
            return Err("nothing is known of the child that was started".to_owned());
        };
        let record = self.groups_dir.join(process.pid.to_string());
        if let Err(error) = write_record(&record, process) {
            let _ = child.start_kill();
            return Err(format!(
                "cannot record its process group in {}: {error}",
                record.display()
            ));
        }
        let pid_file = self.pid_dir.join(process.pid.to_string());
        Ok(Started {
            child,
            process,
            record,
            pid_file,
        })
    }

    fn explain(&self, program: &str, error: &io::Error) -> String {
        let component = &self.component;
        if let Some(directory) = self.directory.as_ref().filter(|path| !path.is_dir()) {
            return format!(
                "{error}: its directory {} is not there",
                directory.display()
            );
        }
        let path = self.environment.get(PATH).cloned();
        let path = path
            .or_else(|| std::env::var(PATH).ok())
            .unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => format!(
                "program `{program}` of component {component} is not found in PATH ({path}): \
                 install it on this machine, add its directory to PATH in topology.environment, \
                 or name another execution_command"
            ),
            io::ErrorKind::PermissionDenied => format!(
                "program `{program}` of component {component} is not executable ({error}): set its \
                 executable bit in the jar, or name an interpreter as execution_command"
            ),
            _ => format!("program `{program}` of component {component}: {error}"),
        }
    }
}

// === impl Started ===

impl Started {
    /// Ends what is left of the group, be it the child itself, and forgets it.
    pub fn clean_up(&self) {
        crate::process::kill_group(self.process);
        for path in [&self.pid_file, &self.record] {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove a child's file");
            }
        }
    }
}

fn write_record(path: &Path, process: Process) -> io::Result<()> {
    let record = ProcessRecord {
        pid: process.pid,
        start_ticks: process.start_ticks,
    };
    // Whole or not at all: the supervisor may read it at any moment.
    let next = path.with_extension("next");
    fs::write(&next, wire::to_bytes(&record).map_err(io::Error::other)?)?;
    fs::rename(next, path)
}

/// What the child's environment has beside the worker's.
fn environment(conf: &Conf, directory: &Path) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let of_topology = conf.map(keys::TOPOLOGY_ENVIRONMENT).into_iter().flatten();
    environment.extend(of_topology.filter_map(variable));
    // Native libraries that come with the topology are found before the machine's.
    let platform = format!("Linux-{}", java_architecture());
    let mut libraries = vec![
        directory.join(platform).to_string_lossy().into_owned(),
        directory.to_string_lossy().into_owned(),
    ];
    libraries.extend(conf.text(keys::JAVA_LIBRARY_PATH).ok().flatten());
    libraries.extend(environment.remove("LD_LIBRARY_PATH"));
    environment.insert("LD_LIBRARY_PATH".to_owned(), libraries.join(":"));
    environment
}

/// Adds the component's own variables. They go before others, but for `PATH`: what it adds is
/// searched last, as in Storm.
fn with_own(
    mut environment: BTreeMap<String, String>,
    own: Option<&Map<String, Value>>,
) -> BTreeMap<String, String> {
    for (name, mut value) in own.into_iter().flatten().filter_map(variable) {
        if name == PATH {
            let before = environment.get(PATH).cloned();
            let before = before.or_else(|| std::env::var(PATH).ok());
            value = before.map_or(value.clone(), |before| format!("{before}:{value}"));
        }
        environment.insert(name, value);
    }
    environment
}

/// A variable as text; null is none.
fn variable((name, value): (&String, &Value)) -> Option<(String, String)> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    Some((name.clone(), text))
}

/// The name that Java has for this architecture.
fn java_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

const PATH: &str = "PATH";
