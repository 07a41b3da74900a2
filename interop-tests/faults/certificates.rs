//! Certificates of an authority of one run, for links between workers.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stormwire::auth::link_authority::LinkAuthority;

use crate::run::Shape;

/// The shape with encrypted links; its files are written to a directory.
pub fn encrypted(shape: Shape, directory: &Path) -> Shape {
    let key = LinkAuthority::new_key().expect("a key");
    let authority = LinkAuthority::new("faults", &key).expect("an authority");
    let expires = SystemTime::now() + Duration::from_secs(86_400);
    let own = authority
        .issue(("worker", None), expires)
        .expect("a certificate");
    let write = |name: &str, label: &str, der: &[u8]| {
        let path = directory.join(name);
        let lines: Vec<String> = STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let text = lines.join("\n");
        let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        fs::write(&path, pem).expect("the directory can be written");
        path.display().to_string()
    };
    shape
        .with("stormwire.link.encryption", true)
        .with(
            "stormwire.link.certificates",
            write("worker.pem", "CERTIFICATE", &own.certificate),
        )
        .with(
            "stormwire.link.key",
            write("worker.key", "PRIVATE KEY", &own.key),
        )
        .with(
            "stormwire.link.authorities",
            write("authority.pem", "CERTIFICATE", &authority.certificate()),
        )
}
