//! Certificates for the links of a topology that is measured encrypted, as an operator would give
//! them: PEM files in the run's directory. So the rest of the cluster stays as it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::auth::link_authority::{LinkAuthority, pem};
use crate::conf::{Conf, keys};

/// Writes an authority and a certificate of it; gives the settings by which links use them.
pub fn given(directory: &Path) -> Result<Conf> {
    let authority = LinkAuthority::new("bench", &LinkAuthority::new_key()?)?;
    let issued = authority.issue(("worker", None), SystemTime::now() + LIFE)?;
    let files = [
        (
            keys::STORMWIRE_LINK_AUTHORITIES,
            "CERTIFICATE",
            authority.certificate(),
        ),
        (
            keys::STORMWIRE_LINK_CERTIFICATES,
            "CERTIFICATE",
            issued.certificate,
        ),
        (keys::STORMWIRE_LINK_KEY, "PRIVATE KEY", issued.key),
    ];
    let mut conf = Conf::new().with(keys::STORMWIRE_LINK_ENCRYPTION, true);
    for (key, label, der) in files {
        let path = directory.join(format!("{key}.pem"));
        fs::write(&path, pem(label, &der))
            .with_context(|| format!("cannot write {}", path.display()))?;
        conf = conf.with(key, path.display().to_string());
    }
    Ok(conf)
}

const LIFE: Duration = Duration::from_secs(24 * 3600);
