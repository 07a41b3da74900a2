//! The house rules as a test: layers, sizes, the shape of files, and bans with their reasons.
//!
//! Prints each violation as `file:line: rule: what to do`. Formatting is rustfmt's, correctness
//! clippy's; here is what they cannot know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use source::Source;

mod rules;
mod source;

/// One rule broken in one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// From 1.
    line: usize,
    rule: &'static str,
    fix: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.path, self.line, self.rule, self.fix
        )
    }
}

/// All violations of all files, in order of path and line.
fn check(mut sources: Vec<Source>) -> Vec<Violation> {
    let mut violations = unreachable(&mut sources);
    for source in &sources {
        rules::check(source, &mut violations);
    }
    violations.sort();
    violations
}

/// Files that no `mod` line leads to. Marks those that only `#[cfg(test)]` leads to as tests.
fn unreachable(sources: &mut [Source]) -> Vec<Violation> {
    let positions: BTreeMap<_, _> = sources.iter().map(|s| s.path.clone()).zip(0..).collect();
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<(String, bool)> = ROOTS.map(|root| (root.to_owned(), false)).to_vec();
    while let Some((path, is_test)) = waiting.pop() {
        let Some(&position) = positions.get(&path) else {
            continue;
        };
        if !reached.insert(path.clone()) {
            continue;
        }
        let source: &mut Source = &mut sources[position];
        if is_test {
            source.mark_all_as_tests();
        }
        for module in source.modules() {
            for file in candidates(&path, &module) {
                waiting.push((file, is_test || module.is_test));
            }
        }
    }
    let lost = positions.into_keys().filter(|path| !reached.contains(path));
    let violation = |path| Violation {
        path,
        line: 1,
        rule: "module tree",
        fix: "no `mod` line leads here: add one or delete the file".to_owned(),
    };
    lost.map(violation).collect()
}

/// Where the file of a module may lie, seen from the file that declares it.
fn candidates(declaring: &str, module: &source::ModuleLine) -> Vec<String> {
    let (dir, file) = declaring.rsplit_once('/').unwrap_or(("", declaring));
    if let Some(named) = &module.file {
        return vec![format!("{dir}/{named}")];
    }
    let dir = match file {
        "lib.rs" | "main.rs" | "mod.rs" => dir.to_owned(),
        _ => format!("{dir}/{}", file.trim_end_matches(".rs")),
    };
    vec![
        format!("{dir}/{}.rs", module.name),
        format!("{dir}/{}/mod.rs", module.name),
    ]
}

const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

