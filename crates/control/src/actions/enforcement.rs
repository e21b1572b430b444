//! Where a new policy changes whether requests must be signed.
use doorward_core::policy::{Api, Mode, Policy, Workspace};
use serde::Serialize;

/// A workspace's requests to an API must be signed from now on, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModeChange {
    /// The workspace.
    pub workspace: String,
    /// The API.
    pub api: String,
    /// `off`, `observe` or `enforce` before; for what is new, what it would be if the policy said nothing about it.
    pub from: &'static str,
    /// Likewise, from now on.
    pub to: &'static str,
    /// Whether more is let through than before.
    pub loosened: bool,
}

/// The pairs of a workspace and an API that have one to do with the other, in an order that stays the same.
pub(super) fn pairs(policy: &Policy) -> impl Iterator<Item = (&Workspace, &Api)> {
    let mut workspaces: Vec<&Workspace> = policy.workspaces.values().map(|w| &**w).collect();
    workspaces.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    policy.apis.iter().flat_map(move |api| {
        let served = |w: &&Workspace| api.serves(&w.id) && api.answers(w.environment);
        workspaces.clone().into_iter().filter(served).map(move |w| (w, api))
    })
}

/// What changes from one policy to the next.
pub(super) fn changes(old: Option<&Policy>, new: &Policy) -> Vec<ModeChange> {
    let before = |w: &Workspace, api: &Api| {
        let old = old?;
        let was = old.workspaces.get(&w.id)?;
        let api = old.apis.iter().find(|a| a.id == api.id && a.serves(&w.id))?;
        Some(api.signatures(was))
    };
    let change = |(w, api): (&Workspace, &Api)| {
        let from = before(w, api).unwrap_or_else(|| api.default_signatures(w));
        let to = api.signatures(w);
        (from != to).then(|| ModeChange {
            workspace: w.id.clone(),
            api: api.id.clone(),
            from: from.name(),
            to: to.name(),
            loosened: strictness(to) < strictness(from),
        })
    };
    pairs(new).filter_map(change).collect()
}

fn strictness(mode: Mode) -> u8 {
    match mode {
        Mode::Off => 0,
        Mode::Observe => 1,
        Mode::Enforce => 2,
    }
}
