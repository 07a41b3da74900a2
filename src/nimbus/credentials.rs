//! Credentials of topologies: who may replace them, and how the new meet the old.
//!
//! They leave Nimbus for the nodes and workers of their topology and for nobody else; no text,
//! reply or log ever holds one.

use std::sync::Arc;

use super::fault::Fault;
use super::leader::{ChangeError, Edit, Leader};
use super::state::{Controls, Topology};
use crate::conf::keys;
use crate::id::TopologyId;
use crate::limits;
use crate::wire::storm::Credentials;

/// Credentials as they came.
pub(crate) struct Upload {
    pub credentials: Credentials,
    /// Of the caller; none where transports know none.
    pub principal: Option<String>,
}

/// Adds to a topology's credentials, in place of those of the same names; on disk when this
/// returns.
pub(crate) async fn upload(
    leader: Arc<Leader>,
    id: TopologyId,
    upload: Upload,
) -> Result<(), Fault> {
    let Upload {
        credentials: new,
        principal,
    } = upload;
    let n_new = new.creds.len();
    leader
        .change(|state| {
            let topology = state.topologies.get(&id);
            let topology = topology.ok_or_else(|| Fault::NotAlive(format!("{id} is not alive")))?;
            check_owner(topology, new.topo_owner.as_deref().or(principal.as_deref()))?;
            let merged = merged(topology.controls.credentials.clone(), new)?;
            Ok::<_, Fault>((edit(topology, merged)?, ()))
        })
        .await?;
    tracing::info!(topology = %id, n_new, "credentials were uploaded");
    Ok(())
}

/// Refuses more than a record should hold.
pub(crate) fn check_size(credentials: &Credentials) -> Result<(), Fault> {
    let each = credentials.creds.iter();
    let n_bytes: usize = each.map(|(name, secret)| name.len() + secret.len()).sum();
    if n_bytes > limits::CREDENTIALS_BYTES_MAX {
        return Err(Fault::Internal(format!(
            "credentials of {n_bytes} bytes are over the limit of {}",
            limits::CREDENTIALS_BYTES_MAX
        )));
    }
    Ok(())
}

/// Nobody in particular is expected where there is no authentication.
fn check_owner(topology: &Topology, expected: Option<&str>) -> Result<(), Fault> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let base = &topology.base;
    let principal = base.principal.as_deref().unwrap_or_default();
    let plan = topology.plan.as_ref();
    let user = plan.and_then(|plan| plan.conf.text(keys::TOPOLOGY_SUBMITTER_USER).ok()?);
    let owns = [Some(principal), base.owner.as_deref(), user.as_deref()].contains(&Some(expected));
    if owns {
        return Ok(());
    }
    let id = &topology.id;
    Err(Fault::Denied(format!(
        "{id} is expected to be owned by {expected} but is actually owned by {principal}"
    )))
}

/// What nobody replaced stays. The owner is Nimbus's to write.
fn merged(old: Option<Credentials>, new: Credentials) -> Result<Credentials, Fault> {
    let mut merged = old.unwrap_or_default();
    merged.creds.extend(new.creds);
    check_size(&merged)?;
    Ok(merged)
}

fn edit(topology: &Topology, credentials: Credentials) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    edit.batch.credentials(&topology.id, &credentials)?;
    let changed = topology.with_controls(Controls {
        credentials: Some(credentials),
        ..topology.controls.as_ref().clone()
    });
    edit.topologies.push((topology.id.clone(), Some(changed)));
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(pairs: &[(&str, &str)]) -> Credentials {
        let pair = |(name, secret): &(&str, &str)| ((*name).to_owned(), (*secret).to_owned());
        Credentials {
            creds: pairs.iter().map(pair).collect(),
            topo_owner: None,
        }
    }

    #[test]
    fn new_credentials_join_the_old_ones() {
        let old = credentials(&[("a", "1"), ("b", "1")]);
        let found = merged(Some(old), credentials(&[("b", "2"), ("c", "2")])).expect("small");
        let expected = credentials(&[("a", "1"), ("b", "2"), ("c", "2")]);
        assert_eq!(found.creds, expected.creds);
    }

    #[test]
    fn their_size_has_a_bound_and_no_text_shows_them() {
        let secret = "s3cret".repeat(limits::CREDENTIALS_BYTES_MAX);
        let refused = merged(None, credentials(&[("a", &secret)])).expect_err("large");
        assert!(!refused.to_string().contains("s3cret"));
        let shown = format!("{:?}", credentials(&[("a", "s3cret")]));
        assert_eq!(shown, "Credentials(creds:*****)");
    }
}
