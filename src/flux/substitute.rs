//! Puts properties and variables of the environment in for `${...}`, in the text of a file, before
//! it is read as YAML.
//!
//! `${name}` is a property, `${name[0]}` an entry of one that is a list, `${ENV-NAME}` a variable
//! where those are asked for. What nothing stands for stays as it is and is told. Storm looks at
//! one `${...}` of each line, the last; this looks at all of them. What is put in is not looked at
//! again.

use super::properties::Properties;
use crate::limits;

/// Where values come from.
#[derive(Clone, Copy, Default)]
pub struct Filter<'f> {
    pub properties: Option<&'f Properties>,
    /// Reads the environment; absent where it is not asked for.
    pub environment: Option<&'f Environment>,
}

/// Gives the value of a variable that is set.
pub type Environment = dyn Fn(&str) -> Option<String>;

/// Text with its values in place.
#[derive(Debug, PartialEq, Eq)]
pub struct Substituted {
    pub text: String,
    /// What stayed as it was, with line and reason.
    pub warnings: Vec<String>,
}

/// Why a text cannot be filled in, and on which line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SubstituteError {
    pub line: u64,
    pub what: String,
}

// === impl Filter ===

impl Filter<'_> {
    /// Fills a text in.
    pub fn fill(&self, text: &str) -> Result<Substituted, SubstituteError> {
        let mut filled = String::with_capacity(text.len());
        let mut warnings = Vec::new();
        for (line, at) in text.split_inclusive('\n').zip(1..) {
            let wrong = |what| SubstituteError { line: at, what };
            let is_comment = line.trim_start().starts_with('#');
            let mut rest = line;
            while let Some((before, name, after)) = next(rest) {
                filled.push_str(before);
                match self.value(name).map_err(wrong)? {
                    Ok(value) => filled.push_str(&value),
                    Err(reason) => {
                        filled.push_str(&format!("${{{name}}}"));
                        let is_shown = !is_comment && warnings.len() < limits::FLUX_WARNINGS_MAX;
                        if is_shown {
                            warnings
                                .push(format!("line {at}: ${{{name}}} stays as it is: {reason}"));
                        }
                    }
                }
                if filled.len() > limits::FLUX_TEXT_BYTES_MAX {
                    let most = limits::FLUX_TEXT_BYTES_MAX;
                    return Err(wrong(format!(
                        "filled in, the text has more than {most} bytes"
                    )));
                }
                rest = after;
            }
            filled.push_str(rest);
        }
        Ok(Substituted {
            text: filled,
            warnings,
        })
    }

    /// What a name stands for, or why for nothing.
    fn value(&self, name: &str) -> Result<Result<String, String>, String> {
        if let Some(variable) = name.strip_prefix("ENV-") {
            if let Some(read) = self.environment {
                let missing = || format!("the environment has no {variable}");
                return Ok(read(variable).ok_or_else(missing));
            }
            if self.property(name).is_none() {
                return Ok(Err("the environment is read with --env-filter".to_owned()));
            }
        }
        if let Some((list, index)) = list_entry(name) {
            return match self.property(list) {
                Some(text) => entry(list, text, index).map(Ok),
                None => Ok(Err(self.missing(list))),
            };
        }
        let property = self.property(name).map(str::to_owned);
        Ok(property.ok_or_else(|| self.missing(name)))
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.properties?.get(name)
    }

    fn missing(&self, name: &str) -> String {
        match self.properties {
            Some(_) => format!("the --filter file has no {name}"),
            None => "properties are given with --filter FILE".to_owned(),
        }
    }
}

/// What stands before the next `${name}`, the name, and what stands after it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// A name of the form `list[0]`.
fn list_entry(name: &str) -> Option<(&str, &str)> {
    let (list, index) = name.strip_suffix(']')?.rsplit_once('[')?;
    let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((list, index))
}

