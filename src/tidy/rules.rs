//! The rules on a single file.
//!
//! Adding a top-level module means adding it to [`LAYERS`]; lifting a ban means changing its entry
//! in [`BANS`], with the reason.

use super::Violation;
use super::source::{Source, words};
use crate::conf::keys;

/// Text that is not wanted, where, and why.
struct Ban {
    text: &'static str,
    place: Place,
    /// What to do instead, and why.
    fix: &'static str,
}

#[derive(Clone, Copy)]
enum Place {
    Everywhere,
    /// Everywhere but in tests.
    Live,
    /// But in tests and below these paths.
    LiveExcept(&'static [&'static str]),
    /// Below these paths, but not in tests.
    LiveOnly(&'static [&'static str]),
}

impl Place {
    fn holds(self, path: &str, is_test: bool) -> bool {
        let below = |paths: &[&str]| paths.iter().any(|start| path.starts_with(start));
        match self {
            Place::Everywhere => true,
            Place::Live => !is_test,
            Place::LiveExcept(paths) => !is_test && !below(paths),
            Place::LiveOnly(paths) => !is_test && below(paths),
        }
    }
}

pub fn check(source: &Source, violations: &mut Vec<Violation>) {
    let mut tell = |at: usize, rule: &'static str, fix: String| {
        violations.push(Violation {
            path: source.path.clone(),
            line: at + 1,
            rule,
            fix,
        });
    };
    head_and_name(source, &mut tell);
    sizes(source, &mut tell);
    layers(source, &mut tell);
    purity(source, &mut tell);
    bans(source, &mut tell);
    spelled_keys(source, &mut tell);
    order(source, &mut tell);
}

type Tell<'a> = dyn FnMut(usize, &'static str, String) + 'a;

fn head_and_name(source: &Source, tell: &mut Tell<'_>) {
    if !source
        .raw
        .first()
        .is_some_and(|line| line.starts_with("//!"))
    {
        let fix = "begin with `//!`: what the file is for and what it deliberately does not do";
        tell(0, "file head", fix.to_owned());
    }
    for name in source
        .module()
        .into_iter()
        .filter(|name| EMPTY_NAMES.contains(name))
    {
        tell(
            0,
            "file name",
            format!("`{name}` says nothing: name it after its one purpose"),
        );
    }
}

fn sizes(source: &Source, tell: &mut Tell<'_>) {
    let n_tests = source.is_test.iter().filter(|is_test| **is_test).count();
    let n_live = source.raw.len() - n_tests;
    if n_live > FILE_LINES_MAX && source.path != LONG_FILE {
        let fix =
            format!("{n_live} lines without tests, {FILE_LINES_MAX} at most: split by purpose");
        tell(0, "file size", fix);
    }
    if n_tests > TEST_LINES_MAX {
        let fix = format!("{n_tests} lines of tests, {TEST_LINES_MAX} at most: split by subject");
        tell(0, "file size", fix);
    }
    for function in source.functions() {
        let n_lines = function.lines.end() - function.lines.start() + 1;
        if n_lines > FUNCTION_LINES_MAX {
            let name = function.name;
            let fix =
                format!("`{name}` has {n_lines} lines, {FUNCTION_LINES_MAX} at most: split it");
            tell(*function.lines.start(), "function size", fix);
        }
    }
    for (at, line) in source.raw.iter().enumerate() {
        let width = line.chars().count();
        if width > LINE_COLUMNS_MAX && !is_unbreakable(line) {
            let fix = format!("{width} columns, {LINE_COLUMNS_MAX} at most: break it");
            tell(at, "line width", fix);
        }
    }
}

/// A line whose length is one word: an address, a long name, encoded bytes.
fn is_unbreakable(line: &str) -> bool {
    let longest = line
        .split_whitespace()
        .map(|word| word.chars().count())
        .max();
    longest.unwrap_or(0) > LINE_COLUMNS_MAX / 2
}

/// Every `crate::` path outside tests leads to the same layer or a lower one, and no daemon's leads
/// to another daemon.
fn layers(source: &Source, tell: &mut Tell<'_>) {
    let module = source.module();
    let own = module[0];
    if ROOT_FILES.contains(&own) {
        return;
    }
    let Some(layer) = layer_of(own) else {
        let fix = format!("`{own}` is in no layer: add it to LAYERS in src/tidy/rules.rs");
        tell(0, "layers", fix);
        return;
    };
    for (at, target) in crate_paths(source) {
        // Not a module: an item of the root, or a macro.
        let Some(theirs) = layer_of(&target) else {
            continue;
        };
        if theirs > layer {
            let fix =
                format!("L{layer} {own} imports L{theirs} {target}: move it down, or pass it in");
            tell(at, "layers", fix);
        } else if target != own && [own, &target].iter().all(|name| DAEMONS.contains(name)) {
            let fix = format!("{own} imports {target}: daemons talk over rpc, cluster and blob");
            tell(at, "layers", fix);
        }
    }
}

