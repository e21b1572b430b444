//! Where a new policy changes how far a rule goes.
use doorward_core::policy::{Api, Mode, Policy, Rule, Rules, Workspace};
use serde::Serialize;
use std::collections::HashMap;

/// A rule goes further for a workspace at an API from now on, or less far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModeChange {
    /// The workspace.
    pub workspace: String,
    /// The API.
    pub api: String,
    /// The rule, as a `[[policy]]` names it.
    pub rule: &'static str,
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

/// How far a rule goes.
pub(super) fn mode(rule: Rule, workspace: &Workspace, api: &Api) -> Mode {
    match rule {
        Rule::Signatures => api.signatures(workspace),
        other => api.rules(&workspace.id).mode(other),
    }
}

/// What changes from one policy to the next.
pub(super) fn changes(old: Option<&Policy>, new: &Policy) -> Vec<ModeChange> {
    let apis: HashMap<&str, &Api> =
        old.into_iter().flat_map(|old| &old.apis).map(|api| (api.id.as_str(), api)).collect();
    let mut all = Vec::new();
    for (w, api) in pairs(new) {
        let was = old.and_then(|old| old.workspaces.get(&w.id));
        let was = was.zip(apis.get(api.id.as_str()).filter(|api| api.serves(&w.id)));
        for rule in Rule::ALL.iter().copied() {
            let from = match (was, rule) {
                (Some((workspace, api)), rule) => mode(rule, workspace, api),
                (None, Rule::Signatures) => api.default_signatures(w),
                (None, rule) => Rules::DEFAULT.mode(rule),
            };
            let to = mode(rule, w, api);
            if from != to {
                all.push(ModeChange {
                    workspace: w.id.clone(),
                    api: api.id.clone(),
                    rule: rule.key(),
                    from: from.name(),
                    to: to.name(),
                    loosened: strictness(to) < strictness(from),
                });
            }
        }
    }
    all
}

fn strictness(mode: Mode) -> u8 {
    match mode {
        Mode::Off => 0,
        Mode::Observe => 1,
        Mode::Enforce => 2,
    }
}
