//! Figures of the catalogue of reliability tests: a line where one arises, and for the table at the
//! end of `interop-tests/run`, which names the file to add it to. Judges nothing.

use std::fs::File;
use std::io::Write;

/// Says what was measured for a row, `F2` for one.
pub fn figure(row: &str, text: &str) {
    println!("{row}: {text}");
    if let Some(path) = std::env::var_os("STORMWIRE_FIGURES") {
        let added = File::options().append(true).create(true).open(&path);
        let added =
            added.and_then(|mut file| file.write_all(format!("{row}\t{text}\n").as_bytes()));
        added.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
