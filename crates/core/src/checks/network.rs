//! A workspace lets its callers in from listed networks, and so may a credential. Where the caller's address is not known,
//! it is on no list.
use super::Subject;
use crate::credential::Credential;
use crate::decide::Refusal;
use crate::network::Networks;
use crate::policy::{Mode, Rule, Rules};
use crate::reason::Reason;
use std::net::IpAddr;

/// What the workspace says about this API.
pub(super) fn of_policy(s: &Subject<'_>) -> Result<(), Refusal> {
    s.rules.network.as_ref().map_or(Ok(()), |network| on_list(&network.allow, s.req.client))
}

/// What the credential says.
pub(super) fn of_credential(s: &Subject<'_>) -> Result<(), Refusal> {
    s.credential.networks().map_or(Ok(()), |networks| on_list(networks, s.req.client))
}

/// Both, for who proves to call in another way than requests do: what is enforced, and nothing that is only watched.
///
/// # Errors
/// `network_denied`.
pub fn within(rules: &Rules, credential: &Credential, client: Option<IpAddr>) -> Result<(), Refusal> {
    if let Some(network) = &rules.network
        && rules.mode(Rule::Network) == Mode::Enforce
    {
        on_list(&network.allow, client)?;
    }
    credential.networks().map_or(Ok(()), |networks| on_list(networks, client))
}

fn on_list(networks: &Networks, client: Option<IpAddr>) -> Result<(), Refusal> {
    match client {
        Some(client) if networks.contains(client) => Ok(()),
        Some(client) => Err(Refusal::new(Reason::NetworkDenied, "network-foreign")
            .saying(format!("The address {client} may not call this."))),
        None => Err(Refusal::new(Reason::NetworkDenied, "client-unknown")
            .saying("It can't be told from which address the call comes.")),
    }
}
