//! The name that the program is called by, and those spellings of Storm's command line that clap
//! does not take as they stand.
//!
//! Called as `storm` (a link or a copy), the program has the same verbs. Decides nothing about what
//! they print (`shape`).

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{CommandFactory, FromArgMatches};

use super::Cli;

/// What the program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Stormwire,
    /// In the place of Storm's client.
    Storm,
}

/// Reads the command line; says what is wrong with it, or helps, and ends the process.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Cli {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = Name::of(args.first().map(OsString::as_os_str));
    let mut command = Cli::command().name(name.text()).bin_name(name.text());
    if name == Name::Storm && args.len() < 2 {
        // Storm's client ends with 1 here, and with 2 where an argument is wrong.
        eprint!("{}", command.render_help());
        std::process::exit(1);
    }
    let matches = command.get_matches_from(in_order(args));
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The words with settings behind the verb: Storm's scripts take `-c` and `--config` anywhere.
fn in_order(args: Vec<OsString>) -> Vec<OsString> {
    let mut rest = args.into_iter().peekable();
    let mut ordered: Vec<OsString> = rest.next().into_iter().collect();
    let mut settings = Vec::new();
    take_settings(&mut rest, &mut settings);
    let verb = rest.next();
    let is = |verbs: &[&str]| {
        let verb = verb.as_deref().and_then(OsStr::to_str);
        verb.is_some_and(|verb| verbs.contains(&verb))
    };
    let (has_actions, reads_by_itself) = (is(&WITH_ACTIONS), is(&READ_BY_THEMSELVES));
    ordered.extend(verb);
    if has_actions {
        take_settings(&mut rest, &mut settings);
        let is_word = |word: &OsString| !word.as_encoded_bytes().starts_with(b"-");
        ordered.extend(rest.next_if(is_word));
    }
    ordered.append(&mut settings);
    if reads_by_itself {
        ordered.extend(rest);
        return ordered;
    }
    let mut is_open = true;
    ordered.extend(rest.map(|word| {
        is_open &= word != "--";
        match is_open && word == LONG_SETTING {
            true => "-c".into(),
            false => word,
        }
    }));
    ordered
}

/// Takes settings from the front.
fn take_settings(
    rest: &mut std::iter::Peekable<impl Iterator<Item = OsString>>,
    settings: &mut Vec<OsString>,
) {
    while let Some(word) = rest.peek() {
        let text = word.to_str().unwrap_or_default();
        let has_value = matches!(text, "-c" | LONG_SETTING | "--config");
        let is_whole = text.starts_with("--config=")
            || text.strip_prefix("-c").is_some_and(|set| set.contains('='));
        if !has_value && !is_whole {
            return;
        }
        let word = rest.next().unwrap_or_default();
        settings.push(if word == LONG_SETTING {
            "-c".into()
        } else {
            word
        });
        if has_value {
            settings.extend(rest.next());
        }
    }
}

// === impl Name ===

impl Name {
    /// By the program's path as it was called.
    pub fn of(program: Option<&OsStr>) -> Name {
        let name = program.map(Path::new).and_then(Path::file_name);
        match name.is_some_and(|name| name == "storm") {
            true => Name::Storm,
            false => Name::Stormwire,
        }
    }

    /// Of this process.
    pub fn of_process() -> Name {
        Name::of(std::env::args_os().next().as_deref())
    }

    pub fn text(self) -> &'static str {
        match self {
            Name::Stormwire => "stormwire",
            Name::Storm => "storm",
        }
    }
}

/// Another name of `-c` in Storm's script, with one dash.
pub const LONG_SETTING: &str = "-storm_config_opts";
/// Verbs that say what to do by a second one.
const WITH_ACTIONS: [&str; 2] = ["blobstore", "admin"];
/// Verbs whose words are mostly somebody else's.
const READ_BY_THEMSELVES: [&str; 3] = ["jar", "local", "shell"];

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(words: &str) -> String {
        let words = words.split(' ').map(OsString::from).collect();
        let ordered: Vec<_> = in_order(words)
            .into_iter()
            .map(|word| word.into_string().expect("text"))
            .collect();
        ordered.join(" ")
    }

    #[test]
    fn settings_may_stand_before_the_verb_and_its_action() {
        for (given, expected) in [
            ("storm list", "storm list"),
            ("storm -c a=1 list", "storm list -c a=1"),
            (
                "storm --config f -ca=1 -storm_config_opts b=2 kill w -w 1",
                "storm kill --config f -ca=1 -c b=2 w -w 1",
            ),
            (
                "storm -c a=1 blobstore -c b=2 list k",
                "storm blobstore list -c a=1 -c b=2 k",
            ),
            (
                "storm activate -storm_config_opts a=1 w -- -storm_config_opts",
                "storm activate -c a=1 w -- -storm_config_opts",
            ),
            (
                "storm -c a=1 jar J M -storm_config_opts b=2",
                "storm jar -c a=1 J M -storm_config_opts b=2",
            ),
        ] {
            assert_eq!(ordered(given), expected);
        }
    }

    #[test]
    fn it_is_storm_by_its_name_alone() {
        for (program, expected) in [
            ("storm", Name::Storm),
            ("/usr/local/bin/storm", Name::Storm),
            ("/opt/storm/stormwire", Name::Stormwire),
            ("", Name::Stormwire),
        ] {
            assert_eq!(Name::of(Some(OsStr::new(program))), expected, "{program}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
