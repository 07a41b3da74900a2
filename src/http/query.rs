//! Query parameters. Paths are taken apart by axum's router.

use crate::percent::decode;

/// The parameters of a query; of two equal names the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

// === impl Query ===

impl Query {
    /// Of the part of an address behind the question mark.
    pub fn new(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Query(pairs.collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// As Java reads a flag: anything but `true`, in any case, is none.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// As Storm's log viewer reads one, which its pages' check boxes send as `on`.
    pub fn box_is_checked(&self, name: &str) -> bool {
        let is_yes = |value: &str| CHECKED.iter().any(|yes| value.eq_ignore_ascii_case(yes));
        self.get(name).is_some_and(is_yes)
    }
}

const CHECKED: [&str; 5] = ["true", "on", "yes", "t", "y"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_breaks_a_reader(text in "[%a-f0-9+=&\u{e9}]{0,20}") {
            let _ = Query::new(Some(&text));
        }
    }

    #[test]
    fn queries_are_read_as_forms() {
        let query = Query::new(Some("file=a%2Fb&file=c&grep=x+y%zz&&sys=TRUE&empty"));
        assert_eq!(query.get("file"), Some("a/b"));
        assert_eq!(query.get("grep"), Some("x y%zz"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("none"), None);
        assert!(query.flag("sys") && !query.flag("empty"));
        let boxes = Query::new(Some("a=on&b=True&c=off&d"));
        let checked = ["a", "b", "c", "d", "e"].map(|name| boxes.box_is_checked(name));
        assert_eq!(checked, [true, true, false, false, false]);
        assert_eq!(Query::new(None), Query::default());
    }
}