/// First names after `crate::`, in braces too, with their lines.
fn crate_paths(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut tell = |at: usize, text: &str| {
        found.extend(words(text).next().map(|name| (at, name.to_owned())));
    };
    // Lines of an open `crate::{` and how deep its braces are.
    let mut depth = 0;
    for (at, line) in source.live() {
        let mut rest = line;
        loop {
            if depth == 0 {
                let Some((_, after)) = rest.split_once("crate::") else {
                    break;
                };
                match after.strip_prefix('{') {
                    Some(inside) => (depth, rest) = (1, inside),
                    None => {
                        tell(at, after);
                        rest = after;
                    }
                }
                continue;
            }
            rest = in_braces(rest, &mut depth, &mut |name| tell(at, name));
            if depth > 0 {
                break;
            }
        }
    }
    found
}

/// Tells the names that stand at the outermost depth of a `crate::{...}`; returns what follows its
/// end.
fn in_braces<'a>(line: &'a str, depth: &mut usize, tell: &mut dyn FnMut(&str)) -> &'a str {
    let mut is_start = true;
    for (at, c) in line.char_indices() {
        match c {
            '{' => *depth += 1,
            '}' => *depth -= 1,
            ',' if *depth == 1 => is_start = true,
            c if is_start && *depth == 1 && c.is_alphabetic() => {
                tell(&line[at..]);
                is_start = false;
            }
            _ => {}
        }
        if *depth == 0 {
            return &line[at + 1..];
        }
    }
    ""
}

/// The model has no clock, no I/O, no tasks, no hidden randomness: all that is passed in.
fn purity(source: &Source, tell: &mut Tell<'_>) {
    if layer_of(source.module()[0]) != Some(MODEL_LAYER) {
        return;
    }
    for (at, line) in source.live() {
        for text in IMPURE.into_iter().filter(|text| is_in(line, text)) {
            let fix = format!("`{text}`: time, randomness and I/O are arguments in the model");
            tell(at, "pure model", fix);
        }
        let calls_global = line
            .split("fastrand::")
            .skip(1)
            .any(|after| !after.starts_with("Rng"));
        if calls_global && !line.trim_start().starts_with("use ") {
            let fix = "`fastrand::` functions: take a `&mut fastrand::Rng`".to_owned();
            tell(at, "pure model", fix);
        }
    }
}

fn bans(source: &Source, tell: &mut Tell<'_>) {
    for (at, line) in source.code.iter().enumerate() {
        for ban in BANS {
            let is_there = is_in(line, ban.text);
            if is_there && ban.place.holds(&source.path, source.is_test[at]) {
                tell(at, "ban", format!("`{}`: {}", ban.text, ban.fix));
            }
        }
    }
}

/// Configuration keys are spelled in `conf/keys` alone, so that a misspelt one does not compile.
fn spelled_keys(source: &Source, tell: &mut Tell<'_>) {
    if source.path.starts_with("src/conf/") {
        return;
    }
    for (at, _) in source.live() {
        for literal in source.literals(at) {
            if let Some(key) = keys::find(literal) {
                tell(
                    at,
                    "keys",
                    format!("\"{literal}\": write `keys::{}`", key.constant),
                );
            }
        }
    }
}

/// Whether the text stands in the line, and not as the end of a longer name.
fn is_in(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(position, _)| {
        let before = line[..position].chars().next_back();
        let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !(in_word && text.starts_with(char::is_alphabetic))
    })
}

