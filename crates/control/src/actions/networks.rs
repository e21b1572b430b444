//! From where a credential may be used: a list of networks of its own, besides what policies say.
use super::{CredentialView, Desk, Error, own};
use doorward_core::network::{Network, Networks};
use doorward_core::policy::Module;
use doorward_core::policy::draft::Draft;

/// Most networks on the list of one credential: each lies in the memory of every node.
pub const MAX_NETWORKS: usize = 1_000;

/// Reads the networks of a credential of some workspace, and notes everything that is wrong.
pub(super) fn read(texts: &[String], workspace: &str, policy: &Draft, wrong: &mut Vec<String>) -> Networks {
    if texts.len() > MAX_NETWORKS {
        wrong.push(format!("it has {} networks; {MAX_NETWORKS} are possible", texts.len()));
        return Networks::default();
    }
    wrong.extend(own::module_on(Module::Network, workspace, policy).err());
    Networks::new(texts.iter().filter_map(|text| Network::parse(text).map_err(|why| wrong.push(why)).ok()))
}

/// Lets a credential be used from these networks, and from nowhere else; with none, from nowhere at all.
///
/// # Errors
/// [`Error::UnknownCredential`], [`Error::Credential`] with every mistake, or the store's.
pub async fn set(desk: Desk<'_>, id: &str, texts: &[String]) -> Result<CredentialView, Error> {
    own::change(desk, id, "networks_given", |own, c, policy| {
        let mut wrong = Vec::new();
        own.networks = Some(read(texts, &c.workspace, policy, &mut wrong));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    })
    .await
}

/// Lets a credential be used from anywhere, as far as policies do.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn clear(desk: Desk<'_>, id: &str) -> Result<CredentialView, Error> {
    own::change(desk, id, "networks_taken", |own, _, _| {
        own.networks = None;
        Ok(())
    })
    .await
}
