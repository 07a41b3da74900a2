//! Class names of Storm's plug-ins, as configurations spell them.
//!
//! No class is loaded: a name picks one of what is built in.

use crate::conf::{Conf, ConfError};

/// A plug-in is named that is not here.
#[derive(Debug, thiserror::Error)]
#[error("{key} names `{class}`, which is not there; one of these is: {choices}")]
pub struct UnknownClassError {
    pub key: &'static str,
    pub class: String,
    pub choices: String,
}

/// Why a plug-in cannot be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Unknown(#[from] UnknownClassError),
}

/// The choice that `key` names by a class of one of Storm's packages, old or new; none where it is
/// unset.
pub(super) fn choose<T: Copy>(
    conf: &Conf,
    key: &'static str,
    choices: &[(&'static str, T)],
) -> Result<Option<T>, ClassError> {
    let Some(class) = conf.text(key)?.filter(|class| !class.trim().is_empty()) else {
        return Ok(None);
    };
    let packages = PACKAGES
        .iter()
        .map(|package| class.trim().strip_prefix(package));
    let short = packages.flatten().next();
    let found = choices.iter().find(|(name, _)| Some(*name) == short);
    match found {
        Some((_, choice)) => Ok(Some(*choice)),
        None => {
            let named: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("{}{name}", PACKAGES[0]))
                .collect();
            let choices = named.join(", ");
            Err(UnknownClassError {
                key,
                class,
                choices,
            }
            .into())
        }
    }
}

/// Storm's package, and the one of its releases before 1.0.
const PACKAGES: [&str; 2] = [
    "org.apache.storm.security.auth.",
    "backtype.storm.security.auth.",
];
