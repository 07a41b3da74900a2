//! `jar` and `local`: a topology that a jar's main class builds.
//!
//! Flux is read here, without a JVM. Any other main class is Java's: it runs as Storm's script runs
//! it (`java`), and its StormSubmitter hands the topology to Nimbus over Thrift.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::ClientArgs;
use super::java::{self, Main};
use super::words::Words;

/// A jar, its main class and the words for both.
#[derive(Debug, Args)]
pub struct JarArgs {
    /// JAR MAIN-CLASS ARGUMENT..., and among them: -c KEY=VALUE, --config FILE, --jars A.jar,B.jar
    /// (jars that the topology needs beside its own), --storm-server-classpath (the class path of
    /// daemons), --client-jars DIR (Storm's client library; else stormwire.java.client.jars,
    /// $STORM_HOME, $STORM_BASE_DIR).
    #[arg(value_name = "JAR MAIN-CLASS ARGUMENT")]
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// `stormwire jar`. A Java main class takes the place of this process.
pub fn jar(args: &JarArgs) -> Result<i32> {
    let words = Words::read(&args.words, &VALUED, &FLAGS)?;
    let Some((jar, class, rest)) = parts(&words.rest) else {
        bail!("a jar and a main class are needed: jar JAR MAIN-CLASS ARGUMENT...");
    };
    if FLUX.contains(&class) {
        return flux(jar, rest, &words);
    }
    if !words.option("artifacts").is_empty() {
        bail!(
            "--artifacts: nothing here fetches Maven's artifacts; fetch them (`mvn \
             dependency:copy-dependencies`) and give the files with --jars"
        );
    }
    java::run(&Main {
        jar,
        class,
        arguments: rest,
        words: &words,
    })
}

/// `stormwire local`.
pub fn local(args: &JarArgs) -> Result<i32> {
    let words = Words::read(&args.words, &VALUED, &FLAGS)?;
    let Some((jar, class, rest)) = parts(&words.rest) else {
        bail!("a jar and a main class are needed: local JAR MAIN-CLASS ARGUMENT...");
    };
    if !FLUX.contains(&class) {
        bail!(
            "{class}: Storm's local cluster runs Java components in its own JVM, which is not \
             there; start `stormwire dev` and submit with `jar`"
        );
    }
    // As Storm's Flux since 2.0, where the verb decides.
    let is_place = |word: &str| ["-l", "--local", "-r", "--remote"].contains(&word);
    let mut rest: Vec<String> = rest
        .iter()
        .filter(|word| !is_place(word))
        .cloned()
        .collect();
    rest.push("--local".to_owned());
    let secs = match words.has(LOCAL_TTL) {
        true => words.option(LOCAL_TTL).parse().with_context(|| {
            let given = words.option(LOCAL_TTL);
            format!("--{LOCAL_TTL} {given}: not a number of seconds")
        })?,
        false => LOCAL_TTL_SECS,
    };
    let ms = secs.saturating_mul(1_000).to_string();
    // Before Flux's own words: a `--sleep` among them counts.
    rest.splice(0..0, ["--sleep".to_owned(), ms]);
    flux(jar, &rest, &words)
}

fn parts(words: &[String]) -> Option<(&str, &str, &[String])> {
    let [jar, class, rest @ ..] = words else {
        return None;
    };
    Some((jar, class, rest))
}

/// Flux's own words are read where `stormwire flux` reads them.
fn flux(jar: &str, rest: &[String], words: &Words) -> Result<i32> {
    let client = ClientArgs {
        conf: words.conf.clone(),
        nimbus: None,
    };
    super::flux::main(Path::new(jar), rest, client)
}

/// How long `local` runs when nobody says: Storm's default.
const LOCAL_TTL_SECS: u64 = 20;
/// Flux's main class, now and before 1.0.
const FLUX: [&str; 2] = ["org.apache.storm.flux.Flux", "backtype.storm.flux.Flux"];
/// Storm's options with a value.
const VALUED: [&str; 11] = [
    "jars",
    "artifacts",
    "artifactRepositories",
    "mavenLocalRepositoryDirectory",
    "proxyUrl",
    "proxyUsername",
    "proxyPassword",
    LOCAL_TTL,
    "java-debug",
    "local-zookeeper",
    java::CLIENT_JARS,
];
const FLAGS: [&str; 1] = [java::SERVER_CLASS_PATH];
/// Seconds that a local cluster lives.
const LOCAL_TTL: &str = "local-ttl";
