//! `stormwire flux`, and what `storm jar JAR org.apache.storm.flux.Flux` is here: runs, submits or
//! shows a topology that YAML files describe.
//!
//! The options are those of Storm's Flux. `--local` and `--remote` do what they did in Storm 1 and
//! what streamparse expects; Storm 2 ignores them, and whoever gives neither submits, as there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};

use super::ClientArgs;
use super::daemon::{complain, say};
use super::local::LocalRun;
use super::submit::{self, Files, Submission};
use crate::component::{factory, registry};
use crate::conf::Conf;
use crate::flux::{self, Details, Filter, Options, Source};
use crate::topology::validate;

/// What to run or submit.
#[derive(Debug, Args)]
pub struct FluxArgs {
    /// The YAML file; a jar may come before it, as after --jar.
    #[arg(value_name = "[JAR] FILE", num_args = 1..=2, required = true)]
    files: Vec<PathBuf>,
    /// A zip or jar with a `resources/` folder: what shell components run.
    #[arg(long, value_name = "FILE")]
    jar: Option<PathBuf>,
    /// A directory with what shell components run, instead of a jar. It becomes their working
    /// directory.
    #[arg(long, value_name = "DIR", conflicts_with = "jar")]
    resources: Option<PathBuf>,
    #[command(flatten)]
    options: FluxOptions,
    #[command(flatten)]
    client: ClientArgs,
}

/// The options of Storm's Flux.
#[derive(Debug, Args)]
pub struct FluxOptions {
    /// Run the topology here, in a cluster of its own, for as long as --sleep says.
    #[arg(short, long, conflicts_with = "remote")]
    local: bool,
    /// Submit the topology to Nimbus; the same as neither.
    #[arg(short, long)]
    remote: bool,
    /// Check and show the topology, and do no more.
    #[arg(short, long)]
    dry_run: bool,
    /// Put the properties of a file in where the YAML says ${name}.
    #[arg(short, long, value_name = "FILE")]
    filter: Option<PathBuf>,
    /// Put variables of the environment in where the YAML says ${ENV-NAME}.
    #[arg(short, long)]
    env_filter: bool,
    /// Submit it deactivated.
    #[arg(short, long)]
    inactive: bool,
    /// Read the YAML file, and that of --filter, out of the jar.
    #[arg(short = 'R', long)]
    resource: bool,
    /// With --local, end after so many milliseconds.
    #[arg(short, long, value_name = "MS", default_value_t = SLEEP_MS)]
    sleep: u64,
    /// Do not print the topology.
    #[arg(short = 'q', long)]
    no_detail: bool,
    /// Without effect: there is no banner.
    #[arg(short, long)]
    no_splash: bool,
    /// Without effect: there is no ZooKeeper.
    #[arg(short, long, value_name = "HOST:PORT")]
    zookeeper: Option<String>,
}

/// What stands behind Flux's class on the command line of `storm jar`.
#[derive(Debug, Parser)]
#[command(
    name = "storm jar JAR org.apache.storm.flux.Flux",
    no_binary_name = true
)]
struct FluxMain {
    /// The topology's YAML file.
    file: PathBuf,
    #[command(flatten)]
    options: FluxOptions,
}

/// A definition and how to go about it.
struct Run {
    file: PathBuf,
    files: Files,
    options: FluxOptions,
    client: ClientArgs,
}

/// `stormwire flux`.
pub fn run(args: FluxArgs) -> Result<i32> {
    let mut files = Files {
        jar: args.jar,
        resources: args.resources,
    };
    let file = match <[PathBuf; 2]>::try_from(args.files) {
        Ok([jar, file]) => {
            if files.jar.is_some() || files.resources.is_some() {
                bail!(
                    "{} stands where a jar may: give one jar or directory",
                    jar.display()
                );
            }
            files.jar = Some(jar);
            file
        }
        Err(files) => files.into_iter().next().context("no YAML file is given")?,
    };
    let run = Run {
        file,
        files,
        options: args.options,
        client: args.client,
    };
    run.run()
}

