//! Runs a Java main class with Storm's client library, with the properties that Storm's script
//! sets, so that StormSubmitter in it finds the jar, the options and Nimbus.
//!
//! The library is the user's, of whatever version the topology was built for; nothing of it comes
//! with us.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::ConfArgs;
use super::daemon::say;
use super::words::Words;
use crate::conf::{Conf, find, keys};
use crate::percent::quote_plus;

/// What to run.
pub struct Main<'w> {
    pub jar: &'w str,
    pub class: &'w str,
    pub arguments: &'w [String],
    pub words: &'w Words,
}

/// Storm's client library, and where it was found.
struct Library {
    /// What `storm.home` is to say.
    home: PathBuf,
    class_path: Vec<PathBuf>,
}

/// Runs it in the place of this process, so that its exit code is ours. Returns only if that fails.
pub fn run(main: &Main<'_>) -> Result<i32> {
    let java = java()?;
    let conf = main.words.conf.conf()?;
    if !Path::new(main.jar).is_file() {
        bail!("{}: there is no such jar", main.jar);
    }
    let library = library(main, &conf)?;
    let mut command = Command::new(&java);
    command.arg("-client");
    for (property, value) in properties(main, &conf, &library)? {
        command.arg(format!("-D{property}={value}"));
    }
    command.arg("-cp").arg(class_path(main, &library));
    command.args(split(
        &environment("STORM_JAR_JVM_OPTS").unwrap_or_default(),
    )?);
    let dependencies = main.words.option("jars");
    command
        .arg(format!("-Dstorm.jar={}", main.jar))
        .arg(format!("-Dstorm.dependency.jars={dependencies}"))
        .arg("-Dstorm.dependency.artifacts={}")
        .arg(main.class)
        .args(main.arguments);
    tracing::debug!(?command, "the main class takes our place");
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", java.display()))
}

/// `stormwire classpath`: what stands before a topology's own jar.
pub fn show_class_path(args: &ConfArgs, is_of_server: bool) -> Result<i32> {
    let library = find_library("", &args.conf()?, is_of_server)?;
    say(joined(&library.class_path));
    Ok(0)
}

fn properties(
    main: &Main<'_>,
    conf: &Conf,
    library: &Library,
) -> Result<Vec<(&'static str, String)>> {
    let home = &library.home;
    let logs = conf.text(keys::STORM_LOG_DIR)?;
    let logs = logs.filter(|dir| !dir.is_empty());
    let config = main.words.conf.config.as_deref();
    Ok(vec![
        ("daemon.name", String::new()),
        ("storm.options", options(&main.words.conf.settings, conf)?),
        ("storm.home", home.display().to_string()),
        (
            keys::STORM_LOG_DIR,
            logs.unwrap_or_else(|| home.join("logs").display().to_string()),
        ),
        (
            keys::JAVA_LIBRARY_PATH,
            conf.text_or(keys::JAVA_LIBRARY_PATH, "")?,
        ),
        (
            "storm.conf.file",
            config.map_or_else(String::new, |path| path.display().to_string()),
        ),
    ])
}

/// The settings, each quoted as in a URL. The host that clients before 1.0 were given has no
/// meaning for later ones, which get it as the one seed.
fn options(settings: &[String], conf: &Conf) -> Result<String> {
    let mut options: Vec<String> = settings.iter().map(|setting| quote_plus(setting)).collect();
    if let Some(host) = conf.text(keys::NIMBUS_HOST)? {
        let seeds = serde_json::json!([host]);
        options.push(quote_plus(&format!("{}={seeds}", keys::NIMBUS_SEEDS)));
    }
    Ok(options.join(","))
}

fn class_path(main: &Main<'_>, library: &Library) -> String {
    let mut entries = library.class_path.clone();
    entries.push(main.jar.into());
    // Where Storm's client looks for storm.yaml: the file that this program would read.
    if main.words.conf.config.is_none()
        && let Some(found) = find("storm.yaml")
        && let Some(dir) = found.parent()
    {
        entries.push(dir.to_owned());
    }
    let dependencies = main.words.option("jars").split(',');
    entries.extend(
        dependencies
            .filter(|jar| !jar.is_empty())
            .map(PathBuf::from),
    );
    joined(&entries)
}

fn joined(entries: &[PathBuf]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|entry| entry.display().to_string())
        .collect();
    entries.join(":")
}

fn library(main: &Main<'_>, conf: &Conf) -> Result<Library> {
    let is_of_server = main.words.has(SERVER_CLASS_PATH);
    find_library(main.words.option(CLIENT_JARS), conf, is_of_server)
}

