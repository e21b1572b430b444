//! What is done with workspaces and APIs.
use super::enforcement::{self, ModeChange};
use super::loosened::{self, Loosened, Side};
use super::{Desk, Error, own};
use doorward_core::document::Mistake;
use doorward_core::policy::compile;
use doorward_core::policy::draft::{Draft, LicenceDraft, PolicyDraft, WorkspaceDraft};
use doorward_core::time::UnixMillis;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// An object of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Object {
    /// `workspace`, `api`, `licence` or `policy`.
    pub kind: &'static str,
    /// Its id; a policy's is its workspace's and its API's, with a slash between; a licence's is its workspace's, its name,
    /// and its user's.
    pub id: String,
}

/// What applying a policy changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// New ones.
    pub added: Vec<Object>,
    /// Those that are written anew.
    pub changed: Vec<Object>,
    /// Those that are no longer there.
    pub removed: Vec<Object>,
    /// Those that stay as they are.
    pub unchanged: Vec<Object>,
    /// Where it changes how far a rule goes, by what is written or by what is left out.
    pub modes: Vec<ModeChange>,
    /// Where it lets more through than before, modes aside.
    pub loosened: Vec<Loosened>,
    /// What somebody may not have thought of: a sentence each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// The policy as it is in the store, in the form that [`apply`] takes.
///
/// # Errors
/// The store's.
pub async fn export(desk: Desk<'_>) -> Result<Draft, Error> {
    Ok(desk.store.policy().await?)
}

/// Makes `new` the policy: everything in one transaction, or nothing. A dry run stops before the first write.
///
/// # Errors
/// [`Error::Policy`] with every mistake: what does not compile, a workspace whose environment would change, a workspace
/// that would go while it has credentials, a module that would be off while credentials need it. Or the store's.
pub async fn apply(desk: Desk<'_>, new: &Draft, dry_run: bool) -> Result<Plan, Error> {
    // The write comes first: nobody can make a credential for a workspace that is about to go.
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let old = desk.store.policy().await?;
    let (mut plan, mut mistakes) = (compare(&old, new), Vec::new());
    match compile(new, None) {
        Ok(policy) => {
            let before = compile(&old, None).ok();
            plan.modes = enforcement::changes(before.as_ref(), &policy);
            if let Some(before) = &before {
                let was = Side { draft: &old, policy: before };
                plan.loosened = loosened::all(was, Side { draft: new, policy: &policy });
            }
            plan.warnings = own::roles_that_go(desk, &old, new).await?;
        }
        Err(all) => mistakes = all,
    }
    fixed_environments(&old, new, &mut mistakes);
    own::modules_needed(desk, new, &mut mistakes).await?;
    licences_that_are_over(desk, &plan, new, &mut mistakes);
    for gone in plan.removed.iter().filter(|o| o.kind == WORKSPACE) {
        let held = desk.store.credentials_held(&gone.id).await?;
        if held > 0 {
            let message = format!(
                "it has {held} credential{}, so it can't be removed; delete those first",
                if held == 1 { "" } else { "s" }
            );
            mistakes.push(Mistake { line: 0, place: format!("workspace `{}`", gone.id), message });
        }
    }
    if !mistakes.is_empty() {
        mistakes.sort_by_key(|m| m.line);
        return Err(Error::Policy(mistakes));
    }
    if dry_run || plan.is_empty() {
        return Ok(plan);
    }
    // APIs name workspaces, and policies both: those come first, and go last.
    let touched: HashSet<&Object> = plan.added.iter().chain(&plan.changed).collect();
    let written = |o: &&Object| touched.contains(*o);
    let gone: HashSet<&Object> = plan.removed.iter().collect();
    for w in new.workspaces.iter().filter(|w| written(&&object(WORKSPACE, &w.id))) {
        write.put_workspace(w).await?;
    }
    for a in new.apis.iter().filter(|a| written(&&object(API, &a.id))) {
        write.put_api(a).await?;
    }
    for p in new.policies.iter().filter(|p| written(&&object(POLICY, &p.id()))) {
        write.put_policy(p).await?;
    }
    for l in new.licences.iter().filter(|l| written(&&object(LICENCE, &l.id()))) {
        write.put_licence(l).await?;
    }
    for l in old.licences.iter().filter(|l| gone.contains(&object(LICENCE, &l.id()))) {
        write.delete_licence(&l.workspace, &l.key()).await?;
    }
    for p in old.policies.iter().filter(|p| gone.contains(&object(POLICY, &p.id()))) {
        write.delete_policy(&p.workspace, &p.api).await?;
    }
    for o in plan.removed.iter().filter(|o| o.kind == API) {
        write.delete_api(&o.id).await?;
    }
    for o in plan.removed.iter().filter(|o| o.kind == WORKSPACE) {
        write.delete_workspace(&o.id).await?;
    }
    write.commit().await?;
    Ok(plan)
}

