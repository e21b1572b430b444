//! A workspace lets its callers in from listed networks, and so may a credential. Where the caller's address is not known,
//! it is on no list.
use super::Subject;
use crate::decide::Refusal;
use crate::network::Networks;
use crate::reason::Reason;

/// What the workspace says about this API.
pub(super) fn of_policy(s: &Subject<'_>) -> Result<(), Refusal> {
    s.rules.network.as_ref().map_or(Ok(()), |network| within(&network.allow, s))
}

/// What the credential says.
pub(super) fn of_credential(s: &Subject<'_>) -> Result<(), Refusal> {
    s.credential.networks().map_or(Ok(()), |networks| within(networks, s))
}

fn within(networks: &Networks, s: &Subject<'_>) -> Result<(), Refusal> {
    match s.req.client {
        Some(client) if networks.contains(client) => Ok(()),
        Some(client) => Err(Refusal::new(Reason::NetworkDenied, "network-foreign")
            .saying(format!("The address {client} may not call this."))),
        None => Err(Refusal::new(Reason::NetworkDenied, "client-unknown")),
    }
}