/// `storm jar JAR org.apache.storm.flux.Flux ARGS`: what Flux's main does, without Java.
pub fn main(jar: &Path, args: &[String], client: ClientArgs) -> Result<i32> {
    let parsed = match FluxMain::try_parse_from(args) {
        Ok(parsed) => parsed,
        Err(error) => {
            error.print()?;
            return Ok(1);
        }
    };
    let run = Run {
        file: parsed.file,
        files: Files {
            jar: Some(jar.to_owned()),
            resources: None,
        },
        options: parsed.options,
        client,
    };
    run.run()
}

// === impl Run ===

impl Run {
    fn run(self) -> Result<i32> {
        let definition = self.read()?;
        for warning in &definition.warnings {
            complain(format_args!("warning: {warning}"));
        }
        let name = definition.name.clone();
        let name = name.context("the topology has no name: give it a `name:` line")?;
        if !self.options.no_detail {
            say(Details::of(&definition, &name));
        }
        let settings = submit::settings(&self.client.conf)?;
        if self.options.dry_run {
            let conf = Conf::defaults()
                .overlay(&definition.conf)
                .overlay(&settings);
            validate::name(Some(&name))?;
            validate::structure(&definition.topology)?;
            factory::check(&definition.topology, &conf)?;
            return Ok(0);
        }
        let submission = Submission {
            name: name.clone(),
            conf: definition.conf,
            topology: definition.topology,
            jar: self.files.pack()?,
            status: submit::status(self.options.inactive),
        };
        if self.options.local {
            let run = LocalRun {
                name: &name,
                submission,
                settings,
                span: Some(Duration::from_millis(self.options.sleep)),
                known_class: registry::knows,
                log_level: LOG_LEVEL,
            };
            return run.run();
        }
        let submission = Submission {
            conf: submission.conf.overlay(&settings),
            ..submission
        };
        submit::send(&self.client, &submission)?;
        Ok(0)
    }

    fn read(&self) -> Result<flux::Definition> {
        let source = |path: &Path| match self.options.resource {
            true => Source::Resource(path.display().to_string()),
            false => Source::File(path.to_owned()),
        };
        let resources = |name: &str| self.files.resource(name);
        let mut options = Options {
            filter: Filter::default(),
            resources: Some(&resources),
        };
        let properties = match &self.options.filter {
            Some(path) => Some(flux::read_properties(&source(path), &options)?),
            None => None,
        };
        let environment = |name: &str| std::env::var(name).ok();
        options.filter = Filter {
            properties: properties.as_ref(),
            environment: match self.options.env_filter {
                true => Some(&environment),
                false => None,
            },
        };
        Ok(flux::read(&source(&self.file), &options)?)
    }
}

/// Storm's.
const SLEEP_MS: u64 = 60_000;

/// What goes wrong, and what components log: bolts that print tuples, and children's log lines and
/// standard error.
const LOG_LEVEL: &str = "warn,stormwire::component::native=info,\
                         stormwire::component::shell::report=info,\
                         stormwire::component::shell::stderr=info";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> FluxMain {
        FluxMain::try_parse_from(args).expect("options of Flux")
    }

    #[test]
    fn the_options_are_those_of_storms_flux() {
        let long = parse(&[
            "--local",
            "--no-splash",
            "--sleep",
            "9223372036854775807",
            "t.yaml",
        ]);
        assert!(long.options.local && long.options.no_splash && !long.options.remote);
        assert_eq!(long.options.sleep, i64::MAX.unsigned_abs());
        assert_eq!(long.file, Path::new("t.yaml"));
        let short = parse(&[
            "t.yaml", "-r", "-d", "-e", "-i", "-q", "-n", "-R", "-f", "p",
        ]);
        let options = short.options;
        assert!(options.remote && options.dry_run && options.env_filter && options.inactive);
        assert!(options.no_detail && options.no_splash && options.resource);
        assert_eq!(options.filter.as_deref(), Some(Path::new("p")));
        assert_eq!(options.sleep, 60_000);
        let storm_1 = parse(&["-l", "-s", "5", "-z", "localhost:2181", "t.yaml"]);
        assert!(storm_1.options.local && storm_1.options.sleep == 5);
        assert!(FluxMain::try_parse_from(["-l", "-r", "t.yaml"]).is_err());
        assert!(FluxMain::try_parse_from([""; 0]).is_err());
    }
}
