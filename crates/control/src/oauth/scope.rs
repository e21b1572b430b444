//! What a token may do: never more than its credential.
use super::fault::Fault;
use super::{Server, antavo, voucherify};
use doorward_core::credential::Credential;
use doorward_core::scope::Held;

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

/// Whether the endpoint of a dialect gives tokens with a name at all.
pub(crate) fn is_given(dialect: &str, name: &str) -> bool {
    match dialect {
        "voucherify" => voucherify::side_of(name).is_some(),
        "antavo" => name == antavo::SCOPE,
        _ => names(name).is_some_and(|all| all.len() == 1),
    }
}

impl Server {
    /// What a credential may do now.
    pub(super) fn held(&self, credential: &Credential) -> Held {
        Held::of(credential, self.live.policy.load().workspaces.get(&*credential.workspace).map(|w| &**w))
    }
}

/// What a token for `wanted` may do: that, if the credential may. `covers`: whether the first name means the second one
/// as well.
pub(super) fn narrowed(wanted: &str, held: &Held, covers: fn(&str, &str) -> bool) -> Result<String, Fault> {
    let names = names(wanted).ok_or_else(|| Fault::scope("scope-unreadable"))?;
    if names.iter().all(|name| held.hands_on(name, covers)) {
        Ok(names.join(" "))
    } else {
        Err(Fault::scope("scope-too-wide"))
    }
}

/// All that a credential may do, as far as tokens can carry it.
pub(super) fn whole(held: &Held) -> String {
    let fits = |name: &&str| names(name).is_some_and(|all| all.len() == 1);
    let all: Vec<&str> = held.names().filter(fits).collect();
    all.join(" ")
}
