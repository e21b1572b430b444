//! What a credential may do, put together for whoever gives tokens.
use super::reserved;
use crate::credential::Credential;
use crate::policy::Workspace;

/// What a credential may do, by itself and by its role.
#[derive(Clone, Debug)]
pub struct Held {
    names: Vec<Box<str>>,
    /// Nobody has said what it may do.
    unbound: bool,
}

impl Held {
    /// What a credential of a workspace may do; without the workspace, its role means nothing.
    #[must_use]
    pub fn of(credential: &Credential, workspace: Option<&Workspace>) -> Held {
        let mut names: Vec<Box<str>> = credential.scopes.to_vec();
        let of_role = workspace.and_then(|w| w.role_scopes(credential));
        for name in of_role.into_iter().flat_map(|scopes| scopes.iter()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Held { names, unbound: credential.scopes.is_empty() && credential.role().is_none() }
    }

    /// Whether a token of it may carry a name. One of which nobody has said anything is not bound to any, and none carries
    /// names of management. `covers`: whether the first name means the second one as well.
    #[must_use]
    pub fn hands_on(&self, name: &str, covers: impl Fn(&str, &str) -> bool) -> bool {
        !reserved(name) && (self.unbound || self.names.iter().any(|held| covers(held, name)))
    }

    /// All that a token of it may carry.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name).filter(|name| !reserved(name))
    }
}