/// An entry of a list as Storm writes them: `["a", "b"]`.
fn entry(name: &str, list: &str, index: &str) -> Result<String, String> {
    let inside = list
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let no_list = || format!("{name} is no list in brackets, as in [\"a\", \"b\"]");
    let entries: Vec<&str> = inside.ok_or_else(no_list)?.split(',').collect();
    let index_of = index.parse::<usize>().ok();
    let n_entries = entries.len();
    let none = || format!("${{{name}[{index}]}}: {name} has {n_entries} entries, counted from 0");
    let entry = index_of.and_then(|at| entries.get(at)).ok_or_else(none)?;
    let entry = entry.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| {
        let rest = entry.strip_prefix(*quote)?;
        rest.strip_suffix(*quote)
    });
    Ok(quoted.unwrap_or(entry).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: &str = "name: words\nlist: [\"one\", 'two', three]\nENV-x=not asked\n";

    fn fill(text: &str) -> Result<Substituted, SubstituteError> {
        let properties = Properties::parse(PROPERTIES.as_bytes()).expect("properties");
        let environment = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let filter = Filter {
            properties: Some(&properties),
            environment: Some(&environment),
        };
        filter.fill(text)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let filled = fill(text).expect("filled");
        assert_eq!(filled.text, expected);
        assert_eq!(filled.warnings, [""; 0]);
    }

    #[test]
    fn properties_lists_and_variables_are_put_in() {
        check("name: \"${name}\"\n", "name: \"words\"\n");
        check("${name}-${name}: ${ENV-HOME}", "words-words: /home/me");
        check(
            "- ${list[0]}\n- ${list[1]}\n- ${list[2]}",
            "- one\n- two\n- three",
        );
        check("a: ${list}\r\n", "a: [\"one\", 'two', three]\r\n");
        check("{a: ${name}, b: 1}", "{a: words, b: 1}");
        check("no $name and no ${ end", "no $name and no ${ end");
        check("# ${unknown}", "# ${unknown}");
    }

    #[test]
    fn what_nothing_stands_for_stays_and_is_told() {
        let filled = fill("a: 1\nb: ${who}").expect("filled");
        assert_eq!(filled.text, "a: 1\nb: ${who}");
        let told = ["line 2: ${who} stays as it is: the --filter file has no who"];
        assert_eq!(filled.warnings, told);
        let filled = fill("${ENV-NO}").expect("filled");
        let told = ["line 1: ${ENV-NO} stays as it is: the environment has no NO"];
        assert_eq!(filled.warnings, told);
        let filled = Filter::default().fill("${x} ${ENV-HOME}").expect("filled");
        assert_eq!(filled.text, "${x} ${ENV-HOME}");
        assert_eq!(
            filled.warnings,
            [
                "line 1: ${x} stays as it is: properties are given with --filter FILE",
                "line 1: ${ENV-HOME} stays as it is: the environment is read with --env-filter",
            ]
        );
    }

    #[test]
    fn a_variable_is_a_property_where_the_environment_is_not_asked() {
        let properties = Properties::parse(PROPERTIES.as_bytes()).expect("properties");
        let filter = Filter {
            properties: Some(&properties),
            environment: None,
        };
        assert_eq!(filter.fill("${ENV-x}").expect("filled").text, "not asked");
    }

    #[test]
    fn lists_that_are_none_or_too_short_are_errors() {
        let wrong = |text| fill(text).expect_err("an error").to_string();
        assert_eq!(
            wrong("\n${name[0]}"),
            "line 2: name is no list in brackets, as in [\"a\", \"b\"]"
        );
        let short = "line 1: ${list[3]}: list has 3 entries, counted from 0";
        assert_eq!(wrong("${list[3]}"), short);
        assert!(fill("${list[99999999999999999999999]}").is_err());
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let properties = format!("big={}", "x".repeat(1 << 20));
        let properties = Properties::parse(properties.as_bytes()).expect("properties");
        let filter = Filter {
            properties: Some(&properties),
            environment: None,
        };
        assert!(filter.fill(&"${big}\n".repeat(1 << 16)).is_err());
    }
}