/// Tests stand at the end of a file.
fn order(source: &Source, tell: &mut Tell<'_>) {
    let starts_tests = |at: usize| {
        let line = source.code[at].trim();
        source.is_test[at] && line.starts_with("mod tests {")
    };
    let Some(start) = (0..source.code.len()).find(|at| starts_tests(*at)) else {
        return;
    };
    let behind = source
        .live()
        .find(|(at, line)| *at > start && !line.trim().is_empty());
    if let Some((at, _)) = behind {
        tell(
            at,
            "order",
            "move it above `mod tests`, which ends a file".to_owned(),
        );
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .map(|position| position + 1)
}

/// Top-level modules from the ground up: each imports its own layer and lower ones.
const LAYERS: [&[&str]; 7] = [
    &[
        "allocations",
        "backoff",
        "clock",
        "conf",
        "id",
        "limits",
        "log_file",
        "partition",
        "percent",
        "ports",
        "process",
        "version",
    ],
    &["auth", "http", "rpc", "wire"],
    &[
        "acker",
        "grouping",
        "scheduler",
        "stats",
        "topology",
        "tuple",
        "window",
    ],
    &["blob", "cluster", "messaging", "metrics"],
    &["builder", "component", "worker"],
    &["drpc", "logviewer", "nimbus", "supervisor", "ui"],
    &["bench", "cli", "flux", "prelude", "testing", "tidy"],
];

const MODEL_LAYER: usize = 3;
const DAEMONS: [&str; 5] = ["drpc", "logviewer", "nimbus", "supervisor", "ui"];
const ROOT_FILES: [&str; 2] = ["lib", "main"];
const EMPTY_NAMES: [&str; 7] = [
    "common", "helper", "helpers", "manager", "types", "util", "utils",
];

const FILE_LINES_MAX: usize = 600;
/// As long as Storm's contract: one short method for each call, and a trait cannot be split.
const LONG_FILE: &str = "src/nimbus/service.rs";
const TEST_LINES_MAX: usize = 1500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

const IMPURE: [&str; 9] = [
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "rand::",
    "getrandom",
];

/// Code that reads bytes from outside: it answers with errors, whatever they are.
const UNTRUSTED: &[&str] = &[
    "src/component/multilang",
    "src/component/shell/",
    "src/conf/json.rs",
    "src/conf/load.rs",
    "src/drpc/",
    "src/flux/",
    "src/http/",
    "src/logviewer/",
    "src/messaging/",
    "src/rpc/",
    "src/ui/",
    "src/wire/",
];
const TALKS: &[&str] = &["src/bench/", "src/cli/", "src/main.rs", "src/testing/"];
/// What nobody may stop reading.
const PRINTS: &[&str] = &["src/bench/", "src/testing/"];

const BANS: &[Ban] = &[
    Ban {
        text: "println!",
        place: Place::LiveExcept(PRINTS),
        fix: "log with tracing, or `say` it in a command: println! panics once nobody reads",
    },
    Ban {
        text: "print!",
        place: Place::LiveExcept(PRINTS),
        fix: "log with tracing, or `say` it in a command: print! panics once nobody reads",
    },
    Ban {
        text: "eprintln!",
        place: Place::LiveExcept(TALKS),
        fix: "log with tracing; only commands talk to a terminal",
    },
    Ban {
        text: "anyhow",
        place: Place::LiveExcept(&["src/bench/", "src/cli/", "src/main.rs"]),
        fix: "give the operation an error enum; a caller must be able to tell the cases apart",
    },
    Ban {
        text: "env::set_var",
        place: Place::Everywhere,
        fix: "pass the value; other threads read the environment at the same time",
    },
    Ban {
        text: "unbounded_channel",
        place: Place::Everywhere,
        fix: "give the queue a bound in limits.rs; memory must be bounded",
    },
    Ban {
        text: "block_in_place",
        place: Place::Everywhere,
        fix: "use spawn_blocking or a thread; it stalls the other tasks of the worker thread",
    },
    Ban {
        text: "todo!",
        place: Place::Everywhere,
        fix: "write it, or answer with an error that says it is not there",
    },
    Ban {
        text: "unimplemented!",
        place: Place::Everywhere,
        fix: "write it, or answer with an error that says it is not there",
    },
    Ban {
        text: "dbg!",
        place: Place::Everywhere,
        fix: "remove it, or log with tracing",
    },
    Ban {
        text: "#[ignore",
        place: Place::Everywhere,
        fix: "run the test or delete it; nothing is skipped in silence",
    },
    Ban {
        text: ".unwrap()",
        place: Place::Live,
        fix: "`expect` with the invariant, or an error; bytes from outside always an error",
    },
    Ban {
        text: ".expect(",
        place: Place::LiveOnly(UNTRUSTED),
        fix: "return an error; bytes from outside must not end the process",
    },
    Ban {
        text: "panic!",
        place: Place::LiveOnly(UNTRUSTED),
        fix: "return an error; bytes from outside must not end the process",
    },
    Ban {
        text: "unreachable!",
        place: Place::LiveOnly(UNTRUSTED),
        fix: "return an error; bytes from outside must not end the process",
    },
];