#[test]
fn the_house_is_tidy() {
    let violations = check(source::all(Path::new(env!("CARGO_MANIFEST_DIR"))));
    for violation in &violations {
        println!("{violation}");
    }
    assert!(
        violations.is_empty(),
        "{} violations, listed above",
        violations.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules that a lone file below `src` breaks; the roots lead to it.
    fn broken(path: &str, text: &str) -> Vec<&'static str> {
        let module = path.trim_start_matches("src/").trim_end_matches(".rs");
        let module = module.split('/').next().unwrap_or(module);
        let root = Source::new("src/lib.rs", &format!("//! Root.\npub mod {module};\n"));
        let mut sources = vec![root, Source::new(path, text)];
        if let Some((dir, leaf)) = path.trim_end_matches(".rs").rsplit_once('/')
            && dir != "src"
        {
            let text = format!("//! Folder.\nmod {leaf};\n");
            sources.push(Source::new(&format!("{dir}/mod.rs"), &text));
        }
        check(sources)
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    }

    fn body(text: &str) -> String {
        format!("//! A file.\n{text}\n")
    }

    #[test]
    fn a_clean_file_is_clean() {
        assert!(broken("src/clock.rs", &body("use crate::id;\nfn f() {}")).is_empty());
    }

    #[test]
    fn layers_hold_in_every_form_of_path() {
        for text in [
            "use crate::nimbus;",
            "use crate::{id,\n    nimbus::X};",
            "fn f() { crate::nimbus::g() }",
        ] {
            assert_eq!(broken("src/clock.rs", &body(text)), ["layers"], "{text}");
        }
        assert_eq!(
            broken("src/supervisor/slot.rs", &body("use crate::nimbus::X;")),
            ["layers"]
        );
        assert!(broken("src/nimbus/a.rs", &body("use crate::nimbus::X;")).is_empty());
        let in_test = "#[cfg(test)]\nmod tests {\n    use crate::testing::fixtures;\n}";
        assert!(broken("src/clock.rs", &body(in_test)).is_empty());
    }

    #[test]
    fn comments_and_literals_break_nothing() {
        let text = "// todo!() crate::nimbus\n/* dbg!(1) /* x */ */\n\
                    const A: &str = \"todo!() \\\" dbg!\";\nconst B: &str = r#\"dbg!(\"1\")\"#;\n\
                    const C: char = '\"';\nfn f<'a>(x: &'a str) {}";
        assert!(broken("src/clock.rs", &body(text)).is_empty());
    }

    #[test]
    fn bans_hold_where_they_apply() {
        assert_eq!(broken("src/clock.rs", &body("fn f() { todo!() }")), ["ban"]);
        assert_eq!(
            broken("src/clock.rs", &body("fn f() { println!() }")),
            ["ban"]
        );
        assert_eq!(
            broken("src/cli/a.rs", &body("fn f() { println!() }")),
            ["ban"]
        );
        assert!(broken("src/cli/a.rs", &body("fn f() { eprintln!() }")).is_empty());
        assert_eq!(
            broken("src/wire/a.rs", &body("fn f() { x.expect(\"y\") }")),
            ["ban"]
        );
        assert!(broken("src/worker/a.rs", &body("fn f() { x.expect(\"y\") }")).is_empty());
        assert_eq!(
            broken(
                "src/clock.rs",
                &body("#[cfg(test)]\nmod tests {\n    #[ignore]\n}")
            ),
            ["ban"]
        );
    }

    #[test]
    fn the_model_is_pure() {
        for text in [
            "use tokio::sync::Mutex;",
            "use std::fs::File;",
            "fn f() { Instant::now() }",
        ] {
            assert_eq!(
                broken("src/tuple/a.rs", &body(text)),
                ["pure model"],
                "{text}"
            );
        }
        assert!(broken("src/tuple/a.rs", &body("fn f(rng: &mut fastrand::Rng) {}")).is_empty());
        assert_eq!(
            broken("src/tuple/a.rs", &body("fn f() { fastrand::u64(..) }")),
            ["pure model"]
        );
    }

    #[test]
    fn sizes_and_shapes() {
        assert_eq!(broken("src/clock.rs", "fn f() {}\n"), ["file head"]);
        assert_eq!(
            broken("src/clock.rs", &body(&"// x\n".repeat(601))),
            ["file size"]
        );
        let long = format!("fn f() {{\n{}}}", "    x();\n".repeat(70));
        assert_eq!(broken("src/clock.rs", &body(&long)), ["function size"]);
        assert_eq!(
            broken("src/clock.rs", &body(&format!("// {}", "x ".repeat(60)))),
            ["line width"]
        );
        assert_eq!(broken("src/clock/util.rs", &body("")), ["file name"]);
        assert_eq!(
            broken(
                "src/clock.rs",
                &body("#[cfg(test)]\nmod tests {}\nfn f() {}")
            ),
            ["order"]
        );
    }

    #[test]
    fn keys_are_spelled_once() {
        let text = "const A: &str = \"topology.workers\";";
        assert_eq!(broken("src/rpc/a.rs", &body(text)), ["keys"]);
        assert!(broken("src/conf/a.rs", &body(text)).is_empty());
        let message = "const A: &str = \"topology.workers is wrong\";";
        assert!(broken("src/rpc/a.rs", &body(message)).is_empty());
    }

    #[test]
    fn lost_files_and_unknown_modules_are_told() {
        let sources = vec![
            Source::new("src/lib.rs", "//! Root.\n"),
            Source::new("src/id.rs", "//! Id.\n"),
        ];
        let rules: Vec<_> = check(sources)
            .into_iter()
            .map(|violation| violation.rule)
            .collect();
        assert_eq!(rules, ["module tree"]);
        assert_eq!(broken("src/gadget.rs", &body("")), ["layers"]);
    }
}