const WORKSPACE: &str = "workspace";
const API: &str = "api";
const LICENCE: &str = "licence";
const POLICY: &str = "policy";

fn object(kind: &'static str, id: &str) -> Object {
    Object { kind, id: id.to_owned() }
}

fn fixed_environments(old: &Draft, new: &Draft, mistakes: &mut Vec<Mistake>) {
    let before: BTreeMap<&str, &WorkspaceDraft> = old.workspaces.iter().map(|w| (w.id.as_str(), w)).collect();
    for w in &new.workspaces {
        let Some(was) = before.get(w.id.as_str()).filter(|was| was.environment != w.environment) else {
            continue;
        };
        let message = format!(
            "its environment is {} for good, and can't become {}; make another workspace",
            was.environment, w.environment
        );
        mistakes.push(Mistake { line: w.line.0, place: format!("workspace `{}`", w.id), message });
    }
}

/// A licence that is written now and is over already was meant otherwise. One that is there stays when it is over.
fn licences_that_are_over(desk: Desk<'_>, plan: &Plan, new: &Draft, mistakes: &mut Vec<Mistake>) {
    let touched: HashSet<&Object> = plan.added.iter().chain(&plan.changed).collect();
    for l in &new.licences {
        let over = l.until.as_deref().and_then(UnixMillis::parse).is_some_and(|until| until <= desk.now);
        if over && touched.contains(&object(LICENCE, &l.id())) {
            let until = l.until.as_deref().unwrap_or_default();
            let message =
                format!("`until` is {until}, which is over; write a later one, or leave the licence out");
            mistakes.push(Mistake { line: l.line.0, place: format!("licence `{}`", l.id()), message });
        }
    }
}

fn compare(old: &Draft, new: &Draft) -> Plan {
    let mut plan = Plan::default();
    sort_out(
        &mut plan,
        WORKSPACE,
        old.workspaces.iter().map(|w| (w.id.as_str(), w)),
        new.workspaces.iter().map(|w| (w.id.as_str(), w)),
    );
    sort_out(
        &mut plan,
        API,
        old.apis.iter().map(|a| (a.id.as_str(), a)),
        new.apis.iter().map(|a| (a.id.as_str(), a)),
    );
    let ids = |draft: &Draft| draft.licences.iter().map(LicenceDraft::id).collect::<Vec<_>>();
    let (before, after) = (ids(old), ids(new));
    sort_out(
        &mut plan,
        LICENCE,
        before.iter().map(String::as_str).zip(&old.licences),
        after.iter().map(String::as_str).zip(&new.licences),
    );
    let ids = |draft: &Draft| draft.policies.iter().map(PolicyDraft::id).collect::<Vec<_>>();
    let (before, after) = (ids(old), ids(new));
    sort_out(
        &mut plan,
        POLICY,
        before.iter().map(String::as_str).zip(&old.policies),
        after.iter().map(String::as_str).zip(&new.policies),
    );
    plan
}

fn sort_out<'a, T: PartialEq + 'a>(
    plan: &mut Plan,
    kind: &'static str,
    old: impl Iterator<Item = (&'a str, T)>,
    new: impl Iterator<Item = (&'a str, T)>,
) {
    let mut old: BTreeMap<&str, T> = old.collect();
    for (id, value) in new {
        let list = match old.remove(id) {
            None => &mut plan.added,
            Some(before) if before == value => &mut plan.unchanged,
            Some(_) => &mut plan.changed,
        };
        list.push(object(kind, id));
    }
    plan.removed.extend(old.into_keys().map(|id| object(kind, id)));
}
