//! The benchmark's components count and pace what they say.

use super::sources::{Constant, Lines, Sentences, Source, Strings, Unit};

#[test]
fn sources_give_what_the_cases_need() {
    assert_eq!(Constant.next(), Some("some data"));
    let mut strings = Strings::new(2);
    let (first, second) = (
        strings.next().map(str::to_owned),
        strings.next().map(str::to_owned),
    );
    assert_eq!(first.as_ref().map(String::len), Some(100));
    assert_ne!(first, second);
    assert_eq!(strings.next(), None);
    assert_eq!(strings.size(), Some(2));
    let mut sentences = Sentences::default();
    let n_words = |text: Option<&str>| text.map_or(0, |text| text.split(' ').count());
    assert!((0..100).all(|_| n_words(sentences.next()) > 3));
}

#[test]
fn a_file_is_read_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("words").display().to_string();
    std::fs::write(&path, "one two\nthree\n").unwrap();
    for (unit, expected) in [
        (Unit::Line, ["one two", "three", "one two", "three"]),
        (Unit::Word, ["one", "two", "three", "one"]),
    ] {
        let mut lines = Lines::new(path.clone(), unit);
        lines.open().unwrap();
        for text in expected {
            assert_eq!(lines.next(), Some(text));
        }
    }
    std::fs::write(&path, "\n").unwrap();
    let failure = Lines::new(path, Unit::Word).open().unwrap_err();
    assert!(failure.to_string().contains("is empty"), "{failure}");
}
