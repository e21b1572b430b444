//! What holds for one credential alone: its role, from where it may be used, and how often.
use super::{CredentialView, Desk, Error, networks};
use doorward_core::credential::{Credential, OwnRules};
use doorward_core::document::Mistake;
use doorward_core::policy::draft::{Draft, WorkspaceDraft};
use doorward_core::policy::{BUILT_IN_ROLES, Limit, Module, compile};
use doorward_core::scope::Held;
use doorward_store::Filter;

/// What is asked for a credential alone, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnWanted {
    /// Its role, whose scopes it has besides its own.
    pub role: Option<String>,
    /// From where it may be used; `None`: from anywhere.
    pub networks: Option<Vec<String>>,
    /// How often it may be used, as in `600/60/100`; `None`: as policies say.
    pub limit: Option<String>,
}

/// The rules that are asked for, with every mistake in them.
pub(super) fn check(
    wanted: &OwnWanted,
    workspace: &str,
    policy: &Draft,
    wrong: &mut Vec<String>,
) -> OwnRules {
    if let Some(role) = &wanted.role {
        wrong.extend(known_role(role, workspace, policy).err());
    }
    let networks = wanted.networks.as_ref().map(|all| networks::read(all, workspace, policy, wrong));
    if wanted.limit.is_some() {
        wrong.extend(module_on(Module::Limits, workspace, policy).err());
    }
    let limit = wanted.limit.as_ref().and_then(|text| Limit::parse(text).map_err(|e| wrong.push(e)).ok());
    OwnRules { role: wanted.role.as_deref().map(Into::into), networks, limit }
}

fn known_role(role: &str, workspace: &str, policy: &Draft) -> Result<(), String> {
    let own = policy.workspaces.iter().filter(|w| w.id == workspace).flat_map(|w| &w.roles);
    let mut all: Vec<&str> = BUILT_IN_ROLES.iter().map(|(name, _)| *name).collect();
    all.extend(own.map(|role| role.name.as_str()));
    if all.contains(&role) {
        return Ok(());
    }
    all.sort_unstable();
    Err(format!("the workspace `{workspace}` has no role `{role}`; it has {}", all.join(", ")))
}

fn is_off(module: Module, workspace: &WorkspaceDraft) -> bool {
    workspace.modules.as_ref().is_some_and(|on| !on.iter().any(|name| name == module.name()))
}

/// What a credential is bound to is a module's, which has to be on.
pub(super) fn module_on(module: Module, workspace: &str, policy: &Draft) -> Result<(), String> {
    if !policy.workspaces.iter().any(|w| w.id == workspace && is_off(module, w)) {
        return Ok(());
    }
    Err(format!(
        "the module `{}` of workspace `{workspace}` is off; switch it on first, or leave this out",
        module.name()
    ))
}

/// The modules stay on while credentials of the workspace are bound to what is theirs.
pub(super) async fn modules_needed(
    desk: Desk<'_>,
    new: &Draft,
    mistakes: &mut Vec<Mistake>,
) -> Result<(), Error> {
    for (module, what, clear) in [
        (Module::Network, "lists of networks", "credential network clear"),
        (Module::Limits, "limits", "credential limit clear"),
    ] {
        for workspace in new.workspaces.iter().filter(|workspace| is_off(module, workspace)) {
            let filter = Filter {
                workspace: Some(workspace.id.clone()),
                with_networks: module == Module::Network,
                with_limit: module == Module::Limits,
                ..Filter::default()
            };
            let Some(held) = desk.store.credentials_page(&filter, None, 1).await?.into_iter().next() else {
                continue;
            };
            let message = format!(
                "the module `{}` can't be off while credentials have {what} of their own, as `{}` has; `doorward {clear}` \
                 takes it away",
                module.name(),
                held.credential.label()
            );
            let place = format!("workspace `{}`", workspace.id);
            mistakes.push(Mistake { line: workspace.line.0, place, message });
        }
    }
    Ok(())
}

/// Gives a credential a role, or takes its role away.
///
/// # Errors
/// [`Error::UnknownCredential`]; [`Error::Credential`] where its workspace has no such role; or the store's.
pub async fn set_role(desk: Desk<'_>, id: &str, role: Option<&str>) -> Result<CredentialView, Error> {
    let action = if role.is_some() { "role_given" } else { "role_taken" };
    change(desk, id, action, |own, c, policy| {
        if let Some(role) = role {
            known_role(role, &c.workspace, policy)?;
        }
        own.role = role.map(Into::into);
        Ok(())
    })
    .await
}

/// Gives a credential a limit of its own, as in `600/60/100`, or takes it away.
///
/// # Errors
/// [`Error::UnknownCredential`]; [`Error::Credential`] where it is no limit; or the store's.
pub async fn set_limit(desk: Desk<'_>, id: &str, limit: Option<&str>) -> Result<CredentialView, Error> {
    let action = if limit.is_some() { "limit_given" } else { "limit_taken" };
    change(desk, id, action, |own, c, policy| {
        own.limit = limit.map(Limit::parse).transpose()?;
        if limit.is_some() {
            module_on(Module::Limits, &c.workspace, policy)?;
        }
        Ok(())
    })
    .await
}

/// Changes what holds for a credential alone. Where that changes nothing, nothing is written. `action` names it in the
/// table of changes.
///
/// # Errors
/// [`Error::UnknownCredential`]; [`Error::Credential`] with what `with` says; or the store's.
pub async fn change(
    desk: Desk<'_>,
    id: &str,
    action: &'static str,
    with: impl FnOnce(&mut OwnRules, &Credential, &Draft) -> Result<(), String>,
) -> Result<CredentialView, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let stored = desk.store.credential(id).await?;
    let mut stored = stored.ok_or_else(|| Error::UnknownCredential(id.to_owned()))?;
    let policy = desk.store.policy().await?;
    let mut own = stored.credential.own_rules();
    with(&mut own, &stored.credential, &policy).map_err(|why| Error::Credential(vec![why]))?;
    if own != stored.credential.own_rules() {
        write.set_own_rules(id, own.clone(), action).await?;
        write.commit().await?;
        stored.credential = stored.credential.with_own(own);
    }
    Ok(CredentialView::stored(&stored, None))
}

/// Roles that are there no longer, and that credentials have: a sentence each.
pub(super) async fn roles_that_go(desk: Desk<'_>, old: &Draft, new: &Draft) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for w in &new.workspaces {
        let before = old.workspaces.iter().filter(|o| o.id == w.id).flat_map(|o| &o.roles);
        for gone in before.filter(|role| !w.roles.iter().any(|own| own.name == role.name)) {
            let role = Some(gone.name.clone());
            let filter = Filter { workspace: Some(w.id.clone()), role, ..Filter::default() };
            let held = desk.store.credentials_page(&filter, None, 2).await?;
            let Some(first) = held.first() else { continue };
            let who = format!("`{}`", first.credential.label());
            let who = if held.len() > 1 { format!("{who} and others have") } else { format!("{who} has") };
            all.push(format!(
                "workspace {}: the role `{}`, which {who}, is no longer there: its scopes are gone with it",
                w.id, gone.name
            ));
        }
    }
    Ok(all)
}

/// What a credential may do now, by itself and by its role.
pub(super) async fn held(desk: Desk<'_>, c: &Credential) -> Result<Held, Error> {
    let policy = compile(&desk.store.policy().await?, None).map_err(Error::Policy)?;
    Ok(Held::of(c, policy.workspaces.get(&*c.workspace).map(|w| &**w)))
}