/// The first of these places that has it: the one named, the conf's, the environment's, and beside
/// this program, where an unpacked Storm has its `bin`.
fn find_library(named: &str, conf: &Conf, is_of_server: bool) -> Result<Library> {
    let configured = conf.text(keys::STORMWIRE_JAVA_CLIENT_JARS)?;
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let places = [
        Some(named.to_owned()).filter(|named| !named.is_empty()),
        configured,
        environment("STORM_HOME"),
        environment("STORM_BASE_DIR"),
        beside
            .and_then(Path::parent)
            .map(|dir| dir.display().to_string()),
    ];
    let folders: &[&str] = match is_of_server {
        true => &["lib", ""],
        false => &["lib-worker", "lib", ""],
    };
    let places: Vec<PathBuf> = places.into_iter().flatten().map(PathBuf::from).collect();
    for place in &places {
        for folder in folders.iter().map(|folder| place.join(folder)) {
            if has_library(&folder) {
                return Ok(Library::new(place, &folder));
            }
        }
    }
    let looked: Vec<String> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    let looked = looked.join(", ");
    bail!(
        "a Java main class needs Storm's client library, which is in none of: {looked}. Unpack a \
         release of Apache Storm and set STORM_HOME to it, or have Maven fetch the library and \
         name the folder with --client-jars (or {}):\n{HOW_TO_FETCH}",
        keys::STORMWIRE_JAVA_CLIENT_JARS
    )
}

/// By the jar that has StormSubmitter: storm-client since 2.0, storm-core before.
fn has_library(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .any(|name| {
            let is_library = name.starts_with("storm-client") || name.starts_with("storm-core");
            is_library && name.ends_with(".jar")
        })
}

/// `JAVA_HOME`'s, else the one on the path.
fn java() -> Result<PathBuf> {
    if let Some(home) = environment("JAVA_HOME") {
        let java = Path::new(&home).join("bin/java");
        if !java.is_file() {
            bail!("JAVA_HOME is {home}, but there is no {}", java.display());
        }
        return Ok(java);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join("java"));
    found.find(|java| java.is_file()).context(
        "a Java main class needs a JVM, and no `java` is on the path: install a JDK (17 or later \
         for Storm 2.8) or set JAVA_HOME",
    )
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Words as a shell splits them: blanks, quotes and backslashes, nothing else.
fn split(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        bail!("STORM_JAR_JVM_OPTS: a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

// === impl Library ===

impl Library {
    fn new(home: &Path, folder: &Path) -> Self {
        let mut class_path = vec![home.to_owned(), folder.join("*")];
        let more = home.join("extlib");
        if more.is_dir() {
            class_path.push(more.join("*"));
        }
        class_path.extend(environment("STORM_EXT_CLASSPATH").map(PathBuf::from));
        class_path.dedup_by(|a, b| a.as_os_str() == OsStr::new("") && a == b);
        Library {
            home: home.to_owned(),
            class_path,
        }
    }
}

/// Our option that names the library's folder.
pub const CLIENT_JARS: &str = "client-jars";
/// Storm's option for the class path of daemons.
pub const SERVER_CLASS_PATH: &str = "storm-server-classpath";
/// Three steps, since Maven copies what a published library needs, and not the library itself.
const HOW_TO_FETCH: &str = "  \
    mvn dependency:get -Dartifact=org.apache.storm:storm-client:2.8.3\n  \
    mvn -f ~/.m2/repository/org/apache/storm/storm-client/2.8.3/storm-client-2.8.3.pom \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$HOME/storm-client\n  \
    cp ~/.m2/repository/org/apache/storm/storm-client/2.8.3/storm-client-2.8.3.jar ~/storm-client";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_as_in_a_url() {
        let settings = ["a.b=x y,z".to_owned(), "c={\"d\": [1]}".to_owned()];
        let quoted = options(&settings, &Conf::new()).expect("text");
        assert_eq!(quoted, "a.b%3Dx+y%2Cz,c%3D%7B%22d%22%3A+%5B1%5D%7D");
        let host = Conf::new().with(keys::NIMBUS_HOST, "h");
        let quoted = options(&[], &host).expect("text");
        assert_eq!(quoted, "nimbus.seeds%3D%5B%22h%22%5D");
    }

    #[test]
    fn options_of_the_jvm_split_as_in_a_shell() {
        for (text, expected) in [
            ("", vec![]),
            (" -Xmx1g  -Da=b ", vec!["-Xmx1g", "-Da=b"]),
            (
                r#"-Da="b c" '-Dd="e"' f\ g"#,
                vec!["-Da=b c", "-Dd=\"e\"", "f g"],
            ),
            ("''", vec![""]),
        ] {
            assert_eq!(split(text).expect("sound"), expected, "{text}");
        }
        assert!(split("'open").is_err());
    }

    #[test]
    fn the_library_is_known_by_its_jar() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().display().to_string();
        let conf = Conf::new().with(keys::STORMWIRE_JAVA_CLIENT_JARS, home.as_str());
        let refused = find_library(&home, &conf, false).err().expect("none");
        for text in [&home, "STORM_HOME", "--client-jars", "storm-client:2.8.3"] {
            assert!(refused.to_string().contains(text), "{refused}");
        }
        for folder in ["lib", "lib-worker"] {
            std::fs::create_dir(dir.path().join(folder)).expect("room");
            std::fs::write(dir.path().join(folder).join("storm-client-2.jar"), "").expect("room");
        }
        for (is_of_server, folder) in [(false, "lib-worker/*"), (true, "lib/*")] {
            let library = find_library("", &conf, is_of_server).expect("there");
            assert!(library.class_path.contains(&dir.path().join(folder)));
        }
    }
}
