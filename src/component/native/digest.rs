//! Shows which credentials a task holds without their text: for tests, to see that new ones
//! arrived. Not for real secrets: whoever can guess one can check the guess.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use ring::digest::{SHA256, digest};

use crate::component::native::resource;
use crate::component::{Bolt, Collector, Credentials, Result, TaskContext};
use crate::tuple::Tuple;

/// Keeps a file with a line for each credential: its name, and the start of the SHA-256 of its
/// value. Takes any tuple and does nothing with it.
pub struct CredentialDigestBolt {
    path: String,
    file: Option<PathBuf>,
}

// === impl CredentialDigestBolt ===

impl CredentialDigestBolt {
    /// A relative path lies in the jar's `resources`. Each task has a file of its own: `path.N`.
    pub fn new(path: String) -> Self {
        CredentialDigestBolt { path, file: None }
    }

    fn write(&self, credentials: &Credentials) -> io::Result<()> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let mut text = String::new();
        for (name, secret) in credentials.iter() {
            text += name;
            text.push(' ');
            for byte in digest(&SHA256, secret.as_bytes())
                .as_ref()
                .iter()
                .take(DIGEST_BYTES)
            {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        let half = path.with_extension("half");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&half)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&half, path)
    }
}

impl Bolt for CredentialDigestBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.file = Some(resource(
            context,
            &format!("{}.{}", self.path, context.task()),
        ));
        Ok(self.write(&context.credentials())?)
    }

    fn set_credentials(&mut self, credentials: &Credentials) {
        if let Err(error) = self.write(credentials) {
            tracing::warn!(%error, "digests of credentials cannot be written");
        }
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        out.ack(tuple);
        Ok(())
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// Enough to tell secrets apart.
const DIGEST_BYTES: usize = 8;
