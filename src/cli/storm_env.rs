//! What Storm's command makes of its environment before it does anything: `storm-env.sh`, a script
//! that may export variables, and `storm_env.ini`, whose variables count more than the shell's:
//! `JAVA_HOME`, `STORM_JAR_JVM_OPTS` and any other.
//!
//! Read only by the name `storm`. An environment is given to a process when it starts, so the
//! program starts itself once more in its own place.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::stand_in::Name;

/// Starts the program again through the script, and once more where the file sets a variable
/// otherwise than the environment does; does nothing where there is neither.
pub fn enter(args: &[OsString]) -> Result<()> {
    if Name::of(args.first().map(OsString::as_os_str)) != Name::Storm {
        return Ok(());
    }
    let Some(directory) = directory(args) else {
        return Ok(());
    };
    let program = std::env::current_exe().context("cannot tell which file this program is")?;
    run_script(&directory.join(SCRIPT), &program, args)?;
    set_variables(&directory.join(FILE), &program, args)
}

/// Goes on below a shell that has read the script, unless that has been done.
fn run_script(path: &Path, program: &Path, args: &[OsString]) -> Result<()> {
    if !path.is_file() || std::env::var_os(SCRIPT_READ).is_some_and(|read| read == path) {
        return Ok(());
    }
    let mut shell = Command::new("bash");
    shell.args(["-c", READ_AND_GO_ON, "storm"]).arg(path);
    shell.arg(program).args(args).env(SCRIPT_READ, path);
    let error = shell.exec();
    Err(error).with_context(|| format!("cannot read {} with bash", path.display()))
}

/// Goes on with the variables of the file, if it is there and they are not set already.
fn set_variables(path: &Path, program: &Path, args: &[OsString]) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let mut variables = read(&text).with_context(|| path.display().to_string())?;
    variables.retain(|(name, value)| std::env::var_os(name).is_none_or(|now| now != **value));
    if variables.is_empty() {
        return Ok(());
    }
    let mut again = Command::new(program);
    if let Some((name, rest)) = args.split_first() {
        again.arg0(name).args(rest);
    }
    let error = again.envs(variables).exec();
    Err(error).with_context(|| format!("cannot set what {} says", path.display()))
}

/// The directory of Storm's settings, as its script has it: of a `--config` in front of the
/// verb, `STORM_CONF_DIR`, or `conf` beside the program's `bin`. Not in the working directory,
/// where anybody may put a file: variables decide what programs do.
fn directory(args: &[OsString]) -> Option<PathBuf> {
    Some(match args.get(1..3) {
        Some([option, path]) if option == "--config" && Path::new(path).is_dir() => path.into(),
        Some([option, path]) if option == "--config" => Path::new(path).parent()?.to_owned(),
        _ => match std::env::var_os("STORM_CONF_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => dir.into(),
            None => std::env::current_exe()
                .ok()?
                .parent()?
                .parent()?
                .join("conf"),
        },
    })
}

/// The variables of `[environment]`, in Python's dialect of such files: `name: value` or
/// `name = value`, comments on lines of their own, indented lines that go on, `%%` for a percent
/// sign.
fn read(text: &str) -> Result<Vec<(String, String)>> {
    let (mut section, mut has_environment) = (String::new(), false);
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for (line, number) in text.lines().zip(1..) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with(char::is_whitespace) && is_open {
            if let Some((_, value)) = variables.last_mut().filter(|_| section == SECTION) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            name.clone_into(&mut section);
            has_environment |= name == SECTION;
            is_open = false;
            continue;
        }
        let Some((name, value)) = trimmed.split_once(['=', ':']) else {
            bail!("line {number} is no `NAME: VALUE`: {trimmed}");
        };
        is_open = true;
        if section != SECTION {
            continue;
        }
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        if name.is_empty() || name.contains('\0') || value.contains('\0') {
            bail!("line {number} names no variable");
        }
        if variables.iter().any(|(known, _)| *known == name) {
            bail!("line {number} names {name} again");
        }
        variables.push((name, value));
    }
    if !has_environment {
        bail!("there is no section [{SECTION}]");
    }
    for (name, value) in &mut variables {
        *value = plain(value).with_context(|| format!("the value of {name}"))?;
    }
    Ok(variables)
}

/// Python would put other variables of the file in for `%(name)s`.
fn plain(value: &str) -> Result<String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c == '%' && chars.next() != Some('%') {
            bail!("`%` starts a reference, which is not known here: write `%%` for the sign");
        }
        plain.push(c);
    }
    Ok(plain)
}

const SCRIPT: &str = "storm-env.sh";
/// Says in the environment which script was read.
const SCRIPT_READ: &str = "STORMWIRE_STORM_ENV";
/// With the script, the program, the program's name and its arguments.
const READ_AND_GO_ON: &str =
    r#". "$1"; shift; program=$1; shift; exec -a "$1" "$program" "${@:2}""#;
const FILE: &str = "storm_env.ini";
const SECTION: &str = "environment";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let read = read(text).expect("a good file");
        let read: Vec<_> = read
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn variables_are_read_as_python_reads_them() {
        check("[environment]\n", &[]);
        check(
            "# of ours\n[environment]\nJAVA_HOME:/opt/jdk\n\nSTORM_JAR_JVM_OPTS = -Xmx1g -Da=b:c\n",
            &[
                ("JAVA_HOME", "/opt/jdk"),
                ("STORM_JAR_JVM_OPTS", "-Xmx1g -Da=b:c"),
            ],
        );
        check(
            "[other]\na: b\n[environment]\n; no\n#A: B\nRate: 5%%\nempty:\n",
            &[("Rate", "5%"), ("empty", "")],
        );
        check(
            "[environment]\nlong: a\n  b\nnext: c\n",
            &[("long", "a\nb"), ("next", "c")],
        );
    }

    #[test]
    fn a_bad_file_is_told_with_the_place() {
        for (text, said) in [
            ("", "[environment]"),
            ("[environment\nA: b", "line 1"),
            ("[environment]\nwhat\n", "line 2"),
            ("[environment]\n: value\n", "line 2"),
            // Two values can never both be set, so that the program would start itself for ever.
            ("[environment]\nA: 1\nA: 2\n", "line 3 names A again"),
            ("[environment]\nA: %(B)s\n", "the value of A"),
            ("[environment]\nA: 5%\n", "the value of A"),
        ] {
            let error = format!("{:#}", read(text).expect_err("bad"));
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }
}
