//! What a token may do: never more than its credential.
use super::fault::Fault;
use doorward_core::credential::Credential;
use doorward_core::scope::RESERVED;

/// The names in a scope, each once, in the order in which they came. `None`: it is no list of names (RFC 6749 3.3).
pub(super) fn names(scope: &str) -> Option<Vec<&str>> {
    let good =
        |name: &str| !name.is_empty() && name.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let mut all = Vec::new();
    for name in scope.split(' ') {
        if !good(name) {
            return None;
        }
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Some(all)
}

/// Whether a credential may hand on a name. One without scopes is not bound to any.
fn has(credential: &Credential, name: &str, covers: fn(&str, &str) -> bool) -> bool {
    !name.starts_with(RESERVED)
        && (credential.scopes.is_empty() || credential.scopes.iter().any(|held| covers(held, name)))
}

/// What a token for `wanted` may do: that, if the credential may. `covers`: whether the first name means the second one
/// as well.
pub(super) fn narrowed(
    wanted: &str,
    credential: &Credential,
    covers: fn(&str, &str) -> bool,
) -> Result<String, Fault> {
    let names = names(wanted).ok_or_else(|| Fault::scope("scope-unreadable"))?;
    if names.iter().all(|name| has(credential, name, covers)) {
        Ok(names.join(" "))
    } else {
        Err(Fault::scope("scope-too-wide"))
    }
}

/// All that a credential may do, as far as tokens can carry it.
pub(super) fn whole(credential: &Credential) -> String {
    let fits = |name: &&str| !name.starts_with(RESERVED) && names(name).is_some_and(|all| all.len() == 1);
    let all: Vec<&str> = credential.scopes.iter().map(|name| &**name).filter(fits).collect();
    all.join(" ")
}
